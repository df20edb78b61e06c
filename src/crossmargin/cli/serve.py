"""Run the service."""

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from crossmargin.cli.app import app, console
from crossmargin.errors import InputError

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer
    from prometheus_client import CollectorRegistry

    from crossmargin.service.configuration import Settings
    from crossmargin.service.writer import Writer


@app.command
def serve(
    *,
    host: str | None = None,
    port: int | None = None,
    folder: Path | None = None,
    database: str | None = None,
    config: Path | None = None,
    feed: list[str] | None = None,
    alerts: Path | None = None,
) -> None:
    """Serve the public API and the dashboard, on the sample book where FOLDER is new.

    Only this machine can reach it: requests carry no keys yet, so a host that is not loopback is refused. A flag goes
    before its variable (CROSSMARGIN_HOST and so on), the variable before the configuration's file.

    Parameters
    ----------
    host
        Loopback address, 127.0.0.1.
    port
        TCP port, 8000.
    folder
        Folder of the journal, crossmargin-data; it is created if there is none.
    database
        URL of the tables that follow the journal, like postgresql://user@host/name; SQLite in the folder if not given.
    config
        TOML file with a table [service].
    feed
        Where prices come from: replay:FILE or replay:FILE@SPEED (max waits for nothing), or ccxt:VENUE,VENUE. Time is then
        the feed's.
    alerts
        TOML file with rules of alerts on any metric, and the channels that they tell.
    """
    try:
        import uvicorn

        from crossmargin.service.alert_rules import AlertRules, read_rules
        from crossmargin.service.application import application
        from crossmargin.service.configuration import settings
        from crossmargin.service.feeding import feeding, parse_feed
        from crossmargin.service.logs import open_logs, secrets_in
    except ImportError as error:
        raise InputError(f"serving needs the extra crossmargin[service], {error.name} is missing") from error
    from crossmargin.service.clock import Clock

    flags = {"host": host, "port": port, "folder": None if folder is None else str(folder), "database": database}
    flags["alerts"] = None if alerts is None else str(alerts)
    feeds = [parse_feed(each) for each in feed or ()]
    chosen = settings(flags, os.environ, config)
    rules = AlertRules() if chosen.alerts is None else read_rules(Path(chosen.alerts), os.environ)
    open_logs(sys.stderr, known=[*secrets_in(chosen.database_url), *rules.channels.values()])
    writer = _writer(chosen)
    clock = Clock(writer, tick_s=chosen.tick_s, longest_jump_s=chosen.longest_jump_s)
    # a Host header carries the port, unless it is the usual one
    names = ["127.0.0.1", "localhost", "[::1]", chosen.host]
    hosts = [*names, *(f"{name}:{chosen.port}" for name in names)]
    console.print(f"http://{chosen.host}:{chosen.port}/ serves {chosen.folder}", soft_wrap=True)
    try:
        with contextlib.ExitStack() as stack:
            fed = stack.enter_context(feeding(writer, feeds))
            answering = application(writer, hosts=hosts, feeds=fed.status, tracer=_tracer(chosen, stack), alerts=rules)
            _serve_metrics(chosen, writer, answering.state.figures, stack)
            # the logs are ours, and hold no request's query
            told = uvicorn.Config(
                answering,
                host=chosen.host,
                port=chosen.port,
                log_config=None,
                access_log=False,
                ws_per_message_deflate=False,
            )
            server = uvicorn.Server(told)

            def stop_on_failure() -> None:
                # a supervisor starts the process again, and the journal says what is on disk
                if writer.failure is not None:
                    server.should_exit = True

            writer.listen(stop_on_failure)
            if chosen.tick_s and not feeds:
                clock.start()
            server.run()
    finally:
        clock.close()
        writer.close()
    if writer.failure is not None:
        raise InputError(f"the service must be able to write its journal, {writer.failure}")


def _writer(chosen: "Settings") -> "Writer":
    from crossmargin.files.sample import sample_book, sample_market
    from crossmargin.service.opening import opening_commands
    from crossmargin.service.projector import Projector
    from crossmargin.service.writer import Writer

    folder = Path(chosen.folder)
    folder.mkdir(parents=True, exist_ok=True)
    return Writer(
        folder,
        opening=lambda: tuple(opening_commands(sample_book(), sample_market())),
        background=True,
        projector=Projector(chosen.database_url, folder),
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

    stack.enter_context(metrics_server(chosen.host, chosen.metrics_port, writer.measures.registry, figures))
