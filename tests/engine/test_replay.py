"""Long histories: restored engines decide as the one that went on, and nothing appears or disappears."""

import os
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from crossmargin.engine import commands as ask
from crossmargin.engine.audit import violations
from crossmargin.engine.commands import Command
from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Refused, Repeated
from crossmargin.engine.parameters import DAY_NS
from crossmargin.engine.refusals import Refusal
from crossmargin.files.story import play

USERS = ("ann", "bea", "cy", "dan", "eve", "fay")
CONTRACTS = ("crossmargin:BTC/USDC:USDC", "crossmargin:ETH/USDC:USDC")
IDLE = "gil"
"""Has money and no positions, so that it is known why each of his commands is refused."""
OPENING = "\n".join(
    [
        "fund deposits 100_000",
        "BTC-PERP marks 50_000, ETH-PERP marks 2_000",
        *(f"{u} deposits 200_000" for u in (*USERS, IDLE)),
    ]
)
START_NS = 2 * DAY_NS
SHARE = 0.1
"""Of all commands, those that must be refused, and repetitions."""
Outcome = Refusal | type[Repeated]
KEPT = ask.PlaceOrder(
    id="kept",
    account=IDLE,
    order="kept",
    instrument=CONTRACTS[0],
    side="buy",
    quantity=Decimal("0.01"),
    price=Decimal(30_000),
)


def market(name: str, prices: list[float]) -> Command:
    marks = {c: Decimal(str(round(p, 2))) for c, p in zip(CONTRACTS, prices, strict=True)}
    index = {
        coin: tuple(ask.Quote(source=s, price=m) for s in "ab")
        for coin, m in zip(("BTC", "ETH"), marks.values(), strict=True)
    }
    return ask.UpdateMarket(id=name, index=index, marks=marks)


def slips(name: str, price: float) -> dict[Outcome, Command]:
    """Return one of each command that is refused, by whoever erred, was late, asked twice, or wants too much."""
    mark = Decimal(str(round(price, 2)))
    order = msgspec.structs.replace(KEPT, id=name, order=name, price=mark)
    trade = {"instrument": order.instrument, "quantity": order.quantity, "price": mark}
    return {
        Repeated: KEPT,
        Refusal.DUPLICATE_ID_OTHER_CONTENT: msgspec.structs.replace(KEPT, quantity=Decimal("0.02")),
        Refusal.ALREADY_EXISTS: msgspec.structs.replace(order, order=KEPT.order),
        Refusal.INSUFFICIENT_MARGIN: msgspec.structs.replace(order, quantity=Decimal(100_000)),
        Refusal.UNKNOWN_ACCOUNT: msgspec.structs.replace(order, account="nobody"),
        Refusal.UNKNOWN_INSTRUMENT: msgspec.structs.replace(order, instrument="crossmargin:XRP/USDC:USDC"),
        Refusal.NOT_REDUCING: msgspec.structs.replace(order, reduce_only=True),
        Refusal.PRICE_OUTSIDE_BAND: msgspec.structs.replace(order, price=3 * mark),
        Refusal.MALFORMED: msgspec.structs.replace(order, quantity=Decimal(0)),
        Refusal.EXPIRED_COMMAND: msgspec.structs.replace(order, sent_ns=START_NS - DAY_NS - 1),
        Refusal.UNKNOWN_ORDER: ask.CancelOrder(id=name, order=name),
        Refusal.SELF_TRADE: ask.RecordTrade(id=name, buyer=IDLE, seller=IDLE, **trade),
        Refusal.INSUFFICIENT_BALANCE: ask.Withdraw(id=name, account=IDLE, asset="USDC", amount=Decimal(10**7)),
        Refusal.TIME_RUNS_FORWARD: ask.AdvanceTime(id=name, time_ns=START_NS - 1),
        Refusal.HALTED_RISK_REDUCTION_ONLY: order,
    }


KINDS = tuple(slips("any", 1.0))


