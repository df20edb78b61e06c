"""Streams by the fan-out: every reader gets what the application says, in order, and one who does not read goes alone."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys

import pytest
from several import book_of
from test_admission import signed
from test_stream import ALL, assert_chained, deposit, event_numbers, read_until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from crossmargin.service.access.keys import KeyStore, master_key
from crossmargin.service.processes import fan_out
from crossmargin.service.processes.channel import Left

STREAM = "/api/v1/stream"
HANDED = 'crossmargin_connections_handed_total{to="fan_out"}'


def address(service):
    return f"ws://127.0.0.1:{service.port}{STREAM}"


async def joined(reader, asked=ALL):
    await reader.send(json.dumps(asked))
    return [json.loads(await asyncio.wait_for(reader.recv(), 60)) for _ in asked["subscribe"]]


def test_readers_get_a_snapshot_and_then_the_same_messages_in_order_without_gaps(service):
    writer, before = service.writer, service.metric(HANDED)

    async def run():
        async with connect(address(service)) as one, connect(address(service)) as other:
            first, second = await joined(one), await joined(other)
            start = writer.sequence
            for number in range(50):
                await asyncio.to_thread(deposit, writer, f"fan-{number}")
            return (
                first,
                second,
                start,
                await read_until(one, writer.sequence),
                await read_until(other, writer.sequence),
            )

    first, second, start, one, other = asyncio.run(run())
    assert service.metric(HANDED) == before + 2
    assert all(each["snapshot"] for each in first + second)
    for snapshot, told in ((first, one), (second, other)):
        assert event_numbers(told) == list(range(start + 1, writer.sequence + 1))
        assert_chained([*snapshot, *told])
    assert one[-len(other) :] == other[-len(one) :]


def test_a_reader_that_comes_back_hears_what_it_missed(service):
    writer = service.writer
    seen = writer.sequence

    async def run():
        async with connect(address(service)) as reader:
            return await joined(reader, {"subscribe": ["events"], "from": seen})

    for number in range(5):
        deposit(writer, f"fan-missed-{number}")
    (told,) = asyncio.run(run())
    assert event_numbers([told]) == list(range(seen + 1, writer.sequence + 1))
    assert (told["snapshot"], told["previous"]) == (False, seen)


@pytest.mark.parametrize("first", ["nonsense", '{"subscribe": []}', '{"subscribe": ["secrets"]}'])
def test_a_bad_first_message_is_answered_as_by_the_engines_process(service, first):
    async def run():
        async with connect(address(service)) as reader:
            await reader.send(first)
            told = json.loads(await asyncio.wait_for(reader.recv(), 60))
            with pytest.raises(ConnectionClosed) as closed:
                await reader.recv()
            return told, closed.value.rcvd.code

    told, code = asyncio.run(run())
    assert told["channel"] == "error"
    assert code == 1013


def upgrade(service, more=""):
    head = f"GET {STREAM} HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n{more}"
    return head.encode() + b"\r\n"


ASKS = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
KEY = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"


@pytest.mark.parametrize(
    "more",
    ["", ASKS, ASKS + KEY + "Origin: http://elsewhere.example\r\n"],
    ids=["plain", "without a key", "of another site"],
)
def test_what_is_no_stream_is_answered_as_by_the_engines_process(service, more):
    here, there = service.client(), service.client()
    assert here.ask("/health")[0] == 200
    here.send(upgrade(service, more))
    there.send(upgrade(service, more))
    one, other = here.answer(), there.answer()
    assert (one[0], one[2]) == (other[0], other[2])
    assert one[0] >= 400


def test_a_stream_needs_a_key_where_margin_does_and_ends_with_it(keyed):
    guarded, keys = keyed
    key = keys["watching"]

    async def run():
        with pytest.raises(InvalidStatus) as refused:
            await connect(address(guarded)).__aenter__()
        async with connect(address(guarded), additional_headers=signed(key, b"", "WEBSOCKET", STREAM)) as reader:
            await joined(reader)
            store = KeyStore(guarded.writer.folder / "access.sqlite", master_key(guarded.writer.folder))
            store.revoke(key[0], 2)
            store.close()
            last = json.loads(await asyncio.wait_for(reader.recv(), 60))
            while last["channel"] != "error":
                last = json.loads(await asyncio.wait_for(reader.recv(), 60))
            with pytest.raises(ConnectionClosed):
                await reader.recv()
            return refused.value.response.status_code, last

    status, last = asyncio.run(asyncio.wait_for(run(), 300))
    assert status == 403  # as the server says of a WebSocket that the application does not accept
    assert last["error"] == {"rule": "a stream needs a live key or session", "finding": "it has ended"}


def test_a_fan_out_that_is_killed_is_started_again_and_a_reader_goes_on_where_it_was(service):
    writer = service.writer

    async def run():
        async with connect(address(service)) as reader:
            (first,) = await joined(reader, {"subscribe": ["events"]})
            os.kill(service.front.fan_out.process.pid, signal.SIGKILL)
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(reader.recv(), 60)
        await asyncio.to_thread(deposit, writer, "while nobody listens")
        assert service.client().ask("/api/v1/margin", {"book": book_of("hedger")})[0] == 200
        await asyncio.to_thread(service.until, service.is_ready)
        async with connect(address(service)) as reader:
            (missed,) = await joined(reader, {"subscribe": ["events"], "from": first["sequence"]})
            await asyncio.to_thread(deposit, writer, "and again")
            return first, [missed, json.loads(await asyncio.wait_for(reader.recv(), 60))]

    first, told = asyncio.run(run())
    assert_chained([first, *told])
    assert event_numbers(told) == list(range(first["sequence"] + 1, writer.sequence + 1))


def test_connections_for_which_there_is_no_room_yet_wait_and_none_is_served_elsewhere(service):
    """A fan-out that stands still, on a way that holds a few: the rest wait in the engine's process, in their order."""
    before, child, clients = service.metric(HANDED), service.front.fan_out, []
    os.kill(child.process.pid, signal.SIGSTOP)
    try:
        child.way.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        for _ in range(40):
            clients.append(service.client())
            clients[-1].send(upgrade(service, ASKS + KEY))
        service.until(lambda: service.metric(HANDED) == before + 40)
        assert len(child._waiting) > 0
    finally:
        os.kill(child.process.pid, signal.SIGCONT)
    assert [each.answer()[0] for each in clients] == [101] * 40


