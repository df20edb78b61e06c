"""SPAN scan risk and option payoff floors against cases computed elsewhere."""

from collections.abc import Callable
from pathlib import Path

import pytest

from crossmargin.verification import grappa_cross_margin, span16
from crossmargin.verification.tally import Tally


@pytest.mark.parametrize(
    ("name", "verify"), [("span16", span16.verify), ("grappa_cross_margin", grappa_cross_margin.verify)]
)
def test_every_case_of_the_folder_matches(
    name: str, verify: Callable[[Path], Tally], shared: Path, record_property: Callable[[str, object], None]
) -> None:
    folder = shared / "vectors" / name
    if not folder.is_dir():
        pytest.skip(f"no cases of {name}")
    tally = verify(folder)
    record_property("outside_cases", tally.cases)
    assert tally.cases > 0
    assert tally.mismatches == []
