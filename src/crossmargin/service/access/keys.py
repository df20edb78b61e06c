"""API keys: whom they speak for, what they may do, from where; their secrets are derived, never stored.

The secret of an HMAC key is HKDF-SHA-256 (RFC 5869) of a master key and the key's id, so the database of keys alone
gives nobody away. Of an Ed25519 key only the public half is here.
"""

import hmac
import ipaddress
import os
import secrets
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crossmargin.errors import InputError
from crossmargin.service.access.roles import Lane, Principal, Scope
from crossmargin.service.access.signatures import ed25519_holds, hmac_holds

MASTER_VARIABLE = "CROSSMARGIN_MASTER_KEY"
MASTER_BYTES = 32


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key, without its secret.

    Parameters
    ----------
    accounts
        Accounts that it is bound to; None are all.
    networks
        Addresses that it may come from, as ``203.0.113.0/24``; none are all.
    public
        The Ed25519 public key, hexadecimal; None where the key signs by HMAC.
    ordered
        Whether each request must be dated later than the one before.
    """

    id: str
    owner: str
    scopes: frozenset[Scope]
    accounts: frozenset[str] | None
    networks: tuple[str, ...] = ()
    public: str | None = None
    ordered: bool = False
    lane: Lane = Lane.ORDINARY
    created_ns: int
    revoked_ns: int | None = None

    def allows(self, address: str) -> bool:
        """Whether it may come from `address`."""
        try:
            seen = ipaddress.ip_address(address)
        except ValueError:
            return not self.networks
        if isinstance(seen, ipaddress.IPv6Address) and seen.ipv4_mapped is not None:
            seen = seen.ipv4_mapped
        return not self.networks or any(seen in ipaddress.ip_network(each) for each in self.networks)

    def principal(self) -> Principal:
        """Return whom it speaks for; who administers or watches risk passes when others wait."""
        lane = Lane.OPERATORS if self.scopes & {Scope.RISK, Scope.ADMIN} else self.lane
        return Principal(owner=self.owner, via=f"key:{self.id}", scopes=self.scopes, accounts=self.accounts, lane=lane)


def master_key(folder: Path, *, create: bool = False) -> bytes:
    """Return the master key: of the environment, or of ``master.key`` in the folder, which only its owner may read.

    Raises
    ------
    InputError
        If there is none, it is not 32 bytes in hexadecimal, or others may read its file.
    """
    path = folder / "master.key"
    text = os.environ.get(MASTER_VARIABLE)
    if text is None:
        if create and not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
                file.write(secrets.token_hex(MASTER_BYTES))
        if not path.exists():
            raise InputError(f"keys need a master key, found neither {MASTER_VARIABLE} nor {path}")
        if path.stat().st_mode & 0o077:
            raise InputError(f"only its owner may read a master key, {path} is open to others")
        text = path.read_text(encoding="ascii")
    try:
        found = bytes.fromhex(text.strip())
    except ValueError:
        found = b""  # neither the text nor what is wrong with it is told
    if len(found) != MASTER_BYTES:
        raise InputError(f"a master key must be {MASTER_BYTES} bytes in hexadecimal, this one was not")
    return found


class KeyStore:
    """Keys in an SQLite database; another process's revocation holds from the next request on."""

    def __init__(self, path: Path, master: bytes) -> None:
        self._master = master
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA busy_timeout = 5000")
        self._database.execute("CREATE TABLE IF NOT EXISTS keys (id TEXT PRIMARY KEY, record BLOB NOT NULL)")

    def create(
        self,
        *,
        owner: str,
        scopes: frozenset[Scope],
        accounts: frozenset[str] | None,
        created_ns: int,
        networks: Sequence[str] = (),
        public: str | None = None,
        ordered: bool = False,
        lane: Lane = Lane.ORDINARY,
    ) -> tuple[ApiKey, str | None]:
        """Return a new key and its secret, which is shown this once; an Ed25519 key has none.

        Raises
        ------
        InputError
            If a network or the public key cannot be read, or nothing is bound.
        """
        if accounts is not None and not accounts:
            raise InputError("a key must be bound to an account or to all, was bound to none")
        for network in networks:
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise InputError(f"a network must be an address with a prefix, was {network}") from error
        if public is not None and (len(public) != 64 or set(public) - set("0123456789abcdef")):
            raise InputError("an Ed25519 public key must be 32 bytes in lower-case hexadecimal, this one was not")
        key = ApiKey(id=secrets.token_hex(8), owner=owner, scopes=scopes, accounts=accounts, networks=tuple(networks),
                     public=public, ordered=ordered, lane=lane, created_ns=created_ns)  # fmt: skip
        with self._lock:
            self._database.execute("INSERT INTO keys VALUES (?, ?)", (key.id, msgspec.json.encode(key)))
        return key, None if public is not None else self.secret(key.id)

    def secret(self, key_id: str) -> str:
        """Return the secret of an HMAC key, which signs as its ASCII text."""
        derived = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"crossmargin key {key_id}".encode())
        return derived.derive(self._master).hex()

    def all(self) -> list[ApiKey]:
        """Return every key, revoked ones too, the oldest first."""
        with self._lock:
            rows = self._database.execute("SELECT record FROM keys").fetchall()
        found = [msgspec.json.decode(record, type=ApiKey) for (record,) in rows]
        return sorted(found, key=lambda key: (key.created_ns, key.id))

    def live(self, key_id: str) -> ApiKey | None:
        """Return a key that has not been revoked."""
        with self._lock:
            row = self._database.execute("SELECT record FROM keys WHERE id = ?", (key_id,)).fetchone()
        key = None if row is None else msgspec.json.decode(row[0], type=ApiKey)
        return None if key is None or key.revoked_ns is not None else key

    def revoke(self, key_id: str, now_ns: int) -> ApiKey:
        """End a key."""
        key = self.live(key_id)
        if key is None:
            raise InputError(f"a key must be live to be revoked, found none called {key_id}")
        ended = msgspec.structs.replace(key, revoked_ns=now_ns)
        with self._lock:
            self._database.execute("UPDATE keys SET record = ? WHERE id = ?", (msgspec.json.encode(ended), key_id))
        return ended

    def signed(self, key_id: str, text: bytes, signature: str) -> ApiKey | None:
        """Return the live key that signed `text`; an unknown one takes as long as a wrong signature."""
        key = self.live(key_id)
        if key is not None and key.public is not None:
            return key if ed25519_holds(bytes.fromhex(key.public), text, signature) else None
        holds = hmac_holds(self.secret(key_id).encode(), text, signature)
        return key if holds else None

    def with_secret(self, key_id: str, secret: str) -> ApiKey | None:
        """Return the live HMAC key whose secret this is."""
        holds = hmac.compare_digest(self.secret(key_id).encode(), secret.encode())
        key = self.live(key_id)
        return key if holds and key is not None and key.public is None else None

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
