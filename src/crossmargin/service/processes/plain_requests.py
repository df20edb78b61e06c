"""Requests that a worker reads by itself: posts of JSON in the plainest form that clients send.

Whatever is not plain is no error here: its connection goes to the engine's process with every byte, and the server there
judges it. So this reader may be strict, and need not know all of HTTP.
"""

import re
from dataclasses import dataclass

LONGEST_HEAD = 16_384
LARGEST_BODY = 1_000_000
_END = b"\r\n\r\n"
_LINE = re.compile(rb"POST (/[!-~]*) HTTP/1\.1")
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

    target: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    length: int
    closes: bool

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
        if len(begun) >= LONGEST_HEAD or not b"POST /".startswith(begun[:6]):
            raise NotPlain
        return None
    first, *lines = bytes(begun[:end]).split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise NotPlain
    headers, seen = [], {}
    for each in lines:
        match = _HEADER.fullmatch(each)
        if match is None:
            raise NotPlain
        name, value = match[1].lower(), match[2]
        if name in _ELSEWHERE or (name in _ONCE and name in seen):
            raise NotPlain
        seen[name] = value
        headers.append((name, value))
    return _with_body(begun, end + len(_END), line[1], headers, seen)


def _with_body(
    begun: bytes | bytearray, at: int, target: bytes, headers: list[tuple[bytes, bytes]], seen: dict[bytes, bytes]
) -> PlainRequest | None:
    stated, connection = seen.get(b"content-length", b""), seen.get(b"connection", b"keep-alive").lower()
    if (
        not _DIGITS.fullmatch(stated)
        or int(stated) > LARGEST_BODY
        or seen.get(b"content-type") != b"application/json"
        or connection not in (b"keep-alive", b"close")
    ):
        raise NotPlain
    length = at + int(stated)
    if len(begun) < length:
        return None
    return PlainRequest(target, headers, bytes(begun[at:length]), length, connection == b"close")
