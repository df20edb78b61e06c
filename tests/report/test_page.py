"""What the report says, read back from its page."""

import json
import re
from pathlib import Path

import pytest

from crossmargin.cli.report import every_method, write_report
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.margin.comparison import Refusal
from crossmargin.margin.method import Requirement

WHO = ("vol-pair", "straddle-seller", "idle-orders", "cash-only")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, tuple[Requirement | Refusal, ...]]]:
    path = Path(tmp_path_factory.mktemp("report")) / "page.html"
    book, market = tuple(p for p in sample_book() if p.account in WHO), sample_market()
    found = every_method(book, market)
    write_report(path, "<Some> book", book, market, "scenario_grid", found)
    return path.read_text(encoding="utf-8"), found


def test_a_books_name_cannot_write_html(page: tuple[str, object]) -> None:
    assert "&lt;Some&gt; book" in page[0]
    assert "<Some>" not in page[0]


def test_profit_by_coin_sums_to_the_whole_map(page: tuple[str, object]) -> None:
    held = re.search(r"<script id=plots type=application/json>(.*?)</script>", page[0], re.DOTALL)
    assert held is not None
    plots = json.loads(held[1])
    assert set(plots) == set(WHO)
    pair = plots["vol-pair"]
    assert set(pair["coins"]) == {"BTC", "ETH"}
    assert plots["straddle-seller"]["coins"] == {}
    for vol, row in enumerate(pair["pnl"]):
        for price, whole in enumerate(row):
            parts = sum(pair["coins"][coin][vol][price] for coin in ("BTC", "ETH"))
            assert abs(parts - whole) <= 2  # three figures rounded to a dollar
    for name in WHO:
        now = plots[name]["price"].index(0.0), plots[name]["vol"].index(0)
        assert plots[name]["pnl"][now[1]][now[0]] == 0


def test_every_method_stands_beside_every_account_with_its_reason(
    page: tuple[str, dict[str, tuple[Requirement | Refusal, ...]]],
) -> None:
    text, found = page
    for name, answers in found.items():
        assert name.replace("_", " ") in text
        for answer in answers:
            if isinstance(answer, Refusal):
                assert answer.reason.split("<")[0].split("'")[0] in text
            else:
                assert f"{round(answer.initial):,}".replace("-", "−") in text


def test_greeks_ladder_and_reductions_are_there(page: tuple[str, object]) -> None:
    for heading in ("delta, coins", "gamma, USD", "Ladder:", "What to reduce first", "Data quality"):
        assert heading in page[0]
    assert "nan" not in re.sub(r"<script>.*?</script>", "", page[0], flags=re.DOTALL).lower().split()
