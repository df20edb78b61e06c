"""Rulebooks through daily history: the past alone, the contracts of their venue, the definition's figure."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from crossmargin.cli.walking import walked_margins
from crossmargin.files.parameters import read_parameters
from crossmargin.margin.methods import method_named
from crossmargin.units import NANOSECONDS_PER_DAY, Currency, FloatArray
from crossmargin.validation.books import named_books
from crossmargin.validation.daily_bars import DailyBars
from crossmargin.validation.rulebook_walk import rulebook_days

COINS = tuple(Currency(name) for name in ("BTC", "ETH", "NEW"))
BOOKS = named_books({"long": {"BTC": 1.0}, "pair": {"BTC": 1.0, "ETH": -1.0}, "new": {"NEW": 1.0}}, COINS)


def drawn(n_days: int = 420) -> DailyBars:
    dice = np.random.default_rng(8)
    closes = np.exp(np.log([[60_000.0], [3_000.0], [1.0]]) + np.cumsum(0.03 * dice.standard_t(4, (3, n_days)), axis=1))
    closes[2, :400] = np.nan
    return DailyBars(
        days_ns=np.arange(18_000, 18_000 + n_days) * NANOSECONDS_PER_DAY,
        currencies=COINS,
        closes=closes,
        variances=np.full(closes.shape, 9e-4),
    )


def margins(name: str, bars: DailyBars, days: range) -> FloatArray:
    method = method_named(name)
    return np.stack([asked for _, asked in rulebook_days(method, read_parameters(method), BOOKS, bars, days)], axis=1)


def test_a_poisoned_future_changes_no_requirement() -> None:
    bars, days = drawn(), range(395, 411)
    spoiled = bars.closes.copy()
    spoiled[0, 405:] *= 0.2
    clean, dirty = (
        margins("tail_risk", bars, days),
        margins("tail_risk", dataclasses.replace(bars, closes=spoiled), days),
    )
    # day 405 is margined on the close of day 404
    np.testing.assert_array_equal(clean[:, :11], dirty[:, :11])
    assert (clean[:2, 11:] != dirty[:2, 11:]).all()
    assert np.isfinite(clean[:2]).all()
    assert np.isnan(clean[2]).all()  # a coin of three weeks has no scenarios


@pytest.mark.parametrize(("name", "answered"), [("deribit_portfolio", [True, True, False]), ("isolated", [True] * 3)])
def test_books_are_margined_in_what_the_venue_margins(name: str, answered: list[bool]) -> None:
    found = margins(name, drawn(), range(410, 412))
    assert np.isfinite(found).all(axis=1).tolist() == answered
    if name == "isolated":
        # a leg's value times its coin's rate
        rates = read_parameters(method_named("isolated")).initial_rate  # type: ignore[attr-defined]
        assert found[0, 0] == pytest.approx(rates["BTC"])
        assert found[1, 0] == pytest.approx(rates["BTC"] + rates["ETH"])


def test_a_run_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    bars, kept = drawn(), tmp_path / "kept.npz"

    def walk(days: range, checkpoint: Path | None) -> FloatArray:
        return walked_margins(["isolated"], BOOKS, bars, days, 1, 1, checkpoint, quiet=True)[0].margins

    walk(range(300, 350), kept)
    with np.load(kept) as before:
        name = next(key for key in before if key.endswith("/margins"))
        changed = {key: np.array(before[key]) for key in before}
    changed[name] = 2.0 * changed[name]  # shows whether they are read
    np.savez_compressed(kept, **changed)
    resumed, whole = walk(range(300, 419), kept), walk(range(300, 419), None)
    np.testing.assert_array_equal(resumed[:, 300:350], 2.0 * whole[:, 300:350])
    np.testing.assert_array_equal(resumed[:, 350:], whole[:, 350:])
    other = dataclasses.replace(bars, closes=1.5 * bars.closes)
    again = walked_margins(["isolated"], BOOKS, other, range(300, 350), 1, 1, kept, quiet=True)[0].margins
    np.testing.assert_allclose(again[:2, 300:350], whole[:2, 300:350])  # other data are margined anew
