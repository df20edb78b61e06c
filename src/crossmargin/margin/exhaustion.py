"""What would exhaust an account, an insurance fund, a default fund: the most likely joint move that does.

The books are revalued in full at every move that is tried. Equity here is plain: cash with unrealised profit and the
value of what is held, without haircuts, since a haircut covers a loss and is none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.margin.exposure import book_pnl, underlyings
from crossmargin.margin.requirements import held_instruments
from crossmargin.margin.tail_risk import holdings
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import cash_by_currency, position_value, usd_value
from crossmargin.risk.risk_array import risk_array
from crossmargin.scenarios.factors import MarketFactors
from crossmargin.scenarios.reverse_stress import BreakingMove, most_likely_move
from crossmargin.units import AccountId, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhausted:
    """The most likely move that uses `resources` up, and which accounts then lack how much.

    Attributes
    ----------
    move
        None where no move within reach does.
    shortfalls
        USD per account that is bankrupt at the move, largest first.
    """

    resources: float
    factors: MarketFactors
    move: BreakingMove | None
    shortfalls: tuple[tuple[AccountId, float], ...] = ()


def net_equity(portfolio: Portfolio, market: MarketSnapshot) -> float:
    """Return what `portfolio` is worth in USD: cash, unrealised profit, options and coins at their marks."""
    return usd_value(cash_by_currency(portfolio, market), market) + position_value(portfolio.positions, market)


def account_exhausted(
    portfolio: Portfolio, market: MarketSnapshot, factors: MarketFactors, *, down_to: float = 0.0
) -> Exhausted:
    """Return the most likely move that brings the equity of `portfolio` down to `down_to` USD.

    With `down_to` 0 that is bankruptcy; with today's maintenance requirement, about where liquidation begins.

    Raises
    ------
    InputError
        If equity is there already.
    """
    loses = losses_of((portfolio,), market, factors)
    cushion = net_equity(portfolio, market) - down_to
    if not cushion > 0.0:
        raise InputError(
            f"{portfolio.account} must have equity above {down_to:,.0f} USD to lose, lacked {-cushion:,.0f}"
        )
    move = most_likely_move(lambda moves: loses(moves)[0], factors.covariance, cushion)
    return Exhausted(resources=cushion, factors=factors, move=move)


def fund_exhausted(
    portfolios: Sequence[Portfolio], market: MarketSnapshot, factors: MarketFactors, resources: float
) -> Exhausted:
    """Return the most likely move at which the accounts' shortfalls together use `resources` up.

    A shortfall is what an account still owes once its own equity is gone; one account's profit pays for no other. For
    an insurance fund `resources` is the fund; for a default fund, every layer of the waterfall up to and with it.

    Raises
    ------
    InputError
        If today's shortfalls use the resources up already.
    """
    loses = losses_of(portfolios, market, factors)
    equity = np.array([net_equity(portfolio, market) for portfolio in portfolios])[:, None]

    def shortfall(moves: FloatArray) -> FloatArray:
        return np.asarray(np.maximum(loses(moves) - equity, 0.0))

    today = float(np.maximum(-equity, 0.0).sum())
    if not resources > today:
        raise InputError(f"resources must exceed today's shortfalls of {today:,.0f} USD, were {resources:,.0f}")
    move = most_likely_move(lambda moves: np.asarray(shortfall(moves).sum(axis=0)), factors.covariance, resources)
    if move is None:
        return Exhausted(resources=resources, factors=factors, move=None)
    owed = shortfall(move.moves[:, None])[:, 0].tolist()
    ranked = sorted(
        ((portfolio.account, amount) for portfolio, amount in zip(portfolios, owed, strict=True) if amount > 0.0),
        key=lambda each: (-each[1], each[0]),
    )
    return Exhausted(resources=resources, factors=factors, move=move, shortfalls=tuple(ranked))


def losses_of(
    portfolios: Sequence[Portfolio], market: MarketSnapshot, factors: MarketFactors
) -> Callable[[FloatArray], FloatArray]:
    """Return the function from moves (n_factors, n_points) to losses (n_accounts, n_points), by full revaluation.

    Raises
    ------
    InputError
        If an account holds a coin that no factor moves.
    """
    for portfolio in portfolios:
        still = [coin for coin in underlyings(portfolio) if coin not in factors.coins]
        if still:
            raise InputError(f"every coin of {portfolio.account} must have a factor, {', '.join(still)} has none")
    instruments = held_instruments(portfolios)
    held = [holdings(portfolio, market) for portfolio in portfolios]

    def losses(moves: FloatArray) -> FloatArray:
        risk = risk_array(instruments, market, factors.scenarios(moves))
        return np.array([-book_pnl(quantities, risk) for quantities in held])

    return losses
