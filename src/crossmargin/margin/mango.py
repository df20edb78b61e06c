"""`mango`: health of a Mango v4 account: every balance weighted, open orders at the worse of filled and reserved.

``health = sum(assets * price * asset weight) - sum(liabilities * price * liability weight)``, with initial weights to
add risk and maintenance weights to be liquidated (blockworks-foundation/mango-v4, programs/mango-v4/src/health, commit
1303a4a1). In our words: equity is the unweighted sum, and a requirement is what the weights take off it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Payoff, Perpetual, Spot
from crossmargin.margin.method import Component, Method, Parameters, Requirement, no_scenarios
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import unrealised_profit
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token's price in the quote token, its weights, and what an account holds of it."""

    price: float
    asset_weight: float
    liability_weight: float
    balance: float = 0.0

    def value(self, amount: float) -> float:
        """What `amount` counts for: an asset at its weight, a liability at its own."""
        return amount * self.price * (self.liability_weight if amount < 0.0 else self.asset_weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class PerpHolding:
    """A perpetual position with its resting bids and asks, in base lots, and its quote balance."""

    price: float
    lot_size: float
    base_asset_weight: float
    base_liability_weight: float
    overall_asset_weight: float
    base_lots: float
    quote: float
    bid_lots: float = 0.0
    ask_lots: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedOrders:
    """Spot open orders of one market: quote and base tokens set aside.

    `lowest_ask` and `highest_bid_inverse` are the account's own order prices; a fill converts at them where that is
    worse than the oracle.
    """

    base: str
    quote_reserved: float
    base_reserved: float
    lowest_ask: float | None = None
    highest_bid_inverse: float | None = None


def scaled_asset_weight(weight: float, deposits_quote: float, scale_start: float | None) -> float:
    """Return the asset weight once deposits of the whole bank exceed `scale_start`: ``weight * start / deposits``.

    Examples
    --------
    >>> scaled_asset_weight(0.5, 7_500.0, 5_000.0)
    0.3333333333333333
    """
    return weight * scale_start / deposits_quote if scale_start and deposits_quote > scale_start else weight


def scaled_liability_weight(weight: float, borrows_quote: float, scale_start: float | None) -> float:
    """Return the liability weight once borrows of the whole bank exceed `scale_start`: ``weight * borrows / start``."""
    return weight * borrows_quote / scale_start if scale_start and borrows_quote > scale_start else weight


def perp_health(holding: PerpHolding) -> float:
    """Return the weighted profit of a perpetual: the worse of all bids and all asks filled at the oracle.

    Examples
    --------
    >>> terms = dict(price=5.0, lot_size=10.0, base_asset_weight=0.8, base_liability_weight=1.2)
    >>> perp_health(PerpHolding(**terms, overall_asset_weight=0.95, base_lots=10.0, quote=100.0))
    475.0
    """

    def after(filled: float) -> float:
        net = holding.base_lots + filled
        weight = holding.base_liability_weight if net < 0.0 else holding.base_asset_weight
        return holding.lot_size * holding.price * (net * weight - filled)

    health = holding.quote + min(after(holding.bid_lots), after(-holding.ask_lots))
    return health * holding.overall_asset_weight if health > 0.0 else health


def health(
    tokens: Mapping[str, Token],
    quote: str,
    perps: Sequence[PerpHolding] = (),
    orders: Sequence[ReservedOrders] = (),
) -> float:
    """Return the health of an account in units of the quote token.

    Parameters
    ----------
    tokens
        Every token with its balance; spot reservations not included.
    quote
        Token in which perpetuals settle and spot markets quote.
    perps, orders
        Perpetual holdings and spot reservations.
    """
    held = dict(tokens)
    settled = math.fsum(perp_health(holding) for holding in perps)
    held[quote] = replace(held[quote], balance=held[quote].balance + settled)
    total = math.fsum(token.value(token.balance) for token in held.values())
    filled = [(order, *_filled(order, held, quote)) for order in orders]
    reserved = dict.fromkeys(held, 0.0)
    for order, as_base, as_quote in filled:
        reserved[order.base] += as_base
        reserved[quote] += as_quote
    for order, as_base, as_quote in filled:
        if as_base and as_quote:
            total += min(
                _effect(held[order.base], as_base, reserved[order.base]),
                _effect(held[quote], as_quote, reserved[quote]),
            )
    return total


def _filled(order: ReservedOrders, tokens: Mapping[str, Token], quote: str) -> tuple[float, float]:
    """Base tokens if every order fills into base, quote tokens if into quote; at the worse of own price and oracle."""
    rate = tokens[quote].price / tokens[order.base].price
    to_base = order.quote_reserved * rate
    if order.highest_bid_inverse is not None:
        to_base = min(to_base, order.quote_reserved * order.highest_bid_inverse)
    to_quote = order.base_reserved / rate
    if order.lowest_ask is not None:
        to_quote = min(to_quote, order.base_reserved * order.lowest_ask)
    return order.base_reserved + to_base, order.quote_reserved + to_quote


def _effect(token: Token, amount: float, reserved: float) -> float:
    """What `amount` adds to health if everything reserved in the token arrives: it repays a liability first."""
    largest = token.balance + reserved
    if largest >= amount:
        asset, repaid = amount, 0.0
    elif largest < 0.0:
        asset, repaid = 0.0, amount
    else:
        asset, repaid = largest, amount - largest
    return token.price * (asset * token.asset_weight + repaid * token.liability_weight)


class TokenWeights(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Initial and maintenance weights of a token."""

    initial_asset: float
    maintenance_asset: float
    maintenance_liability: float
    initial_liability: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.initial_asset <= self.maintenance_asset <= 1.0:
            raise InputError("asset weights must satisfy 0 <= initial <= maintenance <= 1")
        if not self.initial_liability >= self.maintenance_liability >= 1.0:
            raise InputError("liability weights must satisfy initial >= maintenance >= 1")


class MangoParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Weights by token, and of perpetuals by underlying."""

    tokens: dict[str, TokenWeights]
    perpetuals: dict[str, TokenWeights]
    overall_asset_weight: float
    """On positive perpetual profit when adding risk; its maintenance counterpart is 1."""


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: MangoParameters
) -> Requirement:
    """Return equity less health as the requirement, for initial and maintenance weights.

    Raises
    ------
    InputError
        Naming the first instrument that Mango does not have: a token or perpetual without weights, an option, a dated
        or inverse contract, or an isolated group.
    """
    _check(portfolio, parameters)
    equity = _equity(portfolio, market)
    initial = _health(portfolio, market, parameters, initial=True)
    maintenance = _health(replace(portfolio, orders=()), market, parameters, initial=False)
    return Requirement.from_components(
        account=portfolio.account,
        method="mango",
        version=parameters.effective,
        initial=(Component(name="initial weights", amount=equity - initial),),
        maintenance=(Component(name="maintenance weights", amount=equity - maintenance),),
        equity=(Component(name="balances and profit", amount=equity),),
        measures={"init_health": initial, "maint_health": maintenance},
    )


def _health(portfolio: Portfolio, market: MarketSnapshot, parameters: MangoParameters, *, initial: bool) -> float:
    balances: dict[Currency, float] = {Currency("USDC"): 0.0}
    for balance in portfolio.balances:
        balances[balance.currency] = balances.get(balance.currency, 0.0) + balance.amount
    for position in portfolio.positions:
        if isinstance(position.instrument, Spot):
            coin = position.instrument.base
            balances[coin] = balances.get(coin, 0.0) + position.quantity * position.instrument.contract_size_float
    tokens = {}
    for coin, amount in sorted(balances.items()):
        weights = parameters.tokens[coin]
        tokens[str(coin)] = Token(
            price=market.index_price(coin),
            asset_weight=weights.initial_asset if initial else weights.maintenance_asset,
            liability_weight=weights.initial_liability if initial else weights.maintenance_liability,
            balance=amount,
        )
    perps = _perps(portfolio, market, parameters, initial=initial)
    return health(tokens, "USDC", perps)


def _perps(
    portfolio: Portfolio, market: MarketSnapshot, parameters: MangoParameters, *, initial: bool
) -> list[PerpHolding]:
    found = []
    contracts = {p.instrument.id: p.instrument for p in portfolio.positions if isinstance(p.instrument, Perpetual)}
    contracts |= {o.instrument.id: o.instrument for o in portfolio.orders if isinstance(o.instrument, Perpetual)}
    for name, contract in sorted(contracts.items()):
        weights = parameters.perpetuals[contract.base]
        mark, size = market.mark_price(contract), contract.contract_size_float
        own = [position for position in portfolio.positions if position.instrument.id == name]
        held = math.fsum(position.quantity for position in own)
        profit = math.fsum(unrealised_profit(position, market) for position in own)
        working = [order for order in portfolio.orders if order.instrument.id == name]
        found.append(
            PerpHolding(
                price=mark,
                lot_size=size,
                base_asset_weight=weights.initial_asset if initial else weights.maintenance_asset,
                base_liability_weight=weights.initial_liability if initial else weights.maintenance_liability,
                overall_asset_weight=parameters.overall_asset_weight if initial else 1.0,
                base_lots=held,
                quote=profit - held * size * mark,
                bid_lots=math.fsum(max(order.signed_quantity, 0.0) for order in working),
                ask_lots=math.fsum(max(-order.signed_quantity, 0.0) for order in working),
            )
        )
    return found


def _check(portfolio: Portfolio, parameters: MangoParameters) -> None:
    for balance in portfolio.balances:
        if balance.currency not in parameters.tokens:
            raise InputError(f"mango margins its own tokens only, was given {balance.currency}")
    contracts = [position.instrument for position in portfolio.positions]
    contracts += [order.instrument for order in portfolio.orders]
    for contract in contracts:
        match contract:
            case Spot() if contract.base in parameters.tokens and contract.quote == "USDC":
                continue
            case Perpetual() if contract.base in parameters.perpetuals and contract.payoff is Payoff.LINEAR:
                continue
            case _:
                raise InputError(f"mango margins USDC spot and its linear perpetuals only, was given {contract.id}")
    if any(isinstance(order.instrument, Spot) for order in portfolio.orders):
        raise InputError("mango needs the tokens that spot orders reserve, which a book does not tell; leave them out")
    if any(position.isolated_group for position in portfolio.positions):
        raise InputError("mango has no isolated positions, was given one")


def _equity(portfolio: Portfolio, market: MarketSnapshot) -> float:
    total = [balance.amount * market.index_price(balance.currency) for balance in portfolio.balances]
    for position in portfolio.positions:
        if isinstance(position.instrument, Spot):
            size = position.quantity * position.instrument.contract_size_float
            total.append(size * market.index_price(position.instrument.base))
        else:
            total.append(unrealised_profit(position, market) * market.index_price(position.instrument.settle))
    return math.fsum(total)


METHOD = Method(
    name="mango",
    title="Mango v4: health",
    parameters=MangoParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
