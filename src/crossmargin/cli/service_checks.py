"""What `doctor --service` looks at."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from crossmargin.cli.app import console, write_json
from crossmargin.errors import InputError


def look_at_service(flags: Mapping[str, Any], config: Path | None, *, compile_kernels: bool, json: bool) -> None:
    """Print what is found of everything that the service needs; exit with 1 where something is wrong."""
    try:
        from crossmargin.service.configuration import settings
        from crossmargin.service.soundness import findings, found
    except ImportError as error:
        raise InputError(f"the service needs the extra crossmargin[service], {error.name} is missing") from error
    seen = findings(settings(flags, os.environ, config), os.environ)
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


def _compiled() -> str:
    from crossmargin.engine.engine import Engine
    from crossmargin.files.sample import sample_book, sample_market
    from crossmargin.service.opening import opening_commands

    engine = Engine()
    for command in opening_commands(sample_book(), sample_market()):
        engine.apply(command)
    healths = [engine.health(name) for name in engine.state.accounts]
    return f"compiled, {len(healths)} accounts of the sample margined"
