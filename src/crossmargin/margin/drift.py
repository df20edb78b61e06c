"""`drift`: Drift v2: every deposit, borrow, perpetual and profit weighted, worse the larger it is.

In the program's own fixed points (`margin/drift_rules`): sizes in 1e-9, prices and amounts in 1e-6, weights in 1e-4.
Rule: drift-labs/protocol-v2, programs/drift/src/math/margin.rs (commits 0ae3e3b1, 006ba85c); page docs/methods/drift.md.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

import msgspec

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Contract, Payoff, Perpetual, Spot
from crossmargin.margin.drift_rules import SIZE_UNIT, size_discounted_asset_weight, size_premium_liability_weight
from crossmargin.margin.exposure import net_quantities
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import unrealised_profit
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency

WEIGHT_UNIT = 10_000
AMOUNT_UNIT = 1_000_000
QUOTE = Currency("USDC")


class TokenWeights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Weights of a token in 1e-4, and its size factor in 1e-6."""

    initial_asset: int
    maintenance_asset: int
    maintenance_liability: int
    initial_liability: int
    size_factor: int

    def __post_init__(self) -> None:
        if not 0 <= self.initial_asset <= self.maintenance_asset <= WEIGHT_UNIT:
            raise InputError("asset weights must satisfy 0 <= initial <= maintenance <= 10,000")
        if not self.initial_liability >= self.maintenance_liability >= WEIGHT_UNIT or self.size_factor < 0:
            raise InputError("liability weights must satisfy initial >= maintenance >= 10,000, and size_factor >= 0")


class PerpetualMarket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Margin ratios of a perpetual in 1e-4, its size factor in 1e-6, and what its profit counts for."""

    initial: int
    maintenance: int
    size_factor: int
    profit_initial: int
    profit_maintenance: int

    def __post_init__(self) -> None:
        if not (0 < self.maintenance <= self.initial and self.size_factor >= 0):
            raise InputError("a perpetual's ratios must satisfy 0 < maintenance <= initial, and size_factor >= 0")
        if not 0 <= self.profit_initial <= self.profit_maintenance <= WEIGHT_UNIT:
            raise InputError("profit weights must satisfy 0 <= initial <= maintenance <= 10,000")


class DriftParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Weights by token, ratios by perpetual; per open order a small amount, and a cap on profit that backs new risk."""

    tokens: dict[Currency, TokenWeights]
    perpetuals: dict[Currency, PerpetualMarket]
    order_margin: int
    """1e-6 USDC per open order."""
    profit_cap: int
    """1e-6 USDC of a perpetual's profit that initial margin counts at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What one holding takes, in 1e-6 dollars."""

    initial: int
    maintenance: int


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: DriftParameters
) -> Requirement:
    """Return what the weights take off equity: free collateral is equity less this.

    Raises
    ------
    InputError
        Naming a contract or balance without weights, an inverse contract, or an order on a spot pair.
    """
    _check(portfolio, parameters)
    parts = _tokens(portfolio, market, parameters) | _perpetuals(portfolio, market, parameters)
    initial = _components({name: part.initial for name, part in parts.items()})
    maintenance = _components({name: part.maintenance for name, part in parts.items()})
    equity = _equity(portfolio, market)
    total = math.fsum(part.amount for part in equity)
    needed = math.fsum(part.amount for part in initial)
    return Requirement.from_components(
        account=portfolio.account,
        method="drift",
        version=parameters.effective,
        initial=initial,
        maintenance=maintenance,
        equity=equity,
        measures={"free collateral": total - needed},
    )


def _components(amounts: dict[str, int]) -> tuple[Component, ...]:
    return tuple(Component(name=name, amount=amount / AMOUNT_UNIT) for name, amount in amounts.items() if amount)


def _fixed(amount: float, unit: int) -> int:
    """The nearest whole number of units."""
    return round(Fraction(amount) * unit)


def _balances(portfolio: Portfolio) -> dict[Currency, float]:
    """Tokens held or owed; a spot position is a token."""
    lots: dict[Currency, list[float]] = {}
    for balance in portfolio.balances:
        lots.setdefault(balance.currency, []).append(balance.amount)
    for position in portfolio.positions:
        if isinstance(position.instrument, Spot):
            size = position.quantity * position.instrument.contract_size_float
            lots.setdefault(position.instrument.base, []).append(size)
    return {token: math.fsum(amounts) for token, amounts in sorted(lots.items())}


def _tokens(portfolio: Portfolio, market: MarketSnapshot, parameters: DriftParameters) -> dict[str, _Parts]:
    found = {}
    for token, amount in _balances(portfolio).items():
        if amount:
            price = _fixed(market.index_price(token), AMOUNT_UNIT)
            size = _fixed(abs(amount), SIZE_UNIT)
            weigh = token_haircut if amount > 0.0 else token_premium
            found[f"{token} {'deposit' if amount > 0.0 else 'borrow'}"] = weigh(size, price, parameters.tokens[token])
    return found


