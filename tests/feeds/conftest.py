"""A venue on the loopback that plays answers, and an engine without a journal that answers a pump at once."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from crossmargin.engine import commands as ask
from crossmargin.engine.engine import Engine
from crossmargin.engine.parameters import EngineParameters

Reply = Callable[[str], Any]


@dataclass
class PlayedVenue:
    """Answers by path; an answer may be a function of the path with its query."""

    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    """Every request as it arrived: address, headers and body."""
    status: int = 200
    url: str = ""


@pytest.fixture
def venue() -> Iterator[PlayedVenue]:
    played = PlayedVenue()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            played.asked.append(self.path)
            played.sent.append(f"{self.path}\n{self.headers}\n{body}")
            answer = played.answers.get(self.path.partition("?")[0])
            answer = answer(self.path + body) if callable(answer) else answer
            text = json.dumps({"code": 404} if answer is None else answer).encode()
            self.send_response(404 if answer is None else played.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    played.url = f"http://127.0.0.1:{server.server_port}"
    yield played
    server.shutdown()
    server.server_close()
    thread.join()


class _Desk:
    """An engine that answers at once, and remembers what it was told."""

    def __init__(self, time_ns=0, **parameters):
        self.engine = Engine()
        self.told = []
        self.submit(ask.AdvanceTime(id="begin", time_ns=time_ns))
        self.submit(ask.SetParameters(id="parameters", parameters=EngineParameters(**parameters)))

    def submit(self, command):
        self.told.append(command)
        answer = Future()
        answer.set_result(self.engine.apply(command))
        return answer

    def list(self, *instruments):
        coins = {
            coin
            for name in instruments
            for coin in name.partition(":")[2].partition("-")[0].replace(":", "/").split("/")
        }
        for coin in sorted(coins - {"USD"}):
            self.submit(ask.ListAsset(id=f"list {coin}", asset=coin, quantum=Decimal("0.00000001")))
        for name in instruments:
            assert "Refused" not in str(
                self.submit(ask.ListInstrument(id=f"list {name}", instrument=name, lot_size=Decimal("0.1"))).result()
            )

    def is_listed(self, instrument):
        found = self.engine.state.listings.get(instrument)
        return found is not None and not found.expired


@pytest.fixture
def desk_at():
    """Begin an engine at a time, with parameters."""
    return _Desk
