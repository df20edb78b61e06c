"""Ticks that wait to be told to the engine: the newest of each kind, so that a burst becomes one command.

Only prices are coalesced. A payment of funding is not a price: every one that falls due is told, once, by an id made of
its instrument and time.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import assert_never

from crossmargin.engine import commands as ask
from crossmargin.feeds.ticks import FundingTick, IndexTick, MarkTick, OptionTick, Tick
from crossmargin.instruments.contracts import Option
from crossmargin.instruments.symbols import parse_contract
from crossmargin.units import NANOSECONDS_PER_SECOND

QUOTES_KEPT_NS = 60 * NANOSECONDS_PER_SECOND
"""A source that has been silent for so long is no longer told beside the others."""


class Pending:
    """What has been said and not been told yet.

    `is_listed` says whether the engine has taken an instrument on: one that it does not know would have the whole
    update refused.
    """

    def __init__(self, name: str, is_listed: Callable[[str], bool]) -> None:
        self._name = name
        self._is_listed = is_listed
        self._number = 0
        self._index: dict[str, dict[str, IndexTick]] = {}
        self._moved: set[str] = set()
        self._marks: dict[str, Decimal] = {}
        self._smiles: dict[str, dict[int, _Expiry]] = {}
        self._bent: set[str] = set()
        self._funding: dict[tuple[str, int], FundingTick] = {}
        self._paid: set[tuple[str, int]] = set()
        self.coalesced = 0
        """Ticks that a newer one of the same subject replaced before they were told."""
        self.unlisted = 0

    def __len__(self) -> int:
        return len(self._moved) + len(self._marks) + len(self._bent) + len(self._funding)

    def put(self, tick: Tick) -> None:
        """Take a tick in."""
        match tick:
            case IndexTick():
                self.coalesced += tick.coin in self._moved and tick.source in self._index[tick.coin]
                self._index.setdefault(tick.coin, {})[tick.source] = tick
                self._moved.add(tick.coin)
            case MarkTick() | OptionTick():
                if not self._is_listed(tick.instrument):
                    self.unlisted += 1
                    return
                self.coalesced += tick.instrument in self._marks
                self._marks[tick.instrument] = tick.price
                if isinstance(tick, OptionTick):
                    self._bend(tick)
            case FundingTick():
                if not self._is_listed(tick.instrument):
                    self.unlisted += 1
                elif (tick.instrument, tick.due_ns) not in self._paid:
                    self._funding[tick.instrument, tick.due_ns] = tick
            case _:
                assert_never(tick)

    def take(self, now_ns: int) -> list[ask.Command]:
        """Return commands that tell everything that waits, the clock first."""
        due = sorted(key for key, tick in self._funding.items() if tick.due_ns <= now_ns)
        commands: list[ask.Command] = [ask.AdvanceTime(id=self._id(), time_ns=now_ns)]
        update = self._update(now_ns)
        if update.index or update.marks or update.smiles:
            commands.append(update)
        for instrument, due_ns in due:
            tick = self._funding.pop((instrument, due_ns))
            self._paid.add((instrument, due_ns))
            commands.append(
                ask.ApplyFunding(id=f"funding-{instrument}-{due_ns}", instrument=instrument, rate=tick.rate)
            )
        return commands

    def put_back(self, commands: list[ask.Command]) -> None:
        """Let what could not be told wait on, behind what has come since."""
        for command in commands:
            match command:
                case ask.UpdateMarket():
                    self._marks = command.marks | self._marks
                    self._moved |= set(command.index)
                    self._bent |= set(command.smiles)
                case ask.ApplyFunding():
                    due_ns = int(command.id.rpartition("-")[2])
                    self._paid.discard((command.instrument, due_ns))
                    self._funding[command.instrument, due_ns] = FundingTick(
                        source="", instrument=command.instrument, rate=command.rate, due_ns=due_ns, time_ns=due_ns
                    )
                case _:
                    pass  # the clock is told anew

    def _update(self, now_ns: int) -> ask.UpdateMarket:
        index = {}
        for coin in sorted(self._moved):
            quotes = self._quotes(coin, now_ns)
            if quotes:
                index[coin] = quotes
        smiles = {coin: self._quoted(coin, now_ns) for coin in sorted(self._bent)}
        marks, self._marks = self._marks, {}
        self._moved, self._bent = set(), set()
        return ask.UpdateMarket(
            id=self._id(), index=index, marks=marks, smiles={coin: each for coin, each in smiles.items() if each}
        )

    def _quotes(self, coin: str, now_ns: int) -> tuple[ask.Quote, ...]:
        """Return what each source said last of a coin, those that have fallen silent left out."""
        fresh = {source: tick for source, tick in self._index[coin].items() if tick.time_ns >= now_ns - QUOTES_KEPT_NS}
        self._index[coin] = fresh
        return tuple(
            ask.Quote(source=source, price=tick.price, time_ns=min(tick.time_ns, now_ns))
            for source, tick in sorted(fresh.items())
        )

    def _bend(self, tick: OptionTick) -> None:
        contract = parse_contract(tick.instrument)
        if not isinstance(contract, Option):
            return  # its mark counts; it has no vol
        expiries = self._smiles.setdefault(contract.base, {})
        expiry = expiries.setdefault(contract.expiry_ns, _Expiry())
        expiry.forward = tick.forward
        expiry.vols[contract.strike_float, contract.is_call] = tick.vol
        self._bent.add(contract.base)

    def _quoted(self, coin: str, now_ns: int) -> tuple[ask.SmileQuote, ...]:
        """Return all smiles of a coin, for an update replaces them all; those that have expired are forgotten."""
        expiries = {time_ns: expiry for time_ns, expiry in self._smiles[coin].items() if time_ns > now_ns}
        self._smiles[coin] = expiries
        return tuple(expiry.quote(time_ns) for time_ns, expiry in sorted(expiries.items()))

    def _id(self) -> str:
        self._number += 1
        return f"{self._name}-{self._number}"


class _Expiry:
    """Vols of one expiry, by strike and side."""

    def __init__(self) -> None:
        self.forward = 0.0
        self.vols: dict[tuple[float, bool], float] = {}

    def quote(self, expiry_ns: int) -> ask.SmileQuote:
        """Return the smile: where call and put differ, the mean of both."""
        by_strike: dict[float, list[float]] = {}
        for (strike, _), vol in self.vols.items():
            by_strike.setdefault(strike, []).append(vol)
        strikes = tuple(sorted(by_strike))
        vols = tuple(sum(by_strike[strike]) / len(by_strike[strike]) for strike in strikes)
        return ask.SmileQuote(expiry_ns=expiry_ns, forward=self.forward, strikes=strikes, vols=vols)


def parts(update: ask.UpdateMarket) -> Iterator[ask.UpdateMarket]:
    """Yield an update piece by piece, so that one piece that is refused does not hold up the others."""
    for number, (coin, quotes) in enumerate(update.index.items()):
        yield ask.UpdateMarket(id=f"{update.id}-index-{number}", index={coin: quotes})
    for number, (instrument, price) in enumerate(update.marks.items()):
        yield ask.UpdateMarket(id=f"{update.id}-mark-{number}", marks={instrument: price})
    for number, (coin, smiles) in enumerate(update.smiles.items()):
        yield ask.UpdateMarket(id=f"{update.id}-smiles-{number}", smiles={coin: smiles})
