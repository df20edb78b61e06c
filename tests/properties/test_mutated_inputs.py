"""Thousands of mutated books, markets and parameter files, through to margin: clear errors only, no NaN anywhere.

Plain seeded mutation rather than Hypothesis, for speed: a million in the slow suite.
"""

import dataclasses
import math
import random  # noqa: TID251 (seeded)
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossmargin.errors import InputError, MarketDataError
from crossmargin.files.book import Book, read_book
from crossmargin.files.market import read_market
from crossmargin.files.parameters import parse_parameters, read_parameters
from crossmargin.files.sample import sample_market
from crossmargin.margin.method import Parameters, Requirement
from crossmargin.margin.methods import METHODS
from crossmargin.margin.requirements import requirements
from crossmargin.market.history import PriceHistory
from crossmargin.market.snapshot import MarketSnapshot
from mutation import as_csv, as_json, as_toml, mutated, spoiled_bytes

BOOK: dict[str, Any] = {
    "accounts": [{"account": "a"}, {"account": "b", "parent": "a"}],
    "balances": [
        {"account": "a", "currency": "BTC", "amount": 1.5},
        {"account": "a", "currency": "USDC", "amount": -2000.0, "venue": "deribit"},
        {"account": "b", "currency": "USD", "amount": 1e5},
    ],
    "positions": [
        {"account": "a", "instrument": "deribit:BTC/USD:BTC", "quantity": -500.0, "entry_price": 9e4},
        {"account": "a", "instrument": "deribit:BTC/USD:BTC-260626-90000-P", "quantity": -2.0},
        {"account": "b", "instrument": "binance:ETH/USDT:USDT", "quantity": 3.0, "entry_price": 3e3, "unit": "coin"},
        {"account": "b", "instrument": "deribit:BTC-26JUN26", "quantity": 10.0, "isolated_group": "g"},
    ],
    "orders": [
        {"account": "a", "instrument": "deribit:BTC/USD:BTC", "side": "buy", "quantity": 10.0, "price": 9e4},
        {"account": "b", "instrument": "binance:ETH/USDT:USDT", "side": "sell", "quantity": 1.0, "price": 3500.0},
    ],
}
MARKET: dict[str, Any] = {
    "time": "2026-01-15T09:21:30+00:00",
    "index": [
        {"currency": "BTC", "price": 96652.0, "quote_time": "2026-01-15T09:21:29+00:00"},
        {"currency": "ETH", "price": 3337.0},
        {"currency": "USDC", "price": 1.0},
        {"currency": "USDT", "price": 1.0},
    ],
    "quotes": [
        {"instrument": "deribit:BTC/USD:BTC", "mark": 96600.0, "funding_rate_8h": 1e-4, "open_interest": 1e6},
        {"instrument": "binance:ETH/USDT:USDT", "mark": 3338.0, "bid": 3337.5, "ask": 3338.5},
        {"instrument": "deribit:BTC/USD:BTC-260626", "mark": 98800.0, "forward": 98800.0},
        {"instrument": "deribit:BTC/USD:BTC-260626-90000-P", "mark": 0.08, "mark_vol": 0.5, "forward": 98800.0},
        {"instrument": "deribit:BTC/USD:BTC-260626-110000-C", "mark": 0.09, "mark_vol": 0.48, "forward": 98800.0},
    ],
}
# tables in CSV cost four times those in JSON, so they come half as often
KINDS = ["book", "book", "book.csv", "market", "market", "market.csv", "parameters", "parameters"]
OWN = ("isolated", "scenario_grid", "tail_risk")
TAIL_RISK_EVERY = 100  # it draws its scenarios anew for every market, so only one case in a hundred goes through it


