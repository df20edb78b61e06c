"""A first start tells how many kernels it has compiled; one that finds them in the cache tells nothing."""

import logging
import os
import subprocess
import sys
import threading

import numba
import pytest
from litestar.testing import TestClient

from crossmargin.service import compiling
from crossmargin.service.application import application
from crossmargin.service.writer import Writer

COUNT = """
from crossmargin.service.compiling import compiling
from crossmargin.service.rehearsal import rehearse
told = []
with compiling(lambda *progress: told.append(progress)):
    rehearse()
print(len(told))
"""


def new_kernel():
    return numba.njit(lambda number: number + 1)


def test_what_is_compiled_is_told_and_what_was_is_not(caplog):
    told, kernel = [], new_kernel()
    with caplog.at_level(logging.INFO), compiling.compiling(lambda *progress: told.append(progress)):
        assert kernel(1) == 2
        assert told == [(1, compiling.KERNELS)]
        assert kernel(2) == 3
        assert kernel(1.5) == 2.5  # of another type
    assert told == [(1, compiling.KERNELS), (2, compiling.KERNELS)]
    assert [each.getMessage() for each in caplog.records] == [
        f"compiles what it computes with, as a first start must: 1 of about {compiling.KERNELS} kernels"
    ]
    new_kernel()(1)
    assert len(told) == 2, "after it nobody listens"


def test_health_tells_it_until_commands_are_applied(tmp_path):
    compiled, go = threading.Event(), threading.Event()

    def opening():
        new_kernel()(1)
        compiled.set()
        assert go.wait(60)
        return ()

    writer = Writer(tmp_path, opening=opening, background=True)
    with TestClient(application(writer)) as client:
        assert compiled.wait(60)
        progress = client.get("/health").json()["progress"]
        writer.opening_progress = 3, 7
        later = client.get("/health").json()["progress"]
        go.set()
    writer.close()
    assert progress == {"done": 1, "of": compiling.KERNELS, "what": "kernels"}
    assert later == {"done": 3, "of": 7}


@pytest.mark.soak
def test_a_first_start_compiles_about_as_many_as_are_told(tmp_path):
    found = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", COUNT],
            check=True, capture_output=True, text=True, env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        )  # fmt: skip
        found.append(int(done.stdout))
    assert found[0] == pytest.approx(compiling.KERNELS, rel=0.15)
    assert found[1] == 0
