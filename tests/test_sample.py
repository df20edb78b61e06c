"""The embedded sample margins without a file, a key or a network."""

import json
from pathlib import Path

import pytest

from crossmargin.cli.margin import demo
from crossmargin.files.sample import sample_book


def test_the_demo_states_a_margin_for_every_account(capsys: pytest.CaptureFixture[str]) -> None:
    demo(json=True)
    records = json.loads(capsys.readouterr().out)
    assert {record["account"] for record in records} >= {"cash-only", "hedger", "straddle-seller"}
    for record in records:
        assert "refused" in record or record["initial"] >= record["maintenance"] >= 0.0


def test_the_report_is_one_offline_page_with_every_account(tmp_path: Path) -> None:
    page = tmp_path / "demo.html"
    demo(report=page)
    text = page.read_text(encoding="utf-8")
    assert len(text) < 6_500_000
    assert 'src="http' not in text
    for portfolio in sample_book():
        assert f'id="{portfolio.account}"' in text


def test_the_example_of_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    exec(text.split("```python\n")[1].split("```")[0], {})  # noqa: S102
    assert "straddle-seller" in capsys.readouterr().out
