"""Scopes, roles, and a principal: who asks, what he may do, and to which accounts."""

from dataclasses import dataclass
from enum import StrEnum

from crossmargin.errors import CrossMarginError, InputError


class Scope(StrEnum):
    """One kind of thing that may be done."""

    READ = "read"
    TRADE = "trade"
    WITHDRAW = "withdraw"
    RISK = "risk"
    ADMIN = "admin"


ROLES: dict[str, frozenset[Scope]] = {
    "viewer": frozenset({Scope.READ}),
    "trader": frozenset({Scope.READ, Scope.TRADE}),
    "treasurer": frozenset({Scope.READ, Scope.WITHDRAW}),
    "risk": frozenset({Scope.READ, Scope.RISK}),
    "admin": frozenset({Scope.READ, Scope.RISK, Scope.ADMIN}),
}
"""What a user of the dashboard may do. Nobody who administers may also trade or withdraw."""


class Lane(StrEnum):
    """Whose requests still pass when the service is full: later ones before earlier ones."""

    ORDINARY = "ordinary"
    LIQUIDATION = "liquidation"
    OPERATORS = "operators"


class UnauthorizedError(CrossMarginError):
    """Nobody is known by what the request carries; it never says which part was wrong."""

    def __init__(self) -> None:
        super().__init__("a request must be signed by a live key or carry a session, this one was neither")


class ForbiddenError(CrossMarginError):
    """The principal is known, and may not do this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks.

    Parameters
    ----------
    owner
        The person or desk behind it; four eyes are two owners, not two keys of one.
    via
        ``key:<id>`` or ``session``.
    accounts
        Accounts that it may see and touch; None are all.

    Examples
    --------
    >>> alice = Principal(owner="alice", via="key:1", scopes=frozenset({Scope.READ}), accounts=frozenset({"a"}))
    >>> alice.may_touch("a"), alice.may_touch("b"), alice.lane
    (True, False, <Lane.ORDINARY: 'ordinary'>)
    """

    owner: str
    via: str
    scopes: frozenset[Scope]
    accounts: frozenset[str] | None
    lane: Lane = Lane.ORDINARY

    def may_touch(self, account: str) -> bool:
        """Whether the account is among its own."""
        return self.accounts is None or account in self.accounts

    def require(self, scope: Scope) -> None:
        """Refuse who lacks the scope."""
        if scope not in self.scopes:
            raise ForbiddenError(f"this needs the scope {scope}, the caller's are {', '.join(sorted(self.scopes))}")

    def require_account(self, account: str) -> None:
        """Refuse who is not bound to the account; the answer is the same whether there is one or not."""
        if not self.may_touch(account):
            raise ForbiddenError("an account must be one that the caller is bound to, this one is not")


def parsed_scopes(names: list[str]) -> frozenset[Scope]:
    """Return the scopes of these names, at least one."""
    if not names or set(names) - set(Scope):
        raise InputError(f"scopes must be some of {', '.join(Scope)}, were {', '.join(names) or 'none'}")
    return frozenset(Scope(name) for name in names)
