"""The compiled sum against `math.fsum`."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.risk.exact_sum import exact_sum

numbers = st.floats(-1e200, 1e200, allow_nan=False)


@given(st.lists(numbers, max_size=60))
def test_it_has_the_bits_of_fsum(terms: list[float]) -> None:
    assert exact_sum(np.array(terms)) == math.fsum(terms)


def test_it_has_the_bits_of_fsum_where_terms_nearly_cancel() -> None:
    rng = np.random.default_rng(7)
    for _ in range(2_000):
        terms = rng.normal(size=12) * 10.0 ** rng.integers(-20, 20, 12)
        terms = rng.permutation(np.concatenate([terms, -terms * (1.0 + 2.0**-52 * rng.integers(0, 2, 12))]))
        assert exact_sum(terms) == math.fsum(terms)


def test_a_tie_is_broken_by_what_is_smaller_still() -> None:
    # 1 + 2^-53 lies half way between 1 and the next float
    assert exact_sum(np.array([1.0, 2.0**-53])) == 1.0
    assert exact_sum(np.array([1.0, 2.0**-53, 2.0**-120])) == 1.0 + 2.0**-52
    assert exact_sum(np.array([1.0, 2.0**-53, -(2.0**-120)])) == 1.0
