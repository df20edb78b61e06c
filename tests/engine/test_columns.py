"""The engine's columns against the method's own function and the ledger, on a random market."""

from decimal import Decimal

import numpy as np
import pytest

from crossmargin.bench.engine_workloads import Flow, marks, opening
from crossmargin.engine import commands as ask
from crossmargin.engine import exposures
from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Audited, Halted, Refused
from crossmargin.engine.resting import Resting

ACCOUNTS = tuple(f"u{number}" for number in range(4))


def traded(count: int = 300) -> Engine:
    engine = Engine()
    for command in opening(ACCOUNTS):
        engine.apply(command)
    for command in Flow(np.random.default_rng(5), tuple(marks()), ACCOUNTS).commands(count):
        assert not isinstance(engine.apply(command)[0], Refused)
    return engine


def moved(engine: Engine, number: int) -> None:
    prices = {name: price * (1 + Decimal(number) / 100) for name, price in marks().items()}
    engine.apply(ask.UpdateMarket(id=f"move {number}", marks={name: round(price, 4) for name, price in prices.items()}))


def test_figures_are_those_of_the_definition_after_every_move() -> None:
    engine = traded()
    mirror, definition = engine._house.exposures, engine._house.definition
    for number in range(-3, 4):
        moved(engine, number)
        for name in ACCOUNTS:
            assert engine.health(name) == definition.examine(name, definition.book(name))
            assert list(mirror.recomputed([name])) == [(name, engine.health(name), True)]


def test_numbers_too_large_for_columns_give_the_same_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = traded(100)
    before = [engine.health(name) for name in ACCOUNTS]
    monkeypatch.setattr(exposures, "book_columns", lambda *_: None)
    slow = Engine.restore(engine.snapshot())
    assert [slow.health(name) for name in ACCOUNTS] == before


def test_a_restored_engine_decides_alike() -> None:
    engine = traded()
    again = Engine.restore(engine.snapshot())
    flow = Flow(np.random.default_rng(6), tuple(marks()), ACCOUNTS, number=10_000)
    for command in flow.commands(200):
        assert again.apply(command) == engine.apply(command)
    assert again.state_hash() == engine.state_hash()


def test_an_audit_finds_columns_that_are_not_what_the_ledger_says() -> None:
    engine = traded(20)
    engine.health("u0")
    book = engine._house.exposures._books["u0"]
    assert book is not None
    book.lots[0] += 1
    engine._house.exposures._unaudited.add("u0")
    audited, halted = engine.apply(ask.RunAudit(id="look"))[:2]
    assert isinstance(audited, Audited)
    assert "columns of u0" in audited.violations[0]
    assert isinstance(halted, Halted)


def test_the_index_of_open_orders_follows_the_state() -> None:
    engine = traded()
    kept, rebuilt = engine._house.resting, Resting(engine.state)
    market = engine._house.exposures._grid("u0")
    assert market is not None
    for name in ACCOUNTS:
        assert kept.of(name).names == rebuilt.of(name).names
        for one, other in zip(
            kept.of(name).columns(market.rows, market, []),
            rebuilt.of(name).columns(market.rows, market, []),
            strict=True,
        ):
            assert one.tolist() == other.tolist()
        assert list(kept.violations(name)) == []


def test_an_asset_taken_on_after_its_first_price_has_columns_from_the_next_price_on() -> None:
    engine = traded(0)
    for number in range(2):
        quotes = (ask.Quote(source="a", price=Decimal(100 + number)),)
        engine.apply(ask.UpdateMarket(id=f"sol {number}", index={"SOL": quotes}))
        engine.apply(ask.ListAsset(id=f"list {number}", asset="SOL", quantum=Decimal("0.0001")))
    engine.apply(ask.Deposit(id="d", account="u0", asset="SOL", amount=Decimal(50)))
    mirror, definition = engine._house.exposures, engine._house.definition
    assert engine.health("u0") == definition.examine("u0", definition.book("u0"))
    market = mirror._grid("u0")
    assert market is not None
    assert market.scales[market.numbers["SOL"]].tolist() == [1, 10_000]
