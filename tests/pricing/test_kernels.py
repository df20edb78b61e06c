"""The fast Black-76 equals the plain one, within and beyond the usual."""

import math

import numpy as np
import pytest

from crossmargin.errors import InputError
from crossmargin.pricing.black76 import black76
from crossmargin.pricing.elementary import exponentials, logarithms, power
from crossmargin.pricing.kernels import ExpiryScenarios, OptionTerms, option_profits, screening_profits
from crossmargin.units import FloatArray


def options(rng: np.random.Generator, count: int) -> OptionTerms:
    forward = 60_000.0 * np.exp(rng.normal(0.0, 0.05, count))
    return OptionTerms(
        forward=forward,
        strike=forward * np.exp(rng.uniform(-1.5, 1.5, count)),
        vol=rng.uniform(0.05, 2.5, count),
        is_call=rng.random(count) < 0.5,
        scale=np.ones(count),
    )


def scenarios(rng: np.random.Generator, count: int, years_later: float) -> ExpiryScenarios:
    factors = np.exp(rng.normal(0.0, 0.3, count))
    factors[:: max(count // 5, 2)] = 0.0
    return ExpiryScenarios(
        years_now=0.2,
        years_later=years_later,
        moves=np.exp(rng.normal(0.0, 0.2, count)),
        vol_factors=factors,
        vol_floors=np.where(factors > 1.0, 0.5, 0.0),
        conversion=np.exp(rng.normal(0.0, 0.2, count)),
        damping=rng.uniform(0.2, 1.0, count),
    )


def plain(terms: OptionTerms, moved: ExpiryScenarios) -> FloatArray:
    vol = np.maximum(terms.vol[:, None] * moved.vol_factors, moved.vol_floors)
    strike, call = terms.strike[:, None], terms.is_call[:, None]
    later = black76(terms.forward[:, None] * moved.moves, strike, moved.years_later, vol, call)
    now = black76(terms.forward, terms.strike, moved.years_now, terms.vol, terms.is_call)
    return (later * moved.conversion - now[:, None]) * moved.damping


@pytest.mark.parametrize("years_later", [1.0, 0.2, 1e-3, 1e-8, 0.0, -0.1])
@pytest.mark.parametrize("count", [1, 7, 64, 1001])
def test_profits_agree_with_the_plain_formula_to_1e_13_of_the_forward(years_later: float, count: int) -> None:
    rng = np.random.default_rng(count)
    terms, moved = options(rng, 50), scenarios(rng, count, years_later)
    scale = terms.forward[:, None] * np.maximum(moved.moves * moved.conversion, 1.0)
    assert (np.abs(option_profits(terms, moved) - plain(terms, moved)) / scale).max() <= 1e-13


def test_single_precision_is_good_for_a_screen() -> None:
    rng = np.random.default_rng(3)
    terms, moved = options(rng, 200), scenarios(rng, 500, 0.2)
    scale = terms.forward[:, None] * np.maximum(moved.moves * moved.conversion, 1.0)
    assert (np.abs(screening_profits(terms, moved) - plain(terms, moved)) / scale).max() <= 4e-6


def test_threads_give_the_same_bits() -> None:
    rng = np.random.default_rng(4)
    terms, moved = options(rng, 101), scenarios(rng, 333, 0.2)
    alone = option_profits(terms, moved)
    for threads in (2, 3, 200):
        assert np.array_equal(alone, option_profits(terms, moved, threads=threads))


def test_the_exponential_and_the_logarithm_are_good_to_two_units_in_the_last_place() -> None:
    rng = np.random.default_rng(5)
    x = rng.uniform(-700.0, 700.0, 100_000)
    assert np.abs(exponentials(x) / np.exp(x) - 1.0).max() <= 5e-16
    for spread in (0.01, 0.5, 300.0):
        y = np.exp(rng.uniform(-spread, spread, 100_000))
        assert (np.abs(logarithms(y) - np.log(y)) / np.abs(np.log(y))).max() <= 5e-16
    assert power(30.0, 0.3) == pytest.approx(math.pow(30.0, 0.3), rel=1e-15)


def test_moves_that_are_not_positive_are_refused() -> None:
    one = np.ones(1)
    with pytest.raises(InputError, match="must be positive"):
        ExpiryScenarios(
            years_now=1.0,
            years_later=1.0,
            moves=0.0 * one,
            vol_factors=one,
            vol_floors=one,
            conversion=one,
            damping=one,
        )
