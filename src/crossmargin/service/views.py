"""What the service shows of the engine: plain records in the wire's form.

Money is a decimal string, rounded to cents in the house's favour; a ratio is a number, and null where it is infinite.
"""

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Event
from crossmargin.errors import MarketDataError
from crossmargin.ledger.account import INSURANCE
from crossmargin.margin.grid_books import GridFigures
from crossmargin.margin.method import Component, Explanation, Requirement
from crossmargin.margin.methods import method_named
from crossmargin.margin.requirements import requirements
from crossmargin.portfolio import Portfolio
from crossmargin.units import credit_to_money, requirement_to_money

Record = dict[str, Any]
CENT = Decimal("0.01")


def wire_time(time_ns: int) -> Record:
    """Return a time as ISO 8601 and as milliseconds since 1970.

    Examples
    --------
    >>> wire_time(1_500_000_000)
    {'iso': '1970-01-01T00:00:01.500Z', 'epoch_ms': 1500}
    """
    milliseconds = time_ns // 1_000_000
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=milliseconds)
    return {"iso": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), "epoch_ms": milliseconds}


def credit(amount: float) -> str:
    """Return USD rounded down to cents."""
    return str(credit_to_money(amount, CENT))


def owed(amount: float) -> str:
    """Return USD rounded up to cents."""
    return str(requirement_to_money(amount, CENT))


def _figures(equity: float, initial: float, maintenance: float) -> Record:
    infinite_usage = maintenance > 0.0 >= equity or equity < 0.0
    return {
        "equity": credit(equity),
        "initial": owed(initial),
        "maintenance": owed(maintenance),
        "excess": credit(equity - initial),
        "maintenance_ratio": equity / maintenance if maintenance > 0.0 else None,
        "margin_usage": None if infinite_usage else (maintenance / equity if equity else 0.0),
    }


def requirement_row(result: Requirement, state: str) -> Record:
    """Return a requirement as the row of an account."""
    return {
        "account": str(result.account),
        "state": state,
        "method": result.method,
        **_figures(result.equity, result.initial, result.maintenance),
        "worst_scenario": result.worst_scenario or None,
    }


def figures_row(account: str, method: str, found: GridFigures) -> Record:
    """Return figures of an account that is nobody's here as its row."""
    return {
        "account": account,
        "method": method,
        **_figures(found.equity, found.initial, found.maintenance),
        "worst_scenario": found.worst_scenario or None,
    }


def account_row(engine: Engine, name: str) -> Record:
    """Return an account's row; its figures are those on which the engine acts."""
    held, health = engine.state.accounts[name], engine.health(name)
    return standing_row(name, held.state, held.method, (health.equity, health.initial, health.maintenance))


def standing_row(account: str, state: str, method: str, figures: tuple[float, float, float]) -> Record:
    """Return an account's row; `figures` are equity, initial and maintenance margin."""
    return {"account": account, "state": state, "method": method, **_figures(*figures), "worst_scenario": None}


def margined(engine: Engine, portfolio: Portfolio, method: str) -> Requirement:
    """Return the requirement of a portfolio in the engine's market."""
    chosen = method_named(method)
    return requirements([portfolio], engine.market(), chosen, engine.margin_parameters(method))[0]


def account_page(engine: Engine, name: str) -> Record:
    """Return the row of an account with its balances, positions and orders."""
    state = engine.state
    balances = state.ledger.balances.get(name, {})
    holdings = state.ledger.holdings.get(name, {})
    result = margined(engine, engine.portfolio(name), state.accounts[name].method)
    return {
        **account_row(engine, name),
        "worst_scenario": result.worst_scenario or None,
        "balances": [
            {"currency": asset, "amount": _plain(quanta * state.assets[asset].quantum)}
            for asset, quanta in sorted(balances.items())
        ],
        "positions": [_position(engine, name, each) for each, held in sorted(holdings.items()) if held.lots],
        "orders": [
            {
                "order": order_id,
                "instrument": order.instrument,
                "side": "buy" if order.lots > 0 else "sell",
                "quantity": _plain(abs(order.lots) * state.listings[order.instrument].lot_size),
                "price": str(order.price),
                "reduce_only": order.reduce_only,
            }
            for order_id, order in sorted(state.orders.items())
            if order.account == name
        ],
    }


def _position(engine: Engine, account: str, instrument_id: str) -> Record:
    held, terms = engine.state.ledger.holding(account, instrument_id), engine.terms(instrument_id)
    mark = engine.mark(instrument_id)
    if mark is None:
        raise MarketDataError(f"a position must have a mark, {instrument_id} has none")
    value, cost = terms.value(held.lots, mark), held.entry
    if not terms.is_paid_up:
        value -= held.cost
    return {
        "instrument": instrument_id,
        "quantity": _plain(held.lots * terms.lot_size),
        "entry_price": _entry_price(held.lots, cost, terms.ratio()),
        "mark_price": str(mark),
        "value": _plain(value * terms.settle_quantum),
        "value_currency": terms.settle,
    }


