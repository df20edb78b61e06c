"""Sessions of the dashboard: a cookie that no script reads, and a token that a request which changes something repeats."""

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

from crossmargin.service.access.roles import ForbiddenError, Principal
from crossmargin.service.access.users import User, UserStore

SESSION_COOKIE = "__Host-crossmargin"
CSRF_COOKIE = "csrftoken"
CSRF_HEADER = "x-csrftoken"
IDLE_SECONDS = 30 * 60
LONGEST_SECONDS = 12 * 3600
MOST_SESSIONS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One login, in force until it idles, ends, or its user changes."""

    user: str
    version: int
    csrf: str
    began: float
    used: float


class Sessions:
    """Sessions by the SHA-256 of their token; a restart ends them all."""

    def __init__(self, users: UserStore) -> None:
        self._users = users
        self._held: OrderedDict[bytes, Session] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, user: User, now: float) -> tuple[str, str]:
        """Return a new session's token and its CSRF token; `now` in seconds, monotonic."""
        token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        with self._lock:
            self._held[_digest(token)] = Session(user=user.name, version=user.version, csrf=csrf, began=now, used=now)
            while len(self._held) > MOST_SESSIONS:
                self._held.popitem(last=False)
        return token, csrf

    def principal(self, token: str, csrf: str | None, now: float, *, changes: bool) -> Principal | None:
        """Return whose session it is, None if it is over.

        Raises
        ------
        ForbiddenError
            If the request changes something and does not repeat the session's CSRF token.
        """
        digest = _digest(token)
        with self._lock:
            session = self._held.get(digest)
            if session is None:
                return None
            user = self._users.find(session.user)
            over = now - session.used > IDLE_SECONDS or now - session.began > LONGEST_SECONDS
            if over or user is None or user.disabled or user.version != session.version:
                del self._held[digest]
                return None
            self._held[digest] = replace(session, used=now)
        if changes and not hmac.compare_digest((csrf or "").encode(), session.csrf.encode()):
            raise ForbiddenError(
                f"a request that changes something must repeat {CSRF_COOKIE} in {CSRF_HEADER}, none did"
            )
        return user.principal()

    def end(self, token: str) -> None:
        """End a session."""
        with self._lock:
            self._held.pop(_digest(token), None)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
