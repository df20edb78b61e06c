"""``GET /metrics`` in Prometheus' text format, and the middleware that counts requests by route and status."""

import contextlib
import logging
from collections.abc import Iterable, Iterator
from time import perf_counter

from litestar import get
from litestar.datastructures import State
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from crossmargin.service.measures import Measures
from crossmargin.service.processes.admission import ADMITTED, MARK

_LOG = logging.getLogger(__name__)


@get("/metrics", sync_to_thread=True, media_type=CONTENT_TYPE_PLAIN_0_0_4, include_in_schema=True)
def metrics(state: State) -> bytes:
    """Return every metric in Prometheus' text format."""
    return generate_latest(state.writer.measures.registry) + generate_latest(state.figures)


class _Together(Collector):
    """The metrics of several registries."""

    def __init__(self, registries: tuple[CollectorRegistry, ...]) -> None:
        self._registries = registries

    def collect(self) -> Iterable[Metric]:
        """Yield them, one registry after the other."""
        for registry in self._registries:
            yield from registry.collect()


@contextlib.contextmanager
def metrics_server(host: str, port: int, *registries: CollectorRegistry) -> Iterator[int]:
    """Serve metrics on a port of their own for as long as the block lasts; gives the port.

    Prometheus signs no requests: a firewall, or a host that only it can reach, says who may read here.
    """
    together = CollectorRegistry()
    together.register(_Together(registries))
    server, thread = start_http_server(port, host, together)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def samples(*registries: CollectorRegistry) -> Iterable[Sample]:
    """Yield the samples of all metrics, as alerts read them."""
    for registry in registries:
        for family in registry.collect():
            yield from family.samples


class CountRequests(ASGIMiddleware):
    """Counts answers by route, never by path: who asks for what is not there makes no new series."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, measures: Measures) -> None:
        self._measures = measures

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Time one request to the first byte of its answer."""
        begun, route = perf_counter(), str(scope.get("path_template") or "")
        method = str(scope.get("method"))

        async def counted(message: Message) -> None:
            # what another process answers, it counts
            if message["type"] == "http.response.start" and not (MARK in scope and message["status"] == ADMITTED):
                taken_s, status = perf_counter() - begun, message["status"]
                self._measures.requests.labels(method, route, status).inc()
                self._measures.request_seconds.labels(route).observe(taken_s)
                if status >= 500 and not scope["state"].get("is_starting"):
                    _LOG.warning("answered %d to %s %s", status, method, route)
            await send(message)

        await next_app(scope, receive, counted)
