"""A deterministic simulator: one seed is one history of a clearing house on a bad day.

Users, a price feed and a market maker send commands over a network that loses, repeats, delays, reorders and corrupts
them; the process crashes between and inside writes of the journal, and recovers from its snapshots. Then the faults
heal and everything that was sent must be answered. Fault rates are drawn per seed in the ranges that TigerBeetle's
simulator uses (src/vopr.zig: loss 0-30 %, replay 0-50 %).
"""

import heapq
import os
import shutil
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import msgspec
import numpy as np
import pytest

from crossmargin.engine import commands as ask
from crossmargin.engine.audit import violations
from crossmargin.engine.commands import Command
from crossmargin.engine.events import LiquidationOrdered, Refused, Repeated
from crossmargin.errors import InputError
from crossmargin.files.story import play
from crossmargin.store.journal import open_journal
from crossmargin.store.runner import Runner, replay

LINEAR = "crossmargin:BTC/USDC:USDC"
USERS = ("ann", "bea", "cy", "dan")
TICK_NS = 10**9
OPENING = """
    fund deposits 5_000
    ann deposits 50_000
    bea deposits 50_000
    cy deposits 50_000
    dan deposits 500_000
    fay deposits 1_000
    cy contributes 500
    BTC-PERP marks 50_000
    set index_max_age_ns 30000000000
    set audit_every 10
    set command_ttl_ns 3000000000
"""
REFUSED = frozenset(
    {
        "TIME_RUNS_FORWARD",
        "NOT_HALTED",
        "INSUFFICIENT_MARGIN",
        "UNKNOWN_ACCOUNT",
        "SELF_TRADE",
        "NOT_REDUCING",
        "EXPIRED_COMMAND",
        "HALTED_RISK_REDUCTION_ONLY",
        "INSUFFICIENT_BALANCE",
    }
)
"""What ten histories together refuse at least."""


