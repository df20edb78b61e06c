"""Many accounts at once: books as compressed sparse rows, their tail measures, and a screen that never passes in error.

The screen replaces the risk array by a few factors, ``R = U V + E``, and bounds each account's shortfall from above:

``ES(L) <= ES(-q U V) + sum |q_i| ES(|E_i|)``,

because expected shortfall is monotone and sub-additive. The first term is bounded in turn, first by mean and deviation
(``mean + sqrt(c/(1-c)) sd``, Cauchy-Schwarz on the density of the tail), then by ``t + sum (L_s - t)^+ / tail``, which
holds for every t (Rockafellar & Uryasev 2000, J. Risk 2(3), 21-41). What single precision may round away is added
(Higham 2002, *Accuracy and Stability of Numerical Algorithms*, section 3.1). An account whose bound exceeds its limit
is computed in full.
"""

import math
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from crossmargin.compilation import parallel_kernel, screening_kernel
from crossmargin.errors import InputError
from crossmargin.risk.kernels import portfolio_tails, tail_shape
from crossmargin.units import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """Positions of many accounts, as compressed sparse rows.

    Attributes
    ----------
    indptr : integers of shape (n_accounts + 1,)
        Account a's positions are those from ``indptr[a]`` up to ``indptr[a + 1]``.
    rows : integers of shape (n_positions,)
        Row of the risk array; increasing within an account for an order that is the same everywhere.
    quantities : array of shape (n_positions,)
        Long > 0, short < 0.
    """

    indptr: IntArray
    rows: IntArray
    quantities: FloatArray

    def __post_init__(self) -> None:
        if self.indptr.size == 0 or self.indptr[0] != 0 or (np.diff(self.indptr) < 0).any():
            raise InputError("indptr must start at 0 and never fall")
        if not (self.indptr[-1] == self.rows.size == self.quantities.size):
            raise InputError(
                f"indptr must end at the number of positions, was {self.indptr[-1]} for {self.rows.size} rows "
                f"and {self.quantities.size} quantities"
            )
        if not np.isfinite(self.quantities).all():
            raise InputError("quantities must be finite")
        if self.rows.size and self.rows.min() < 0:
            raise InputError(f"rows must not be negative, smallest was {self.rows.min()}")

    @property
    def size(self) -> int:
        """Number of accounts."""
        return self.indptr.size - 1

    def only(self, accounts: IntArray) -> "Books":
        """Return the books of `accounts`, in that order."""
        counts = np.diff(self.indptr)[accounts]
        indptr = np.concatenate([[0], np.cumsum(counts)])
        places = np.repeat(self.indptr[accounts] - indptr[:-1], counts) + np.arange(indptr[-1])
        return Books(indptr=indptr, rows=self.rows[places], quantities=self.quantities[places])


def shortfalls(books: Books, pnl: FloatArray, confidence: float, *, threads: int = 1) -> tuple[FloatArray, FloatArray]:
    """Return expected shortfall and worst loss of every account, not floored at 0; the official figures.

    Raises
    ------
    InputError
        If a book holds a row that `pnl` lacks.
    """
    _check_rows(books, pnl)
    return portfolio_tails(books.indptr, books.rows, books.quantities, pnl, confidence, threads=threads)


