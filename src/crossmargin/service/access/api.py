"""Routes of access itself: sessions, approvals, changes of parameters; and the answers to who is refused."""

import math
from typing import Annotated, Any, Literal

import anyio.to_thread
import msgspec
from litestar import Request, Response, delete, get, post
from litestar.datastructures import Cookie, State
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, QueryParameter

from crossmargin.engine.commands import SetMarginParameters, SetParameters
from crossmargin.engine.margin_rules import parsed_parameters
from crossmargin.errors import InputError
from crossmargin.service.access.approvals import Approval, ApprovalState, Watched
from crossmargin.service.access.audit import Entry
from crossmargin.service.access.guard import Access, address_of, caller
from crossmargin.service.access.rate_limits import TooManyError
from crossmargin.service.access.roles import ForbiddenError, Lane, Principal, UnauthorizedError
from crossmargin.service.access.sessions import CSRF_COOKIE, SESSION_COOKIE
from crossmargin.service.commands import answered, command_id, outcome
from crossmargin.service.error_records import rule_and_finding
from crossmargin.service.reading import Cursor, Limit
from crossmargin.service.views import Record, wire_time

AnyRequest = Request[Any, Any, State]
OfState = Annotated[ApprovalState | None, QueryParameter(name="state")]
Key = Annotated[str, HeaderParameter(name="Idempotency-Key", min_length=1, max_length=100)]


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name and its password."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login(user={self.user!r})"


