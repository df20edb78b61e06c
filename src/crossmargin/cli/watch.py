"""Watch a running service in the terminal."""

import os
from pathlib import Path

from crossmargin.cli.app import app, write_json
from crossmargin.errors import InputError

KEY_VARIABLE = "CROSSMARGIN_KEY"
SECRET_VARIABLE = "CROSSMARGIN_SECRET"  # noqa: S105  (a name)


@app.command
def watch(
    url: str = "http://127.0.0.1:8000", *, private_key: Path | None = None, every: float = 1.0, json: bool = False
) -> None:
    """Show accounts by equity, requirement and state, the insurance fund, breakers and ages of prices, as they change.

    Where the service asks for a key, its id is read from CROSSMARGIN_KEY, and its secret from CROSSMARGIN_SECRET or its
    private half from a file. Keys: s sorts by the next column, r turns the order, / filters, q ends.

    Parameters
    ----------
    url
        Of the service.
    private_key
        File of an Ed25519 private key, 32 bytes in hexadecimal.
    every
        Seconds between two looks.
    json
        Print what is there once, as a record, and end.
    """
    try:
        from crossmargin.client import Client, Key, ServiceError
        from crossmargin.watching import Seen, Watch, look
    except ImportError as error:
        raise InputError(f"watching needs the extra crossmargin[service], {error.name} is missing") from error
    import httpx

    if not 0.1 <= every <= 3600:
        raise InputError(f"every must be from 0.1 to 3600 s, was {every}")
    key, secret = os.environ.get(KEY_VARIABLE), os.environ.get(SECRET_VARIABLE)
    private = None if private_key is None else private_key.read_text(encoding="ascii").strip()
    signs = None if key is None else Key(id=key, secret=None if private else secret, private=private)
    if json:
        with Client(url, key=signs, attempts=1) as client:
            try:
                found: Seen = look(client)
            except (ServiceError, httpx.TransportError) as error:
                raise InputError(f"a service must answer at {url}, {error}") from error
        write_json(found)
        return
    Watch(url, key=signs, every_s=every).run()
