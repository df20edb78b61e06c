"""Load on a running service: ``python scripts/load_service.py margin|orders|lists|stream --port 8000``.

``margin`` posts a 20-position book, ``orders`` orders and ``lists`` asks for accounts and the overview as fast as it goes, or
orders at a rate; ``stream`` holds subscribers and
proves by sequence that none of them lost a message. The server's CPU time is stated apart from this process's own. Where
the service asks for keys, ``--keys FILE`` names one on each line, its id and its secret: orders are signed with them in
turn, and each key is one caller with limits of its own.
"""

import argparse
import asyncio
import itertools
import json
import os
import random
import re
import resource
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import msgspec
from websockets.asyncio.client import connect

from crossmargin.client.signing import Key
from crossmargin.files.book import book_tables
from crossmargin.files.sample import sample_book

CONNECTIONS = 32
POSITIONS = 20
TICKS = 100
SETTLING_SECONDS = 15
LENGTH = re.compile(rb"(?i)content-length: (\d+)")
ORDERED, ORDER_PRICE = "deribit:BTC/USD:BTC", "1000"
ORDERS = "/api/v1/orders"
ORDERERS = ("opening", "market-maker")
"""Accounts whose money lasts for hundreds of thousands of orders."""


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def own_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def book() -> dict:
    """Twenty positions of a market maker of the sample book, which the service opens with."""
    (maker,) = (each for each in sample_book() if each.account == "market-maker-eth")
    tables = msgspec.to_builtins(book_tables([maker]))
    return tables | {"positions": tables["positions"][:POSITIONS]}


