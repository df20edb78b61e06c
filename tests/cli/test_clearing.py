"""The commands of the clearing house, as a person runs them."""

import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from crossmargin.cli import app
from crossmargin.files.story import play


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    try:
        app(words, result_action="return_value")
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, capsys.readouterr().out


def test_the_demo_walks_every_layer_and_pays_exactly_the_shortfall(capsys) -> None:
    code, out = call(capsys, "demo", "--clearing", "--json")
    record = json.loads(out)
    assert code == 0
    assert [draw["layer"] for draw in record["draws"]] == [
        "collateral",
        "contribution",
        "house",
        "insurance",
        "default fund",
        "assessment",
        "adl",
        "socialised",
    ]
    assert sum(Decimal(draw["amount"]) for draw in record["draws"]) == Decimal(record["shortfall"])
    code, out = call(capsys, "replay", record["journal"], "--json")
    assert json.loads(out)["state_hash"] == record["state_hash"]
    code, out = call(capsys, "audit", record["journal"], "--json")
    assert (code, json.loads(out)["violations"]) == (0, [])


def test_run_then_replay_give_the_same_hash_and_a_change_is_named(capsys, tmp_path: Path) -> None:
    lines = b"\n".join(msgspec.json.encode(command) for command in play("alice deposits 5").commands)
    (tmp_path / "commands").write_bytes(lines)
    code, out = call(capsys, "run", str(tmp_path / "j"), "--commands", str(tmp_path / "commands"), "--json")
    first = json.loads(out)
    assert code == 0
    code, out = call(capsys, "replay", str(tmp_path / "j"), "--json")
    assert json.loads(out) == first
    (segment,) = (tmp_path / "j").glob("*.journal")
    segment.write_bytes(segment.read_bytes().replace(b'"amount":"5"', b'"amount":"6"'))
    code, out = call(capsys, "replay", str(tmp_path / "j"), "--json")
    assert code == 1
    assert (
        json.loads(out)["record"]
        == segment.read_bytes()[: segment.read_bytes().index(b'"amount":"6"')].count(b"\n") + 1
    )


def test_a_story_file_is_played(capsys, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("alice deposits 5\nexpect alice balance 5\n")
    code, out = call(capsys, "story", str(tmp_path / "s"), "--json")
    assert (code, json.loads(out)["expectations"]) == (0, 1)
