"""Whole lots, exact budgets, and the smallest largest haircut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.clearing.least_burden import largest_burden_by_milp

from crossmargin.clearing.deleveraging import (
    POLICIES,
    Winner,
    deleverage,
    fewest_percent,
    fill_in_order,
    lot_limit,
    percentiles,
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


def test_the_queue_example_that_bitmex_publishes() -> None:
    # bitmex.com/app/autoDeleveragingExamples: six longs by id 1 to 6, a short of 20 is closed
    scores, quantities = [3, 6, 1, 4, 5, 2], [10, 10, 20, 30, 20, 10]
    assert fill_in_order(scores, quantities, 20) == [(1, 10), (4, 10)]
    assert percentiles(scores, quantities) == [80, 20, 100, 60, 40, 80]
    assert fill_in_order(scores, quantities, 101) == [(1, 10), (4, 20), (3, 30), (0, 10), (5, 10), (2, 20)]
    # of equal scores the earlier one goes first, and who has nothing fills nothing
    assert fill_in_order([1, 1, 1], [0, 5, 5], 6) == [(1, 5), (2, 1)]


def test_lots_that_a_profit_carries() -> None:
    winner = Winner(name="a", lots=10, profit=99)
    # 25 a lot: three of them are 75, four would be 100
    assert lot_limit(winner, 4, 100) == 3
    assert lot_limit(winner, 4, 99) == 4
    assert lot_limit(winner, 100, 0) == 10
    assert lot_limit(winner, 0, 5) == 0
    assert lot_limit(winner, 5, 1) == 10
    with pytest.raises(InputError, match="profit must not be negative"):
        Winner(name="a", lots=0, profit=-1)
    with pytest.raises(InputError, match="budget must not be negative"):
        deleverage("queue", [], 1, -1)


def test_pro_rata_goes_by_lots_and_the_queue_by_profit_times_leverage() -> None:
    winners = [
        Winner(name="b", lots=30, profit=10**6, leverage=1.0),
        Winner(name="a", lots=10, profit=10**6, leverage=1.0),
        Winner(name="c", lots=60, profit=10**5, leverage=11.0),
    ]
    assert [(c.name, c.lots) for c in deleverage("pro rata", winners, 10, 0)] == [("b", 3), ("a", 1), ("c", 6)]
    # 1.1 m of c before 1 m of the others, of whom a stands first in the alphabet
    assert [(c.name, c.lots) for c in deleverage("queue", winners, 75, 0)] == [("b", 5), ("a", 10), ("c", 60)]
    assert deleverage("integer", [], 5, 10) == ()
    # two lots over three equal profits: the first two in the alphabet give one each, and have none left to give
    equal = [Winner(name="a", lots=1, profit=1), Winner(name="b", lots=1, profit=1), Winner(name="c", lots=5, profit=1)]
    assert [(c.name, c.lots) for c in deleverage("integer", equal, 2, 0)] == [("a", 1), ("b", 1)]


def test_budgets_without_lots_and_lots_of_unequal_profit() -> None:
    assert deleverage("integer", [Winner(name="a", lots=5, profit=9)], 0, 9) == ()
    assert percentiles([2, 1], [0, 10]) == [0, 100]
    # 7 lots over profits of 5, 3 and 1: whole shares 3, 2 and 0; of the two that are left one burdens a least (4/5), and
    # the other all alike (5/5 = 3/3 = 1/1), of whom a stands first
    winners = [Winner(name=name, lots=9, profit=profit) for name, profit in (("a", 5), ("b", 3), ("c", 1))]
    assert [(c.name, c.lots) for c in deleverage("integer", winners, 7, 0)] == [("a", 5), ("b", 2)]
    # no profit weighs as little as one quantum
    winners = [Winner(name="a", lots=9, profit=0), Winner(name="b", lots=9, profit=1)]
    assert [(c.name, c.lots) for c in deleverage("integer", winners, 4, 0)] == [("a", 2), ("b", 2)]
    # whoever reaches his limit leaves the others a larger share: 10 over 1, 1 and 1, of whom a has two lots only
    winners = [
        Winner(name="a", lots=2, profit=1),
        Winner(name="b", lots=9, profit=1),
        Winner(name="c", lots=9, profit=1),
    ]
    assert [c.lots for c in deleverage("integer", winners, 10, 0)] == [2, 4, 4]
