"""Signatures of requests: what is signed, by HMAC-SHA-256 or Ed25519, and that none counts twice.

A key has one algorithm; the request does not choose it, so that a public key is never taken for a secret.
"""

import hashlib
import hmac
import threading
from collections import deque
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PAST_MS = 5_000
"""How old a request may be when it arrives."""
FUTURE_MS = 1_000
"""How far the caller's clock may be ahead of ours."""
KEPT_MS = PAST_MS + FUTURE_MS
"""How long a nonce is kept: one that was dated ahead stays good for the past and the future together."""
LONGEST_NONCE = 64
VERSION = "crossmargin-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRequest:
    """A request as it was sent, byte for byte, with what its headers say."""

    method: str
    path: str
    query: str
    body: bytes
    idempotency_key: str
    time_ms: int
    nonce: str

    def text(self) -> bytes:
        r"""Return what is signed: eight lines, the body by its SHA-256.

        Examples
        --------
        >>> SignedRequest(method="GET", path="/api/v1/accounts", query="limit=1", body=b"", idempotency_key="",
        ...               time_ms=1700000000000, nonce="n1").text().split(b"\n")[:4]
        [b'crossmargin-1', b'GET', b'/api/v1/accounts', b'limit=1']
        """
        body = hashlib.sha256(self.body).hexdigest()
        lines = (VERSION, self.method, self.path, self.query, body, self.idempotency_key, str(self.time_ms), self.nonce)
        return "\n".join(lines).encode()


def hmac_signature(secret: bytes, text: bytes) -> str:
    """Return the HMAC-SHA-256 (RFC 2104) of `text`, hexadecimal.

    Examples
    --------
    RFC 4231, test case 2:

    >>> hmac_signature(b"Jefe", b"what do ya want for nothing?")[:16]
    '5bdcc146bf60754e'
    """
    return hmac.new(secret, text, hashlib.sha256).hexdigest()


def hmac_holds(secret: bytes, text: bytes, signature: str) -> bool:
    """Whether `signature` is that of `text`, in a time that does not tell how nearly."""
    return hmac.compare_digest(hmac_signature(secret, text).encode(), signature.encode())


def ed25519_signature(private: bytes, text: bytes) -> str:
    """Return the Ed25519 signature (RFC 8032) of `text` by the 32 bytes of a private key, hexadecimal."""
    return Ed25519PrivateKey.from_private_bytes(private).sign(text).hex()


def ed25519_public(private: bytes) -> bytes:
    """Return the 32 bytes of the public key of a private one."""
    return Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def ed25519_holds(public: bytes, text: bytes, signature: str) -> bool:
    """Whether `signature` is that of `text` by the owner of the public key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(bytes.fromhex(signature), text)
    except (InvalidSignature, ValueError):
        return False
    return True


class Nonces:
    """What was signed within the window, so that it counts once.

    They live in memory: a request that an earlier run may have answered, one dated up to `FUTURE_MS` after this run
    began, is refused, so that a restart opens no gap.
    """

    def __init__(self, started_ms: int) -> None:
        self._earliest_ms = started_ms + FUTURE_MS
        self._seen: set[tuple[str, str]] = set()
        self._order: deque[tuple[int, tuple[str, str]]] = deque()
        self._latest: dict[str, int] = {}
        self._lock = threading.Lock()

    def take(self, key: str, nonce: str, time_ms: int, now_ms: int, *, ordered: bool = False) -> bool:
        """Whether the request is of now and its nonce new; it is used from then on.

        Parameters
        ----------
        ordered
            Whether each request of the key must also be dated later than the one before.
        """
        if not now_ms - PAST_MS <= time_ms <= now_ms + FUTURE_MS or time_ms <= self._earliest_ms:
            return False
        if not 0 < len(nonce) <= LONGEST_NONCE:
            return False
        with self._lock:
            self._forget(now_ms)
            if (key, nonce) in self._seen or (ordered and time_ms <= self._latest.get(key, 0)):
                return False
            self._latest[key] = max(time_ms, self._latest.get(key, 0))
            self._seen.add((key, nonce))
            self._order.append((now_ms, (key, nonce)))
        return True

    def __len__(self) -> int:
        return len(self._seen)

    def _forget(self, now_ms: int) -> None:
        # what is too old now stays too old, though the clock should go back
        self._earliest_ms = max(self._earliest_ms, now_ms - PAST_MS - 1)
        while self._order and self._order[0][0] < now_ms - KEPT_MS:
            self._seen.discard(self._order.popleft()[1])
