"""Comparing methods, liquidation prices, parameters and venues from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from crossmargin.cli import several_venues, venues
from crossmargin.cli.inputs import Observed
from crossmargin.errors import InputError

Run = Callable[..., tuple[int, str, str]]
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


def test_liquidation_takes_a_ray_and_a_surface(tmp_path: Path, run: Run) -> None:
    command = ["liquidation", "pair-btc-eth", "--ray", "BTC", 1, "--ray", "ETH", 1.5, "--surface", "BTC", "ETH"]
    code, out, _ = run(*command, "--chart", tmp_path / "s.html", "--json")
    assert code == 0
    record = json.loads(out)
    assert record["ray"]["weights"] == {"BTC": 1.0, "ETH": 1.5}
    moves, plane = record["surface"]["moves"], record["surface"]["equity_less_maintenance"]
    falls, rises = moves.index(-0.5), moves.index(0.5)
    # long bitcoin, short ether: worst where the one falls and the other rises
    assert plane[falls][rises] == min(map(min, plane))
    assert "liquidation begins" in (tmp_path / "s.html").read_text(encoding="utf-8")
    assert run("liquidation", "hedger", "--ray", "FOO", 1)[0] == 2


def test_compare_tells_a_method_without_its_history_by_account(firm: Path, run: Run) -> None:
    code, out, _ = run("compare", firm / "book.json", "--market", firm / "market.json", "--pool", "--json")
    assert code == 0
    rows = {row["method"]: row for row in json.loads(out)}
    assert "needs a price history" in rows["span2"]["cannot"]
    assert rows["scenario_grid"]["margin_benefit"] > 0.0


def test_parameters_lists_every_set_with_its_source(capsys: Output) -> None:
    venues.parameters(json=True)
    for record in printed(capsys):
        assert record["sources"], record["method"]


def test_a_difference_of_one_set_with_itself_is_empty(capsys: Output) -> None:
    venues.parameters("scenario_grid", since="2026-02-01", until="2026-03-01", json=True)
    assert printed(capsys) == {"method": "scenario_grid", "changes": [], "effects": []}


@pytest.fixture
def firm(tmp_path: Path) -> Path:
    """Return a folder with the book of a firm that is long on one venue and short on another, and its market."""
    book = {
        "accounts": [{"account": "firm"}],
        "balances": [
            {"account": "firm", "currency": "USDT", "amount": 90_000.0, "venue": "binance"},
            {"account": "firm", "currency": "USDC", "amount": 10_000.0, "venue": "hyperliquid"},
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
    return tmp_path


def test_venues_shows_what_a_pool_would_save(firm: Path, capsys: Output) -> None:
    given = Observed(market=firm / "market.json")
    several_venues.venues("firm", book=firm / "book.json", given=given, json=True)
    record = printed(capsys)
    assert record["venues"]["binance"]["initial"] > 16_000.0
    # what is left of the pool is what it costs to close two legs on two venues: nothing nets to nothing
    assert record["pool"]["saving"] == pytest.approx(
        sum(part["initial"] for part in record["venues"].values()) - record["pool"]["initial"]
    )
    assert record["exposure"]["BTC"]["hyperliquid"] == pytest.approx(-100_000.0)
    assert record["exposure"]["BTC"]["together"] == pytest.approx(0.0, abs=1e-6)


def test_transfers_bring_the_short_venue_to_its_headroom_after_their_cost(firm: Path, run: Run) -> None:
    rows = [{"source": "*", "target": "*", "currency": "USDT", "fixed_cost": 4.0, "cost": 0.001, "hours": 0.5}]
    (firm / "costs.json").write_text(json.dumps(rows), encoding="utf-8")
    command = ["transfers", firm / "book.json", "--market", firm / "market.json", "--headroom", 500]
    code, out, _ = run(*command, "--costs", firm / "costs.json", "--chart", firm / "c.html", "--json")
    assert code == 0
    record = json.loads(out)
    (move,) = record["transfers"]
    assert (move["source"], move["target"], move["hours"]) == ("binance", "hyperliquid", 0.5)
    # what leaves is what the venue lacks, and 4 USD and 0.1 % more; a dollar of USDT counts 98 cents on both
    lacks = 500.0 - record["venues"]["hyperliquid"]["excess"]
    assert move["usd"] == pytest.approx((lacks / 0.98 + 4.0) / 0.999)
    assert record["headroom"]["hyperliquid"]["after"] == pytest.approx(500.0, abs=0.01)
    left = record["venues"]["binance"]["excess"] - 0.98 * move["usd"]
    assert record["headroom"]["binance"]["after"] == pytest.approx(left)
    assert "headroom before and after 1 transfers" in (firm / "c.html").read_text(encoding="utf-8")


def test_venues_take_their_own_rulebooks(firm: Path, run: Run) -> None:
    command = ["venues", "--book", firm / "book.json", "--market", firm / "market.json", "--json"]
    _, out, _ = run(*command, "--method", "own", "--rules", "binance", "isolated")
    record = json.loads(out)
    assert {venue: part["method"] for venue, part in record["venues"].items()} == {
        "binance": "isolated",
        "hyperliquid": "hyperliquid",
    }
    assert record["pool"]["method"] == "scenario_grid"
    assert run(*command, "--rules", "okx", "isolated")[0] == 2


def test_a_headroom_out_of_reach_is_named(firm: Path, run: Run) -> None:
    command = ["transfers", firm / "book.json", "--market", firm / "market.json", "--headroom"]
    for headroom, says in (("90000", "USD at hyperliquid"), ("much", "must be USD or a share"), ("-1", "negative")):
        code, _, err = run(*command, headroom)
        assert (code, says in err) == (2, True)


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


def test_a_change_of_parameters_says_what_it_does_to_whom(capsys: Output) -> None:
    # Bybit's price range of BTC and ETH fell from 15 % to 10 % on 10 January 2025
    venues.parameters("bybit_portfolio", since="2024-12-01", until="2025-06-01", json=True)
    told = json.loads(capsys.readouterr().out)
    ranges = {each["field"]: (each["before"], each["after"]) for each in told["changes"]}
    assert ranges["units.BTC.price_range"] == (0.15, 0.10)
    held = [each for each in told["effects"] if "refused" not in each]
    assert held
    # notional of perpetuals is charged range and contingency alike, so a single leg falls by 155 : 105
    ratios = {round(each["after"] / each["before"], 6) for each in held if each["before"]}
    assert round(105 / 155, 6) in ratios
