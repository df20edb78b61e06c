"""Black-76 over many scenarios: one exponential and one division per option and scenario.

Three identities save the rest. ``F phi(d1) = K phi(d2)`` gives both normal probabilities from one exponential, times a
rational function each (Hart 1968, *Computer Approximations*, no. 5666, as printed in West 2005, *Better approximations
to cumulative normal functions*, Wilmott). ``ln(F_s/K) = ln(F/K) + ln(F_s/F)`` leaves one logarithm per option and one
per scenario. And the two divisions by the rational functions' denominators share one.

`pricing.black76` is the plain version that tests compare with; the two agree to 1e-13 of the forward.
"""

from dataclasses import dataclass, field

import numba
import numpy as np

from crossmargin.compilation import inlined, kernel, parallel_kernel
from crossmargin.elementary import LOG2_E, logarithm, power_of_two
from crossmargin.errors import InputError
from crossmargin.units import BoolArray, FloatArray, IntArray

FAR = 37.0
"""Deviations beyond which a normal tail is nothing: e^(-37^2/2) is about the smallest normal float."""
HALF_LOG2_E = 0.5 * LOG2_E
NO_DEVIATION = 1e100
"""Stands for the reciprocal of a deviation of zero; finite, for kernels may not meet an infinity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryScenarios:
    """What moves the options of each expiry; every other array has shape (n_expiries, n_scenarios).

    Attributes
    ----------
    years_now, years_later : shape (n_expiries,)
        To expiry, today and once the scenario's time has passed; at 0 or below an option is worth its intrinsic value.
    moves
        Forward in the scenario over today's forward.
    vol_factors, vol_floors
        The vol becomes the larger of ``vol * factor`` and the floor.
    conversion
        USD that the price is worth: settlement currency per unit of price, times that currency's own move.
    damping
        Share of the profit or loss that counts.
    vectors : shape (8, n_expiries, n_scenarios)
        All of it as the kernel reads it.
    """

    years_now: FloatArray
    years_later: FloatArray
    moves: FloatArray
    vol_factors: FloatArray
    vol_floors: FloatArray
    conversion: FloatArray
    damping: FloatArray
    vectors: FloatArray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.moves.ndim != 2 or self.moves.size == 0:
            raise InputError(f"moves must be a table of expiries by scenarios, had shape {self.moves.shape}")
        for name in ("moves", "vol_factors", "vol_floors", "conversion", "damping"):
            array = getattr(self, name)
            if array.shape != self.moves.shape or not np.isfinite(array).all():
                raise InputError(f"{name} must be finite and of shape {self.moves.shape}, had shape {array.shape}")
        for name in ("years_now", "years_later"):
            if getattr(self, name).shape != self.moves.shape[:1]:
                raise InputError(f"{name} must give a number for each of {len(self.moves)} expiries")
        if not self.moves.min() > 0.0:
            raise InputError(f"moves of a forward must be positive, had {self.moves.min():g}")
        object.__setattr__(self, "vectors", _scenario_vectors(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionTerms:
    """Options, those of one expiry side by side; every array has shape (n_options,).

    Attributes
    ----------
    expiry
        Row of each option's expiry in `ExpiryScenarios`; two neighbours of one expiry are revalued together.
    scale
        Multiplies the profit.
    """

    expiry: IntArray
    forward: FloatArray
    strike: FloatArray
    vol: FloatArray
    is_call: BoolArray
    scale: FloatArray


def option_profits(
    options: OptionTerms,
    scenarios: ExpiryScenarios,
    *,
    out: FloatArray | None = None,
    rows: IntArray | None = None,
    threads: int = 1,
) -> FloatArray:
    """Return ``scale * (price_s * conversion_s - price_0) * damping_s`` of each option in each scenario.

    Parameters
    ----------
    out : C-contiguous array of shape (n_rows, n_scenarios), optional
        Where to write; made when absent.
    rows : distinct integers of shape (n_options,), optional
        Row of `out` for each option; by default the first, the second, ...
    threads
        The answer is the same with any number.

    Examples
    --------
    >>> one, table = np.ones(1), np.ones((1, 1))
    >>> option = OptionTerms(expiry=np.array([0]), forward=60000 * one, strike=70000 * one, vol=0.6 * one,
    ...                      is_call=one > 0, scale=one)
    >>> still = ExpiryScenarios(years_now=0.1 * one, years_later=0.1 * one, moves=table, vol_factors=table,
    ...                         vol_floors=0 * table, conversion=table, damping=table)
    >>> float(option_profits(option, still)[0, 0])
    0.0
    """
    count = options.forward.size
    if out is None:
        out = aligned_rows(count, scenarios.moves.shape[1])
    places = np.arange(count) if rows is None else rows
    terms = np.empty((7, count))
    _option_vectors(
        options.expiry,
        options.forward,
        options.strike,
        options.vol,
        options.is_call,
        options.scale,
        np.sqrt(np.maximum(scenarios.years_now, 0.0)),
        np.sqrt(np.maximum(scenarios.years_later, 0.0)),
        terms,
    )
    if threads == 1:
        _profits(options.expiry, terms, places, scenarios.vectors, out, 0, count)
    else:
        _profits_in_parallel(options.expiry, terms, places, scenarios.vectors, out, threads)
    return out


def aligned_rows(n_rows: int, n_columns: int) -> FloatArray:
    """Return an uninitialised C-contiguous array that starts on a cache line."""
    raw = np.empty(n_rows * n_columns + 8)
    start = (-raw.ctypes.data % 64) // 8
    return raw[start : start + n_rows * n_columns].reshape(n_rows, n_columns)


def _scenario_vectors(scenarios: ExpiryScenarios) -> FloatArray:
    vectors = np.empty((8, *scenarios.moves.shape))
    vectors[0], vectors[2] = scenarios.moves, scenarios.vol_factors
    vectors[6], vectors[7] = scenarios.conversion, scenarios.damping
    half_roots = 0.5 * np.sqrt(np.maximum(scenarios.years_later, 0.0))
    np.multiply(scenarios.vol_floors, half_roots[:, np.newaxis], out=vectors[4])
    _derive_vectors(vectors)
    return vectors


@kernel
def _derive_vectors(vectors: FloatArray) -> None:
    moves, factors, half_floors = vectors[0], vectors[2], vectors[4]
    log_moves, reciprocal_factors, reciprocal_floors = vectors[1], vectors[3], vectors[5]
    for e in range(moves.shape[0]):
        for s in range(moves.shape[1]):
            log_moves[e, s] = logarithm(moves[e, s])
            moving, floored = factors[e, s] > 0.0, half_floors[e, s] > 0.0
            reciprocal_factors[e, s] = 1.0 / factors[e, s] if moving else NO_DEVIATION
            reciprocal_floors[e, s] = 0.5 / half_floors[e, s] if floored else NO_DEVIATION * NO_DEVIATION


@inlined
def numerator(x: float) -> float:
    """Return Hart's polynomial P, with ``N(-x) = exp(-x^2/2) P(x)/Q(x)`` for x >= 0."""
    p = 3.52624965998911e-02 * x + 0.700383064443688
    p = p * x + 6.37396220353165
    p = p * x + 33.912866078383
    p = p * x + 112.079291497871
    p = p * x + 221.213596169931
    return p * x + 220.206867912376


