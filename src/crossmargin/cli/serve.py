"""Run the service."""

import contextlib
import gc
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from crossmargin.cli.app import console
from crossmargin.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import uvicorn
    from litestar import Litestar
    from opentelemetry.trace import Tracer
    from prometheus_client import CollectorRegistry

    from crossmargin.engine.commands import Command
    from crossmargin.engine.engine import Engine
    from crossmargin.service.alert_rules import AlertRules
    from crossmargin.service.configuration import Settings
    from crossmargin.service.feeding import Recorded, Venues
    from crossmargin.service.processes.nursery import Start
    from crossmargin.service.writer import Writer


def serve(
    *,
    host: str | None = None,
    port: int | None = None,
    folder: Path | None = None,
    database: str | None = None,
    config: Path | None = None,
    opening: Path | None = None,
    feed: list[str] | None = None,
    alerts: Path | None = None,
    open_: bool | None = None,
    name: list[str] | None = None,
    certificate: Path | None = None,
    private_key: Path | None = None,
    proxy: str | None = None,
    workers: int | None = None,
    withdrawal_limit: list[str] | None = None,
    json: bool = False,
) -> None:
    """Serve the public API and the dashboard, on the sample book where FOLDER is new.

    Requests carry keys or sessions, so a key or a user must be there first (see `keys` and `users`). With --open none are
    asked for, and only this machine can reach it. A flag goes before its variable (CROSSMARGIN_HOST and so on), the
    variable before the configuration's file.

    Parameters
    ----------
    host
        Address to listen on, 127.0.0.1; one that is not loopback needs a certificate or a proxy.
    port
        TCP port, 8000.
    folder
        Folder of the journal, crossmargin-data; it is created if there is none.
    database
        URL of the tables that follow the journal, like postgresql://user@host/name; SQLite in the folder if not given.
    config
        TOML file with a table [service].
    opening
        File of the commands that a new folder begins with, one JSON object a line as `crossmargin run` reads them; the
        sample book if not given. An empty file begins an empty house.
    feed
        Where prices come from: replay:FILE or replay:FILE@SPEED (max waits for nothing), or ccxt:VENUE,VENUE. Time is then
        the feed's.
    alerts
        TOML file with rules of alerts on any metric, and the channels that they tell.
    open_
        Ask nobody for a key or a session.
    name
        Name that requests may ask for the service by; several may be given.
    certificate
        File of the certificate for TLS.
    private_key
        File of the certificate's private key.
    proxy
        Address or network of the proxy that ends TLS in front, or several with commas; what it says of where requests come
        from is believed.
    workers
        Processes that answer margin and compare of books that are nobody's here, beside the engine's and one for streams.
        0, as it is without the flag, leaves everything to the engine's. TLS must then end in a proxy.
    withdrawal_limit
        ASSET=AMOUNT that an account may withdraw in 24 hours on one pair of eyes; of other assets, nothing.
    json
        Say where it serves as a record; it is printed before the first request can come.
    """
    try:
        from crossmargin.service.alert_rules import AlertRules, read_rules
        from crossmargin.service.configuration import settings
        from crossmargin.service.feeding import parse_feed, require_feeds
        from crossmargin.service.listening import require_tls
        from crossmargin.service.logs import channel_secrets, open_logs, secrets_in
        from crossmargin.service.processes.nursery import nursery
    except ImportError as error:
        raise _missing(error) from error
    flags = {"host": host, "port": port, "folder": _text(folder), "database": database, "open": open_, "names": name,
             "certificate": _text(certificate), "private_key": _text(private_key), "proxy": proxy,
             "workers": workers, "withdrawal_limits": withdrawal_limit, "alerts": _text(alerts), "feeds": feed,
             "opening": _text(opening)}  # fmt: skip
    chosen = settings(flags, os.environ, config)
    feeds = [parse_feed(each) for each in chosen.feeds]
    require_tls(chosen)
    require_feeds(feeds)
    rules = AlertRules() if chosen.alerts is None else read_rules(Path(chosen.alerts), os.environ)
    known = [*secrets_in(chosen.database_url), *secrets_in(chosen.trace_endpoint)]
    known += [secret for url in rules.channels.values() for secret in channel_secrets(url)]
    open_logs(sys.stderr, known=known)
    scheme = "http" if chosen.certificate is None else "https"
    to_whom = " to whoever is on this machine" if chosen.open else ""
    address = f"{scheme}://{chosen.host}:{chosen.port}/"
    record = {"address": address, "folder": chosen.folder, "open": chosen.open, "process": os.getpid()}
    said = msgspec.json.encode(record).decode() if json else f"{address} serves {chosen.folder}{to_whom}"
    with contextlib.ExitStack() as stack:
        try:
            start = stack.enter_context(nursery())
        except ImportError as error:
            raise _missing(error) from error
        _run(start, chosen, feeds, rules, said)


def serve_sample(port: int) -> None:
    """Serve the sample book to this machine alone, from a folder that is gone afterwards, until Ctrl-C."""
    try:
        from crossmargin.service.alert_rules import AlertRules
        from crossmargin.service.configuration import settings
        from crossmargin.service.logs import open_logs
        from crossmargin.service.processes.nursery import started_afresh
    except ImportError as error:
        raise _missing(error) from error
    with tempfile.TemporaryDirectory(prefix="crossmargin-") as folder:
        tables = f"sqlite:///{Path(folder) / 'projection.sqlite'}"
        flags = {"host": "127.0.0.1", "port": port, "folder": folder, "database": tables, "open": True}
        # whoever tries it out is told the address and what goes wrong, and not how a server does
        open_logs(sys.stderr, level=logging.WARNING)
        address = f"http://127.0.0.1:{port}/ is the dashboard on the sample book, for this machine alone"
        with contextlib.suppress(KeyboardInterrupt):
            # what ran before has threads, of which a fork would have none
            _run(
                started_afresh,
                settings(flags, {}, None),
                (),
                AlertRules(),
                f"{address}; Ctrl-C ends it, and nothing is kept",
            )


