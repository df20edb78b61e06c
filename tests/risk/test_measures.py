"""Measures and contributions against closed forms and naive sums."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from crossmargin.errors import InputError
from crossmargin.risk import contributions, measures

PNL = arrays(np.float64, st.integers(2, 40), elements=st.floats(-1e6, 1e6))
PAIR = st.integers(2, 30).flatmap(
    lambda n: st.tuples(*[arrays(np.float64, n, elements=st.floats(-1e6, 1e6)) for _ in range(2)])
)
CONFIDENCE = st.floats(0.02, 0.98)


@pytest.mark.parametrize(
    ("confidence", "expected"),
    [
        pytest.param(0.80, 9.5, id="two whole scenarios: (10 + 9) / 2"),
        pytest.param(0.75, 9.2, id="two and a half: (10 + 9 + 8/2) / 2.5"),
    ],
)
def test_the_last_scenario_of_the_tail_counts_by_its_fraction(confidence: float, expected: float) -> None:
    pnl = -np.arange(1.0, 11.0)
    assert float(measures.expected_shortfall(pnl, confidence)) == pytest.approx(expected)
    assert float(measures.expected_shortfall(pnl, confidence, np.full(10, 0.1))) == pytest.approx(expected)


def test_value_at_risk_is_the_smallest_loss_not_exceeded() -> None:
    pnl = -np.arange(1.0, 101.0)
    assert float(measures.value_at_risk(pnl, 0.99)) == 99.0
    assert float(measures.value_at_risk(pnl, 0.991)) == 100.0
    assert float(measures.value_at_risk(pnl, 0.99, np.full(100, 0.01))) == 99.0


def test_weights_say_how_often_a_scenario_stands() -> None:
    pnl = np.array([-10.0, -1.0, 5.0])
    repeated = np.repeat(pnl, [1, 3, 6])
    weights = np.array([0.1, 0.3, 0.6])
    for confidence in (0.85, 0.9, 0.5):
        assert measures.expected_shortfall(pnl, confidence, weights) == pytest.approx(
            measures.expected_shortfall(repeated, confidence)
        )
        assert measures.value_at_risk(pnl, confidence, weights) == measures.value_at_risk(repeated, confidence)


@pytest.mark.parametrize(
    ("law", "confidence", "var", "es"),
    [
        # closed forms: normal 2.326348 / 2.665214 at 99 %, 2.337803 at 97.5 %; Student t(3) at 97.5 %, t(4) at 99 %
        (stats.norm(), 0.99, 2.3263478740408408, 2.6652142203458),
        (stats.norm(), 0.975, 1.959963984540054, 2.337802792201414),
        (stats.t(3), 0.975, 3.1824463052837078, 5.0395830611134755),
        (stats.t(4), 0.99, 3.746947387979196, 5.220584194492224),
        (stats.t(5), 0.975, 2.5705818356363146, 3.521577331739428),
        (stats.t(10), 0.99, 2.7637694581126957, 3.3632514750145646),
    ],
)
def test_a_fine_quantile_grid_meets_the_closed_forms(
    law: stats.rv_continuous, confidence: float, var: float, es: float
) -> None:
    pnl = law.ppf((np.arange(2_000_000) + 0.5) / 2_000_000)
    assert float(measures.value_at_risk(pnl, confidence)) == pytest.approx(var, rel=1e-4)
    assert float(measures.expected_shortfall(pnl, confidence)) == pytest.approx(es, rel=3e-3)


def test_value_at_risk_is_not_subadditive() -> None:
    # two independent bonds that default with 4 %: each has no VaR at 95 %, together they lose one default
    a = np.repeat([0.0, -100.0, 0.0, -100.0], [9216, 384, 384, 16])
    b = np.repeat([0.0, 0.0, -100.0, -100.0], [9216, 384, 384, 16])
    assert measures.value_at_risk(a, 0.95) == measures.value_at_risk(b, 0.95) == 0.0
    assert measures.value_at_risk(a + b, 0.95) == 100.0
    both = measures.expected_shortfall(a, 0.95) + measures.expected_shortfall(b, 0.95)
    assert measures.expected_shortfall(a + b, 0.95) <= both


@given(PAIR, CONFIDENCE)
def test_shortfall_and_worst_loss_never_charge_for_netting(
    pair: tuple[np.ndarray, np.ndarray], confidence: float
) -> None:
    a, b = pair
    slack = 1e-6
    es = measures.expected_shortfall
    assert es(a + b, confidence) <= es(a, confidence) + es(b, confidence) + slack
    assert measures.worst_loss(a + b) <= measures.worst_loss(a) + measures.worst_loss(b) + slack


@given(PAIR, CONFIDENCE, st.floats(0.0, 100.0))
def test_measures_scale_and_grow_with_losses(
    pair: tuple[np.ndarray, np.ndarray], confidence: float, factor: float
) -> None:
    a, b = pair
    for measure in (lambda x: measures.expected_shortfall(x, confidence), measures.worst_loss):
        assert measure(factor * a) == pytest.approx(factor * measure(a), rel=1e-9, abs=1e-6)
        assert measure(a - np.abs(b)) >= measure(a) - 1e-6


@given(PNL, st.floats(-1e6, 1e6))
def test_a_further_scenario_never_lowers_the_worst_loss(pnl: np.ndarray, further: float) -> None:
    assert measures.worst_loss(np.append(pnl, further)) >= measures.worst_loss(pnl)


@given(PNL, CONFIDENCE)
def test_shortfall_is_the_rockafellar_uryasev_minimum(pnl: np.ndarray, confidence: float) -> None:
    # min over a of a + E[(loss - a)+] / (1 - c), attained at a loss of the sample
    losses = -pnl
    naive = min(a + np.maximum(losses - a, 0).mean() / (1 - confidence) for a in losses)
    assert measures.expected_shortfall(pnl, confidence) == pytest.approx(naive, rel=1e-9, abs=1e-5)


@given(
    st.integers(2, 20).flatmap(lambda n: arrays(np.float64, (4, n), elements=st.floats(-1e4, 1e4))),
    CONFIDENCE,
)
def test_contributions_sum_to_the_measure(positions: np.ndarray, confidence: float) -> None:
    book = positions.sum(axis=0)
    close = {"rel": 1e-9, "abs": 1e-7}
    es = contributions.expected_shortfall_contributions(positions, confidence)
    assert es.sum() == pytest.approx(measures.expected_shortfall(book, confidence), **close)
    assert contributions.worst_loss_contributions(positions).sum() == pytest.approx(-book.min(), **close)
    var = contributions.value_at_risk_contributions(positions, confidence)
    assert var.sum() == pytest.approx(measures.value_at_risk(book, confidence), **close)


def test_contributions_are_those_of_the_rockafellar_uryasev_portfolio() -> None:
    # J. Risk 2000 tables 2 and 3, zero mean, ES 99 % of a normal law: total 0.163976
    covariance = np.array(
        [
            [0.00324625, 0.00022983, 0.00420395],
            [0.00022983, 0.00049937, 0.00019247],
            [0.00420395, 0.00019247, 0.00764097],
        ]
    )
    points = stats.qmc.Sobol(3, scramble=True, rng=1).random_base2(18)
    moves = np.linalg.cholesky(covariance) @ stats.norm.ppf(points).T
    positions = np.array([0.452013, 0.115573, 0.432414])[:, None] * moves
    found = contributions.expected_shortfall_contributions(positions, 0.99)
    assert found == pytest.approx([0.06484734, 0.00122574, 0.09790333], abs=2e-4)
    assert found.sum() == pytest.approx(0.16397640740916336, rel=1e-3)


def test_the_rockafellar_uryasev_portfolio_by_quantiles() -> None:
    # J. Risk 2000, tables 4 and 5: monthly return .011, variance .00378529, normal
    at = (np.arange(200_000) + 0.5) / 200_000
    pnl = 0.011 + np.sqrt(0.00378529) * stats.norm.ppf(at)
    for confidence, var, shortfall in ((0.9, 0.067847, 0.096975), (0.95, 0.0902, 0.115908), (0.99, 0.132128, 0.152977)):
        assert measures.value_at_risk(pnl, confidence) == pytest.approx(var, abs=1e-5)
        assert measures.expected_shortfall(pnl, confidence) == pytest.approx(shortfall, abs=1e-5)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0])
def test_a_confidence_outside_the_unit_interval_is_refused(confidence: float) -> None:
    with pytest.raises(InputError, match="confidence must be inside"):
        measures.value_at_risk(np.zeros(3), confidence)