def _check_rows(books: Books, pnl: FloatArray) -> None:
    if books.rows.size and int(books.rows.max()) >= pnl.shape[0]:
        raise InputError(f"rows must lie in the risk array of {pnl.shape[0]} rows, largest was {books.rows.max()}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """A risk array in a few factors, with what they leave out.

    Attributes
    ----------
    loadings : float32 array of shape (n_instruments, n_factors)
        U of ``R = U V + E``.
    factors : float32 array of shape (n_factors, n_scenarios)
        V.
    residual : array of shape (n_instruments,)
        Expected shortfall of ``|E_i|``.
    gross : array of shape (n_instruments,)
        Largest ``sum_k |U_ik V_ks|`` and largest profit, from which the rounding is bounded.
    means : array of shape (n_factors,)
        Mean of each factor over scenarios.
    norm
        Bound of ``|z V|^2 / |z|^2``; 1 for orthonormal factors.
    """

    loadings: NDArray[np.float32]
    factors: NDArray[np.float32]
    residual: FloatArray
    gross: FloatArray
    means: FloatArray
    norm: float
    confidence: float


def screen_of(pnl: FloatArray, confidence: float, *, n_factors: int = 16) -> Screen:
    """Return the screen of a risk array; any factors would do, good ones pass more accounts.

    They are the leading singular vectors of a sample of rows, each scaled to the same largest profit.
    """
    n_rows, n_scenarios = pnl.shape
    tail_shape(n_scenarios, confidence)
    sizes = np.abs(pnl).max(axis=1)
    sample = np.unique(np.linspace(0, n_rows - 1, min(n_rows, 4 * n_factors)).astype(np.int64))
    scaled = pnl[sample] / np.where(sizes[sample] > 0.0, sizes[sample], 1.0)[:, None]
    factors = np.linalg.svd(scaled, full_matrices=False)[2][:n_factors].astype(np.float32)
    loadings = np.ascontiguousarray(pnl.astype(np.float32) @ factors.T)
    left = pnl - loadings.astype(np.float64) @ factors.astype(np.float64)
    alone = np.arange(n_rows + 1)
    residual = portfolio_tails(alone, alone[:-1], np.ones(n_rows), -np.abs(left), confidence)[0]
    overlap = np.abs(factors.astype(np.float64) @ factors.T.astype(np.float64)).sum(axis=1)
    return Screen(
        loadings=loadings,
        factors=np.ascontiguousarray(factors),
        residual=residual * (1.0 + 1e-6) + 1e-12 * sizes,
        gross=np.abs(loadings.astype(np.float64)) @ np.abs(factors.astype(np.float64)).max(axis=1) + sizes,
        means=factors.astype(np.float64).mean(axis=1),
        norm=float(overlap.max()) * (1.0 + 1e-6),
        confidence=confidence,
    )


def passes_screen(books: Books, screen: Screen, limits: FloatArray, *, threads: int = 1) -> BoolArray:
    """Return which accounts certainly have an expected shortfall of at most their limit (their equity, say).

    False means "not certain": compute those in full.
    """
    n_scenarios = screen.factors.shape[1]
    tail, _, normal = tail_shape(n_scenarios, screen.confidence)
    passed = np.zeros(books.size, dtype=np.bool_)
    arguments: Any = (books.indptr, books.rows, books.quantities, screen.loadings, screen.factors)
    arguments += (screen.residual, screen.gross, screen.means, screen.norm, tail, normal, limits, passed)
    scratch = np.empty((threads, n_scenarios), dtype=np.float32)
    if threads == 1:
        arguments = (*arguments, 0, books.size, scratch[0])
        _screen(*arguments)
    else:
        arguments = (*arguments, scratch)
        _screen_in_parallel(*arguments)
    return passed


def exceeding(
    books: Books, pnl: FloatArray, screen: Screen, limits: FloatArray, *, threads: int = 1
) -> tuple[BoolArray, FloatArray]:
    """Return which accounts exceed their limit, and the official shortfall of those computed in full.

    The same accounts exceed as without the screen; those that it passed are given a shortfall of 0.
    """
    _check_rows(books, pnl)
    open_accounts = np.flatnonzero(~passes_screen(books, screen, limits, threads=threads))
    shortfall = np.zeros(books.size)
    shortfall[open_accounts] = shortfalls(books.only(open_accounts), pnl, screen.confidence, threads=threads)[0]
    exceeds = np.zeros(books.size, dtype=np.bool_)
    exceeds[open_accounts] = shortfall[open_accounts] > limits[open_accounts]
    return exceeds, shortfall


@screening_kernel
def _excess(losses: NDArray[np.float32], t: np.float32) -> tuple[np.float32, np.float32]:
    """Return the sum of what exceeds `t`, and the number that do."""
    zero, one = np.float32(0.0), np.float32(1.0)
    summed, count = zero, zero
    for s in range(losses.size):
        over = losses[s] - t
        summed += max(over, zero)
        count += one if over > zero else zero
    return summed, count


@screening_kernel
def _spread(weights: NDArray[np.float32], factors: NDArray[np.float32], losses: NDArray[np.float32]) -> None:
    """Write ``-weights @ factors`` to `losses`."""
    for s in range(losses.size):
        losses[s] = 0.0
    k = 0
    while k + 8 <= weights.size:
        w0, w1, w2, w3 = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        w4, w5, w6, w7 = weights[k + 4], weights[k + 5], weights[k + 6], weights[k + 7]
        f0, f1, f2, f3 = factors[k], factors[k + 1], factors[k + 2], factors[k + 3]
        f4, f5, f6, f7 = factors[k + 4], factors[k + 5], factors[k + 6], factors[k + 7]
        for s in range(losses.size):
            early = w0 * f0[s] + w1 * f1[s] + w2 * f2[s] + w3 * f3[s]
            late = w4 * f4[s] + w5 * f5[s] + w6 * f6[s] + w7 * f7[s]
            losses[s] -= early + late
        k += 8
    while k < weights.size:
        w, f = weights[k], factors[k]
        for s in range(losses.size):
            losses[s] -= w * f[s]
        k += 1


@screening_kernel
def _screen(
    indptr: IntArray,
    rows: IntArray,
    quantities: FloatArray,
    loadings: NDArray[np.float32],
    factors: NDArray[np.float32],
    residual: FloatArray,
    gross: FloatArray,
    means: FloatArray,
    norm: float,
    tail: float,
    normal: float,
    limits: FloatArray,
    passed: BoolArray,
    first: int,
    last: int,
    losses: NDArray[np.float32],
) -> None:
    n_factors, n_scenarios = factors.shape
    weights = np.empty(n_factors, dtype=np.float32)
    reach = math.sqrt(max(n_scenarios / tail - 1.0, 0.0))
    for a in range(first, last):
        for k in range(n_factors):
            weights[k] = 0.0
        left, sized = 0.0, 0.0
        for p in range(indptr[a], indptr[a + 1]):
            q, row = np.float32(quantities[p]), rows[p]
            loading = loadings[row]
            for k in range(n_factors):
                weights[k] += q * loading[k]
            left += abs(quantities[p]) * residual[row]
            sized += abs(quantities[p]) * gross[row]
        # beyond the range of single precision there is no screen
        if not sized < 1e30:
            continue
        # every product and every addition rounds once; the quantity itself once more
        roundings = indptr[a + 1] - indptr[a] + n_factors + 8
        room = limits[a] - 1.000001 * left - 1.01 * roundings * 2.0**-24 * sized - 1e-30
        mean, squares = 0.0, 0.0
        for k in range(n_factors):
            mean -= weights[k] * means[k]
            squares += float(weights[k]) * float(weights[k])
        # one part in a million for the rounding of these lines themselves
        deviation = math.sqrt(max(squares * norm / n_scenarios - mean * mean, 0.0) + 1e-6 * mean * mean)
        if (mean + reach * deviation) + 1e-6 * (abs(mean) + reach * deviation) <= room:
            passed[a] = True
            continue
        _spread(weights, factors, losses)
        t = np.float32(mean + normal * deviation)
        for _ in range(4):
            summed, count = _excess(losses, t)
            over = float(summed) * (1.0 + 2.0 * (n_scenarios + 4) * 2.0**-24) / tail
            bound = float(t) + over + 2.0**-22 * abs(float(t))
            if bound <= room:
                passed[a] = True
                break
            if abs(count - tail) <= 0.1 * tail:
                break
            t = np.float32(t + 0.4 * deviation * math.log((count + 0.5) / (tail + 0.5)))


@parallel_kernel
def _screen_in_parallel(
    indptr: IntArray,
    rows: IntArray,
    quantities: FloatArray,
    loadings: NDArray[np.float32],
    factors: NDArray[np.float32],
    residual: FloatArray,
    gross: FloatArray,
    means: FloatArray,
    norm: float,
    tail: float,
    normal: float,
    limits: FloatArray,
    passed: BoolArray,
    scratch: NDArray[np.float32],
) -> None:
    workers, n_accounts = scratch.shape[0], indptr.size - 1
    share = (n_accounts + workers - 1) // workers
    for worker in numba.prange(workers):
        _screen(
            indptr,
            rows,
            quantities,
            loadings,
            factors,
            residual,
            gross,
            means,
            norm,
            tail,
            normal,
            limits,
            passed,
            min(worker * share, n_accounts),
            min((worker + 1) * share, n_accounts),
            scratch[worker],
        )
