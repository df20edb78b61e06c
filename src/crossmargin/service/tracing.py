"""Traces by OpenTelemetry: a span per request, sent to a collector; off unless an endpoint is configured.

A span tells method, route and status, never a path, a query, a header or a body: those name accounts and may hold secrets.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from crossmargin.errors import InputError
from crossmargin.service.processes.admission import ADMITTED, MARK
from crossmargin.service.processes.channel import Answered

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_CALLERS = TraceContextTextMapPropagator()


def open_tracing(endpoint: str) -> "TracerProvider":
    """Return what makes tracers whose spans go to an OTLP collector over HTTP; its `shutdown` sends what waits.

    Parameters
    ----------
    endpoint
        URL of the collector's traces, like http://127.0.0.1:4318/v1/traces.

    Raises
    ------
    InputError
        If the extra crossmargin[tracing] is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise InputError(f"traces need the extra crossmargin[tracing], {error.name} is missing") from error
    provider = TracerProvider(resource=Resource.create({"service.name": "crossmargin"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    return provider


class TraceRequests(ASGIMiddleware):
    """Makes a span of each request, within its caller's trace where it names one (W3C trace context)."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Serve one request within a span."""
        route = str(scope.get("path_template") or "")
        method = str(scope.get("method"))
        carried = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        span = _begun(self._tracer, method, route, carried)
        admitted = False

        async def told(message: Message) -> None:
            nonlocal admitted
            if message["type"] == "http.response.start":
                # what another process answers has its span from there
                admitted = MARK in scope and message["status"] == ADMITTED
                _answer(span, message["status"])
            await send(message)

        try:
            with use_span(span):
                await next_app(scope, receive, told)
        finally:
            if not admitted:
                span.end()


def trace_answered(tracer: Tracer, answered: Answered) -> None:
    """Make the span of a request that another process answered."""
    start_ns = answered.ended_ns - round(answered.seconds * 1e9)
    span = _begun(tracer, answered.method, answered.route, answered.caller, start_ns)
    _answer(span, answered.status)
    span.end(answered.ended_ns)


def _begun(tracer: Tracer, method: str, route: str, carried: Mapping[str, str], start_ns: int | None = None) -> Span:
    return tracer.start_span(
        f"{method} {route}",
        context=_CALLERS.extract(carried),
        kind=SpanKind.SERVER,
        attributes={"http.request.method": method, "http.route": route},
        start_time=start_ns,
    )


def _answer(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(StatusCode.ERROR)
