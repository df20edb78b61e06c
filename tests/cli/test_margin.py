"""`margin`, `explain`, `what-if` and `demo`, as typed."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run

import crossmargin as cm
from crossmargin.files.sample import sample_market


def test_margin_prints_every_account_within_eighty_columns(run: Run, sample: Path) -> None:
    code, out, err = run("margin", sample / "book.json", "--market", sample / "market.json")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "…" not in out
    assert sum(line.startswith("market-maker ") for line in lines) == 1


def test_margin_with_a_history_writes_a_report(run: Run, sample: Path, tmp_path: Path) -> None:
    page = tmp_path / "book.html"
    code, out, _ = run(
        "margin", sample / "book.json", "--market", sample / "market.json", "--history", sample / "history.csv",
        "--method", "tail_risk", "--report", page, "--json",
    )  # fmt: skip
    assert code == 0
    assert {record["method"] for record in json.loads(out)} == {"tail_risk"}
    assert "tail_risk · parameters of" in page.read_text(encoding="utf-8")


def test_tail_risk_without_a_history_is_refused_in_one_line(run: Run, sample: Path) -> None:
    code, out, err = run("margin", sample / "book.json", "--market", sample / "market.json", "--method", "tail_risk")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_a_method_that_cannot_hold_an_account_names_it(run: Run, sample: Path) -> None:
    code, _, err = run("margin", sample / "book.json", "--market", sample / "market.json", "--method", "derive_pmrm")
    assert code == 2
    assert err.count("\n") == 1
    assert "of 39 do not, the first coin-holder: " in err


def test_each_account_is_margined_under_the_method_that_it_names(run: Run, tmp_path: Path) -> None:
    accounts = [
        {"account": "a", "method": "isolated"},
        {"account": "b"},
        {"account": "c", "method": "deribit_standard"},
    ]
    held = [{"account": row["account"], "instrument": "deribit:BTC/USD:BTC", "quantity": 10} for row in accounts]
    book = {"accounts": accounts, "balances": [], "positions": held}
    (tmp_path / "book.json").write_text(json.dumps(book))
    code, out, _ = run("margin", tmp_path / "book.json", "--json")
    assert code == 0
    own = [record["method"] for record in json.loads(out)]
    assert own == ["isolated", "scenario_grid", "deribit_standard"]
    _, out, _ = run("margin", tmp_path / "book.json", "--method", "isolated", "--json")
    assert {record["method"] for record in json.loads(out)} == {"isolated"}
    code, out, _ = run("margin", tmp_path / "book.json")
    assert code == 0
    assert all(len(line) <= 80 for line in out.splitlines())
    read = cm.read_book(tmp_path / "book.json")
    assert [result.method for result in cm.requirements(read, sample_market())] == own
    book["accounts"] = [{**row, "method": "standard"} for row in accounts]
    (tmp_path / "book.json").write_text(json.dumps(book))
    code, _, err = run("margin", tmp_path / "book.json")
    assert code == 2
    assert "was 'standard' of account 'a'" in err


def test_margin_takes_the_newest_snapshot_at_a_time(run: Run, tmp_path: Path) -> None:
    rows = [
        "time,kind,currency,price",
        "2026-01-01T00:00:00Z,index,BTC,90000",
        "2026-01-02T00:00:00Z,index,BTC,100000",
    ]
    market, book = tmp_path / "market.csv", tmp_path / "book.json"
    market.write_text("\n".join(rows) + "\n", encoding="utf-8")
    book.write_text(
        json.dumps({"accounts": [{"account": "a"}], "balances": [{"account": "a", "currency": "BTC", "amount": 1}]}),
        encoding="utf-8",
    )
    code, out, err = run("margin", book, "--market", market, "--at", "2026-01-01", "--json")
    assert (code, err) == (0, "")
    first = json.loads(out)[0]["equity"]
    last = json.loads(run("margin", book, "--market", market, "--json")[1])[0]["equity"]
    assert first == pytest.approx(0.9 * last)  # 90,000 / 100,000, one haircut


def test_explain_gives_parts_that_sum_to_the_requirement(run: Run) -> None:
    code, out, _ = run("explain", "straddle-seller", "--json")
    record = json.loads(out)
    assert code == 0
    for name in ("initial", "maintenance", "equity"):
        assert sum(part["amount"] for part in record[f"{name}_components"]) == pytest.approx(record[name])
    code, out, _ = run("explain", "straddle-seller", "--method", "isolated", "--as-of", "2026-06-01")
    assert code == 0
    assert "isolated of 2026-01-15" in out


def test_many_changes_are_answered_as_each_would_be_alone(run: Run, tmp_path: Path) -> None:
    rows = [
        {"account": "straddle-seller", "close": ["all"]},
        {"name": "half", "account": "straddle-seller", "scale": {"all": 0.5}, "price": {"all": -0.1}},
        {"account": "near-liquidation", "method": "binance_futures", "withdraw": {"USDT": 1000.0}},
    ]
    (tmp_path / "changes.json").write_text(json.dumps(rows))
    code, out, _ = run("what-if", "--changes", tmp_path / "changes.json", "--json")
    assert code == 0
    answers = json.loads(out)
    assert [answer["change"] for answer in answers] == ["close all", "half", "withdraw USDT 1000"]
    alone = (
        ["straddle-seller", "--close", "all"],
        ["straddle-seller", "--scale", "all", 0.5, "--price", "all", -0.1],
        ["near-liquidation", "--method", "binance_futures", "--withdraw", "USDT", 1000],
    )
    for answer, arguments in zip(answers, alone, strict=True):
        answer.pop("change")
        assert answer == json.loads(run("what-if", *arguments, "--json")[1])
    assert "half" in run("what-if", "--changes", tmp_path / "changes.json")[1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[{"account": "hedger", "ad": {}}]', "unknown field"),
        ('[{"account": "hedger", "deposit": {"BTC": -1}}]', "> 0.0"),
        ('[{"close": ["all"]}]', "none was named"),
        ("[", "must hold a list of changes"),
    ],
)
def test_a_file_of_changes_is_refused_in_one_line(run: Run, tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "changes.json").write_text(text)
    code, _, err = run("what-if", "--changes", tmp_path / "changes.json")
    assert (code, says in err, err.count("\n")) == (2, True, 1)


@pytest.mark.parametrize("method", ["bybit_portfolio", "okx_multi_currency"])
def test_a_withdrawal_comes_out_of_what_is_held(run: Run, method: str) -> None:
    answer = json.loads(run("what-if", "cash-only", "--method", method, "--withdraw", "USDC", 10, "--json")[1])
    # at most the dollar that leaves; a tier of a discount may count it for less
    assert -10.0 - 1e-9 <= answer["after"]["equity"] - answer["before"]["equity"] < -8.0


def test_what_if_adds_closes_scales_moves_and_deposits(run: Run) -> None:
    assert run("what-if", "straddle-seller", "--close", "all")[0] == 0
    closed = json.loads(run("what-if", "straddle-seller", "--close", "all", "--json")[1])
    assert closed["after"]["initial"] == 0.0
    halved = json.loads(run("what-if", "straddle-seller", "--scale", "all", 0.5, "--json")[1])
    assert halved["after"]["initial"] == pytest.approx(0.5 * halved["before"]["initial"], rel=1e-3)
    paid = json.loads(run("what-if", "straddle-seller", "--deposit", "USDC", 1000, "--json")[1])
    assert paid["after"]["equity"] - paid["before"]["equity"] == pytest.approx(1000.0, rel=0.05)
    taken = json.loads(run("what-if", "straddle-seller", "--withdraw", "USDC", 1000, "--json")[1])
    assert taken["after"]["excess"] < taken["before"]["excess"]
    long = "deribit:BTC-PERPETUAL"
    added = json.loads(run("what-if", "cash-only", "--add", long, 1000, "--price", "BTC", -0.1, "--json")[1])
    assert added["after"]["initial"] > added["before"]["initial"] == 0.0
    fear = json.loads(run("what-if", "straddle-seller", "--vol", "all", 0.5, "--json")[1])
    assert fear["after"]["excess"] < fear["before"]["excess"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["explain", "nobody"], "an account must be one of"),
        (["explain", "hedger", "--method", "magic"], "a method must be one of"),
        (["explain", "hedger", "--as-of", "1999-01-01"], "must be in force on 1999-01-01"),
        (["explain", "hedger", "--at", "2026-01-01"], "--at must come with --market"),
        (["explain", "hedger", "--market", "absent.json"], "absent.json"),
        (["explain", "hedger", "--history", "absent.csv"], "absent.csv"),
        (["what-if", "hedger", "--close", "deribit:ETH-PERPETUAL"], "must be held"),
        (["what-if", "hedger", "--add", "nonsense", "1"], "'nonsense'"),
        (["what-if", "hedger", "--price", "BTC", "-1.5"], "above -1"),
        (["what-if", "hedger", "--price", "FOO", "0.1"], "a coin must be all or one of"),
        (["what-if", "hedger", "--deposit", "USDC", "-5"], "must be positive"),
        (["margin", "absent.json"], "absent.json"),
        (["demo", "--report", "absent/folder/x.html"], "existing folder"),
        (["verify", "absent"], "must be a folder"),
        (["bench", "sleep"], "a workload must be one of"),
        (["attribute"], "requires an argument"),
        (["frobnicate"], "Unknown command"),
    ],
)
def test_bad_input_gives_one_clear_line_and_code_two(run: Run, arguments: list[str], said: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert out == "" or arguments[0] == "demo"
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert said in err


def test_the_largest_order_passes_and_one_lot_more_does_not(run: Run) -> None:
    name = "deribit:BTC/USD:BTC"
    code, out, err = run("what-if", "hedger", "--largest", name, "buy", "--largest", name, "sell", "--json")
    assert (code, err) == (0, "")
    bought, sold = json.loads(out)
    assert (bought["side"], sold["side"]) == ("buy", "sell")
    for found, sign in ((bought, 1), (sold, -1)):
        assert found["contracts"] > 0.0
        for lots, passes in ((0, True), (2, False)):
            trade = sign * (found["contracts"] + 10 * lots)
            after = json.loads(run("what-if", "hedger", "--add", name, trade, "--json")[1])["after"]
            assert (after["equity"] >= after["initial"]) is passes
    assert "most contracts" in run("what-if", "hedger", "--largest", name, "buy")[1]
    code, out, err = run("what-if", "hedger", "--largest", name, "buy", "--close", "all")
    assert (code, out, err.count("\n")) == (2, "", 1)
