"""Stories from history, each with its control off (the loss appears) and on (it does not)."""

from pathlib import Path

import pytest

from crossmargin.engine.parameters import EngineParameters
from crossmargin.files.story import play

FOLDER = Path(__file__).parent / "history"
NAMES = sorted(path.stem for path in FOLDER.glob("*.story"))


@pytest.mark.parametrize("name", NAMES)
def test_history(name: str) -> None:
    assert play((FOLDER / f"{name}.story").read_text()).expectations > 0


def test_every_story_is_told_with_its_control_off_and_on() -> None:
    off = {name.removesuffix("_off") for name in NAMES if name.endswith("_off")}
    on = {name.removesuffix("_on") for name in NAMES if name.endswith("_on")}
    assert off == on
    assert {"mango_2022", "jelly_2025", "eth_whale_2025", "yfi_2023", "maker_2020", "ftx_2022"} <= on


def test_no_parameter_can_name_an_account() -> None:
    # F30: an exemption would have to be a field that maps or lists accounts
    defaults = EngineParameters()
    containers = [
        name for name in EngineParameters.__struct_fields__ if isinstance(getattr(defaults, name), dict | list | set)
    ]
    assert containers == []
    assert EngineParameters.__struct_config__.forbid_unknown_fields
