"""`stress` and `reverse-stress`, as typed."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run


def test_a_move_of_ones_own_is_exposure_times_move(run: Run) -> None:
    code, out, _ = run("stress", "--move", "BTC=-0.3", "--json")
    assert code == 0
    results = {record["account"]: record for record in json.loads(out)}
    # 20 BTC and nothing else that BTC moves: the sample's holder of coins
    holder = results["coin-holder"]
    code, out, _ = run("stress", "--move", "BTC=-0.15", "--json")
    half = {record["account"]: record for record in json.loads(out)}["coin-holder"]
    assert holder["by_coin"]["BTC"] == pytest.approx(2.0 * half["by_coin"]["BTC"])
    assert all(r["equity_after"] == pytest.approx(r["equity"] + r["pnl"] - r["closing_cost"]) for r in results.values())
    assert all(r["pnl"] == pytest.approx(sum(r["by_coin"].values())) for r in results.values())


def test_crises_write_a_report_and_fit_the_terminal(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "stress.html"
    code, out, err = run("stress", "--crisis", "march-2020", "--crisis", "hypothetical", "--report", page)
    assert (code, err) == (0, "")
    assert all(len(line) <= 80 for line in out.splitlines())
    html = page.read_text(encoding="utf-8")
    assert "March 2020, traded lows" in html
    assert "waterfall" in html
    assert "http" not in html.split("<script>")[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--crisis", "may-2020"), "a crisis must be one of march-2020"),
        (("--move", "BTC"), "a move must be COIN=NUMBER"),
        (("--move", "BTC=-1"), "a price move must be above -100 %"),
        (("--move", "NOTACOIN=-0.1"), "a coin must be all or one of"),
    ],
)
def test_bad_input_is_one_line(run: Run, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = run("stress", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_a_reverse_stress_loses_what_there_is(run: Run) -> None:
    code, out, _ = run("reverse-stress", "--json", "--fund", "1000000")
    assert code == 0
    (fund,) = json.loads(out)
    assert sum(fund["shortfalls"].values()) == pytest.approx(1e6, rel=1e-5)
    assert fund["move"]["BTC price"] < 0.0
    code, out, err = run("reverse-stress", "--fund", "1")
    assert code == 2
    assert "resources must exceed today's shortfalls" in err


def test_a_reverse_stress_without_a_history_is_refused(run: Run, sample: Path) -> None:
    code, _, err = run("reverse-stress", sample / "book.json", "--market", sample / "market.json")
    assert code == 2
    assert "give --history" in err
