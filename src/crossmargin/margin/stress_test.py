"""What named stresses do to an account: profit and loss by coin, equity after, and the cost of closing what is left.

The book is revalued in full. A coin that a stress does not name stands still in it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import DOLLAR_COINS
from crossmargin.margin.add_ons import Liquidity, liquidity_add_on
from crossmargin.margin.exhaustion import net_equity
from crossmargin.margin.exposure import book_delta, net_quantities
from crossmargin.margin.requirements import held_instruments
from crossmargin.margin.tail_risk import holdings
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray, risk_array
from crossmargin.scenarios.crises import Crisis, closing_hours
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.scenarios.stress import Stress
from crossmargin.units import AccountId, Currency


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What it takes to close, per coin, and how it is done.

    Attributes
    ----------
    coins, otherwise
        Volume, vol, spread and impact per coin; `otherwise` for one not named.
    participation
        Share of the market's volume that closing may be, inside (0, 1].
    reaction_hours
        Before closing starts.
    crisis_volume
        Volume on the day, as a multiple of the usual; depth goes when it is needed.
    """

    coins: Mapping[str, Liquidity]
    otherwise: Liquidity
    participation: float = 0.1
    reaction_hours: float = 1.0
    crisis_volume: float = 1.0

    def of(self, coin: Currency) -> Liquidity:
        """Return what it takes to close a position in `coin`."""
        return self.coins.get(coin, self.otherwise)

    def hours(self, coin: Currency, exposure: float) -> float:
        """Return how long the average unit of `exposure` (USD) is held while it is closed."""
        return closing_hours(
            exposure,
            self.crisis_volume * self.of(coin).daily_volume,
            participation=self.participation,
            reaction_hours=self.reaction_hours,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StressResult:
    """One account in one stress, in USD.

    Attributes
    ----------
    by_coin
        Profit (> 0) or loss (< 0) of what depends on each coin; they sum to `pnl`.
    closing_cost
        Spread and impact of closing the net exposure to each coin; 0 where no depth was given.
    """

    account: AccountId
    stress: str
    equity: float
    pnl: float
    by_coin: tuple[tuple[Currency, float], ...]
    closing_cost: float

    @property
    def equity_after(self) -> float:
        """Equity after the stress and the cost of closing; negative is a shortfall."""
        return self.equity + self.pnl - self.closing_cost


def stress_results(
    portfolios: Sequence[Portfolio], market: MarketSnapshot, scenarios: ScenarioSet, depth: Depth | None = None
) -> tuple[tuple[StressResult, ...], ...]:
    """Return, per portfolio, its results in every scenario of `scenarios`, in their order."""
    risk = risk_array(held_instruments(portfolios), market, scenarios)
    return tuple(_results(portfolio, market, risk, depth) for portfolio in portfolios)


def _results(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray, depth: Depth | None
) -> tuple[StressResult, ...]:
    equity = net_equity(portfolio, market)
    cost = 0.0
    if depth is not None:
        cost = math.fsum(liquidity_add_on(delta, depth.of(coin)) for coin, delta in exposures(portfolio, risk).items())
    by_coin: dict[Currency, list[list[float]]] = {}
    for name, quantity in holdings(portfolio, market).items():
        coin = risk.instruments[risk.row_number(name)].underlying
        by_coin.setdefault(coin, []).append((quantity * risk.row(name)).tolist())
    found = []
    for place, label in enumerate(risk.scenarios.labels):
        parts = tuple((coin, math.fsum(row[place] for row in rows)) for coin, rows in sorted(by_coin.items()))
        found.append(
            StressResult(
                account=portfolio.account,
                stress=label,
                equity=equity,
                pnl=math.fsum(amount for _, amount in parts),
                by_coin=tuple((coin, amount) for coin, amount in parts if amount != 0.0),
                closing_cost=cost,
            )
        )
    return tuple(found)


def exposures(portfolio: Portfolio, risk: RiskArray) -> dict[Currency, float]:
    """Return the net USD exposure of positions to each coin: what must be traded to close them."""
    found: dict[Currency, float] = {}
    for coin in sorted({position.instrument.underlying for position in portfolio.positions} - DOLLAR_COINS):
        own = [position for position in portfolio.positions if position.instrument.underlying == coin]
        found[coin] = book_delta(net_quantities(own), risk)
    return found


def crisis_while_closing(portfolio: Portfolio, risk: RiskArray, crisis: Crisis, depth: Depth) -> Stress:
    """Return `crisis` with each coin moving for as long as closing the account's exposure to it takes.

    A coin held as a balance only is closed as well: it is sold for what is owed. `risk` gives the exposures; any
    scenarios do.
    """
    held = exposures(portfolio, risk)
    for balance in portfolio.balances:
        if balance.currency not in DOLLAR_COINS:
            amount = balance.amount * float(risk.delta[risk.row_number(balance.currency)])
            held[balance.currency] = held.get(balance.currency, 0.0) + amount
    if not held:
        raise InputError(f"a crisis needs a coin that moves, {portfolio.account} holds none")
    hours = {coin: depth.hours(coin, exposure) for coin, exposure in sorted(held.items())}
    slowest = max(hours, key=lambda coin: hours[coin])
    stress = crisis.stress(hours)
    return Stress(
        name=f"{crisis.title}, while closing ({slowest} held {hours[slowest]:.1f} h on average)",
        prices=stress.prices,
        vols=stress.vols,
    )
