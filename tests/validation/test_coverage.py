"""Backtest statistics against published values."""

import numpy as np
import pytest
from scipy import stats

from crossmargin.validation import coverage


def test_kupiec_matches_the_table_for_250_days_at_one_percent() -> None:
    published = [5.0252, 1.1765, 0.1084, 0.0949, 0.7691, 1.9568, 3.5554, 5.497, 7.7336, 10.229, 12.9555]
    assert [coverage.kupiec(x, 250, 0.01).statistic for x in range(11)] == pytest.approx(published, abs=1e-4)


@pytest.mark.parametrize(
    ("periods", "p", "low", "high"),
    [(510, 0.01, 1, 11), (1000, 0.01, 4, 17), (255, 0.05, 6, 21), (510, 0.05, 16, 36), (1000, 0.05, 37, 65)],
)
def test_kupiec_accepts_between_the_published_bounds(periods: int, p: float, low: int, high: int) -> None:
    accepted = [x for x in range(periods // 4) if coverage.kupiec(x, periods, p).p_value > 0.05]
    assert (min(accepted) - 1, max(accepted) + 1) == (low, high)


def test_christoffersen_matches_mathworks() -> None:
    # MathWorks Risk Management Toolbox documentation: 1,043 days, 57 breaches of a 95 % VaR
    pof = coverage.kupiec(57, 1043, 0.05)
    independence = coverage.independence_of_counts(932, 53, 53, 4)
    assert (pof.statistic, pof.p_value) == pytest.approx((0.46147, 0.49694), abs=1e-5)
    assert (independence.statistic, independence.p_value) == pytest.approx((0.25866, 0.61104), abs=1e-5)
    assert pof.statistic + independence.statistic == pytest.approx(0.72013, abs=1e-5)
    assert stats.chi2.sf(0.72013, 2) == pytest.approx(0.69763, abs=1e-5)


def test_traffic_lights_match_basel_and_the_365_day_year() -> None:
    rows = [(250, 0.01), (750, 0.005), (250, 0.005), (750, 0.01), (365, 0.01), (365, 0.005), (1095, 0.01)]
    expected = [(5, 10), (7, 13), (3, 7), (12, 20), (7, 13), (4, 9), (17, 25)]
    lights = [coverage.traffic_light(periods, p) for periods, p in rows]
    assert [(light.yellow, light.red) for light in lights] == expected
    assert lights[0].zone(4) == "green"
    assert lights[0].zone(9) == "yellow"
    assert lights[0].zone(10) == "red"


def test_one_sided_probability_matches_mathworks_type_one_error() -> None:
    assert coverage.too_many_breaches(57, 1043, 0.05) == pytest.approx(0.26396, abs=1e-5)


@pytest.mark.parametrize(("degrees", "expected"), [(np.inf, -0.70), (10.0, -0.71), (5.0, -0.74), (3.0, -0.82)])
def test_z2_critical_values_match_acerbi_and_szekely(degrees: float, expected: float) -> None:
    found = coverage.z2_critical_value(250, 0.025, degrees=degrees, draws=60_000)
    assert found == pytest.approx(expected, abs=0.02)


def test_z2_critical_values_match_mathworks_at_1966_days() -> None:
    assert coverage.z2_critical_value(1966, 0.025, level=0.01, draws=40_000) == pytest.approx(-0.34639, abs=0.01)
    assert coverage.z2_critical_value(1966, 0.025, level=0.01, degrees=3.0, draws=60_000) == pytest.approx(
        -0.42986, abs=0.02
    )


def test_acerbi_szekely_statistics_are_near_zero_for_a_correct_model_and_negative_for_a_meek_one() -> None:
    rng = np.random.default_rng(1)
    pnl, simulated = rng.standard_normal(2_000), rng.standard_normal((2_000, 400))
    var, es = np.full(2_000, 1.959964), np.full(2_000, 2.337803)
    for factor, low, high in ((1.0, -0.25, 0.25), (0.7, -5.0, -0.4)):
        z2 = coverage.acerbi_szekely_z2(pnl, factor * var, factor * es, 0.025)
        assert low < z2 < high
    assert coverage.acerbi_szekely_z1(pnl, var, es) == pytest.approx(0.0, abs=0.06)
    assert z3(pnl, simulated, 0.025) == pytest.approx(0.0, abs=0.08)
    # ranks end at the smallest of 400 scenarios, so Z3 cannot fall as far as Z2 does
    assert z3(pnl, 0.7 * simulated, 0.025) < -0.15


def z3(pnl: np.ndarray, simulated: np.ndarray, p: float) -> float:
    """Return Z3 by the paper's steps, day by day."""
    ranks = (np.sum(simulated <= pnl[:, None], axis=1) + 0.5) / (simulated.shape[1] + 1.0)
    levels = coverage.z3_levels(ranks, p)
    realised, expected = (np.array([np.quantile(day, each).mean() for day in simulated]) for each in levels)
    return coverage.acerbi_szekely_z3(realised, expected)


def test_scores_prefer_the_true_quantile() -> None:
    rng = np.random.default_rng(9)
    pnl = rng.standard_normal(50_000)
    scores = [coverage.quantile_score(pnl, np.full(pnl.size, v), 0.01).mean() for v in (1.8, 2.3263, 3.0)]
    assert scores[1] == min(scores)
    joint = [
        coverage.joint_score(pnl, np.full(pnl.size, v), np.full(pnl.size, e), 0.01).mean()
        for v, e in ((1.8, 2.1), (2.3263, 2.6652), (3.0, 3.4))
    ]
    assert joint[1] == min(joint)


def test_independence_agrees_with_arch_on_clustered_breaches() -> None:
    hits = np.zeros(600, dtype=bool)
    hits[100:104] = hits[300] = True
    assert coverage.christoffersen_independence(hits).p_value < 0.01
    spread = np.zeros(600, dtype=bool)
    spread[::120] = True
    assert coverage.christoffersen_independence(spread).p_value > 0.5


def test_diebold_mariano_tells_a_better_score_from_an_equal_one() -> None:
    rng = np.random.default_rng(3)
    noise = rng.normal(size=1_000)
    assert coverage.diebold_mariano(noise, noise + 0.2 + 0.5 * rng.normal(size=1_000)).p_value < 0.001
    assert coverage.diebold_mariano(noise, rng.normal(size=1_000)).p_value > 0.01
