"""Volatility against published values and the `arch` package."""

import warnings

import numpy as np
import pytest
from arch import arch_model

from crossmargin.errors import InputError
from crossmargin.scenarios import volatility
from crossmargin.scenarios.correlation import eigenvalue_clipped, fit_dcc, ledoit_wolf, repaired, stressed


@pytest.mark.parametrize(
    ("decay", "tolerance", "days"),
    [(0.94, 0.01, 74), (0.94, 0.001, 112), (0.94, 1e-4, 149), (0.94, 1e-5, 186), (0.97, 0.01, 151), (0.97, 0.001, 227),
     (0.97, 1e-4, 302), (0.97, 1e-5, 378), (0.99, 0.01, 458)],
)  # fmt: skip
def test_effective_days_match_the_riskmetrics_technical_document(decay: float, tolerance: float, days: int) -> None:
    assert volatility.effective_days(decay, tolerance) == pytest.approx(days, abs=0.5)


@pytest.mark.parametrize(
    ("alpha", "beta", "index"),
    [(0.1, 0.9, 2.0), (0.05, 0.94, 8.804943654), (0.07, 0.92, 5.769289408), (0.1, 0.85, 9.071773708)],
)
def test_the_kesten_index_solves_its_moment_equation(alpha: float, beta: float, index: float) -> None:
    assert volatility.garch_tail_index(alpha, beta) == pytest.approx(index, abs=1e-6)


@pytest.mark.parametrize("asymmetric", [False, True])
def test_garch_agrees_with_the_arch_package(asymmetric: bool) -> None:
    rng = np.random.default_rng(4)
    data = np.empty(2_000)
    variance = 1.0
    for t in range(data.size):
        data[t] = rng.standard_normal() * np.sqrt(variance)
        variance = 0.05 + (0.08 + 0.06 * (data[t] < 0)) * data[t] ** 2 + 0.86 * variance
    ours = volatility.fit_garch(data, asymmetric=asymmetric)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = arch_model(data, mean="Constant", vol="GARCH", o=int(asymmetric), rescale=False)
        theirs = model.fit(disp="off", backcast=float(np.mean((data - ours.mu) ** 2)), tol=1e-10)
    assert ours.log_likelihood == pytest.approx(theirs.loglikelihood, abs=2e-3)
    assert ours.alpha == pytest.approx(theirs.params["alpha[1]"], abs=2e-3)
    assert ours.beta == pytest.approx(theirs.params["beta[1]"], abs=4e-3)


def test_a_forecast_does_not_see_its_own_day() -> None:
    returns = np.random.default_rng(0).normal(size=200)
    poisoned = returns.copy()
    poisoned[150:] = 1e6
    for path in (volatility.ewma_variance_path(returns, 0.94), volatility.ewma_variance_path(poisoned, 0.94)):
        assert path.shape == (201,)
    before = volatility.ewma_variance_path(returns, 0.94)[:151]
    assert np.array_equal(before, volatility.ewma_variance_path(poisoned, 0.94)[:151], equal_nan=True)


def test_range_estimates_recover_the_variance_of_a_random_walk() -> None:
    rng = np.random.default_rng(3)
    steps = rng.normal(scale=0.02 / np.sqrt(2_000), size=(2_000, 2_000)).cumsum(axis=1)
    close, high, low = np.exp(steps[:, -1]), np.exp(steps.max(axis=1)), np.exp(steps.min(axis=1))
    high, low = np.maximum(high, 1.0), np.minimum(low, 1.0)
    klass = volatility.garman_klass_variance(np.ones(2_000), high, low, close).mean()
    # a walk seen 2,000 times a day misses a little of its range
    assert klass == pytest.approx(4e-4, rel=0.06)


def test_missing_returns_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="finite returns"):
        volatility.fit_garch(np.full(100, np.nan))


def test_ledoit_wolf_agrees_with_scikit_learn() -> None:
    from sklearn.covariance import ledoit_wolf as oracle

    x = np.random.default_rng(5).normal(size=(8, 60)) * np.arange(1, 9)[:, None]
    covariance, intensity = oracle(x.T)
    ours = ledoit_wolf(x)
    assert ours.intensity == pytest.approx(intensity, rel=1e-10)
    assert ours.covariance == pytest.approx(covariance, rel=1e-10)


def test_repair_agrees_with_the_spectral_salvage_of_quantlib() -> None:
    import QuantLib as ql  # noqa: N813

    bad = np.array([[1.0, 0.9, 0.7], [0.9, 1.0, 0.3], [0.7, 0.3, 1.0]])
    matrix = ql.Matrix(3, 3)
    for i in range(3):
        for j in range(3):
            matrix[i][j] = float(bad[i, j])
    root = ql.pseudoSqrt(matrix, ql.SalvagingAlgorithm.Spectral)
    theirs = np.array([[sum(root[i][k] * root[j][k] for k in range(3)) for j in range(3)] for i in range(3)])
    assert repaired(bad) == pytest.approx(theirs, abs=1e-12)


def test_dcc_recovers_the_parameters_that_made_the_data() -> None:
    rng = np.random.default_rng(11)
    a, b, n = 0.03, 0.95, 5_000
    target = np.array([[1.0, 0.5, 0.3], [0.5, 1.0, 0.4], [0.3, 0.4, 1.0]])
    q, z = target.copy(), np.empty((n, 3))
    for t in range(n):
        scale = 1.0 / np.sqrt(np.diag(q))
        z[t] = np.linalg.cholesky(q * np.outer(scale, scale)) @ rng.standard_normal(3)
        q = (1 - a - b) * target + a * np.outer(z[t], z[t]) + b * q
    fitted = fit_dcc(z.T)
    assert fitted.a == pytest.approx(a, abs=0.01)
    assert fitted.b == pytest.approx(b, abs=0.02)
    path = fitted.correlation_path(z.T)
    assert path.shape == (n + 1, 3, 3)
    assert np.linalg.eigvalsh(path).min() > 0.0
    assert np.diagonal(path, axis1=1, axis2=2) == pytest.approx(1.0)


def test_stressed_and_clipped_correlations_stay_correlations() -> None:
    x = np.random.default_rng(2).normal(size=(10, 50))
    sample = np.corrcoef(x)
    for matrix in (eigenvalue_clipped(sample, 50), stressed(sample, -1.0, 0.9), stressed(sample, 1.0, 1.0)):
        assert np.diag(matrix) == pytest.approx(1.0)
        assert np.linalg.eigvalsh(matrix).min() > -1e-10
