"""One account's answers, fetched from its venue through ccxt with a key that can only read.

Before anything else the venue is asked what the key may do; a key that may trade, transfer or withdraw is refused, and so
is one of which the venue does not say. ccxt signs and sends; the answers stay in the venue's own words.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from crossmargin.errors import InputError
from crossmargin.feeds.credentials import Credentials

PAGES = 50
"""A list longer than so many pages is refused rather than cut."""

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request: ccxt's section of the venue's interface, and the path with its parameters."""

    path: str
    section: str = "private"
    method: str = "GET"
    parameters: tuple[tuple[str, str], ...] = ()
    cursor: str | None = None
    """Parameter that asks for the next page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveVenue:
    """What a venue needs of a reader, how its key's rights are asked for, and which answers state an account."""

    credentials: tuple[str, ...]
    calls: tuple[Call, ...]
    rights: Callable[["Session"], Iterator[str]] | None
    """Yield what the key may do beyond reading; None where there is no key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A venue's client and the credentials behind it."""

    venue: str
    client: Any
    credentials: Credentials

    def ask(self, call: Call, **more: str) -> object:
        """Return the decoded answer to one request.

        Raises
        ------
        InputError
            If the venue refuses or does not answer; secrets and queries are hidden in the message.
        """
        import ccxt

        try:
            return self.client.request(call.path, call.section, call.method, {**dict(call.parameters), **more})
        except ccxt.BaseError as error:
            said = self.credentials.without(str(error))
            raise InputError(f"{self.venue} must answer {call.path}: {type(error).__name__}: {said}") from None

    def record(self, call: Call, **more: str) -> Answer:
        """Return the answer to one request, which must be an object."""
        answer = self.ask(call, **more)
        if not isinstance(answer, dict):
            raise InputError(f"{self.venue} must answer {call.path} with an object, was {type(answer).__name__}")
        return answer


def live_answers(venue: str, credentials: Credentials, endpoint: str | None = None) -> dict[str, Any]:
    """Return the answers that state one account, by the path that each was asked at.

    Parameters
    ----------
    venue
        One of `LIVE_VENUES`.
    endpoint
        Scheme and host instead of the venue's own, such as those of its test network.

    Raises
    ------
    InputError
        If ccxt is not installed, the key may do more than read, or the venue does not answer.
    """
    if venue not in LIVE_VENUES:
        raise InputError(f"a venue of a live import must be one of {', '.join(LIVE_VENUES)}, was {venue!r}")
    session = Session(venue=venue, client=_client(venue, credentials, endpoint), credentials=credentials)
    rules = LIVE_VENUES[venue]
    may = [] if rules.rights is None else list(rules.rights(session))
    if may:
        raise InputError(f"a key of a live import must only read, this one of {venue} may {', '.join(may)}")
    answers = {}
    for call in rules.calls:
        name = " ".join([call.path, *(f"{value}" for _, value in call.parameters if value != credentials.wallet)])
        for page, answer in enumerate(_pages(session, call), start=1):
            answers[name if page == 1 else f"{name} page {page}"] = answer
    return answers


def _pages(session: Session, call: Call) -> Iterator[object]:
    if session.credentials.wallet:
        yield session.ask(call, user=session.credentials.wallet)
        return
    if call.cursor is None:
        yield session.ask(call)
        return
    following: dict[str, str] = {}
    for _ in range(PAGES):
        answer = session.record(call, **following)
        yield answer
        beyond = _next(answer)
        if not beyond:
            return
        following = {call.cursor: beyond}
    raise InputError(f"an answer may have {PAGES} pages, {session.venue} has more of {call.path}")


def _next(answer: Answer) -> str:
    """Where the next page begins: Bybit says so; OKX goes on after the last order of a full page of 100."""
    if isinstance(answer.get("result"), Mapping):
        return str(answer["result"].get("nextPageCursor") or "")
    rows = answer.get("data") or []
    return str(rows[-1].get("ordId", "")) if len(rows) == 100 else ""


def _client(venue: str, credentials: Credentials, endpoint: str | None) -> Any:  # noqa: ANN401  (ccxt has no types)
    try:
        import ccxt
    except ImportError:
        raise InputError("a live import needs ccxt: pip install 'crossmargin[live]'") from None
    client = getattr(ccxt, venue)(
        {
            "apiKey": credentials.key,
            "secret": credentials.secret,
            "password": credentials.passphrase,
            "walletAddress": credentials.wallet,
            "enableRateLimit": True,
            "timeout": 20_000,
        }
    )
    if endpoint is not None:
        client.urls["api"] = _elsewhere(client.urls["api"], endpoint)
    return client