@inlined
def denominator(x: float) -> float:
    """Return Hart's polynomial Q."""
    q = 8.83883476483184e-02 * x + 1.75566716318264
    q = q * x + 16.064177579207
    q = q * x + 86.7807322029461
    q = q * x + 296.564248779674
    q = q * x + 637.333633378831
    q = q * x + 793.826512519948
    return q * x + 440.413735824752


@inlined
def call_price(x: float, half: float, inverse: float, m: float) -> float:
    """Return a call's price over its strike, for moneyness `m` with logarithm `x`, half and one over its deviation.

    Every sum has at most one product in it, so that it fuses in one way only.
    """
    d1 = x * inverse + half
    d2 = x * inverse - half
    a1 = min(abs(d1), FAR)
    a2 = min(abs(d2), FAR)
    e1 = power_of_two(-HALF_LOG2_E * a1 * a1)
    q1 = denominator(a1)
    q2 = denominator(a2)
    shared = e1 * (1.0 / (q1 * q2))
    n1 = shared * (numerator(a1) * q2)
    n2 = (shared * m) * (numerator(a2) * q1)
    p1 = n1 if d1 < 0.0 else 1.0 - n1
    p2 = n2 if d2 < 0.0 else 1.0 - n2
    return max(max(m * p1 - p2, m - 1.0), 0.0)


