"""The clients: one that waits and one for asyncio, with the same questions; each is sent again while its no is passing."""

import asyncio
import functools
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

import httpx

from crossmargin.client import questions
from crossmargin.client.calls import Call, ServiceError
from crossmargin.client.records import AccountRow
from crossmargin.client.signing import Key

P = ParamSpec("P")
T = TypeVar("T")
Http = TypeVar("Http", httpx.Client, httpx.AsyncClient)
DEFAULT_URL = "http://127.0.0.1:8000"
ATTEMPTS = 5
LONGEST_PAUSE_S = 5.0
CSRF_COOKIE, CSRF_HEADER = "csrftoken", "X-CSRFToken"
_PASSING = (httpx.TransportError,)
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
"""Of these nothing was sent: no address, nobody there, or no TLS between the two."""


def _believed(url: str) -> ssl.SSLContext | bool:
    """Return whose certificates count: over plain HTTP nobody's, so that no list of authorities is read for it."""
    return not url.lower().startswith("http:") or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class _Sending(Generic[Http]):
    """What both clients have: where the service is, the key, how often it is asked, and their kind of connections."""

    _kind: type[Http]

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        key: Key | None = None,
        attempts: int = ATTEMPTS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.url, self.key, self.attempts = url.rstrip("/"), key, attempts
        self._http: Http = self._kind(timeout=30.0, trust_env=False, verify=tls or _believed(self.url))

    def _request(self, call: Call[T]) -> dict[str, Any]:
        headers = call.headers(self.key)
        csrf = self._http.cookies.get(CSRF_COOKIE)
        if csrf is not None:  # of a session: what changes something repeats it
            headers[CSRF_HEADER] = csrf
        return {"method": call.method, "url": f"{self.url}{call.target}", "content": call.body, "headers": headers}

    def _pause_s(self, attempt: int, error: Exception, arrived: Exception | None) -> float:
        """Return how long to wait before the next try; where there is none raise the error.

        The last of a try that may have `arrived` is raised in place of one of which nothing was sent.
        """
        is_passing = error.is_passing if isinstance(error, ServiceError) else True
        if attempt + 1 >= self.attempts or not is_passing:
            raise error if arrived is None else arrived
        asked = error.retry_after_s if isinstance(error, ServiceError) else None
        return min(0.1 * 2**attempt if asked is None else asked, LONGEST_PAUSE_S)


