"""Lists that are more than events one by one: liquidations from start to end, layers with what they paid, versions."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

import msgspec

from crossmargin.engine.engine import Engine
from crossmargin.engine.events import (
    Defaulted,
    Deleveraged,
    Drawn,
    Liquidated,
    LiquidationEnded,
    LiquidationOrdered,
    LiquidationStarted,
    TakenOver,
)
from crossmargin.engine.parameters import EngineParameters
from crossmargin.files.parameters import effective_dates, read_parameters
from crossmargin.ledger.account import INSURANCE
from crossmargin.margin.methods import method_named
from crossmargin.service.views import Record, Told, credit, event_record, wire_time

STEPS = LiquidationOrdered | Liquidated | TakenOver | Defaulted | Deleveraged
_SAID_ABOVE = frozenset({"sequence", "command", "account"})


def liquidation_items(told: Iterable[Told]) -> list[Record]:
    """Return every liquidation with its steps and who paid, the newest first.

    An account's liquidation is all from its start to its next start: winners are deleveraged in the same command, but
    told of after its end. One that began before `told` does has its steps, and no start.
    """
    newest: dict[str, Record] = {}
    found: list[Record] = []
    for each in told:
        event = each.event
        if not isinstance(event, LiquidationStarted | LiquidationEnded | Drawn | STEPS):
            continue
        name = event.account
        if isinstance(event, LiquidationStarted) or name not in newest:
            newest[name] = _begun(each, name)
            found.append(newest[name])
        item = newest[name]
        match event:
            case LiquidationStarted():
                item["equity"], item["maintenance"] = f"{event.equity:.2f}", f"{event.maintenance:.2f}"
            case LiquidationEnded():
                item["state"] = event.outcome
            case Drawn():
                item["paid_by"].append({"layer": event.layer, "payer": event.payer, "amount": str(event.amount)})
            case _:
                record = event_record(each)
                item["steps"].append({key: value for key, value in record.items() if key not in _SAID_ABOVE})
    return found[::-1]


def _begun(each: Told, account: str) -> Record:
    started = wire_time(each.time_ns)
    return {
        "sequence": each.sequence,
        "account": account,
        "state": "open",
        "started": started,
        "steps": [],
        "paid_by": [],
    }


def by_layer(draws: Iterable[Drawn]) -> dict[str, Decimal]:
    """Return what each layer paid in `draws`."""
    found: dict[str, Decimal] = {}
    for each in draws:
        found[each.layer] = found.get(each.layer, Decimal(0)) + each.amount
    return found


def waterfall_items(engine: Engine, sums: Mapping[str, Decimal]) -> list[Record]:
    """Return the layers in the order in which they pay, with what they paid; the fund says what it held."""
    state = engine.state
    money = state.parameters.money
    drawn = dict.fromkeys(state.parameters.layers, Decimal(0)) | dict(sums)
    sizes: dict[str, str] = {}
    if "insurance" in drawn and money in state.assets:
        held = state.ledger.balance(INSURANCE, money) * state.assets[money].quantum
        sizes["insurance"] = f"{held + drawn['insurance']:.2f}"
    return [{"layer": name, "size": sizes.get(name), "drawn": f"{paid:.2f}"} for name, paid in drawn.items()]


def parameter_items(engine: Engine) -> list[Record]:
    """Return every method's versions, the oldest first, and the engine's own parameters, each beside those it ships with."""
    items: list[Record] = []
    for method, versions in sorted(engine.state.margin.items()):
        deciding = sum(each.effective_ns <= engine.state.time_ns for each in versions)
        for number, each in enumerate(versions, start=1):
            items.append({
                "name": method, "version": number, "effective": wire_time(each.effective_ns),
                "grace_ns": each.grace_ns, "ramp_ns": each.ramp_ns, "in_force": number == deciding,
                "values": each.parameters, "shipped": _shipped(method),
            })  # fmt: skip
    own = msgspec.to_builtins(engine.state.parameters)
    return [{"name": "engine", "in_force": True, "values": own, "shipped": _shipped("engine")}, *items]


@functools.cache
def _shipped(name: str) -> Record | None:
    """Parameters of a method, or of the engine, as they come with the package; None for a method that has none."""
    if name == "engine":
        found: Record = msgspec.to_builtins(EngineParameters())
    elif not effective_dates(name):
        return None
    else:
        found = msgspec.to_builtins(read_parameters(method_named(name)))
    return found


def insurance_record(engine: Engine, draws: Sequence[Told], following: str | None) -> Record:
    """Return what the fund holds, what each market has drawn of it ever, its cap, and `draws`, the newest first.

    `following` is the cursor of those before.
    """
    state = engine.state
    money, cap = state.parameters.money, state.parameters.insurance_cap_per_market
    held = state.ledger.balance(INSURANCE, money) * state.assets[money].quantum if money in state.assets else Decimal(0)
    return {
        "time": wire_time(state.time_ns),
        "asset": money,
        "fund": f"{held:f}",
        "cap_per_market": None if cap is None else f"{cap:f}",
        "drawn_by_market": {market: f"{paid:f}" for market, paid in sorted(state.insured_by_market.items())},
        "draws": [event_record(each) for each in draws],
        "next": following,
    }


def queue_record(engine: Engine, account: str) -> Record:
    """Return where an account stands in the queues for deleveraging; profits round down."""
    standings = engine.deleveraging_standings(account)
    return {
        "account": account,
        "policy": engine.state.parameters.adl_policy,
        "positions": [{**msgspec.to_builtins(each), "profit": credit(each.profit)} for each in standings],
    }
