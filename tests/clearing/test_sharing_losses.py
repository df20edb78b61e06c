"""Loss sharing, interest and sizes of closing trades: the documents' worked figures, and naive loops."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.clearing.interest import RateCurve, borrow_rate, interest_charge, utilisation
from crossmargin.clearing.liquidation_size import (
    DisposalTerms,
    base_to_cover,
    disposal_size,
    disposal_sizes,
    stepped_share,
)
from crossmargin.clearing.loss_sharing import Loser, collect, equity_haircut, floor_shares
from crossmargin.clearing.network_position import NetworkPosition
from crossmargin.errors import InputError
from crossmargin.units import NANOSECONDS_PER_YEAR

quanta = st.integers(0, 10**9)


@given(quanta, quanta, quanta, quanta)
def test_a_haircut_takes_profits_then_insurance_then_equity(deficit: int, warming: int, insurance: int, equity: int):
    found = equity_haircut(deficit, warming=warming, insurance=insurance, equity=equity)
    left = deficit
    assert found.warming == min(left, warming)
    left -= found.warming
    assert found.insurance == min(left, insurance)
    left -= found.insurance
    assert found.fraction * equity == min(left, equity)
    assert found.unpaid == left - min(left, equity)


def test_no_deficit_takes_nothing_and_no_equity_is_no_fraction() -> None:
    nothing = equity_haircut(-5, warming=1, insurance=1, equity=1)
    assert (nothing.warming, nothing.insurance, nothing.fraction, nothing.unpaid) == (0, 0, 0, 0)
    assert equity_haircut(5, warming=0, insurance=0, equity=0).unpaid == 5
    assert equity_haircut(5, warming=0, insurance=0, equity=0).fraction == 0


def test_insurance_helps_losers_in_their_order_until_it_is_spent() -> None:
    losers = [Loser("a", 100, 60), Loser("b", 50, 80), Loser("c", 30, 0), Loser("d", 40, 10)]
    # 40 for a, nothing for b, the last 20 for c, none for d
    assert collect(losers, 60) == ((100, 50, 20, 10), 0)
    assert collect(losers, 1000) == ((100, 50, 30, 40), 900)
    assert collect([Loser("a", 0, 0)], 5) == ((0,), 5)


@pytest.mark.parametrize("loser", [Loser("a", -1, 0), Loser("a", 0, -1)])
def test_a_negative_loss_or_balance_is_refused(loser: Loser) -> None:
    with pytest.raises(InputError, match="loss and balance must not be negative"):
        collect([loser], 0)


def test_floors_leave_the_remainder_to_the_last() -> None:
    assert floor_shares(10, [1, 1, 1]) == (3, 3, 4)
    assert floor_shares(10, [0, 0]) == (0, 0)
    assert floor_shares(0, [3, 4]) == (0, 0)
    assert floor_shares(5, [0, 4]) == (0, 5)
    for collected, gains in ((-1, [1]), (1, [2, -1])):
        with pytest.raises(InputError, match="gains and what was collected"):
            floor_shares(collected, gains)


def test_a_rate_curve_bends_at_its_optimum() -> None:
    # Hyperliquid's dollar loans: 5 % up to 80 % utilisation, then 0.05 + 4.75 (u - 0.8)
    curve = RateCurve(minimum=0.05, multiplier=0.0, high_multiplier=4.75, optimal=0.8)
    assert borrow_rate(curve, 0.3) == 0.05
    assert borrow_rate(curve, 0.8) == 0.05
    assert borrow_rate(curve, 1.0) == pytest.approx(1.0)
    assert utilisation(0.0, 5.0) == 0.0
    assert utilisation(-1.0, 5.0) == 0.0
    assert utilisation(4.0, 1.0) == 0.25


@pytest.mark.parametrize(
    "changes", [{"optimal": 0.0}, {"optimal": 1.01}, {"minimum": -0.1}, {"multiplier": -0.1}, {"high_multiplier": -1.0}]
)
def test_a_curve_of_nonsense_is_refused(changes: dict[str, float]) -> None:
    fields = {"minimum": 0.05, "multiplier": 0.1, "high_multiplier": 1.0, "optimal": 1.0}
    RateCurve(**fields)
    with pytest.raises(InputError, match=r"utilisation|rates"):
        RateCurve(**{**fields, **changes})


@given(st.integers(0, 10**15), st.decimals(0, 5, places=6), st.integers(0, 2 * NANOSECONDS_PER_YEAR))
def test_interest_in_quanta_is_the_fraction_rounded_up(owed, rate, elapsed) -> None:
    exact = Fraction(owed) * Fraction(rate) * Fraction(elapsed, NANOSECONDS_PER_YEAR)
    assert exact <= interest_charge(owed, rate, elapsed) < exact + 1


def test_a_network_sells_a_fraction_of_what_is_left_until_the_rest_is_small() -> None:
    terms = DisposalTerms(fraction=Fraction(1, 2), full_size=50, book_fraction=Fraction(1, 100))
    # 280: half is 140, the book takes 100; 180: 90; 90: 45; then 45 at once
    assert list(disposal_sizes(terms, -280, 10_000)) == [100, 90, 45, 45]
    assert disposal_size(terms, 50, 10_000) == 50
    assert disposal_size(terms, 51, 10_000) == 25
    assert list(disposal_sizes(terms, 280, 99)) == []
    assert list(disposal_sizes(terms, 0, 99)) == []
    for changes in ({"fraction": Fraction(0)}, {"fraction": Fraction(3, 2)}, {"book_fraction": Fraction(0)}):
        with pytest.raises(InputError, match="disposal fractions"):
            DisposalTerms(**{"fraction": Fraction(1), "full_size": 0, "book_fraction": Fraction(1), **changes})


def test_steps_go_on_until_usage_is_below_the_target() -> None:
    # after step k of 5: margin 88.8 (1 - k/5), equity 80 - 44.4 k/5; 0.8 x 88.8 = 71.04 > 0.9 x 71.12, 53.28 < 56.02
    first, second = stepped_share(80.0, 88.8, fee=0.5)
    assert (first.maintenance, first.equity, first.penalty) == pytest.approx((71.04, 71.12, 8.88))
    assert (second.maintenance, second.equity) == pytest.approx((53.28, 62.24))
    # nothing helps a bankrupt account: all of it goes
    assert [step.share for step in stepped_share(-1.0, 10.0, fee=0.0, steps=4)] == [0.25, 0.5, 0.75, 1.0]
    # 9 of margin against 0.9 of 10 is not below it yet
    assert len(stepped_share(10.0, 18.0, fee=0.0, steps=2)) == 2
    assert stepped_share(0.0, 0.0, fee=0.0, steps=1)[0].share == 1.0
    for steps, maintenance in ((0, 1.0), (1, -1.0)):
        with pytest.raises(InputError, match="liquidation must have a step"):
            stepped_share(1.0, maintenance, fee=0.0, steps=steps)


def test_fees_can_eat_all_that_a_closing_releases() -> None:
    sizes = {"price": 100_000_000, "quote_price": 1_000_000, "margin_ratio": 1_000, "insurance_fee": 10_000}
    # 10 % of margin less 1 % and 1 % of fees: 10 dollars need 125 dollars of notional, 1.25 coins
    assert base_to_cover(10_000_000, liquidator_fee=10_000, **sizes) == 1_250_000_000
    assert base_to_cover(10_000_000, liquidator_fee=89_999, **sizes) == 10_000_000 * 10**9 // 100
    assert base_to_cover(10_000_000, liquidator_fee=90_000, **sizes) is None


@given(st.lists(st.tuples(st.integers(-9, 9).filter(bool), st.integers(1, 500)), max_size=12), st.integers(1, 500))
def test_a_network_position_gains_what_its_trades_gain(trades: list[tuple[int, int]], last: int) -> None:
    held = NetworkPosition()
    for size, mark in trades:
        held = held.take(size, Fraction(mark))
    assert held.size == sum(size for size, _ in trades)
    # whatever is called realised, both together are the cash paid and the value held
    assert held.realised + held.unrealised(Fraction(last)) == sum(size * (last - mark) for size, mark in trades)
    assert held.size != 0 or held.unrealised(Fraction(last)) == 0


def test_a_network_position_that_turns_enters_anew() -> None:
    held = NetworkPosition().take(2, Fraction(100)).take(1, Fraction(130))
    assert held.entry == 110
    assert held.take(-1, Fraction(140)).entry == 110
    assert held.take(-1, Fraction(140)).realised == 30
    turned = held.take(-5, Fraction(140))
    assert (turned.size, turned.entry, turned.realised) == (-2, 140, 90)
    flat = held.take(-3, Fraction(90))
    assert (flat.size, flat.entry, flat.realised) == (0, 0, -60)
