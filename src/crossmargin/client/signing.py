"""Keys of the API and what they sign: eight lines, by HMAC-SHA-256 or Ed25519; docs/access.md says the same in words."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from crossmargin.errors import InputError

KEY = "CROSSMARGIN_KEY"
SECRET = "CROSSMARGIN_SECRET"  # noqa: S105  (a name)
KEY_FILE = "CROSSMARGIN_KEY_FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key: its id, and either the secret of an HMAC key or the 32 bytes of an Ed25519 private key, in hexadecimal."""

    id: str
    secret: str | None = field(default=None, repr=False)
    private: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.secret is None) == (self.private is None):
            raise InputError(f"a key must have a secret or a private half, {self.id} has none or both")
        if self.private is not None and not _is_private(self.private):
            raise InputError(
                f"the private half of an Ed25519 key must be 32 bytes in hexadecimal, that of {self.id} is not"
            )

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


def key_in(environment: Mapping[str, str], file: Path | None = None) -> Key | None:
    """Return the key that the environment names, None where it names none.

    Its id is ``CROSSMARGIN_KEY``, its secret ``CROSSMARGIN_SECRET``; a file, or that of ``CROSSMARGIN_KEY_FILE``, holds the
    private half of an Ed25519 key instead.

    Raises
    ------
    InputError
        If there is an id and neither half, a half and no id, or the file cannot be one.

    Examples
    --------
    >>> key_in({"CROSSMARGIN_KEY": "0123456789abcdef", "CROSSMARGIN_SECRET": "from keys create"})
    Key(id='0123456789abcdef')
    """
    id_, named = environment.get(KEY), environment.get(KEY_FILE)
    half = file or (Path(named) if named else None)
    if not id_:
        if half is not None or environment.get(SECRET):
            raise InputError(f"a key must have an id, {KEY} is not set")
        return None
    if half is None:
        return Key(id=id_, secret=environment.get(SECRET) or None)
    try:
        return Key(id=id_, private=half.read_text(encoding="ascii").strip())
    except OSError as error:
        raise InputError(f"a private key must be a file that can be read, {half}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"a private key must be in hexadecimal, {half} is not") from error


def _is_private(text: str) -> bool:
    try:
        return len(bytes.fromhex(text)) == 32
    except ValueError:
        return False
