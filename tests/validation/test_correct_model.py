"""Pass rates of a correct model: those of the tests' own laws, and less certain where books share their days."""

import numpy as np
import pytest
from scipy import stats

from crossmargin.errors import InputError
from crossmargin.validation.correct_model import correct_model_rates
from crossmargin.validation.coverage import kupiec


def test_the_unconditional_test_passes_as_often_as_the_binomial_law_says() -> None:
    counts = np.arange(60)
    accepted = [kupiec(int(k), 1_000, 0.01).p_value > 0.05 for k in counts]
    expected = float(stats.binom.pmf(counts, 1_000, 0.01)[accepted].sum())
    ranks = np.random.default_rng(2).random((40, 1_000))
    found = correct_model_rates(ranks, 0.01, draws=50)
    assert found["unconditional"].mean == pytest.approx(expected, abs=0.015)
    # a share of 40 independent books: three standard deviations are 3 sqrt(0.95 * 0.05 / 40) = 0.10
    assert found["unconditional"].low > expected - 0.10


def test_a_wrong_model_is_made_right_first() -> None:
    ranks = np.random.default_rng(3).random((10, 800))
    assert correct_model_rates(ranks**3, 0.01, draws=5) == correct_model_rates(ranks, 0.01, draws=5)


def test_books_that_are_one_book_pass_or_fail_together() -> None:
    ranks = np.repeat(np.random.default_rng(4).random((1, 700)), 20, axis=0)
    found = correct_model_rates(ranks, 0.01, draws=60)
    assert found["conditional"].mean > 0.8
    assert found["conditional"].low in (0.0, 1.0)


def test_a_book_without_a_record_is_refused() -> None:
    with pytest.raises(InputError, match="30 ranks"):
        correct_model_rates(np.full((2, 100), np.nan), 0.01)
