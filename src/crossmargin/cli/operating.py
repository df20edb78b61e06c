"""Halt a running service and reopen it, as its operator."""

import sys

import msgspec

from crossmargin.cli.app import console, write_json
from crossmargin.cli.credentials import OF_ENVIRONMENT, Credentials, Shown
from crossmargin.errors import InputError

UNAUTHORIZED, FORBIDDEN, REFUSED = 401, 403, 422


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command: `done`, or `waiting` for a second owner under the approval's id."""

    service: str
    asked: str
    state: str
    command: str | None
    approval: str | None


def halt(
    *,
    reason: str,
    service: str = "http://127.0.0.1:8000",
    shown: Shown = OF_ENVIRONMENT,
    json: bool = False,
) -> None:
    """Halt a running service: nothing but deposits, cancels and what reduces risk, until it is resumed.

    Its key needs the scope admin and all accounts. Its id is read from CROSSMARGIN_KEY, and its secret from
    CROSSMARGIN_SECRET or its private half from a file. Exit code 0 says that it is done, 1 that a second owner must approve
    first, 2 that it is refused.

    Parameters
    ----------
    reason
        Why; it is journaled, and shown to whoever looks.
    service
        URL of the service.
    json
        Print a record.
    """
    _operate("Halt", service, reason, shown, json=json)


def resume(
    *,
    reason: str,
    service: str = "http://127.0.0.1:8000",
    shown: Shown = OF_ENVIRONMENT,
    json: bool = False,
) -> None:
    """Reopen a running service after a halt, a failed audit or a poisoned command; look at what halted it first.

    Its key needs the scope admin and all accounts. Its id is read from CROSSMARGIN_KEY, and its secret from
    CROSSMARGIN_SECRET or its private half from a file. Exit code 0 says that it is done, 1 that a second owner must approve
    first, 2 that it is refused.

    Parameters
    ----------
    reason
        Why; it is journaled.
    service
        URL of the service.
    json
        Print a record.
    """
    _operate("Resume", service, reason, shown, json=json)


def _operate(kind: str, url: str, reason: str, shown: Credentials, *, json: bool) -> None:
    try:
        import httpx

        from crossmargin.client import Client, ServiceError
        from crossmargin.client.clients import UNSENT
    except ImportError as error:
        raise InputError(f"asking a service needs the extra crossmargin[service], {error.name} is missing") from error
    if not reason.strip():
        raise InputError("a reason must say something, was empty")
    key, tls = shown.key(), shown.tls()
    who = "who has no key" if key is None else key.id
    with Client(url, key=key, tls=tls) as client:
        try:
            done = client.operate(kind, reason=reason)
        except ServiceError as error:
            raise InputError(_refusal(kind, url, who, error.status, error.rule, error.finding)) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            is_sent = not isinstance(error, (*UNSENT, httpx.InvalidURL))
            outcome = f"whether it took {kind} is not known" if is_sent else f"{kind} was not sent"
            raise InputError(f"a service must answer at {url}, {str(error).rstrip('.')}; {outcome}") from error
    waits = done.approval is not None
    found = Asked(
        service=url, asked=kind, state="waiting" if waits else "done", command=done.command, approval=done.approval
    )
    if json:
        write_json(found)
    elif waits:
        console.print(
            f"waiting: {kind} at {url} is not done, a second owner must approve {done.approval}", soft_wrap=True
        )
    else:
        console.print(
            f"done: {url} {'is halted' if kind == 'Halt' else 'goes on'}, {reason}", soft_wrap=True, markup=False
        )
    if waits:
        sys.exit(1)


def _refusal(kind: str, url: str, who: str, status: int, rule: str, finding: str) -> str:
    """Return the service's no as one line: rule, then finding."""
    if status == UNAUTHORIZED:
        return f"the service at {url} must know the key, it refuses {who}"
    if status == FORBIDDEN:
        return f"the service at {url} must let a key ask for {kind}, it refuses {who}: {rule}, {finding}"
    if status == REFUSED and (kind, rule) == ("Halt", "ALREADY_EXISTS"):
        return f"a service must be open to be halted, {url} is halted already: {finding}"
    if status == REFUSED and kind == "Resume" and rule in {"NOT_HALTED", "NOT_EMPTY"}:  # an older one's
        return f"a service must be halted to be reopened, {url} is open"
    return f"the service at {url} must take {kind}, it refuses: {rule}, {finding}"
