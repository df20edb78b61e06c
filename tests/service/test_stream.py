"""The stream over a real service: snapshot, order without gaps, resumption, and readers who do not read."""

import asyncio
import json
from contextlib import contextmanager
from decimal import Decimal

import pytest
from serving import LONGEST_S, serving
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from crossmargin.engine.commands import Deposit
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service import stream as streaming
from crossmargin.service.application import application
from crossmargin.service.opening import opening_commands
from crossmargin.service.stream import Subscriber, message
from crossmargin.service.writer import Writer

ALL = {"subscribe": ["overview", "accounts", "events"]}


@contextmanager
def served(writer):
    with serving(application(writer)) as url:
        yield f"{url.replace('http', 'ws')}/api/v1/stream"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    book = [each for each in sample_book() if each.account in ("cash-only", "hedger")]
    commands = tuple(opening_commands(book, sample_market()))
    writer = Writer(tmp_path_factory.mktemp("stream"), opening=lambda: commands)
    with served(writer) as address:
        yield writer, address
    writer.close()


def deposit(writer, name, account="cash-only", amount="1"):
    command = Deposit(id=name, account=account, asset="USDC", amount=Decimal(amount))
    return writer.submit(command).result(timeout=60)


async def read_until(reader, sequence):
    found = []
    while not any(each["channel"] == "overview" and each["sequence"] >= sequence for each in found):
        found.append(json.loads(await asyncio.wait_for(reader.recv(), LONGEST_S)))
    return found


def event_numbers(messages):
    return [event["sequence"] for each in messages if each["channel"] == "events" for event in each["data"]]


def assert_chained(messages):
    last = {}
    for each in messages:
        if each["channel"] in last:
            assert each["previous"] == last[each["channel"]]
        last[each["channel"]] = each["sequence"]


def test_a_snapshot_then_every_event_once_and_figures_that_changed(service, monkeypatch):
    writer, address = service
    # so long that figures are gathered on however slow a machine
    monkeypatch.setattr(streaming, "PACE_SECONDS", 1.0)

    async def run():
        async with connect(address) as reader:
            await reader.send(json.dumps(ALL))
            first = [json.loads(await reader.recv()) for _ in range(3)]
            start = writer.sequence
            for number in range(300):
                await asyncio.to_thread(deposit, writer, f"all-{number}")
            return first, start, await read_until(reader, writer.sequence)

    first, start, told = asyncio.run(run())
    assert all(each["snapshot"] for each in first)
    rows = {row["account"]: row for each in first if each["channel"] == "accounts" for row in each["data"]}
    assert {"cash-only", "hedger", "opening"} == set(rows)
    assert event_numbers(told) == list(range(start + 1, writer.sequence + 1))
    assert_chained([*first, *told])
    changed = [row for each in told if each["channel"] == "accounts" for row in each["data"]]
    assert {row["account"] for row in changed} == {"cash-only"}
    gained = Decimal(changed[-1]["equity"]) - Decimal(rows["cash-only"]["equity"])
    assert gained == pytest.approx(Decimal(300), rel=Decimal("0.01"))
    assert len(changed) < 300  # figures are gathered


def test_a_reader_that_comes_back_hears_what_it_missed(service):
    writer, address = service

    async def run(place):
        async with connect(address) as reader:
            await reader.send(json.dumps({"subscribe": ["events"], "from": place}))
            return json.loads(await reader.recv())

    seen = writer.sequence
    for number in range(5):
        deposit(writer, f"missed-{number}", "hedger")
    told = asyncio.run(run(seen))
    assert event_numbers([told]) == list(range(seen + 1, writer.sequence + 1))
    assert (told["snapshot"], told["previous"]) == (False, seen)
    lost = asyncio.run(run(3))  # before this run's first event
    assert (lost["snapshot"], lost["data"]) == (True, [])


def test_a_reader_for_whom_too_much_waits_is_told_and_let_go_and_the_others_go_on(service, monkeypatch):
    """Three messages wait for a newcomer at once, where only two may."""
    writer, address = service

    async def run():
        async with connect(address) as good:
            await good.send(json.dumps(ALL))
            heard = [json.loads(await good.recv()) for _ in range(3)]
            monkeypatch.setattr(streaming, "LONGEST_WAIT", 2)
            async with connect(address) as slow:
                await slow.send(json.dumps(ALL))
                told = json.loads(await slow.recv())
                with pytest.raises(ConnectionClosed) as closed:
                    await slow.recv()
            monkeypatch.undo()
            await asyncio.to_thread(deposit, writer, "after the slow one")
            return told, closed.value.rcvd.code, heard + await read_until(good, writer.sequence)

    told, code, heard = asyncio.run(run())
    assert told["error"]["rule"] == "a subscriber must read what it is sent"
    assert code == 1013
    assert_chained(heard)


def test_what_waits_for_a_reader_stays_in_order_until_it_is_too_much():
    async def run():
        reader = Subscriber(["events"])
        for number in range(streaming.LONGEST_WAIT):
            reader.put([message("events", number, None, []), message("overview", number, None, {})])
        assert not reader.too_slow
        taken = await reader.take()
        assert [each.sequence for each in taken] == list(range(streaming.LONGEST_WAIT))
        reader.put(message("events", number, None, []) for number in range(streaming.LONGEST_WAIT + 1))
        assert reader.too_slow
        assert await reader.take() == []

    asyncio.run(run())


@pytest.mark.parametrize("first", ["nonsense", '{"subscribe": []}', '{"subscribe": ["secrets"]}', '{"from": 3}'])
def test_a_bad_first_message_gets_one_answer(service, first):
    async def run():
        async with connect(service[1]) as reader:
            await reader.send(first)
            answer = json.loads(await reader.recv())
            with pytest.raises(ConnectionClosed):
                await reader.recv()
            return answer

    assert set(asyncio.run(run())["error"]) == {"rule", "finding"}
