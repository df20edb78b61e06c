"""Deribit's API over HTTP: ``GET /api/v2/<method>?<params>``, and ``POST /api/v2`` with a JSON-RPC body."""

from typing import Any

import anyio.to_thread
import msgspec
from litestar import Request, Response, Router, get, post
from litestar.datastructures import State
from litestar.params import FromPath

from crossmargin.service.access.guard import address_of, path_as_sent
from crossmargin.service.deribit.errors import DeribitError, Record
from crossmargin.service.deribit.rpc import Caller, Desk, Question, answer, envelope, now_us

AnyRequest = Request[Any, Any, State]


def deribit_routes() -> Router:
    """Return the routes; the application's state must hold a ``desk``."""
    return Router("/api/v2", route_handlers=[by_query, by_body])


@get("/{method:path}", sync_to_thread=True)
def by_query(state: State, request: AnyRequest, method: FromPath[str]) -> Response[Record]:
    """Answer a method whose parameters are a query."""
    question = Question(method=method.lstrip("/"), params=dict(request.query_params))
    return _answered(state.desk, question, request, b"")


@post(["/", "/{method:path}"], status_code=200)
async def by_body(state: State, request: AnyRequest) -> Response[Record]:
    """Answer a JSON-RPC body; the path may repeat the method."""
    body = await request.body()
    try:
        question = msgspec.json.decode(body, type=Question)
    except msgspec.MsgspecError:
        error = DeribitError(-32700, "Parse error", {"reason": "a body must be a JSON-RPC request"})
        return Response(envelope(None, {"error": error.record()}, now_us()), status_code=400)
    return await anyio.to_thread.run_sync(_answered, state.desk, question, request, body)


def _answered(desk: Desk, question: Question, request: AnyRequest, body: bytes) -> Response[Record]:
    # bytes as they came, whatever they mean
    query = request.scope.get("query_string", b"").decode("latin-1")
    uri = path_as_sent(request) + (f"?{query}" if query else "")
    found = answer(
        desk,
        question,
        Caller(
            authorization=request.headers.get("authorization"),
            method=request.method,
            uri=uri,
            body=body,
            address=address_of(request),
        ),
    )
    return Response(found, status_code=400 if "error" in found else 200)
