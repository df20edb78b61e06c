"""Black-76 over many scenarios: one exponential and one division per option and scenario.

Three identities save the rest. ``F phi(d1) = K phi(d2)`` gives both normal probabilities from one exponential, times a
rational function each (Hart 1968, *Computer Approximations*, no. 5666, as printed in West 2005, *Better approximations
to cumulative normal functions*, Wilmott). ``ln(F_s/K) = ln(F/K) + ln(F_s/F)`` leaves one logarithm per option and one
per scenario. And the two divisions by the rational functions' denominators share one.

`pricing.black76` is the plain version that tests compare with; the two agree to 1e-13 of the forward.
"""

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from crossmargin.errors import InputError
from crossmargin.pricing.compilation import inlined, kernel, parallel_kernel
from crossmargin.pricing.elementary import exponential, exponential_32, logarithms
from crossmargin.units import BoolArray, FloatArray, IntArray

FAR = 37.0
"""Deviations beyond which a normal tail is nothing: e^(-37^2/2) is about the smallest normal float."""
FAR_32 = np.float32(13.0)
NO_DEVIATION = 1e100
"""Stands for the reciprocal of a deviation of zero; finite, for kernels may not meet an infinity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryScenarios:
    """What moves the options of one underlying and expiry; every array has shape (n_scenarios,).

    Attributes
    ----------
    years_now, years_later
        To expiry, today and once the scenario's time has passed; at 0 or below an option is worth its intrinsic value.
    moves
        Forward in the scenario over today's forward.
    vol_factors, vol_floors
        The vol becomes the larger of ``vol * factor`` and the floor.
    conversion
        USD that the price is worth: settlement currency per unit of price, times that currency's own move.
    damping
        Share of the profit or loss that counts.
    """

    years_now: float
    years_later: float
    moves: FloatArray
    vol_factors: FloatArray
    vol_floors: FloatArray
    conversion: FloatArray
    damping: FloatArray

    def __post_init__(self) -> None:
        for name in ("moves", "vol_factors", "vol_floors", "conversion", "damping"):
            array = getattr(self, name)
            if array.shape != self.moves.shape or not np.isfinite(array).all():
                raise InputError(f"{name} must be finite and of shape {self.moves.shape}, had shape {array.shape}")
        if self.moves.size == 0 or not (self.moves > 0.0).all():
            raise InputError("moves of a forward must be positive and at least one")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionTerms:
    """Options of one underlying and expiry; every array has shape (n_options,). `scale` multiplies the profit."""

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
    rows : integers of shape (n_options,), optional
        Row of `out` for each option; by default the first, the second, ...
    threads
        The answer is the same with any number.

    Examples
    --------
    >>> one = np.ones(1)
    >>> option = OptionTerms(forward=60000 * one, strike=70000 * one, vol=0.6 * one, is_call=one > 0, scale=one)
    >>> still = ExpiryScenarios(years_now=0.1, years_later=0.1, moves=one, vol_factors=one, vol_floors=0 * one,
    ...                         conversion=one, damping=one)
    >>> abs(float(option_profits(option, still)[0, 0])) < 1e-9
    True
    """
    if out is None:
        out = aligned_rows(options.forward.size, scenarios.moves.size)
    places = np.arange(options.forward.size) if rows is None else rows
    fill(prepared(options, scenarios), places, out, threads=threads)
    return out


def prepared(options: OptionTerms, scenarios: ExpiryScenarios) -> tuple[Any, ...]:
    """Return the vectors from which `fill` computes: all that is known per option and per scenario."""
    return (*_option_vectors(options, scenarios), *_scenario_vectors(scenarios))


def fill(vectors: tuple[Any, ...], rows: IntArray, out: FloatArray, *, threads: int = 1) -> None:
    """Write the profits of `prepared` options to the given rows of `out`, a C-contiguous array."""
    arguments: Any = (*vectors[:7], rows, *vectors[7:], out)
    if threads == 1:
        arguments = (*arguments, 0, rows.size)
        _profits(*arguments)
    else:
        arguments = (*arguments, threads)
        _profits_in_parallel(*arguments)