def test_the_fan_out_loads_neither_tables_nor_kernels():
    """It starts in a moment, and takes little memory, only for as long as nobody imports them on its way."""
    seen = (
        "import sys, crossmargin.service.processes.fan_out; print({'numba', 'polars', 'sqlalchemy'} & {*sys.modules})"
    )
    ran = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True, timeout=300)
    assert ran.stdout == "set()\n"


class Ears:
    """The engine's side of a fan-out, which only listens."""

    def __init__(self):
        self.heard = []

    def send(self, message):
        self.heard.append(message)


def test_a_reader_that_does_not_read_is_told_so_and_let_go_and_the_others_get_everything():
    """Frames are as large as it takes for the system to hold none of them back for long."""

    async def run():
        ears = Ears()
        hall = fan_out.FanOut(ears, None)
        with socket.create_server(("127.0.0.1", 0)) as door:
            ends = [(socket.create_connection(door.getsockname()), door.accept()[0]) for _ in range(2)]
        for number, (_, theirs) in enumerate(ends):
            theirs.setblocking(False)
            hall.members[number] = fan_out.Member(hall, number, theirs)
            hall.members[number]._begun += upgrade_of(number)
            hall.members[number]._ask()
            hall.hear(fan_out.Accepted(number))
            hall.hear(fan_out.Joined(number, ("events",)))
        slow, good = (ours for ours, _ in ends)
        good.setblocking(False)
        text, got = "x" * 50_000, bytearray()
        frame, count = fan_out.text_frame(text), 0
        while Left(0, True) not in ears.heard:
            hall.hear(fan_out.Everybody("events", text))
            count += 1
            while len(got) < len(HANDSHAKE) + count * len(frame):
                try:
                    got += good.recv(1 << 20)
                except BlockingIOError:
                    await asyncio.sleep(0)
        assert bytes(got) == HANDSHAKE + count * frame
        assert count > fan_out.LONGEST_WAIT
        slow.setblocking(False)
        rest = bytearray()
        while not rest.endswith(last):
            try:
                rest += slow.recv(1 << 20)
            except BlockingIOError:
                await asyncio.sleep(0)
        # what it had begun to be sent is whole
        sent = bytes(rest).removeprefix(HANDSHAKE)
        whole, rest = divmod(sent.index(b'{"channel":"error"') - 2, len(frame))
        assert (rest, sent[: whole * len(frame)]) == (0, whole * frame)
        for ours, _ in ends:
            ours.close()
        hall.members[1]._close()

    rule = "a subscriber must read what it is sent"
    last = fan_out.close_frame(1013, rule)
    asyncio.run(run())


HANDSHAKE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
"""The answer to the key of RFC 6455, 1.3."""


def upgrade_of(number):
    return (
        f"GET {STREAM}?{number} HTTP/1.1\r\nHost: here\r\n{ASKS}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()
