"""``POST /api/v1/orders`` by a short way: what every order passes, without what a router for every kind of route costs.

The route is declared like every other, and the declaration answers whatever is out of the ordinary here: another form of
body, a header that is missing. What is ordinary passes the same guard and the same counters, and errors become answers
by the same table, so that nobody can tell by which way an order came in but by the time it took.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from litestar import Litestar, Request, Response
from litestar.config.allowed_hosts import AllowedHostsConfig
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.middleware.allowed_hosts import AllowedHostsMiddleware
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, HTTPScope, Receive, ReceiveMessage, Scope, Send

from crossmargin.service.access.guard import admitted, caller
from crossmargin.service.command_routes import placed
from crossmargin.service.error_answers import ERROR_ANSWERS

PATH = "/api/v1/orders"
LONGEST_BODY = 16_384
"""Bytes; an order has a few hundred."""
LONGEST_KEY = 100

Raised = Callable[[Request[Any, Any, State], Any], Response[Any]]
_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(dict[str, Any]).decode


def with_short_way(
    application: Litestar,
    app: ASGIApp,
    *,
    layers: Sequence[ASGIMiddleware],
    hosts: AllowedHostsConfig | None,
) -> ASGIApp:
    """Return `app` with the short way before it.

    Parameters
    ----------
    app
        Answers everything else.
    layers
        What counts or traces requests, outermost first.
    hosts
        Which a request may ask for.
    """
    (declared,) = (
        route.route_handler_map["POST"][0]
        for route in application.routes
        if isinstance(route, HTTPRoute) and route.path == PATH
    )

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        request: Request[Any, Any, State] = Request(scope, receive, send)
        try:
            await admitted(request)
            key, data = request.headers["idempotency-key"], _DECODE(await request.body())
            status, found = await placed(application.state, caller(request), key, data)
        except Exception as error:
            handle: Raised = next(ERROR_ANSWERS[kind] for kind in type(error).__mro__ if kind in ERROR_ANSWERS)
            await handle(request, error).to_asgi_response(app=None, request=request)(scope, receive, send)
            return
        body = _ENCODE(found)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    short: ASGIApp = answer
    for layer in reversed(layers):
        short = _around(layer, short)
    if hosts is not None:
        short = AllowedHostsMiddleware(short, hosts)

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["path"] != PATH or not _is_ordinary(scope):
            await app(scope, receive, send)
            return
        read = await _body(receive)
        if _is_object(read):
            scope["path_template"], scope["path_params"], scope["route_handler"] = PATH, {}, declared
            await short(scope, _again(read, receive), send)
        else:
            await app(scope, _again(read, receive), send)

    return either


def _around(layer: ASGIMiddleware, inner: ASGIApp) -> ASGIApp:
    async def around(scope: Scope, receive: Receive, send: Send) -> None:
        await layer.handle(scope, receive, send, inner)

    return around


def _is_ordinary(scope: HTTPScope) -> bool:
    """Whether this is a POST of JSON of a stated and sensible length, under one key, with nothing behind the path."""
    if scope["method"] != "POST" or scope["query_string"]:
        return False
    found: dict[bytes, list[bytes]] = {b"idempotency-key": [], b"content-length": [], b"content-type": []}
    for name, value in scope["headers"]:
        if name in found:
            found[name].append(value)
    keys, lengths, kinds = found.values()
    return (
        kinds == [b"application/json"]
        and len(keys) == len(lengths) == 1
        and 0 < len(keys[0]) <= LONGEST_KEY
        and keys[0].isascii()
        and lengths[0].isdigit()
        and 0 < int(lengths[0]) <= LONGEST_BODY
    )


async def _body(receive: Receive) -> list[ReceiveMessage]:
    """Return the messages of the body; the last may say that the client has gone."""
    read = [await receive()]
    while read[-1]["type"] == "http.request" and read[-1]["more_body"]:
        read.append(await receive())
    return read


def _is_object(read: list[ReceiveMessage]) -> bool:
    try:
        _DECODE(b"".join(each["body"] for each in read if each["type"] == "http.request"))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return read[-1]["type"] == "http.request"


def _again(read: list[ReceiveMessage], receive: Receive) -> Receive:
    """Return what tells the messages once more, and then goes on."""
    rest = iter(read)

    async def told() -> ReceiveMessage:
        return next(rest, None) or await receive()

    return told
