"""Requests that a browser sends on behalf of another site: none of them reaches the API, open or not.

A page of any site may open a WebSocket to this machine, and send requests whose answer it cannot read but whose effect
stands. Browsers say whose page asks, in `Origin` and `Sec-Fetch-Site`; other clients send neither.
"""

from urllib.parse import urlsplit

from crossmargin.service.access.roles import ForbiddenError

OTHER_SITES = frozenset({"cross-site", "same-site"})
"""Another port of this machine is the same site, and not us."""


def require_own_site(path: str, host: str, origin: str | None, fetch_site: str | None) -> None:
    """Refuse what another site's page asks; a link to a page of the dashboard is let through.

    Examples
    --------
    >>> require_own_site("/api/v1/stream", "127.0.0.1:8000", "http://127.0.0.1:8000", None)
    >>> require_own_site("/api/v1/stream", "127.0.0.1:8000", "http://evil.example", None)
    Traceback (most recent call last):
    crossmargin.service.access.roles.ForbiddenError: a browser must ask from a page of this service, this one did not
    """
    asked_from_elsewhere = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
    of_api = path.startswith(("/api/", "/ws/"))
    if asked_from_elsewhere or (of_api and fetch_site in OTHER_SITES):
        raise ForbiddenError("a browser must ask from a page of this service, this one did not")
