"""Equity and requirements of accounts over time, since this process started; a point is kept only where figures changed."""

import asyncio
import contextlib
from collections import deque

import anyio
import anyio.to_thread

from crossmargin.engine.engine import Engine
from crossmargin.errors import CrossMarginError
from crossmargin.service.views import Record, credit, owed, wire_time
from crossmargin.service.writer import Starting, Writer

EVERY_SECONDS = 60.0
MOST_POINTS = 1_000_000
"""Points of all accounts together; each keeps an equal share of them, and at most a day's."""
_DAY = 1440

Point = tuple[int, float, float, float]


class History:
    """What accounts had and needed, minute by minute."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._points: dict[str, deque[Point]] = {}

    async def run(self) -> None:
        """Look every minute; never ends by itself."""
        while True:
            with contextlib.suppress(Starting):
                await anyio.to_thread.run_sync(self._look)
            await asyncio.sleep(EVERY_SECONDS)

    def points(self, account: str) -> Record:
        """Return the points of an account and where it stands now; its name must be known."""
        with self._writer.lock:
            now = _point(self._writer.engine, account)
            kept = [*self._points.get(account, ())]
        if now is not None and (not kept or kept[-1][1:] != now[1:] or kept[-1][0] < now[0]):
            kept.append(now)
        return {
            "points": [
                {
                    "time": wire_time(at),
                    "equity": credit(equity),
                    "initial": owed(initial),
                    "maintenance": owed(maintenance),
                }
                for at, equity, initial, maintenance in kept
            ]
        }

    def _look(self) -> None:
        with self._writer.lock:
            engine = self._writer.engine
            share = max(2, min(_DAY, MOST_POINTS // max(1, len(engine.state.accounts))))
            for name in engine.state.accounts:
                point = _point(engine, name)
                if point is None:
                    continue
                kept = self._points.setdefault(name, deque(maxlen=share))
                if not kept or kept[-1][1:] != point[1:]:
                    kept.append(point)


def _point(engine: Engine, account: str) -> Point | None:
    try:
        seen = engine.health(account)
    except CrossMarginError:  # an account without a price has no figures yet
        return None
    return engine.state.time_ns, seen.equity, seen.initial, seen.maintenance
