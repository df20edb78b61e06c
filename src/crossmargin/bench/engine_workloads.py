"""The workload of the clearing house: a stream of commands, checked, journaled and applied."""

import gc
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from crossmargin.bench.workload import Workload
from crossmargin.bench.workloads import SEED
from crossmargin.engine import commands as ask
from crossmargin.engine.commands import Command
from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Refused
from crossmargin.engine.parameters import EngineParameters
from crossmargin.errors import invariant
from crossmargin.files.parameters import read_parameters
from crossmargin.margin.methods import method_named
from crossmargin.store.journal import FileJournal
from crossmargin.store.runner import Runner
from crossmargin.units import NANOSECONDS_PER_DAY

COINS = {"BTC": 60_000, "ETH": 3_000}
START_NS = 1_767_225_600_000_000_000
EXPIRIES = {"260130": 29, "260227": 57, "260327": 85}
"""Days after the start of 2026."""
STRIKES = (80, 90, 95, 100, 105, 110, 120, 130)
"""Percent of the index."""
POSITIONS = 50
GROUP = 256
"""Commands that are synced to disk together."""


@dataclass(slots=True)
class Flow:
    """What a random market asks for, and what it believes is open."""

    rng: np.random.Generator
    instruments: tuple[str, ...]
    accounts: tuple[str, ...]
    open: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    """Order to account, by instrument and side."""
    names: list[tuple[str, str, str]] = field(default_factory=list)
    """Instrument, side and order of what may be cancelled."""
    number: int = 0

    def commands(self, count: int) -> Iterator[Command]:
        """Yield 70 % orders, 25 % cancellations, 5 % fills of a buy by a sell."""
        for draw in self.rng.random(count):
            self.number += 1
            found = self._fill() if draw < 0.05 else self._cancel() if draw < 0.30 else None
            yield found or self._place()

    def _place(self) -> Command:
        account, instrument = (str(self.rng.choice(names)) for names in (self.accounts, self.instruments))
        side, order = ("buy", "sell")[int(self.rng.integers(2))], f"o{self.number}"
        self.open.setdefault(instrument, {}).setdefault(side, {})[order] = account
        self.names.append((instrument, side, order))
        limit = marks()[instrument] * (Decimal("1.001") if side == "buy" else Decimal("0.999"))
        terms: Any = {"account": account, "order": order, "instrument": instrument, "side": side}
        return ask.PlaceOrder(id=f"c{self.number}", quantity=Decimal("0.01"), price=limit, **terms)

    def _cancel(self) -> Command | None:
        while self.names:
            place = int(self.rng.integers(len(self.names)))
            self.names[place], self.names[-1] = self.names[-1], self.names[place]
            instrument, side, order = self.names.pop()
            if self.open[instrument][side].pop(order, None) is not None:
                return ask.CancelOrder(id=f"c{self.number}", order=order)
        return None

    def _fill(self) -> Command | None:
        instrument = str(self.rng.choice(self.instruments))
        sides = self.open.get(instrument, {})
        for sell, seller in sides.get("sell", {}).items():
            for buy, buyer in sides.get("buy", {}).items():
                if buyer != seller:
                    sides["sell"].pop(sell)
                    sides["buy"].pop(buy)
                    fields: Any = {"buyer": buyer, "seller": seller, "buy_order": buy, "sell_order": sell}
                    price, size = marks()[instrument], Decimal("0.01")
                    fields |= {"instrument": instrument, "quantity": size, "price": price}
                    return ask.RecordTrade(id=f"c{self.number}", **fields)
        return None


def marks() -> dict[str, Decimal]:
    """Return a price for every contract of the market: a perpetual and 48 options per coin."""
    found = {}
    for coin, index in COINS.items():
        found[f"x:{coin}/USDC:USDC"] = Decimal(index)
        for date, days in EXPIRIES.items():
            for percent in STRIKES:
                strike = index * percent // 100
                time_value = Decimal(index * days) / Decimal(1_000 + 20 * abs(percent - 100) ** 2)
                found[f"x:{coin}/USDC:USDC-{date}-{strike}-C"] = round(max(index - strike, 0) + time_value, 2)
                found[f"x:{coin}/USDC:USDC-{date}-{strike}-P"] = round(max(strike - index, 0) + time_value, 2)
    return found


def opening(accounts: tuple[str, ...]) -> Iterator[Command]:
    """Yield what opens the market and gives every account 50 positions on a grid of 21 prices and 5 vols."""
    method = method_named("scenario_grid")
    prices = marks()
    yield ask.SetParameters(id="s1", parameters=EngineParameters(audit_every=10**9))
    yield ask.SetMarginParameters(id="s2", method=method.name, parameters=_grid())
    yield ask.AdvanceTime(id="s3", time_ns=START_NS)
    for asset in ("USDC", *COINS):
        yield ask.ListAsset(id=f"q {asset}", asset=asset, quantum=Decimal("0.000001"))
    for instrument in prices:
        yield ask.ListInstrument(id=f"l {instrument}", instrument=instrument, lot_size=Decimal("0.001"))
    yield _market(prices)
    for name in accounts:
        yield ask.OpenAccount(id=f"a {name}", account=name, method=method.name)
        yield ask.Deposit(id=f"d {name}", account=name, asset="USDC", amount=Decimal(10_000_000))
    rng, traded = np.random.default_rng(SEED + 11), sorted(prices)
    for pair in range(0, len(accounts) - 1, 2):
        for instrument in rng.permutation(traded)[:POSITIONS]:
            first = int(rng.integers(2))
            buyer, seller = accounts[pair + first], accounts[pair + 1 - first]
            sides: Any = {"buyer": buyer, "seller": seller, "instrument": str(instrument)}
            quantity = Decimal(int(rng.integers(50, 500))) / 100
            yield ask.RecordTrade(
                id=f"t {pair} {instrument}", quantity=quantity, price=prices[str(instrument)], **sides
            )
    yield ask.SetParameters(id="s5", parameters=EngineParameters(audit_every=1_000))


