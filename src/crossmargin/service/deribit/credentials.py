"""Who calls: client credentials, signatures and tokens in Deribit's forms, each leading to an account.

What a key is, and whether a signature is true, is decided by whoever implements `Credentials`; here is only Deribit's
way of writing it down.
"""

import base64
import binascii
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from crossmargin.service.deribit.call import Params
from crossmargin.service.deribit.errors import DeribitError, Record, invalid_credentials, invalid_params, unauthorized

TOKEN_SECONDS = 900
MOST_TOKENS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Whom credentials stand for: an account, and the key by which it is asked for.

    Without a key, as in an open service, everything is allowed.
    """

    account: str
    key: str | None = None
    trades: bool = True

    @property
    def scope(self) -> str:
        """What it may do, in Deribit's words."""
        return "account:read_write trade:read_write" if self.trades else "account:read trade:read"


class Credentials(Protocol):
    """What knows the keys; `address` is where a request comes from."""

    def by_secret(self, client_id: str, secret: str, address: str) -> Grant | None:
        """Return what a key whose secret this is stands for."""

    def by_signature(
        self, client_id: str, text: bytes, signature: str, nonce: str, time_ms: int, address: str
    ) -> Grant | None:
        """Return what a key stands for that signed `text` (hexadecimal), `nonce` being new."""

    def admit(self, grant: Grant | None, method: str, params: Mapping[str, Any], address: str) -> None:
        """Let a method be asked now, by nobody in particular where `grant` is None.

        Raises
        ------
        DeribitError
            If the key has ended, may not do this, or has to wait.
        """


class NoKeys:
    """An open service: the client id is the name of the account, and anything will do for its secret."""

    def by_secret(self, client_id: str, secret: str, address: str) -> Grant | None:  # noqa: ARG002
        """Return the client id."""
        return Grant(account=client_id)

    def by_signature(
        self,
        client_id: str,
        text: bytes,  # noqa: ARG002
        signature: str,  # noqa: ARG002
        nonce: str,  # noqa: ARG002
        time_ms: int,  # noqa: ARG002
        address: str,  # noqa: ARG002
    ) -> Grant | None:
        """Return the client id."""
        return Grant(account=client_id)

    def admit(self, grant: Grant | None, method: str, params: Mapping[str, Any], address: str) -> None:
        """Let everything be asked."""


class Tokens:
    """Access and refresh tokens that were given out, and for whom; the oldest go first."""

    def __init__(self) -> None:
        self._grants: OrderedDict[str, tuple[Grant, int]] = OrderedDict()

    def issue(self, grant: Grant, now_ms: int) -> Record:
        """Return the answer of ``public/auth``."""
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._grants[access] = (grant, now_ms + 1000 * TOKEN_SECONDS)
        self._grants[refresh] = (grant, now_ms + 1000 * TOKEN_SECONDS * 96)
        while len(self._grants) > MOST_TOKENS:
            self._grants.popitem(last=False)
        return {
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": TOKEN_SECONDS,
            "scope": grant.scope,
            "token_type": "bearer",
        }

    def grant(self, token: str, now_ms: int) -> Grant | None:
        """Return what a token stands for; None once it is too old."""
        grant, until_ms = self._grants.get(token, (None, 0))
        return grant if now_ms < until_ms else None


def authenticate(params: Params, credentials: Credentials, tokens: Tokens, now_ms: int, address: str) -> Grant:
    """Return what ``public/auth`` is asked for.

    Raises
    ------
    DeribitError
        If the credentials are unknown or of a form that is not taken.
    """
    match params.text("grant_type"):
        case "client_credentials":
            found = credentials.by_secret(params.text("client_id"), params.text("client_secret"), address)
        case "client_signature":
            time_ms, nonce = params.text("timestamp"), params.text("nonce", "")
            text = f"{time_ms}\n{nonce}\n{params.text('data', '')}".encode()
            found = credentials.by_signature(
                params.text("client_id"), text, params.text("signature"), nonce, _milliseconds(time_ms), address
            )
        case "refresh_token":
            found = tokens.grant(params.text("refresh_token"), now_ms)
        case other:
            raise invalid_params(
                "grant_type", f"must be client_credentials, client_signature or refresh_token, was {other}"
            )
    if found is None:
        raise invalid_credentials()
    return found


def grant_of_header(
    header: str, credentials: Credentials, tokens: Tokens, now_ms: int, method: str, uri: str, body: bytes, address: str
) -> Grant:
    """Return what the header ``Authorization`` stands for: a bearer token, a client's secret or signature.

    A signature is over ``ts``, ``nonce``, the method, the path with its query, and the body, each with a line's end.

    Raises
    ------
    DeribitError
        If nobody is meant by it.
    """
    scheme, _, rest = header.strip().partition(" ")
    match scheme.lower():
        case "bearer":
            found = tokens.grant(rest.strip(), now_ms)
        case "basic":
            client_id, _, secret = _decoded(rest).partition(":")
            found = credentials.by_secret(client_id, secret, address)
        case "deri-hmac-sha256":
            fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
            if not {"id", "ts", "nonce", "sig"} <= set(fields):
                raise unauthorized("a signature needs id, ts, nonce and sig")
            time_ms, nonce = fields["ts"], fields["nonce"]
            text = f"{time_ms}\n{nonce}\n{method}\n{uri}\n".encode() + body + b"\n"
            found = credentials.by_signature(fields["id"], text, fields["sig"], nonce, _milliseconds(time_ms), address)
        case _:
            raise unauthorized("an authorization must be bearer, basic or deri-hmac-sha256")
    if found is None:
        raise invalid_credentials()
    return found


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise unauthorized("basic credentials must be base64") from error


def _milliseconds(text: str) -> int:
    if not text.isdecimal() or len(text) > 15:
        raise DeribitError(-32602, "Invalid params", {"param": "timestamp", "reason": "must be milliseconds"})
    return int(text)
