"""Comparing methods, liquidation prices, parameters and venues from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from crossmargin.cli import venues
from crossmargin.errors import InputError

Output = pytest.CaptureFixture[str]


def printed(capsys: Output) -> object:
    return json.loads(capsys.readouterr().out)


def test_compare_gives_every_method_a_number_or_a_reason(capsys: Output) -> None:
    venues.compare(account="covered-call", json=True)
    records = printed(capsys)
    assert {record["method"] for record in records} >= {"isolated", "scenario_grid", "tail_risk"}
    for record in records:
        assert ("cannot" in record) != ("initial" in record)
    grid = next(record for record in records if record["method"] == "scenario_grid")
    assert grid["differs_most_in"] is None
    tail = next(record for record in records if record["method"] == "tail_risk")
    assert tail["differs_most_in"]["amount"] != 0.0


def test_compare_draws_a_chart(tmp_path: Path) -> None:
    venues.compare(account="hedger", method=["isolated", "scenario_grid"], chart=tmp_path / "c.html", json=True)
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    assert "scenario_grid" in page
    assert "Initial requirement" in page


def test_liquidation_gives_both_sides_of_a_short_strangle(capsys: Output) -> None:
    venues.liquidation("strangle-seller", json=True)
    record = printed(capsys)
    moves = [crossing["move"] for crossing in record["coins"]["BTC"]["crossings"]]
    assert min(moves) < 0.0 < max(moves)


def test_parameters_lists_every_set_with_its_source(capsys: Output) -> None:
    venues.parameters(json=True)
    for record in printed(capsys):
        assert record["sources"], record["method"]


def test_a_difference_of_one_set_with_itself_is_empty(capsys: Output) -> None:
    venues.parameters("scenario_grid", since="2026-02-01", until="2026-03-01", json=True)
    assert printed(capsys) == {"method": "scenario_grid", "changes": [], "effects": []}


def test_venues_shows_what_a_pool_would_save(tmp_path: Path, capsys: Output) -> None:
    book = {
        "accounts": [{"account": "firm"}],
        "balances": [
            {"account": "firm", "currency": "USDT", "amount": 90_000.0, "venue": "binance"},
            {"account": "firm", "currency": "USDT", "amount": 90_000.0, "venue": "hyperliquid"},
        ],
        "positions": [
            {"account": "firm", "instrument": "binance:BTC/USDT:USDT", "quantity": 1.0},
            {"account": "firm", "instrument": "hyperliquid:BTC/USDC:USDC", "quantity": -1.0},
        ],
    }
    market = {
        "time": "2026-01-15T09:00:00+00:00",
        "index": [{"currency": c, "price": p} for c, p in (("BTC", 100_000.0), ("USDT", 1.0), ("USDC", 1.0))],
    }
    for name, value in (("book", book), ("market", market)):
        (tmp_path / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    venues.venues("firm", book=tmp_path / "book.json", market=tmp_path / "market.json", json=True)
    record = printed(capsys)
    assert record["venues"]["binance"]["initial"] > 16_000.0
    # what is left of the pool is what it costs to close two legs on two venues: nothing nets to nothing
    assert record["pool"]["saving"] == pytest.approx(
        sum(part["initial"] for part in record["venues"].values()) - record["pool"]["initial"]
    )
    assert record["exposure"]["hyperliquid"]["BTC"] == pytest.approx(-100_000.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: venues.compare(account="nobody"), "must be one of the book's"),
        (lambda: venues.compare(Path("book.json")), "needs its market snapshot"),
        (lambda: venues.parameters("isolated", since="2026-01-01"), "needs a method"),
        (lambda: venues.compare(method=["nonsense"]), "a method must be one of"),
    ],
)
def test_bad_input_names_the_rule(call: Callable[[], None], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
