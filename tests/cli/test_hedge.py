"""The best hedge from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path) -> list[object]:
    """Return the command on a book that is long 2 BTC at 100,000 and short 1.5 of them elsewhere."""
    positions = [
        {"account": "firm", "instrument": "binance:BTC/USDT:USDT", "quantity": 2.0},
        {"account": "firm", "instrument": "bybit:BTC/USDT:USDT", "quantity": -1.5},
    ]
    balances = [{"account": "firm", "currency": "USDT", "amount": 90_000.0}]
    book = {"accounts": [{"account": "firm"}], "balances": balances, "positions": positions}
    prices = (("BTC", 100_000.0), ("USDT", 1.0))
    market = {"time": "2026-01-15T09:00:00Z", "index": [{"currency": c, "price": p} for c, p in prices]}
    for name, value in (("book", book), ("market", market)):
        (tmp_path / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    return ["hedge", "firm", "--book", tmp_path / "book.json", "--market", tmp_path / "market.json"]


def test_what_is_held_is_tried_where_nothing_is_named(command: list[object], run: Run) -> None:
    code, out, _ = run(*command, "--cost-bps", 5, "--json")
    assert code == 0
    found = json.loads(out)
    # the half coin that is left open closes on either venue, for 5 bps of 50,000
    assert {each["instrument"] for each in found} == {"binance:BTC/USDT:USDT", "bybit:BTC/USDT:USDT"}
    for each in found:
        assert each["quantity"] == pytest.approx(-0.5, rel=1e-3)
        assert each["cost"] == pytest.approx(25.0, rel=1e-3)
        assert each["per_cost"] == pytest.approx(each["released"] / each["cost"])


def test_a_hedge_that_costs_more_than_it_frees_is_none(command: list[object], run: Run) -> None:
    code, out, _ = run(*command, "--cost-bps", 5000, "--among", "binance:BTC/USDT:USDT")
    assert (code, "none of 1 instruments" in out) == (0, True)


def test_bad_input_is_one_line(command: list[object], run: Run) -> None:
    for extra, says in (
        (["--cost-bps", -1], "cost_bps must be"),
        (["--largest", 0], "largest trade"),
        (["--method", "x"], "a method must be"),
    ):
        code, _, err = run(*command, *extra)
        assert (code, says in err) == (2, True)
