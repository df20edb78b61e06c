"""Tails against closed forms."""

import numpy as np
import pytest
from scipy import stats

from crossmargin.errors import InputError
from crossmargin.scenarios.tails import ParetoTail, fit_pareto_tail


def test_quantiles_of_the_danish_fire_tail_follow_from_its_published_fit() -> None:
    # McNeil 1997: u = 10, 109 of 2,167 losses above it, xi 0.497, beta 6.98; quantiles from the fit in full digits
    tail = ParetoTail(threshold=10.0, xi=0.49698581, beta=6.97546815, exceedances=109, observations=2167)
    for confidence, var, es in ((0.99, 27.28999, 58.2401), (0.995, 40.17299, 83.85171), (0.999, 94.33936, 191.53528)):
        assert tail.value_at_risk(confidence) == pytest.approx(var, rel=2e-4)
        assert tail.expected_shortfall(confidence) == pytest.approx(es, rel=2e-4)


def test_the_fit_agrees_with_scipy() -> None:
    losses = stats.genpareto.rvs(0.3, scale=2.0, size=3_000, random_state=np.random.default_rng(8))
    ours = fit_pareto_tail(losses, 1.0)
    shape, _, scale = stats.genpareto.fit(losses[losses > 1.0] - 1.0, floc=0.0)
    assert ours.xi == pytest.approx(shape, abs=1e-3)
    assert ours.beta == pytest.approx(scale, rel=1e-3)


def test_a_level_below_the_threshold_is_refused() -> None:
    with pytest.raises(InputError, match="confidence must be inside"):
        ParetoTail(threshold=1.0, xi=0.1, beta=1.0, exceedances=10, observations=1000).value_at_risk(0.5)
