"""What `doctor --service` looks at."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmargin.cli.app import console, write_json
from crossmargin.errors import InputError

if TYPE_CHECKING:
    from crossmargin.service.configuration import Settings

FORBIDDEN = 403


def look_at_service(flags: Mapping[str, Any], config: Path | None, *, compile_kernels: bool, json: bool) -> None:
    """Print what is found of everything that the service needs; exit with 1 where something is wrong."""
    try:
        from crossmargin.service.configuration import settings
        from crossmargin.service.soundness import findings, found
    except ImportError as error:
        raise InputError(f"the service needs the extra crossmargin[service], {error.name} is missing") from error
    chosen = settings(flags, os.environ, config)
    seen = findings(chosen, os.environ)
    if os.environ.get("CROSSMARGIN_KEY"):
        seen.append(found("own key", lambda: _own_key(chosen)))
    if compile_kernels:
        seen.append(found("kernels", _compiled))
    if json:
        write_json({"checks": seen})
    else:
        for each in seen:
            mark = "[green]ok[/]" if each.ok else "[red]not ok[/]"
            console.print(f"{mark} {each.check}: ", end="", highlight=False)
            console.print(each.finding, soft_wrap=True, highlight=False, markup=False)
    if not all(each.ok for each in seen):
        sys.exit(1)


def _own_key(chosen: "Settings") -> str:
    """Find that the service, where it runs, takes the key that the environment names."""
    import httpx

    from crossmargin.client import Client, ServiceError, key_in
    from crossmargin.service.soundness import is_written, own_tls, url_of

    if (key := key_in(os.environ)) is None:
        return "none"
    if not is_written(chosen):
        return f"{key.id}, which no running service was asked about"
    with Client(url_of(chosen), key=key, attempts=1, tls=own_tls(chosen)) as client:
        try:
            client.accounts(limit=1)
        except ServiceError as error:
            if error.status == FORBIDDEN:
                return f"{key.id} is known, and may not read accounts"
            raise InputError(f"a key must be one that the service knows, {key.id} is not: {error}") from error
        except httpx.TransportError as error:
            raise InputError(f"the service must answer, {url_of(chosen)}: {error}") from error
    return f"{key.id} is known"


def _compiled() -> str:
    from crossmargin.engine.engine import Engine
    from crossmargin.files.sample import sample_book, sample_market
    from crossmargin.service.opening import opening_commands

    engine = Engine()
    for command in opening_commands(sample_book(), sample_market()):
        engine.apply(command)
    healths = [engine.health(name) for name in engine.state.accounts]
    return f"compiled, {len(healths)} accounts of the sample margined"
