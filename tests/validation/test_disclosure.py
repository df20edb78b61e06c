"""Yearly disclosures, crisis windows and the test of expected shortfall, against counts made by hand."""

import numpy as np
import pytest
from scipy import stats

from crossmargin.errors import InputError
from crossmargin.units import NANOSECONDS_PER_DAY
from crossmargin.validation.disclosure import crisis_windows, disclosures, shortfall_test


def test_years_end_with_the_record_and_count_what_was_uncovered() -> None:
    margins, profits = np.ones((2, 800)), np.zeros((2, 800))
    profits[0, 10], profits[1, 100], profits[0, 799] = -1.5, -3.0, -1.25
    margins[:, 600:], profits[1, 700] = 2.0, np.nan
    years = disclosures(margins, profits)
    assert [(year.first, year.last) for year in years] == [(0, 69), (70, 434), (435, 799)]
    assert [year.below for year in years] == [1, 1, 0]
    assert [year.observations for year in years] == [140, 730, 729]
    assert [year.peak for year in years] == [0.5, 2.0, 0.0]
    assert [year.largest_call for year in years] == [0.0, 0.0, 1.0]
    assert years[0].coverage == pytest.approx(139 / 140)
    assert years[0].average == 0.5
    with pytest.raises(InputError, match="one shape"):
        disclosures(margins, profits[:, 1:])


def test_periods_of_two_days_keep_their_places_over_the_end_of_a_year() -> None:
    profits = np.zeros((1, 400))
    profits[0, [101, 102]] = -2.0
    years = disclosures(np.ones((1, 400)), profits, horizon=2)
    assert [(year.observations, year.below) for year in years] == [(18, 0), (182, 1)]


def test_fifteen_days_around_a_crisis() -> None:
    ends = np.arange(np.datetime64("2024-07-01"), np.datetime64("2024-09-01")).astype("datetime64[D]").astype(np.int64)
    profits = np.zeros((1, ends.size))
    profits[0, 35] = -2.0  # 5 August
    profits[0, 0] = -2.0  # long before
    found = crisis_windows(np.ones(profits.shape), profits, (ends + 1) * NANOSECONDS_PER_DAY)
    assert [(window.crisis, window.breaches, window.observations) for window in found] == [("august-2024", 1, 15)]


def test_a_correct_shortfall_is_not_rejected_and_half_of_it_is() -> None:
    dice, p, degrees = np.random.default_rng(5), 0.025, 4.0
    profits = dice.standard_t(degrees, (20, 1_500))
    var = -float(stats.t.ppf(p, degrees))
    es = float(stats.t.pdf(var, degrees)) * (degrees + var**2) / ((degrees - 1.0) * p)
    quantiles, shortfalls = np.full(profits.shape, var), np.full(profits.shape, es)
    right = shortfall_test(shortfalls, quantiles, profits, p, draws=2_000)
    wrong = shortfall_test(shortfalls / 2.0, quantiles / 2.0, profits, p, draws=2_000)
    assert right.share_above >= 0.85
    assert wrong.share_above <= 0.1
    assert abs(right.z2.mean()) < 0.1
