"""The application: routes over one writer, one shape of error, and the dashboard's files at the root."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Litestar, Request, Response, delete, get, post
from litestar.config.allowed_hosts import AllowedHostsConfig
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi import OpenAPIConfig
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter
from litestar.router import Router
from litestar.static_files import create_static_files_router
from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine as Database

from crossmargin.engine.commands import CancelOrder, Deposit, PlaceOrder, Withdraw
from crossmargin.engine.engine import Engine
from crossmargin.errors import CrossMarginError, InputError, InvariantError
from crossmargin.service import alerts_api, analysis, lists, projection, replaying, stateless, views
from crossmargin.service.access import api as access_api
from crossmargin.service.access.deribit import KeyCredentials
from crossmargin.service.access.guard import Access, caller, guard
from crossmargin.service.access.rate_limits import TooManyError
from crossmargin.service.access.roles import ForbiddenError, UnauthorizedError
from crossmargin.service.access.routes import check_table
from crossmargin.service.alert_rules import AlertRules
from crossmargin.service.alert_watch import AlertWatch
from crossmargin.service.commands import answered, command_id
from crossmargin.service.deribit.routes import deribit_routes
from crossmargin.service.deribit.rpc import open_desk
from crossmargin.service.deribit.socket import deribit_socket
from crossmargin.service.feeding import no_feeds
from crossmargin.service.figures import Figures
from crossmargin.service.history import History
from crossmargin.service.metrics import CountRequests, metrics, samples
from crossmargin.service.projection_tables import HAPPENED
from crossmargin.service.stream import Hub, stream
from crossmargin.service.sub_accounts import RestoreSlashes, keeping_slashes
from crossmargin.service.tracing import TraceRequests
from crossmargin.service.views import Record
from crossmargin.service.writer import Busy, Starting, Writer
from crossmargin.store.journal import UnwrittenError

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
LISTS = {name: kinds for name, (_, kinds) in HAPPENED.items()}
LONGEST_WAIT_S = 2.0
"""For the projection to have what was acknowledged."""
Limit = Annotated[int, QueryParameter(ge=1, le=1000)]


class NotHereError(InputError):
    """What was asked for is not here."""


def application(
    writer: Writer,
    *,
    hosts: list[str] | None = None,
    feeds: Callable[[], Record] | None = None,
    access: Access | None = None,
    tracer: Tracer | None = None,
    alerts: AlertRules | None = None,
) -> Litestar:
    """Return the ASGI application over `writer`; requests for other `hosts` are refused.

    `feeds` says how the feeds do, where there are any. Without `access` it is open: whoever reaches it may do
    everything. Requests are traced where there is a `tracer`, and metrics are watched for `alerts`.
    """
    state = {
        "writer": writer,
        "desk": open_desk(writer, None if access is None else KeyCredentials(access)),
        "feeds": feeds or no_feeds,
        "risk_arrays": stateless.RiskArrays(),
        "replay": replaying.Replay(writer.folder),
        "access": access,
    }
    api = Router("/api/v1", route_handlers=[overview, accounts, account, explain, surface, compare, what_if, stress, fed,
                                            listed, parameters, liquidations, waterfall, insurance, deleveraging,
                                            replaying.replay,
                                            history, orders, cancel, deposits, withdrawals, stream,
                                            stateless.margin, stateless.compare,
                                            access_api.session, access_api.log_in, access_api.log_out,
                                            access_api.change_parameters, access_api.approvals,
                                            access_api.decide, alerts_api.listed,
                                            alerts_api.acknowledge])  # fmt: skip
    static = create_static_files_router("/", directories=[Path(__file__).parent / "static"], html_mode=True)
    built = Litestar(
        guards=[guard],
        route_handlers=[health, metrics, api, deribit_routes(), deribit_socket, static],
        state=State(state),
        exception_handlers={
            CrossMarginError: _refused,
            UnauthorizedError: access_api.unauthorized,
            ForbiddenError: access_api.forbidden,
            TooManyError: access_api.too_many,
            Busy: _busy,
            Starting: _starting,
            UnwrittenError: _unavailable,
            projection.DatabaseDownError: _unavailable,
            msgspec.ValidationError: _malformed,
            HTTPException: _http,
            Exception: _failed,
        },
        lifespan=[_streaming],
        middleware=[
            RestoreSlashes(),
            CountRequests(writer.measures),
            *([] if tracer is None else [TraceRequests(tracer)]),
        ],
        allowed_hosts=AllowedHostsConfig(allowed_hosts=hosts) if hosts else None,
        openapi_config=OpenAPIConfig(title="crossmargin", version="1", path="/api/v1/schema"),
        request_max_body_size=1_000_000,
        logging_config=None,  # it would send all logs past the handler that hides secrets
    )
    built.state.figures = CollectorRegistry()
    built.state.figures.register(Figures(writer, built.state.feeds, lambda: getattr(built.state, "hub", None)))
    registries = (writer.measures.registry, built.state.figures)
    built.state.alerts = AlertWatch(alerts or AlertRules(), writer.folder, lambda: samples(*registries))
    built.asgi_handler = keeping_slashes(built.asgi_handler)
    check_table(built)
    return built


@contextlib.asynccontextmanager
async def _streaming(app: Litestar) -> AsyncIterator[None]:
    """Run the stream's hub and the history for as long as the application runs."""
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
    """Say whether the engine answers, and where it stands; waits for nothing."""
    writer: Writer = state.writer
    if writer.failure is not None:
        return Response({"status": "failed", "finding": str(writer.failure)}, status_code=503)
    if not writer.is_ready:
        return Response({"status": "starting", "sequence": writer.sequence, "time": None})
    return Response({"status": "ok", "sequence": writer.sequence, "time": views.wire_time(writer.engine.state.time_ns)})


