"""The arithmetic of closing against the independent cases, every number of every case."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from crossmargin.clearing import liquidation_size, loss_sharing
from crossmargin.clearing.interest import RateCurve, borrow_rate
from crossmargin.verification.cases import read_cases
from crossmargin.verification.readers import READERS


@pytest.mark.parametrize(
    "name",
    [
        "bitmex_adl",
        "derive_auction",
        "derive_liquidation",
        "derive_pmrm1",
        "derive_pmrm2",
        "derive_srm",
        "dydx_v4",
        "percolator_waterfall",
    ],
)
def test_every_case_of_the_folder_matches(name: str, shared: Path, record_property: Callable[[str, Any], None]) -> None:
    tally = READERS[name](shared / "vectors" / name)
    record_property("outside_cases", tally.cases)
    assert tally.ok, tally.mismatches
    assert tally.cases > 0


def test_losses_are_socialised_as_vega_does(shared: Path, record_property: Callable[[str, Any], None]) -> None:
    cases = read_cases(shared / "vectors" / "vega" / "vectors.json")["loss_socialisation"]
    record_property("outside_cases", len(cases))
    for case in cases:
        losers = [loss_sharing.Loser(given["p"], given["loss"], given["balance"]) for given in case["losers"]]
        paid, insurance = loss_sharing.collect(losers, case["insurance"])
        winners = [given["p"] for given in case["winners"]]
        gains = [given["gain"] for given in case["winners"]]
        got = dict(zip(winners, loss_sharing.floor_shares(sum(paid), gains), strict=True))
        assert insurance == case["expected_insurance"]
        for name, expected in case["expected"].items():
            if name not in got:
                realised = -dict(zip((loser.name for loser in losers), paid, strict=True))[name]
            else:
                # a winner who has not closed realises only what socialisation took
                realised = got[name] - (gains[winners.index(name)] if "unrealised" in expected else 0)
            assert realised == expected["realised"], (case["case"], name)


def test_network_disposal_trades_the_sizes_of_the_specification(shared: Path) -> None:
    for case in read_cases(shared / "vectors" / "vega" / "vectors.json")["network_disposal"]:
        terms = liquidation_size.DisposalTerms(
            fraction=Fraction(str(case["disposal_fraction"])),
            full_size=case["full_disposal_size"],
            book_fraction=Fraction(str(case["max_fraction_of_book"])),
        )
        sizes = list(liquidation_size.disposal_sizes(terms, case["position"], case["book_volume"]))
        assert sizes == case["expected_trades"]


def test_base_to_cover_is_drifts(shared: Path) -> None:
    for case in read_cases(shared / "vectors" / "drift_v2" / "vectors.json")["liq_base_to_cover_shortage"]:
        ours = liquidation_size.base_to_cover(
            case["shortage"],
            price=case["price"],
            quote_price=case["quote_price"],
            margin_ratio=case["margin_ratio"],
            liquidator_fee=case["liq_fee"],
            insurance_fee=case["if_fee"],
        )
        assert ours == case["expected"]


def test_partial_liquidation_steps_are_those_of_the_table_of_paradex(shared: Path) -> None:
    case = read_cases(shared / "vectors" / "paradex_docs" / "vectors.json")["partial_liquidation"]
    expected = case["expected"]
    steps = liquidation_size.stepped_share(
        expected["account_value"], expected["mmr"], fee=case["fee_used_in_table"], target=case["target"]
    )
    assert steps[-1].share == expected["chosen_share"]
    for step, row in zip(steps, expected["table"], strict=False):
        assert step.maintenance == pytest.approx(row["mmr"], abs=1e-9)
        assert step.penalty == pytest.approx(row["penalty"], abs=1e-9)
        assert step.equity == pytest.approx(row["account_value"], abs=1e-9)


def test_borrow_rates_are_those_of_derives_sequence(shared: Path) -> None:
    case = read_cases(shared / "vectors" / "derive_liquidation" / "cash_interest_sequence.json")
    curve = RateCurve(minimum=0.05, multiplier=0.3, high_multiplier=2.0, optimal=0.6)
    for used, rate in zip(case["utilizations"], case["borrowRates"], strict=True):
        assert borrow_rate(curve, used / 1e18) == pytest.approx(rate / 1e18, rel=1e-12)
