"""The application: routes over one writer, one shape of error, and the dashboard's files at the root."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from litestar import Litestar, Response, get
from litestar.config.allowed_hosts import AllowedHostsConfig
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.router import Router
from litestar.static_files import create_static_files_router
from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry

from crossmargin.service import alerts_api, replaying, stateless, stateless_routes, views
from crossmargin.service.access import api as access_api
from crossmargin.service.access.deribit import KeyCredentials
from crossmargin.service.access.guard import Access, guard
from crossmargin.service.access.routes import check_table
from crossmargin.service.account_routes import ACCOUNT_ROUTES
from crossmargin.service.alert_rules import AlertRules
from crossmargin.service.alert_watch import AlertWatch
from crossmargin.service.clock import Clock
from crossmargin.service.command_routes import COMMAND_ROUTES
from crossmargin.service.deribit.routes import deribit_routes
from crossmargin.service.deribit.rpc import open_desk
from crossmargin.service.deribit.socket import deribit_socket
from crossmargin.service.description import ABOUT, describe_answers
from crossmargin.service.error_answers import ERROR_ANSWERS
from crossmargin.service.feeding import no_feeds
from crossmargin.service.figures import Figures
from crossmargin.service.history import History
from crossmargin.service.house_routes import HOUSE_ROUTES
from crossmargin.service.metrics import CountRequests, metrics, samples
from crossmargin.service.operator_routes import OPERATOR_ROUTES
from crossmargin.service.order_route import with_short_way
from crossmargin.service.paid import Paid
from crossmargin.service.stream import Hub, stream
from crossmargin.service.sub_accounts import RestoreSlashes, keeping_slashes
from crossmargin.service.tracing import TraceRequests
from crossmargin.service.views import Record
from crossmargin.service.writer import Writer

LARGEST_BODY = 1_000_000
"""Bytes that a request may carry; more are refused before they are read."""


def application(
    writer: Writer,
    *,
    hosts: list[str] | None = None,
    feeds: Callable[[], Record] | None = None,
    access: Access | None = None,
    tracer: Tracer | None = None,
    alerts: AlertRules | None = None,
    clock: Clock | None = None,
) -> Litestar:
    """Return the ASGI application over `writer`; requests for other `hosts` are refused.

    `feeds` says how the feeds do, where there are any. Without `access` it is open: whoever reaches it may do
    everything. Requests are traced where there is a `tracer`, and metrics are watched for `alerts`. `/health` tells where
    the `clock` finds that the system's stands wrong.
    """
    state = {
        "writer": writer,
        "desk": open_desk(writer, None if access is None else KeyCredentials(access)),
        "feeds": feeds or no_feeds,
        "risk_arrays": stateless.RiskArrays(),
        "replay": replaying.Replay(writer.folder),
        "access": access,
        "clock": clock,
        "paid": Paid(),
    }
    api = Router("/api/v1", route_handlers=[*HOUSE_ROUTES, *ACCOUNT_ROUTES, *COMMAND_ROUTES, *OPERATOR_ROUTES,
                                            replaying.replay, stream,
                                            stateless_routes.margin, stateless_routes.compare,
                                            access_api.session, access_api.log_in, access_api.log_out,
                                            access_api.change_parameters, access_api.approvals,
                                            access_api.decide, access_api.access_log, alerts_api.listed,
                                            alerts_api.acknowledge])  # fmt: skip
    served = AllowedHostsConfig(allowed_hosts=hosts) if hosts else None
    layers = [CountRequests(writer.measures), *([] if tracer is None else [TraceRequests(tracer)])]
    static = create_static_files_router("/", directories=[Path(__file__).parent / "static"], html_mode=True)
    built = Litestar(
        guards=[guard],
        route_handlers=[health, metrics, api, deribit_routes(), deribit_socket, static],
        state=State(state),
        exception_handlers=ERROR_ANSWERS,
        lifespan=[_streaming],
        middleware=[RestoreSlashes(), *layers],
        allowed_hosts=served,
        openapi_config=OpenAPIConfig(
            title="crossmargin", version="1", path="/api/v1/schema", description=ABOUT, use_handler_docstrings=True
        ),
        request_max_body_size=LARGEST_BODY,
        logging_config=None,  # it would send all logs past the handler that hides secrets
    )
    describe_answers(built.openapi_schema)
    built.state.figures = CollectorRegistry()
    built.state.figures.register(Figures(writer, built.state.feeds, lambda: getattr(built.state, "hub", None), access))
    registries = (writer.measures.registry, built.state.figures)
    built.state.alerts = AlertWatch(alerts or AlertRules(), writer.folder, lambda: samples(*registries))
    built.asgi_handler = with_short_way(built, keeping_slashes(built.asgi_handler), layers=layers, hosts=served)
    check_table(built)
    return built


@contextlib.asynccontextmanager
async def _streaming(app: Litestar) -> AsyncIterator[None]:
    """Run the stream's hub and the history for as long as the application runs."""
    access: Access | None = app.state.access
    if access is not None:
        access.look_at_log()
    app.state.hub, app.state.history = Hub(app.state.writer), History(app.state.writer)
    running = [asyncio.create_task(each.run()) for each in (app.state.hub, app.state.history)]
    try:
        with app.state.alerts.running():
            yield
    finally:
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@get("/health", sync_to_thread=False)
def health(state: State) -> Response[Record]:
    """Say whether the engine answers, where it stands, and whether it asks who is there; waits for nothing."""
    writer: Writer = state.writer
    if writer.failure is not None:
        return Response({"status": "failed", "finding": str(writer.failure)}, status_code=503)
    answer = {"status": "ok", "sequence": writer.sequence, "time": None, "open": state.access is None}
    if not writer.is_ready:
        return Response(answer | {"status": "starting", "progress": _progress(writer)})
    return Response(answer | {"time": views.wire_time(writer.engine.state.time_ns), "finding": _finding(state)})


def _progress(writer: Writer) -> Record | None:
    """Say how far an engine that opens has come: in kernels while a first start compiles them, else in commands."""
    if writer.opening_progress is not None:
        return dict(zip(("done", "of"), writer.opening_progress, strict=True))
    if writer.compiling_progress is not None:
        return {**dict(zip(("done", "of"), writer.compiling_progress, strict=True)), "what": "kernels"}
    return None


def _finding(state: State) -> str | None:
    """Say what is odd although the service answers; anybody may ask, so which entry was altered is for its log."""
    clock: Clock | None = state.clock
    access: Access | None = state.access
    standing = None if clock is None else clock.standing
    altered = access is not None and access.log_finding is not None
    log = "the log of who did what is not as it was written, see the service's log" if altered else None
    return "; ".join(filter(None, (standing, log))) or None
