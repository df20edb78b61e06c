"""Option books: hedged to nothing, paid by real marks, margined from the past alone."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from crossmargin.files.daily_bars import read_daily_bars
from crossmargin.files.option_days import read_chain_days
from crossmargin.pricing.black76 import black76
from crossmargin.units import NANOSECONDS_PER_DAY, Currency
from crossmargin.validation.option_books import ChainDay, option_books, option_margin, option_profit
from crossmargin.validation.option_walk import option_walk


def chain(day: int, spot: float, vol: float = 0.6) -> ChainDay:
    """Calls and puts of two expiries at one vol, with the Black-76 delta by a central difference."""
    strikes, expiries, calls = (
        each.ravel()
        for each in np.meshgrid(np.arange(60.0, 150.0, 5.0), np.array([330, 390]), [True, False], indexing="ij")
    )
    years = (expiries - day) / 365.0
    prices = [black76(spot + step, strikes, years, vol, calls) for step in (-1e-4, 0.0, 1e-4)]
    return ChainDay(
        time_ns=day * NANOSECONDS_PER_DAY,
        spot=spot,
        names=tuple(f"{e:.0f}-{k:.0f}-{c}" for e, k, c in zip(expiries, strikes, calls, strict=True)),
        expiries_ns=(expiries * NANOSECONDS_PER_DAY).astype(np.int64),
        strikes=strikes,
        calls=calls.astype(bool),
        forwards=np.full(strikes.size, spot),
        vols=np.full(strikes.size, vol),
        marks=prices[1],
        deltas=(prices[2] - prices[0]) / 2e-4,
    )


def test_margin_is_the_loss_that_the_next_marks_show_when_the_scenario_comes_true() -> None:
    before = chain(300, 100.0)
    after = chain(301, 100.0 * np.exp(-0.1), vol=0.6 * np.exp(0.2))
    for book in option_books(before):
        if "calendar" in book.name:  # the far expiry's vol moves less in the scenario than in this flat world
            continue
        margin = option_margin(before, book, np.full(40, -0.1), np.full(40, 0.2))
        assert margin == pytest.approx(-option_profit(before, after, book), rel=1e-9)


def test_hedged_books_barely_move_for_a_small_move() -> None:
    before, after = chain(300, 100.0), chain(300, 100.01)
    profits = {book.name: option_profit(before, after, book) for book in option_books(before)}
    assert all(abs(profit) < 1e-6 for name, profit in profits.items() if "hedged" in name)
    assert abs(profits["risk reversal"]) > 2e-5


def test_an_option_without_a_mark_the_day_after_leaves_the_day_out() -> None:
    before, after = chain(300, 100.0), chain(301, 101.0)
    gone = dataclasses.replace(after, names=tuple("gone" for _ in after.names))
    assert all(np.isnan(option_profit(before, gone, book)) for book in option_books(before))


def test_a_poisoned_future_changes_no_margin() -> None:
    dice = np.random.default_rng(0)
    times = np.arange(1, 321) * NANOSECONDS_PER_DAY
    moves, vols = 0.04 * dice.normal(size=320), 0.05 * dice.normal(size=320)
    chains = [chain(day, 100.0 + day % 7) for day in range(300, 312)]
    clean = option_walk(chains, times, moves, vols)
    poisoned = [*chains[:6], *(chain(day, 400.0, vol=3.0) for day in range(306, 312))]
    spoiled, spoiled_vols = moves.copy(), vols.copy()
    spoiled[305:], spoiled_vols[305:] = 2.0, 2.0
    dirty = option_walk(poisoned, times, spoiled, spoiled_vols)
    for ours, theirs in zip(clean, dirty, strict=True):
        assert np.array_equal(ours.margins[:6], theirs.margins[:6])
        assert (ours.margins[6:] != theirs.margins[6:]).all()


@pytest.mark.soak
def test_option_books_on_the_real_chains(shared: Path, record_property: Callable[[str, object], None]) -> None:
    bars = read_daily_bars(shared / "data")
    index = pl.read_parquet(shared / "data" / "dvol_btc_daily.parquet")
    closes = dict(zip(index["date"].dt.epoch("ns").to_list(), index["dvol_btc_close"].to_list(), strict=True))
    vols = np.log([closes.get(int(end) - NANOSECONDS_PER_DAY, np.nan) for end in bars.days_ns])
    vol_moves = np.concatenate([[np.nan], np.diff(vols)])
    for coin in (Currency("BTC"), Currency("ETH")):
        row = bars.returns[bars.currencies.index(coin)]
        found = option_walk(list(read_chain_days(shared / "data", coin)), bars.days_ns, row, vol_moves)
        assert len(found) == 8
        for book in found:
            known = np.isfinite(book.profits)
            assert known.sum() > 150
            assert (book.margins > 0.0).all()
            assert float((-book.profits > book.margins)[known].mean()) <= 0.013
    record_property("outside_cases", 16)