def _parameter_table(name: str) -> dict[str, Any]:
    folder = resources.files("crossmargin") / "parameters" / name
    (entry,) = folder.iterdir()
    return tomllib.loads(entry.read_text(encoding="utf-8"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a case reads, before one of the three is spoiled."""

    book: Book
    market: MarketSnapshot
    history: PriceHistory
    parameters: dict[str, Parameters]
    tables: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    folder = tmp_path_factory.mktemp("sound")
    (folder / "book.json").write_bytes(as_json(BOOK))
    (folder / "market.json").write_bytes(as_json(MARKET))
    market = read_market(folder / "market.json")
    history = sample_market().history
    assert history is not None
    return Inputs(
        book=read_book(folder / "book.json", market=market),
        market=market,
        history=history,
        parameters={name: read_parameters(METHODS[name]) for name in OWN},
        tables={name: _parameter_table(name) for name in OWN},
    )


def _one_case(seed: int, inputs: Inputs, folder: Path, outcomes: Counter[str]) -> None:
    rng = random.Random(seed)  # noqa: S311 (no secret)
    name = OWN[2] if seed % TAIL_RISK_EVERY == 0 else OWN[seed % 2]
    book, market, parameters = inputs.book, inputs.market, inputs.parameters[name]
    kind = rng.choice(KINDS)
    try:
        match kind:
            case "book":
                book = read_book(_written(folder / "b.json", as_json(mutated(BOOK, rng)), rng), market=market)
            case "book.csv":
                kinds = {table: table for table in BOOK}
                book = read_book(_written(folder / "b.csv", as_csv(mutated(BOOK, rng), kinds), rng), market=market)
            case "market":
                market = read_market(_written(folder / "m.json", as_json(mutated(MARKET, rng)), rng))
            case "market.csv":
                tables = mutated(MARKET, rng)
                content = as_csv(_timed(tables), {"index": "index", "quotes": "quote"})
                market = read_market(_written(folder / "m.csv", content, rng))
            case _:
                text = spoiled_bytes(as_toml(mutated(inputs.tables[name], rng)), rng).decode(errors="replace")
                parameters = parse_parameters(METHODS[name], text, "fuzz.toml")
        if name == "tail_risk":
            market = dataclasses.replace(market, history=inputs.history)
        results = requirements(book, market, METHODS[name], parameters)
    except (InputError, MarketDataError) as error:
        outcomes[type(error).__name__] += 1
        outcomes["without words"] += not str(error).strip()
        return
    outcomes["margined"] += 1
    for result in results:
        for number in _numbers(result):
            assert math.isfinite(number), (kind, result)


def _timed(tables: dict[str, Any]) -> dict[str, Any]:
    time = tables.get("time")
    return {
        name: [{"time": time, **row} if isinstance(row, dict) else row for row in table]
        for name, table in tables.items()
        if isinstance(table, list)
    }


def _written(path: Path, content: bytes, rng: random.Random) -> Path:
    # over the file of the case before: making a file anew costs more than reading it
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(spoiled_bytes(content, rng))
        file.truncate()
    return path


def _numbers(value: object) -> Iterator[float]:
    """Yield every number of a requirement, components and explanation included."""
    match value:
        case Requirement():
            yield value.excess
            for field in dataclasses.fields(value):
                yield from _numbers(getattr(value, field.name))
        case float() | np.floating():
            yield float(value)
        case dict():
            yield from (number for one in value.values() for number in _numbers(one))
        case tuple():
            yield from (number for one in value for number in _numbers(one))
        case _ if dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                yield from _numbers(getattr(value, field.name))


def _run(cases: range, inputs: Inputs, folder: Path) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for seed in cases:
        try:
            _one_case(seed, inputs, folder, outcomes)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise
    assert outcomes["without words"] == 0
    return outcomes


def test_two_thousand_mutated_inputs_are_margined_or_refused(inputs: Inputs, tmp_path: Path) -> None:
    outcomes = _run(range(2_000), inputs, tmp_path)
    assert outcomes["margined"] > 300, "most mutations are refused early: the rest of the way is not tested"
    assert outcomes["InputError"] > 400


@pytest.mark.soak
def test_a_million_mutated_inputs_are_margined_or_refused(inputs: Inputs, tmp_path: Path) -> None:
    assert _run(range(2_000, 1_002_000), inputs, tmp_path)["margined"] > 150_000
