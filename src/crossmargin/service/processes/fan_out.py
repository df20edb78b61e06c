"""The fan-out: a process that holds the streams' subscribers, and sends each message of the engine's process to all of them.

Who may subscribe, to what, and what a newcomer gets first is said there; here a message is framed once, whoever reads it.
A subscriber that does not read is told so, and let go.
"""

import asyncio
import base64
import gc
import hashlib
import itertools
import logging
import socket
from collections import deque
from collections.abc import Iterable, Sequence
from time import monotonic

import msgspec
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from crossmargin.service.processes.channel import (
    Accepted,
    Channel,
    Ended,
    Everybody,
    Joined,
    Left,
    Message,
    Opened,
    Ready,
    Ruled,
    Said,
    Told,
    hand_back,
    received,
    taken_over,
)
from crossmargin.service.processes.nursery import given
from crossmargin.service.processes.plain_requests import NotPlain, PlainRequest, plain_upgrade
from crossmargin.service.processes.programs import run_program
from crossmargin.service.processes.responses import response

LONGEST_WAIT = 256
"""Messages that may wait for one subscriber, beside what the system holds for it."""
LARGEST_MESSAGE = 1_000_000
HEARD_SECONDS, SILENT_SECONDS = 20.0, 40.0
"""How often subscribers are asked for a sign of life, and after how long without one they are let go."""
ENDING_SECONDS = 5.0
"""For a subscriber to take the last that it is sent."""
TOO_SLOW, GOING_AWAY, NO_SIGN = 1013, 1012, 1011
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_READ = 1 << 16
_PING = Frame(Opcode.PING, b"").serialize(mask=False)


class FanOut:
    """Subscribers by number and by channel."""

    def __init__(self, channel: Channel, way: socket.socket) -> None:
        self.channel, self.way = channel, way
        self.loop = asyncio.get_running_loop()
        self.members: dict[int, Member] = {}
        self.joined: dict[str, set[Member]] = {}
        self._numbers = itertools.count()

    def take(self) -> None:
        """Take over what was handed here."""
        while (found := taken_over(self.way)) is not None:
            number = next(self._numbers)
            self.members[number] = Member(self, number, found.connection)

    def hear(self, message: Message) -> None:
        """Do what the engine's process says."""
        if isinstance(message, Everybody):
            frame = text_frame(message.text)
            for each in tuple(self.joined.get(message.channel, ())):
                each.send(frame)
            return
        member = self.members.get(message.number) if isinstance(message, _OF_ONE) else None
        if member is None:
            return  # it left while this was on its way
        match message:
            case Accepted():
                member.accept()
            case Ruled(answer=(status, headers, body)):
                member.refuse(response(status, [*headers, (b"connection", b"close")], body))
            case Told():
                member.send(text_frame(message.text))
            case Joined():
                for name in message.channels:
                    self.joined.setdefault(name, set()).add(member)
            case Ended():
                member.end(message.code, message.reason)
            case _:
                pass

    def leave(self, member: "Member") -> None:
        """Forget a subscriber."""
        self.members.pop(member.number, None)
        self.quiet(member)

    def quiet(self, member: "Member") -> None:
        """Tell a subscriber nothing more."""
        for each in self.joined.values():
            each.discard(member)

    async def look_after(self) -> None:
        """Ask for signs of life, and let go of who gives none, for as long as this runs."""
        asked = monotonic()
        while True:
            await asyncio.sleep(1.0)
            now = monotonic()
            asks = now - asked >= HEARD_SECONDS
            asked = now if asks else asked
            for each in tuple(self.members.values()):
                each.look_after(now, asks=asks)


_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_OF_ONE = (Accepted, Ruled, Told, Joined, Ended)


