"""Names of sub-accounts in paths: ``/accounts/desk%2Fg1`` is the account ``desk/g1``, not a path one level deeper.

A server hands the path over decoded, so that the slash of a name would part it. Segments are decoded here one by one from
the path as it was sent; the slash within one goes through the router as a character that no name has.
"""

from urllib.parse import unquote_to_bytes

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

PREFIX = b"/api/v1/accounts/"
SLASH = "\ue000"
"""Stands for a slash within a segment; of Unicode's private use."""
UNKNOWN = "\ufffd"


def routed_path(raw: bytes) -> str | None:
    """Return the path for the router; None where it is to stay as the server decoded it.

    Examples
    --------
    >>> routed_path(b"/api/v1/accounts/desk%2Fg1/explain") == f"/api/v1/accounts/desk{SLASH}g1/explain"
    True
    >>> routed_path(b"/api/v1/accounts/desk") is None
    True
    """
    if not raw.startswith(PREFIX) or b"%" not in raw:
        return None
    # who sends the stand-in himself gets another character: no name has either
    segments = (unquote_to_bytes(each).decode(errors="replace").replace(SLASH, UNKNOWN) for each in raw.split(b"/"))
    return "/".join(each.replace("/", SLASH) for each in segments)


def keeping_slashes(app: ASGIApp) -> ASGIApp:
    """Return the application whose router sees a segment of the path as one."""

    async def kept(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP:
            path = routed_path(scope.get("raw_path") or b"")
            if path is not None:
                scope["path"] = path
        await app(scope, receive, send)

    return kept


class RestoreSlashes(ASGIMiddleware):
    """Gives names their slashes back, before anybody (guards too) reads them."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Serve one request."""
        found = scope["path_params"]
        for key, value in found.items():
            if SLASH in value:
                found[key] = value.replace(SLASH, "/")
        await next_app(scope, receive, send)