def _elsewhere(addresses: object, endpoint: str) -> object:
    if isinstance(addresses, Mapping):
        return {name: _elsewhere(address, endpoint) for name, address in addresses.items()}
    host = urlsplit(endpoint)
    if host.scheme not in ("http", "https") or not host.netloc:
        raise InputError(f"an endpoint must be http or https and a host, was {endpoint!r}")
    return urlunsplit((host.scheme, host.netloc, urlsplit(str(addresses)).path, "", ""))


def _binance_rights(session: Session) -> Iterator[str]:
    # every flag that is on counts, but for those that read: a right that Binance adds is refused until it is known here
    reads = {"enableReading", "enableFixReadOnly"}
    answer = session.record(Call(section="sapi", path="account/apiRestrictions"))
    flags = {name: value for name, value in answer.items() if name.startswith(("enable", "permits"))}
    if "enableWithdrawals" not in flags:
        yield "do what the venue does not say"
    for name, value in flags.items():
        if name not in reads and str(value).lower() != "false":
            yield name


def _okx_rights(session: Session) -> Iterator[str]:
    answer = session.record(Call(path="account/config"))
    rights = str(answer["data"][0].get("perm", "") if answer.get("data") else "").split(",")
    yield from (right or "do what the venue does not say" for right in map(str.strip, rights) if right != "read_only")


def _bybit_rights(session: Session) -> Iterator[str]:
    answer = session.record(Call(path="v5/user/query-api"))
    result = answer.get("result") or {}
    if str(result.get("readOnly")) == "1":
        return
    named = [f"{group} {right}" for group, rights in (result.get("permissions") or {}).items() for right in rights]
    yield from named or ["do what the venue does not say"]


def _deribit_rights(session: Session) -> Iterator[str]:
    """Ask for a token by signature, which does not send the secret; its scope is the most that the key may do."""
    client, credentials = session.client, session.credentials
    timestamp, nonce = str(client.milliseconds()), str(client.nonce())
    signed = hmac.new(credentials.secret.encode(), f"{timestamp}\n{nonce}\n".encode(), hashlib.sha256).hexdigest()
    answer = session.record(
        Call(section="public", path="auth"),
        grant_type="client_signature",
        client_id=credentials.key,
        timestamp=timestamp,
        nonce=nonce,
        signature=signed,
    )
    scopes = str((answer.get("result") or {}).get("scope", "")).split()
    rights = dict(scope.split(":", 1) for scope in scopes if ":" in scope)
    if "account" not in rights:
        yield "do what the venue does not say"
    yield from (f"{name}:{right}" for name, right in rights.items() if right == "read_write")


def _bybit_calls(path: str) -> tuple[Call, ...]:
    groups = (("linear", "USDT"), ("linear", "USDC"), ("inverse", ""), ("option", ""))
    return tuple(
        Call(
            path=path,
            parameters=(("category", category), *((("settleCoin", coin),) if coin else ()), ("limit", "50")),
            cursor="cursor",
        )
        for category, coin in groups
    )


LIVE_VENUES: dict[str, LiveVenue] = {
    "binance": LiveVenue(
        credentials=("key", "secret"),
        rights=_binance_rights,
        calls=(
            Call(section="fapiPrivateV2", path="account"),
            Call(section="fapiPrivate", path="openOrders"),
        ),
    ),
    "bybit": LiveVenue(
        credentials=("key", "secret"),
        rights=_bybit_rights,
        calls=(
            Call(path="v5/account/wallet-balance", parameters=(("accountType", "UNIFIED"),)),
            *_bybit_calls("v5/position/list"),
            *_bybit_calls("v5/order/realtime"),
        ),
    ),
    "deribit": LiveVenue(
        credentials=("key", "secret"),
        rights=_deribit_rights,
        calls=(
            Call(path="get_account_summaries", parameters=(("extended", "true"),)),
            Call(path="get_positions", parameters=(("currency", "any"),)),
            Call(path="get_open_orders"),
        ),
    ),
    "hyperliquid": LiveVenue(
        credentials=("wallet",),
        rights=None,
        calls=(
            Call(section="public", method="POST", path="info", parameters=(("type", "clearinghouseState"),)),
            Call(section="public", method="POST", path="info", parameters=(("type", "frontendOpenOrders"),)),
        ),
    ),
    "okx": LiveVenue(
        credentials=("key", "secret", "passphrase"),
        rights=_okx_rights,
        calls=(
            Call(path="account/balance"),
            Call(path="account/positions"),
            Call(path="trade/orders-pending", parameters=(("limit", "100"),), cursor="after"),
        ),
    ),
}