@get("/overview", sync_to_thread=True)
def overview(state: State) -> Record:
    """Sums over accounts, accounts by state, fund, breakers and feeds."""
    return _read(state, views.overview)


@get("/feeds", sync_to_thread=True)
def fed(state: State) -> Record:
    """Return how sources of prices, their connections and the pump do."""
    status: Callable[[], Record] = state.feeds
    return status()


@get("/accounts", sync_to_thread=True)
def accounts(
    state: State,
    request: Request[Any, Any, State],
    limit: Limit = 100,
    cursor: FromQuery[str | None] = None,
    of_state: Annotated[str | None, QueryParameter(name="state")] = None,
) -> Record:
    """Rows of accounts in alphabetical order, page by page; of the caller's accounts only."""
    who = caller(request)

    def page(engine: Engine, _: int) -> Record:
        names = sorted(
            name
            for name, held in engine.state.accounts.items()
            if (cursor is None or name > cursor)
            and (of_state is None or held.state == of_state)
            and (who is None or who.may_touch(name))
        )
        rows = [views.account_row(engine, name) for name in names[:limit]]
        return {"accounts": rows, "next": names[limit - 1] if len(names) > limit else None}

    return _read(state, page)


@get("/accounts/{name:str}", sync_to_thread=True)
def account(state: State, name: FromPath[str]) -> Record:
    """Return an account with its balances, positions and orders."""
    return _of_account(state, name, views.account_page)


@get("/accounts/{name:str}/explain", sync_to_thread=True)
def explain(state: State, name: FromPath[str]) -> Record:
    """Return why the account needs what it needs."""
    return _of_account(state, name, views.explanation)


@get("/accounts/{name:str}/surface", sync_to_thread=True)
def surface(state: State, name: FromPath[str], underlying: FromQuery[str] = "BTC") -> Record:
    """Return profit and excess over price and vol of one coin."""
    seen = _of_account(state, name, _margined_with)
    return analysis.surface_answer(seen.portfolio, seen.market, underlying, seen.method, seen.parameters)


@get("/accounts/{name:str}/compare", sync_to_thread=True)
def compare(state: State, name: FromPath[str]) -> Record:
    """Return the account under every method."""
    seen = _of_account(state, name, _margined_with)
    return analysis.comparison_answer(seen.portfolio, seen.market)


@post("/accounts/{name:str}/what-if", sync_to_thread=True, status_code=200)
def what_if(state: State, name: FromPath[str], data: JSONBody[analysis.WhatIfQuestion]) -> Record:
    """Return the account before and after a change."""
    seen = _of_account(state, name, _margined_with)
    return analysis.what_if_answer(seen.portfolio, seen.market, data, seen.method, seen.parameters, seen.state)


