"""Load on a running service: ``python scripts/load_service.py margin|stream|orders --port 8000``.

``margin`` posts a 20-position book as fast as it goes; ``stream`` holds subscribers and proves by sequence that none of
them lost a message. The server's CPU time is stated apart from this process's own.
"""

import argparse
import asyncio
import json
import resource
import socket
import time
import urllib.request
from pathlib import Path

import msgspec
from websockets.asyncio.client import connect

from crossmargin.files.book import book_tables
from crossmargin.files.sample import sample_book

CONNECTIONS = 32
POSITIONS = 20
TICKS = 100
SETTLING_SECONDS = 15


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


async def post(port: int, path: str, body: bytes, until: float, waits: list[float], headers: str = "") -> None:
    """Ask again and again on one connection; HTTP is written by hand, so that the load costs little itself."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n{headers}"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    while time.perf_counter() < until:
        began = time.perf_counter()
        writer.write(request)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(int(x.split(b":")[1]) for x in answer.split(b"\r\n") if x.lower().startswith(b"content-length"))
        content = await reader.readexactly(length)
        if b" 200 " not in answer.split(b"\r\n")[0]:
            raise SystemExit(content.decode())
        waits.append(time.perf_counter() - began)
    writer.close()


async def margin(port: int, seconds: float) -> dict:
    body = json.dumps({"book": book()}).encode()
    await post(port, "/api/v1/margin", body, time.perf_counter() + 1, [])
    waits: list[float] = []
    until = time.perf_counter() + seconds
    await asyncio.gather(*(post(port, "/api/v1/margin", body, until, waits) for _ in range(CONNECTIONS)))
    waits.sort()
    return {
        "requests_per_second": round(len(waits) / seconds),
        "p50_ms": round(1e3 * waits[len(waits) // 2], 2),
        "p99_ms": round(1e3 * waits[len(waits) * 99 // 100], 2),
    }


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
    run, began = time.time_ns(), time.perf_counter()
    for tick in range(TICKS):
        body = json.dumps({"account": "cash-only", "asset": "USDC", "amount": "0.01"}).encode()
        await post(port, "/api/v1/deposits", body, time.perf_counter() + 1e-6, [], f"Idempotency-Key: {run}-{tick}\r\n")
        await asyncio.sleep(max(0.0, began + 0.1 * (tick + 1) - time.perf_counter()))
    took = time.perf_counter() - began
    health = await asyncio.to_thread(lambda: json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/health")))
    last.set_result(health["sequence"])
    await asyncio.sleep(0.3)
    body = json.dumps({"account": "cash-only", "asset": "USDC", "amount": "0.01"}).encode()
    await post(port, "/api/v1/deposits", body, time.perf_counter() + 1e-6, [], f"Idempotency-Key: {run}-end\r\n")
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
    parser.add_argument("what", choices=["margin", "stream"])
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--pid", type=int, help="of the server, to state its CPU time")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--channels", nargs="+", default=["accounts"])
    asked = parser.parse_args()
    server, own, began = cpu_seconds(asked.pid) if asked.pid else 0.0, own_seconds(), time.perf_counter()
    work = (
        margin(asked.port, asked.seconds)
        if asked.what == "margin"
        else stream(asked.port, asked.subscribers, asked.channels)
    )
    found = asyncio.run(work)
    took = time.perf_counter() - began
    if asked.pid:
        found["server_cpus"] = round((cpu_seconds(asked.pid) - server) / took, 2)
    print(json.dumps(found | {"load_cpus": round((own_seconds() - own) / took, 2)}))


if __name__ == "__main__":
    main()