class Connection:
    """One HTTP connection; what is sent and read is written by hand, so that the load costs little itself."""

    def __init__(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._port, self._reader, self._writer = port, reader, writer

    @classmethod
    async def open(cls, port: int) -> "Connection":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(port, reader, writer)

    async def ask(self, path: str, body: bytes, headers: str = "") -> bytes:
        """Post a body, or get where it is empty, and return the answer's; anything but success ends the program."""
        first = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\n"
        head = f"{first}Host: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n{headers}"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        (length,) = LENGTH.findall(answer)
        content = await self._reader.readexactly(int(length))
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(content.decode())
        return content


def figures(waits: list[float], seconds: float) -> dict:
    waits = sorted(waits)
    return {
        "requests": len(waits),
        "requests_per_second": round(len(waits) / seconds),
        "p50_ms": round(1e3 * waits[len(waits) // 2], 2),
        "p99_ms": round(1e3 * waits[len(waits) * 99 // 100], 2),
    }


async def margin(port: int, seconds: float) -> dict:
    """Ask for the margin of a book of twenty positions as fast as it goes."""
    body = json.dumps({"book": book()}).encode()
    waits: list[float] = []

    async def ask(connection: Connection) -> None:
        while (began := time.perf_counter()) < until:
            await connection.ask("/api/v1/margin", body)
            waits.append(time.perf_counter() - began)

    connections = [await Connection.open(port) for _ in range(CONNECTIONS)]
    await connections[0].ask("/api/v1/margin", body)  # which builds the risk array
    until = time.perf_counter() + seconds
    await asyncio.gather(*(ask(each) for each in connections))
    return figures(waits, seconds)


async def lists(port: int, seconds: float) -> dict:
    """Ask for the first accounts and for the overview in turn, as fast as it goes."""
    waits: list[float] = []

    async def ask(connection: Connection) -> None:
        for path in itertools.cycle(("/api/v1/accounts", "/api/v1/overview")):
            if (began := time.perf_counter()) >= until:
                return
            await connection.ask(path, b"")
            waits.append(time.perf_counter() - began)

    connections = [await Connection.open(port) for _ in range(CONNECTIONS)]
    until = time.perf_counter() + seconds
    await asyncio.gather(*(ask(each) for each in connections))
    return figures(waits, seconds)


def order_body(account: str, number: str) -> bytes:
    asked = {
        "account": account,
        "order": f"load-{number}",
        "instrument": ORDERED,
        "side": "buy",
        "quantity": "1",
        "price": ORDER_PRICE,
    }
    return json.dumps(asked).encode()


async def place(
    connection: Connection, run: int, numbers: Iterator[int], until: float, pace: float | None, keys: list[Key]
) -> list[float]:
    """Place orders on one connection until it is time.

    With a `pace`, on average so many a second at random, as from many who know nothing of each other; waits are counted
    from when an order was due, whether or not the connection was free.
    """
    waits: list[float] = []
    due = time.perf_counter() + (0.0 if pace is None else random.expovariate(pace))
    while due < until and time.perf_counter() < until:
        if pace is not None:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        began = due if pace is not None else time.perf_counter()
        number = next(numbers)
        named = f"{run}-{number}"
        body = order_body(ORDERERS[number % len(ORDERERS)], named)
        headers = {"Idempotency-Key": named}
        if keys:
            headers |= keys[number % len(keys)].headers("POST", ORDERS, "", body, named)
        await connection.ask(ORDERS, body, "".join(f"{name}: {value}\r\n" for name, value in headers.items()))
        waits.append(time.perf_counter() - began)
        due = due + random.expovariate(pace) if pace is not None else time.perf_counter()
    return waits


async def orders(port: int, seconds: float, per_second: float | None, keys: list[Key]) -> dict:
    """Orders far from the market, so that each is checked, journaled, acknowledged, and rests."""
    run, numbers = time.time_ns() // 1_000_000, itertools.count()
    connections = [await Connection.open(port) for _ in range(CONNECTIONS)]
    pace = None if per_second is None else per_second / CONNECTIONS
    until = time.perf_counter() + seconds
    found = await asyncio.gather(*(place(each, run, numbers, until, pace, keys) for each in connections))
    return figures([wait for waits in found for wait in waits], seconds)


async def follow(port: int, channels: list[str], last: asyncio.Future) -> tuple[int, int]:
    """Return how many messages one subscriber got, and how many did not follow on the one before."""
    seen: dict[str, int] = {}
    got = gaps = 0
    async with connect(
        f"ws://127.0.0.1:{port}/api/v1/stream", max_size=None, open_timeout=120, compression=None
    ) as reader:
        await reader.send(json.dumps({"subscribe": channels}))
        async for text in reader:
            each = msgspec.json.decode(text)
            if each["channel"] == "error":
                return got, gaps + 1
            got += not each["snapshot"]
            gaps += each["channel"] in seen and each["previous"] != seen[each["channel"]]
            if each["channel"] == "events" and not each["snapshot"]:
                numbers = [event["sequence"] for event in each["data"]]
                gaps += numbers != list(range(seen["events"] + 1, each["sequence"] + 1))
            seen[each["channel"]] = each["sequence"]
            if last.done() and min(seen.values()) > last.result():
                return got, gaps
    return got, gaps + 1


async def stream(port: int, subscribers: int, channels: list[str]) -> dict:
    last: asyncio.Future = asyncio.get_running_loop().create_future()
    tasks = [asyncio.create_task(follow(port, channels, last)) for _ in range(subscribers)]
    await asyncio.sleep(SETTLING_SECONDS)
    run, began, connection = time.time_ns(), time.perf_counter(), await Connection.open(port)
    body = json.dumps({"account": "cash-only", "asset": "USDC", "amount": "0.01"}).encode()
    for tick in range(TICKS):
        await connection.ask("/api/v1/deposits", body, f"Idempotency-Key: {run}-{tick}\r\n")
        await asyncio.sleep(max(0.0, began + 0.1 * (tick + 1) - time.perf_counter()))
    took = time.perf_counter() - began
    health = await asyncio.to_thread(lambda: json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/health")))
    last.set_result(health["sequence"])
    await asyncio.sleep(0.3)
    await connection.ask("/api/v1/deposits", body, f"Idempotency-Key: {run}-end\r\n")
    found = await asyncio.wait_for(asyncio.gather(*tasks), 120)
    return {
        "subscribers": subscribers,
        "seconds": round(took, 1),
        "messages": sum(got for got, _ in found),
        "messages_per_subscriber_per_second": round(sum(got for got, _ in found) / subscribers / took, 1),
        "lost_or_out_of_order": sum(gaps for _, gaps in found),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["margin", "orders", "lists", "stream"])
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--pid", type=int, nargs="*", default=[], help="of the server, to state its CPU time")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--per-second", type=float, help="orders at this rate, not as fast as it goes")
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--channels", nargs="+", default=["accounts"])
    parser.add_argument("--keys", type=Path, help="orders signed with these, an id and a secret on each line")
    asked = parser.parse_args()
    lines = [] if asked.keys is None else asked.keys.read_text().split("\n")
    keys = [Key(id=name, secret=secret) for name, secret in map(str.split, filter(None, lines))]
    work = {
        "margin": lambda: margin(asked.port, asked.seconds),
        "orders": lambda: orders(asked.port, asked.seconds, asked.per_second, keys),
        "lists": lambda: lists(asked.port, asked.seconds),
        "stream": lambda: stream(asked.port, asked.subscribers, asked.channels),
    }[asked.what]()
    server, own, began = sum(map(cpu_seconds, asked.pid)), own_seconds(), time.perf_counter()
    found = asyncio.run(work)
    took, used = time.perf_counter() - began, sum(map(cpu_seconds, asked.pid)) - server
    found |= {"server_cpus": round(used / took, 2), "load_cpus": round((own_seconds() - own) / took, 2)}
    done = found.get("requests") or found["messages"]
    found["server_cpu_us_each"] = round(1e6 * used / done, 1)
    print(json.dumps(found | {"load_average": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
