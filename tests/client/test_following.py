"""The stream followed: over a service that is stopped and started, with nothing lost and nothing twice."""

import asyncio
import queue
import threading
from decimal import Decimal

import msgspec
import pytest
from serving import reserved_port, serving
from websockets.exceptions import InvalidStatus
from websockets.sync.server import serve

from crossmargin.client import GapError, ServiceError, follow, follow_async
from crossmargin.client.streaming import Place
from crossmargin.engine.commands import Deposit
from crossmargin.errors import InputError
from crossmargin.service.application import application


def deposit(writer, name):
    command = Deposit(id=name, account="cash-only", asset="USDC", amount=Decimal(1))
    writer.submit(command).result(timeout=60)


def read_in_a_thread(messages, until):
    """Queue of the messages, and a thread that ends after that which `until` accepts."""
    found = queue.Queue()

    def run():
        for message in messages:
            found.put(message)
            if until(message):
                return

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return found, thread


def ids(message):
    """Commands of the events; one has several events with the same id."""
    return list(dict.fromkeys(each["command"] for each in message.data))


def test_a_follower_goes_on_after_a_restart_with_every_event_once(writer):
    heard, sequences = [], []

    def hear(message):
        heard.extend(ids(message))
        sequences.extend(each["sequence"] for each in message.data)

    with reserved_port() as port:
        messages = follow(f"http://127.0.0.1:{port}", ["events"], attempts=100)
        with serving(application(writer), port):
            found, thread = read_in_a_thread(messages, lambda message: "f-9" in ids(message))
            assert found.get(timeout=60).snapshot
            for number in range(3):
                deposit(writer, f"f-{number}")
            while "f-2" not in heard:
                hear(found.get(timeout=60))
        for number in range(3, 6):  # while nobody serves
            deposit(writer, f"f-{number}")
        with serving(application(writer), port):
            while "f-5" not in heard:
                message = found.get(timeout=60)
                assert not message.snapshot
                hear(message)
            deposit(writer, "f-9")
            thread.join(timeout=60)
            hear(found.get(timeout=60))
    assert heard == [f"f-{number}" for number in (*range(6), 9)]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))


def test_the_one_for_asyncio_reads_the_same(writer, url):
    async def read():
        heard, task = [], None
        async for message in follow_async(url, ["overview", "accounts", "events"]):
            heard.append(message)
            if len(heard) == 3:
                task = asyncio.create_task(asyncio.to_thread(deposit, writer, "async-1"))
            if message.channel == "events" and message.data:
                await task
                return heard
        return None

    heard = asyncio.run(read())
    assert [(each.channel, each.snapshot) for each in heard[:3]] == [
        ("overview", True), ("accounts", True), ("events", True),
    ]  # fmt: skip
    assert {row["account"] for row in heard[1].data} >= {"cash-only", "hedger"}
    assert ids(heard[-1]) == ["async-1"]


def text(channel, sequence, previous, *, snapshot=False):
    return msgspec.json.encode(
        {"channel": channel, "sequence": sequence, "previous": previous, "snapshot": snapshot, "data": []}
    )  # fmt: skip


def test_a_missing_message_is_found_and_asked_for_again():
    place = Place(["events", "overview"])
    assert msgspec.json.decode(place.subscription()) == {"subscribe": ["events", "overview"]}
    place.read(text("events", 5, None, snapshot=True))
    place.read(text("overview", 5, None, snapshot=True))
    place.read(text("events", 7, 5))
    with pytest.raises(GapError, match="events went from 7 to 8"):
        place.read(text("events", 9, 8))
    assert msgspec.json.decode(place.subscription()) == {"subscribe": ["events", "overview"], "from": 7}
    place.read(text("events", 9, 7))
    with pytest.raises(GapError):  # figures begin with a snapshot, also after a break
        place.read(text("overview", 9, 5))


def test_a_service_that_skips_a_message_is_left_and_joined_again():
    """The first connection leaves one out; the second is asked for what comes after the last that was read."""
    asked = []

    def handle(socket):
        asked.append(msgspec.json.decode(socket.recv()))
        if len(asked) == 1:
            socket.send(text("events", 1, None, snapshot=True), text=True)
            socket.send(text("events", 3, 2), text=True)
        else:
            socket.send(text("events", 3, 1), text=True)

    with serve(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        messages = follow(f"http://127.0.0.1:{server.socket.getsockname()[1]}", ["events"])
        assert [next(messages).sequence, next(messages).sequence] == [1, 3]
        messages.close()
        server.shutdown()
        thread.join()
    assert asked == [{"subscribe": ["events"]}, {"subscribe": ["events"], "from": 1}]


def test_noes_end_it(url):
    with pytest.raises(InputError, match="channels must be of"):
        next(follow(url, ["nonsense"]))
    with reserved_port() as port, pytest.raises(OSError, match="refused"):
        next(follow(f"http://127.0.0.1:{port}", attempts=2))
    with pytest.raises(InvalidStatus):
        next(follow(f"{url}/elsewhere"))
    with pytest.raises(ServiceError, match="too slow, 256 waited"):
        Place(["events"]).read(b'{"channel":"error","error":{"rule":"too slow","finding":"256 waited"}}')
