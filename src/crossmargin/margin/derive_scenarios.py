"""PMRM_2's scenarios over all options of an account, compiled: `derive_pmrm2` is the rule, this its arithmetic.

A row of `expiries` holds seconds to expiry, the fixed and the variable part of the forward, and the rate; `model` holds the
numbers of `MODEL` in their order.
"""

import math

import numpy as np

from crossmargin.compilation import kernel
from crossmargin.elementary import exponential, logarithm
from crossmargin.margin.derive_book import SECONDS_PER_YEAR, THIRTY_DAYS
from crossmargin.pricing.kernels import NO_DEVIATION, call_price
from crossmargin.units import FloatArray, IntArray

MODEL = (
    "vol_up", "vol_down", "vol_short_power", "vol_long_power", "vol_floor_seconds", "min_vol_up",
    "long_rate_multiple", "long_rate_add", "short_rate_multiple", "short_rate_add", "long_discount", "short_discount",
    "basis_up", "basis_down", "basis_add", "basis_multiple",
)  # fmt: skip
SKEW = (
    "linear_cap", "linear_slope", "abs_cap", "abs_slope", "min_width", "width_scale", "width_static", "width_slope",
)  # fmt: skip
NONE, UP, DOWN, LINEAR, ABS = range(5)


@kernel
def _vols(
    vol: float, moneyness: float, root: float, up: float, down: float, min_up: float, skew: FloatArray, out: FloatArray
) -> None:
    """Write the vol of one option under each kind of move; `moneyness` is ``ln(K / F)``."""
    width = max(skew[4], root * skew[5] * (skew[6] + root * skew[7]))
    linear_cap, abs_cap = skew[1] * root + skew[0], skew[3] * root + skew[2]
    linear, both = moneyness * linear_cap / width, abs(moneyness) * abs_cap / width
    linear = min(linear, linear_cap) if moneyness >= 0.0 else max(linear, -linear_cap)
    out[NONE], out[UP], out[DOWN] = vol, max(vol * up, min_up), vol * down
    out[LINEAR] = vol * max(1.0 + linear, 0.0)
    out[ABS] = vol * max(1.0 + min(both, abs_cap), 0.0)


@kernel
def _values(
    forwards: FloatArray,
    log_forwards: FloatArray,
    deviations: FloatArray,
    strike: float,
    quantity: float,
    put: float,
    values: FloatArray,
) -> None:
    """Add what `quantity` of one option is worth at each forward and deviation."""
    log_strike = logarithm(strike)
    for s in range(forwards.size):
        m = forwards[s] / strike
        d = deviations[s]
        inverse = 1.0 / d if d > 0.0 else NO_DEVIATION
        call = call_price(log_forwards[s] - log_strike, 0.5 * d, inverse, m)
        values[s] = values[s] + (quantity * strike) * (call - put * (m - 1.0))


@kernel
def uncovered(strikes: FloatArray, quantities: FloatArray, first: int, last: int) -> float:
    """Return the short options from `first` to `last` that no long one of the same strike covers."""
    total = 0.0
    for i in range(first, last):
        net, again = 0.0, False
        for j in range(first, last):
            if strikes[j] == strikes[i]:
                again = again or j < i
                net = net + quantities[j]
        if not again:
            total = total + max(-net, 0.0)
    return total


@kernel
def account_profits(
    expiries: FloatArray,
    starts: IntArray,
    options: FloatArray,
    model: FloatArray,
    skew: FloatArray,
    spots: FloatArray,
    kinds: IntArray,
    out: FloatArray,
    pnl: FloatArray,
) -> None:
    """Add each expiry's profit to `pnl`, and write its value now, its basis contingency, shorts and gross size.

    `options` holds strike, sign, quantity and vol, shape (4, n_options), expiry by expiry from ``starts[e]``; `out` has
    shape (n_expiries, 4).
    """
    count = 3 + spots.size
    forwards, log_forwards, deviations = np.empty(count), np.empty(count), np.empty(count)
    values, moved = np.empty(count), np.empty(5)
    for e in range(expiries.shape[0]):
        seconds, fixed, variable = expiries[e, 0], expiries[e, 1], expiries[e, 2]
        rate, forward = max(expiries[e, 3], 0.0), fixed + variable
        years = max(seconds, 0.0) / SECONDS_PER_YEAR
        root = math.sqrt(years)
        power = model[2] if seconds <= THIRTY_DAYS else model[3]
        scale = exponential(power * logarithm(THIRTY_DAYS / max(seconds, model[4])))
        forwards[0], forwards[1], forwards[2] = forward, fixed + variable * model[12], fixed + variable * model[13]
        for s in range(spots.size):
            # a skew scenario moves no spot
            forwards[3 + s] = forward if kinds[s] >= LINEAR else fixed + variable * spots[s]
        for s in range(count):
            log_forwards[s] = logarithm(forwards[s])
            values[s] = 0.0
        for i in range(starts[e], starts[e + 1]):
            strike, vol = options[0, i], options[3, i]
            moneyness = logarithm(strike / forward)
            _vols(vol, moneyness, root, 1.0 + model[0] * scale, max(0.0, 1.0 - model[1] * scale), model[5], skew, moved)
            for s in range(3):
                deviations[s] = vol * root
            for s in range(spots.size):
                deviations[3 + s] = moved[kinds[s]] * root
            put = 0.0 if options[1, i] > 0.0 else 1.0
            _values(forwards, log_forwards, deviations, strike, options[2, i], put, values)
        discount = exponential(-rate * years)
        now = values[0] * discount
        basis = min(min(values[1], values[2]) * discount - now, 0.0) * (model[14] + model[15] * years)
        long = model[10] * exponential(-years * (rate * model[6] + model[7]))
        short = min(1.0 / discount, model[11] * exponential(years * (rate * model[8] + model[9])))
        for s in range(spots.size):
            shocked = values[3 + s] * discount
            profit = shocked * (long if shocked >= 0.0 else short) - now
            pnl[s] = pnl[s] + (-abs(profit) if kinds[s] >= LINEAR else profit)
        gross = 0.0
        for i in range(starts[e], starts[e + 1]):
            gross = gross + abs(options[2, i])
        out[e, 0], out[e, 1], out[e, 3] = now, basis, gross
        out[e, 2] = uncovered(options[0], options[2], starts[e], starts[e + 1])
