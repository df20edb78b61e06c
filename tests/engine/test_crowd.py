"""Accounts examined side by side against one at a time: the same events, whatever happens to whom."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from crossmargin.bench.engine_workloads import COINS, Flow, marks, opening
from crossmargin.engine import commands as ask
from crossmargin.engine import exposures
from crossmargin.engine.columns import BookColumns
from crossmargin.engine.commands import Command
from crossmargin.engine.crowd import Crowd
from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Event

ACCOUNTS = tuple(f"u{number}" for number in range(8))


def prepared() -> Engine:
    """Return a market whose accounts have little more equity than they need."""
    engine = Engine()
    for command in opening(ACCOUNTS):
        engine.apply(command)
    for name in ACCOUNTS:
        health = engine.health(name)
        spare = Decimal(int(0.9999 * (health.equity - health.initial)))
        engine.apply(ask.Withdraw(id=f"w {name}", account=name, asset="USDC", amount=spare))
    return engine


def history(seed: int) -> Iterator[Command]:
    """Yield moves of one coin or both, up to a crash, with trades and deposits between them."""
    flow = Flow(np.random.default_rng(seed), tuple(marks()), ACCOUNTS)
    for number, move in enumerate((2, -3, 5, -40, 20, -60, 1)):
        coins = COINS if number % 2 else ("BTC",)
        price = 1 + Decimal(move) / 100
        yield ask.UpdateMarket(
            id=f"move {number}",
            index={coin: (ask.Quote(source="a", price=COINS[coin] * price),) for coin in coins},
            marks={
                name: mark * price for name, mark in marks().items() if name.startswith(tuple(f"x:{c}/" for c in coins))
            },
        )
        if number == 2:
            yield ask.SetMarginParameters(id="ramp", method="scenario_grid", parameters=_wider(), ramp_ns=10**9)
        yield ask.AdvanceTime(id=f"later {number}", time_ns=1_767_225_600_000_000_000 + (number + 1) * 60 * 10**9)
        yield ask.Deposit(id=f"d {number}", account=ACCOUNTS[number], asset="USDC", amount=Decimal(1_000))
        yield from flow.commands(20)


def _wider() -> dict[str, object]:
    last = next(each for each in opening(ACCOUNTS) if isinstance(each, ask.SetMarginParameters))
    return {**msgspec.to_builtins(last.parameters), "short_option_minimum": 0.12}


def played(seed: int) -> tuple[list[tuple[Event, ...]], str]:
    engine = prepared()
    return [engine.apply(command) for command in history(seed)], engine.state_hash()


def test_a_crowd_does_what_each_alone_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposures, "MANY", 10**9)
    alone = played(31)
    monkeypatch.setattr(exposures, "MANY", 2)
    assert played(31) == alone
    kinds = {type(event).__name__ for events in alone[0] for event in events}
    assert {"MarginCalled", "LiquidationStarted", "MarginCallMet"} <= kinds, kinds


def test_a_trade_between_ticks_is_patched_into_the_crowd(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    patch = Crowd.patch

    def noted(crowd: Crowd, name: str, book: BookColumns, credit: float) -> bool:
        taken.append(patch(crowd, name, book, credit))
        return taken[-1]

    monkeypatch.setattr(exposures, "MANY", len(ACCOUNTS))
    monkeypatch.setattr(Crowd, "patch", noted)
    engine = prepared()
    for number, coin in enumerate(("BTC", "ETH", "BTC")):
        price = COINS[coin] * (1 + Decimal(number + 1) / 1000)
        engine.apply(ask.UpdateMarket(id=f"m {number}", index={coin: (ask.Quote(source="a", price=price),)}))
        engine.apply(ask.Deposit(id=f"d {number}", account="u1", asset="USDC", amount=Decimal(10)))
        held = engine.state.ledger.holdings["u2"]
        name = next(each for each, holding in sorted(held.items()) if holding.lots > 1 and "ETH" in each)
        ask_for = {"instrument": name, "quantity": Decimal("0.001"), "price": engine.mark(name)}
        assert engine.apply(ask.RecordTrade(id=f"t {number}", buyer="u3", seller="u2", **ask_for))
    engine.apply(ask.UpdateMarket(id="last", index={"BTC": (ask.Quote(source="a", price=Decimal(60_300)),)}))
    assert taken.count(True) >= 3
    mirror, definition = engine._house.exposures, engine._house.definition
    for name in ACCOUNTS:
        assert mirror.is_standing(name)
        assert engine.health(name) == definition.examine(name, definition.book(name))


def test_a_perpetual_traded_between_ticks_is_marked_at_its_new_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposures, "MANY", len(ACCOUNTS))
    engine, perpetual = prepared(), "x:BTC/USDC:USDC"
    holdings = engine.state.ledger.holdings
    lots = {name: holdings[name][perpetual].lots for name in ACCOUNTS if perpetual in holdings[name]}
    long, short = max(lots, key=lambda name: lots[name]), min(lots, key=lambda name: lots[name])
    assert lots[short] < 0 < lots[long]

    def tick(name: str, price: int) -> None:
        quotes = (ask.Quote(source="a", price=Decimal(price)),)
        engine.apply(ask.UpdateMarket(id=name, index={"BTC": quotes}, marks={perpetual: Decimal(price)}))

    tick("first", 60_010)
    terms = {"instrument": perpetual, "quantity": Decimal("0.1"), "price": Decimal(60_000)}
    engine.apply(ask.RecordTrade(id="t", buyer=short, seller=long, **terms))
    assert holdings[long][perpetual].lots == lots[long] - 100
    tick("second", 60_100)
    mirror, definition = engine._house.exposures, engine._house.definition
    for name in (long, short):
        assert mirror.is_standing(name)
        assert engine.health(name) == definition.examine(name, definition.book(name))
