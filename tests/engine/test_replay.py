"""Long histories: restored engines decide as the one that went on, and nothing appears or disappears."""

import os
from collections.abc import Iterator
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.engine import commands as ask
from crossmargin.engine.audit import violations
from crossmargin.engine.commands import Command
from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Refused
from crossmargin.files.story import play

USERS = ("ann", "bea", "cy", "dan", "eve", "fay")
CONTRACTS = ("crossmargin:BTC/USDC:USDC", "crossmargin:ETH/USDC:USDC")
OPENING = "\n".join(
    ["fund deposits 100_000", "BTC-PERP marks 50_000, ETH-PERP marks 2_000", *(f"{u} deposits 200_000" for u in USERS)]
)


def history(count: int, seed: int) -> Iterator[Command]:
    """Yield an opening, then orders (70 %), cancels (25 %) and trades (5 %) under prices that move all the while."""
    yield from play(OPENING).commands
    dice = np.random.default_rng(seed)
    prices: list[float] = [50_000.0, 2_000.0]
    live: list[ask.PlaceOrder] = []
    for number in range(count):
        name, kind = f"h{number}", dice.random()
        if number % 1000 == 999:
            prices = [min(max(p * float(np.exp(0.02 * dice.standard_normal())), p / 9), 1e6) for p in prices]
            marks = {c: Decimal(str(round(p, 2))) for c, p in zip(CONTRACTS, prices, strict=True)}
            index = {
                coin: tuple(ask.Quote(source=s, price=m) for s in "ab")
                for coin, m in zip(("BTC", "ETH"), marks.values(), strict=True)
            }
            yield ask.UpdateMarket(id=name, index=index, marks=marks)
            continue
        place = int(dice.integers(2))
        who, other = (USERS[i] for i in dice.choice(len(USERS), 2, replace=False))
        price = Decimal(str(round(prices[place] * float(dice.uniform(0.97, 1.03)), 2)))
        terms = {"instrument": CONTRACTS[place], "price": price}
        if kind < 0.25 and live:
            yield ask.CancelOrder(id=name, order=live.pop(int(dice.integers(len(live)))).order)
        elif kind < 0.28 and live:
            order = live.pop(int(dice.integers(len(live))))
            buys = order.side == "buy"
            peer = other if other != order.account else who
            yield ask.RecordTrade(
                id=name,
                buyer=order.account if buys else peer,
                seller=peer if buys else order.account,
                instrument=order.instrument,
                quantity=order.quantity,
                price=order.price,
                **{"buy_order" if buys else "sell_order": order.order},
            )
        elif kind < 0.30:
            quantity = Decimal(int(dice.integers(1, 20))) / 100
            yield ask.RecordTrade(id=name, buyer=who, seller=other, quantity=quantity, **terms)
        else:
            side = "buy" if dice.random() < 0.5 else "sell"
            order = ask.PlaceOrder(id=name, account=who, order=name, side=side, quantity=Decimal("0.01"), **terms)
            yield order
            live.append(order)
            if len(live) > 60:
                yield ask.CancelOrder(id=f"{name} too many", order=live.pop(0).order)


def go_through(count: int, seed: int, restarts: int) -> None:
    dice = np.random.default_rng(seed)
    cuts = set(dice.integers(count // 10, count, restarts).tolist())
    straight, restored = Engine(), Engine()
    refused = 0
    for number, command in enumerate(history(count, seed)):
        events = straight.apply(command)
        assert restored.apply(command) == events, command
        refused += isinstance(events[0], Refused)
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
    assert refused < 0.5 * count
    assert any(held.lots for mine in state.ledger.holdings.values() for held in mine.values())


def test_four_thousand_commands_and_three_restarts() -> None:
    go_through(4_000, seed=3, restarts=3)


@pytest.mark.soak
def test_a_million_commands_and_five_restarts() -> None:
    """`CROSSMARGIN_COMMANDS` of them where it says so."""
    go_through(int(os.environ.get("CROSSMARGIN_COMMANDS", "1000000")), seed=4, restarts=5)