@dataclass
class World:
    """Virtual clock, network, disk and actors of one history."""

    folder: Path
    seed: int
    now: int = 0
    sent: dict[str, bytes] = field(default_factory=dict)
    answered: dict[str, int] = field(default_factory=dict)
    network: list[tuple[int, int, str, bytes]] = field(default_factory=list)
    faulty: bool = True
    price: float = 50_000.0
    crashes: int = 0
    rejected: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.dice = np.random.default_rng(self.seed)
        self.loss, self.repeat = self.dice.uniform(0, 0.3), self.dice.uniform(0, 0.5)
        self.corruption, self.crash = self.dice.uniform(0, 0.1), self.dice.uniform(0, 0.1)
        self.order = 0
        self.open()
        self.runner.submit(play(OPENING).commands)

    # -- the process and its disk -----------------------------------------------------------------------------------

    def open(self) -> None:
        self.journal = open_journal(self.folder / "journal", write=True)
        self.runner = Runner(self.journal, self.folder / "snapshots")

    def die(self) -> None:
        """Crash: what was synced stays; a write in flight leaves any part of itself behind."""
        before = self.runner.engine.state_hash()
        self.journal.close()
        segment = sorted((self.folder / "journal").glob("*.journal"))[-1]
        with segment.open("ab") as tail:
            tail.write(bytes(self.dice.integers(32, 127, int(self.dice.integers(0, 200)), dtype=np.uint8)))
        self.crashes += 1
        self.open()
        assert self.runner.engine.state_hash() == before, "recovery must not lose or invent anything"

    def receive(self, name: str, body: bytes) -> None:
        try:
            command = msgspec.json.decode(body, type=Command)
        except (msgspec.DecodeError, InputError):
            self.rejected += 1  # the edge refuses what it cannot read; the sender tries again
            return
        if command.id != name:
            self.rejected += 1
            return
        (events,) = self.runner.submit([command])
        if isinstance(events[0], Repeated):
            assert name in self.answered
        if isinstance(events[0], Refused):
            self.refused[events[0].reason] += 1
        self.answered[name] = self.answered.get(name, 0) + (not isinstance(events[0], Repeated | Refused))
        assert self.answered[name] <= 1, "no command is applied twice"
        assert violations(self.runner.engine.state) == []
        for event in events:
            if isinstance(event, LiquidationOrdered):
                self.send(
                    ask.FillLiquidation,
                    account=event.account,
                    counterparty="dan",
                    quantity=event.quantity,
                    price=Decimal(str(round(self.price * self.dice.uniform(0.98, 1.02), 2))),
                )

    # -- the network ------------------------------------------------------------------------------------------------

    def send(self, build, **fields) -> None:
        name = f"n{len(self.sent)}"
        self.sent[name] = msgspec.json.encode(build(id=name, **fields))
        self.transmit(name)

    def transmit(self, name: str) -> None:
        """Put copies on the wire: none, one or more, each late by its own delay, some changed."""
        copies = 1
        if self.faulty:
            copies = int(self.dice.random() >= self.loss) + int(self.dice.random() < self.repeat)
        for _ in range(copies):
            body = bytearray(self.sent[name])
            if self.faulty and self.dice.random() < self.corruption:
                # a flipped byte in the frame: its checksum fails at the other end
                body[0] ^= 1
            delay = int(self.dice.integers(0, 6)) if self.faulty else 0
            self.order += 1
            heapq.heappush(self.network, (self.now + delay, self.order, name, bytes(body)))

    def deliver(self) -> None:
        while self.network and self.network[0][0] <= self.now:
            _, _, name, body = heapq.heappop(self.network)
            self.receive(name, body)

    # -- the actors -------------------------------------------------------------------------------------------------

    def act(self) -> None:
        dice = self.dice
        who, other = (str(name) for name in dice.choice(USERS, 2, replace=False))
        amount = Decimal(int(dice.integers(1, 20_000)))
        match int(dice.integers(0, 9)):
            case 0:
                self.send(ask.Deposit, account=who, asset="USDC", amount=amount)
            case 1:
                now_ns = self.now * TICK_NS  # late after three ticks of trying
                self.send(ask.Withdraw, account=who, asset="USDC", amount=amount, sent_ns=now_ns)
            case 2:
                self.send(ask.SettleVariation, instrument=LINEAR)
            case 3:
                rate = Decimal(int(dice.integers(-10, 10))) / 10_000
                self.send(ask.ApplyFunding, instrument=LINEAR, rate=rate)
            case 4:
                self.send(ask.Resume, reason="operator")
            case 5:
                self.slip(who, amount)
            case _:
                self.send(
                    ask.RecordTrade,
                    buyer=who,
                    seller=other,
                    instrument=LINEAR,
                    quantity=Decimal(int(dice.integers(1, 40))) / 10,
                    price=Decimal(str(round(self.price, 2))),
                )

    def slip(self, who: str, amount: Decimal) -> None:
        """Ask for what must be refused, or for a halt, in which it must be."""
        terms = {"instrument": LINEAR, "quantity": Decimal(1), "price": Decimal(str(round(self.price, 2)))}
        match int(self.dice.integers(0, 5)):
            case 0:
                self.send(ask.Deposit, account="nobody", asset="USDC", amount=amount)
            case 1:
                self.send(ask.RecordTrade, buyer=who, seller=who, **terms)
            case 2:
                self.send(ask.PlaceOrder, account="fay", order="r", side="buy", reduce_only=True, **terms)
            case 3:
                self.send(ask.Withdraw, account=who, asset="USDC", amount=1000 * amount)
            case _:
                self.send(ask.Halt, reason="exercise")

    def observe(self) -> None:
        """Let the feed tell its sources' prices: some stale, some absurd."""
        self.price *= float(np.exp(0.02 * self.dice.standard_t(3)))
        self.price = min(max(self.price, 1_000.0), 1e6)
        quotes = []
        for source in ("a", "b", "c"):
            seen = self.price * self.dice.choice([1.0, 1.0, 1.0, 10.0, 0.01]) if self.faulty else self.price
            quotes.append(ask.Quote(source=source, price=Decimal(str(round(seen, 2)))))
        mark = Decimal(str(round(self.price, 2)))
        self.send(ask.UpdateMarket, index={"BTC": tuple(quotes)}, marks={LINEAR: mark})

    def tick(self) -> None:
        self.now += 1
        jump = int(self.dice.integers(-2, 3)) if self.faulty else 0  # a clock that is not trusted
        self.send(ask.AdvanceTime, time_ns=max(self.now + jump, 0) * TICK_NS)
        self.observe()
        if self.faulty:
            self.act()
            for name in [name for name in self.sent if name not in self.answered][:5]:
                self.transmit(name)  # nobody answered: the sender tries again
        self.deliver()
        if self.dice.random() < 0.1:
            self.runner.save_snapshot()
        if self.faulty and self.dice.random() < self.crash:
            self.die()

    def heal(self) -> None:
        self.faulty = False
        for _ in range(40):
            self.tick()
            for name in [name for name in self.sent if name not in self.answered]:
                self.transmit(name)
            self.deliver()


def live(folder: Path, seed: int, ticks: int = 25) -> World:
    world = World(folder, seed)
    for _ in range(ticks):
        world.tick()
    world.heal()
    assert set(world.sent) == set(world.answered), "everything that was sent is answered once faults have healed"
    final = world.runner.engine.state_hash()
    world.journal.close()
    assert replay(open_journal(folder / "journal")).engine.state_hash() == final
    return world


@pytest.mark.parametrize("block", range(5))
def test_fifty_histories(tmp_path: Path, block: int) -> None:
    worlds = [live(tmp_path / str(seed), seed) for seed in range(10 * block, 10 * block + 10)]
    # the faults did happen
    assert sum(world.crashes for world in worlds) > 0
    assert sum(world.rejected for world in worlds) > 0
    refused = sum((world.refused for world in worlds), Counter())
    assert set(refused) >= REFUSED, refused


def test_a_seed_is_a_history(tmp_path: Path) -> None:
    one, two = live(tmp_path / "one", 7), live(tmp_path / "two", 7)
    assert one.runner.engine.state_hash() == two.runner.engine.state_hash()


@pytest.mark.soak
def test_a_thousand_histories(tmp_path: Path) -> None:
    """`CROSSMARGIN_SEEDS` says which, as 1000:2000; each is its own history, so parts may run on several nights."""
    first, last = (int(part) for part in os.environ.get("CROSSMARGIN_SEEDS", "1000:2000").split(":"))
    for seed in range(first, last):
        live(tmp_path / "history", seed)
        shutil.rmtree(tmp_path / "history")
