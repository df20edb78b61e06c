"""Clocks of a process that are ahead by as many seconds as files say: Python imports this before anything reads a clock.

The folder of the files is in `WRONG_CLOCK`; `wall` stands for the system's clock, `monotonic` for the one nobody sets.
"""

import os
import time
from pathlib import Path

FOLDER = os.environ.get("WRONG_CLOCK")
WALL_NS, MONOTONIC_NS = time.time_ns, time.monotonic_ns  # noqa: TID251


def ahead_ns(name):
    try:
        return int(float(Path(FOLDER, name).read_text()) * 1e9)
    except FileNotFoundError:
        return 0


def wall_ns():
    return WALL_NS() + ahead_ns("wall")


if FOLDER is not None:
    vars(time).update(
        time_ns=wall_ns,
        time=lambda: wall_ns() / 1e9,
        monotonic_ns=lambda: MONOTONIC_NS() + ahead_ns("monotonic"),
    )
