"""`forecast`, as typed."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run

from crossmargin.files.book import read_book


@pytest.fixture
def small(sample: Path, tmp_path: Path) -> Path:
    """Return a book of three of the sample's accounts: asking a method a hundred times about 39 takes a while."""
    whole = json.loads((sample / "book.json").read_text())
    names = ("levered-long", "levered-short", "coin-holder")
    kept = {
        key: [row for row in rows if row.get("account", row.get("name")) in names] if isinstance(rows, list) else rows
        for key, rows in whole.items()
    }
    path = tmp_path / "small.json"
    path.write_text(json.dumps(kept))
    assert len(read_book(path)) == 3
    return path


def test_a_forecast_is_calibrated_and_written(run: Run, small: Path, tmp_path: Path) -> None:
    page = tmp_path / "forecast.html"
    code, out, _ = run("forecast", small, "--draws", 400, "--calibrate", 12, "--report", page, "--json")
    assert code == 0
    answer = json.loads(out)
    found = {record["account"]: record for record in answer["forecasts"]}
    assert found["coin-holder"]["liquidation"] == 0.0
    assert 0.0 < found["levered-short"]["liquidation"] <= found["levered-short"]["call"]
    quantiles = list(found["levered-long"]["initial_quantiles"].values())
    assert quantiles == sorted(quantiles)
    assert answer["calibration"]["days"] == 12
    html = page.read_text(encoding="utf-8")
    assert "Margin calls: forecast and frequency" in html


def test_the_same_seed_gives_the_same_forecast_within_eighty_columns(run: Run, small: Path) -> None:
    code, out, err = run("forecast", small, "--draws", 200, "--days", 2)
    assert (code, err) == (0, "")
    assert all(len(line) <= 80 for line in out.splitlines())
    assert run("forecast", small, "--draws", 200, "--days", 2)[1] == out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--days", "0"), "a horizon must lie between 1 and 60 days"),
        (("--draws", "3"), "draws must be between 100 and 100,000"),
        (("--calibrate", "-1"), "past days must not be negative"),
    ],
)
def test_bad_input_is_one_line(run: Run, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = run("forecast", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err
