"""Our keys behind Deribit's ways of naming a caller: client credentials, signatures, and the tokens they lead to.

A client id is the id of a key that is bound to one account, or ``<key>@<account>`` where it is bound to several.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from crossmargin.service.access.guard import Access
from crossmargin.service.access.keys import ApiKey
from crossmargin.service.access.roles import Lane, Scope
from crossmargin.service.deribit.connection import KEEP
from crossmargin.service.deribit.credentials import Grant
from crossmargin.service.deribit.errors import forbidden, unauthorized

CHANGES = ("private/buy", "private/sell", "private/cancel", "private/enable_cancel_on_disconnect")
"""Methods that need the scope trade, by how their names begin."""
WEIGHTS = {"public/auth": 5.0, "private/pme/simulate": 20.0, "private/simulate_portfolio": 10.0}
"""Of methods that do not weigh 1."""


class KeyCredentials:
    """Keys of ours as `crossmargin.service.deribit.credentials.Credentials`."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def by_secret(self, client_id: str, secret: str, address: str) -> Grant | None:
        """Return what a key whose secret this is stands for."""
        key_id, _, account = client_id.partition("@")
        return self._grant(self._access.keys.with_secret(key_id, secret), account, address)

    def by_signature(
        self, client_id: str, text: bytes, signature: str, nonce: str, time_ms: int, address: str
    ) -> Grant | None:
        """Return what a key stands for that signed `text`, within the window and with a new nonce."""
        key_id, _, account = client_id.partition("@")
        key = self._access.keys.signed(key_id, text, signature)
        now_ms = self._access.clock_ns() // 1_000_000
        if key is not None and not self._access.nonces.take(key.id, nonce, time_ms, now_ms, ordered=key.ordered):
            key = None
        return self._grant(key, account, address)

    def admit(self, grant: Grant | None, method: str, params: Mapping[str, Any], address: str) -> None:
        """Let a method be asked now.

        Raises
        ------
        DeribitError
            If the key has ended, lacks a scope, or may not come from here.
        TooManyError
            If it has to wait.
        """
        access = self._access
        weight = WEIGHTS.get(method, 1.0)
        if grant is None:
            if method != KEEP:
                access.limits.take(f"address:{address}", Lane.ORDINARY, weight, access.monotonic())
            return
        key = access.keys.live(grant.key or "")
        if key is None or not key.allows(address) or _account(key, grant.account) is None:
            raise unauthorized("the key has ended, or may not come from here")
        if method == KEEP:
            return
        who = key.principal()
        access.limits.take(f"owner:{who.owner}", who.lane, weight, access.monotonic())
        changes = method.startswith(CHANGES)
        refused = changes and Scope.TRADE not in key.scopes
        if changes or method == "public/auth":
            digest = hashlib.sha256(msgspec.json.encode(params, order="deterministic")).hexdigest()
            access.log.append(time_ns=access.clock_ns(), who=who.owner, via=who.via, address=address,
                              action=f"deribit {method} {grant.account}", detail=f"params {digest}",
                              decision="refused: scope" if refused else "allowed")  # fmt: skip
        if refused:
            raise forbidden("this needs the scope trade")

    def _grant(self, key: ApiKey | None, named: str, address: str) -> Grant | None:
        account = None if key is None else _account(key, named)
        if key is None or account is None or not key.allows(address) or Scope.READ not in key.scopes:
            # who tries too often is told to wait, and no longer written down
            self._access.failures.take(address, Lane.OPERATORS, 1, self._access.monotonic())
            self._access.log.append(time_ns=self._access.clock_ns(), who="unknown", via="unknown", address=address,
                                    action="deribit authentication", decision="refused: unknown")  # fmt: skip
            return None
        return Grant(account=account, key=key.id, trades=Scope.TRADE in key.scopes)


def _account(key: ApiKey, named: str) -> str | None:
    """Return the account that a client id means, if the key is bound to it."""
    if named:
        return named if key.principal().may_touch(named) else None
    return next(iter(key.accounts)) if key.accounts is not None and len(key.accounts) == 1 else None