class Member:
    """One client: its request, then its stream."""

    def __init__(self, fan_out: FanOut, number: int, connection: socket.socket) -> None:
        self.number = number
        self._fan_out, self._socket = fan_out, connection
        self._begun = bytearray()
        self._request: PlainRequest | None = None
        self._protocol: ServerProtocol | None = None
        self._waiting: deque[bytes | memoryview] = deque()
        self._said = bytearray()
        self._has_asked = self._is_known = False
        self._ends: float | None = None
        """By when this is over."""
        self._heard = monotonic()
        fan_out.loop.add_reader(connection, self._read)

    def accept(self) -> None:
        """Open the stream."""
        if self._request is None:
            return
        digest = hashlib.sha1(self._request.header(b"sec-websocket-key") + _GUID, usedforsecurity=False).digest()
        lines = (b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: " + base64.b64encode(digest))
        self._protocol = ServerProtocol(state=State.OPEN, max_size=LARGEST_MESSAGE, logger=_SILENT)
        self.send(b"HTTP/1.1 101 Switching Protocols\r\n" + b"\r\n".join(lines) + b"\r\n\r\n")
        if self._begun:
            self._received(bytes(self._begun))
            self._begun.clear()

    def refuse(self, answer: bytes) -> None:
        """Answer the request with something else than a stream."""
        self._is_known = False
        self._finish([answer])

    def send(self, frame: bytes) -> None:
        """Send a frame, or let it wait; who lets too many wait is let go."""
        if self._ends is not None:
            return
        self._waiting.append(frame)
        if len(self._waiting) == 1:
            self._write()
        elif len(self._waiting) > LONGEST_WAIT:
            self._give_up()

    def end(self, code: int, reason: str) -> None:
        """Close the stream from our side."""
        self._is_known = False
        self._finish([close_frame(code, reason)])

    def look_after(self, now: float, *, asks: bool) -> None:
        """Close what is silent, or has not taken its last in time; ask for a sign of life."""
        if self._ends is not None:
            if now >= self._ends:
                self._close()
        elif now - self._heard > SILENT_SECONDS:
            self._say_left()
            self._finish([] if self._protocol is None else [close_frame(NO_SIGN, "no sign of life")])
        elif asks and self._protocol is not None:
            self.send(_PING)

    def _give_up(self) -> None:
        rule, finding = "a subscriber must read what it is sent", f"{LONGEST_WAIT} messages waited"
        error = {"channel": "error", "error": {"rule": rule, "finding": finding}}
        self._say_left(too_slow=True)
        begun = self._waiting[0]
        self._waiting.clear()
        if isinstance(begun, memoryview):  # what was sent in part is sent to its end
            self._waiting.append(begun)
        self._finish([text_frame(msgspec.json.encode(error).decode()), close_frame(TOO_SLOW, rule)])

    def _finish(self, last: Iterable[bytes]) -> None:
        """Send no more than what waits and `last`, and close."""
        self._fan_out.quiet(self)
        if self._ends is None:
            self._ends = monotonic() + ENDING_SECONDS
        self._waiting.extend(last)
        self._write()

    def _say_left(self, *, too_slow: bool = False) -> None:
        if self._is_known:
            self._fan_out.channel.send(Left(self.number, too_slow))
        self._is_known = False

    def _read(self) -> None:
        content = received(self._socket, _READ)
        if content is None:
            return
        if not content:
            self._close()
            return
        self._heard = monotonic()
        if self._ends is not None:
            return
        if self._protocol is not None:
            self._received(content)
            return
        self._begun += content
        if self._request is None:
            self._ask()
        elif len(self._begun) > _READ:  # it goes on before it was let in
            self._close()

    def _ask(self) -> None:
        try:
            request = plain_upgrade(self._begun)
        except NotPlain:
            hand_back(self._fan_out.way, self._socket, bytes(self._begun))
            self._close()
            return
        if request is not None:
            self._request, self._is_known = request, True
            del self._begun[: request.length]
            client = self._socket.getpeername()
            self._fan_out.channel.send(Opened(self.number, request.target, request.headers, (client[0], client[1])))

    def _received(self, content: bytes) -> None:
        """Pass on the first message; whatever else is said is not read but for its form."""
        protocol = self._protocol
        if protocol is None:
            return
        protocol.receive_data(content)
        for event in protocol.events_received():
            if isinstance(event, Frame) and event.opcode in _DATA and not self._has_asked:
                self._said += event.data
                if event.fin:
                    self._has_asked = True
                    self._fan_out.channel.send(Said(self.number, self._said.decode(errors="replace")))
        answers = [each for each in protocol.data_to_send() if each]
        if protocol.state is State.OPEN:
            for each in answers:
                self.send(each)
        else:  # it said goodbye, or nonsense
            self._say_left()
            self._finish(answers)

    def _write(self) -> None:
        waiting = self._waiting
        try:
            while waiting:
                frame = waiting[0]
                sent = self._socket.send(frame)
                if sent < len(frame):
                    waiting[0] = memoryview(frame)[sent:]
                    break
                waiting.popleft()
        except BlockingIOError:
            pass
        except OSError:
            self._close()
            return
        if waiting:
            self._fan_out.loop.add_writer(self._socket, self._write)
            return
        self._fan_out.loop.remove_writer(self._socket)
        if self._ends is not None:
            self._close()

    def _close(self) -> None:
        if self._socket.fileno() < 0:
            return
        self._fan_out.loop.remove_reader(self._socket)
        self._fan_out.loop.remove_writer(self._socket)
        self._socket.close()
        self._ends = 0.0
        self._say_left()
        self._fan_out.leave(self)


_SILENT = logging.getLogger("crossmargin.fan_out.frames")
_SILENT.addHandler(logging.NullHandler())
_SILENT.setLevel(logging.CRITICAL)


def text_frame(text: str) -> bytes:
    """Return a message framed as every reader gets it: a server masks nothing."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


def close_frame(code: int, reason: str) -> bytes:
    """Return the frame that ends a stream; a reason has at most 123 bytes."""
    return Frame(Opcode.CLOSE, Close(code, reason[:100]).serialize()).serialize(mask=False)


async def work(messages: int, connections: int) -> None:
    """Work until the engine's process ends, which sends both."""
    channel = await Channel.over(socket.socket(fileno=messages))
    way = socket.socket(fileno=connections)
    way.setblocking(False)
    fan_out = FanOut(channel, way)
    fan_out.loop.add_reader(way, fan_out.take)
    looking = asyncio.create_task(fan_out.look_after())
    gc.freeze()
    channel.send(Ready())
    async for message in channel.messages():
        fan_out.hear(message)
    looking.cancel()
    for each in tuple(fan_out.members.values()):
        each.end(GOING_AWAY, "the service ends")


def main(_: str, descriptors: Sequence[int]) -> None:
    """Work in a process of its own."""
    run_program(lambda: work(*descriptors))


if __name__ == "__main__":
    main(*given())
