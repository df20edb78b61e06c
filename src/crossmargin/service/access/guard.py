"""The guard before every route: who asks, whether he may, whether it is his turn; what was decided goes to the log."""

import hashlib
import logging
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from litestar.connection import ASGIConnection, Request
from litestar.handlers import BaseRouteHandler

from crossmargin.errors import InputError
from crossmargin.service.access.approvals import Approvals
from crossmargin.service.access.audit import AuditLog
from crossmargin.service.access.keys import KeyStore, master_key
from crossmargin.service.access.origins import require_own_site
from crossmargin.service.access.rate_limits import Rate, RateLimits
from crossmargin.service.access.roles import ForbiddenError, Lane, Principal, UnauthorizedError
from crossmargin.service.access.routes import RULES, Bound, Rule
from crossmargin.service.access.sessions import CSRF_HEADER, SESSION_COOKIE, Sessions
from crossmargin.service.access.signatures import Nonces, SignedRequest
from crossmargin.service.access.users import UserStore

_LOG = logging.getLogger(__name__)
HEADER = "x-crossmargin-"
READS = frozenset({"GET", "HEAD", "WEBSOCKET"})
CALLER = Rate(per_second=200, burst=1_000)
COMMON = Rate(per_second=5_000, burst=10_000)
FAILURES = Rate(per_second=0.2, burst=20)
"""Wrong signatures and passwords of one address; those beyond are not even written to the log."""
Connection = ASGIConnection[Any, Any, Any, Any]