def _run(
    start: "Start", chosen: "Settings", feeds: "Sequence[Recorded | Venues]", rules: "AlertRules", said: str
) -> None:
    """Serve as chosen until a signal ends it; `said` is printed before the first request, `start` starts children."""
    try:
        from crossmargin.service.access.guard import configured
        from crossmargin.service.application import application
        from crossmargin.service.clock import Clock
        from crossmargin.service.configuration import limits
        from crossmargin.service.feeding import feeding
        from crossmargin.service.listening import ended_in_order
    except ImportError as error:
        raise _missing(error) from error
    access = None
    if not chosen.open:
        access = configured(Path(chosen.folder), withdrawal_limits=limits(chosen.withdrawal_limits))
    writer = _writer(chosen, start)
    writer.when_open(_keep)
    clock = Clock(writer, tick_s=chosen.tick_s, longest_jump_s=chosen.longest_jump_s)
    with contextlib.suppress(OSError):  # who wrote it to a disk that is full has the service all the same
        console.print(said, soft_wrap=True, markup=False)
    try:
        with contextlib.ExitStack() as stack:
            fed = stack.enter_context(feeding(writer, feeds))
            tracer = _tracer(chosen, stack)
            answering = application(
                writer, hosts=chosen.hosts, feeds=fed.status, tracer=tracer, alerts=rules, access=access, clock=clock
            )
            _serve_metrics(chosen, writer, answering.state.figures, stack)
            server = _server(answering, chosen, writer, start, tracer)

            async def stop_on_failure() -> None:
                # a supervisor starts the process again, and the journal says what is on disk
                if writer.failure is not None:
                    server.should_exit = True

            # asked every second, not told: the writer may have failed before anybody could listen
            server.config.callback_notify, server.config.timeout_notify = stop_on_failure, 1
            if chosen.tick_s and not feeds:
                clock.start()
            with ended_in_order(server):
                server.run()
    finally:
        clock.close()
        writer.close()
        if access is not None:
            access.close()
    if writer.failure is not None:
        raise InputError(f"the service must be able to write its journal, {writer.failure}")


def _keep(_: "Engine") -> None:
    """Leave what is there for good out of the garbage collector's rounds, which would stop every thread for long."""
    gc.collect()
    gc.freeze()


def _missing(error: ImportError) -> InputError:
    return InputError(f"serving needs the extra crossmargin[service], {error.name} is missing")


def _server(
    answering: "Litestar", chosen: "Settings", writer: "Writer", start: "Start", tracer: "Tracer | None" = None
) -> "uvicorn.Server":
    from crossmargin.service.listening import server_configuration
    from crossmargin.service.silence import Server

    configuration = server_configuration(answering, chosen)
    if not chosen.workers:
        return Server(configuration)
    from crossmargin.service.processes.front import Front

    return Front(
        configuration,
        writer,
        lambda: answering.state.hub,
        start=start,
        workers=chosen.workers,
        hosts=chosen.hosts,
        is_open=chosen.open,
        tracer=tracer,
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _opening(chosen: "Settings") -> "Callable[[], tuple[Command, ...]]":
    """Return what gives the commands that a new folder begins with; a file is read at once, so that it can be refused."""
    from crossmargin.cli.clearing import commands_in
    from crossmargin.service.rehearsal import rehearse

    own = None if chosen.opening is None else commands_in(Path(chosen.opening))

    def opening() -> tuple["Command", ...]:
        from crossmargin.files.sample import sample_market, solvent_sample_book
        from crossmargin.service.opening import opening_commands

        rehearse()
        return tuple(opening_commands(solvent_sample_book(), sample_market())) if own is None else own

    return opening


def _writer(chosen: "Settings", start: "Start") -> "Writer":
    from crossmargin.service.projector import Projector
    from crossmargin.service.writer import Writer

    opening = _opening(chosen)
    folder = Path(chosen.folder)
    folder.mkdir(parents=True, exist_ok=True)
    return Writer(
        folder,
        opening=opening,
        background=True,
        projector=Projector(chosen.database_url, folder, start),
    )


def _tracer(chosen: "Settings", stack: contextlib.ExitStack) -> "Tracer | None":
    if chosen.trace_endpoint is None:
        return None
    from crossmargin.service.tracing import open_tracing

    provider = open_tracing(chosen.trace_endpoint)
    stack.callback(provider.shutdown)
    tracer: Tracer = provider.get_tracer("crossmargin")
    return tracer


def _serve_metrics(
    chosen: "Settings", writer: "Writer", figures: "CollectorRegistry", stack: contextlib.ExitStack
) -> None:
    if chosen.metrics_port is None:
        return
    from crossmargin.service.metrics import metrics_server

    at = chosen.host if chosen.is_loopback else "127.0.0.1"  # nobody is asked for a key there

    stack.enter_context(metrics_server(at, chosen.metrics_port, writer.measures.registry, figures))
