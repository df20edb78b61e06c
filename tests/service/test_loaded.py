"""What the processes of a service have loaded once it is open: a library that they need seldom, or never, is not among it."""

import subprocess
import sys

from crossmargin.service import projection

SELDOM = ("polars", "pandas", "plotly", "httpx", "scipy.stats", "scipy.optimize", "sqlalchemy.orm", "ccxt",
          "sqlalchemy.dialects.postgresql", "litestar.testing", "textual", "opentelemetry.sdk")  # fmt: skip
"""Slow to load."""

SERVING = """
import sys, threading
from crossmargin.cli import main, serve
from crossmargin.service.silence import Server
opened = threading.Event()
kept = serve._keep
def keep(engine):
    kept(engine)
    opened.set()
def run(self):
    assert opened.wait(120)
    print("loaded", *sys.modules)
serve._keep, Server.run = keep, run
main()
"""
FOLLOWING = """
import sys

import pytest
from pathlib import Path
from crossmargin.files.sample import sample_market, solvent_sample_book
from crossmargin.service.opening import opening_commands
from crossmargin.service.projector import Projector
from crossmargin.service.writer import Writer
folder = Path(sys.argv[1])
writer = Writer(
    folder,
    opening=lambda: tuple(opening_commands(solvent_sample_book(), sample_market())),
    projector=Projector(f"sqlite:///{folder}/tables.sqlite", folder),
)
assert writer.projector.wait_for(writer.record, 120)
print("loaded", *sys.modules)
writer.close()
"""


def loaded(code, *arguments):
    """Return what a program has loaded when it says so."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return next(set(line.split()) for line in done.stdout.splitlines() if line.startswith("loaded "))


def test_a_service_that_is_open_has_loaded_what_requests_need_and_nothing_that_they_need_seldom(tmp_path):
    found = loaded(SERVING, "serve", "--open", "--port", "0", "--folder", str(tmp_path / "data"))
    assert {"litestar", "numba", "sqlalchemy", "scipy.special", "crossmargin.service.rehearsal"} <= found
    assert found & set(SELDOM) == set()


def test_what_keeps_the_tables_loads_nothing_of_the_server_nor_what_made_them_before(tmp_path):
    made = projection.open_database(f"sqlite:///{tmp_path}/tables.sqlite")
    projection.migrate(made)
    made.dispose()
    found = loaded(FOLLOWING, str(tmp_path))
    assert {"numba", "sqlalchemy", "crossmargin.service.following"} <= found
    assert found & {*SELDOM, "alembic", "scipy.special", "litestar", "uvicorn", "cyclopts"} == set()
