"""The bound that is carried from order to order, against the whole computation."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from crossmargin.bench.engine_workloads import Flow, marks, opening
from crossmargin.engine import commands as ask
from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Refused
from crossmargin.engine.headroom import Headrooms

ACCOUNTS = tuple(f"u{number}" for number in range(4))


def opened() -> Engine:
    """Return an engine in which four accounts hold fifty positions each."""
    engine = Engine()
    for command in opening(ACCOUNTS):
        assert not isinstance(engine.apply(command)[0], Refused)
    return engine


def flow(seed: int, count: int) -> list[ask.Command]:
    """Return orders, cancellations and fills; orders are large, so that many are refused."""
    rng = np.random.default_rng(seed)
    found: list[ask.Command] = []
    for command in Flow(rng, tuple(marks()), ACCOUNTS).commands(count):
        if isinstance(command, ask.PlaceOrder):
            away = Decimal(str(round(float(rng.uniform(0.97, 1.03)), 4)))
            fields: dict[str, Any] = {
                name: getattr(command, name) for name in ("id", "account", "order", "instrument", "side")
            }
            quantity = Decimal(int(rng.integers(1, 300)))
            command = ask.PlaceOrder(**fields, quantity=quantity, price=round(command.price * away, 2))
        found.append(command)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_decisions_are_those_of_the_whole_computation(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    commands, kept = flow(seed, 400), opened()
    by_headroom = [kept.apply(command) for command in commands]
    monkeypatch.setattr(Headrooms, "suffices", lambda *_: None)
    whole = opened()
    assert [whole.apply(command) for command in commands] == by_headroom
    assert whole.state_hash() == kept.state_hash()
    reasons = [events[0].reason for events in by_headroom if isinstance(events[0], Refused)]
    assert reasons.count("INSUFFICIENT_MARGIN") > 10


def test_the_bound_is_never_below_the_whole_computation() -> None:
    engine = opened()
    exposures, checked = engine._house.exposures, 0
    for command in flow(9, 400):
        engine.apply(command)
        if not isinstance(command, ask.PlaceOrder) or command.account not in exposures._headrooms._kept:
            continue
        kept = exposures._headrooms._kept[command.account]
        resting = engine._house.resting.of(command.account)
        # a book that is given is computed as a whole
        book = engine._house.definition.book(command.account)
        found = exposures.deficit_for_new_risk(command.account, book, resting, [], float("inf"))
        assert found is not None
        assert found <= kept.deficit
        checked += 1
    assert checked > 50