def _entry_price(lots: int, cost: int, ratio: tuple[int, int]) -> str | None:
    """Price at which the lots are worth what they were entered for."""
    per_lot = Decimal(ratio[0]) / Decimal(ratio[1])
    if not cost:
        return None
    linear = Decimal(cost) / (per_lot * lots)
    # an inverse contract's value has the sign opposite to its lots, and falls as one over the price
    price = linear if linear > 0 else per_lot * lots / Decimal(-cost)
    return _plain(price.quantize(Decimal("0.0001")))


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}" if amount else "0"


def overview(engine: Engine, sequence: int) -> Record:
    """Return the state of the whole: sums over accounts, states, fund, breakers, feeds."""
    accounts = engine.state.accounts
    healths = [engine.health(name) for name, account in accounts.items() if account.state != "CLOSED"]
    return overview_record(
        house_of(engine, sequence),
        states=[account.state for account in accounts.values()],
        equity=[each.equity for each in healths],
        initial=[each.initial for each in healths],
        maintenance=[each.maintenance for each in healths],
    )


class House(msgspec.Struct, frozen=True, array_like=True):
    """Where the house stands, beside its accounts: fund, breaker with its reason, index prices with time and quality."""

    time_ns: int
    sequence: int
    fund: str
    halt: tuple[str, str] | None
    index: tuple[tuple[str, int, str], ...]


def house_of(engine: Engine, sequence: int) -> House:
    """Return where the house stands."""
    state = engine.state
    fund = state.ledger.balance(INSURANCE, state.parameters.money)
    quantum = state.assets[state.parameters.money].quantum if state.parameters.money in state.assets else CENT
    return House(
        time_ns=state.time_ns,
        sequence=sequence,
        fund=_plain(fund * quantum),
        halt=None if state.halt is None else (state.halt.breaker, state.halt.finding),
        index=tuple((coin, seen.time_ns, seen.quality) for coin, seen in sorted(state.market.index.items())),
    )


def overview_record(
    house: House,
    *,
    states: Sequence[str],
    equity: Iterable[float],
    initial: Iterable[float],
    maintenance: Iterable[float],
) -> Record:
    """Return the state of the whole; `states` are those of all accounts, figures those of all that are not closed."""
    halt = house.halt
    return {
        "time": wire_time(house.time_ns),
        "sequence": house.sequence,
        "equity": credit(math.fsum(equity)),
        "initial": owed(math.fsum(initial)),
        "maintenance": owed(math.fsum(maintenance)),
        "accounts_by_state": dict(Counter(states)),
        "insurance_fund": house.fund,
        "breakers": [] if halt is None else [{"name": halt[0], "active": True, "reason": halt[1]}],
        "feeds": [
            {"source": f"index {coin}", "age_ms": (house.time_ns - time_ns) // 1_000_000, "state": quality}
            for coin, time_ns, quality in house.index
        ],
    }


def explanation(engine: Engine, name: str) -> Record:
    """Return why an account needs what it needs: components, and the worst scenario down to its instruments."""
    result = margined(engine, engine.portfolio(name), engine.state.accounts[name].method)
    return {"tree": requirement_tree(result)}


def requirement_tree(result: Requirement) -> Record:
    """Return a requirement's excess as the root of what it is made of."""
    branches = [
        _node("equity", result.equity, "collateral after haircut, profit and option value", result.equity_components),
        _node("initial margin", result.initial, "needed to add risk", result.initial_components),
        _node("maintenance margin", result.maintenance, "below it liquidation starts", result.maintenance_components),
    ]
    if result.explanation is not None:
        branches.append(_branch(result.explanation, result.worst_scenario))
    return {
        "label": str(result.account),
        "amount": credit(result.excess),
        "why": "equity less initial margin",
        "children": branches,
    }


def _node(label: str, amount: float, why: str, parts: tuple[Component, ...]) -> Record:
    children: list[Record] = [
        {"label": part.name, "amount": f"{part.amount:.2f}", "why": part.reason or None, "children": []}
        for part in parts
    ]
    return {"label": label, "amount": f"{amount:.2f}", "why": why, "children": children}


def _branch(node: Explanation, why: str | None) -> Record:
    return {
        "label": node.name,
        "amount": f"{node.pnl:.2f}",
        "why": why,
        "children": [_branch(child, None) for child in node.children],
    }


class Told(Protocol):
    """An event with its place, the time at which the engine stood, and the id of its command."""

    @property
    def sequence(self) -> int: ...  # noqa: D102
    @property
    def time_ns(self) -> int: ...  # noqa: D102
    @property
    def command_id(self) -> str: ...  # noqa: D102
    @property
    def event(self) -> Event: ...  # noqa: D102


def event_record(item: Told) -> Record:
    """Return an event with its place, its time and its command's id."""
    fields: Record = msgspec.to_builtins(item.event)
    return {"sequence": item.sequence, "time": wire_time(item.time_ns), "command": item.command_id, **fields}


def happened_record(row: Record) -> Record:
    """Return a row of the projection as `event_record` gives the event; its place stands for its sequence."""
    fields: Record = msgspec.json.decode(row["body"])
    return {"sequence": row["place"], "time": wire_time(row["time_ns"]), "command": row["command"], **fields}


def history_point(row: Record) -> Record:
    """Return an account's figures at a time."""
    return {"time": wire_time(row["time_ns"]), **_figures(row["equity"], row["initial"], row["maintenance"])}
