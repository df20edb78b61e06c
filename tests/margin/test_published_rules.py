"""SPAN, payoff floors and log-normal risk factors on published numbers, and on brute force."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from crossmargin.errors import InputError
from crossmargin.margin.lognormal import lognormal_es, lognormal_risk_factors, lognormal_var
from crossmargin.margin.payoff_floor import Leg, payoff, payoff_floor
from crossmargin.margin.span import scan_risk, span_scenarios
from crossmargin.units import Currency

# McMillan, Options as a Strategic Investment, ch. 34: S&P 500 future and its December 410 call, USD per contract
FUTURE = [0, 0, 3330, 3330, -3330, -3330, 6670, 6670, -6670, -6670, 10000, 10000, -10000, -10000, 7000, -7000]
CALL = [460, -610, 2640, 1730, -1270, -2340, 5210, 4540, -2540, -3430, 8060, 7640, -3380, -3990, 3130, -1500]


@pytest.mark.parametrize(("future", "call", "expected"), [(0, 1, 3990.0), (1, 0, 10000.0), (1, -1, 6620.0)])
def test_span_scan_risk_of_the_covered_write(future: int, call: int, expected: float) -> None:
    assert scan_risk(np.array([future, call], dtype=float), np.array([FUTURE, CALL], dtype=float)) == expected


def test_span_scenarios_stand_in_the_order_of_the_clearing_house() -> None:
    scan = span_scenarios(Currency("BTC"), price_range=0.12, vol_range=0.25)
    assert scan.size == 16
    # a future's array rises and falls in thirds, and its extremes count by 33 %
    profit = (scan.price_factor[0] - 1.0) / 0.12 * scan.damping
    assert profit == pytest.approx(
        np.array(FUTURE) / 10_000.0 * np.where(np.abs(FUTURE) == 7000, 0.99 / 0.7, 1), abs=1e-3
    )


def test_a_price_at_or_below_zero_is_refused() -> None:
    with pytest.raises(InputError, match="must be positive"):
        span_scenarios(Currency("BTC"), price_range=0.4, vol_range=0.2)


LEGS = st.lists(
    st.builds(
        Leg,
        st.booleans(),
        st.sampled_from([80.0, 90.0, 100.0, 110.0, 125.0]),
        st.integers(-9, 9).map(float),
    ),
    max_size=7,
)


@given(LEGS)
def test_the_floor_covers_the_payoff_at_every_price(legs: list[Leg]) -> None:
    floor = payoff_floor(legs)
    prices = np.concatenate([np.linspace(0.0, 400.0, 1601), [1e6]])
    worth = payoff(legs, prices) + floor.dollars + floor.coins * prices
    assert floor.dollars >= 0.0
    assert floor.coins >= 0.0
    assert worth.min() >= -1e-6


def test_a_long_book_needs_no_collateral() -> None:
    floor = payoff_floor([Leg(True, 100.0, 2.0), Leg(False, 90.0, 1.0)])
    assert (floor.dollars, floor.coins) == (0.0, 0.0)


@pytest.mark.parametrize("mu", [0.0, 0.3])
@pytest.mark.parametrize("sigma", [0.1, 1.0])
@pytest.mark.parametrize("tail", [0.01, 0.2])
def test_lognormal_shortfall_is_the_mean_of_the_quantiles(mu: float, sigma: float, tail: float) -> None:
    law = stats.lognorm(sigma, scale=np.exp(mu))
    lower, _ = integrate.quad(law.ppf, 0.0, tail)
    upper, _ = integrate.quad(law.isf, 0.0, tail)
    assert lognormal_es(mu, sigma, tail, long=True) == pytest.approx(-lower / tail, rel=1e-7)
    assert lognormal_es(mu, sigma, tail, long=False) == pytest.approx(upper / tail, rel=1e-7)
    assert lognormal_var(mu, sigma, tail, long=True) == pytest.approx(-law.ppf(tail), rel=1e-12)
    assert lognormal_var(mu, sigma, tail, long=False) == pytest.approx(law.isf(tail), rel=1e-12)


def test_risk_factors_of_the_vega_cases(shared: Path, record_property: Callable[[str, object], None]) -> None:
    path = shared / "vectors" / "vega" / "vectors.json"
    if not path.is_file():
        pytest.skip("no cases of vega")
    cases = json.loads(path.read_text())
    count = 0
    for name, long in (("lognormal_var_es", True), ("neg_lognormal_var_es", False)):
        for case in cases[name]:
            mu, sigma, tail = case["mu"], case["sigma"], case["lam"]
            assert lognormal_var(mu, sigma, tail, long=long) == pytest.approx(case["VaR"], rel=1e-9)
            assert lognormal_es(mu, sigma, tail, long=long) == pytest.approx(case["ES"], rel=1e-9)
            count += 1
    for case in cases["lognormal_risk_factors"]:
        long_factor, short_factor = lognormal_risk_factors(
            case["risk_aversion"], case["tau"], case["mu"], case["sigma"]
        )
        assert short_factor == pytest.approx(case["rf_short"], rel=2e-6, abs=2e-6)
        # the folder's page: later releases scale the survival of some longs by exp(-(sigma^2 tau)^2 / 4)
        scaled = 1.0 - (1.0 - long_factor) * np.exp(-((case["sigma"] ** 2 * case["tau"]) ** 2) / 4.0)
        assert min(abs(case["rf_long"] - long_factor), abs(case["rf_long"] - scaled)) <= 2e-6
        count += 1
    record_property("outside_cases", count)
