"""Contracts in their last half hour, when the delivery price is being averaged.

Deribit and Derive deliver at the time-weighted average of the index over the 30 minutes before expiry (docs.deribit.com
and docs.derive.xyz, contract specifications). With a share ``u`` of the window passed and running average ``A``, the
delivery price is ``u A + (1 - u) M``, ``M`` the average still to come: only ``(1 - u) M`` moves. The option is one on
``M``, struck at ``(K - u A) / (1 - u)``, times ``1 - u``. Before the window the whole average is still to come.

The log variance of an average from ``t0`` to ``t1`` ahead of now, to first order in ``sigma^2 t1``, is
``sigma^2 (t0 + (t1 - t0) / 3)``: the mean of ``min(s, t)`` over the window squared (Kemna & Vorst 1990, J. Banking &
Finance 14, 113-129, for the geometric average's third; Turnbull & Wakeman 1991 for the moments). That holds for the vol
of the index. A quoted vol is one at which plain Black-76 gives the mark, so it is the average's own already: valued with
it, an option passes into its last half hour without a step.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from crossmargin.errors import InputError
from crossmargin.pricing.black76 import black76
from crossmargin.units import DAYS_PER_YEAR, FloatArray

AVERAGING_YEARS = 30.0 / (24.0 * 60.0 * DAYS_PER_YEAR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery price of which the part `still_to_come`, from 1 to 0, moves; the rest is fixed at `average`."""

    still_to_come: float
    average: float

    def expected(self, forward: float) -> float:
        """Return the delivery price if the rest averages to `forward`.

        Examples
        --------
        >>> Delivery(still_to_come=0.25, average=100.0).expected(108.0)
        102.0
        """
        return (1.0 - self.still_to_come) * self.average + self.still_to_come * forward

    def strike_of_the_rest(self, strike: float) -> float:
        """Return what the rest must average for delivery at `strike`; not positive if the fixed part is past it.

        Examples
        --------
        >>> Delivery(still_to_come=0.25, average=100.0).strike_of_the_rest(102.0)
        108.0
        """
        if self.still_to_come <= 0.0:
            return 0.0
        return (strike - (1.0 - self.still_to_come) * self.average) / self.still_to_come


def delivery(expiry_years: float, average: float) -> Delivery:
    """Return how far delivery has come `expiry_years` before expiry, given the `average` since the window opened."""
    return Delivery(still_to_come=min(max(expiry_years / AVERAGING_YEARS, 0.0), 1.0), average=average)


def averaged_black76(
    forward: ArrayLike,
    strike: ArrayLike,
    expiry_years: ArrayLike,
    vol: ArrayLike,
    is_call: ArrayLike,
    fixed_average: ArrayLike | None = None,
    *,
    vol_of_average: bool = False,
) -> FloatArray:
    """Return the undiscounted price, in quote currency per coin, of an option on the averaged delivery price.

    All arguments broadcast. `forward` is that of the part still to come; `fixed_average` is the running average of the
    index since the window opened and counts only inside it; without it, the forward stands for it. `vol` is that of the
    index, or with `vol_of_average` one quoted for the delivered average itself.

    Raises
    ------
    InputError
        If an average is negative.

    Examples
    --------
    >>> half = AVERAGING_YEARS / 2  # half is fixed at 90: the rest would have to average above 110
    >>> float(averaged_black76(100.0, 100.0, half, 0.0, True, fixed_average=90.0))
    0.0
    >>> float(averaged_black76(130.0, 100.0, half, 0.0, True, fixed_average=90.0))
    10.0
    """
    known = forward if fixed_average is None else fixed_average
    f, k, t, average = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (forward, strike, expiry_years, known))
    )
    if np.any(average < 0.0):
        raise InputError(f"a running average must not be negative, was {average.min()}")
    left = np.clip(t / AVERAGING_YEARS, 0.0, 1.0)
    open_share = np.where(left > 0.0, left, 1.0)  # at expiry everything is fixed; see the end
    variable_strike = (k - (1.0 - left) * average) / open_share
    if vol_of_average:
        variance_years = np.maximum(t, 0.0)
    else:
        variance_years = np.maximum(t - AVERAGING_YEARS, 0.0) + np.minimum(np.maximum(t, 0.0), AVERAGING_YEARS) / 3.0
    sign = np.where(np.asarray(is_call), 1.0, -1.0)
    reachable = variable_strike > 0.0
    price = left * black76(f, np.where(reachable, variable_strike, 1.0), variance_years, vol, is_call)
    # a strike already passed by the fixed part: the call is a forward, the put is worth nothing
    certain = np.maximum(sign * ((1.0 - left) * average + left * f - k), 0.0)
    return np.asarray(np.where((left > 0.0) & reachable, price, certain))
