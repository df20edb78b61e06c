"""Structured logs: one JSON object a line on standard error, without secrets.

Whatever logs through the standard library or structlog ends here, tracebacks and libraries' lines too. Fields whose name
says that they hold a secret are hidden, so are passwords in URLs, ``name=value`` pairs in texts, and every value that was
given to `Redaction` by name, wherever it stands.
"""

import logging
import re
from collections.abc import Iterable
from typing import IO, Any
from urllib.parse import unquote

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

HIDDEN = "[hidden]"
SHORTEST = 6
"""Letters of a value that is hidden wherever it stands; a shorter one would hide plain words."""
_WORDS = "pass(?:word|wd|phrase)", "secret", "token", "signature", "authorization", "cookie", "csrf", "credential"
_NAME = f"(?:{'|'.join(_WORDS)}|(?:api|master|private)[_-]?key)"
_FIELD = re.compile(_NAME, re.IGNORECASE)
_PAIR = re.compile(
    rf"([\w-]*{_NAME}[\w-]*[\"']?\s*[:=]\s*)(?:b?\"[^\"]*\"|b?'[^']*'|(?:bearer |basic )?[^\s,;&}}\])]+)", re.I
)
_IN_URL = re.compile(r"(\w://[^\s/@:]*:)[^\s\"']+@")
_HOST = re.compile(r"\d+|[\w-]+(\.[\w-]+)+")
"""A port, an address or a name with a dot; no token of a channel looks like it."""


class Redaction:
    """Hides secrets in what is logged.

    Parameters
    ----------
    known
        Values that are secret wherever they stand.

    Examples
    --------
    >>> Redaction(["hunter2-hunter2"]).text("postgresql://me:pw@db/x?token=abc said hunter2-hunter2")
    'postgresql://me:[hidden]@db/x?token=[hidden] said [hidden]'
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = sorted({each for each in known if len(each) >= SHORTEST}, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        for each in self._known:
            text = text.replace(each, HIDDEN)
        return _PAIR.sub(rf"\1{HIDDEN}", _IN_URL.sub(rf"\1{HIDDEN}@", text))

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        """Return a record without secrets, as a processor of structlog."""
        return {key: self._value(key, value) for key, value in event.items()}

    def _value(self, key: str, value: object) -> object:
        if _FIELD.search(key):
            return HIDDEN
        match value:
            case None | bool() | int() | float():
                return value
            case dict():
                return {str(name): self._value(str(name), each) for name, each in value.items()}
            case list() | tuple():
                return [self._value("", each) for each in value]
            case _:
                return self.text(str(value))


def secrets_in(url: str | None) -> list[str]:
    """Return the passwords in a URL, before its host and in its query, as they stand and decoded.

    Signs that belong escaped may stand in one: whoever wrote it so wants it hidden all the same.

    Examples
    --------
    >>> secrets_in("postgresql://me:p%40ss-word@db/x")
    ['p%40ss-word', 'p@ss-word']
    >>> secrets_in("postgresql://me:a/b#c@db/x?sslpassword=key-word")
    ['a/b#c', 'key-word']
    """
    _, _, rest = (url or "").partition("://")
    user, at, _ = rest.rpartition("@")
    found = [user.partition(":")[2], user.partition("@")[0].partition(":")[2]] if at else []
    found += [value for name, _, value in _query(rest) if _FIELD.search(name)]
    return _both_forms(found)


def channel_secrets(url: str) -> list[str]:
    """Return what is to be hidden of a channel's URL: all of it, and each part that is no word and no host's name.

    Many channels' tokens are what elsewhere is the user, the host or the path.

    Examples
    --------
    >>> channel_secrets("slack://T1JJ3T3L2/A1BRTD4JD/#desk")[1:]
    ['T1JJ3T3L2', 'A1BRTD4JD']
    >>> channel_secrets("jsons://ops:open-sesame@alerts.example.com/9f86d081/alerts")[1:]
    ['open-sesame', '9f86d081']
    """
    _, _, rest = url.partition("://")
    parts = [each for each in re.split(r"[/?&=@:;,#]", rest) if re.search(r"\d", each) and not _HOST.fullmatch(each)]
    return _both_forms([url, *secrets_in(url), *parts])


def _query(rest: str) -> list[tuple[str, str, str]]:
    return [each.partition("=") for each in rest.partition("?")[2].split("&")]


def _both_forms(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(form for each in found if each for form in (each, unquote(each))))


def open_logs(to: IO[str], *, known: Iterable[str] = (), level: int = logging.INFO) -> None:
    """Send every log of the process to a stream."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    handler = logging.StreamHandler(to)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                Redaction(known),
                structlog.processors.JSONRenderer(serializer=_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("httpx", "httpcore", "uvicorn.access"):
        # these write every request down, with its query
        logging.getLogger(name).setLevel(logging.WARNING)
    # one line for each of its own parts, at every start; that it changes tables is another logger's line
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _json(record: EventDict, **_: object) -> str:
    return msgspec.json.encode(record).decode()
