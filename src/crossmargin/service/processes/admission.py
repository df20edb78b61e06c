"""Admission in the engine's process of a request that another process is going to answer.

The request goes through the application like any other: the proxy's headers, the names of the host, keys, signatures,
nonces, limits, the audit log. Where a route would begin to answer, it stops.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from litestar import Request, Response
from litestar.datastructures import State

from crossmargin.service.access.roles import Principal
from crossmargin.service.processes.channel import Asked, Ruled

MARK = "crossmargin.admission"
"""Key of a scope that asks for admission only; no client can put it there."""
ADMITTED = 204


async def stop_if_admitted(request: Request[Any, Any, State]) -> Response[None] | None:
    """Answer a request that asks for admission only, and has it by now; of any other, nothing."""
    return Response(None, status_code=ADMITTED) if MARK in request.scope else None


async def admission(app: Callable[..., Awaitable[None]], asked: Asked) -> Ruled:
    """Return whether a request may be answered, or what it is answered instead."""
    path, _, query = asked.target.partition(b"?")
    body = [{"type": "http.request", "body": asked.body, "more_body": False}]
    started: list[dict[str, Any]] = []
    content = bytearray()

    async def receive() -> dict[str, Any]:
        return body.pop() if body else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            started.append(message)
        else:
            content.extend(message.get("body", b""))

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": None,
        "client": asked.client,
        "scheme": "http",
        "root_path": "",
        "method": asked.method,
        "path": unquote(path.decode("ascii")),
        "raw_path": path,
        "query_string": query,
        "headers": asked.headers,
        "state": {},
        MARK: True,
    }
    await app(scope, receive, send)
    if started[0]["status"] == ADMITTED:
        who: Principal | None = scope.get("user")
        return Ruled(asked.number, None, None if who is None or who.accounts is None else tuple(who.accounts))
    headers = [(bytes(name), bytes(value)) for name, value in started[0]["headers"]]
    return Ruled(asked.number, (started[0]["status"], headers, bytes(content)))
