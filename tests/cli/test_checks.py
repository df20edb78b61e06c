"""`verify` and `doctor`, as typed."""

import json
import shutil
from pathlib import Path

import pytest
from tests.cli.conftest import Run

FIELDS = ["name", "known", "cases", "matched", "disabled", "worst_error"]


def test_verify_names_what_it_knows_and_what_it_does_not(run: Run, shared: Path, tmp_path: Path) -> None:
    shutil.copytree(shared / "vectors" / "span16", tmp_path / "span16")
    (tmp_path / "somebody_else").mkdir()
    code, out, err = run("verify", tmp_path, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert list(found) == ["ok", "folders"]
    assert found["ok"] is True
    assert [list(folder) for folder in found["folders"]] == [FIELDS, FIELDS]
    stranger, known = found["folders"]
    assert stranger == {
        "name": "somebody_else", "known": False, "cases": 0, "matched": 0, "disabled": 0, "worst_error": 0.0,
    }  # fmt: skip
    assert known["known"] is True
    assert known["cases"] == known["matched"] > 0


def test_verify_exits_one_on_a_tampered_case(run: Run, shared: Path, tmp_path: Path) -> None:
    shutil.copytree(shared / "vectors" / "span16", tmp_path / "span16")
    path = tmp_path / "span16" / "vectors.json"
    cases = json.loads(path.read_text(encoding="utf-8"))
    cases["portfolios"][0]["expected_scan_risk"] += 1.0
    path.write_text(json.dumps(cases), encoding="utf-8")
    code, out, _ = run("verify", tmp_path, "--json")
    found = json.loads(out)
    assert code == 1
    assert found["ok"] is False
    assert found["folders"][0]["matched"] == found["folders"][0]["cases"] - 1
    assert found["folders"][0]["worst_error"] > 0.0
    code, out, _ = run("verify", tmp_path)
    assert code == 1
    assert "some cases do not match" in out


def test_verify_says_in_one_line_what_is_malformed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "span16").mkdir()
    (tmp_path / "span16" / "vectors.json").write_text("{}", encoding="utf-8")
    code, out, err = run("verify", tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith("error: span16 must hold cases")
    assert err.count("\n") == 1


def test_doctor_says_what_the_installation_runs_on(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "vectors" / "span16").mkdir(parents=True)
    monkeypatch.setenv("CROSSMARGIN_SHARED", str(tmp_path))
    code, out, _ = run("doctor", "--json")
    facts = json.loads(out)
    assert code == 0
    assert {"crossmargin", "python", "machine", "cpu", "numba", "kernel cache", "outside cases"} <= set(facts)
    assert facts["outside cases"].endswith("1 folders, 1 with a reader")
    assert facts["parameters of scenario_grid"]
    monkeypatch.setenv("CROSSMARGIN_SHARED", str(tmp_path / "absent"))
    assert run("doctor")[1].count("absent: CROSSMARGIN_SHARED is") == 1
