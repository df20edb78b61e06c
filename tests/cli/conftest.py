"""The command line as a user runs it: arguments in; exit code, output and errors out."""

import sys
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest

from crossmargin import cli

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "80")

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["crossmargin", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return int(code or 0), out, err  # type: ignore[call-overload]

    return call


@pytest.fixture(scope="session")
def sample() -> Path:
    """Return the folder of the embedded sample: book.json, market.json, history.csv."""
    return Path(str(resources.files("crossmargin"))) / "sample"
