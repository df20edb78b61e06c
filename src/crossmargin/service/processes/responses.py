"""Answers as bytes, for processes that write them to sockets themselves."""

from collections.abc import Iterable
from http import HTTPStatus

_PHRASES = {each.value: each.phrase for each in HTTPStatus}


def response(status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes:
    r"""Return a whole answer; its length is counted here.

    Examples
    --------
    >>> response(404, [(b"content-type", b"text/plain")], b"no")
    b'HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nno'
    """
    lines = b"".join(b"%s: %s\r\n" % each for each in headers if each[0].lower() != b"content-length")
    first = f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\n".encode()
    return b"%s%scontent-length: %d\r\n\r\n%s" % (first, lines, len(body), body)