@kernel
def _option_vectors(
    expiry: IntArray,
    forward: FloatArray,
    strike: FloatArray,
    vol: FloatArray,
    is_call: BoolArray,
    scale: FloatArray,
    roots_now: FloatArray,
    roots_later: FloatArray,
    terms: FloatArray,
) -> None:
    """Write what `_profits` reads per option; a price is over its strike, by the same steps as in the scenarios."""
    for i in range(expiry.size):
        m = forward[i] / strike[i]
        x = logarithm(m)
        put = 0.0 if is_call[i] else 1.0
        now = vol[i] * roots_now[expiry[i]]
        later = vol[i] * roots_later[expiry[i]]
        call = call_price(x, 0.5 * now, 1.0 / now if now > 0.0 else NO_DEVIATION, m)
        terms[0, i] = m
        terms[1, i] = x
        terms[2, i] = 0.5 * later
        terms[3, i] = 1.0 / later if later > 0.0 else NO_DEVIATION
        terms[4, i] = put
        terms[5, i] = scale[i] * strike[i]
        terms[6, i] = call - put * (m - 1.0)


@kernel
def _profits(
    expiry: IntArray,
    terms: FloatArray,
    rows: IntArray,
    scenarios: FloatArray,
    out: FloatArray,
    first: int,
    last: int,
) -> None:
    # prices in units of the strike; two options at a time, for one alone leaves the processor waiting for itself
    moneyness, log_moneyness, half_deviation, reciprocal, put, scale, price_now = (
        terms[0],
        terms[1],
        terms[2],
        terms[3],
        terms[4],
        terms[5],
        terms[6],
    )
    i = first
    while i < last:
        e = expiry[i]
        moves, log_moves, vol_factors, reciprocal_factors = (
            scenarios[0, e],
            scenarios[1, e],
            scenarios[2, e],
            scenarios[3, e],
        )
        half_floors, reciprocal_floors, conversion, damping = (
            scenarios[4, e],
            scenarios[5, e],
            scenarios[6, e],
            scenarios[7, e],
        )
        here = out[rows[i]]
        if i + 1 < last and expiry[i + 1] == e:
            k = i + 1
            there = out[rows[k]]
            for s in range(moves.size):
                m1 = moneyness[i] * moves[s]
                m2 = moneyness[k] * moves[s]
                half1 = max(half_deviation[i] * vol_factors[s], half_floors[s])
                half2 = max(half_deviation[k] * vol_factors[s], half_floors[s])
                inverse1 = min(reciprocal[i] * reciprocal_factors[s], reciprocal_floors[s])
                inverse2 = min(reciprocal[k] * reciprocal_factors[s], reciprocal_floors[s])
                call1 = call_price(log_moneyness[i] + log_moves[s], half1, inverse1, m1)
                call2 = call_price(log_moneyness[k] + log_moves[s], half2, inverse2, m2)
                price1 = call1 - put[i] * (m1 - 1.0)
                price2 = call2 - put[k] * (m2 - 1.0)
                here[s] = (price1 * conversion[s] - price_now[i]) * (scale[i] * damping[s])
                there[s] = (price2 * conversion[s] - price_now[k]) * (scale[k] * damping[s])
            i += 2
        else:
            for s in range(moves.size):
                m = moneyness[i] * moves[s]
                half = max(half_deviation[i] * vol_factors[s], half_floors[s])
                inverse = min(reciprocal[i] * reciprocal_factors[s], reciprocal_floors[s])
                call = call_price(log_moneyness[i] + log_moves[s], half, inverse, m)
                price = call - put[i] * (m - 1.0)
                here[s] = (price * conversion[s] - price_now[i]) * (scale[i] * damping[s])
            i += 1


@parallel_kernel
def _profits_in_parallel(
    expiry: IntArray, terms: FloatArray, rows: IntArray, scenarios: FloatArray, out: FloatArray, threads: int
) -> None:
    share = (rows.size + threads - 1) // threads
    for worker in numba.prange(threads):
        first, last = min(worker * share, rows.size), min((worker + 1) * share, rows.size)
        _profits(expiry, terms, rows, scenarios, out, first, last)
