"""`greeks`, as typed."""

import json

import pytest
from tests.cli.conftest import Run


def test_expiries_sum_to_the_row_of_no_move(run: Run) -> None:
    code, out, _ = run("greeks", "market-maker", "--json")
    assert code == 0
    ladders = json.loads(out)
    now = {rung["coin"]: rung for rung in ladders["prices"] if rung["move"] == 0.0}
    for coin, rung in now.items():
        own = [each for each in ladders["expiries"] if each["coin"] == coin]
        assert sum(each["vega_usd"] for each in own) == pytest.approx(rung["vega_usd"])
        assert sum(each["delta_usd"] for each in own) == pytest.approx(rung["delta_usd"], rel=1e-6, abs=1.0)


def test_tables_fit_and_an_account_of_dollars_has_no_rungs(run: Run) -> None:
    code, out, err = run("greeks", "calendar-spread")
    assert (code, err) == (0, "")
    assert all(len(line) <= 80 for line in out.splitlines())
    assert run("greeks", "cash-only")[0] == 0
    code, _, err = run("greeks", "nobody")
    assert code == 2
    assert "an account must be one of" in err
