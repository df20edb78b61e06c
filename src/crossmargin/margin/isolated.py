"""`isolated`: every position stands alone, at rates by instrument kind; nothing nets.

``initial = sum of |quantity| * size * price * initial rate`` over positions, where short options add their value at
the worst move of their underlying instead of a rate on premium; ``maintenance`` likewise at the maintenance rate. The
simplest rule there is, and the yardstick of every other: what a book would need if nothing were allowed to offset.
"""

import math
from dataclasses import replace

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Future, Option, Perpetual, Spot
from crossmargin.margin.collateral import HaircutSchedule, collateral_credits
from crossmargin.margin.exposure import net_quantities
from crossmargin.margin.method import Component, Explanation, Method, Parameters, Requirement, no_scenarios
from crossmargin.margin.open_orders import ENUMERATED, with_fills, worst_subset
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Order, Portfolio, Position
from crossmargin.pricing.valuation import cash_by_currency, position_value
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency


class IsolatedParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of `isolated`; fractions of notional at the index."""

    initial_rate: dict[str, float]
    """By underlying, of futures and perpetuals."""
    default_initial_rate: float
    maintenance_factor: float
    """Maintenance over initial rate."""
    option_rate: float
    """Short options, at the money."""
    option_minimum_rate: float
    """Short options, far out of the money."""
    option_maintenance_rate: float
    haircuts: HaircutSchedule

    def __post_init__(self) -> None:
        for name in ("default_initial_rate", "option_rate", "option_minimum_rate", "option_maintenance_rate"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise InputError(f"{name} must be inside [0, 1], was {getattr(self, name)}")
        if not 0.0 < self.maintenance_factor <= 1.0:
            raise InputError(f"maintenance_factor must be inside (0, 1], was {self.maintenance_factor}")
        if self.option_maintenance_rate > self.option_minimum_rate:
            raise InputError("option_maintenance_rate must not exceed option_minimum_rate")


def requirement(
    portfolio: Portfolio, market: MarketSnapshot, _risk: RiskArray | None, parameters: IsolatedParameters
) -> Requirement:
    """Return the sum of what each position needs alone."""
    lots = [(position, *position_margin(position, market, parameters)) for position in _netted(portfolio)]
    orders = _order_margin(portfolio, market, parameters)
    initial = [Component(name=_name(p), amount=amount) for p, amount, _ in lots if amount]
    if orders:
        initial.append(Component(name="open orders", amount=orders))
    maintenance = tuple(Component(name=_name(p), amount=amount) for p, _, amount in lots if amount)
    equity = _equity_components(portfolio, market, parameters)
    return Requirement.from_components(
        account=portfolio.account,
        method="isolated",
        version=parameters.effective,
        initial=initial,
        maintenance=maintenance,
        equity=equity,
        explanation=Explanation(
            name="each position alone",
            pnl=-math.fsum(amount for _, amount, _ in lots),
            children=tuple(Explanation(name=_name(p), pnl=-amount) for p, amount, _ in lots),
        ),
    )


def position_margin(position: Position, market: MarketSnapshot, parameters: IsolatedParameters) -> tuple[float, float]:
    """Return initial and maintenance margin of one position, USD.

    Futures and perpetuals: rate times notional. Short options, per coin of underlying at index S: initial
    ``max(option_rate - out_of_the_money / S, option_minimum_rate) * S``, maintenance ``option_maintenance_rate * S``,
    both plus the option's mark, which a short position owes (the shape of Deribit's standard margin). Long options
    and spot are paid for and need nothing.
    """
    contract = position.instrument
    match contract:
        case Spot():
            return 0.0, 0.0
        case Perpetual() | Future():
            rate = parameters.initial_rate.get(contract.base, parameters.default_initial_rate)
            initial = rate * notional(position, market)
            return initial, parameters.maintenance_factor * initial
        case Option():
            if position.quantity >= 0.0:
                return 0.0, 0.0
            coins = -position.quantity * contract.contract_size_float
            index, strike = market.index_price(contract.base), contract.strike_float
            out = max(strike - index, 0.0) if contract.is_call else max(index - strike, 0.0)
            rate = max(parameters.option_rate - out / index, parameters.option_minimum_rate)
            return coins * index * rate, coins * index * parameters.option_maintenance_rate


def notional(position: Position, market: MarketSnapshot) -> float:
    """Return the USD size of a future or perpetual, positive."""
    contract = position.instrument
    size = abs(position.quantity) * contract.contract_size_float
    if contract.settle == contract.base:
        return size * market.index_price(contract.quote)
    return size * market.mark_price(contract) * market.index_price(contract.settle)


def _order_margin(portfolio: Portfolio, market: MarketSnapshot, parameters: IsolatedParameters) -> float:
    if not portfolio.orders:
        return 0.0

    def deficit(book: Portfolio) -> float:
        return math.fsum(position_margin(p, market, parameters)[0] for p in _netted(book)) - math.fsum(
            part.amount for part in _equity_components(book, market, parameters)
        )

    now = deficit(with_fills(portfolio, ()))
    if len(portfolio.orders) <= ENUMERATED:
        return max(worst_subset(portfolio, deficit)[0] - now, 0.0)
    # rates are sub-additive instrument by instrument, and so are haircuts of what is paid: orders one by one bound all
    return math.fsum(max(_alone(portfolio, order, market, parameters), 0.0) for order in portfolio.orders)


def _alone(portfolio: Portfolio, order: Order, market: MarketSnapshot, parameters: IsolatedParameters) -> float:
    """What a fill in an empty book would need beyond the equity it brings, at full haircut."""
    # a reduce-only order fills no further than this, and may close at a loss
    whole = replace(order, reduce_only=False)
    filled = with_fills(Portfolio(account=portfolio.account), (whole,))
    needed = math.fsum(position_margin(position, market, parameters)[0] for position in filled.positions)
    brought = math.fsum(
        amount * market.index_price(currency)
        for currency, amount in cash_by_currency(filled, market).items()
        if amount < 0.0
    )
    return needed - brought - position_value(filled.positions, market)


def _netted(book: Portfolio) -> tuple[Position, ...]:
    """Return one position per instrument and isolated group: a closing fill closes."""
    groups: dict[str | None, list[Position]] = {}
    for position in book.positions:
        groups.setdefault(position.isolated_group, []).append(position)
    contracts = {position.instrument.id: position.instrument for position in book.positions}
    return tuple(
        Position(instrument=contracts[name], quantity=quantity, isolated_group=group)
        for group, positions in sorted(groups.items(), key=lambda item: item[0] or "")
        for name, quantity in net_quantities(positions).items()
    )


def _equity_components(
    portfolio: Portfolio, market: MarketSnapshot, parameters: IsolatedParameters
) -> tuple[Component, ...]:
    cash: dict[Currency, float] = cash_by_currency(portfolio, market)
    parts = [
        Component(name=f"{currency} collateral", amount=amount, reason="after haircut")
        for currency, amount in collateral_credits(cash, market, parameters.haircuts).items()
        if amount
    ]
    value = position_value(portfolio.positions, market)
    if value:
        parts.append(Component(name="option and spot value", amount=value))
    return tuple(parts)


def _name(position: Position) -> str:
    group = f" ({position.isolated_group})" if position.isolated_group else ""
    return f"{position.instrument.id}{group}"


METHOD = Method(
    name="isolated",
    title="Every position alone, at fixed rates",
    parameters=IsolatedParameters,
    scenarios=no_scenarios,
    requirement=requirement,
)
