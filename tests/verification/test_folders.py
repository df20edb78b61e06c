"""Every folder of outside cases that has a reader matches."""

from collections.abc import Callable
from pathlib import Path

import pytest

from crossmargin.margin import drift_rules
from crossmargin.margin.paradex_rules import RestingOrder, kept_in_deleveraging, minimum_delta_risk, open_sizes
from crossmargin.verification.readers import READERS


@pytest.mark.parametrize("name", sorted(READERS))
def test_the_outside_cases_match(name: str, shared: Path, record_property: Callable[[str, object], None]) -> None:
    tally = READERS[name](shared / "vectors" / name)
    record_property("outside_cases", tally.cases)
    assert tally.cases > 0
    assert tally.ok, tally.mismatches


def test_drift_weights_worsen_with_size() -> None:
    # programs/drift/src/math/margin/tests.rs, commit 0ae3e3b1
    assert drift_rules.size_discounted_asset_weight(9_000, 100_000, 1_000 * drift_rules.SIZE_UNIT) == 2_642
    assert drift_rules.size_premium_liability_weight(0, 100_000, 1_000 * drift_rules.SIZE_UNIT) == 31_622
    assert drift_rules.deposit_scaled_asset_weight(9_000, 25, 500_000) == 9_000


def test_paradex_s_worked_examples() -> None:
    # tradeparadex/paradex-docs, commit 9b82a75a
    risk = minimum_delta_risk([1.0, -1.5], 70_000.0, 0.02, 0.01)
    assert (risk.net, risk.gross, risk.hedged, risk.minimum) == pytest.approx((-0.5, 2.5, 1.0, 1_400.0))
    assert open_sizes(-1.0, 3.0, 2.0).worse == 3.0
    orders = [RestingOrder(side=s, size=q, price=p) for s, q, p in
              (("buy", 2.0, 1900.0), ("sell", 5.0, 2150.0), ("sell", 3.0, 2100.0), ("sell", 3.0, 2200.0))]  # fmt: skip
    assert [order.price for order in kept_in_deleveraging(10.0, orders)] == [2150.0, 2100.0]
