"""Every method on facts from outside, which stand in `tests/golden/<method>/facts.toml` with their source.

A fact goes through the public path (a market and a book written to files, read, margined) where the outside number is
of an account, and through a public function of the method where it is of a piece.
"""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from golden_history import with_history
from golden_pieces import PIECES

import crossmargin as cm
from crossmargin.files.parameters import read_parameters
from crossmargin.margin.method import Requirement
from crossmargin.margin.methods import METHODS
from crossmargin.margin.requirements import requirements

FOLDER = Path(__file__).parent
FEWEST = 3
"""Facts that a method needs."""
WAITING: frozenset[str] = frozenset()
"""Methods without facts yet. It may only shrink: a new method brings its facts."""


def _facts(path: Path) -> list[dict[str, Any]]:
    """Return the facts of a file; what stands under `common` is given to each."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    common = table.get("common", {})
    return [{**fact, "given": {**common, **fact["given"]}} if "given" in fact else fact for fact in table["facts"]]


FACTS = {
    folder.name: _facts(folder / "facts.toml")
    for folder in sorted(FOLDER.iterdir())
    if (folder / "facts.toml").is_file()
}
CASES = [pytest.param(name, fact, id=f"{name}: {fact['name']}") for name, facts in FACTS.items() for fact in facts]


def test_every_method_has_its_facts_and_none_waits_that_has_them() -> None:
    assert set(FACTS) <= set(METHODS), "a folder of facts must be of a method"
    assert set(METHODS) - set(FACTS) == WAITING
    assert {name: len(facts) for name, facts in FACTS.items() if len(facts) < FEWEST} == {}


@pytest.mark.parametrize(("_method", "fact"), CASES)
def test_a_fact_says_who_states_it(_method: str, fact: Mapping[str, Any]) -> None:
    assert len(fact["source"].strip()) > len("https://")
    assert "crossmargin" not in fact["source"].lower(), "we are not our own witness"
    assert fact["expected"]
    narrow = max(fact.get("relative", 0.0), fact.get("absolute", 0.0)) <= 1e-9
    assert narrow or fact["why"], "a wide tolerance needs its reason"


@pytest.mark.parametrize(("method", "fact"), CASES)
def test_the_fact_holds(method: str, fact: Mapping[str, Any], tmp_path: Path) -> None:
    piece = fact.get("piece")
    answer = PIECES[piece](**fact["given"]) if piece else _stated(_margined(method, fact, tmp_path))
    for name, expected in fact["expected"].items():
        assert name in answer, f"{name} must be among {', '.join(answer)}"
        # a number of zero has no relative size
        within = fact.get("absolute", 1e-9 if expected == 0 else 0.0)
        assert answer[name] == pytest.approx(expected, rel=fact.get("relative", 1e-9), abs=within), name


def _margined(method: str, fact: Mapping[str, Any], folder: Path) -> Requirement:
    """Return the requirement of the fact's account, read from files as a user's would be."""
    given = fact["market"]
    market = {
        "time": given.get("time", "2026-01-15T09:00:00Z"),
        "index": [{"currency": currency, "price": price} for currency, price in given["index"].items()],
        "quotes": given.get("quotes", []),
    }
    book = {
        "accounts": [{"account": "a"}],
        "balances": [{"account": "a", "currency": c, "amount": n} for c, n in fact.get("balances", {}).items()],
        "positions": [{"account": "a", **row} for row in fact.get("positions", [])],
        "orders": [{"account": "a", **row} for row in fact.get("orders", [])],
    }
    for name, tables in (("market", market), ("book", book)):
        (folder / f"{name}.json").write_text(json.dumps(tables), encoding="utf-8")
    observed = with_history(cm.read_market(folder / "market.json"), given.get("history"))
    chosen = METHODS[method]
    terms = _replaced(msgspec.to_builtins(read_parameters(chosen, fact.get("as_of"))), fact.get("parameters", {}))
    parameters = msgspec.convert(terms, type=chosen.parameters)
    held = cm.read_book(folder / "book.json", market=observed)
    return requirements(list(held), observed, chosen, parameters)[0]


def _replaced(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `table` with `changes` in it; a table within keeps what is not named."""
    return {
        **table,
        **{
            key: _replaced(table[key], value)
            if isinstance(value, Mapping) and value and isinstance(table.get(key), Mapping)
            else value
            for key, value in changes.items()
        },
    }


def _stated(answer: Requirement) -> dict[str, float]:
    """Return every number of `answer` by name; components and measures by their own."""
    numbers = {
        "initial": answer.initial,
        "maintenance": answer.maintenance,
        "equity": answer.equity,
        "excess": answer.excess,
        "maintenance_ratio": answer.maintenance_ratio,
        "equity - maintenance": answer.equity - answer.maintenance,
    }
    for kind in ("initial", "maintenance", "equity"):
        for part in getattr(answer, f"{kind}_components"):
            key = f"{kind}: {part.name}"
            numbers[key] = numbers.get(key, 0.0) + part.amount
    return numbers | {f"measure: {name}": value for name, value in answer.measures.items()}
