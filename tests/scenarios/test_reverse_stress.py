"""Reverse stress against closed forms: a line, a quadratic, a straddle, and a brute-force search."""

import numpy as np
import pytest
from scipy.stats import norm

from crossmargin.errors import InputError
from crossmargin.pricing.black76 import black76
from crossmargin.scenarios.reverse_stress import most_likely_move


@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_a_linear_book_breaks_at_its_closed_form(n: int) -> None:
    # min x'C^-1 x with -a'x = c: x = -c C a / (a'C a), distance c / sqrt(a'C a)
    rng = np.random.default_rng(n)
    factor = rng.normal(size=(n, n + 3)) * 0.02
    covariance, held = factor @ factor.T, rng.normal(size=n) * 1e6
    amount = 3.0 * float(np.sqrt(held @ covariance @ held))
    found = most_likely_move(lambda x: -(held @ x), covariance, amount)
    assert found is not None
    assert found.distance == pytest.approx(3.0, rel=1e-6)
    assert found.moves == pytest.approx(-amount * covariance @ held / (held @ covariance @ held), rel=1e-4, abs=1e-6)
    assert found.loss == pytest.approx(amount, rel=1e-6)
    assert found.tail_probability() == pytest.approx(norm.sf(3.0), rel=1e-5)


def test_a_concave_book_breaks_along_the_largest_eigenvector_on_both_sides() -> None:
    # loss x'Ax = c: distance sqrt(c / largest eigenvalue of L'AL), at plus and minus its eigenvector
    rng = np.random.default_rng(3)
    factor, short_gamma = rng.normal(size=(4, 9)), rng.normal(size=(4, 6))
    covariance, curvature = factor @ factor.T, short_gamma @ short_gamma.T
    root = np.linalg.cholesky(covariance)
    values, vectors = np.linalg.eigh(root.T @ curvature @ root)
    found = most_likely_move(lambda x: np.einsum("is,ij,js->s", x, curvature, x), covariance, 7.0)
    assert found is not None
    assert found.distance == pytest.approx(np.sqrt(7.0 / values[-1]), rel=1e-6)
    expected = root @ vectors[:, -1] * found.distance
    assert min(np.abs(found.moves - expected).max(), np.abs(found.moves + expected).max()) < 1e-3
    assert any(np.abs(found.moves + other).max() < 1e-2 for other in found.others)


def test_a_short_strangle_is_not_better_than_a_dense_grid_says() -> None:
    # the nearer side of two; the grid is the oracle, to its own step
    strikes, calls = np.array([[80.0], [130.0]]), np.array([[False], [True]])
    covariance = np.array([[0.05**2, -0.5 * 0.05 * 0.1], [-0.5 * 0.05 * 0.1, 0.1**2]])

    def losses(x: np.ndarray) -> np.ndarray:
        later = black76(100.0 * np.exp(x[0]), strikes, 0.08, 0.6 * np.exp(x[1]), calls).sum(axis=0)
        return np.asarray(later - black76(100.0, strikes, 0.08, 0.6, calls).sum())

    found = most_likely_move(losses, covariance, 4.0)
    assert found is not None
    price, vol = np.meshgrid(np.linspace(-0.5, 0.5, 1_001), np.linspace(-1.0, 1.0, 1_001), indexing="ij")
    points = np.stack([price.ravel(), vol.ravel()])
    reached = points[:, losses(points) >= 4.0]
    grid = np.sqrt(np.einsum("is,ij,js->s", reached, np.linalg.inv(covariance), reached).min())
    assert found.distance <= grid
    assert found.distance == pytest.approx(grid, rel=5e-3)
    assert found.loss == pytest.approx(4.0, rel=1e-6)


def test_a_loss_with_a_kink_is_found() -> None:
    # a fund pays what each of two accounts lacks: min(distance) over paying 1 for either or for both
    def losses(x: np.ndarray) -> np.ndarray:
        return np.asarray(np.maximum(-x[0] - 2.0, 0.0) + np.maximum(x[1] - 3.0, 0.0))

    found = most_likely_move(losses, np.eye(2), 1.0)
    assert found is not None
    assert found.distance == pytest.approx(3.0, rel=1e-6)
    assert found.moves == pytest.approx([-3.0, 0.0], abs=1e-4)


def test_a_loss_out_of_reach_has_no_move() -> None:
    assert most_likely_move(lambda x: np.minimum(-x[0], 1.0), np.eye(1), 2.0) is None


def test_a_singular_covariance_and_a_loss_of_nothing_are_refused() -> None:
    with pytest.raises(InputError, match="positive definite"):
        most_likely_move(lambda x: -x[0], np.ones((2, 2)), 1.0)
    with pytest.raises(InputError, match="must be positive, was 0"):
        most_likely_move(lambda x: -x[0], np.eye(1), 0.0)
