"""Implied vols: round trips in high precision, published cases, bounds."""

import math

import mpmath
import numpy as np
import pytest

from crossmargin.errors import MarketDataError
from crossmargin.pricing.black76 import black76
from crossmargin.pricing.implied_vol import implied_vol, normalised_black

EPS = np.finfo(float).eps


def _exact(x: float, s: float) -> mpmath.mpf:
    h, t = mpmath.mpf(x) / s, mpmath.mpf(s) / 2
    return mpmath.exp(mpmath.mpf(x) / 2) * mpmath.ncdf(h + t) - mpmath.exp(-mpmath.mpf(x) / 2) * mpmath.ncdf(h - t)


def _bar(x: np.ndarray, s: np.ndarray, b: np.ndarray) -> np.ndarray:
    vega = np.exp(-0.5 * ((x / s) ** 2 + 0.25 * s**2)) / math.sqrt(2 * math.pi)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return np.maximum(1e-12, 4 * EPS * b / (s * vega))


def _round_trip(n: int, seed: int, draw: str) -> None:
    rng = np.random.default_rng(seed)
    x = -rng.uniform(1e-4, 5.0, n)
    s = rng.uniform(1e-3, 5.0, n) if draw == "uniform" else 10.0 ** rng.uniform(-3.0, math.log10(5.0), n)
    b = np.array([normalised_black(a, c) for a, c in zip(x, s, strict=True)])
    told = b > 1e-300
    forward, strike = np.exp(0.5 * x[told]), np.exp(-0.5 * x[told])
    found = implied_vol(b[told], forward, strike, 1.0, True).vol
    error = np.abs(found / s[told] - 1.0)
    assert told.mean() > 0.5
    # forward and strike are rounded too: ln(F/K) carries an ulp of x, which moves the vol by about as much
    assert (error <= _bar(x[told], s[told], b[told])).all(), float((error / _bar(x[told], s[told], b[told])).max())


@pytest.mark.parametrize("draw", ["uniform", "log"])
def test_a_hundred_thousand_round_trips(draw: str) -> None:
    _round_trip(100_000, 1, draw)


@pytest.mark.soak
def test_a_million_round_trips() -> None:
    _round_trip(1_000_000, 2, "uniform")


@pytest.mark.parametrize(
    ("x", "s"),
    [
        (-1e-4, 1e-3),
        (-0.01, 0.05),
        (-0.1, 0.02),
        (-1.0, 0.1),
        (-1.0, 1.5),
        (-3.0, 0.5),
        (-5.0, 5.0),
        (-5.0, 0.2),
        (-0.3, 0.199),
    ],
)
def test_the_normalised_price_agrees_with_fifty_digits(x: float, s: float) -> None:
    with mpmath.workdps(60):
        exact = _exact(x, s)
        relative = float(abs(mpmath.mpf(normalised_black(x, s)) / exact - 1))
    # far out of the money digits are lost that the vol does not need: s dlnb/ds is about (x/s)^2 there
    assert relative <= 4 * EPS * max(8.0, (x / s) ** 2)


def test_the_published_cases_of_one_hundred_percent() -> None:
    # google/tf-quant-finance implied_vol_newton_root_test
    price = [0.38292492, 0.19061012, 0.38292492, 0.09530506, 0.27632639, 0.52049988]
    found = implied_vol(price, 1.0, [1, 2, 1, 0.5, 1, 1], [1, 1, 1, 1, 0.5, 2], [True, True, False, False, True, True])
    assert found.vol == pytest.approx(1.0, abs=1e-6)


def test_at_the_money_is_exact() -> None:
    for vol in (1e-8, 0.01, 0.5, 3.0, 9.0):
        price = float(100.0 * math.erf(vol / math.sqrt(8.0)))
        assert float(implied_vol(price, 100.0, 100.0, 1.0, True).vol) == pytest.approx(vol, rel=1e-12)


def test_calls_and_puts_in_and_out_of_the_money_give_the_same_vol() -> None:
    strikes = np.array([60.0, 90.0, 110.0, 180.0])
    for call in (True, False):
        price = black76(100.0, strikes, 0.5, 0.8, call)
        assert implied_vol(price, 100.0, strikes, 0.5, call).vol == pytest.approx(0.8, rel=1e-11)


def test_no_time_value_is_a_vol_of_zero_with_a_flag() -> None:
    found = implied_vol([0.0, 20.0, 5.0], 100.0, [120.0, 80.0, 100.0], 1.0, True)
    assert found.vol[:2].tolist() == [0.0, 0.0]
    assert found.no_time_value.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("price", "forward", "strike", "years"),
    [(19.9, 100.0, 80.0, 1.0), (100.0, 100.0, 80.0, 1.0), (-1.0, 100.0, 120.0, 1.0), (math.nan, 100.0, 120.0, 1.0),
     (1.0, 100.0, 120.0, 0.0), (1.0, 0.0, 120.0, 1.0)],
)  # fmt: skip
def test_prices_outside_their_bounds_are_refused(price: float, forward: float, strike: float, years: float) -> None:
    with pytest.raises(MarketDataError, match="must"):
        implied_vol(price, forward, strike, years, True)


def test_it_never_fails_just_inside_the_bounds() -> None:
    for strike in (0.1, 50.0, 100.0, 101.0, 1e4):
        low = max(100.0 - strike, 0.0)
        inside = [np.nextafter(low, 200.0), low + 1e-12, 0.5 * (low + 100.0), np.nextafter(100.0, 0.0)]
        found = implied_vol(inside, 100.0, strike, 1.0, True).vol
        assert np.isfinite(found).all()
        assert (np.diff(found) >= 0.0).all()
