"""Counterparties from the command line: cover-1 and cover-2 by naive loops over what `stress` says."""

import itertools
import json

import pytest

from crossmargin.cli import app
from crossmargin.cli.app import console


def call(capsys: pytest.CaptureFixture[str], *words: str):
    app([*words, "--json"], result_action="return_value")
    return json.loads(capsys.readouterr().out)


def test_cover_is_what_the_worst_members_owe_in_the_worst_stress(capsys) -> None:
    found = call(capsys, "counterparties", "--crisis", "october-2025", "--excess-counts", "--fund", "100000")
    owed: dict[str, dict[str, float]] = {}
    for row in call(capsys, "stress", "--crisis", "october-2025"):
        if "while closing" not in row["stress"]:
            owed.setdefault(row["stress"], {})[row["account"]] = max(-row["equity_after"], 0.0)
    assert len(owed) > 3
    for count in (1, 2):
        worst, stress, members = max(
            (sum(by_account[name] for name in group), stress, group)
            for stress, by_account in owed.items()
            for group in itertools.combinations(sorted(by_account), count)
        )
        size = found[f"cover_{count}"]
        assert size["amount"] == pytest.approx(worst, rel=1e-9)
        assert (size["stress"], sorted(size["members"])) == (stress, sorted(members))
        assert size["short"] == pytest.approx(max(worst - 100_000, 0.0))
    for row in found["counterparties"]:
        assert row["loss_given_default"] == pytest.approx(max(by_account[row["name"]] for by_account in owed.values()))


def test_dollars_beyond_the_requirement_may_be_gone(capsys) -> None:
    words = ("counterparties", "--crisis", "october-2025")
    kept = {row["name"]: row for row in call(capsys, *words, "--excess-counts")["counterparties"]}
    gone = {row["name"]: row for row in call(capsys, *words)["counterparties"]}
    for name, row in gone.items():
        assert row["posted"] <= kept[name]["posted"]
        assert row["loss_given_default"] >= kept[name]["loss_given_default"] - 1e-6
        # nobody withdraws what is required of him
        assert row["posted"] >= min(row["initial"], kept[name]["posted"]) - 1e-6
    # dollars alone need nothing, so none may be left, and nothing is lost of nothing
    assert gone["cash-only"]["posted"] == pytest.approx(0.0, abs=1e-6)
    assert gone["cash-only"]["loss_given_default"] == pytest.approx(0.0, abs=1e-6)
    # coins are no dollars
    assert gone["coin-holder"]["posted"] == kept["coin-holder"]["posted"]


def test_shares_sum_to_one_and_their_squares_to_the_concentration(capsys) -> None:
    found = call(capsys, "counterparties", "--crisis", "hypothetical")
    for rows, index in (("owners", "owner_concentration"), ("venues", "venue_concentration")):
        shares = [row["share"] for row in found[rows]]
        assert sum(shares) == pytest.approx(1.0)
        assert sum(share**2 for share in shares) == pytest.approx(found[index])
    assert [row["name"] for row in found["venues"]][:1] == [
        max(found["venues"], key=lambda row: row["exposure"])["name"]
    ]


def test_sub_accounts_default_with_their_parent(capsys, tmp_path) -> None:
    perpetual = {"instrument": "binance:BTC/USDT:USDT", "entry_price": 90_000}
    book = {
        "accounts": [{"account": "top"}, {"account": "sub", "parent": "top"}, {"account": "other"}],
        "balances": [{"account": name, "currency": "USDT", "amount": 1000} for name in ("top", "sub", "other")],
        "positions": [
            {"account": name, "quantity": quantity, **perpetual}
            for name, quantity in (("top", 1), ("sub", 1), ("other", -1))
        ],
    }
    (tmp_path / "book.json").write_text(json.dumps(book))
    found = call(capsys, "counterparties", str(tmp_path / "book.json"), "--crisis", "october-2025")
    assert [row["owner"] for row in found["counterparties"]] == ["top", "top", "other"]
    (first, second) = found["owners"]
    assert (first["name"], second["name"]) == ("top", "other")
    assert first["exposure"] == pytest.approx(2 * second["exposure"])
    losses = {row["name"]: row["loss_given_default"] for row in found["counterparties"]}
    assert found["cover_1"]["amount"] == pytest.approx(losses["top"] + losses["sub"])
    # one long and one short never lose together: the second of the two worst pays nothing in the worst stress
    assert found["cover_2"]["amount"] == pytest.approx(found["cover_1"]["amount"])


def test_the_tables_name_the_worst(capsys, monkeypatch) -> None:
    monkeypatch.setattr(console, "width", 120)
    app(["counterparties", "--crisis", "october-2025", "--fund", "1"], result_action="return_value")
    out = capsys.readouterr().out
    for text in ("given default", "and 24 others", "Venues; USD", "cover-1:", "cover-2:", "the fund is short of"):
        assert text in out


@pytest.mark.parametrize(
    ("book", "rule"), [({"accounts": [{"account": "a"}]}, "a coin that moves"), ({"accounts": []}, "account")]
)
def test_a_book_of_nothing_is_refused(book: dict, rule: str, tmp_path) -> None:
    (tmp_path / "book.json").write_text(json.dumps(book))
    with pytest.raises(Exception, match=rule):
        app(["counterparties", str(tmp_path / "book.json")], result_action="return_value")
