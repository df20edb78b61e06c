"""The dashboard's pages, as its router lists them, each with a sign that its own figures have come; and a server."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from serving import LONGEST_S, reserved_port, serving
from stand_in import House, application

ROUTER = Path(__file__).parents[2] / "frontend" / "src" / "pages.tsx"
ROUTED = re.findall(r'^  \{ name: "(\w+)"', ROUTER.read_text(encoding="utf-8"), re.MULTILINE)

_WHAT_IF = quote('{"price_moves":{"BTC":-0.1}}')
SIGNS = {
    "overview": ("#/overview", ".figure b"),
    "accounts": ("#/accounts", "[role=rowheader] a"),
    "account": (f"#/account/{{account}}?if={_WHAT_IF}", "#what-if tbody tr"),
    "stress": ("#/stress?moves=BTC:-0.4,ETH:-0.4&vol=1", ".figure b"),
    "liquidations": ("#/liquidations", ".waterfall tbody tr"),
    "insurance": ("#/insurance", ".figure b"),
    "replay": ("#/replay", ".replay"),
    "parameters": ("#/parameters?all=1", "main table tbody tr"),
    "approvals": ("#/approvals", "main h1"),
    "audit": ("#/audit", "h1"),
}


def pages(account: str) -> dict[str, tuple[str, str]]:
    """Return address and sign of every page that the router has; a page that nobody gave a sign is an error."""
    return {name: (SIGNS[name][0].replace("{account}", account), SIGNS[name][1]) for name in ROUTED}


@contextmanager
def stand_in(accounts: int, *options: str) -> Iterator[str]:
    """Run the stand-in server; gives its address."""
    with reserved_port() as port:
        address = f"http://127.0.0.1:{port}/"
        program = str(Path(__file__).parent / "stand_in.py")
        command = [sys.executable, program, "--port", str(port), "--accounts", str(accounts), *options]
        with subprocess.Popen(command) as server:
            try:
                _wait_until_open(server, port)
                yield address
            finally:
                server.terminate()


@contextmanager
def small_stand_in(accounts: int, *, still: bool = False) -> Iterator[str]:
    """Serve a house too small to need a process of its own; gives its address."""
    with serving(application(House(accounts, still=still))) as url:
        yield f"{url}/"


def _wait_until_open(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + LONGEST_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return
