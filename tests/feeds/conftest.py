"""A venue on the loopback that plays answers and remembers what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

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
