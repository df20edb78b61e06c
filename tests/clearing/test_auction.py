"""The worked example of docs/methods/derive_auction.md, and laws of the auction."""

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
