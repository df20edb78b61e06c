"""`vega`: Vega protocol: per market, what it costs to close plus a log-normal tail loss, times a factor.

Rule: vegaprotocol/specs 0019-MCAL and 0018-RSKM (commit 5fea1f3e); arithmetic in `margin/vega_rules` and
`margin/lognormal`, page docs/methods/vega.md.
"""

import math
from fractions import Fraction

import msgspec

from crossmargin.errors import InputError, MarketDataError
from crossmargin.instruments.contracts import Contract, Future, Payoff, Perpetual
from crossmargin.margin.exposure import net_quantities
from crossmargin.margin.lognormal import lognormal_risk_factors
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.margin.vega_rules import MarginLevels, funding_add_on, maintenance_margin, margin_levels
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import cash_by_currency
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency


class RiskModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A market's log-normal model: probability of the tail, years to close, annual drift and vol; and its slippage."""

    tail: float
    years: float
    drift: float
    vol: float
    slippage_rate: float

    def __post_init__(self) -> None:
        if not self.slippage_rate >= 0.0:
            raise InputError(f"slippage_rate must not be negative, was {self.slippage_rate}")
        lognormal_risk_factors(self.tail, self.years, self.drift, self.vol)


class VegaParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Models by coin, scaling of the levels, and the one asset in which everything settles."""

    asset: Currency
    asset_decimals: int
    search: float
    initial: float
    release: float
    funding_factor: float
    """Share of the coming funding payment that a perpetual's maintenance holds, between 0 and 1."""
    markets: dict[Currency, RiskModel]

    def __post_init__(self) -> None:
        if not (0 <= self.asset_decimals <= 18 and 0.0 <= self.funding_factor <= 1.0):
            raise InputError("vega needs asset_decimals inside [0, 18] and funding_factor inside [0, 1]")
        self.levels(0)

    def levels(self, maintenance: int) -> MarginLevels:
        """Return the levels above `maintenance`, in units of the asset."""
        search, initial, release = (Fraction(repr(each)) for each in (self.search, self.initial, self.release))
        return margin_levels(maintenance, search=search, initial=initial, release=release)


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: VegaParameters
) -> Requirement:
    """Return the sum of every market's maintenance and initial level; markets do not offset each other.

    Raises
    ------
    InputError
        Naming the first contract or balance that the account cannot hold.
    MarketDataError
        If a perpetual's funding rate is needed and the snapshot has none.
    """
    _check(portfolio, parameters)
    contracts: dict[str, Contract] = {position.instrument.id: position.instrument for position in portfolio.positions}
    contracts |= {order.instrument.id: order.instrument for order in portfolio.orders}
    held = net_quantities(portfolio.positions)
    price = market.index_price(parameters.asset) / 10**parameters.asset_decimals if contracts else 0.0
    levels = {}
    for name, contract in sorted(contracts.items()):
        working = [order for order in portfolio.orders if order.instrument.id == name and not order.reduce_only]
        buys = math.fsum(max(order.signed_quantity, 0.0) for order in working)
        sells = math.fsum(max(-order.signed_quantity, 0.0) for order in working)
        kept = _maintenance(contract, held.get(contract.id, 0.0), buys, sells, market, parameters)
        levels[name] = parameters.levels(math.ceil(kept * 10**parameters.asset_decimals))
    maintenance = _components({name: level.maintenance * price for name, level in levels.items()})
    initial = _components({name: level.initial * price for name, level in levels.items()})
    equity = _components(
        {
            f"{currency} value": coins * market.index_price(currency)
            for currency, coins in sorted(cash_by_currency(portfolio, market).items())
        }
    )
    return Requirement.from_components(
        account=portfolio.account,
        method="vega",
        version=parameters.effective,
        initial=initial,
        maintenance=maintenance,
        equity=equity,
        measures={
            "collateral search level": math.fsum(level.search * price for level in levels.values()),
            "collateral release level": math.fsum(level.release * price for level in levels.values()),
        },
    )


def _components(amounts: dict[str, float]) -> tuple[Component, ...]:
    return tuple(Component(name=name, amount=amount) for name, amount in amounts.items() if amount)


def _maintenance(
    contract: Contract, quantity: float, buys: float, sells: float, market: MarketSnapshot, parameters: VegaParameters
) -> float:
    """Maintenance of one market in its asset: the worse side; slippage and funding on what is held alone."""
    model = parameters.markets[contract.base]
    mark, size = market.mark_price(contract), contract.contract_size_float
    long, short = lognormal_risk_factors(model.tail, model.years, model.drift, model.vol)

    def side(position: float, orders: float, riskiest: float, factor: float, *, is_long: bool) -> float:
        if riskiest <= 0.0:
            return 0.0
        funding = position * _funding(contract, market, parameters, is_long=is_long) if position else 0.0
        open_position = maintenance_margin(position, mark, model.slippage_rate, factor, funding)
        return open_position + maintenance_margin(orders, mark, 0.0, factor)

    coins, bought, sold = quantity * size, buys * size, sells * size
    return max(
        side(max(coins, 0.0), bought, coins + bought, long, is_long=True),
        side(max(-coins, 0.0), sold, sold - coins, short, is_long=False),
    )


def _funding(contract: Contract, market: MarketSnapshot, parameters: VegaParameters, *, is_long: bool) -> float:
    """What the side holds per coin against the payment of the coming 8 hours."""
    if not isinstance(contract, Perpetual) or parameters.funding_factor == 0.0:
        return 0.0
    rate = market.funding_rate_8h.get(contract.id)
    if rate is None:
        raise MarketDataError(f"vega needs the funding rate of {contract.id} at {market.time_ns} ns, has none")
    return funding_add_on(rate * market.mark_price(contract), parameters.funding_factor, is_long=is_long)


def _check(portfolio: Portfolio, parameters: VegaParameters) -> None:
    contracts = [position.instrument for position in portfolio.positions]
    contracts += [order.instrument for order in portfolio.orders]
    for contract in contracts:
        if not isinstance(contract, Perpetual | Future) or contract.payoff is not Payoff.LINEAR:
            raise InputError(f"vega margins linear futures and perpetuals only, was given {contract.id}")
        if contract.settle != parameters.asset:
            raise InputError(f"vega markets here settle in {parameters.asset} only, was given {contract.id}")
        if contract.base not in parameters.markets:
            raise InputError(f"vega has no market of {contract.base} for {contract.id}")
    for balance in portfolio.balances:
        if balance.currency != parameters.asset and balance.amount != 0.0:
            raise InputError(f"vega takes {parameters.asset} as collateral only, was given {balance.currency}")


METHOD = Method(
    name="vega",
    title="Vega: slippage and log-normal risk factors",
    parameters=VegaParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
