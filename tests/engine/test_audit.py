"""What audits find in the record of open orders, when, and at whose cost."""

import gc
from collections.abc import Iterator, ValuesView
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from crossmargin.bench.engine_workloads import Flow, marks, opening
from crossmargin.engine import commands as ask
from crossmargin.engine import events as happened
from crossmargin.engine.audit import run_audit
from crossmargin.engine.engine import Engine
from crossmargin.engine.state import CLOSED, OpenOrder

ACCOUNTS = ("u0", "u1", "u2")


def traded() -> Engine:
    engine = Engine()
    for command in opening(ACCOUNTS):
        engine.apply(command)
    for command in Flow(np.random.default_rng(5), tuple(marks()), ACCOUNTS).commands(200):
        assert not isinstance(engine.apply(command)[0], happened.Refused)
    assert {order.account for order in engine.state.orders.values()} == set(ACCOUNTS)
    return engine


def scheduled(engine: Engine) -> list[str]:
    """Return what the audit of the schedule finds, as if the next was due."""
    house = engine._house
    engine.state.sequence += engine.state.parameters.audit_every
    run_audit(house)
    found = [event for event in house.events if isinstance(event, happened.Audited)]
    house.events.clear()
    return list(found[-1].violations)


def test_an_order_of_an_account_that_is_closed_is_found_by_the_next_audit() -> None:
    engine = traded()
    assert scheduled(engine) == []
    engine.state.accounts["u1"].state = CLOSED
    assert any("is open for an account that is" in each for each in scheduled(engine))


def test_an_order_that_the_index_does_not_know_is_found_by_the_next_audit() -> None:
    engine = traded()
    engine.state.orders["stray"] = OpenOrder(
        account="u0", instrument=next(iter(marks())), lots=1, price=Decimal(1), reduce_only=False
    )
    assert any("open orders" in each for each in scheduled(engine))


def test_an_order_of_which_nothing_is_left_is_found_once_its_account_had_its_turn() -> None:
    engine = traded()
    name, order = next((name, order) for name, order in engine.state.orders.items() if order.account == "u2")
    order.lots = 0
    found = [each for _ in ACCOUNTS for each in scheduled(engine)]
    assert f"order {name} has nothing left" in found
    engine.state.halt = None
    audited = engine.apply(ask.RunAudit(id="whole"))[0]
    assert isinstance(audited, happened.Audited)
    assert f"order {name} has nothing left or nobody's" in audited.violations


class Visited(dict[str, OpenOrder]):
    """Orders that count how often all of them were looked at."""

    visits = 0

    def values(self) -> ValuesView[OpenOrder]:
        self.visits += 1
        return super().values()

    def __iter__(self) -> Iterator[str]:
        self.visits += 1
        return super().__iter__()


def test_an_audit_of_the_schedule_does_not_visit_every_order() -> None:
    engine = traded()
    engine.state.orders = seen = Visited(engine.state.orders)
    assert scheduled(engine) == []
    assert seen.visits == 0
    engine.apply(ask.RunAudit(id="whole"))
    assert seen.visits > 0


def kinds(base: type[msgspec.Struct]) -> list[type[msgspec.Struct]]:
    return [each for kind in base.__subclasses__() for each in (kind, *kinds(kind))]


@pytest.mark.parametrize("base", [ask._Command, happened._Event])
def test_the_garbage_collector_does_not_walk_what_is_kept_of_every_command(base: type[msgspec.Struct]) -> None:
    found = kinds(base)
    assert len(found) > 20
    assert [kind.__name__ for kind in found if kind.__struct_config__.gc is not False] == []
    assert not gc.is_tracked(ask.RunAudit(id="a"))
