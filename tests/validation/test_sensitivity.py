"""Parameters moved one at a time: what a move does follows from the formula of the method."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.cli.conftest import Run
from tests.cli.conftest import run as run

from crossmargin.files.parameters import read_parameters
from crossmargin.margin.brakes import Brakes
from crossmargin.margin.methods import METHODS, method_named
from crossmargin.validation.sensitivity import moved_parameters, moved_settings, numbers
from crossmargin.validation.walk_forward import TailSettings


@pytest.mark.parametrize("name", list(METHODS))
def test_each_moved_set_differs_in_one_number_only(name: str) -> None:
    method = method_named(name)
    parameters = read_parameters(method)
    before = dict(numbers(msgspec.to_builtins(parameters)))
    moved = list(moved_parameters(method, parameters, 0.1))
    assert len(moved) == len(before)
    for (path, value), (name, was, now, changed) in zip(before.items(), moved[:60], strict=False):
        assert (name, was) == (".".join(map(str, path)), value)
        if changed is not None:
            after = dict(numbers(msgspec.to_builtins(changed)))
            assert {place: number for place, number in after.items() if number != before[place]} == {path: now}


def test_a_setting_that_is_refused_moves_down_or_not_at_all() -> None:
    found = {name: changed for name, _, _, changed in moved_settings(Brakes(stress_weight=1.0, speed_days=1), 0.5)}
    assert found["stress_weight"] == Brakes(stress_weight=0.5, speed_days=1)  # more than all of it is refused
    assert found["buffer_share"] == Brakes(stress_weight=1.0, buffer_share=1.5, speed_days=1)
    assert {name: after for name, _, _, after in moved_settings(TailSettings(least=2, count=2), 0.5)}["least"] is None


def test_a_straight_line_of_a_parameter_shows(run: Run, tmp_path: Path) -> None:
    book = tmp_path / "book.json"
    held = {
        "accounts": [{"account": "a"}],
        "balances": [{"account": "a", "currency": "USDT", "amount": 100_000}],
        "positions": [{"account": "a", "instrument": "binance:BTC/USDT:USDT", "quantity": 1, "entry_price": 95_000}],
    }
    book.write_text(json.dumps(held), encoding="utf-8")
    code, out, err = run("sensitivity", book, "--method", "isolated", "--share", 0.2, "--json")
    assert (code, err) == (0, "")
    changes = {each["parameter"]: each["requirement"] for each in json.loads(out)}
    # a position's requirement is its value times the rate of its coin
    assert changes["initial_rate.BTC"] == pytest.approx(0.2)
    assert changes["initial_rate.ETH"] == 0.0
    code, _, err = run("sensitivity", "--method", "filtered_braked")
    assert (code, "needs --data" in err) == (2, True)


def test_coverage_moves_with_the_parameter(
    run: Run, shared: Path, record_property: Callable[[str, object], None]
) -> None:
    arguments = ["--method", "isolated", "--data", shared / "data", "--every", 400, "--share", 0.5, "--json"]
    code, out, _ = run("sensitivity", *arguments)
    assert code == 0
    found = {each["parameter"]: each for each in json.loads(out)}
    assert found["initial_rate.BTC"]["coverage"] > 0.001
    record_property("outside_cases", len(found))
