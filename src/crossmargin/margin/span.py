"""`span`: sixteen scenarios of price and vol per underlying, charges between expiries, credits between underlyings.

Source: CME, Standard Portfolio Analysis of Risk; McMillan, Options as a Strategic Investment, ch. 34. Page
docs/methods/span.md.
"""

import math
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Payoff, Spot
from crossmargin.margin.collateral import HaircutSchedule, collateral_credits
from crossmargin.margin.exposure import book_delta, book_pnl, by_underlying, deltas_by_expiry, net_quantities
from crossmargin.margin.method import Component, Method, Parameters, Requirement
from crossmargin.margin.scenario_grid import short_coins
from crossmargin.margin.span_spreads import (
    CommoditySpread,
    TierSpread,
    calendar_charge,
    commodity_credits,
    price_risk,
)
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio, Position
from crossmargin.pricing.valuation import cash_by_currency, position_value
from crossmargin.risk.measures import worst_loss, worst_scenario
from crossmargin.risk.risk_array import RiskArray
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import NANOSECONDS_PER_DAY, Currency, FloatArray

_THIRDS = (0, 1, -1, 2, -2, 3, -3)
"""Price moves in thirds of the scan range, each with vol up and vol down, in SPAN's order."""


def span_scenarios(
    underlying: Currency,
    *,
    price_range: float,
    vol_range: float,
    extreme_multiple: float = 3.0,
    extreme_cover: float = 0.33,
) -> ScenarioSet:
    """Return the sixteen scenarios: seven prices with vol up and down, then two extreme prices that count in part.

    Parameters
    ----------
    price_range, vol_range
        Relative moves of price and vol that the scan spans.
    extreme_multiple, extreme_cover
        The extreme move in scan ranges, and the share of its profit or loss that counts: 3 and 33 % at CME, 2 and 35 %
        elsewhere.

    Raises
    ------
    InputError
        If the extreme fall takes the price to zero or below, or a share or range is out of bounds.

    Examples
    --------
    >>> scan = span_scenarios(Currency("BTC"), price_range=0.09, vol_range=0.2)
    >>> scan.price_factor[0, [2, 10, 12, 15]].round(12)
    array([1.03, 1.09, 0.91, 0.73])
    """
    if not (price_range > 0.0 and 0.0 <= vol_range < 1.0 and 0.0 < extreme_cover <= 1.0):
        raise InputError(
            "SPAN needs price_range > 0, vol_range inside [0, 1) and extreme_cover inside (0, 1], "
            f"were {price_range}, {vol_range}, {extreme_cover}"
        )
    inner = [(thirds / 3.0, sign) for thirds in _THIRDS for sign in (1.0, -1.0)]
    moves = [*inner, (extreme_multiple, 0.0), (-extreme_multiple, 0.0)]
    return ScenarioSet(
        name="SPAN, 16 scenarios",
        underlyings=(underlying,),
        price_factor=np.array([[1.0 + price * price_range for price, _ in moves]]),
        vol_shock=np.array([[vol * vol_range for _, vol in moves]]),
        labels=tuple(_label(price, vol) for price, vol in moves),
        damping=np.array([1.0] * len(inner) + [extreme_cover] * 2),
    )


def scan_risk(quantities: FloatArray, arrays: FloatArray) -> float:
    """Return the worst loss of a combined portfolio over its risk arrays, at least 0.

    Parameters
    ----------
    quantities : array of shape (n_instruments,)
        Contracts; long > 0.
    arrays : array of shape (n_instruments, 16)
        Profit of one long contract per scenario, extremes already weighted.

    Examples
    --------
    >>> scan_risk(np.array([1.0, -1.0]), np.array([[3.0, -3.0], [1.0, -2.0]]))
    1.0
    """
    return float(worst_loss(quantities @ arrays))


def _label(price: float, vol: float) -> str:
    vols = {1.0: "vols up", -1.0: "vols down", 0.0: "vols unchanged"}[vol]
    return f"prices {100 * price:+.3g} % of range, {vols}" if price else f"prices unchanged, {vols}"


class SpanParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a clearing house sets: ranges by underlying, spreads, minimum, initial over maintenance, haircuts."""

    price_range: dict[Currency, float]
    vol_range: float
    extreme_multiple: float
    extreme_cover: float
    tier_days: tuple[float, ...]
    """Days to expiry up to which each tier reaches; the last tier has no end. Perpetuals stand in the first."""
    calendar: tuple[TierSpread, ...]
    spreads: tuple[CommoditySpread, ...]
    short_option_minimum: float
    """Fraction of the index price per coin of short options."""
    initial_multiple: float
    """Initial over maintenance: 1.1 asks a tenth more of who opens a position."""
    haircuts: HaircutSchedule

    def __post_init__(self) -> None:
        if not self.price_range:
            raise InputError("SPAN needs a price range of some underlying, had none")
        if list(self.tier_days) != sorted(set(self.tier_days)):
            raise InputError(f"tier_days must rise, were {self.tier_days}")
        if not (self.initial_multiple >= 1.0 and self.short_option_minimum >= 0.0):
            raise InputError("SPAN needs initial_multiple >= 1 and short_option_minimum >= 0")

    def tier(self, days: float) -> int:
        """Return the tier of an expiry so many days ahead."""
        return sum(days > end for end in self.tier_days)


def scenarios(_market: MarketSnapshot, parameters: SpanParameters) -> ScenarioSet:
    """Return the sixteen scenarios with a row per underlying; each underlying is scanned alone."""
    sets = [
        span_scenarios(
            coin,
            price_range=parameters.price_range[coin],
            vol_range=parameters.vol_range,
            extreme_multiple=parameters.extreme_multiple,
            extreme_cover=parameters.extreme_cover,
        )
        for coin in sorted(parameters.price_range)
    ]
    return ScenarioSet(
        name=sets[0].name,
        underlyings=tuple(sorted(parameters.price_range)),
        price_factor=np.concatenate([each.price_factor for each in sets]),
        vol_shock=np.concatenate([each.vol_shock for each in sets]),
        labels=sets[0].labels,
        damping=sets[0].damping,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Commodity:
    """One underlying before credits between underlyings."""

    delta: float
    scan: float
    price_risk: float
    calendar: float
    minimum: float
    worst_label: str


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray | None, parameters: SpanParameters
) -> Requirement:
    """Return, per underlying, ``max(scan + calendar charge - credit, short option minimum)``; open orders do not count.

    Raises
    ------
    InputError
        Naming a spot pair, a contract paid in a third currency, an underlying without a price range, or a balance
        without a haircut.
    """
    if risk is None:
        raise InputError("span needs a risk array, found none")
    _check(portfolio, parameters)
    groups = by_underlying(portfolio.positions)
    held = {coin: _commodity(coin, groups[coin], market, risk, parameters) for coin in sorted(groups)}
    credited = commodity_credits(
        {coin: each.delta for coin, each in held.items()},
        {coin: each.price_risk for coin, each in held.items()},
        parameters.spreads,
    )
    maintenance = tuple(part for coin, each in held.items() for part in _components(coin, each, credited[coin]))
    initial = tuple(
        Component(name=part.name, amount=part.amount * parameters.initial_multiple, reason=part.reason)
        for part in maintenance
    )
    collateral = collateral_credits(cash_by_currency(portfolio, market), market, parameters.haircuts)
    equity = [
        Component(name=f"{currency} collateral", amount=amount, reason="after haircut")
        for currency, amount in collateral.items()
    ]
    equity.append(Component(name="option value", amount=position_value(portfolio.positions, market)))
    worst = max(held, key=lambda coin: held[coin].scan, default=None)
    return Requirement.from_components(
        account=portfolio.account,
        method="span",
        version=parameters.effective,
        initial=initial,
        maintenance=maintenance,
        equity=equity,
        worst_scenario=f"{worst}: {held[worst].worst_label}" if worst and held[worst].scan else "",
        measures={f"scan risk, {coin}": each.scan for coin, each in held.items()},
    )


def _commodity(
    coin: Currency, own: list[Position], market: MarketSnapshot, risk: RiskArray, parameters: SpanParameters
) -> _Commodity:
    quantities = net_quantities(own)
    pnl = book_pnl(quantities, risk)
    worst = int(worst_scenario(pnl))
    gross = math.fsum(abs(quantity * float(risk.row(name)[worst])) for name, quantity in quantities.items())
    # a perfect hedge leaves rounding behind, which is no loss
    scan = loss if (loss := float(worst_loss(pnl))) > _DUST * gross else 0.0
    deltas = deltas_by_expiry(own, risk)
    tiers = {
        expiry: parameters.tier((expiry - market.time_ns) / NANOSECONDS_PER_DAY if expiry else 0.0) for expiry in deltas
    }
    return _Commodity(
        delta=book_delta(quantities, risk),
        scan=scan,
        price_risk=price_risk(pnl) if scan else 0.0,
        calendar=calendar_charge(deltas, tiers, parameters.calendar),
        minimum=parameters.short_option_minimum * market.index_price(coin) * short_coins(own),
        worst_label=risk.scenarios.labels[worst],
    )


_DUST = 1e-9


def _components(coin: Currency, held: _Commodity, credit: float) -> list[Component]:
    risk = held.scan + held.calendar - credit
    parts = [
        Component(name=f"{coin} scan risk", amount=held.scan, reason=held.worst_label),
        Component(name=f"{coin} calendar spreads", amount=held.calendar),
        Component(name=f"{coin} spreads with others", amount=-credit),
        Component(name=f"{coin} short option minimum", amount=max(held.minimum - risk, 0.0)),
    ]
    return [part for part in parts if part.amount]


def _check(portfolio: Portfolio, parameters: SpanParameters) -> None:
    for contract in (position.instrument for position in portfolio.positions):
        if isinstance(contract, Spot) or contract.payoff is Payoff.QUANTO:
            raise InputError(f"span margins derivatives paid in dollars or their underlying, was given {contract.id}")
        if contract.underlying not in parameters.price_range:
            raise InputError(f"span needs a price range of {contract.underlying} for {contract.id}, has none")
    for balance in portfolio.balances:
        if balance.amount and balance.currency not in parameters.haircuts.tiers:
            raise InputError(f"span has no haircut of {balance.currency}, was given {balance.amount:g}")


METHOD = Method(
    name="span",
    title="SPAN: sixteen scenarios",
    parameters=SpanParameters,
    scenarios=scenarios,
    requirement=requirement,
)
