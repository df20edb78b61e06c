"""Reconciliation from the command line: breaks that were planted, and a journal that stays as it was."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from crossmargin.cli import app, main
from crossmargin.engine.commands import Resume
from crossmargin.files.story import play
from crossmargin.store.journal import open_journal
from crossmargin.store.runner import Runner, replay

STORY = """
    fund     deposits 1_000
    alice    deposits 5_000
    1h       passes
    bob      deposits 2 BTC
    alice    withdraws 700
    carol    contributes 40
    carol    withdraws 1
    expect   refused INSUFFICIENT_BALANCE
"""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    opened = open_journal(tmp_path / "journal", write=True)
    Runner(opened).submit(play(STORY).commands)
    opened.close()
    return tmp_path / "journal"


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, dict]:
    try:
        app([*map(str, words), "--json"], result_action="return_value")
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, json.loads(capsys.readouterr().out)


def statement(journal: Path, **changes: object) -> Path:
    """Write what a custodian who agrees would say, then what is changed."""
    ids = {
        (c.account, str(c.amount)): c.id for c in play(STORY).commands if type(c).__name__ in ("Deposit", "Withdraw")
    }
    layers = [c.id for c in play(STORY).commands if type(c).__name__ == "FundLayer"]
    hour = 3600 * 10**9
    lines = [
        {"id": layers[0], "account": "insurance", "asset": "USDC", "amount": "1000", "time_ns": 0},
        {"id": ids["alice", "5000"], "account": "alice", "asset": "USDC", "amount": "5000", "time_ns": 0},
        {"id": ids["bob", "2"], "account": "bob", "asset": "BTC", "amount": "2", "time_ns": hour},
        {"id": ids["alice", "700"], "account": "alice", "asset": "USDC", "amount": "-700", "time_ns": hour},
        {"id": layers[1], "account": "default fund", "asset": "USDC", "amount": "40", "time_ns": hour},
    ]
    record = {"balances": {"USDC": "5340", "BTC": "2", "ETH": "0", "USDT": "0"}, "lines": lines, "time_ns": hour}
    path = journal.parent / "theirs.json"
    path.write_text(json.dumps({**record, **changes}))
    return path


def test_a_custodian_who_agrees_breaks_nothing(capsys, journal: Path) -> None:
    code, found = call(capsys, "reconcile", journal, statement(journal))
    assert (code, found) == (0, {"breaks": [], "counts": {}, "halted": False})


def test_each_planted_break_is_named_and_no_balance_moves(capsys, journal: Path) -> None:
    before = replay(open_journal(journal)).engine.state_hash()
    lines = json.loads(statement(journal).read_text())["lines"]
    lines[0]["time_ns"] += 61 * 10**9
    lines[1]["amount"] = "4999.99"
    lines[2]["fee_asset"], lines[2]["fee"] = "BTC", "0.0001"
    del lines[3]
    lines += [lines[3], {"id": "theirs", "account": "eve", "asset": "USDC", "amount": "3"}]
    path = statement(journal, lines=lines, balances={"USDC": "5339", "DOGE": "7"}, time_ns=10**18)
    code, found = call(capsys, "reconcile", journal, path, "--timing-seconds", "60")
    assert code == 1
    assert found["counts"] == {
        "amount": 2,
        "duplicate": 1,
        "fee asset": 1,
        "missing": 2,
        "timing": 1,
        "unknown to them": 2,
    }
    by_detail = {each["detail"]: (each["kind"], each["amount"]) for each in found["breaks"]}
    assert by_detail["we say 5340.000000, they say 5339 USDC"] == ("amount", "-1.000000")
    assert by_detail["we say 0, they say 7 DOGE"] == ("missing", "7")
    assert by_detail["alice: -700 USDC"] == ("unknown to them", "-700")
    assert by_detail["eve: 3 USDC"] == ("missing", "3")
    assert by_detail["61000000000 ns apart"] == ("timing", "0")
    assert not found["halted"]
    assert replay(open_journal(journal)).engine.state_hash() == before


def test_what_is_on_its_way_is_a_matter_of_time(capsys, journal: Path) -> None:
    lines = json.loads(statement(journal).read_text())["lines"][:-1]
    path = statement(journal, lines=lines, balances={"USDC": "5300", "BTC": "2", "ETH": "0", "USDT": "0"})
    code, found = call(capsys, "reconcile", journal, path, "--timing-seconds", "1", "--tolerance", "40")
    assert (code, found["counts"]) == (1, {"timing": 1})
    code, found = call(capsys, "reconcile", journal, path, "--tolerance", "39.999999")
    assert (code, found["counts"]) == (1, {"amount": 1, "unknown to them": 1})


def test_a_break_halts_where_it_is_asked_to_and_once_per_statement(capsys, journal: Path) -> None:
    before = replay(open_journal(journal)).engine
    path = statement(journal, balances={"USDC": "1", "BTC": "2", "ETH": "0", "USDT": "0"})
    for _ in range(2):
        code, found = call(capsys, "reconcile", journal, path, "--halt")
        assert (code, found["halted"]) == (1, True)
    after = replay(open_journal(journal)).engine
    assert after.state.halt is not None
    assert "we say 5340.000000, they say 1 USDC" in after.state.halt.finding
    assert after.state.sequence == before.state.sequence + 1
    assert after.state.ledger == before.state.ledger
    # an operator has looked: the same statement does not close the engine again
    opened = open_journal(journal, write=True)
    Runner(opened).submit([Resume(id="r", reason="looked at")])
    opened.close()
    assert call(capsys, "reconcile", journal, path, "--halt")[1]["halted"] is False
    # without a break nothing is written
    code, found = call(capsys, "reconcile", journal, statement(journal), "--halt")
    assert (code, found["halted"]) == (0, False)


def test_positions_and_tables_of_lines(capsys, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    ours.write_text(json.dumps({"positions": {"BTC-PERP": "1.5", "ETH-PERP": "-2"}}))
    theirs.write_text(json.dumps({"positions": {"BTC-PERP": "1.4", "SOL-PERP": "3"}}))
    _, found = call(capsys, "reconcile", ours, theirs)
    assert [(each["kind"], each["id"], Decimal(each["amount"])) for each in found["breaks"]] == [
        ("amount", "BTC-PERP", Decimal("-0.1")),
        ("unknown to them", "ETH-PERP", 2),
        ("missing", "SOL-PERP", 3),
    ]
    table, other = tmp_path / "ours.csv", tmp_path / "theirs.csv"
    table.write_text("id,account,asset,amount,fee,fee_asset\nf1,a,BTC,1,2,USDC\n")
    other.write_text("id,account,asset,amount,fee,fee_asset\nf1,a,BTC,1,2,BNB\n")
    assert call(capsys, "reconcile", table, other) == (
        1,
        {
            "breaks": [{"kind": "fee asset", "id": "f1", "detail": "we say 2 USDC, they say 2 BNB", "amount": "2"}],
            "counts": {"fee asset": 1},
            "halted": False,
        },
    )


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("x.json", "{}", "balances, positions or lines"),
        ("x.json", '{"balances": 3}', "balances, positions or lines"),
        ("x.json", '{"balances": {"BTC": "NaN"}}', "must be finite"),
        ("x.csv", "id,account\n", "columns are"),
        ("x.csv", "id,account,asset,amount\nf,a,BTC,x\n", "row 2 must hold numbers"),
        ("x.csv", "id,account,asset,amount\nf,a,BTC\n", "row 2 must have"),
        ("x.csv", "id,account,asset,amount\nf,a,BTC,inf\n", "must be finite"),
    ],
)
def test_what_is_no_statement_is_one_line_and_exit_code_2(
    capsys, monkeypatch, tmp_path: Path, name: str, text: str, rule: str
) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "good.json").write_text('{"balances": {}}')
    for more in ([], ["--halt"], ["--tolerance", "-1"], ["--timing-seconds", "-1"]):
        monkeypatch.setattr(
            "sys.argv", ["crossmargin", "reconcile", str(tmp_path / "good.json"), str(tmp_path / name), *more]
        )
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        found = capsys.readouterr().err
        assert found.count("\n") == 1
        assert more or rule in " ".join(found.split())
