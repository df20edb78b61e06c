"""An account's positions in Deribit's form: signed amounts, deltas in coins, profits in what the contract settles in.

Values come from the ledger at the last marks, whatever their age; greeks and margins need a market that is good and
are left out without one.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from crossmargin.engine.engine import Engine
from crossmargin.errors import CrossMarginError, InputError, MarketDataError
from crossmargin.instruments.contracts import Contract, Option, Payoff, Perpetual
from crossmargin.margin.liquidation_search import liquidation_prices
from crossmargin.margin.method import Parameters
from crossmargin.margin.methods import method_named
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.greeks import usd_greeks
from crossmargin.service.deribit.call import Call
from crossmargin.service.deribit.errors import Record
from crossmargin.service.deribit.instruments import amount_of, kind_of, name_of, of_currency
from crossmargin.units import years_between

ONE_PERCENT = 0.01
SEARCH_STEPS = 16
"""Steps to each side in which a liquidation price is searched; a client asks often, and all of them revalue the book."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A position as the ledger has it, at the last mark.

    `floating` is the profit since the last settlement of variation, `total` since entry; both in what it settles in,
    like `value`, which is what a long option would fetch and 0 for a future.
    """

    contract: Contract
    quantity: Decimal
    mark: float
    index: float
    entry_price: float
    settled_price: float | None
    floating: float
    total: float
    value: float

    @property
    def coins(self) -> float:
        """Coins of the underlying: of an inverse future, those that its dollars buy at the mark."""
        amount = amount_of(self.contract, self.quantity)
        return amount / self.mark if counts_dollars(self.contract) else amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeks:
    """Greeks of a position in Deribit's units: delta and gamma in coins, vega per percent and theta per day in USD."""

    delta: float
    gamma: float = 0.0
    vega: float = 0.0
    theta: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Margined:
    """What is needed to margin an account away from the engine; None where its market is not good."""

    portfolio: Portfolio
    market: MarketSnapshot
    method: str
    parameters: Parameters


def counts_dollars(contract: Contract) -> bool:
    """Whether the contract's amount is US dollars."""
    return contract.payoff is Payoff.INVERSE and not isinstance(contract, Option)


def held(engine: Engine, settled: dict[str, float], account: str) -> tuple[Held, ...]:
    """Return an account's positions in contracts that have a Deribit name, by id.

    Raises
    ------
    MarketDataError
        If one has never had a mark.
    """
    holdings = sorted(engine.state.ledger.holdings.get(account, {}).items())
    return tuple(
        one_held(engine, settled, account, name)
        for name, holding in holdings
        if holding.lots and name.startswith("deribit:")
    )


def one_held(engine: Engine, settled: dict[str, float], account: str, name: str) -> Held:
    """Return an account's position in one contract, which may be none."""
    terms, holding = engine.terms(name), engine.state.ledger.holding(account, name)
    mark = engine.mark(name)
    if mark is None:
        raise MarketDataError(f"a position must have a mark, {name} has none")
    worth, quantum = terms.value(holding.lots, mark), float(terms.settle_quantum)
    cost = holding.entry if terms.is_paid_up else holding.cost
    seen = engine.state.market.index.get(terms.contract.base)
    return Held(
        contract=terms.contract,
        quantity=holding.lots * terms.lot_size,
        mark=float(mark),
        index=float(mark) if seen is None else float(seen.price),
        entry_price=_entry_price(
            terms.ratio(), holding.lots, holding.entry, counts_dollars=counts_dollars(terms.contract)
        ),
        settled_price=settled.get(name),
        floating=(worth - cost) * quantum,
        total=(worth - holding.entry) * quantum,
        value=worth * quantum if terms.is_paid_up else 0.0,
    )


def _entry_price(ratio: tuple[int, int], lots: int, entry: int, *, counts_dollars: bool) -> float:
    """Price at which the lots are worth what they were entered for; 0 without any."""
    if not lots or not entry:
        return 0.0
    per_lot = Decimal(ratio[0]) / Decimal(ratio[1])
    price = per_lot * -lots / entry if counts_dollars else Decimal(entry) / (per_lot * lots)
    return round(float(price), 8)


def greeks_of(contract: Contract, coins: float, market: MarketSnapshot) -> Greeks:
    """Return the greeks of a position of `coins`; those of an option are of its dollar value by the forward."""
    if not isinstance(contract, Option):
        return Greeks(delta=coins)
    forward = market.forward(contract.base, contract.expiry_ns)
    years = max(years_between(market.time_ns, contract.expiry_ns), 0.0)
    unit = usd_greeks(forward, contract.strike_float, years, market.vol(contract), contract.is_call)
    return Greeks(
        delta=coins * float(unit.delta),
        gamma=coins * float(unit.gamma),
        vega=coins * float(unit.vega) * ONE_PERCENT,
        theta=coins * float(unit.theta),
    )