class Access:
    """Keys, users, sessions, approvals, limits and the log of one service, in its folder.

    Parameters
    ----------
    withdrawal_limits
        See `Approvals`.
    clock_ns, monotonic
        The time, in nanoseconds UTC, and seconds that never go back.
    """

    def __init__(
        self,
        folder: Path,
        *,
        withdrawal_limits: dict[str, Decimal] | None = None,
        caller: Rate = CALLER,
        common: Rate = COMMON,
        clock_ns: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        path = folder / "access.sqlite"
        self.keys = KeyStore(path, master_key(folder))
        self.users = UserStore(path)
        self.sessions = Sessions(self.users)
        self.approvals = Approvals(path, withdrawal_limits or {})
        self.log = AuditLog(path)
        self.log_finding: str | None = None
        """What `look_at_log` found wrong."""
        self.limits = RateLimits(caller=caller, common=common)
        self.failures = RateLimits(caller=FAILURES, common=Rate(per_second=1_000, burst=10_000))
        self.clock_ns, self.monotonic = clock_ns, monotonic
        self.nonces = Nonces(clock_ns() // 1_000_000)

    def look_at_log(self) -> None:
        """Look at the log's newest entries and tell where one was altered; whoever runs the service decides what follows.

        It serves all the same: were it to stay down, whoever can write the file could keep it down.
        """
        self.log_finding = self.log.finding()
        if self.log_finding is not None:
            _LOG.warning("%s", self.log_finding)

    async def admit(self, connection: Connection, method: str, rule: Rule) -> Principal | None:
        """Return who asks, None where anybody may.

        Raises
        ------
        UnauthorizedError, ForbiddenError, TooManyError
            If nobody is known, he may not, or has to wait.
        """
        address = address_of(connection)
        if rule.scope is None:
            self.limits.take(f"address:{address}", Lane.ORDINARY, rule.weight, self.monotonic())
            return None
        try:
            who = await self._identified(connection, method)
        except UnauthorizedError:
            self.failed(connection, "refused: unknown")
            raise
        self.limits.take(f"owner:{who.owner}", who.lane, rule.weight, self.monotonic())
        try:
            who.require(rule.scope)
            await _require_bound(connection, who, rule)
        except (ForbiddenError, InputError) as error:
            await self.note(connection, who, f"refused: {error}")
            raise
        if method not in READS:
            await self.note(connection, who, "allowed")
        return who

    async def _identified(self, connection: Connection, method: str) -> Principal:
        keyed = connection.headers.getall(f"{HEADER}key", [])
        if not keyed:
            token = connection.cookies.get(SESSION_COOKIE)
            csrf = connection.headers.get(CSRF_HEADER)
            now = self.monotonic()
            found = None if token is None else self.sessions.principal(token, csrf, now, changes=method not in READS)
            if found is None:
                raise UnauthorizedError
            return found
        request = SignedRequest(
            method=method,
            path=path_as_sent(connection),
            query=connection.scope["query_string"].decode("latin-1"),
            body=await _body(connection),
            idempotency_key=_single(connection, "idempotency-key", ""),
            time_ms=_milliseconds(_single(connection, f"{HEADER}timestamp")),
            nonce=_single(connection, f"{HEADER}nonce"),
        )
        key_id = _single(connection, f"{HEADER}key")
        key = self.keys.signed(key_id, request.text(), _single(connection, f"{HEADER}signature"))
        if key is None or not key.allows(address_of(connection)):
            raise UnauthorizedError
        # only a true signature uses up a nonce
        now_ms = self.clock_ns() // 1_000_000
        if not self.nonces.take(key.id, request.nonce, request.time_ms, now_ms, ordered=key.ordered):
            raise UnauthorizedError
        return key.principal()

    def still_knows(self, connection: Connection) -> bool:
        """Whether who was admitted to a connection would be admitted still; that it is open counts as use of a session."""
        who = caller(connection)
        if who is None:
            return False
        if who.via == "session":
            token = connection.cookies.get(SESSION_COOKIE, "")
            return self.sessions.principal(token, None, self.monotonic(), changes=False) == who
        key = self.keys.live(who.via.removeprefix("key:"))
        return key is not None and key.principal() == who

    def failed(self, connection: Connection, decision: str, who: str = "unknown") -> None:
        """Write down that somebody was not let in; who tries too often is told to wait instead."""
        address = address_of(connection)
        self.failures.take(address, Lane.OPERATORS, 1, self.monotonic())
        # of what it carried nothing is written: a secret may have been put in the wrong place
        self.log.append(time_ns=self.clock_ns(), who=who, via="unknown", address=address,
                        action=f"{method_of(connection)} {connection.scope['path_template']}", decision=decision)  # fmt: skip

    async def note(self, connection: Connection, who: Principal, decision: str) -> None:
        """Write down who asked for what, before it is done: a death in between hides nothing."""
        detail = f"body {hashlib.sha256(await _body(connection)).hexdigest()}"
        key = connection.headers.get("idempotency-key")
        if key is not None:
            detail += f", idempotency key {hashlib.sha256(key.encode()).hexdigest()[:16]}"
        self.log.append(time_ns=self.clock_ns(), who=who.owner, via=who.via, address=address_of(connection),
                        action=_action(connection), detail=detail, decision=decision)  # fmt: skip

    def close(self) -> None:
        """Let go of the files."""
        for each in (self.keys, self.users, self.approvals, self.log):
            each.close()


def configured(folder: Path, *, withdrawal_limits: dict[str, Decimal]) -> Access:
    """Return the access of a service, refused while nobody could get in.

    Raises
    ------
    InputError
        If there is no live key, and no user.
    """
    if not (folder / "access.sqlite").exists():
        raise InputError(
            "a service must have a key or a user, or be open to this machine alone (--open),"
            f" found neither in {folder}: see crossmargin keys create, users set"
        )
    access = Access(folder, withdrawal_limits=withdrawal_limits)
    lets_in = any(key.revoked_ns is None for key in access.keys.all())
    if not lets_in and all(user.disabled for user in access.users.users()):
        access.close()
        raise InputError(f"a service must have a live key or user, {folder} has none: see crossmargin keys create")
    return access


async def guard(connection: Connection, _: BaseRouteHandler) -> None:
    """Stand before a route."""
    await admitted(connection)


async def admitted(connection: Connection) -> None:
    """Admit a request or refuse it; a service without access is open."""
    headers = connection.headers
    require_own_site(
        connection.scope["path"], headers.get("host", ""), headers.get("origin"), headers.get("sec-fetch-site")
    )
    access: Access | None = connection.app.state.access
    method = method_of(connection)
    if access is None or method == "OPTIONS":
        return
    rule = RULES.get((method, connection.scope["path_template"]))
    if rule is None:  # the table was checked when the application was built
        raise UnauthorizedError
    connection.scope["user"] = await access.admit(connection, method, rule)


def method_of(connection: Connection) -> str:
    """Return the method as the table of routes names it."""
    return str(connection.method) if isinstance(connection, Request) else "WEBSOCKET"


def address_of(connection: Connection) -> str:
    """Return the address that the request comes from."""
    return connection.client.host if connection.client is not None else "unknown"


def path_as_sent(connection: Connection) -> str:
    """Return the path byte for byte as it was asked for, without the query, which some servers leave in it."""
    return connection.scope["raw_path"].partition(b"?")[0].decode("latin-1")


def caller(connection: Connection) -> Principal | None:
    """Return who was admitted; None where the service is open or the route public."""
    found: Principal | None = connection.scope.get("user")
    return found


async def _require_bound(connection: Connection, who: Principal, rule: Rule) -> None:
    match rule.bound:
        case Bound.PATH:
            who.require_account(str(connection.path_params["name"]))
        case Bound.BODY:
            try:
                # as the route reads it: of a field that is there twice, both take the last
                body = msgspec.json.decode(await _body(connection), type=dict[str, Any])
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise InputError("a body must be a JSON object, this one was not") from error
            who.require_account(str(body.get("account")))
        case Bound.HOUSE if who.accounts is not None:
            raise ForbiddenError("this is for who is bound to all accounts, the caller is bound to some")
        case _:
            pass


async def _body(connection: Connection) -> bytes:
    return await connection.body() if isinstance(connection, Request) else b""


def _action(connection: Connection) -> str:
    return f"{method_of(connection)} {connection.scope['path_template']} {msgspec.to_builtins(connection.path_params)}"


def _single(connection: Connection, name: str, default: str | None = None) -> str:
    values = connection.headers.getall(name, [] if default is None else [default])
    if len(values) != 1 or not values[0].isascii():
        raise UnauthorizedError
    return str(values[0])


def _milliseconds(text: str) -> int:
    if not text.isdecimal() or len(text) > 15:
        raise UnauthorizedError
    return int(text)
