"""Users of the dashboard: a password by Argon2id, a role, accounts."""

import base64
import re
import secrets
import sqlite3
import threading
from pathlib import Path

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from crossmargin.errors import InputError
from crossmargin.service.access.roles import ROLES, Lane, Principal, Scope

SHORTEST_PASSWORD = 12
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person; `accounts` None are all; `version` rises with every change, which ends his sessions."""

    name: str
    role: str
    accounts: frozenset[str] | None
    password_hash: str
    version: int = 1
    disabled: bool = False

    def principal(self) -> Principal:
        """Return what the user may do."""
        scopes = ROLES[self.role]
        lane = Lane.OPERATORS if scopes & {Scope.RISK, Scope.ADMIN} else Lane.ORDINARY
        return Principal(owner=self.name, via="session", scopes=scopes, accounts=self.accounts, lane=lane)


def checked_name(name: str) -> str:
    """Return a name that an owner may have, the same for keys and users."""
    if NAME.fullmatch(name) is None:
        raise InputError("a name must be of lower-case letters, digits, dots, dashes and underscores, this one was not")
    return name


def _hash_of_nothing(hasher: PasswordHasher) -> str:
    """Return a hash that is of no password, and takes as long to check as any: whoever opens the file need not make one."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=")
        for length in (hasher.salt_len, hasher.hash_len)
    )
    return f"$argon2id$v={ARGON2_VERSION}$m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}${salt}${digest}"


class UserStore:
    """Users in an SQLite database."""

    def __init__(self, path: Path, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()  # the library's defaults are those of RFC 9106, section 4
        self._nobody = _hash_of_nothing(self._hasher)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA busy_timeout = 5000")
        self._database.execute("CREATE TABLE IF NOT EXISTS users (name TEXT PRIMARY KEY, record BLOB NOT NULL)")

    def set(self, name: str, *, password: str, role: str, accounts: frozenset[str] | None) -> User:
        """Create a user, or replace what he was.

        Raises
        ------
        InputError
            If the role is unknown, the password short, or nothing bound.
        """
        if role not in ROLES:
            raise InputError(f"a role must be one of {', '.join(ROLES)}, was {role}")
        if len(password) < SHORTEST_PASSWORD:
            raise InputError(f"a password must have {SHORTEST_PASSWORD} characters or more, this one was shorter")
        if accounts is not None and not accounts:
            raise InputError("a user must be bound to an account or to all, was bound to none")
        before = self.find(checked_name(name))
        user = User(name=name, role=role, accounts=accounts, password_hash=self._hasher.hash(password),
                    version=1 if before is None else before.version + 1)  # fmt: skip
        self._write(user)
        return user

    def disable(self, name: str) -> User:
        """Let a user in no more; his sessions end."""
        user = self.find(name)
        if user is None:
            raise InputError(f"a user must be known, found none called {name}")
        ended = msgspec.structs.replace(user, disabled=True, version=user.version + 1)
        self._write(ended)
        return ended

    def users(self) -> list[User]:
        """Return every user by name."""
        with self._lock:
            rows = self._database.execute("SELECT record FROM users ORDER BY name").fetchall()
        return [msgspec.json.decode(record, type=User) for (record,) in rows]

    def find(self, name: str) -> User | None:
        """Return a user, disabled or not."""
        with self._lock:
            row = self._database.execute("SELECT record FROM users WHERE name = ?", (name,)).fetchone()
        return None if row is None else msgspec.json.decode(row[0], type=User)

    def with_password(self, name: str, password: str) -> User | None:
        """Return the user whose password this is; an unknown name takes as long as a wrong password."""
        user = self.find(name)
        try:
            self._hasher.verify(self._nobody if user is None else user.password_hash, password)
        except (VerificationError, InvalidHashError):
            return None
        return None if user is None or user.disabled else user

    def _write(self, user: User) -> None:
        with self._lock:
            self._database.execute("INSERT OR REPLACE INTO users VALUES (?, ?)", (user.name, msgspec.json.encode(user)))

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