def margined(engine: Engine, account: str) -> Margined | None:
    """Return what margining an account needs, taken in one look."""
    method = engine.state.accounts[account].method
    try:
        return Margined(
            portfolio=engine.portfolio(account),
            market=engine.market(),
            method=method,
            parameters=engine.margin_parameters(method),
        )
    except MarketDataError:
        return None


def get_positions(call: Call) -> list[Record]:
    """Return the caller's positions in a currency and of a kind."""
    kind = call.params.kind()

    def look(engine: Engine) -> tuple[list[Held], Margined | None]:
        account, currency = call.caller(engine), call.currency(engine, default="any")
        rows = held(engine, call.history.settled, account)
        wanted = [row for row in rows if of_currency(row.contract, currency) and kind in (None, kind_of(row.contract))]
        return wanted, margined(engine, account)

    return position_records(*call.look(look))


def get_position(call: Call) -> Record:
    """Return the caller's position in one contract; its size is 0 where there is none."""

    def look(engine: Engine) -> tuple[list[Held], Margined | None]:
        account, contract = call.caller(engine), call.contract(engine)
        return [one_held(engine, call.history.settled, account, contract.id)], margined(engine, account)

    return position_records(*call.look(look))[0]


def position_records(rows: Sequence[Held], seen: Margined | None) -> list[Record]:
    """Return positions with greeks, with the margin that each would need alone, and futures with liquidation prices."""
    margins = _alone(rows, seen)
    liquidation: dict[str, float | None] = {}
    records = []
    for row, (initial, maintenance) in zip(rows, margins, strict=True):
        coin = str(row.contract.base)
        found = position_record(row, seen)
        found["initial_margin"], found["maintenance_margin"] = initial, maintenance
        records.append(found)
        if isinstance(row.contract, Option):
            continue
        if coin not in liquidation:
            liquidation[coin] = _liquidation_price(row.contract, seen) if row.quantity else None
        found["estimated_liquidation_price"] = liquidation[coin]
        if initial:
            found["leverage"] = max(round(abs(_settle_value(row)) / initial), 1)
    return records


def position_record(row: Held, seen: Margined | None) -> Record:
    """Return a position without what has to be margined."""
    contract = row.contract
    found: Record = {
        "instrument_name": name_of(contract),
        "kind": kind_of(contract),
        "direction": "zero" if not row.quantity else "buy" if row.quantity > 0 else "sell",
        "size": amount_of(contract, row.quantity),
        "average_price": row.entry_price,
        "mark_price": row.mark,
        "index_price": row.index,
        "settlement_price": row.mark if row.settled_price is None else row.settled_price,
        "floating_profit_loss": row.floating,
        "total_profit_loss": row.total,
        "realized_profit_loss": row.total - row.floating,
    }
    greeks = None
    with contextlib.suppress(MarketDataError):
        greeks = None if seen is None else greeks_of(contract, row.coins, seen.market)
    if isinstance(contract, Option):
        if contract.payoff is Payoff.INVERSE:
            found["floating_profit_loss_usd"] = row.floating * row.index
            found["average_price_usd"] = row.entry_price * row.index
        if greeks is not None:
            found |= {"delta": greeks.delta, "gamma": greeks.gamma, "vega": greeks.vega, "theta": greeks.theta}
        return found
    found |= {"delta": row.coins, "size_currency": row.coins}
    if isinstance(contract, Perpetual):
        found["realized_funding"] = 0.0  # funding is paid into the balance at once
    return found


def _settle_value(row: Held) -> float:
    """What the position is worth, in what it settles in."""
    amount = amount_of(row.contract, row.quantity)
    return amount / row.mark if counts_dollars(row.contract) else amount * row.mark


def _alone(rows: Sequence[Held], seen: Margined | None) -> list[tuple[float | None, float | None]]:
    """Initial and maintenance margin of each position with nothing beside it, in what it settles in."""
    if seen is None:
        return [(None, None)] * len(rows)
    by_id: dict[str, Portfolio] = {}
    for position in seen.portfolio.positions:
        name = position.instrument.id
        lone = by_id.get(name, replace(seen.portfolio, balances=(), positions=(), orders=()))
        by_id[name] = replace(lone, positions=(*lone.positions, position))
    found: list[tuple[float | None, float | None]] = []
    for row in rows:
        lone_book = by_id.get(row.contract.id)
        if lone_book is None:
            found.append((0.0, 0.0))
            continue
        try:
            answer = requirements([lone_book], seen.market, method_named(seen.method), seen.parameters)[0]
            price = seen.market.index_price(row.contract.settle)
        except (InputError, MarketDataError):
            found.append((None, None))
        else:
            found.append((answer.initial / price, answer.maintenance / price))
    return found


def _liquidation_price(contract: Contract, seen: Margined | None) -> float | None:
    """Nearest price of the coin, all else as it is, at which the account would be liquidated."""
    if seen is None:
        return None
    try:
        nearest = liquidation_prices(
            seen.portfolio, seen.market, method_named(seen.method), seen.parameters, contract.base, steps=SEARCH_STEPS
        ).nearest
    except CrossMarginError:
        return None
    return None if nearest is None else nearest.price
