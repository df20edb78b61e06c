"""The compiled sum against `math.fsum`."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.risk.exact_sum import bounds_of, exact_sum, sum_columns, with_rest

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


@given(st.lists(st.lists(st.integers(-(2**54), 2**54).map(float), min_size=4, max_size=4), max_size=8))
def test_columns_of_few_terms_have_the_bits_of_fsum(rows: list[list[float]]) -> None:
    """Whole numbers about as large as 53 bits hold often add up to half way between two floats."""
    out = np.full(3, np.nan)
    sum_columns(np.array(rows).reshape(-1, 4), 3, out)
    assert out.tolist() == [math.fsum(row[b] for row in rows) for b in range(3)]


def test_half_way_between_floats_nothing_is_left_in_doubt() -> None:
    rng = np.random.default_rng(8)
    terms = rng.integers(2**52, 2**53, (1_000, 2)).astype(float)
    doubted = 0
    for one, other in terms.tolist():
        total, lost = with_rest(one, other)
        doubted += abs(lost) == 1.0
        low, high = bounds_of(total, lost, 0.0)
        assert low == high == math.fsum((one, other))
    # one sum in two has a last digit too many
    assert doubted > 300