def token_haircut(size: int, price: int, weights: TokenWeights) -> _Parts:
    """Return what the asset weights take off a deposit."""
    value = size * price // SIZE_UNIT

    def taken(weight: int) -> int:
        return value - value * size_discounted_asset_weight(weight, weights.size_factor, size) // WEIGHT_UNIT

    return _Parts(initial=taken(weights.initial_asset), maintenance=taken(weights.maintenance_asset))


def token_premium(size: int, price: int, weights: TokenWeights) -> _Parts:
    """Return what the liability weights add to a borrow."""
    value = size * price // SIZE_UNIT

    def added(weight: int) -> int:
        return value * size_premium_liability_weight(weight, weights.size_factor, size) // WEIGHT_UNIT - value

    return _Parts(initial=added(weights.initial_liability), maintenance=added(weights.maintenance_liability))


def _perpetuals(portfolio: Portfolio, market: MarketSnapshot, parameters: DriftParameters) -> dict[str, _Parts]:
    contracts = {each.id: each for each in _contracts(portfolio) if isinstance(each, Perpetual)}
    held = net_quantities(portfolio.positions)
    found = dict[str, _Parts]()
    for name, contract in sorted(contracts.items()):
        settle = market.index_price(contract.settle)
        orders = [order for order in portfolio.orders if order.instrument.id == name]
        filled = [order.signed_quantity for order in orders if not order.reduce_only]
        quantity = held.get(name, 0.0)
        bids, asks = math.fsum(max(each, 0.0) for each in filled), math.fsum(min(each, 0.0) for each in filled)
        worst = max(abs(quantity + bids), abs(quantity + asks)) * contract.contract_size_float
        size = _fixed(worst, SIZE_UNIT)
        value = size * _fixed(market.mark_price(contract) * settle, AMOUNT_UNIT) // SIZE_UNIT
        own = [position for position in portfolio.positions if position.instrument.id == name]
        profit = _fixed(math.fsum(unrealised_profit(position, market) for position in own) * settle, AMOUNT_UNIT)
        terms, extra = parameters.perpetuals[contract.base], len(orders) * parameters.order_margin
        found[name] = _Parts(
            initial=perpetual_margin(size, value, terms.initial, terms.size_factor) + extra,
            maintenance=perpetual_margin(size, value, terms.maintenance, terms.size_factor) + extra,
        )
        found[f"{name}, profit that does not count"] = _Parts(
            initial=profit_haircut(profit, terms.profit_initial, parameters.profit_cap),
            maintenance=profit_haircut(profit, terms.profit_maintenance, None),
        )
    return found


def perpetual_margin(size: int, value: int, ratio: int, size_factor: int) -> int:
    """Return the margin of a perpetual at its worst size: ``value * max(ratio, 0.8 ratio + sqrt(10 size) * factor)``.

    Examples
    --------
    >>> perpetual_margin(1_000 * SIZE_UNIT, 100_000 * AMOUNT_UNIT, 1_000, 0) // AMOUNT_UNIT
    10000
    """
    return value * size_premium_liability_weight(ratio, size_factor, size) // WEIGHT_UNIT


def profit_haircut(profit: int, weight: int, cap: int | None) -> int:
    """Return what of a profit does not count; a loss counts in full.

    Examples
    --------
    >>> profit_haircut(1_000, 9_000, None), profit_haircut(1_000, 10_000, 300), profit_haircut(-1_000, 9_000, 300)
    (100, 700, 0)
    """
    if profit <= 0:
        return 0
    counted = profit * weight // WEIGHT_UNIT
    return profit - (counted if cap is None else min(counted, cap))


def _equity(portfolio: Portfolio, market: MarketSnapshot) -> tuple[Component, ...]:
    parts = [
        Component(name=f"{token} value", amount=amount * market.index_price(token))
        for token, amount in _balances(portfolio).items()
    ]
    profits = math.fsum(
        unrealised_profit(position, market) * market.index_price(position.instrument.settle)
        for position in portfolio.positions
        if isinstance(position.instrument, Perpetual)
    )
    parts.append(Component(name="unrealised profit", amount=profits))
    return tuple(part for part in parts if part.amount)


def _contracts(portfolio: Portfolio) -> list[Contract]:
    return [position.instrument for position in portfolio.positions] + [order.instrument for order in portfolio.orders]


def _check(portfolio: Portfolio, parameters: DriftParameters) -> None:
    for balance in portfolio.balances:
        if balance.amount and balance.currency not in parameters.tokens:
            raise InputError(f"drift has no weights of {balance.currency}, was given {balance.amount:g}")
    for contract in _contracts(portfolio):
        match contract:
            case Spot() if contract.base in parameters.tokens and contract.quote == QUOTE:
                continue
            case Perpetual() if contract.base in parameters.perpetuals and contract.payoff is Payoff.LINEAR:
                continue
            case _:
                raise InputError(f"drift margins USDC spot and its linear perpetuals only, was given {contract.id}")
    for order in portfolio.orders:
        if isinstance(order.instrument, Spot):
            raise InputError(
                f"drift simulates the fills of spot orders, which is not done here; leave {order.instrument.id} out"
            )


METHOD = Method(
    name="drift",
    title="Drift v2: weights that worsen with size",
    parameters=DriftParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