def screening_profits(options: OptionTerms, scenarios: ExpiryScenarios) -> NDArray[np.float32]:
    """Return `option_profits` in single precision, good to about 2e-6 of the forward: for screening only."""
    out = np.empty((options.forward.size, scenarios.moves.size), dtype=np.float32)
    single = [np.clip(array, -3e38, 3e38).astype(np.float32) for array in _scenario_vectors(scenarios)]
    arguments: Any = (*_option_vectors(options, scenarios), *single, out)
    _profits_32(*arguments)
    return out


def aligned_rows(n_rows: int, n_columns: int) -> FloatArray:
    """Return an uninitialised C-contiguous array that starts on a cache line."""
    raw = np.empty(n_rows * n_columns + 8)
    start = (-raw.ctypes.data % 64) // 8
    return raw[start : start + n_rows * n_columns].reshape(n_rows, n_columns)


def _option_vectors(options: OptionTerms, scenarios: ExpiryScenarios) -> tuple[Any, ...]:
    price_now = _prices_now(options, scenarios.years_now)
    shape, scale = _option_shapes(options, scenarios.years_later), options.scale * options.strike
    return (*shape, scale, price_now / options.strike)


def _option_shapes(options: OptionTerms, years: float) -> tuple[Any, ...]:
    deviation = options.vol * np.sqrt(max(years, 0.0))
    alive = deviation > 0.0
    moneyness = options.forward / options.strike
    return (
        moneyness,
        logarithms(moneyness),
        0.5 * deviation,
        np.where(alive, 1.0 / np.where(alive, deviation, 1.0), NO_DEVIATION),
        np.where(options.is_call, 0.0, 1.0),
    )


def _prices_now(options: OptionTerms, years: float) -> FloatArray:
    """Today's price of each option, by the same kernel as in the scenarios."""
    one = np.ones(1)
    still = ExpiryScenarios(
        years_now=years,
        years_later=years,
        moves=one,
        vol_factors=one,
        vol_floors=0.0 * one,
        conversion=one,
        damping=one,
    )
    count = options.forward.size
    out = np.empty((count, 1))
    shape, vectors = _option_shapes(options, years), _scenario_vectors(still)
    arguments: Any = (*shape, options.strike, np.zeros(count), np.arange(count), *vectors, out, 0, count)
    _profits(*arguments)
    return out[:, 0]


def _scenario_vectors(scenarios: ExpiryScenarios) -> tuple[Any, ...]:
    factors = scenarios.vol_factors
    half_floors = 0.5 * scenarios.vol_floors * np.sqrt(max(scenarios.years_later, 0.0))
    moving, floored = factors > 0.0, half_floors > 0.0
    return (
        scenarios.moves,
        logarithms(scenarios.moves),
        factors,
        np.where(moving, 1.0 / np.where(moving, factors, 1.0), NO_DEVIATION),
        half_floors,
        np.where(floored, 0.5 / np.where(floored, half_floors, 1.0), NO_DEVIATION * NO_DEVIATION),
        scenarios.conversion,
        scenarios.damping,
    )


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


@kernel
def _profits(
    moneyness: FloatArray,
    log_moneyness: FloatArray,
    half_deviation: FloatArray,
    reciprocal: FloatArray,
    put: FloatArray,
    scale: FloatArray,
    price_now: FloatArray,
    rows: IntArray,
    moves: FloatArray,
    log_moves: FloatArray,
    vol_factors: FloatArray,
    reciprocal_factors: FloatArray,
    half_floors: FloatArray,
    reciprocal_floors: FloatArray,
    conversion: FloatArray,
    damping: FloatArray,
    out: FloatArray,
    first: int,
    last: int,
) -> None:
    # prices in units of the strike; every sum has at most one product in it, so that it fuses in one way only
    for i in range(first, last):
        profits = out[rows[i]]
        for s in range(moves.size):
            half = max(half_deviation[i] * vol_factors[s], half_floors[s])
            inverse = min(reciprocal[i] * reciprocal_factors[s], reciprocal_floors[s])
            x = log_moneyness[i] + log_moves[s]
            d1 = x * inverse + half
            d2 = x * inverse - half
            a1 = min(abs(d1), FAR)
            a2 = min(abs(d2), FAR)
            m = moneyness[i] * moves[s]
            e1 = exponential(-0.5 * a1 * a1)
            q1 = denominator(a1)
            q2 = denominator(a2)
            shared = e1 * (1.0 / (q1 * q2))
            n1 = shared * (numerator(a1) * q2)
            n2 = (shared * m) * (numerator(a2) * q1)
            p1 = n1 if d1 < 0.0 else 1.0 - n1
            p2 = n2 if d2 < 0.0 else 1.0 - n2
            gain = m - 1.0
            call = max(max(m * p1 - p2, gain), 0.0)
            price = call - put[i] * gain
            profits[s] = (price * conversion[s] - price_now[i]) * (scale[i] * damping[s])


