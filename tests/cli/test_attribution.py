"""`attribute`, as typed: the sample's market against itself with BTC 10 % lower."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run


@pytest.fixture
def lower(sample: Path, tmp_path: Path) -> Path:
    """Return the sample's market with BTC's index, forwards and futures 10 % lower, quoted at the same time."""
    market = json.loads((sample / "market.json").read_text())
    for row in market["index"]:
        if row["currency"] == "BTC":
            row["price"] *= 0.9
    path = tmp_path / "lower.json"
    path.write_text(json.dumps(market))
    return path


def test_parts_sum_to_the_profit_of_a_holder_of_coins(run: Run, sample: Path, lower: Path, tmp_path: Path) -> None:
    page = tmp_path / "attribution.html"
    arguments = ("attribute", sample / "book.json", "--before", sample / "market.json", "--after", lower)
    code, out, _ = run(*arguments, "--json", "--report", page)
    assert code == 0
    records = {record["account"]: record for record in json.loads(out)}
    for record in records.values():
        parts = [record[part] for part in ("delta", "gamma", "vega", "theta", "basis", "funding", "residual")]
        assert sum(parts) == pytest.approx(record["total"], abs=1e-6)
        assert sum(line["total"] for line in record["lines"]) == pytest.approx(record["total"], abs=1e-6)
    holder = {line["name"]: line for line in records["coin-holder"]["lines"]}
    stress = json.loads(run("stress", "--move", "BTC=-0.1", "--json")[1])
    exact = next(record for record in stress if record["account"] == "coin-holder")
    assert holder["BTC"]["delta"] == pytest.approx(exact["by_coin"]["BTC"], rel=1e-9)
    assert "waterfall" in page.read_text(encoding="utf-8")


def test_one_account_is_shown_line_by_line(run: Run, sample: Path, lower: Path) -> None:
    code, out, err = run(
        "attribute", sample / "book.json", "--before", sample / "market.json", "--after", lower,
        "--account", "covered-call",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].startswith("sum")
    assert all(len(line) <= 80 for line in out.splitlines())


def test_a_second_snapshot_must_be_named(run: Run, sample: Path) -> None:
    code, _, err = run("attribute", sample / "book.json", "--before", sample / "market.json")
    assert code == 2
    assert "a second snapshot must be named" in err
