"""Keys of the API and what they sign: eight lines, by HMAC-SHA-256 or Ed25519; docs/access.md says the same in words."""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field

from crossmargin.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key: its id, and either the secret of an HMAC key or the 32 bytes of an Ed25519 private key, in hexadecimal."""

    id: str
    secret: str | None = field(default=None, repr=False)
    private: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.secret is None) == (self.private is None):
            raise InputError(f"a key must have a secret or a private half, {self.id} has none or both")

    def headers(self, method: str, path: str, query: str, body: bytes, idempotency_key: str) -> dict[str, str]:
        """Return the headers with which a request is signed; path and query as they are sent, byte for byte."""
        time_ms, nonce = str(time.time_ns() // 1_000_000), secrets.token_hex(16)
        lines = (
            "crossmargin-1",
            method,
            path,
            query,
            hashlib.sha256(body).hexdigest(),
            idempotency_key,
            time_ms,
            nonce,
        )
        return {
            "X-Crossmargin-Key": self.id,
            "X-Crossmargin-Timestamp": time_ms,
            "X-Crossmargin-Nonce": nonce,
            "X-Crossmargin-Signature": self._signature("\n".join(lines).encode()),
        }

    def _signature(self, text: bytes) -> str:
        if self.secret is not None:
            return hmac.new(self.secret.encode(), text, hashlib.sha256).hexdigest()
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self.private or "")).sign(text).hex()
