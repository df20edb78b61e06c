"""Run the service."""

import ipaddress
from pathlib import Path

from crossmargin.cli.app import app, console
from crossmargin.errors import InputError


@app.command
def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    database: Path = Path("crossmargin-data"),
    feed: list[str] | None = None,
) -> None:
    """Serve the public API and the dashboard, on the sample book where DATABASE is new.

    Only this machine can reach it: requests carry no keys yet, so a host that is not loopback is refused.

    Parameters
    ----------
    host
        Loopback address.
    port
        TCP port.
    database
        Folder of the journal; it is created if there is none.
    feed
        Where prices come from: replay:FILE or replay:FILE@SPEED (max waits for nothing), or ccxt:VENUE,VENUE.
    """
    if host != "localhost" and not _is_loopback(host):
        raise InputError(f"a host must be a loopback address while requests carry no keys, was {host}")
    try:
        import uvicorn

        from crossmargin.service.application import application
        from crossmargin.service.feeding import feeding, parse_feed
        from crossmargin.service.opening import opening_commands
    except ImportError as error:
        raise InputError(f"serving needs the extra crossmargin[service], {error.name} is missing") from error
    from crossmargin.files.sample import sample_book, sample_market
    from crossmargin.service.writer import Writer

    feeds = [parse_feed(each) for each in feed or ()]
    writer = Writer(database, opening=lambda: tuple(opening_commands(sample_book(), sample_market())), background=True)
    # a Host header carries the port, unless it is the usual one
    names = ["127.0.0.1", "localhost", "[::1]", host]
    hosts = [*names, *(f"{name}:{port}" for name in names)]
    console.print(f"http://{host}:{port}/ serves {database}", soft_wrap=True)
    try:
        with feeding(writer, feeds) as fed:
            uvicorn.run(application(writer, hosts=hosts, feeds=fed.status), host=host, port=port)
    finally:
        writer.close()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
