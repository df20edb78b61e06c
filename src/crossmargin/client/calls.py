"""A call: what is asked of the service, and of which kind the answer is; sending it is the clients' part."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from crossmargin.client import records as are
from crossmargin.client.signing import Key
from crossmargin.errors import CrossMarginError

T = TypeVar("T")
API = "/api/v1"


class ServiceError(CrossMarginError):
    """The service said no: the rule, then the finding."""

    def __init__(self, status: int, rule: str, finding: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{rule}, {finding}" if finding else rule)
        self.status, self.rule, self.finding, self.retry_after_s = status, rule, finding, retry_after_s

    @property
    def is_passing(self) -> bool:
        """Whether the same call may be answered later: the service starts, is full, or asks to wait."""
        return self.status in (429, 503)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """A request, and the type of its answer."""

    method: str
    path: str
    answer: type[T]
    query: str = ""
    body: bytes = b""
    idempotency_key: str = ""

    @property
    def target(self) -> str:
        """Path and query, as they are sent and signed."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def headers(self, key: Key | None) -> dict[str, str]:
        """Return the headers; signed anew each time it is sent, for a nonce counts once."""
        found = {} if key is None else key.headers(self.method, self.path, self.query, self.body, self.idempotency_key)
        if self.body:
            found["Content-Type"] = "application/json"
        if self.idempotency_key:
            found["Idempotency-Key"] = self.idempotency_key
        return found

    def result(self, status: int, content: bytes, headers: Mapping[str, str]) -> T:
        """Return the answer.

        Raises
        ------
        ServiceError
            If it is a no, or none that this client understands.
        """
        # of a service that has failed `/health` still tells, with a status of its own
        if status >= 400 and not (self.answer is are.Health and status == 503):
            raise _error(status, content, headers)
        try:
            if status == 202 and self.answer is are.Done:
                return msgspec.convert(are.Done(approval=msgspec.json.decode(content)["id"]), self.answer)
            return msgspec.json.decode(content, type=self.answer)
        except (msgspec.MsgspecError, KeyError, TypeError) as error:
            raise ServiceError(status, "an answer must be of its kind", str(error)) from error


def _error(status: int, content: bytes, headers: Mapping[str, str]) -> ServiceError:
    after = headers.get("Retry-After", "")
    retry_after_s = float(after) if after.isdecimal() else None
    try:
        said = msgspec.json.decode(content)["error"]
        return ServiceError(status, str(said["rule"]), str(said["finding"]), retry_after_s)
    except (msgspec.MsgspecError, KeyError, TypeError):
        # a proxy's page, or nothing
        return ServiceError(status, "the service must answer", f"got {status}", retry_after_s)


def get(path: str, answer: type[T], query: Mapping[str, object] | None = None) -> Call[T]:
    """Return a question; what is None is not asked."""
    given = {name: str(value) for name, value in (query or {}).items() if value is not None}
    return Call(method="GET", path=path, answer=answer, query=urlencode(given))


def post(path: str, answer: type[T], body: object = None) -> Call[T]:
    """Return a question with a body."""
    return Call(method="POST", path=path, answer=answer, body=msgspec.json.encode(body))


def command(path: str, body: Mapping[str, object], key: str | None, method: str = "POST") -> Call[are.Done]:
    """Return a command; sent again under the same key it counts once."""
    given = {name: value for name, value in body.items() if value is not None}
    return Call(
        method=method, path=path, answer=are.Done, idempotency_key=key or secrets.token_hex(16),
        body=msgspec.json.encode(given) if method == "POST" else b"",
    )  # fmt: skip


def of_account(account: str, *rest: str) -> str:
    """Return the path of something of an account.

    >>> of_account("desk/1", "explain")
    '/api/v1/accounts/desk%2F1/explain'
    """
    return "/".join([f"{API}/accounts", *(quote(part, safe="") for part in (account, *rest))])
