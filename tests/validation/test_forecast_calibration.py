"""Calibration of forecasts: no look at the future, the arithmetic of reliability, and real days."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from crossmargin.errors import InputError
from crossmargin.files.history import read_history
from crossmargin.files.parameters import read_parameters
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.margin.exposure import underlyings
from crossmargin.margin.methods import method_named
from crossmargin.market.history import PriceHistory
from crossmargin.validation.forecast_calibration import Outcome, brier_score, interval_coverage, outcomes, reliability

GRID = method_named("scenario_grid")
MARKET = sample_market()
NAMES = ("levered-long", "levered-short", "levered-long-eth", "diversified-alts")
BOOK = [portfolio for portfolio in sample_book() if portfolio.account in NAMES]
COINS = sorted({coin for portfolio in BOOK for coin in underlyings(portfolio)})


def observed(history: PriceHistory, horizon: int, days: int, count: int = 200) -> list[Outcome]:
    market = replace(MARKET, history=history)
    found = outcomes(
        BOOK, market, GRID, read_parameters(GRID), COINS, horizon=horizon, days=days, count=count, asked=40
    )
    return [outcome for day in found for outcome in day]


def test_a_forecast_does_not_see_what_comes_after() -> None:
    history = MARKET.history
    assert history is not None
    known = observed(history, 1, 6)
    poisoned = history.prices.copy()
    poisoned[:, -3:] *= 1.5  # the last three days stand 50 % higher
    changed = observed(replace(history, prices=poisoned), 1, 6)
    days = sorted({each.time_ns for each in known})
    before = [(a, b) for a, b in zip(known, changed, strict=True) if a.time_ns <= days[3]]
    for each, other in before:
        assert (each.call, each.liquidation) == (other.call, other.liquidation)
    # on the day of the jump itself nothing was known: it is in the outcome alone
    jump = [b for _, b in before if b.time_ns == days[3] and b.account == "levered-short"]
    assert [each.called for each in jump] == [True]
    assert jump[0].call < 0.5


def test_reliability_counts_what_happened() -> None:
    rng = np.random.default_rng(2)
    forecast = np.concatenate([np.zeros(50), rng.uniform(size=4_000)])
    happened = rng.uniform(size=forecast.size) < forecast
    bins = reliability(forecast, happened, bins=5)
    assert bins[0].count == 50
    assert (bins[0].observed, bins[0].low) == (0.0, 0.0)
    assert sum(each.count for each in bins) == forecast.size
    # Wilson's interval, as scipy has it
    for each in bins[1:]:
        exact = stats.binomtest(round(each.observed * each.count), each.count).proportion_ci(method="wilson")
        assert (each.low, each.high) == (pytest.approx(exact.low), pytest.approx(exact.high))
        assert each.low <= each.forecast <= each.high
    assert brier_score(forecast, happened)[1] > 0.2
    assert dict(interval_coverage(rng.uniform(size=20_000))) == {
        0.5: pytest.approx(0.5, abs=0.02),
        0.9: pytest.approx(0.9, abs=0.01),
        0.98: pytest.approx(0.98, abs=0.005),
    }


def test_real_days_come_true_about_as_often_as_forecast(
    shared: Path, record_property: Callable[[str, object], None]
) -> None:
    history = read_history(shared / "data" / "perp_1d.parquet").until(MARKET.time_ns)
    found = observed(history, 5, 150, count=300)
    call, called = np.array([each.call for each in found]), np.array([each.called for each in found])
    ranks = np.array([each.rank for each in found])
    # over about two years: the mean forecast against the frequency, and forecasts better than always saying the mean
    assert called.mean() == pytest.approx(call.mean(), rel=0.25)
    assert brier_score(call, called)[1] > 0.05
    for level, inside in interval_coverage(ranks):
        assert inside == pytest.approx(level, abs=0.06)
    record_property("outside_cases", len(found))


def test_a_history_too_short_is_refused() -> None:
    history = MARKET.history
    assert history is not None
    short = PriceHistory(
        times_ns=history.times_ns[-100:], currencies=history.currencies, prices=history.prices[:, -100:]
    )
    with pytest.raises(InputError, match="150 complete dates"):
        observed(short, 1, 10)
