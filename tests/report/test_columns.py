"""Tables show every number whole, at any width."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from crossmargin.margin.comparison import Refusal
from crossmargin.margin.method import Component, Requirement
from crossmargin.report.columns import Column, fitting, table
from crossmargin.report.table import comparison_table, requirements_table


def printed(width: int, drawn: object) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(drawn)
    console.file.close()
    return console.export_text()


def requirement(account: str, initial: float, equity: float) -> Requirement:
    return Requirement(
        account=account,
        method="scenario_grid",
        version="2026-01-15",
        initial=initial,
        maintenance=initial,
        equity=equity,
        initial_components=(Component(name="all", amount=initial),),
        maintenance_components=(Component(name="all", amount=initial),),
        equity_components=(Component(name="all", amount=equity),),
        worst_scenario="BTC: prices -100 % of range, vols +50 %",
    )


@given(
    importances=st.lists(st.integers(0, 4), min_size=1, max_size=8),
    widths=st.lists(st.integers(1, 12), min_size=8, max_size=8),
    width=st.integers(10, 200),
)
def test_what_stays_fits_and_is_whole(importances: list[int], widths: list[int], width: int) -> None:
    columns = [Column(heading="h", cells=["9" * w], importance=i) for i, w in zip(importances, widths, strict=False)]
    kept = fitting(columns, width)
    if any(column.importance for column in kept):
        text = printed(width, table(columns, width))
        assert all(len(line) <= width for line in text.splitlines())
        assert re.findall("9+", text) == [column.cells[0] for column in kept]


@pytest.mark.parametrize("width", [60, 80, 100, 140, 240])
def test_no_number_of_the_margin_table_is_cut(width: int) -> None:
    rows = [requirement("a-rather-long-account", 12_345_678.0, 98_765_432.0), requirement("b", 5.0, -1.0)]
    text = printed(width, requirements_table(rows, width))
    for number in ("12,345,678", "98,765,432", "86,419,754", "12.5 %", "∞"):
        assert number in text or (width == 60 and number == "12,345,678")
    assert all(len(line) <= width for line in text.splitlines())


def test_columns_come_by_importance_as_the_width_allows() -> None:
    rows = [requirement("account", 100.0, 1000.0)]
    heads = [printed(width, requirements_table(rows, width)).splitlines()[-3].split() for width in (30, 42, 56, 64, 90)]
    for narrow, wide in pairwise(heads):
        assert set(narrow) < set(wide)
    assert heads[0] == ["account", "excess", "usage"]
    assert heads[1] == ["account", "equity", "initial", "excess", "usage"]
    assert heads[2][-1] == "maintenance"
    assert heads[-1][-2:] == ["worst", "scenario"]


@pytest.mark.parametrize("width", [80, 120, 200, 500])
def test_forty_methods_do_not_overflow(width: int) -> None:
    own = {name: [requirement("market-maker", 2_338_006.0, 9e6)] for name in ("isolated", "scenario_grid", "tail_risk")}
    venues = {
        f"venue_rulebook_{n}": [
            requirement("market-maker", 1e6 + n, 9e6)
            if n % 2
            else Refusal(account="market-maker", method="x", reason="no options here")
        ]
        for n in range(40)
    }
    text = printed(width, comparison_table(own | venues, width))
    assert all(len(line) <= width for line in text.splitlines())
    for cell in ("2,338,006", "20 of 40", "1,000,001"):
        assert cell in text
    assert "…" not in text
    assert ("venue_rulebook_7" in text) == (width >= 500)
