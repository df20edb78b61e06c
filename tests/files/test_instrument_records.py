"""Instrument records of the venues, as recorded, against the terms that we have on record."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from crossmargin.errors import InputError
from crossmargin.files.book import read_book
from crossmargin.files.instrument_records import contract_of_record, read_instrument_records
from crossmargin.instruments.contracts import Contract
from crossmargin.instruments.symbols import parse_contract

DUMPS = "data/recorded/instrument_dumps"
ANSWERS = "data/recorded/venue_answers"
COMBINATIONS = {
    # every record of the two combo answers, and BTC-COMBO-1 of the plain one
    "http_get_instruments_future_combo.json": 6,
    "http_get_instruments_option_combo.json": 6,
    "http_get_instruments.json": 1,
}
DIFFERENCES = {
    # our terms are the later ones: (venue, field, recorded, ours) and how many records differ so
    ("deribit", "tick_size", "0.0005", "0.0001"): 810,  # options of BTC, ETH before ticks of 0.0001, two in answers
    ("okx", "contract_size", "0.1", "0.01"): 346,  # BTC options of May 2022; the answer of December 2024 has 0.01
    ("okx", "contract_size", "1", "0.1"): 350,  # ETH options of May 2022
    ("okx", "tick_size", "0.0005", "0.0001"): 346,  # BTC options of May 2022; December 2024 has 0.0001
}


def _unpacked(shared: Path, tmp_path: Path, venue: str) -> Iterator[tuple[Path, list[dict[str, Any]]]]:
    for file in sorted((shared / DUMPS).glob(f"{venue}_*")):
        plain = tmp_path / file.stem
        plain.write_bytes(gzip.decompress(file.read_bytes()))
        yield plain, _rows(plain)
    for file in sorted((shared / ANSWERS / venue).glob("*instrument*.json")):
        yield file, _rows(file)


def _rows(file: Path) -> list[dict[str, Any]]:
    answer = json.loads(file.read_bytes(), parse_float=Decimal)
    for key in ("response", "result", "symbols", "data", "list"):
        if isinstance(answer, dict) and key in answer:
            answer = answer[key]
    return [answer] if isinstance(answer, dict) else answer


def _contract_or_none(venue: str, row: dict[str, Any]) -> Contract | None:
    """Return the record's contract; None where it is refused by name."""
    try:
        return contract_of_record(venue, row)
    except InputError as error:
        if repr(row["instrument_name"]) not in str(error):
            raise
        return None


def _differences(venue: str, read: Contract) -> Iterator[tuple[str, str, str, str]]:
    ours = parse_contract(read.id)
    for field in ("contract_size", "tick_size", "lot_size"):
        known, recorded = getattr(ours, field), getattr(read, field)
        if known is not None and known != recorded:
            yield venue, field, f"{recorded.normalize():f}", f"{known.normalize():f}"


@pytest.mark.parametrize("venue", ["deribit", "okx", "binance", "bybit", "derive"])
def test_terms_on_record_are_those_of_every_recorded_instrument_but_the_listed(
    shared: Path, tmp_path: Path, venue: str, record_property: Callable[[str, object], None]
) -> None:
    differences: Counter[tuple[str, str, str, str]] = Counter()
    refused: Counter[str] = Counter()
    count = 0
    for file, rows in _unpacked(shared, tmp_path, venue):
        for row in rows:
            count += 1
            contract = _contract_or_none(venue, row)
            if contract is None:
                refused[file.name] += 1
            else:
                differences.update(_differences(venue, contract))
    assert dict(refused) == (COMBINATIONS if venue == "deribit" else {})
    assert dict(differences) == {key: n for key, n in DIFFERENCES.items() if key[0] == venue}
    record_property("outside_cases", count)


@pytest.mark.parametrize(
    ("venue", "file", "symbol", "size", "tick", "lot"),
    [
        ("okx", "http_get_instruments_swap.json", "okx:BTC/USDT:USDT", "0.01", "0.1", "0.01"),
        ("okx", "http_get_instruments_swap.json", "okx:BTC/USD:BTC", "100", "0.1", "1"),
        ("okx", "http_get_instruments_option.json", "okx:BTC/USD:BTC-241217-92000-C", "0.01", "0.0001", "1"),
        ("bybit", "http_get_instruments_inverse.json", "bybit:BTC/USD:BTC", "1", "0.5", "1"),
        ("bybit", "http_get_instruments_spot.json", "bybit:BTC/USDT", "1", "0.1", "0.0001"),
        ("derive", "perps__http_get_instruments_eth.json", "derive:ETH/USD:USDC", "1", "0.01", "0.001"),
    ],
)
def test_an_answer_is_read_with_its_own_terms(
    shared: Path, venue: str, file: str, symbol: str, size: str, tick: str, lot: str
) -> None:
    contracts = {str(key): one for key, one in read_instrument_records(shared / ANSWERS / venue / file, venue).items()}
    found = contracts[symbol]
    assert (found.contract_size, found.tick_size, found.lot_size) == (Decimal(size), Decimal(tick), Decimal(lot))


def test_quanto_sizes_are_those_of_the_recorded_bitmex_answer(shared: Path) -> None:
    answer = json.loads(gzip.decompress((shared / DUMPS / "bitmex_0_20210722.json.gz").read_bytes()))["response"]
    multipliers = {row["rootSymbol"]: row["multiplier"] for row in answer if row["isQuanto"]}
    for coin in ("ETH", "BCH", "LTC", "XRP"):
        satoshi = parse_contract(f"bitmex:{coin}/USD:BTC").contract_size * 10**8
        assert satoshi == multipliers[coin]


@pytest.mark.parametrize(
    "text", ["okx:NEW/USDT:USDT", "okx:SOL/USD:SOL-261225-200-C", "deribit:NEW/USDC:USDC", "bitmex:NEW/USD:BTC"]
)
def test_a_contract_of_unknown_size_is_refused_not_taken_as_one_coin(text: str) -> None:
    with pytest.raises(InputError, match=r"size must be known .* on (NEW|SOL) of"):
        parse_contract(text)


@pytest.mark.parametrize(
    "content",
    [b"", b"[1]", b"{}", b'{"data": 3}', b'{"data": [{}]}', b'[{"instId": "X", "instType": "SWAP", "ctVal": "a"}]'],
)
def test_a_file_that_is_no_answer_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "records.json"
    file.write_bytes(content)
    with pytest.raises(InputError, match="record"):
        read_instrument_records(file, "okx")


def test_a_book_read_with_instrument_records_has_their_terms(shared: Path, tmp_path: Path) -> None:
    records = read_instrument_records(shared / ANSWERS / "okx" / "http_get_instruments_swap.json", "okx")
    book = tmp_path / "book.json"
    book.write_text(
        '{"accounts": [{"account": "a"}],'
        ' "positions": [{"account": "a", "instrument": "okx:ETH-USDT-SWAP", "quantity": 5, "unit": "coin"}]}'
    )
    (position,) = read_book(book, instruments=records)[0].positions
    assert position.instrument.lot_size == Decimal("0.01")  # none on record
    assert position.quantity == 50.0
