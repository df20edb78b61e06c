"""The stream of the service, followed over broken connections: what was read is proved to be whole, and gone on with.

Each message names the one before it in its channel. Where that is not the one read last, the connection is given up and the
next one asks for what came after. Figures then begin with a snapshot. So do events, empty, where the service no longer has
those that were missed: the message's `snapshot` says so.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Generator, Sequence

import msgspec
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import connect

from crossmargin.client.calls import API, ServiceError
from crossmargin.client.records import Message
from crossmargin.client.signing import Key
from crossmargin.errors import CrossMarginError, InputError

PATH = f"{API}/stream"
LONGEST_PAUSE_S = 5.0
CHANNELS = ("overview", "accounts", "events")
_BROKEN = (WebSocketException, OSError)


class GapError(CrossMarginError):
    """A message is missing between two of a channel."""


class Place:
    """How far channels have been read."""

    def __init__(self, channels: Sequence[str], after: int | None = None) -> None:
        if not channels or not {*channels} <= {*CHANNELS}:
            raise InputError(f"channels must be of {', '.join(CHANNELS)}, were {', '.join(channels) or 'none'}")
        self.channels = tuple(channels)
        self._read: dict[str, int] = {} if after is None else {"events": after}

    def subscription(self) -> str:
        """Return the first message of a connection."""
        asked: dict[str, object] = {"subscribe": self.channels}
        if "events" in self._read:
            asked["from"] = self._read["events"]
        # figures begin with a snapshot
        self._read = {name: at for name, at in self._read.items() if name == "events"}
        return msgspec.json.encode(asked).decode()

    def read(self, text: str | bytes) -> Message:
        """Return a message.

        Raises
        ------
        GapError
            If it does not follow the one read last.
        ServiceError
            If the service ends the stream, and says why.
        """
        try:
            found = msgspec.json.decode(text, type=Message)
        except msgspec.ValidationError as error:
            said = msgspec.json.decode(text)
            raise ServiceError(503, **said["error"]) if "error" in said else error from None
        last = self._read.get(found.channel)
        if not found.snapshot and found.previous != last:
            raise GapError(
                f"a message must follow the one before it, {found.channel} went from {last} to {found.previous}"
            )
        self._read[found.channel] = found.sequence
        return found


def _address(url: str, key: Key | None) -> tuple[str, dict[str, str]]:
    headers = {} if key is None else key.headers("WEBSOCKET", PATH, "", b"", "")
    return f"ws{url.removeprefix('http')}{PATH}", headers


def _pause_s(failures: int, attempts: int, error: Exception) -> float:
    is_refused = isinstance(error, InvalidStatus) and 400 <= error.response.status_code < 500
    if failures >= attempts or is_refused:
        raise error
    return float(min(0.1 * 2 ** (failures - 1), LONGEST_PAUSE_S))


def follow(
    url: str,
    channels: Sequence[str] = CHANNELS,
    *,
    after: int | None = None,
    key: Key | None = None,
    attempts: int = 10,
    tls: ssl.SSLContext | None = None,
) -> Generator[Message]:
    """Yield messages of the stream for ever; connections that break are made again.

    Parameters
    ----------
    after
        Sequence after which events are wanted; those from now on if not given.
    attempts
        Connections in a row that may bring nothing before the last error is raised.
    tls
        As for `Client`.
    """
    place, failures = Place(channels, after), 0
    while True:
        address, headers = _address(url, key)
        try:
            with connect(address, additional_headers=headers, max_size=None, proxy=None, ssl=tls) as socket:
                socket.send(place.subscription())
                for text in socket:
                    yield place.read(text)
                    failures = 0
            failure: Exception = ConnectionError("the service ended the stream")
        except (*_BROKEN, GapError, ServiceError) as error:
            failure = error
        failures += 1
        time.sleep(_pause_s(failures, attempts, failure))


async def follow_async(
    url: str,
    channels: Sequence[str] = CHANNELS,
    *,
    after: int | None = None,
    key: Key | None = None,
    attempts: int = 10,
    tls: ssl.SSLContext | None = None,
) -> AsyncGenerator[Message]:
    """Yield messages of the stream as `follow` does, for asyncio."""
    place, failures = Place(channels, after), 0
    while True:
        address, headers = _address(url, key)
        try:
            async with connect_async(address, additional_headers=headers, max_size=None, proxy=None, ssl=tls) as socket:
                await socket.send(place.subscription())
                async for text in socket:
                    yield place.read(text)
                    failures = 0
            failure: Exception = ConnectionError("the service ended the stream")
        except (*_BROKEN, GapError, ServiceError) as error:
            failure = error
        failures += 1
        await asyncio.sleep(_pause_s(failures, attempts, failure))
