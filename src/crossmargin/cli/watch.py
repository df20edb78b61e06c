"""Watch a running service in the terminal."""

from crossmargin.cli.app import write_json
from crossmargin.cli.credentials import OF_ENVIRONMENT, Shown
from crossmargin.errors import InputError

UNAUTHORIZED = 401


def watch(
    url: str = "http://127.0.0.1:8000",
    *,
    shown: Shown = OF_ENVIRONMENT,
    every: float = 1.0,
    json: bool = False,
) -> None:
    """Show accounts by equity, requirement and state, the insurance fund, breakers and ages of prices, as they change.

    Where the service asks for a key, its id is read from CROSSMARGIN_KEY, and its secret from CROSSMARGIN_SECRET or its
    private half from a file. Keys: s sorts by the next column, r turns the order, / filters, q ends.

    Parameters
    ----------
    url
        Of the service.
    every
        Seconds between two looks.
    json
        Print what is there once, as a record, and end.
    """
    try:
        from crossmargin.client import Client, ServiceError
        from crossmargin.watching import Seen, Watch, look
    except ImportError as error:
        raise InputError(f"watching needs the extra crossmargin[service], {error.name} is missing") from error
    import httpx

    if not 0.1 <= every <= 3600:
        raise InputError(f"every must be from 0.1 to 3600 s, was {every}")
    signs, tls = shown.key(), shown.tls()
    if not json:
        Watch(url, key=signs, every_s=every, tls=tls).run()
        return
    with Client(url, key=signs, attempts=1, tls=tls) as client:
        try:
            found: Seen = look(client)
        except ServiceError as error:
            if error.status != UNAUTHORIZED:
                raise InputError(f"the service at {url} must let watch look, {error}") from error
            key = "none was given" if signs is None else f"it refuses {signs.id}"
            raise InputError(f"the service at {url} must know the key, {key}") from error
        except httpx.TransportError as error:
            raise InputError(f"a service must answer at {url}, {error}") from error
    write_json(found)
