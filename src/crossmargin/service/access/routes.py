"""The table of routes: what each needs, on whose account it acts, what it weighs. A route that is not here does not exist.

The application refuses to be built with a route that the table lacks; tests generate the matrix of every route and
every role from it.
"""

from dataclasses import dataclass
from enum import StrEnum

from litestar import Litestar
from litestar.routes import HTTPRoute, WebSocketRoute

from crossmargin.errors import InvariantError
from crossmargin.service.access.roles import Scope


class Bound(StrEnum):
    """How a route is tied to accounts."""

    NONE = "none"
    """It tells nothing of any account."""
    PATH = "path"
    """Of the account in its path."""
    BODY = "body"
    """Of the account that its body names."""
    OWN = "own"
    """Its answer holds the caller's accounts only."""
    HOUSE = "house"
    """Of all accounts: only for who is bound to all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a request needs. Without a scope it is public, and asked by nobody in particular."""

    scope: Scope | None
    bound: Bound = Bound.NONE
    weight: float = 1.0


PUBLIC = Rule(scope=None)
INSIDE = Rule(scope=None, weight=0.1)
"""Admitted, and weighed, method by method behind the route."""
_READ, _RISK, _ADMIN = Scope.READ, Scope.RISK, Scope.ADMIN
API = "/api/v1"
RULES: dict[tuple[str, str], Rule] = {
    ("GET", "/health"): PUBLIC,
    # sums over all accounts; Prometheus, which signs nothing, has a port of its own
    ("GET", "/metrics"): Rule(scope=_READ, bound=Bound.HOUSE),
    # the dashboard's files; it then asks as its user
    ("GET", "/"): PUBLIC,
    ("GET", "/{file_path}"): PUBLIC,
    ("HEAD", "/{file_path}"): PUBLIC,
    # Deribit's methods name their caller in their own way: see `crossmargin.service.access.deribit`
    ("GET", "/api/v2/{method}"): INSIDE,
    ("POST", "/api/v2/{method}"): INSIDE,
    ("POST", "/api/v2"): INSIDE,
    ("WEBSOCKET", "/ws/api/v2"): PUBLIC,
    ("POST", f"{API}/session"): PUBLIC,
    ("GET", f"{API}/session"): Rule(scope=_READ),
    ("DELETE", f"{API}/session"): Rule(scope=_READ),
    ("GET", f"{API}/overview"): Rule(scope=_READ, bound=Bound.HOUSE, weight=5),
    ("GET", f"{API}/accounts"): Rule(scope=_READ, bound=Bound.OWN, weight=5),
    ("GET", f"{API}/accounts/{{name}}"): Rule(scope=_READ, bound=Bound.PATH),
    ("GET", f"{API}/accounts/{{name}}/explain"): Rule(scope=_READ, bound=Bound.PATH, weight=2),
    ("GET", f"{API}/accounts/{{name}}/surface"): Rule(scope=_READ, bound=Bound.PATH, weight=10),
    ("GET", f"{API}/accounts/{{name}}/compare"): Rule(scope=_READ, bound=Bound.PATH, weight=20),
    ("POST", f"{API}/accounts/{{name}}/what-if"): Rule(scope=_READ, bound=Bound.PATH, weight=2),
    ("POST", f"{API}/stress"): Rule(scope=_RISK, bound=Bound.HOUSE, weight=20),
    ("GET", f"{API}/{{what}}"): Rule(scope=_READ, bound=Bound.HOUSE, weight=5),
    ("GET", f"{API}/feeds"): Rule(scope=_READ),
    ("GET", f"{API}/accounts/{{name}}/history"): Rule(scope=_READ, bound=Bound.PATH, weight=5),
    ("GET", f"{API}/liquidations"): Rule(scope=_READ, bound=Bound.HOUSE, weight=5),
    ("GET", f"{API}/insurance"): Rule(scope=_READ, bound=Bound.HOUSE, weight=5),
    ("GET", f"{API}/accounts/{{name}}/deleveraging"): Rule(scope=_READ, bound=Bound.PATH, weight=5),
    ("DELETE", f"{API}/accounts/{{name}}/orders/{{order}}"): Rule(scope=Scope.TRADE, bound=Bound.PATH),
    ("GET", f"{API}/replay"): Rule(scope=_RISK, bound=Bound.HOUSE, weight=20),
    ("GET", f"{API}/waterfall"): Rule(scope=_READ, bound=Bound.HOUSE, weight=5),
    # a book that is nobody's here
    ("POST", f"{API}/margin"): Rule(scope=_READ, weight=5),
    ("POST", f"{API}/compare"): Rule(scope=_READ, weight=20),
    # its channels tell of all accounts
    ("WEBSOCKET", f"{API}/stream"): Rule(scope=_READ, bound=Bound.HOUSE, weight=5),
    ("GET", f"{API}/parameters"): Rule(scope=_READ),
    ("POST", f"{API}/parameters"): Rule(scope=_ADMIN, bound=Bound.HOUSE),
    ("POST", f"{API}/commands"): Rule(scope=_ADMIN, bound=Bound.HOUSE),
    # an auctioned account goes to the bidder's
    ("POST", f"{API}/bids"): Rule(scope=Scope.TRADE, bound=Bound.BODY),
    ("GET", f"{API}/approvals"): Rule(scope=_ADMIN, bound=Bound.HOUSE),
    ("POST", f"{API}/approvals/{{identifier}}"): Rule(scope=_ADMIN, bound=Bound.HOUSE),
    ("GET", f"{API}/access-log"): Rule(scope=_ADMIN, bound=Bound.HOUSE, weight=5),
    ("GET", f"{API}/alerts"): Rule(scope=_RISK, bound=Bound.HOUSE),
    ("POST", f"{API}/alerts/{{identifier}}/acknowledge"): Rule(scope=_RISK, bound=Bound.HOUSE),
    ("POST", f"{API}/orders"): Rule(scope=Scope.TRADE, bound=Bound.BODY),
    ("POST", f"{API}/deposits"): Rule(scope=_ADMIN, bound=Bound.BODY),
    ("POST", f"{API}/withdrawals"): Rule(scope=Scope.WITHDRAW, bound=Bound.BODY, weight=5),
    **{
        ("GET", f"{API}/schema{page}"): PUBLIC
        for page in ("", "/rapidoc", "/elements", "/redoc", "/swagger", "/openapi.json", "/openapi.yaml",
                     "/openapi.yml", "/{path}", "/oauth2-redirect.html")
    },
}  # fmt: skip


def served(application: Litestar) -> set[tuple[str, str]]:
    """Return every method and path that the application answers; OPTIONS, which tell but methods, are left out."""
    found: set[tuple[str, str]] = set()
    for route in application.routes:
        if isinstance(route, HTTPRoute):
            found |= {(str(method), route.path_format) for method in route.methods if method != "OPTIONS"}
        elif isinstance(route, WebSocketRoute):
            found.add(("WEBSOCKET", route.path_format))
        else:
            found.add(("ASGI", route.path_format))
    return found


def check_table(application: Litestar) -> None:
    """Refuse an application with a route that the table lacks."""
    missing = sorted(served(application) - set(RULES))
    if missing:
        raise InvariantError(f"every route must be in the table of routes, {missing} are not")
