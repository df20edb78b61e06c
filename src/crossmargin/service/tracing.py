"""Traces by OpenTelemetry: a span per request, sent to a collector; off unless an endpoint is configured.

A span tells method, route and status, never a path, a query, a header or a body: those name accounts and may hold secrets.
"""

from typing import TYPE_CHECKING

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from crossmargin.errors import InputError

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
        with self._tracer.start_as_current_span(
            f"{method} {route}",
            context=_CALLERS.extract(carried),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route},
        ) as span:

            async def told(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            await next_app(scope, receive, told)
