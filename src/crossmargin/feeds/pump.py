"""The pump between sources and an engine: ticks in from any thread, commands out one at a time.

One update is under way at a time. While it is, what comes is judged and coalesced, so that a slow engine is told less
often and never an old price, and a queue that is full for others is not made longer by us. The clock goes on when
nothing is said, so that silence makes prices stale.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass

from crossmargin.engine import commands as ask
from crossmargin.engine.events import Event, Refused
from crossmargin.feeds.pending import Pending, parts
from crossmargin.feeds.ticks import Door, DoorRules, Said
from crossmargin.units import NANOSECONDS_PER_SECOND

Submit = Callable[[ask.Command], "Future[tuple[Event, ...]]"]
ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpRules:
    """How often the engine is told.

    Attributes
    ----------
    interval_seconds
        Least time between two updates; what comes in between is coalesced.
    idle_seconds
        How often the clock is told when nothing else is.
    stale_seconds
        A source is shown as stale when nothing was let in from it for so long.
    """

    interval_seconds: float = 0.1
    idle_seconds: float = 1.0
    stale_seconds: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatus:
    """How a source does: ``live``, ``stale`` or ``silent`` (nothing was ever let in)."""

    source: str
    state: str
    age_ns: int | None
    accepted: int
    rejected: dict[str, int]


class Pump:
    """Tells an engine what sources say.

    `submit` is the writer's; `is_listed` says whether the engine knows an instrument; `clock` gives nanoseconds.
    """

    def __init__(
        self,
        submit: Submit,
        is_listed: Callable[[str], bool],
        *,
        rules: PumpRules | None = None,
        door: DoorRules | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.rules = rules or PumpRules()
        self.door = Door(door)
        self._submit = submit
        self._clock = clock
        # ids of this run must differ from those of every other: a repeated id would not be applied again
        self.pending = Pending(f"feed-{time.time_ns()}", is_listed)
        self.updates = 0
        self.refused: dict[str, int] = {}
        self.waited = 0
        """How often the engine had no room for an update, which then waited."""
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._ended = threading.Event()

    def offer(self, said: Said) -> None:
        """Take in what a source says; never raises, never waits."""
        with self._lock:
            tick = self.door.admit(said, self._clock())
            if tick is not None:
                self.pending.put(tick)
        self._woken.set()

    def run(self) -> None:
        """Tell the engine until `end` is called; to be run in a thread of its own."""
        while not self._ended.is_set():
            self._woken.wait(self.rules.idle_seconds)
            self._woken.clear()
            self.tell()
            self._ended.wait(self.rules.interval_seconds)

    def end(self) -> None:
        """Let `run` return."""
        self._ended.set()
        self._woken.set()

    def tell(self) -> None:
        """Tell the engine now what waits, and wait until it has taken it in.

        If it has no room, all that is left waits on, and newer prices replace it.
        """
        with self._lock:
            commands = self.pending.take(self._clock())
        for place, command in enumerate(commands):
            if not self._told(command):
                with self._lock:
                    self.pending.put_back(commands[place:])
                self.waited += 1
                self._ended.wait(self.rules.interval_seconds)
                return
        self.updates += 1

    def statuses(self) -> list[SourceStatus]:
        """Return how every source does, by name."""
        now = self._clock()
        with self._lock:
            return [self._status(name, now) for name in sorted(self.door.tallies)]

    def _status(self, source: str, now_ns: int) -> SourceStatus:
        tally = self.door.tallies[source]
        age = None if tally.last_ns is None else now_ns - tally.last_ns
        stale = age is not None and age > self.rules.stale_seconds * NANOSECONDS_PER_SECOND
        return SourceStatus(
            source=source,
            state="silent" if age is None else "stale" if stale else "live",
            age_ns=age,
            accepted=tally.accepted,
            rejected=dict(tally.rejected),
        )

    def _told(self, command: ask.Command) -> bool:
        """Have a command applied or refused; an update that is refused is told piece by piece."""
        try:
            events = self._submit(command).result(timeout=ANSWER_SECONDS)
        except Exception:  # whatever stands in the way (a full queue, a writer that restarts), prices go on later
            return False
        refusal = next((event for event in events if isinstance(event, Refused)), None)
        if refusal is None:
            return True
        self.refused[refusal.reason] = self.refused.get(refusal.reason, 0) + 1
        pieces = list(parts(command)) if isinstance(command, ask.UpdateMarket) else []
        return len(pieces) < 2 or all(self._told(piece) for piece in pieces)


@contextlib.contextmanager
def running(pump: Pump) -> Iterator[Pump]:
    """Run a pump in a thread for as long as the block lasts."""
    thread = threading.Thread(target=pump.run, name="feed pump", daemon=True)
    thread.start()
    try:
        yield pump
    finally:
        pump.end()
        thread.join(timeout=ANSWER_SECONDS)
