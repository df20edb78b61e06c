"""The worked example of docs/methods/derive_auction.md, and laws of the auction."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.clearing.auction import (
    Auctioned,
    AuctionTerms,
    bid,
    buffer_margin,
    discount,
    insolvent_bid,
    maximum_proportion,
    start_fee,
)
from crossmargin.errors import InputError

TERMS = AuctionTerms(
    start=1.0, fast_cutoff=0.8, fast_seconds=600, slow_seconds=7200, insolvent_seconds=600, buffer=0.1, fee=0.02
)


def test_the_worked_example_of_the_page() -> None:
    account = Auctioned(maintenance_margin=-100.0, mark_to_market=300.0, cash=0.0)
    outcome = bid(TERMS, account, wanted=1.0, elapsed_seconds=300)
    assert buffer_margin(TERMS, -100.0, 300.0) == -140.0
    assert outcome.proportion == pytest.approx(140 / 410)
    assert outcome.payment == pytest.approx(92.195122, abs=1e-6)
    # 140 / (140 + 300) of 300, times 2 %
    assert start_fee(TERMS, -100.0, 300.0) == pytest.approx(140 / 440 * 6)


@given(st.floats(-1e6, -1.0), st.floats(1.0, 1e6), st.floats(0, 7000))
def test_the_largest_bid_restores_the_buffer_exactly(margin: float, value: float, elapsed: float) -> None:
    # the sold share takes its margin and value away and brings cash, which counts fully in both
    share = discount(TERMS, elapsed)
    sold = maximum_proportion(TERMS, margin, value, 0.0, share)
    payment = value * share * sold
    left = buffer_margin(TERMS, margin * (1 - sold) + payment, value * (1 - sold) + payment)
    assert left == pytest.approx(0.0, abs=1e-9 * (abs(margin) + value))


@given(st.floats(-1e6, -1.0), st.floats(-1e6, 1e6), st.floats(0, 2000), st.floats(0, 2000))
def test_an_insolvent_price_only_falls(margin: float, value: float, first: float, second: float) -> None:
    value = max(value, margin)
    early, late = sorted((first, second))
    assert insolvent_bid(TERMS, margin, value, late) <= insolvent_bid(TERMS, margin, value, early) + 1e-9


def test_a_healthy_account_and_one_below_the_cutoff() -> None:
    assert maximum_proportion(TERMS, 100.0, 300.0, 0.0, 1.0) == 0.0
    small = AuctionTerms(
        start=1.0, fast_cutoff=0.8, fast_seconds=1, slow_seconds=1, insolvent_seconds=1, buffer=0.1, cutoff=50.0
    )
    assert maximum_proportion(small, -1.0, 49.0, 0.0, 1.0) == 1.0


def test_a_bid_for_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="wanted 0"):
        bid(TERMS, Auctioned(maintenance_margin=-1.0, mark_to_market=1.0, cash=0.0), wanted=0.0, elapsed_seconds=0)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"fast_cutoff": 1.0, "start": 0.9}, "must fall from start"),
        ({"start": 1.1}, "must fall from start"),
        ({"fast_cutoff": -0.1}, "must fall from start"),
        ({"fast_seconds": -1}, "phases must not be negative"),
        ({"slow_seconds": -1}, "phases must not be negative"),
        ({"insolvent_seconds": -1}, "phases must not be negative"),
        ({"buffer": -0.1}, "must be fractions"),
        ({"fee": 1.1}, "must be fractions"),
        ({"fee": -0.1}, "must be fractions"),
    ],
)
def test_terms_of_nonsense_are_refused(changes: dict[str, float], rule: str) -> None:
    with pytest.raises(InputError, match=rule):
        replace(TERMS, **changes)


def test_a_discount_falls_fast_then_slowly_then_to_nothing() -> None:
    # 1 to 0.8 in 600 s, then to 0 in 7,200 s
    found = [discount(TERMS, seconds) for seconds in (0, 300, 600, 2400, 7799, 7800, 9000)]
    assert found == pytest.approx([1.0, 0.9, 0.8, 0.6, 0.8 / 7200, 0.0, 0.0])
    assert discount(replace(TERMS, fast_seconds=0, slow_seconds=0), 0) == 0.0


def test_what_cannot_be_restored_is_sold_whole() -> None:
    # reserved cash that outweighs the need leaves no share that restores the buffer
    assert maximum_proportion(TERMS, -1.0, -100.0, 0.0, 1.0) == 1.0
    assert maximum_proportion(TERMS, -1000.0, -1.0, 0.0, 1.0) == 1.0


def test_a_bid_for_less_than_is_allowed_gets_what_it_wants() -> None:
    account = Auctioned(maintenance_margin=-100.0, mark_to_market=300.0, cash=50.0, reserved=20.0)
    outcome = bid(TERMS, account, wanted=0.1, elapsed_seconds=300)
    # a tenth of 280 at 0.9; of the 30 of free cash 27 stay beside what is reserved
    assert outcome.payment == pytest.approx(25.2)
    assert outcome.reserved == pytest.approx(45.2)
    assert outcome.cash == pytest.approx(27.0 + 20.0 + 25.2)
    with pytest.raises(InputError, match=r"wanted 1\.1"):
        bid(TERMS, account, wanted=1.1, elapsed_seconds=0)


def test_an_insolvent_account_falls_from_its_value_to_its_margin() -> None:
    found = [insolvent_bid(TERMS, -100.0, -40.0, seconds) for seconds in (0, 300, 600, 601)]
    assert found == [-40.0, -70.0, -100.0, -100.0]
    assert insolvent_bid(TERMS, -100.0, 40.0, 300) == -50.0
    assert insolvent_bid(TERMS, 0.0, -40.0, 300) == 0.0
