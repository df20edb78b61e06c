"""Greeks of an account by coin, in USD and in coins: what a risk manager reads beside the requirement."""

from dataclasses import dataclass

import numpy as np

from crossmargin.instruments.contracts import DOLLAR_COINS, Option, Payoff
from crossmargin.margin.exposure import net_quantities
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.greeks import usd_greeks
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency, FloatArray, years_between

ONE_PERCENT = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class CoinGreeks:
    """Sensitivities to one coin, balances included.

    Attributes
    ----------
    delta_usd, delta_coins
        USD of profit per +100 %, at today's slope; the same in coins.
    gamma_usd
        By how much `delta_usd` changes through convexity when the coin moves by 1 %: ``F² V'' / 100``.
    vega_usd
        USD per vol point (+0.01 annual vol).
    theta_usd
        USD per day that passes with prices and vols unchanged.
    """

    coin: Currency
    delta_usd: float
    delta_coins: float
    gamma_usd: float
    vega_usd: float
    theta_usd: float


def coin_greeks(book: Portfolio, risk: RiskArray, market: MarketSnapshot) -> tuple[CoinGreeks, ...]:
    """Return the greeks of `book` by coin; delta from the rows of `risk`, the others from its options by Black-76.

    Futures and perpetuals, inverse ones included, are straight lines in USD and have a delta only.
    """
    delta: dict[Currency, float] = {}
    for name, quantity in held_quantities(book).items():
        row = risk.row_number(name)
        coin = risk.instruments[row].underlying
        if coin not in DOLLAR_COINS:
            delta[coin] = delta.get(coin, 0.0) + quantity * float(risk.delta[row])
    options = {p.instrument.id: p.instrument for p in book.positions if isinstance(p.instrument, Option)}
    curved: dict[Currency, FloatArray] = {}
    for name, quantity in net_quantities(book.positions).items():
        option = options.get(name)
        if option is not None:
            coin = option.underlying
            curved[coin] = curved.get(coin, np.zeros(3)) + quantity * _curvature(option, market)
    found = []
    for coin in sorted(delta):
        gamma, vega, theta = curved.get(coin, np.zeros(3)).tolist()
        coins = delta[coin] / market.index_price(coin)
        found.append(
            CoinGreeks(
                coin=coin,
                delta_usd=delta[coin],
                delta_coins=coins,
                gamma_usd=gamma,
                vega_usd=vega,
                theta_usd=theta,
            )
        )
    return tuple(found)


def _curvature(option: Option, market: MarketSnapshot) -> FloatArray:
    """Gamma per 1 %, vega per vol point and theta per day of one long contract, in USD."""
    forward = market.forward(option.underlying, option.expiry_ns)
    years = max(years_between(market.time_ns, option.expiry_ns), 0.0)
    greeks = usd_greeks(forward, option.strike_float, years, market.vol(option), option.is_call)
    unit = market.index_price(option.settle) * option.contract_size_float
    # an inverse price is in coin: the dollar price over the forward; a linear one in quote currency
    unit /= forward if option.payoff is Payoff.INVERSE else market.index_price(option.quote)
    gamma = float(greeks.gamma) * forward**2 * ONE_PERCENT
    return unit * np.array([gamma, float(greeks.vega) * ONE_PERCENT, float(greeks.theta)])


def held_quantities(book: Portfolio) -> dict[str, float]:
    """Return contracts per instrument and coins per currency, in a fixed order."""
    held: dict[str, float] = {str(name): quantity for name, quantity in net_quantities(book.positions).items()}
    for balance in book.balances:
        held[balance.currency] = held.get(balance.currency, 0.0) + balance.amount
    return dict(sorted(held.items()))