@post("/stress", sync_to_thread=True, status_code=200)
def stress(state: State, data: JSONBody[analysis.StressQuestion]) -> Record:
    """Return every account after one move of the market."""
    return _read(state, lambda engine, _: analysis.stress_answer(engine, data))


@get("/accounts/{name:str}/history", sync_to_thread=True)
def history(
    state: State, name: FromPath[str], since: FromQuery[int] = 0, until: FromQuery[int | None] = None
) -> Record:
    """Return an account's figures over time, minute by minute as they changed; `since` and `until` in ms since 1970."""
    _of_account(state, name, lambda _, __: None)
    if state.writer.projector is None:
        kept: History = state.history
        return kept.points(name)
    until_ns = (1 << 62) if until is None else until * 1_000_000 + 999_999
    rows = projection.history(_projected(state), name, since * 1_000_000, until_ns)
    return {"account": name, "points": [views.history_point(row) for row in rows]}


def _projected(state: State) -> Database:
    """Return the projection's database, level with what was acknowledged, if it can be within a moment."""
    projector = state.writer.projector
    if projector is None:
        raise NotHereError("a service must have a database to tell of the past, this one runs without")
    if not projector.wait_for(state.writer.record, LONGEST_WAIT_S) and projector.failure is not None:
        raise projection.DatabaseDownError(f"the database must answer, {projector.failure}")
    database: Database = projector.database
    return database


@get("/{what:str}", sync_to_thread=True)
def listed(state: State, what: FromPath[str], limit: Limit = 100, cursor: FromQuery[int | None] = None) -> Record:
    """Events of one kind, the newest first."""
    if what not in LISTS:
        raise NotHereError(f"a list must be one of {', '.join(LISTS)}, was {what}")
    if state.writer.projector is not None:
        rows = projection.listed(_projected(state), what, limit + 1, cursor)
        items = [views.happened_record(row) for row in rows[:limit]]
        return {"items": items, "next": str(rows[limit - 1]["place"]) if len(rows) > limit else None}
    return _listed_in_memory(state.writer, what, limit, cursor)


def _listed_in_memory(writer: Writer, what: str, limit: int, cursor: int | None) -> Record:
    """Events since this process started, where there is no database."""
    with writer.lock:
        found = [item for item in reversed(writer.published) if type(item.event).__name__ in LISTS[what]]
    rest = [item for item in found if cursor is None or item.sequence < cursor]
    return {
        "items": [views.event_record(item) for item in rest[:limit]],
        "next": str(rest[limit - 1].sequence) if len(rest) > limit else None,
    }


@get("/parameters", sync_to_thread=True)
def parameters(state: State) -> Record:
    """Return the engine's parameters and every version of every method's."""
    return _read(state, lambda engine, _: {"items": lists.parameter_items(engine), "next": None})


@get("/liquidations", sync_to_thread=True)
def liquidations(state: State) -> Record:
    """Liquidations from start to end, the newest first, since this process started."""
    writer: Writer = state.writer
    return _read(state, lambda _engine, _: {"items": lists.liquidation_items(writer.published), "next": None})


@get("/waterfall", sync_to_thread=True)
def waterfall(state: State) -> Record:
    """Return the layers of the waterfall in their order, and what they paid since this process started."""
    writer: Writer = state.writer
    return _read(state, lambda engine, _: {"items": lists.waterfall_items(engine, writer.published), "next": None})


@get("/insurance", sync_to_thread=True)
def insurance(state: State) -> Record:
    """Return the insurance fund, what markets drew of it, and the draws since this process started."""
    writer: Writer = state.writer
    return _read(state, lambda engine, _: lists.insurance_record(engine, writer.published))


@get("/accounts/{name:str}/deleveraging", sync_to_thread=True)
def deleveraging(state: State, name: FromPath[str]) -> Record:
    """Return the account's places in the queues for deleveraging, contract by contract."""
    return _of_account(state, name, lists.queue_record)


Key = Annotated[str, HeaderParameter(name="Idempotency-Key", min_length=1, max_length=100)]


@post("/orders", status_code=200)
async def orders(
    state: State, request: Request[Any, Any, State], key: Key, data: JSONBody[dict[str, Any]]
) -> Response[Record]:
    """Place an order; the same key with the same content places it once."""
    return await _asked(state, request, key, data, PlaceOrder)


