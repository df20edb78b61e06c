"""`risk`, as typed."""

import json

import pytest
from tests.cli.conftest import Run

from crossmargin.files.parameters import read_parameters
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.margin.requirements import requirements
from crossmargin.margin.tail_risk import METHOD


def test_contributions_add_up_under_every_law(run: Run) -> None:
    code, out, err = run("risk", "--account", "market-maker", "--draws", 1_024, "--json")
    assert (code, err) == (0, "")
    answers = json.loads(out)
    assert [each["law"].split(",")[0] for each in answers] == ["historical", "filtered historical", "Monte Carlo"]
    for each in answers:
        for name in ("expected_shortfall", "value_at_risk", "worst_loss"):
            assert sum(part[name] for part in each["contributions"]) == pytest.approx(each[name])
        assert 0.0 < each["value_at_risk"] < each["expected_shortfall"] < each["worst_loss"]
        assert min(part["expected_shortfall"] for part in each["contributions"]) < 0.0  # hedges


def test_past_dates_give_the_requirement_of_tail_risk(run: Run) -> None:
    code, out, err = run("risk", "--law", "historical", "--json")
    assert (code, err) == (0, "")
    answers = {each["account"]: each for each in json.loads(out)}
    for asked in requirements(sample_book(), sample_market(), METHOD, read_parameters(METHOD)):
        found = answers[asked.account]
        assert (found["initial"], found["maintenance"]) == pytest.approx((asked.initial, asked.maintenance), rel=1e-9)
        measure = asked.initial_components[0] if asked.initial_components else None
        if measure is not None and measure.name.startswith("expected shortfall"):
            assert found["expected_shortfall"] == pytest.approx(measure.amount, rel=1e-9)


def test_how_vols_follow_spot_the_confidence_and_the_horizon_count(run: Run) -> None:
    def shortfall(*arguments: object) -> float:
        code, out, err = run("risk", "--account", "straddle-seller", "--law", "historical", "--json", *arguments)
        assert (code, err) == (0, "")
        return float(json.loads(out)[0]["expected_shortfall"])

    assert shortfall("--stickiness", 1) != shortfall("--stickiness", 0)
    assert shortfall("--confidence", 0.99) > shortfall() > shortfall("--days", 1)


def test_it_fits_eighty_columns(run: Run) -> None:
    code, out, err = run("risk", "--account", "hedger", "--draws", 256)
    assert (code, err) == (0, "")
    assert all(len(line) <= 80 for line in out.splitlines())
    assert out.count("together") == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--law", "guess"), "a law of moves must be one of historical, filtered, monte_carlo"),
        (("--draws", "3"), "draws must be between 100 and 200,000"),
        (("--days", "0"), "a horizon must lie between 1 and 60 days"),
        (("--confidence", "1.5"), "confidence must be inside"),
        (("--account", "nobody"), "an account must be in the book"),
        (("--law", "monte_carlo", "--degrees", "1"), "degrees of freedom must be above 2"),
    ],
)
def test_bad_input_is_one_line(run: Run, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = run("risk", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err
