"""A screen never passes an account in error; netting changes no margin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InputError
from crossmargin.margin.batch import Books, exceeding, passes_screen, screen_of, shortfalls


def books(rng: np.random.Generator, accounts: int, instruments: int) -> Books:
    counts = rng.integers(0, 12, accounts)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    quantities = rng.normal(size=indptr[-1]) * 10.0 ** rng.integers(-4, 5, indptr[-1])
    return Books(indptr=indptr, rows=rng.integers(0, instruments, indptr[-1]), quantities=quantities)


@given(
    seed=st.integers(0, 2**32),
    n_scenarios=st.integers(2, 200),
    confidence=st.floats(0.5, 0.995),
    drivers=st.integers(1, 6),
    noise=st.sampled_from([0.0, 1e-6, 0.05, 1.0]),
    n_factors=st.integers(1, 20),
)
def test_a_passed_account_is_within_its_limit(
    seed: int, n_scenarios: int, confidence: float, drivers: int, noise: float, n_factors: int
) -> None:
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** rng.uniform(-3.0, 6.0, (30, 1))
    moves = rng.standard_t(3, (drivers, n_scenarios))
    pnl = sizes * (rng.normal(size=(30, drivers)) @ moves + noise * rng.standard_t(2, (30, n_scenarios)))
    held = books(rng, 40, 30)
    official, _ = shortfalls(held, pnl, confidence)
    # limits on both sides, some nearer than single precision can tell apart
    limits = official * (1.0 + rng.choice([-1e-3, -1e-7, -1e-9, 0.0, 1e-9, 1e-7, 1e-3, 0.5, 3.0], 40))
    screen = screen_of(pnl, confidence, n_factors=n_factors)
    passed = passes_screen(held, screen, limits)
    assert not (passed & (official > limits)).any()
    exceeds, computed = exceeding(held, pnl, screen, limits)
    assert np.array_equal(exceeds, official > limits)
    assert np.array_equal(computed[~passed], official[~passed])


def test_a_screen_on_few_drivers_passes_what_is_comfortably_within() -> None:
    rng = np.random.default_rng(1)
    pnl = rng.normal(size=(100, 3)) @ rng.standard_t(4, (3, 500))
    held = books(rng, 200, 100)
    official, _ = shortfalls(held, pnl, 0.975)
    passed = passes_screen(held, screen_of(pnl, 0.975, n_factors=4), 1.2 * official, threads=2)
    assert passed[official > 0.0].mean() > 0.95


def test_books_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="indptr must end at the number of positions"):
        Books(indptr=np.array([0, 2]), rows=np.array([0]), quantities=np.array([1.0]))
    held = Books(indptr=np.array([0, 1]), rows=np.array([3]), quantities=np.array([1.0]))
    with pytest.raises(InputError, match="largest was 3"):
        shortfalls(held, np.zeros((2, 5)), 0.9)
