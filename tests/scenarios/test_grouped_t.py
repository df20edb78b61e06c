"""Grouped and skewed t shocks against moments in closed form and the marginal laws of scipy."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from crossmargin.errors import InputError
from crossmargin.scenarios.grouped_t import GroupedT, fit_tail, grouped_t_scenarios, skewed_t_log_density
from crossmargin.scenarios.monte_carlo import t_copula_shocks
from crossmargin.units import Currency


def law(correlation: float, degrees: tuple[float, float], skew: tuple[float, float] = (0.0, 0.0)) -> GroupedT:
    return GroupedT(
        correlation=np.array([[1.0, correlation], [correlation, 1.0]]),
        degrees=np.array(degrees),
        skew=np.array(skew),
    )


def test_one_group_without_skew_is_the_t_copula() -> None:
    ours = law(0.6, (5.0, 5.0)).shocks(4_096, seed=2)
    assert ours == pytest.approx(t_copula_shocks(np.array([[1.0, 0.6], [0.6, 1.0]]), 5.0, 4_096, seed=2), abs=2e-4)


@pytest.mark.parametrize("degrees", [(3.0, 3.0), (4.0, 12.0), (6.0, 60.0)])
def test_each_group_has_its_own_t_law_and_the_pair_its_correlation(degrees: tuple[float, float]) -> None:
    shocks = law(0.7, degrees).shocks(2**17, seed=4)
    for row, nu in zip(shocks, degrees, strict=True):
        for level in (0.001, 0.01, 0.25, 0.99, 0.999):
            exact = stats.t.ppf(level, nu) * np.sqrt((nu - 2.0) / nu)
            assert np.quantile(row, level) == pytest.approx(exact, rel=0.03)
    bounded = np.corrcoef(shocks)[0, 1]
    assert bounded == pytest.approx(0.7, abs=0.02)


def test_extremes_of_both_groups_come_together() -> None:
    # zero correlation is not independence: one mixing variable moves both (tail dependence is positive)
    shocks = law(0.0, (3.0, 6.0)).shocks(2**17, seed=9)
    first, second = (abs(row) > np.quantile(abs(row), 0.99) for row in shocks)
    assert (first & second).mean() > 5 * 0.01**2


def test_a_negative_skew_has_the_moments_of_its_definition() -> None:
    # X = g (W - EW) + s sqrt(W) Z: E X^3 = g^3 E(W-m)^3 + 3 g s^2 var W; W = n / chi2(n) is inverse gamma
    nu, g = 12.0, -0.4
    shocks = law(0.5, (nu, nu), (g, g)).shocks(2**18, seed=5)
    w = stats.invgamma(nu / 2.0, scale=nu / 2.0)
    mean, variance, skewness = (float(x) for x in w.stats(moments="mvs"))
    s2 = (1.0 - g**2 * variance) / mean
    third = g**3 * skewness * variance**1.5 + 3.0 * g * s2 * variance
    for row in shocks:
        assert row.mean() == pytest.approx(0.0, abs=2e-3)
        assert row.var() == pytest.approx(1.0, rel=5e-3)
        assert np.mean(row**3) == pytest.approx(third, rel=0.05)
    assert np.corrcoef(shocks)[0, 1] == pytest.approx(0.5, abs=5e-3)
    falls = (shocks < np.quantile(shocks, 0.01, axis=1, keepdims=True)).all(axis=0).mean()
    rises = (shocks > np.quantile(shocks, 0.99, axis=1, keepdims=True)).all(axis=0).mean()
    assert falls > 1.2 * rises


def test_scenarios_carry_vols_and_a_hundred_thousand_are_drawn_at_once() -> None:
    n = 20
    wide = GroupedT(
        correlation=np.full((n, n), 0.6) + 0.4 * np.eye(n),
        degrees=np.repeat([4.0, 6.0], n // 2),
        skew=np.zeros(n),
    )
    assert wide.shocks(100_000, seed=0).shape == (n, 100_000)
    names = (Currency("BTC"), Currency("ALT"))
    found = grouped_t_scenarios(names, np.array([0.04, 0.08]), law(0.8, (5.0, 4.0)), vol_beta=np.array([-0.5, 0.0]))
    assert (found.vol_shocks(names[0])[found.price_factors(names[0]) < 1.0] > 0.0).all()
    assert (found.vol_shocks(names[1]) == 0.0).all()


def test_laws_that_do_not_exist_are_refused() -> None:
    with pytest.raises(InputError, match="must be above 2"):
        law(0.5, (2.0, 5.0))
    with pytest.raises(InputError, match="more than 4 degrees"):
        law(0.5, (4.0, 5.0), (-0.1, 0.0))
    with pytest.raises(InputError, match="below 1"):
        law(0.5, (5.0, 5.0), (-3.0, 0.0))
    with pytest.raises(InputError, match="cannot be reached"):
        law(-0.95, (3.0, 30.0)).normal_correlation()


@pytest.mark.parametrize(("nu", "g"), [(5.0, -0.15), (8.0, 0.3), (30.0, -1.0)])
def test_the_skewed_density_is_that_of_the_mixture(nu: float, g: float) -> None:
    # the density of X given W is normal; integrate it over the inverse gamma by quadrature
    w = stats.invgamma(nu / 2.0, scale=nu / 2.0)
    mean, variance = (float(x) for x in w.stats())
    s = np.sqrt((1.0 - g**2 * variance) / mean)
    x = np.array([-6.0, -2.0, -0.3, 0.0, 1.0, 4.0])
    exact = [
        quad(lambda v, at=at: stats.norm.pdf(at, g * (v - mean), s * np.sqrt(v)) * w.pdf(v), 0.0, np.inf)[0] for at in x
    ]
    assert np.exp(skewed_t_log_density(x, nu, g)) == pytest.approx(exact, rel=1e-5)


def test_a_fit_finds_the_degrees_of_scipy_and_no_skew_where_there_is_none() -> None:
    x = stats.t.rvs(4.0, size=4_000, random_state=np.random.default_rng(3))
    found = fit_tail(x)
    standard = (x - x.mean()) / x.std()
    # scipy fits the scale too; the degrees are those at its own optimum with the variance held at 1
    grid = np.linspace(2.2, 8.0, 400)
    score = [stats.t.logpdf(standard, nu, scale=np.sqrt((nu - 2.0) / nu)).sum() for nu in grid]
    assert found.degrees == pytest.approx(grid[np.argmax(score)], abs=0.03)
    assert found.skew == 0.0


def test_a_fit_finds_a_skew_that_the_data_ask_for() -> None:
    drawn = law(0.5, (8.0, 8.0), (-0.4, 0.0)).shocks(8_192, seed=1)[0]
    found = fit_tail(drawn)
    assert found.p_value < 1e-3
    assert found.skew == pytest.approx(-0.4, abs=0.12)
    assert found.degrees == pytest.approx(8.0, rel=0.25)


def test_what_cannot_be_fitted_is_refused() -> None:
    with pytest.raises(InputError, match="needs 100 finite residuals"):
        fit_tail(np.ones(50))
    with pytest.raises(InputError, match="residuals that vary"):
        fit_tail(np.ones(150))
