"""Connections that nothing comes of are closed: who sends no request, or half of one, or does not take what he is sent.

The server closes a connection on which nothing follows an answer, and a stream whose pings nobody answers. It waits for
ever, though, for a first request, for the rest of one, and for a client that reads no more.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import uvicorn

SILENT_SECONDS: Final = 60.0
"""A connection of which nothing comes this long is closed."""
LOOKS: Final = 12
"""Within that time."""


@dataclass(slots=True)
class _Known:
    """What a connection was like when it was looked at last, and since when that has not changed, s.

    `asked` is the request that it was at, and `unsent` what it had not taken, bytes.
    """

    asked: object
    asked_since: float
    unsent: int
    unsent_since: float


class Silence:
    """Looks at connections again and again, and tells which have been silent for `limit` seconds."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._known: dict[asyncio.Protocol, _Known] = {}

    def over(self, connections: Iterable[Any], now: float) -> list[asyncio.Transport]:
        """Return the transports of those on which nothing has come, or gone, for too long."""
        known, self._known = self._known, {}
        found = []
        for each in connections:
            transport: asyncio.Transport = each.transport
            asked, unsent = getattr(each, "cycle", None), transport.get_write_buffer_size()
            last = known.get(each) or _Known(asked, now, unsent, now)
            if asked is not last.asked or not _waits_for_client(each):
                last.asked, last.asked_since = asked, now
            if unsent == 0 or unsent < last.unsent:
                last.unsent_since = now
            last.unsent = unsent
            self._known[each] = last
            if now - min(last.asked_since, last.unsent_since) > self._limit:
                found.append(transport)
        return found


def _waits_for_client(connection: Any) -> bool:  # noqa: ANN401  (one class per protocol, without a common one)
    """Whether it is the client's turn to send a request, or the rest of it; a stream has none, and pings of its own."""
    if not hasattr(connection, "cycle"):
        return False
    cycle = connection.cycle
    return cycle is None or bool(cycle.response_complete or cycle.more_body)


class Server(uvicorn.Server):
    """A server that closes connections that are silent for `silent_s` seconds."""

    def __init__(self, config: uvicorn.Config, *, silent_s: float = SILENT_SECONDS) -> None:
        super().__init__(config)
        self._silence = Silence(silent_s)
        self._pace, self._looked = silent_s / LOOKS, monotonic()

    async def on_tick(self, counter: int) -> bool:
        """Look at all connections now and then."""
        now = monotonic()
        if now - self._looked >= self._pace:
            self._looked = now
            for each in self._silence.over(tuple(self.server_state.connections), now):
                each.abort()  # to close it would wait until all is taken
        return await super().on_tick(counter)
