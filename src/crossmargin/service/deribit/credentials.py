"""Who calls: client credentials, signatures and tokens in Deribit's forms, each leading to an account.

What a key is, and whether a signature is true, is decided by whoever implements `Credentials`; here is only Deribit's
way of writing it down.
"""

import base64
import binascii
import secrets
from collections import OrderedDict
from typing import Protocol

from crossmargin.service.deribit.call import Params
from crossmargin.service.deribit.errors import DeribitError, Record, invalid_credentials, invalid_params, unauthorized

TOKEN_SECONDS = 900
MOST_TOKENS = 100_000
SCOPE = "account:read_write trade:read_write"


class Credentials(Protocol):
    """What knows the keys."""

    def by_secret(self, client_id: str, secret: str) -> str | None:
        """Return the account of a key whose secret this is."""

    def by_signature(self, client_id: str, text: bytes, signature: str, nonce: str, time_ms: int) -> str | None:
        """Return the account of a key that signed `text` by HMAC-SHA-256 (hexadecimal), `nonce` being new."""


class NoKeys:
    """While requests carry no keys: the client id is the name of the account, and anything will do for its secret."""

    def by_secret(self, client_id: str, secret: str) -> str | None:  # noqa: ARG002
        """Return the client id."""
        return client_id

    def by_signature(self, client_id: str, text: bytes, signature: str, nonce: str, time_ms: int) -> str | None:  # noqa: ARG002
        """Return the client id."""
        return client_id


class Tokens:
    """Access and refresh tokens that were given out, and for whom; the oldest go first."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def issue(self, account: str, now_ms: int) -> Record:
        """Return the answer of ``public/auth``."""
        access, refresh = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        self._accounts[access] = (account, now_ms + 1000 * TOKEN_SECONDS)
        self._accounts[refresh] = (account, now_ms + 1000 * TOKEN_SECONDS * 96)
        while len(self._accounts) > MOST_TOKENS:
            self._accounts.popitem(last=False)
        return {
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": TOKEN_SECONDS,
            "scope": SCOPE,
            "token_type": "bearer",
        }

    def account(self, token: str, now_ms: int) -> str | None:
        """Return whom a token was given to; None once it is too old."""
        account, until_ms = self._accounts.get(token, ("", 0))
        return account if now_ms < until_ms else None

    def forget(self, account: str) -> None:
        """Take back every token of an account."""
        for token in [token for token, (owner, _) in self._accounts.items() if owner == account]:
            del self._accounts[token]


def authenticate(params: Params, credentials: Credentials, tokens: Tokens, now_ms: int) -> str:
    """Return the account that ``public/auth`` is asked for.

    Raises
    ------
    DeribitError
        If the credentials are unknown or of a form that is not taken.
    """
    match params.text("grant_type"):
        case "client_credentials":
            found = credentials.by_secret(params.text("client_id"), params.text("client_secret"))
        case "client_signature":
            time_ms, nonce = params.text("timestamp"), params.text("nonce", "")
            text = f"{time_ms}\n{nonce}\n{params.text('data', '')}".encode()
            found = credentials.by_signature(
                params.text("client_id"), text, params.text("signature"), nonce, _milliseconds(time_ms)
            )
        case "refresh_token":
            found = tokens.account(params.text("refresh_token"), now_ms)
        case other:
            raise invalid_params(
                "grant_type", f"must be client_credentials, client_signature or refresh_token, was {other}"
            )
    if found is None:
        raise invalid_credentials()
    return found


def account_of_header(
    header: str, credentials: Credentials, tokens: Tokens, now_ms: int, method: str, uri: str, body: bytes
) -> str:
    """Return the account that the header ``Authorization`` stands for: a bearer token, a client's secret or signature.

    A signature is over ``ts``, ``nonce``, the method, the path with its query, and the body, each with a line's end.

    Raises
    ------
    DeribitError
        If nobody is meant by it.
    """
    scheme, _, rest = header.strip().partition(" ")
    match scheme.lower():
        case "bearer":
            found = tokens.account(rest.strip(), now_ms)
        case "basic":
            client_id, _, secret = _decoded(rest).partition(":")
            found = credentials.by_secret(client_id, secret)
        case "deri-hmac-sha256":
            fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
            if not {"id", "ts", "nonce", "sig"} <= set(fields):
                raise unauthorized("a signature needs id, ts, nonce and sig")
            time_ms, nonce = fields["ts"], fields["nonce"]
            text = f"{time_ms}\n{nonce}\n{method}\n{uri}\n".encode() + body + b"\n"
            found = credentials.by_signature(fields["id"], text, fields["sig"], nonce, _milliseconds(time_ms))
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
