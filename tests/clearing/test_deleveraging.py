"""Whole lots, exact budgets, and the smallest largest haircut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.clearing.deleveraging import (
    POLICIES,
    Winner,
    deleverage,
    fewest_percent,
    largest_burden_by_milp,
    lot_limit,
)
from crossmargin.errors import InputError

people = st.lists(
    st.tuples(st.integers(0, 50), st.integers(0, 5000), st.floats(0.1, 50), st.booleans()), min_size=1, max_size=8
).map(
    lambda rows: [Winner(name=f"w{i}", lots=n, profit=p, leverage=x, hedged=h) for i, (n, p, x, h) in enumerate(rows)]
)


@pytest.mark.parametrize("policy", sorted(POLICIES))
@given(winners=people, lots=st.integers(0, 200), budget=st.integers(0, 5000))
def test_no_policy_takes_more_than_profit_or_closes_more_than_asked(policy, winners, lots, budget) -> None:
    cuts = deleverage(policy, winners, lots, budget)
    by_name = {winner.name: winner for winner in winners}
    for cut in cuts:
        assert 0 < cut.lots <= by_name[cut.name].lots
        assert cut.haircut <= by_name[cut.name].profit
    closed = sum(cut.lots for cut in cuts)
    assert closed == min(lots, sum(lot_limit(winner, lots, budget) for winner in winners))
    assert sum(cut.haircut for cut in cuts) == (budget * closed // lots if lots else 0)
    plain = [w for w in winners if not w.hedged]
    if any(by_name[cut.name].hedged for cut in cuts):
        taken = {cut.name: cut.lots for cut in cuts}
        assert all(taken.get(w.name, 0) == lot_limit(w, lots, budget) for w in plain)


@settings(max_examples=60)
@given(winners=people, lots=st.integers(1, 60), budget=st.integers(1, 5000))
def test_the_integer_policy_is_optimal_by_highs(winners, lots, budget) -> None:
    limits = [lot_limit(winner, lots, budget) for winner in winners]
    taken = fewest_percent(limits, winners, lots)
    largest = max(count / max(winner.profit, 1) for count, winner in zip(taken, winners, strict=True))
    assert largest == pytest.approx(largest_burden_by_milp(limits, winners, lots), rel=1e-6, abs=1e-9)


def test_the_queue_takes_all_of_the_first_and_the_integer_policy_spreads() -> None:
    winners = [Winner(name="a", lots=100, profit=1000, leverage=20.0), Winner(name="b", lots=100, profit=3000)]
    assert [(c.name, c.haircut) for c in deleverage("queue", winners, 40, 400)] == [("a", 400)]
    # 400 of 4,000 is a tenth of each profit
    assert [(c.name, c.haircut) for c in deleverage("integer", winners, 40, 400)] == [("a", 100), ("b", 300)]


def test_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="policy"):
        deleverage("random", [], 1, 1)
    with pytest.raises(InputError, match="negative"):
        deleverage("queue", [], -1, 1)
    with pytest.raises(InputError, match="negative"):
        Winner(name="a", lots=-1, profit=0)
