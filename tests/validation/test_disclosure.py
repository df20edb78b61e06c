"""Yearly disclosures, crisis windows and the test of expected shortfall, against counts made by hand."""

import numpy as np
import pytest
from scipy import stats

from crossmargin.errors import InputError
from crossmargin.units import NANOSECONDS_PER_DAY
from crossmargin.validation.disclosure import crisis_windows, disclosures, limit_cost, shortfall_test


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
    assert found[0].median_rise == 0.0
    margins, uncovered = np.ones((3, ends.size)), np.zeros((3, ends.size))
    uncovered[0, 35], uncovered[1, 35], margins[2, 30] = 0.5, 0.25, np.nan  # wanted before a limit; a book not whole
    book_days = np.repeat(profits, 3, axis=0)
    assert crisis_windows(margins, book_days, (ends + 1) * NANOSECONDS_PER_DAY, uncovered)[0].median_rise == 0.375


def test_what_a_limit_costs_those_who_carry_it() -> None:
    margins = np.array([[1.0, 1.0, 1.0, np.nan], [1.0, 1.0, 1.0, 1.0]])
    uncovered = np.array([[0.0, 0.5, 0.5, np.nan], [0.0, 0.0, 0.0, 0.0]])
    profits = np.array([[0.0, -1.25, -2.0, -9.0], [-1.5, 0.0, 0.0, 0.0]])
    found = limit_cost(margins, uncovered, profits)
    assert (found.binding, found.mean) == (2.0 / 7.0, 1.0 / 7.0)
    assert (found.median_largest, found.largest) == (0.25, 0.5)
    # 0.25 and 0.5 of the first book's losses would have been margined, 0.5 of both books' are breaches all the same
    assert (found.loss, found.loss_by_limit, found.breaches_by_limit) == (1.75, 0.75, 2)


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
    assert abs(right.z1.mean()) < 0.1
    assert wrong.z1.mean() < right.z1.mean() - 0.1
    assert right.score.mean() < wrong.score.mean()
    never = shortfall_test(50.0 * shortfalls, 50.0 * quantiles, profits, p, draws=200)
    assert np.isnan(never.z1).any()
