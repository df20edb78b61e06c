"""Requests that a worker reads by itself: posts of JSON, and gets, in the plainest form that clients send.

Whatever is not plain is no error here: its connection goes to the engine's process with every byte, and the server there
judges it. So this reader may be strict, and need not know all of HTTP.
"""

import re
from dataclasses import dataclass

LONGEST_HEAD = 16_384
LARGEST_BODY = 1_000_000
_END = b"\r\n\r\n"
_UPGRADE = re.compile(rb"GET (/[!-~]*) HTTP/1\.1")
_WEBSOCKET_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")
_LINE = re.compile(rb"(?:POST|GET) (/[!-~]*) HTTP/1\.1")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([!-~](?:[ \t!-~]*[!-~])?)")
_DIGITS = re.compile(rb"[0-9]{1,7}")
_ONCE = frozenset({b"host", b"content-length", b"content-type", b"connection"})
_ELSEWHERE = frozenset({
    b"transfer-encoding", b"content-encoding", b"expect", b"upgrade", b"trailer", b"te",
    # browsers' pages and sessions: rules of their own
    b"origin", b"sec-fetch-site", b"cookie",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """A request in whole: headers with names in lower case, and what of the bytes it was.

    `length` counts head and body.
    """

    method: bytes
    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    length: int
    closes: bool

    @property
    def path(self) -> bytes:
        """The target without its query."""
        return self.target.partition(b"?")[0]

    def header(self, name: bytes) -> bytes:
        """Return the value of a header; empty without one."""
        return next((value for key, value in self.headers if key == name), b"")


class NotPlain(Exception):  # noqa: N818  (no fault: somebody else reads it)
    """The engine's process is to read this."""


def plain_request(begun: bytes | bytearray) -> PlainRequest | None:
    r"""Return the request at the start of what has come; None where more of it has to come.

    Raises
    ------
    NotPlain
        As soon as it is clear that this reader is not the one for it.

    Examples
    --------
    >>> head = b"POST /margin HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    >>> plain_request(head + b"{}").body
    b'{}'
    >>> plain_request(head + b"{") is None
    True
    """
    end = begun.find(_END, 0, LONGEST_HEAD)
    if end < 0:
        if len(begun) >= LONGEST_HEAD or not (b"POST /".startswith(begun[:6]) or b"GET /".startswith(begun[:5])):
            raise NotPlain
        return None
    target, headers = _head(bytes(begun[:end]), _LINE)
    seen = dict(headers)
    once = sum(name in _ONCE for name, _ in headers)
    if not _ELSEWHERE.isdisjoint(seen) or once > sum(name in _ONCE for name in seen):
        raise NotPlain
    connection = seen.get(b"connection", b"keep-alive").lower()
    if connection not in (b"keep-alive", b"close"):
        raise NotPlain
    closes, at = connection == b"close", end + len(_END)
    if begun.startswith(b"GET"):
        if seen.get(b"content-length", b"0") != b"0":
            raise NotPlain
        return PlainRequest(b"GET", target, headers, b"", at, closes)
    body = _body(begun, at, seen)
    return None if body is None else PlainRequest(b"POST", target, headers, body, at + len(body), closes)


def plain_upgrade(begun: bytes | bytearray) -> PlainRequest | None:
    """Return the request for a WebSocket at the start of what has come; None where more of it has to come.

    Raises
    ------
    NotPlain
        Where it is something else, or not by the book (RFC 6455, 4.2.1).
    """
    end = begun.find(_END, 0, LONGEST_HEAD)
    if end < 0:
        if len(begun) >= LONGEST_HEAD or not b"GET /".startswith(begun[:5]):
            raise NotPlain
        return None
    target, headers = _head(bytes(begun[:end]), _UPGRADE)
    seen = dict(headers)
    asked = {each.strip() for each in seen.get(b"connection", b"").lower().split(b",")}
    if (
        b"upgrade" not in asked
        or seen.get(b"upgrade", b"").lower() != b"websocket"
        or seen.get(b"sec-websocket-version") != b"13"
        or not _WEBSOCKET_KEY.fullmatch(seen.get(b"sec-websocket-key", b""))
        or not {b"content-length", b"transfer-encoding", b"expect"}.isdisjoint(seen)
        or sum(name == b"host" or name.startswith(b"sec-websocket-key") for name, _ in headers) != 2
    ):
        raise NotPlain
    return PlainRequest(b"GET", target, headers, b"", end + len(_END), closes=False)


def _head(content: bytes, form: re.Pattern[bytes]) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Return the target and the headers, with names in lower case."""
    first, *lines = content.split(b"\r\n")
    line = form.fullmatch(first)
    if line is None:
        raise NotPlain
    headers = []
    for each in lines:
        match = _HEADER.fullmatch(each)
        if match is None:
            raise NotPlain
        headers.append((match[1].lower(), match[2]))
    return line[1], headers


def _body(begun: bytes | bytearray, at: int, seen: dict[bytes, bytes]) -> bytes | None:
    """Return the body that begins `at` there; None where more of it has to come."""
    stated = seen.get(b"content-length", b"")
    if not _DIGITS.fullmatch(stated) or int(stated) > LARGEST_BODY or seen.get(b"content-type") != b"application/json":
        raise NotPlain
    length = int(stated)
    return None if len(begun) < at + length else bytes(begun[at : at + length])
