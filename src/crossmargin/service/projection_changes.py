"""What one command changes in the projection's tables; the same whether the tables follow or are filled anew."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from crossmargin.engine.commands import Command, SetMarginParameters, SetParameters
from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Event, MarginUpdated, OrderAccepted, OrderCancelled, Refused, Repeated
from crossmargin.errors import MarketDataError
from crossmargin.service.projection_tables import HAPPENED

PLACES_A_RECORD = 1 << 16
"""No record has so many events."""
MINUTE_NS = 60 * 10**9
_NAMED = ("account", "buyer", "seller", "debit", "credit", "counterparty", "taker", "bidder", "payer", "winner")
"""Fields of commands and events that may hold an account's name."""
_LEAVING_BOOKS = (OrderAccepted, OrderCancelled, MarginUpdated)
"""Events after which every balance and position is what it was."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """Rows after record `record`; an account's balances and positions replace those that it had."""

    record: int
    history: str
    """Hash of all commands until here, as the engine keeps it."""
    happened: tuple[tuple[str, Row], ...]
    """Name of a table, and a row to add."""
    accounts: tuple[Row, ...]
    requirements: tuple[Row, ...]
    balances: dict[str, tuple[Row, ...]]
    positions: dict[str, tuple[Row, ...]]


def change(engine: Engine, record: int, command: Command, events: tuple[Event, ...]) -> Change:
    """Return what a command changed; `engine` stands right after it."""
    state = engine.state
    told = tuple(event for event in events if not isinstance(event, Refused | Repeated))
    touched = _touched(engine, command, told) if told else ()
    priced = {
        name: (equity, initial, maintenance)
        for event in told
        if isinstance(event, MarginUpdated)
        for name, equity, initial, maintenance in zip(
            event.accounts, event.equity, event.initial, event.maintenance, strict=True
        )
    }
    figures = {name: _figures(engine, name) for name in touched}
    known = {**priced, **{name: found for name, found in figures.items() if found is not None}}
    named = dict.fromkeys((*priced, *touched))
    moved = () if all(isinstance(event, _LEAVING_BOOKS) for event in told) else touched
    return Change(
        record=record,
        history=state.history,
        happened=tuple(_happened(record, command, told, state.time_ns)),
        accounts=tuple(_account(engine, name, known.get(name)) for name in named),
        requirements=tuple(_requirement(name, state.time_ns, known[name]) for name in named if name in known),
        balances={name: _balances(engine, name) for name in moved},
        positions={name: _positions(engine, name) for name in moved},
    )


def _touched(engine: Engine, command: Command, events: Iterable[Event]) -> tuple[str, ...]:
    names: dict[Any, None] = {}
    for each in (command, *events):
        names |= dict.fromkeys(getattr(each, field, None) for field in _NAMED)
        paid = getattr(each, "paid", None)
        names |= dict.fromkeys(paid if isinstance(paid, dict) else ())
        order = engine.state.orders.get(getattr(each, "order", None) or "")
        names |= dict.fromkeys(() if order is None else (order.account,))
    return tuple(name for name in names if name in engine.state.accounts)


def _figures(engine: Engine, name: str) -> tuple[float, float, float] | None:
    try:
        found = engine.health(name)
    except MarketDataError:
        return None  # a price is missing
    return found.equity, found.initial, found.maintenance


def _account(engine: Engine, name: str, figures: tuple[float, float, float] | None) -> Row:
    held = engine.state.accounts[name]
    equity, initial, maintenance = figures or (None, None, None)
    return {
        "account": name,
        "state": held.state,
        "method": held.method,
        "equity": equity,
        "initial": initial,
        "maintenance": maintenance,
        "time_ns": engine.state.time_ns,
    }


def _requirement(name: str, time_ns: int, figures: tuple[float, float, float]) -> Row:
    return {
        "account": name,
        "minute_ns": time_ns - time_ns % MINUTE_NS,
        "time_ns": time_ns,
        "equity": figures[0],
        "initial": figures[1],
        "maintenance": figures[2],
    }


def _balances(engine: Engine, name: str) -> tuple[Row, ...]:
    state = engine.state
    return tuple(
        {"account": name, "asset": asset, "amount": f"{quanta * state.assets[asset].quantum:f}"}
        for asset, quanta in sorted(state.ledger.balances.get(name, {}).items())
        if quanta
    )


def _positions(engine: Engine, name: str) -> tuple[Row, ...]:
    state = engine.state
    return tuple(
        {"account": name, "instrument": each, "quantity": f"{held.lots * state.listings[each].lot_size:f}"}
        for each, held in sorted(state.ledger.holdings.get(name, {}).items())
        if held.lots
    )


def _happened(record: int, command: Command, events: tuple[Event, ...], time_ns: int) -> Iterator[tuple[str, Row]]:
    for ordinal, event in enumerate(events):
        kind = type(event).__name__
        row = {
            "place": record * PLACES_A_RECORD + ordinal,
            "time_ns": time_ns,
            "command": command.id,
            "kind": kind,
            "account": getattr(event, "account", None),
            "body": msgspec.json.encode(event).decode(),
        }
        for table, kinds in HAPPENED.values():
            if kind in kinds:
                yield table.name, row
    if events and isinstance(command, SetParameters | SetMarginParameters):
        yield (
            "parameters",
            {
                "place": record * PLACES_A_RECORD,
                "time_ns": time_ns,
                "command": command.id,
                "kind": "engine" if isinstance(command, SetParameters) else command.method,
                "account": None,
                "body": msgspec.json.encode(command).decode(),
            },
        )