@delete("/accounts/{name:str}/orders/{order:str}", status_code=200)
async def cancel(
    state: State, request: Request[Any, Any, State], key: Key, name: FromPath[str], order: FromPath[str]
) -> Response[Record]:
    """Cancel an open order of the account; the same key cancels it once."""
    writer, named = state.writer, command_id(caller(request), key)

    def of_account(engine: Engine, account: str) -> bool:
        found = engine.state.orders.get(order)
        return engine.has_applied(named) or (found is not None and found.account == account)

    if not await asyncio.to_thread(_of_account, state, name, of_account):
        raise NotHereError(f"an order must be open, {name} has none called {order}")
    return await answered(writer, CancelOrder(id=named, order=order))


@post("/deposits", status_code=200)
async def deposits(
    state: State, request: Request[Any, Any, State], key: Key, data: JSONBody[dict[str, Any]]
) -> Response[Record]:
    """Credit money."""
    return await _asked(state, request, key, data, Deposit)


@post("/withdrawals", status_code=200)
async def withdrawals(
    state: State, request: Request[Any, Any, State], key: Key, data: JSONBody[dict[str, Any]]
) -> Response[Record]:
    """Pay money out."""
    return await _asked(state, request, key, data, Withdraw)


async def _asked(
    state: State,
    request: Request[Any, Any, State],
    key: str,
    data: dict[str, Any],
    kind: type[PlaceOrder | Deposit | Withdraw],
) -> Response[Record]:
    if "id" in data or "type" in data:
        raise InputError("a command is named by its Idempotency-Key, the body held an id or a type")
    who = caller(request)
    command = msgspec.convert({**data, "id": command_id(who, key), "type": kind.__name__}, type=kind)
    waiting = access_api.waits(state, who, command) if isinstance(command, Withdraw) else None
    return await answered(state.writer, command) if waiting is None else waiting


class _Seen(msgspec.Struct, frozen=True):
    """What a question about an account needs, taken in one look."""

    portfolio: Any
    market: Any
    method: str
    parameters: Any
    state: str


def _margined_with(engine: Engine, name: str) -> _Seen:
    held = engine.state.accounts[name]
    return _Seen(
        engine.portfolio(name), engine.market(), held.method, engine.margin_parameters(held.method), held.state
    )


def _read(state: State, look: Callable[[Engine, int], T]) -> T:
    writer: Writer = state.writer
    with writer.lock:
        return look(writer.engine, writer.sequence)


def _of_account(state: State, name: str, look: Callable[[Engine, str], T]) -> T:
    def found(engine: Engine, _: int) -> T:
        if name not in engine.state.accounts:
            raise NotHereError(f"an account must be open, found none called {name}")
        return look(engine, name)

    return _read(state, found)


def _error(status: int, rule: str, finding: str) -> Response[Record]:
    return Response({"error": {"rule": rule, "finding": finding}}, status_code=status)


def _refused(_: Request[Any, Any, State], error: CrossMarginError) -> Response[Record]:
    rule, _comma, finding = str(error).partition(", ")
    status = 404 if isinstance(error, NotHereError) else 500 if isinstance(error, InvariantError) else 400
    return _error(status, rule, finding)


def _busy(_: Request[Any, Any, State], error: Busy) -> Response[Record]:
    return _error(503, "the queue of commands must have room", str(error))


def _starting(_: Request[Any, Any, State], error: Starting) -> Response[Record]:
    answer = _error(503, "the engine must be open", str(error))
    answer.headers["Retry-After"] = "1"
    return answer


def _unavailable(_: Request[Any, Any, State], error: CrossMarginError) -> Response[Record]:
    rule, _comma, finding = str(error).partition(", ")
    return _error(503, rule, finding)


def _malformed(_: Request[Any, Any, State], error: msgspec.ValidationError) -> Response[Record]:
    return _error(400, "a body must fit its schema", str(error))


def _http(_: Request[Any, Any, State], error: HTTPException) -> Response[Record]:
    finding = str(error.extra) if isinstance(error, ValidationException) and error.extra else ""
    return _error(error.status_code, error.detail, finding)


def _failed(request: Request[Any, Any, State], error: Exception) -> Response[Record]:
    # whoever asked learns nothing of our insides; whoever runs the service learns all of them
    _LOG.error("failed to answer %s %s", request.method, request.scope["path_template"], exc_info=error)
    return _error(500, "the service must answer what it is asked", "it failed, and has written down why")