@parallel_kernel
def _profits_in_parallel(
    moneyness: FloatArray,
    log_moneyness: FloatArray,
    half_deviation: FloatArray,
    reciprocal: FloatArray,
    put: FloatArray,
    scale: FloatArray,
    price_now: FloatArray,
    rows: IntArray,
    moves: FloatArray,
    log_moves: FloatArray,
    vol_factors: FloatArray,
    reciprocal_factors: FloatArray,
    half_floors: FloatArray,
    reciprocal_floors: FloatArray,
    conversion: FloatArray,
    damping: FloatArray,
    out: FloatArray,
    threads: int,
) -> None:
    share = (rows.size + threads - 1) // threads
    for worker in numba.prange(threads):
        _profits(
            moneyness,
            log_moneyness,
            half_deviation,
            reciprocal,
            put,
            scale,
            price_now,
            rows,
            moves,
            log_moves,
            vol_factors,
            reciprocal_factors,
            half_floors,
            reciprocal_floors,
            conversion,
            damping,
            out,
            min(worker * share, rows.size),
            min((worker + 1) * share, rows.size),
        )


# Abramowitz & Stegun 26.2.17, the density's constant taken into the coefficients
_A1, _A2, _A3, _A4, _A5 = (
    np.float32(c * 0.3989422804014327) for c in (0.319381530, -0.356563782, 1.781477937, -1.821255978, 1.330274429)
)
_AP, _ONE, _HALF, _ZERO = np.float32(0.2316419), np.float32(1.0), np.float32(0.5), np.float32(0.0)


@inlined
def tail_32(t: np.float32) -> np.float32:
    """Return the polynomial that, times the exponential, is the normal tail, to 7.5e-8."""
    p = _A5 * t + _A4
    p = p * t + _A3
    p = p * t + _A2
    return (p * t + _A1) * t


@kernel
def _profits_32(
    moneyness: FloatArray,
    log_moneyness: FloatArray,
    half_deviation: FloatArray,
    reciprocal: FloatArray,
    put: FloatArray,
    scale: FloatArray,
    price_now: FloatArray,
    moves: NDArray[np.float32],
    log_moves: NDArray[np.float32],
    vol_factors: NDArray[np.float32],
    reciprocal_factors: NDArray[np.float32],
    half_floors: NDArray[np.float32],
    reciprocal_floors: NDArray[np.float32],
    conversion: NDArray[np.float32],
    damping: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    for i in range(moneyness.size):
        m0 = np.float32(moneyness[i])
        x0 = np.float32(log_moneyness[i])
        h0 = np.float32(half_deviation[i])
        r0 = np.float32(min(reciprocal[i], 1e18))
        w = np.float32(1.0 - 2.0 * put[i])
        c = np.float32(scale[i])
        now = np.float32(price_now[i])
        profits = out[i]
        for s in range(moves.size):
            half = max(h0 * vol_factors[s], half_floors[s])
            inverse = min(r0 * min(reciprocal_factors[s], np.float32(1e18)), reciprocal_floors[s])
            x = x0 + log_moves[s]
            d1 = x * inverse + half
            d2 = x * inverse - half
            a1 = min(abs(d1), FAR_32)
            a2 = min(abs(d2), FAR_32)
            m = m0 * moves[s]
            e1 = exponential_32(-_HALF * a1 * a1)
            e2 = min(e1 * m, _ONE)
            u1 = _ONE + _AP * a1
            u2 = _ONE + _AP * a2
            shared = _ONE / (u1 * u2)
            n1 = e1 * tail_32(shared * u2)
            n2 = e2 * tail_32(shared * u1)
            p1 = n1 if w * d1 < _ZERO else _ONE - n1
            p2 = n2 if w * d2 < _ZERO else _ONE - n2
            price = max(max(w * (m * p1 - p2), w * (m - _ONE)), _ZERO)
            profits[s] = (price * conversion[s] - now) * (c * damping[s])
