"""What a change would do: before and after, the value of netting, the largest order that passes, what to reduce first.

Every question is asked of a method's own two functions, so that the answer is the one that a real change would get.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Contract, Option
from crossmargin.instruments.native_names import parse_instrument_name
from crossmargin.margin.exposure import net_quantities
from crossmargin.margin.method import Method, Parameters, Requirement
from crossmargin.margin.open_orders import with_fills
from crossmargin.margin.requirements import risk_for
from crossmargin.margin.ring_fence import account_requirement
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.market.vol_surface import Smile, SviSmile, VolSurface
from crossmargin.portfolio import Balance, Order, Portfolio, Side
from crossmargin.pricing.valuation import entered, model_prices
from crossmargin.risk.netting import netting_sets
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency, InstrumentId

P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What to change in a book, and in the market it is margined in.

    Attributes
    ----------
    trades
        Contracts to add per instrument at their marks; negative sells.
    scale
        Factor on every position; 0 closes all, -1 turns the book around.
    deposits
        Coins to add per currency; negative withdraws.
    prices, vols
        Relative moves per underlying, in the market of the state after.
    """

    trades: tuple[tuple[Contract, float], ...] = ()
    scale: float = 1.0
    deposits: Mapping[Currency, float] | None = None
    prices: Mapping[Currency, float] | None = None
    vols: Mapping[Currency, float] | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.scale):
            raise InputError(f"scale must be finite, was {self.scale}")
        for moves in (self.prices, self.vols):
            for currency, move in (moves or {}).items():
                if not (math.isfinite(move) and move > -1.0):
                    raise InputError(f"a relative move must be above -1, was {move} for {currency}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A requirement before and after a change."""

    before: Requirement
    after: Requirement

    @property
    def initial(self) -> float:
        """What the change adds to the initial requirement; negative releases."""
        return self.after.initial - self.before.initial

    @property
    def maintenance(self) -> float:
        """What the change adds to the maintenance requirement."""
        return self.after.maintenance - self.before.maintenance

    @property
    def excess(self) -> float:
        """What the change adds to the excess."""
        return self.after.excess - self.before.excess


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginBenefit:
    """What netting is worth: each position alone against the whole, under one method."""

    parts: tuple[tuple[str, float], ...]
    """Initial requirement of each position alone."""
    portfolio: float

    @property
    def total(self) -> float:
        """Sum of the parts."""
        return math.fsum(amount for _, amount in self.parts)

    @property
    def benefit(self) -> float:
        """How much less the whole needs; negative where a rule charges for netting."""
        return self.total - self.portfolio


def what_if(portfolio: Portfolio, market: MarketSnapshot, change: Change, method: Method[P], parameters: P) -> WhatIf:
    """Return the requirement of `portfolio` before and after `change`."""
    later_book = changed(portfolio, market, change)
    later_market = moved(_marked(market, (portfolio, later_book)), change) if change.prices or change.vols else market
    if later_market is market:
        # one risk array for both: the same scenarios, the same bits
        risk = risk_for((portfolio, later_book), market, method, parameters)
        return WhatIf(
            before=account_requirement(portfolio, market, risk, method, parameters),
            after=account_requirement(later_book, market, risk, method, parameters),
        )
    return WhatIf(
        before=_margined(portfolio, market, method, parameters),
        after=_margined(entered(later_book, market), later_market, method, parameters),
    )


def _marked(market: MarketSnapshot, books: Iterable[Portfolio]) -> MarketSnapshot:
    """Return `market` without the marks of options that none of `books` has: each would be valued anew for nothing."""
    whole = tuple(books)
    held = {position.instrument.id for book in whole for position in book.positions}
    held |= {order.instrument.id for book in whole for order in book.orders}
    marks = {
        name: price
        for name, price in market.marks.items()
        if name in held or not isinstance(parse_instrument_name(name), Option)
    }
    return replace(market, marks=marks)


def changed(portfolio: Portfolio, market: MarketSnapshot, change: Change) -> Portfolio:
    """Return `portfolio` after the trades, scaling and deposits of `change`; trades are done at today's mark.

    Scaling is a trade too: what is closed is paid for, and what was earned stays.
    """
    later = portfolio
    contracts = {position.instrument.id: position.instrument for position in portfolio.positions}
    for group, part in netting_sets(portfolio):
        for name, quantity in net_quantities(part.positions).items():
            later = traded(later, contracts[name], (change.scale - 1.0) * quantity, market, group)
    for contract, quantity in change.trades:
        later = traded(later, contract, quantity, market)
    deposits = [Balance(currency=currency, amount=amount) for currency, amount in (change.deposits or {}).items()]
    return replace(later, balances=(*later.balances, *deposits))


def legs(
    portfolio: Portfolio,
    *,
    add: Iterable[tuple[Contract, float]] = (),
    close: Iterable[InstrumentId] = (),
    scale: Mapping[InstrumentId, float] | None = None,
) -> tuple[tuple[Contract, float], ...]:
    """Return the trades that add contracts, close positions, and scale positions by a factor.

    Raises
    ------
    InputError
        If a position to close or scale is not held, or is named twice.

    Examples
    --------
    >>> legs(Portfolio(account="a"))
    ()
    """
    held = net_quantities(portfolio.positions)
    contracts = {position.instrument.id: position.instrument for position in portfolio.positions}
    factors = [*((name, 0.0) for name in close), *(scale or {}).items()]
    trades = list(add)
    for place, (name, factor) in enumerate(factors):
        if name not in contracts:
            raise InputError(f"a position to close or scale must be held, {portfolio.account} holds no {name}")
        if name in (earlier for earlier, _ in factors[:place]):
            raise InputError(f"a position must be closed or scaled once, {name} was named twice")
        trades.append((contracts[name], (factor - 1.0) * held[name]))
    return tuple(trades)


def moved(market: MarketSnapshot, change: Change) -> MarketSnapshot:
    """Return `market` after the price and vol moves of `change`.

    Index, forwards, marks of futures and smiles (at constant moneyness) move with their underlying; an option's mark
    moves by what its model value moves.
    """
    if not change.prices and not change.vols:
        return market
    prices, vols = change.prices or {}, change.vols or {}
    later = replace(
        market,
        index={c: Price(p.value * (1.0 + prices.get(c, 0.0)), p.quality, p.time_ns) for c, p in market.index.items()},
        forwards={
            coin: replace(
                curve,
                spot=curve.spot * (1.0 + prices.get(coin, 0.0)),
                forwards=tuple(forward * (1.0 + prices.get(coin, 0.0)) for forward in curve.forwards),
            )
            for coin, curve in market.forwards.items()
        },
        surfaces={
            coin: VolSurface(
                time_ns=surface.time_ns,
                smiles=tuple(_moved_smile(s, prices.get(coin, 0.0), vols.get(coin, 0.0)) for s in surface.smiles),
            )
            for coin, surface in market.surfaces.items()
        },
    )
    return replace(later, marks=_moved_marks(market, prices, later))


def _moved_smile(smile: Smile | SviSmile, price: float, vol: float) -> Smile | SviSmile:
    if isinstance(smile, SviSmile):
        scale = (1.0 + vol) ** 2  # of total variance
        svi = replace(smile.svi, a=smile.svi.a * scale, b=smile.svi.b * scale)
        return replace(smile, forward=smile.forward * (1.0 + price), svi=svi)
    return Smile(
        expiry_ns=smile.expiry_ns,
        forward=smile.forward * (1.0 + price),
        strikes=tuple(strike * (1.0 + price) for strike in smile.strikes),
        vols=tuple(level * (1.0 + vol) for level in smile.vols),
    )


def _moved_marks(
    market: MarketSnapshot, prices: Mapping[Currency, float], later: MarketSnapshot
) -> dict[InstrumentId, Price]:
    """Marks of futures move in proportion; an option's moves by what its model value moves."""
    marks = {}
    contracts = {name: parse_instrument_name(name) for name in market.marks}
    options = {name: contract for name, contract in contracts.items() if isinstance(contract, Option)}
    chosen = tuple(options.values())
    moves = zip(options, model_prices(chosen, market), model_prices(chosen, later), strict=True)
    shifts = {name: then - now for name, now, then in moves}
    for name, price in market.marks.items():
        contract = contracts[name]
        if isinstance(contract, Option):
            value = max(price.value + shifts[name], 0.0)
        else:
            value = price.value * (1.0 + prices.get(contract.base, 0.0)) / (1.0 + prices.get(contract.quote, 0.0))
        marks[name] = Price(value, price.quality, price.time_ns)
    return marks


def margin_benefit(
    portfolio: Portfolio, market: MarketSnapshot, risk: RiskArray | None, method: Method[P], parameters: P
) -> MarginBenefit:
    """Return each position's initial requirement alone, and the whole's, under one method on one risk array.

    Balances stay with every part, so that coins hedge alone what they hedge together; open orders are left out.
    """
    whole = replace(portfolio, orders=())
    parts = tuple(
        (
            position.instrument.id,
            account_requirement(replace(whole, positions=(position,)), market, risk, method, parameters).initial,
        )
        for position in portfolio.positions
    )
    idle = account_requirement(replace(whole, positions=()), market, risk, method, parameters).initial
    total = account_requirement(whole, market, risk, method, parameters).initial
    return MarginBenefit(parts=tuple((name, amount - idle) for name, amount in parts), portfolio=total - idle)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduction:
    """What closing a share of one position releases."""

    instrument: InstrumentId
    quantity: float
    """Contracts to trade, signed."""
    released: float
    """Excess gained; negative where the position hedges."""
    initial: float
    """Initial requirement that is left."""


def reductions(
    portfolio: Portfolio,
    market: MarketSnapshot,
    risk: RiskArray | None,
    method: Method[P],
    parameters: P,
    share: float = 0.25,
) -> tuple[Reduction, ...]:
    """Return what closing `share` of each position at its mark would release, the most helpful first.

    Raises
    ------
    InputError
        If `share` is not inside (0, 1].
    """
    if not 0.0 < share <= 1.0:
        raise InputError(f"share must be inside (0, 1], was {share}")
    now = account_requirement(portfolio, market, risk, method, parameters).excess
    contracts = {position.instrument.id: position.instrument for position in portfolio.positions}
    found = []
    for name, quantity in net_quantities(portfolio.positions).items():
        trade = -share * quantity
        if trade:
            later = traded(portfolio, contracts[name], trade, market)
            after = account_requirement(later, market, risk, method, parameters)
            found.append(Reduction(instrument=name, quantity=trade, released=after.excess - now, initial=after.initial))
    return tuple(sorted(found, key=lambda reduction: (-reduction.released, reduction.instrument)))


def largest_order(
    portfolio: Portfolio,
    market: MarketSnapshot,
    risk: RiskArray | None,
    method: Method[P],
    parameters: P,
    contract: Contract,
    side: Side,
    *,
    upper: float = 1e12,
) -> float:
    """Return the most contracts of `contract` that can be traded at the mark with excess left at 0 or above.

    Buying may first release margin and then need it, so that the passing sizes are not one interval in general; this is
    the end of the last one below the first size, in doublings, that fails for good. 0 where even the smallest fails.

    Raises
    ------
    InputError
        If nothing up to `upper` contracts fails: the method puts no price on this trade.
    """
    lot = float(contract.lot_size or 1e-8)

    def passes(lots: int) -> bool:
        later = traded(portfolio, contract, side.sign * lots * lot, market)
        return account_requirement(later, market, risk, method, parameters).excess >= 0.0

    sizes = [1]
    while sizes[-1] * lot <= upper:
        sizes.append(sizes[-1] * 2)
    outcomes = [passes(size) for size in sizes]
    if outcomes[-1]:
        raise InputError(f"an order must need margin at some size, {contract.id} needs none up to {upper:g} contracts")
    if not any(outcomes):
        return 0.0
    last = max(place for place, passed in enumerate(outcomes) if passed)
    low, high = sizes[last], sizes[last + 1]
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if passes(middle) else (low, middle)
    return low * lot


def traded(
    portfolio: Portfolio,
    contract: Contract,
    quantity: float,
    market: MarketSnapshot,
    isolated_group: str | None = None,
) -> Portfolio:
    """Return `portfolio` after trading `quantity` contracts (negative sells) at the mark, its open orders kept."""
    if quantity == 0.0:
        return portfolio
    side = Side.BUY if quantity > 0.0 else Side.SELL
    mark = market.mark_price(contract)
    if mark <= 0.0:
        raise InputError(f"a trade needs a positive mark, was {mark} for {contract.id}")
    order = Order(instrument=contract, side=side, quantity=abs(quantity), price=mark)
    return replace(with_fills(portfolio, (order,), isolated_group), orders=portfolio.orders)


def _margined(portfolio: Portfolio, market: MarketSnapshot, method: Method[P], parameters: P) -> Requirement:
    risk = risk_for((portfolio,), market, method, parameters)
    return account_requirement(portfolio, market, risk, method, parameters)