class Decision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a second owner says."""

    decision: Literal["approve", "reject"]


@post("/session", status_code=200)
async def log_in(state: State, request: AnyRequest, data: JSONBody[Login]) -> Response[Record]:
    """Begin a session: its cookie is set, and a token that requests which change something repeat in a header."""
    access = _access(state)
    # a slow hash is dear: the turn is taken before it, by address and by name
    now = access.monotonic()
    access.failures.take(f"login {address_of(request)}", Lane.OPERATORS, 1, now)
    access.failures.take(f"login of {data.user}", Lane.OPERATORS, 1, now)
    user = await anyio.to_thread.run_sync(access.users.with_password, data.user, data.password)
    if user is None:
        access.failed(request, "refused: login")
        raise UnauthorizedError
    token, csrf = access.sessions.begin(user, access.monotonic())
    who = user.principal()
    access.log.append(time_ns=access.clock_ns(), who=user.name, via="session", address=address_of(request),
                      action="POST /api/v1/session", decision="allowed")  # fmt: skip
    cookies = [_cookie(SESSION_COOKIE, token, httponly=True), _cookie(CSRF_COOKIE, csrf, httponly=False)]
    return Response(_principal_record(who), cookies=cookies)


def _cookie(key: str, value: str, *, httponly: bool) -> Cookie:
    return Cookie(key=key, value=value, httponly=httponly, path="/", secure=True, samesite="strict")


@get("/session", sync_to_thread=False)
def session(request: AnyRequest) -> Record:
    """Return who asks, and what he may do."""
    who = caller(request)
    return {"user": None, "open": True} if who is None else _principal_record(who)


@delete("/session", status_code=200, sync_to_thread=False)
def log_out(state: State, request: AnyRequest) -> Response[Record]:
    """End the session."""
    token = request.cookies.get(SESSION_COOKIE)
    if token is not None and state.access is not None:
        _access(state).sessions.end(token)
    ended = [Cookie(key=name, path="/", secure=True, max_age=0, value="") for name in (SESSION_COOKIE, CSRF_COOKIE)]
    return Response({"user": None}, cookies=ended)


@post("/parameters", status_code=200)
async def change_parameters(
    state: State, request: AnyRequest, key: Key, data: JSONBody[dict[str, Any]]
) -> Response[Record]:
    """Ask for parameters of the engine, or of a method; a second owner must approve."""
    kind: type[SetParameters | SetMarginParameters] = SetMarginParameters if "method" in data else SetParameters
    who = caller(request)
    if "id" in data or "type" in data:
        raise InputError("a command is named by its Idempotency-Key, the body held an id or a type")
    command = msgspec.convert({**data, "id": command_id(who, key), "type": kind.__name__}, type=kind)
    if isinstance(command, SetMarginParameters):
        _require_fit(command)
    waiting = waits(state, who, command)
    return await answered(state.writer, command) if waiting is None else waiting


def _require_fit(command: SetMarginParameters) -> None:
    """Refuse at once what the engine would refuse once a second owner has looked at it."""
    try:
        parsed_parameters(command.method, command.parameters)
    except ValueError as error:
        raise InputError(f"parameters must fit {command.method}, {error}") from error


@get("/approvals", sync_to_thread=True)
def approvals(state: State, limit: Limit = 100, cursor: Cursor = None, of_state: OfState = None) -> Record:
    """Return what waits for a second owner, and what was decided, the newest first; of one state if asked so."""
    found = _access(state).approvals.newest(limit + 1, before=cursor, state=of_state)
    items = [_approval_record(each) for _, each in found[:limit]]
    return {"items": items, "next": str(found[limit - 1][0]) if len(found) > limit else None}


@post("/approvals/{identifier:str}", status_code=200)
async def decide(
    state: State, request: AnyRequest, identifier: FromPath[str], data: JSONBody[Decision]
) -> Response[Record]:
    """Approve or reject what another owner asked for; what is approved is done at once."""
    access, who = _access(state), caller(request)
    if who is None:
        raise UnauthorizedError
    approve = data.decision == "approve"
    try:
        decided = access.approvals.decide(identifier, who, access.clock_ns(), approve=approve)
    except ForbiddenError as error:
        await access.note(request, who, f"refused: {error}")
        raise
    await access.note(request, who, f"{decided.state} {decided.command.id} of {decided.asked_by}")
    if not approve:
        return Response({**_approval_record(decided), "events": []})
    status, found = await outcome(state.writer, decided.command)
    told = found if "error" in found else {**_approval_record(decided), "events": found["events"]}
    return Response(told, status_code=status)


@get("/access-log", sync_to_thread=True)
def access_log(
    state: State,
    limit: Limit = 100,
    cursor: Cursor = None,
    who: FromQuery[str | None] = None,
    action: FromQuery[str | None] = None,
) -> Record:
    """Who asked for what, from where, and what was decided: the newest first, of one owner or one kind if asked so."""
    found = _access(state).log.newest(limit + 1, before=cursor, who=who, action=action)
    items = [_entry_record(each) for each in found[:limit]]
    return {"items": items, "next": str(found[limit - 1].sequence) if len(found) > limit else None}


def waits(state: State, who: Principal | None, command: Watched) -> Response[Record] | None:
    """Return the answer to a command that a second owner must approve; None where none must."""
    access: Access | None = state.access
    if access is None or who is None or not access.approvals.needs_two(command, access.clock_ns()):
        return None
    return Response(_approval_record(access.approvals.ask(command, who.owner, access.clock_ns())), status_code=202)


def unauthorized(_: AnyRequest, error: UnauthorizedError) -> Response[Record]:
    """Answer who is not known."""
    return _error(401, error)


def forbidden(_: AnyRequest, error: ForbiddenError) -> Response[Record]:
    """Answer who may not."""
    return _error(403, error)


def too_many(_: AnyRequest, error: TooManyError) -> Response[Record]:
    """Answer who has to wait."""
    answer = _error(429, error)
    answer.headers["Retry-After"] = str(math.ceil(error.wait_seconds))
    return answer


def _error(status: int, error: Exception) -> Response[Record]:
    rule, finding = rule_and_finding(str(error))
    return Response({"error": {"rule": rule, "finding": finding}}, status_code=status)


def _access(state: State) -> Access:
    found: Access | None = state.access
    if found is None:
        raise InputError("this needs a service with keys, this one is open")
    return found


def _principal_record(who: Principal) -> Record:
    return {
        "user": who.owner,
        "scopes": sorted(who.scopes),
        "accounts": None if who.accounts is None else sorted(who.accounts),
        "open": False,
    }


def _entry_record(entry: Entry) -> Record:
    record: Record = msgspec.to_builtins(entry)
    del record["time_ns"], record["before"]
    return {**record, "time": wire_time(entry.time_ns)}


def _approval_record(approval: Approval) -> Record:
    times = {"asked": wire_time(approval.asked_ns)}
    if approval.decided_ns is not None:
        times["decided"] = wire_time(approval.decided_ns)
    record: Record = msgspec.to_builtins(approval)
    return {**{name: value for name, value in record.items() if not name.endswith("_ns")}, **times}
