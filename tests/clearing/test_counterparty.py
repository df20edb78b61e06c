"""Cover-1 and cover-2 against naive enumeration, and reconciliation of faults that were planted."""

import itertools
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.clearing.counterparty import concentration, cover, losses_beyond_margin
from crossmargin.clearing.reconciliation import Break, Line, compare_balances, compare_lines
from crossmargin.errors import InputError


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 10_000), st.integers(1, 2))
def test_cover_is_the_worst_pair_in_the_worst_scenario(members: int, scenarios: int, seed: int, count: int) -> None:
    dice = np.random.default_rng(seed)
    pnl, margin = dice.normal(0, 10, (members, scenarios)), dice.uniform(0, 5, members)
    beyond = losses_beyond_margin(pnl, margin)
    naive = max(
        sum(max(-pnl[m, s] - margin[m], 0.0) for m in group)
        for group in itertools.combinations(range(members), count)
        for s in range(scenarios)
    )
    found = cover(tuple(f"m{n}" for n in range(members)), beyond, count)
    assert found.amount == pytest.approx(naive)
    assert sum(beyond[int(name[1:]), found.scenario] for name in found.members) == pytest.approx(naive)


def test_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="cover"):
        cover(("a",), np.zeros((1, 1)), 2)
    with pytest.raises(InputError, match="finite"):
        concentration({"a": -1.0})
    with pytest.raises(InputError, match="finite"):
        concentration({"a": float("inf")})
    with pytest.raises(InputError, match="members by scenarios"):
        losses_beyond_margin(np.zeros((2, 1)), np.zeros(3))
    with pytest.raises(InputError, match="members by scenarios"):
        losses_beyond_margin(np.zeros(2), np.zeros(2))
    with pytest.raises(InputError, match="cover"):
        cover(("a", "b"), np.zeros((1, 1)), 1)


def test_exposures_stand_from_the_largest_with_their_shares() -> None:
    rows, index = concentration({"b": 20.0, "c": 60.0, "a": 20.0})
    assert [(row.name, row.amount, row.share) for row in rows] == [("c", 60.0, 0.6), ("a", 20.0, 0.2), ("b", 20.0, 0.2)]
    assert index == pytest.approx(0.44)
    rows, index = concentration({"a": 0.0})
    assert (rows[0].share, index) == (0.0, 0.0)
    assert concentration({}) == ((), 0.0)


def line(number: int, **changes) -> Line:
    fields = {"id": f"f{number}", "account": "a", "asset": "BTC", "amount": Decimal(number), "fee_asset": "USDC"}
    return Line(**{**fields, **changes})


@given(st.integers(0, 10_000))
def test_every_planted_break_is_found_and_classified(seed: int) -> None:
    dice = np.random.default_rng(seed)
    ours = [line(number) for number in range(1, 41)]
    theirs, planted = [], {}
    for mine in ours:
        fault = dice.choice(["none"] * 12 + ["drop", "duplicate", "amount", "fee", "late"])
        changed = {"amount": {"amount": mine.amount + 1}, "fee": {"fee_asset": "BNB"}, "late": {"time_ns": 9}}
        copy = line(int(mine.amount), **changed.get(fault, {}))
        theirs += [] if fault == "drop" else [copy] * (2 if fault == "duplicate" else 1)
        kinds = {
            "drop": Break.UNKNOWN_TO_THEM,
            "duplicate": Break.DUPLICATE,
            "amount": Break.AMOUNT,
            "fee": Break.FEE_ASSET,
            "late": Break.TIMING,
        }
        if fault in kinds:
            planted[mine.id] = kinds[fault]
    theirs.append(line(99))
    planted["f99"] = Break.MISSING
    dice.shuffle(theirs)
    assert {item.id: item.kind for item in compare_lines(ours, theirs)} == planted


def test_balances_within_the_tolerance_do_not_break() -> None:
    assert compare_balances({"BTC": Decimal(1)}, {"BTC": Decimal("1.01")}, tolerance=Decimal("0.01")) == ()
    (found,) = compare_balances({}, {"BTC": Decimal(1)})
    assert found.amount == 1


def test_a_fee_of_another_amount_or_account_is_a_break() -> None:
    (found,) = compare_lines([line(1, fee=Decimal(2))], [line(1, fee=Decimal(5))])
    assert (found.kind, found.amount) == (Break.AMOUNT, 3)
    assert compare_lines([line(1, fee=Decimal(2))], [line(1, fee=Decimal(5))], tolerance=Decimal(3)) == ()
    (found,) = compare_lines([line(1)], [line(1, account="b")])
    assert (found.kind, found.amount) == (Break.AMOUNT, 0)
    (found,) = compare_lines([line(1, fee=Decimal(2))], [line(1, fee=Decimal(7), fee_asset="BNB")])
    assert (found.kind, found.amount) == (Break.FEE_ASSET, 7)


def test_a_line_is_late_only_beyond_the_tolerance() -> None:
    assert compare_lines([line(1)], [line(1, time_ns=5)], timing_ns=5) == ()
    (found,) = compare_lines([line(1, time_ns=6)], [line(1)], timing_ns=5)
    assert (found.kind, found.detail) == (Break.TIMING, "-6 ns apart")


def test_duplicates_count_what_is_there_too_often() -> None:
    found = compare_lines([line(4)] * 3, [line(4)] * 2)
    assert [(item.kind, item.amount) for item in found] == [(Break.DUPLICATE, 8), (Break.DUPLICATE, 4)]