def _grid(price_steps: int = 10) -> dict[str, Any]:
    """Return parameters of a grid of so many prices to either side, and 5 vols."""
    fields = msgspec.to_builtins(read_parameters(method_named("scenario_grid")))
    fields |= {"price_steps": price_steps, "vol_moves": [-0.5, -0.25, 0.0, 0.25, 0.5], "tails": []}
    return dict(fields)


def _market(prices: dict[str, Decimal]) -> Command:
    index: dict[str, tuple[ask.Quote, ...]] = {
        coin: (ask.Quote(source="a", price=Decimal(price)),) for coin, price in {**COINS, "USDC": 1}.items()
    }
    smiles = {
        coin: tuple(
            ask.SmileQuote(
                expiry_ns=START_NS + days * NANOSECONDS_PER_DAY + NANOSECONDS_PER_DAY // 3,
                forward=float(price),
                strikes=(0.8 * price, float(price), 1.2 * price),
                vols=(0.7, 0.6, 0.65),
            )
            for days in EXPIRIES.values()
        )
        for coin, price in COINS.items()
    }
    return ask.UpdateMarket(id="m1", index=index, marks=prices, smiles=smiles)


def engine_commands(n_accounts: int = 100, count: int = 20_000) -> Workload:
    """Submit orders, cancellations and fills to an engine whose commands are on disk before they are applied."""
    accounts = tuple(f"u{number:04d}" for number in range(n_accounts))
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(FileJournal(Path(folder), write=True))
        for events in runner.submit(list(opening(accounts))):
            invariant(not isinstance(events[0], Refused), f"the market of the workload must open, {events[0]}")
        flow = list(Flow(np.random.default_rng(SEED + 12), tuple(marks()), accounts).commands(count))
        groups = [flow[first : first + GROUP] for first in range(0, count, GROUP)]
        # as `serve` does: what stays is left out of the collector's rounds
        gc.collect()
        gc.freeze()
        refused, longest = 0, 0.0
        began, on_the_wall = time.process_time(), time.perf_counter()
        for group in groups:
            before = time.perf_counter()
            answers = runner.submit(group)
            longest = max(longest, time.perf_counter() - before)
            refused += sum(isinstance(events[0], Refused) for events in answers)
        took, wall = time.process_time() - began, time.perf_counter() - on_the_wall
        gc.unfreeze()
    held = {len(found) for name, found in runner.engine.state.ledger.holdings.items() if name in accounts}
    invariant(min(held) >= POSITIONS, f"accounts of the workload must hold {POSITIONS} positions, one held {min(held)}")
    return Workload(
        name="engine_commands",
        title=f"{n_accounts} accounts of 50 positions; 70 % place, 25 % cancel, 5 % fill; one core",
        unit="commands/s",
        ours=count / took,
        peers={},
        floor={"ours": 20_000.0},
        notes={
            "commands/s on the wall": count / wall,
            "longest group of 256, ms": 1e3 * longest,
            "share refused": refused / count,
        },
    )


def engine_tick(n_accounts: int = 2_000, ticks: int = 30) -> Workload:
    """Let an engine take in new prices of everything: judge them, margin every account, say where each stands."""
    engine = Engine()
    for command in opening(tuple(f"u{number:04d}" for number in range(n_accounts))):
        events = engine.apply(command)
        invariant(not isinstance(events[0], Refused), f"the market of the workload must open, {events[0]}")
    small = _tick_ms(engine, "s", ticks)
    engine.apply(ask.SetMarginParameters(id="large", method="scenario_grid", parameters=_grid(100)))
    # versions move from one to the next for as long as there is time to pass
    engine.apply(ask.AdvanceTime(id="later", time_ns=START_NS + 1))
    large = _tick_ms(engine, "l", ticks)
    return Workload(
        name="engine_tick",
        title=f"{n_accounts:,} accounts of 50 positions; index and marks of 98 contracts as one command, 105 scenarios",
        unit="ms",
        ours=small,
        peers={},
        floor={"ours": 2.0},
        higher_is_better=False,
        notes={"ms on 1,005 scenarios": large, "to reach there, ms": 12.0},
    )


def _tick_ms(engine: Engine, name: str, ticks: int) -> float:
    """Return the least time of one of so many moves of all prices, in ms."""
    least = float("inf")
    for number in range(ticks):
        factor = 1 + Decimal(1 + number % 7) / 10_000
        index: dict[str, tuple[ask.Quote, ...]] = {
            coin: (ask.Quote(source="a", price=Decimal(price) * factor),) for coin, price in COINS.items()
        }
        prices = {contract: round(price * factor, 4) for contract, price in marks().items()}
        command = ask.UpdateMarket(id=f"{name} {number}", index=index, marks=prices)
        began = time.process_time()
        events = engine.apply(command)
        least = min(least, time.process_time() - began)
        invariant(type(events[-1]).__name__ == "MarginUpdated", "a move must margin every account and do no more")
    return 1e3 * least
