"""The fast Black-76 equals the plain one, within and beyond the usual."""

import math

import numpy as np
import pytest

from crossmargin.elementary import exponentials, logarithms, power, powers_of_two
from crossmargin.errors import InputError
from crossmargin.pricing.black76 import black76
from crossmargin.pricing.kernels import ExpiryScenarios, OptionTerms, option_profits
from crossmargin.units import FloatArray


def options(rng: np.random.Generator, count: int, expiries: int = 3) -> OptionTerms:
    forward = 60_000.0 * np.exp(rng.normal(0.0, 0.05, count))
    return OptionTerms(
        expiry=np.sort(rng.integers(0, expiries, count)),
        forward=forward,
        strike=forward * np.exp(rng.uniform(-1.5, 1.5, count)),
        vol=rng.uniform(0.05, 2.5, count),
        is_call=rng.random(count) < 0.5,
        scale=np.ones(count),
    )


def scenarios(rng: np.random.Generator, count: int, years_later: float, expiries: int = 3) -> ExpiryScenarios:
    factors = np.exp(rng.normal(0.0, 0.3, (expiries, count)))
    factors[:, :: max(count // 5, 2)] = 0.0
    return ExpiryScenarios(
        years_now=np.linspace(0.2, 0.4, expiries),
        years_later=np.linspace(1.0, 1.5, expiries) * years_later,
        moves=np.exp(rng.normal(0.0, 0.2, (expiries, count))),
        vol_factors=factors,
        vol_floors=np.where(factors > 1.0, 0.5, 0.0),
        conversion=np.exp(rng.normal(0.0, 0.2, (expiries, count))),
        damping=rng.uniform(0.2, 1.0, (expiries, count)),
    )


def plain(terms: OptionTerms, moved: ExpiryScenarios) -> FloatArray:
    e = terms.expiry
    vol = np.maximum(terms.vol[:, None] * moved.vol_factors[e], moved.vol_floors[e])
    strike, call = terms.strike[:, None], terms.is_call[:, None]
    later = black76(terms.forward[:, None] * moved.moves[e], strike, moved.years_later[e][:, None], vol, call)
    now = black76(terms.forward, terms.strike, moved.years_now[e], terms.vol, terms.is_call)
    return (later * moved.conversion[e] - now[:, None]) * moved.damping[e]


@pytest.mark.parametrize("years_later", [1.0, 0.2, 1e-3, 1e-8, 0.0, -0.1])
@pytest.mark.parametrize("count", [1, 7, 64, 1001])
def test_profits_agree_with_the_plain_formula_to_1e_13_of_the_forward(years_later: float, count: int) -> None:
    rng = np.random.default_rng(count)
    terms, moved = options(rng, 50), scenarios(rng, count, years_later)
    scale = terms.forward[:, None] * np.maximum(moved.moves * moved.conversion, 1.0)[terms.expiry]
    assert (np.abs(option_profits(terms, moved) - plain(terms, moved)) / scale).max() <= 1e-13


def test_nothing_that_moves_is_nothing_earned() -> None:
    rng = np.random.default_rng(6)
    terms, table = options(rng, 75), np.ones((3, 5))
    years = np.array([0.0, 0.01, 2.0])
    still = ExpiryScenarios(
        years_now=years,
        years_later=years,
        moves=table,
        vol_factors=table,
        vol_floors=0.0 * table,
        conversion=table,
        damping=table,
    )
    assert not option_profits(terms, still).any()


def test_a_neighbour_changes_no_bit() -> None:
    rng = np.random.default_rng(7)
    terms, moved = options(rng, 41), scenarios(rng, 107, 0.2)
    together = option_profits(terms, moved)
    for row in range(41):
        names = ("expiry", "forward", "strike", "vol", "is_call", "scale")
        alone = OptionTerms(**{name: getattr(terms, name)[row : row + 1] for name in names})
        assert np.array_equal(option_profits(alone, moved)[0], together[row])


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
    t = rng.uniform(-1000.0, 1000.0, 100_000)
    assert np.abs(powers_of_two(t) / np.exp2(t) - 1.0).max() <= 5e-16
    assert power(30.0, 0.3) == pytest.approx(math.pow(30.0, 0.3), rel=1e-15)


def test_moves_that_are_not_positive_are_refused() -> None:
    one, table = np.ones(1), np.ones((1, 1))
    with pytest.raises(InputError, match="must be positive"):
        ExpiryScenarios(
            years_now=one,
            years_later=one,
            moves=0.0 * table,
            vol_factors=table,
            vol_floors=table,
            conversion=table,
            damping=table,
        )
