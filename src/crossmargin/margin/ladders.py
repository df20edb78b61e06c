"""Ladders: delta, gamma and vega of an account by expiry, and along the price of each coin.

Greeks are those of USD values by Black-76 at each strike's own vol; along the price every strike keeps its vol (a sticky
strike). Futures, perpetuals and coins are straight lines and stand in the row without expiry, or of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from crossmargin.instruments.contracts import DOLLAR_COINS, Future, Option, Payoff
from crossmargin.margin.account_greeks import ONE_PERCENT, held_quantities
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.greeks import usd_greeks
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency, years_between

MOVES = (-0.3, -0.2, -0.1, -0.05, 0.0, 0.05, 0.1, 0.2, 0.3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """Sensitivities to one coin at one expiry, or after one price move. USD.

    Attributes
    ----------
    expiry_ns
        0 stands for what has none; None for all expiries together.
    move
        Relative move of the coin, its forwards included.
    delta_usd
        Profit per +100 % of the coin's price there.
    gamma_usd
        Change of `delta_usd` through convexity per 1 %.
    vega_usd
        Per vol point.
    """

    coin: Currency
    expiry_ns: int | None
    move: float
    delta_usd: float
    gamma_usd: float
    vega_usd: float


def expiry_ladder(book: Portfolio, risk: RiskArray, market: MarketSnapshot) -> tuple[Rung, ...]:
    """Return a rung per coin and expiry, in their order; balances stand with what has no expiry.

    Raises
    ------
    InputError
        If `risk` lacks an instrument of the book.
    """
    return _rungs(book, risk, market, 0.0, by_expiry=True)


def price_ladder(
    book: Portfolio, risk: RiskArray, market: MarketSnapshot, moves: Sequence[float] = MOVES
) -> tuple[Rung, ...]:
    """Return a rung per coin and price move, coins first."""
    found = [rung for move in moves for rung in _rungs(book, risk, market, move, by_expiry=False)]
    return tuple(sorted(found, key=lambda rung: (rung.coin, rung.move)))


def _rungs(
    book: Portfolio, risk: RiskArray, market: MarketSnapshot, move: float, *, by_expiry: bool
) -> tuple[Rung, ...]:
    sums: dict[tuple[Currency, int], list[float]] = {}
    for name, quantity in held_quantities(book).items():
        row = risk.row_number(name)
        instrument = risk.instruments[row]
        coin = instrument.underlying
        if coin in DOLLAR_COINS:
            continue
        expiry = instrument.expiry_ns if isinstance(instrument, Option | Future) else 0
        greeks = (
            _option(instrument, market, move)
            if isinstance(instrument, Option)
            else (float(risk.delta[row]) * (1.0 + move), 0.0, 0.0)
        )
        total = sums.setdefault((coin, expiry if by_expiry else 0), [0.0, 0.0, 0.0])
        for place, greek in enumerate(greeks):
            total[place] += quantity * greek
    return tuple(
        Rung(
            coin=coin,
            expiry_ns=expiry if by_expiry else None,
            move=move,
            delta_usd=delta,
            gamma_usd=gamma,
            vega_usd=vega,
        )
        for (coin, expiry), (delta, gamma, vega) in sorted(sums.items())
    )


def _option(option: Option, market: MarketSnapshot, move: float) -> tuple[float, float, float]:
    """Delta per +100 %, gamma per 1 % and vega per vol point of one long contract after `move`."""
    now = market.forward(option.underlying, option.expiry_ns)
    forward = now * (1.0 + move)
    years = max(years_between(market.time_ns, option.expiry_ns), 0.0)
    greeks = usd_greeks(forward, option.strike_float, years, market.vol(option), option.is_call)
    unit = market.index_price(option.settle) * option.contract_size_float
    # an inverse price is in coin: the dollar price over the forward; a linear one in quote currency
    unit /= now if option.payoff is Payoff.INVERSE else market.index_price(option.quote)
    delta = unit * float(greeks.delta) * forward
    gamma = unit * float(greeks.gamma) * forward**2 * ONE_PERCENT
    return delta, gamma, unit * float(greeks.vega) * ONE_PERCENT
