"""The service's clock: `AdvanceTime` at a steady pace, by the time that really passed.

The engine's time goes on by the machine's monotonic clock, which no one sets. The system's clock is only compared with
it: where it jumps (a wrong time server, a hand), that is told, for as long as it stands elsewhere, and has no effect. An
interval that is longer than `longest_jump_s`, or negative, is left out: whoever could not reach the service meanwhile
loses no deadline by it. So it is while the service does not run: a restarted engine goes on from the time at which it
stood.
"""

import logging
import threading
import time
from collections.abc import Callable

from crossmargin.engine.commands import AdvanceTime
from crossmargin.service.command_queue import Busy
from crossmargin.service.writer import Starting, Writer

_LOG = logging.getLogger(__name__)
NS = 10**9


class Clock:
    """Advances a writer's time.

    Parameters
    ----------
    writer
        Whose engine's time goes on.
    tick_s
        Pace, s.
    longest_jump_s
        Intervals of either clock that are longer have no effect, s.
    system, monotonic
        The machine's clocks, ns.
    """

    def __init__(
        self,
        writer: Writer,
        *,
        tick_s: float,
        longest_jump_s: float,
        system: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.finding: str | None = None
        """What was left out last, and why."""
        self._writer, self._tick_s, self._longest_ns = writer, tick_s, int(longest_jump_s * NS)
        self._system, self._monotonic = system, monotonic
        self._system_ns = self._monotonic_ns = self._astray_ns = 0
        self._begun = system()
        self._ticks = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)

    def start(self) -> None:
        """Go on ticking until `close`."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    @property
    def standing(self) -> str | None:
        """How far the system's clock is from where it would be without its jumps, where that is far.

        Keys, sessions and alerts go by that clock; signed requests of callers whose own is right are refused meanwhile.
        """
        if abs(self._astray_ns) <= self._longest_ns:
            return None
        return f"the system's clock stands {self._astray_ns / NS:+.0f} s from where it would without its jumps"

    @property
    def furthest_ns(self) -> int:
        """The latest time to which somebody may ask the engine's to be moved, ns since 1970; no command moves it back.

        It is `longest_jump_s` beyond now: the engine's time, or the system's without its jumps where that is later.
        """
        with self._writer.lock:
            engine_ns = self._writer.engine.state.time_ns
        return max(engine_ns, self._system() - self._astray_ns) + self._longest_ns

    def tick(self) -> None:
        """Look at the clocks, and move the engine's time by what passed."""
        system, monotonic = self._system(), self._monotonic()
        passed, jumped = monotonic - self._monotonic_ns, (system - self._system_ns) - (monotonic - self._monotonic_ns)
        is_first, self._system_ns, self._monotonic_ns = not self._ticks, system, monotonic
        self._ticks += 1
        if is_first:
            return
        self._astray_ns += jumped
        if abs(jumped) > self._longest_ns:
            self._tell(f"the system's clock jumped by {jumped / NS:+.1f} s")
        if not 0 <= passed <= self._longest_ns:
            self._tell(f"{passed / NS:+.1f} s passed between two ticks")
            return
        with self._writer.lock:
            now_ns = self._writer.engine.state.time_ns
        self._writer.submit(AdvanceTime(id=f"clock-{self._begun}-{self._ticks}", time_ns=now_ns + passed))

    def _tell(self, finding: str) -> None:
        self.finding = finding
        self._writer.measures.left_out.inc()
        _LOG.warning("left out of the engine's time: %s", finding)

    def _run(self) -> None:
        while not self._stopping.wait(self._tick_s):
            try:
                self.tick()
            except (Busy, Starting):
                continue  # the engine's time stands as long as it takes no commands
