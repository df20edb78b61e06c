"""Reading the JSON of a case folder."""

import json
from pathlib import Path
from typing import Any

from crossmargin.errors import InputError


def read_cases(path: Path) -> Any:  # noqa: ANN401  (each folder has a layout of its own)
    """Return what the JSON file at `path` holds.

    Raises
    ------
    InputError
        If there is no such file or it is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cases must be a JSON file, {path.name} is not: {error}") from error
