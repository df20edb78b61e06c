"""How the server listens: TLS, the proxy in front, and a log of requests that no secret gets into."""

import contextlib
import logging
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from litestar import Litestar

from crossmargin.errors import InputError
from crossmargin.service.configuration import Settings

HEARD_SECONDS = 20.0
"""How often the client of a stream is asked for a sign of life, and how long it may take to give one."""


class WithoutQueries(logging.Filter):
    """Cuts the query off every path in a line of uvicorn's: ``/api/v2/public/auth`` carries a secret in it.

    Examples
    --------
    >>> record = logging.makeLogRecord({"msg": "%s %s", "args": ("GET", "/api/v2/public/auth?client_secret=s")})
    >>> WithoutQueries().filter(record), record.getMessage()
    (True, 'GET /api/v2/public/auth?...')
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, without queries."""
        if isinstance(record.args, tuple):
            record.args = tuple(_without_query(each) for each in record.args)
        return True


def _without_query(argument: object) -> object:
    if isinstance(argument, str) and argument.startswith("/") and "?" in argument:
        return argument.partition("?")[0] + "?..."
    return argument


def require_tls(chosen: Settings) -> None:
    """Require that certificate and private key, where there are any, are there, readable and of one pair.

    Raises
    ------
    InputError
        If one is missing or is not PEM, the key asks for a passphrase, or belongs to another certificate.
    """
    if chosen.certificate is None or chosen.private_key is None:
        return
    for name, path in (("certificate", chosen.certificate), ("private key", chosen.private_key)):
        if not Path(path).is_file():
            raise InputError(f"a {name} must be a file, found none at {path}")

    def nobody_to_ask() -> str:
        raise InputError(f"a private key must be without a passphrase, {chosen.private_key} asks for one")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            chosen.certificate, chosen.private_key, password=nobody_to_ask
        )
    except ssl.SSLError as error:
        raise InputError(
            f"a certificate and its private key must be PEM and of one pair,"
            f" {chosen.certificate} and {chosen.private_key} are not ({error.reason or error.strerror})"
        ) from error
    except OSError as error:
        raise InputError(f"a certificate and its private key must be readable, {error.strerror}") from error


def server_configuration(application: Litestar, chosen: Settings) -> uvicorn.Config:
    """Return what uvicorn listens by; its loggers tell no queries from then on."""
    configuration = uvicorn.Config(
        application,
        host=chosen.host,
        port=chosen.port,
        ssl_certfile=chosen.certificate,
        ssl_keyfile=chosen.private_key,
        # without a proxy of ours what X-Forwarded-For says is anybody's claim
        proxy_headers=chosen.proxy is not None,
        forwarded_allow_ips=chosen.proxy or "",
        server_header=False,
        # the logs are ours, and hold no request's query
        log_config=None,
        access_log=False,
        ws_per_message_deflate=False,
        ws_max_size=1_000_000,
        ws_ping_interval=HEARD_SECONDS,
        ws_ping_timeout=HEARD_SECONDS,
    )
    # requests over HTTP are told by the one, where somebody should turn it on; WebSockets by the other
    for name in ("uvicorn.access", "uvicorn.error"):
        logging.getLogger(name).addFilter(WithoutQueries())
    return configuration


@contextlib.contextmanager
def ended_in_order(server: uvicorn.Server) -> Iterator[None]:
    """Let a signal end the server and no more: uvicorn raises it again afterwards, before the journal is closed."""

    def end(*_: object) -> None:
        server.should_exit = True

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
