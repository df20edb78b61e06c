"""Run the service."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from crossmargin.cli.app import app, console
from crossmargin.errors import InputError

if TYPE_CHECKING:
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
    """
    try:
        import uvicorn

        from crossmargin.service.application import application
        from crossmargin.service.configuration import settings
        from crossmargin.service.feeding import feeding, parse_feed
    except ImportError as error:
        raise InputError(f"serving needs the extra crossmargin[service], {error.name} is missing") from error
    from crossmargin.service.clock import Clock

    flags = {"host": host, "port": port, "folder": None if folder is None else str(folder), "database": database}
    feeds = [parse_feed(each) for each in feed or ()]
    chosen = settings(flags, os.environ, config)
    writer = _writer(chosen)
    clock = Clock(writer, tick_s=chosen.tick_s, longest_jump_s=chosen.longest_jump_s)
    # a Host header carries the port, unless it is the usual one
    names = ["127.0.0.1", "localhost", "[::1]", chosen.host]
    hosts = [*names, *(f"{name}:{chosen.port}" for name in names)]
    console.print(f"http://{chosen.host}:{chosen.port}/ serves {chosen.folder}", soft_wrap=True)
    try:
        with feeding(writer, feeds) as fed:
            answering = application(writer, hosts=hosts, feeds=fed.status)
            server = uvicorn.Server(uvicorn.Config(answering, host=chosen.host, port=chosen.port))

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