def _waiting(make: Callable[P, Call[T]]) -> Callable[Concatenate["Client", P], T]:
    @functools.wraps(make)
    def asked(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.ask(make(*args, **kwargs))

    return asked


def _async(make: Callable[P, Call[T]]) -> Callable[Concatenate["AsyncClient", P], Awaitable[T]]:
    @functools.wraps(make)
    async def asked(self: "AsyncClient", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.ask(make(*args, **kwargs))

    return asked


class Client(_Sending[httpx.Client]):
    """A client that waits for each answer.

    Parameters
    ----------
    url
        Of the service.
    key
        Signs every request; none for a service that is open.
    attempts
        How often a call is made whose no is passing: the service starts, is full, or cannot be reached. A command keeps its
        idempotency key, so that it counts once.
    tls
        Whom to believe over HTTPS, as `ssl.create_default_context(cafile=...)` of a house's own authority; the public
        authorities if not given.
    """

    _kind = httpx.Client

    def ask(self, call: Call[T]) -> T:
        """Return the answer to a call.

        Raises
        ------
        ServiceError
            If the service says no.
        httpx.TransportError
            If it cannot be reached; one of `UNSENT` only if nothing of any attempt was sent.
        """
        arrived: Exception | None = None
        for attempt in range(self.attempts):
            try:
                answer = self._http.request(**self._request(call))
                return call.result(answer.status_code, answer.content, answer.headers)
            except (ServiceError, *_PASSING) as error:
                arrived = arrived if isinstance(error, UNSENT) else error
                time.sleep(self._pause_s(attempt, error, arrived))
        raise AssertionError  # the last attempt raises

    def all_accounts(self, *, state: str | None = None, page: int = 500) -> Iterator[AccountRow]:
        """Yield every account, page by page."""
        cursor: str | None = None
        while True:
            found = self.ask(questions.accounts(limit=page, cursor=cursor, state=state))
            yield from found.accounts
            if found.next is None:
                return
            cursor = found.next

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    health = _waiting(questions.health)
    overview = _waiting(questions.overview)
    accounts = _waiting(questions.accounts)
    account = _waiting(questions.account)
    explain = _waiting(questions.explain)
    surface = _waiting(questions.surface)
    history = _waiting(questions.history)
    compare = _waiting(questions.compare)
    deleveraging = _waiting(questions.deleveraging)
    what_if = _waiting(questions.what_if)
    stress = _waiting(questions.stress)
    margin = _waiting(questions.margin)
    compare_book = _waiting(questions.compare_book)
    place_order = _waiting(questions.place_order)
    cancel_order = _waiting(questions.cancel_order)
    deposit = _waiting(questions.deposit)
    withdraw = _waiting(questions.withdraw)
    change_parameters = _waiting(questions.change_parameters)
    operate = _waiting(questions.operate)
    bid = _waiting(questions.bid)
    liquidations = _waiting(questions.liquidations)
    waterfall = _waiting(questions.waterfall)
    insurance = _waiting(questions.insurance)
    parameters = _waiting(questions.parameters)
    events = _waiting(questions.events)
    feeds = _waiting(questions.feeds)
    alerts = _waiting(questions.alerts)
    acknowledge = _waiting(questions.acknowledge)
    replay = _waiting(questions.replay)
    session = _waiting(questions.session)
    log_in = _waiting(questions.log_in)
    log_out = _waiting(questions.log_out)
    approvals = _waiting(questions.approvals)
    decide = _waiting(questions.decide)
    access_log = _waiting(questions.access_log)


class AsyncClient(_Sending[httpx.AsyncClient]):
    """A client for asyncio, as `Client` otherwise."""

    _kind = httpx.AsyncClient

    async def ask(self, call: Call[T]) -> T:
        """Return the answer to a call; raises as `Client.ask` does."""
        arrived: Exception | None = None
        for attempt in range(self.attempts):
            try:
                answer = await self._http.request(**self._request(call))
                return call.result(answer.status_code, answer.content, answer.headers)
            except (ServiceError, *_PASSING) as error:
                arrived = arrived if isinstance(error, UNSENT) else error
                await asyncio.sleep(self._pause_s(attempt, error, arrived))
        raise AssertionError  # the last attempt raises

    async def all_accounts(self, *, state: str | None = None, page: int = 500) -> AsyncIterator[AccountRow]:
        """Yield every account, page by page."""
        cursor: str | None = None
        while True:
            found = await self.ask(questions.accounts(limit=page, cursor=cursor, state=state))
            for each in found.accounts:
                yield each
            if found.next is None:
                return
            cursor = found.next

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.close()

    health = _async(questions.health)
    overview = _async(questions.overview)
    accounts = _async(questions.accounts)
    account = _async(questions.account)
    explain = _async(questions.explain)
    surface = _async(questions.surface)
    history = _async(questions.history)
    compare = _async(questions.compare)
    deleveraging = _async(questions.deleveraging)
    what_if = _async(questions.what_if)
    stress = _async(questions.stress)
    margin = _async(questions.margin)
    compare_book = _async(questions.compare_book)
    place_order = _async(questions.place_order)
    cancel_order = _async(questions.cancel_order)
    deposit = _async(questions.deposit)
    withdraw = _async(questions.withdraw)
    change_parameters = _async(questions.change_parameters)
    operate = _async(questions.operate)
    bid = _async(questions.bid)
    liquidations = _async(questions.liquidations)
    waterfall = _async(questions.waterfall)
    insurance = _async(questions.insurance)
    parameters = _async(questions.parameters)
    events = _async(questions.events)
    feeds = _async(questions.feeds)
    alerts = _async(questions.alerts)
    acknowledge = _async(questions.acknowledge)
    replay = _async(questions.replay)
    session = _async(questions.session)
    log_in = _async(questions.log_in)
    log_out = _async(questions.log_out)
    approvals = _async(questions.approvals)
    decide = _async(questions.decide)
    access_log = _async(questions.access_log)
