"""The embedded sample margins without a file, a key or a network."""

import json

import pytest

from crossmargin.cli.margin import demo


def test_the_demo_states_a_margin_for_every_account(capsys: pytest.CaptureFixture[str]) -> None:
    demo(json=True)
    records = json.loads(capsys.readouterr().out)
    assert {record["account"] for record in records} >= {"cash-only", "hedger", "straddle-seller"}
    for record in records:
        assert record["initial"] >= record["maintenance"] >= 0.0
