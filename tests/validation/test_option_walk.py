"""Option books: hedged to nothing, paid by real marks, margined from the past alone."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.cli.conftest import Run
from tests.cli.conftest import run as run

from crossmargin.files.sample import sample_book, sample_market
from crossmargin.pricing.black76 import black76
from crossmargin.units import NANOSECONDS_PER_DAY, Currency
from crossmargin.validation.account_books import linear_account_books, option_account_books
from crossmargin.validation.option_books import (
    ChainDay,
    Moves,
    OptionBook,
    marked_profits,
    option_books,
    option_margins,
)
from crossmargin.validation.option_walk import DailyMoves, option_walk


def option_margin(day: ChainDay, book: OptionBook, moves: Moves) -> float:
    return float(option_margins(day, [book], moves)[0])


def option_profit(day: ChainDay, after: ChainDay, book: OptionBook) -> float:
    return float(marked_profits(day, after, [book])[0])


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
    moves = Moves(spot=np.full(40, -0.1), vol=np.full(40, 0.2), basis=np.zeros(40))
    for book in option_books(before, random=2):
        if any(each in book.name for each in ("calendar", "random")):
            continue  # the far expiry's vol moves less in the scenario than in this flat world
        margin = option_margin(before, book, moves)
        assert margin == pytest.approx(-option_profit(before, after, book), rel=1e-9)


def test_a_basis_book_loses_what_the_basis_moves() -> None:
    before = chain(300, 100.0)
    after = chain(301, 100.0)
    near = after.expiries_ns == 330 * NANOSECONDS_PER_DAY
    forwards = np.where(near, 100.0 * np.exp(0.05 * 30 / 365), 100.0)
    after = dataclasses.replace(after, forwards=forwards)
    book = next(book for book in option_books(before) if book.name == "basis")
    moves = Moves(spot=np.zeros(40), vol=np.zeros(40), basis=np.full(40, 0.05))
    lost = 100.0 * np.expm1(0.05 * 30 / 365)
    assert option_profit(before, after, book) == pytest.approx(-lost / 100.0)
    assert option_margin(before, book, moves) == pytest.approx(lost / 100.0)


def test_hedged_books_barely_move_for_a_small_move() -> None:
    before, after = chain(300, 100.0), chain(300, 100.01)
    profits = {book.name: option_profit(before, after, book) for book in option_books(before)}
    assert all(abs(profit) < 1e-6 for name, profit in profits.items() if "hedged" in name)
    assert abs(profits["risk reversal"]) > 2e-5


def test_an_option_without_a_mark_the_day_after_leaves_the_day_out() -> None:
    before, after = chain(300, 100.0), chain(301, 101.0)
    gone = dataclasses.replace(after, names=tuple("gone" for _ in after.names))
    assert all(np.isnan(option_profit(before, gone, book)) for book in option_books(before) if book.places)


def test_a_poisoned_future_changes_no_margin() -> None:
    dice = np.random.default_rng(0)
    times = np.arange(1, 321) * NANOSECONDS_PER_DAY
    moves, vols = 0.04 * dice.normal(size=320), 0.05 * dice.normal(size=320)
    chains = [chain(day, 100.0 + day % 7) for day in range(300, 312)]
    funding = 0.1 * dice.normal(size=320)
    clean = option_walk(chains, DailyMoves(times_ns=times, returns=moves, vols=vols, funding=funding))
    poisoned = [*chains[:6], *(chain(day, 400.0, vol=3.0) for day in range(306, 312))]
    spoiled, spoiled_vols = moves.copy(), vols.copy()
    spoiled[305:], spoiled_vols[305:] = 2.0, 2.0
    funding = np.where(np.arange(320) < 305, funding, 9.0)
    dirty = option_walk(poisoned, DailyMoves(times_ns=times, returns=spoiled, vols=spoiled_vols, funding=funding))
    for ours, theirs in zip(clean, dirty, strict=True):
        assert np.array_equal(ours.margins[:6], theirs.margins[:6], equal_nan=True)
        if ours.name not in ("basis", "calendar"):  # too few moves of the basis for a margin
            assert (ours.margins[6:] != theirs.margins[6:]).all()


def test_an_account_s_options_are_restated_on_the_day_s_chain() -> None:
    accounts = {each.name: each for each in option_account_books(sample_book(), sample_market())}
    strangle = accounts["sample strangle-seller"]
    day = chain(300, 100.0)
    book = strangle.on(day)
    # strikes of 110,000 and 80,000 at an index of 96,652, on strikes in steps of 5
    assert [day.strikes[at] for at in book.places] == [115.0, 85.0]
    assert book.quantities == (-0.5, -0.5)
    assert book.hedge == pytest.approx(10.0 / 40.0)


def test_accounts_without_options_become_books_of_a_dollar() -> None:
    market = sample_market()
    books = linear_account_books(sample_book(), market, (Currency("BTC"), Currency("ETH")))
    pair = books.weights[books.names.index("sample pair-btc-eth")]
    btc, eth = 10.0 * market.index_price("BTC"), -290.0 * market.index_price("ETH")
    np.testing.assert_allclose(pair, np.array([btc, eth]) / (btc - eth))
    assert "sample diversified-alts" not in books.names
    assert np.abs(books.weights).sum(axis=1) == pytest.approx(1.0)


@pytest.mark.soak
def test_option_books_on_the_real_chains(
    run: Run, shared: Path, record_property: Callable[[str, object], None]
) -> None:
    arguments = ["backtest", "--data", shared / "data", "--books", "options", "--books", "sample-options", "--json"]
    code, out, _ = run(*arguments)
    assert code == 0
    assert run(*arguments, "--workers", 2)[1] == out
    (record,) = json.loads(out)
    record_property("outside_cases", len(record["books"]))
    assert len(record["books"]) == 59
    assert record["coverage"] >= 0.99
    assert record["least_coverage"] >= 0.987
    assert all(book["days"] >= 140 for book in record["books"])
    code, _, err = run("backtest", "--data", shared / "data", "--books", "options", "--books", "long")
    assert (code, "by themselves" in err or "on their own" in err) == (2, True)
