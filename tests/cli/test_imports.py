"""Importing from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

from crossmargin.files.book import read_book

Run = Callable[..., tuple[int, str, str]]


def test_a_book_is_written_and_read_back(tmp_path: Path, run: Run) -> None:
    answer = tmp_path / "positions.json"
    row = {"instrument_name": "BTC-PERPETUAL", "size": -50, "direction": "sell", "average_price": 9e4, "vega": 0}
    answer.write_text(json.dumps({"result": [row]}))
    code, out, _ = run("import", answer, "--venue", "deribit", "--out", tmp_path / "book.json", "--json")
    assert code == 0
    assert json.loads(out)["unmapped"] == ["positions.json.result[].vega"]
    (position,) = read_book(tmp_path / "book.json")[0].positions
    assert (position.instrument.id, position.quantity, position.entry_price) == ("deribit:BTC/USD:BTC", -5.0, 9e4)


def test_the_venues_margin_stands_beside_ours(tmp_path: Path, run: Run, sample: Path) -> None:
    answer = tmp_path / "account.json"
    stated = {"totalInitialMargin": "7.5", "totalMaintMargin": "0.4", "totalMarginBalance": "100"}
    position = {"symbol": "BTCUSDT", "positionAmt": "0.001", "positionSide": "BOTH"}
    assets = [{"asset": "USDT", "walletBalance": "100"}]
    answer.write_text(json.dumps({**stated, "assets": assets, "positions": [position]}))
    code, out, _ = run("import", answer, "--venue", "binance", "--market", sample / "market.json", "--json")
    assert code == 0
    compared = {row["figure"]: row for row in json.loads(out)["compared"] if row["method"] == "binance_futures"}
    assert compared["initial"]["venue"] == 7.5
    for row in compared.values():
        assert row["difference"] == row["ours"] - row["venue"]


def test_margin_without_its_positions_is_not_compared(tmp_path: Path, run: Run, sample: Path) -> None:
    answer = tmp_path / "account.json"
    answer.write_text('{"totalInitialMargin": "7.5", "totalMaintMargin": "0.4", "totalMarginBalance": "100"}')
    _, out, _ = run("import", answer, "--venue", "binance", "--market", sample / "market.json", "--json")
    (row,) = json.loads(out)["compared"]
    assert "no file holds the positions" in row["cannot"]


def test_bad_input_is_one_line(tmp_path: Path, run: Run) -> None:
    answer = tmp_path / "positions.json"
    answer.write_text("{")
    code, _, err = run("import", answer, "--venue", "okx")
    assert code == 2
    assert "positions.json must hold JSON" in err
    answer.write_text('[{"instId": "WHAT-EVER", "pos": "1", "posSide": "net"}]')
    code, _, err = run("import", answer, "--venue", "okx")
    assert code == 2
    assert "WHAT-EVER" in err