def history(count: int, seed: int) -> Iterator[tuple[Command, Outcome | None]]:
    """Yield an opening, then orders (63 %), cancels (22 %), trades (5 %) and slips with what must become of them."""
    dice = np.random.default_rng(seed)
    prices: list[float] = [50_000.0, 2_000.0]
    live: list[ask.PlaceOrder] = []
    opening = [*play(OPENING).commands, ask.AdvanceTime(id="later", time_ns=START_NS), market("then", prices), KEPT]
    yield from ((each, None) for each in opening)
    for number in range(count):
        name, kind = f"h{number}", dice.random()
        if number % 1000 == 999:
            prices = [min(max(p * float(np.exp(0.02 * dice.standard_normal())), p / 9), 1e6) for p in prices]
            yield market(name, prices), None
            continue
        if dice.random() < SHARE:
            outcome = KINDS[int(dice.integers(len(KINDS)))]
            halted = outcome is Refusal.HALTED_RISK_REDUCTION_ONLY
            if halted:
                yield ask.Halt(id=f"{name} halt", reason="exercise"), None
            yield slips(name, prices[0])[outcome], outcome
            if halted:
                yield ask.Resume(id=f"{name} resume", reason="exercise"), None
            continue
        place = int(dice.integers(2))
        who, other = (USERS[i] for i in dice.choice(len(USERS), 2, replace=False))
        price = Decimal(str(round(prices[place] * float(dice.uniform(0.97, 1.03)), 2)))
        terms = {"instrument": CONTRACTS[place], "price": price}
        if kind < 0.25 and live:
            yield ask.CancelOrder(id=name, order=live.pop(int(dice.integers(len(live)))).order), None
        elif kind < 0.28 and live:
            order = live.pop(int(dice.integers(len(live))))
            buys = order.side == "buy"
            peer = other if other != order.account else who
            yield (
                ask.RecordTrade(
                    id=name,
                    buyer=order.account if buys else peer,
                    seller=peer if buys else order.account,
                    instrument=order.instrument,
                    quantity=order.quantity,
                    price=order.price,
                    **{"buy_order" if buys else "sell_order": order.order},
                ),
                None,
            )
        elif kind < 0.30:
            quantity = Decimal(int(dice.integers(1, 20))) / 100
            yield ask.RecordTrade(id=name, buyer=who, seller=other, quantity=quantity, **terms), None
        else:
            side = "buy" if dice.random() < 0.5 else "sell"
            order = ask.PlaceOrder(id=name, account=who, order=name, side=side, quantity=Decimal("0.01"), **terms)
            yield order, None
            live.append(order)
            if len(live) > 60:
                yield ask.CancelOrder(id=f"{name} too many", order=live.pop(0).order), None


def go_through(count: int, seed: int, restarts: int) -> None:
    """Let one engine go on and another be restored.

    The other never hears of half of what is refused: it must make no difference.
    """
    dice = np.random.default_rng(seed)
    cuts = set(dice.integers(count // 10, count, restarts).tolist())
    straight, restored = Engine(), Engine()
    seen: Counter[Outcome | None] = Counter()
    refused = 0
    for number, (command, outcome) in enumerate(history(count, seed)):
        events = straight.apply(command)
        first = events[0]
        if isinstance(outcome, Refusal):
            assert isinstance(first, Refused), command
            assert first.reason == outcome.name, (command, first)
        elif outcome is not None:
            assert isinstance(first, outcome), command
        seen[outcome] += 1
        refused += isinstance(first, Refused)
        if number % 2 or not isinstance(first, Refused):
            assert restored.apply(command) == events, command
        if number in cuts:
            before = restored.state_hash()
            restored = Engine.restore(restored.snapshot())
            assert restored.state_hash() == before == straight.state_hash()
    state = straight.state
    assert restored.state_hash() == straight.state_hash()
    assert restored.state.ledger.holdings == state.ledger.holdings
    assert violations(state) == []
    assert set(state.ledger.sums().values()) <= {0}
    assert set(state.ledger.lot_sums().values()) <= {0}
    assert set(seen) == {*KINDS, None}
    assert 0.8 * SHARE * count < refused + seen[Repeated] < 0.5 * count
    assert any(held.lots for mine in state.ledger.holdings.values() for held in mine.values())


def test_four_thousand_commands_and_three_restarts() -> None:
    go_through(4_000, seed=3, restarts=3)


def test_an_engine_that_remembers_what_it_refused_is_found(monkeypatch) -> None:
    apply = Engine.apply

    def remembering(engine, command):
        events = apply(engine, command)
        engine.state.sequence += isinstance(events[0], Refused)
        return events

    monkeypatch.setattr(Engine, "apply", remembering)
    with pytest.raises(AssertionError, match=r"assert '[0-9a-f.]+' == '[0-9a-f.]+'"):
        go_through(300, seed=3, restarts=1)


@pytest.mark.soak
def test_a_million_commands_and_five_restarts() -> None:
    """`CROSSMARGIN_COMMANDS` of them where it says so."""
    go_through(int(os.environ.get("CROSSMARGIN_COMMANDS", "1000000")), seed=4, restarts=5)
