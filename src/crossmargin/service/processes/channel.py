"""What goes between the engine's process and one of its children: messages over one socket, connections over another.

Both are Unix socket pairs that nobody else can open. The end of messages is the end of the other process, however it
came about, so neither outlives the other for longer than it takes to notice.
"""

import array
import asyncio
import os
import select
import socket
import struct
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self

import msgspec

_LENGTH = struct.Struct("!I")
_DESCRIPTORS_BYTES = socket.CMSG_SPACE(2 * array.array("i").itemsize)
"""Room for a connection's descriptor and a file's."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """A child may be handed connections from now on."""


class Asked(msgspec.Struct, frozen=True, tag=True):
    """A child asks whether a request may be answered: what came, word for word, and from where."""

    number: int
    target: bytes
    headers: list[tuple[bytes, bytes]]
    client: tuple[str, int]
    body: bytes = b""
    method: str = "POST"


class Wanted(msgspec.Struct, frozen=True, tag=True):
    """A child has a question about accounts, and columns that are older than what has been acknowledged."""


class Ruled(msgspec.Struct, frozen=True, tag=True):
    """The answer: None lets the child answer, else this is what the service answers instead.

    `accounts` are those that may be told of; None are all.
    """

    number: int
    answer: tuple[int, list[tuple[bytes, bytes]], bytes] | None
    accounts: tuple[str, ...] | None = ()


class Answered(msgspec.Struct, frozen=True, array_like=True):
    """A request that a child answered, and the seconds that it took."""

    method: str
    route: str
    status: int
    seconds: float
    ended_ns: int = 0
    """When that was, ns since 1970, where requests are traced."""
    caller: dict[str, str] = {}
    """The caller's trace, where requests are traced and it named one: W3C's headers."""


class Counted(msgspec.Struct, frozen=True, tag=True):
    """Requests that a child answered."""

    answered: list[Answered]


class Opened(msgspec.Struct, frozen=True, tag=True):
    """A client of the fan-out asks for a stream; `Ruled`, `Accepted` and all else about it bear its number."""

    number: int
    target: bytes
    headers: list[tuple[bytes, bytes]]
    client: tuple[str, int]


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """The fan-out may open a stream."""

    number: int


class Said(msgspec.Struct, frozen=True, tag=True):
    """The first message of a client."""

    number: int
    text: str


class Told(msgspec.Struct, frozen=True, tag=True):
    """What one client is sent."""

    number: int
    text: str


class Joined(msgspec.Struct, frozen=True, tag=True):
    """From here on a client is sent what is told to everybody in these channels."""

    number: int
    channels: tuple[str, ...]


class Everybody(msgspec.Struct, frozen=True, tag=True):
    """A message to all who have joined its channel."""

    channel: str
    text: str


class Ended(msgspec.Struct, frozen=True, tag=True):
    """The engine's process ends a stream."""

    number: int
    code: int
    reason: str


class Left(msgspec.Struct, frozen=True, tag=True):
    """A client is gone, or was let go because it did not read."""

    number: int
    too_slow: bool = False


Message = Ready | Asked | Wanted | Ruled | Counted | Opened | Accepted | Said | Told | Joined | Everybody | Ended | Left
_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(Message).decode


class Channel:
    """One end of the messages' socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def over(cls, end: socket.socket) -> Self:
        """Return the channel over one end of a pair."""
        end.setblocking(False)
        return cls(*await asyncio.open_connection(sock=end))

    def send(self, message: Message) -> None:
        """Write a message; to a process that has ended it goes nowhere."""
        content = _ENCODE(message)
        self._writer.write(_LENGTH.pack(len(content)) + content)

    @property
    def waiting(self) -> int:
        """Bytes that the other side has not taken yet."""
        size: int = self._writer.transport.get_write_buffer_size()
        return size

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what the other side says until it ends."""
        try:
            while True:
                (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                yield _DECODE(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    def close(self) -> None:
        """End it for both sides."""
        self._writer.close()


def received(connection: socket.socket, most: int) -> bytes | None:
    """Return what has come on a connection that does not block, `most` bytes of it; none if it is over, None if it waits."""
    try:
        return connection.recv(most)
    except BlockingIOError:
        return None
    except OSError:
        return b""


@dataclass(frozen=True, slots=True)
class Handed:
    """A connection that changed hands, and what had been read of it but not answered."""

    connection: socket.socket
    begun: bytes = b""


def hand_over(way: socket.socket, connection: socket.socket, begun: bytes = b"") -> None:
    """Send a connection the `way` of a pair of sockets that keeps messages whole; the caller closes its own descriptor of it.

    Raises
    ------
    BlockingIOError
        If the way does not block and is full.
    """
    if not begun:
        socket.send_fds(way, [b"."], [connection.fileno()])
        return
    # a request may be larger than a message, a file never is
    with tempfile.TemporaryFile() as kept:
        kept.write(begun)
        kept.flush()
        socket.send_fds(way, [b"."], [connection.fileno(), kept.fileno()])


def hand_back(way: socket.socket, connection: socket.socket, begun: bytes) -> None:
    """Send a connection the `way` to the engine's process, and wait where that has no room: it never waits for us."""
    room = select.poll()
    room.register(way, select.POLLOUT)
    while True:
        try:
            hand_over(way, connection, begun)
        except BlockingIOError:
            room.poll()
        else:
            return


def taken_over(way: socket.socket) -> Handed | None:
    """Return the next connection that came the `way`; None where none waits, or the sender is gone."""
    try:
        # `socket.recv_fds` leaves out its flags on Python 3.11, and would wait
        content, ancillary, _, _ = way.recvmsg(1, _DESCRIPTORS_BYTES, socket.MSG_DONTWAIT)
    except (BlockingIOError, ConnectionError):
        return None
    descriptors = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    if not content or not descriptors:
        return None
    connection = socket.socket(fileno=descriptors[0])
    connection.setblocking(False)
    if len(descriptors) == 1:
        return Handed(connection)
    with os.fdopen(descriptors[1], "rb") as kept:
        kept.seek(0)
        return Handed(connection, kept.read())
