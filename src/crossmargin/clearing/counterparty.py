"""Who could hurt us, and how much: exposure per counterparty, and the size of a default fund against stress."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.units import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What is at stake with one counterparty, in USD."""

    name: str
    amount: float
    share: float
    """Of all exposures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FundSize:
    """Loss beyond margin of the worst members together, and in which scenario."""

    amount: float
    scenario: int
    members: tuple[str, ...]


def concentration(amounts: Mapping[str, float]) -> tuple[tuple[Exposure, ...], float]:
    """Return exposures from the largest, and their Herfindahl index (the sum of squared shares).

    Examples
    --------
    >>> concentration({"a": 30.0, "b": 10.0})[1]
    0.625
    """
    if any(not np.isfinite(amount) or amount < 0.0 for amount in amounts.values()):
        raise InputError("exposures must be finite and not negative")
    total = sum(amounts[name] for name in sorted(amounts))
    rows = tuple(
        Exposure(name=name, amount=amounts[name], share=amounts[name] / total if total else 0.0)
        for name in sorted(amounts, key=lambda key: (-amounts[key], key))
    )
    return rows, sum(row.share**2 for row in rows)


def losses_beyond_margin(pnl: FloatArray, margin: FloatArray) -> FloatArray:
    """Return what each member would owe beyond its margin in each scenario; never negative.

    Parameters
    ----------
    pnl : array of shape (n_members, n_scenarios)
        Profit (> 0) or loss (< 0) of each member's book in USD.
    margin : array of shape (n_members,)
        What each member has posted, contribution not counted.
    """
    if pnl.ndim != 2 or margin.shape != (pnl.shape[0],):
        raise InputError(f"profits must be members by scenarios, were {pnl.shape} against {margin.shape} margins")
    return np.asarray(np.maximum(-pnl - margin[:, None], 0.0))


def cover(names: tuple[str, ...], beyond: FloatArray, count: int) -> FundSize:
    """Return the size of a fund that covers the default of the `count` worst members at once: cover-1, cover-2.

    For each scenario the `count` largest losses beyond margin are added; the fund covers the worst scenario
    (CPMI-IOSCO, Principles for financial market infrastructures, April 2012, principle 4).

    Examples
    --------
    >>> cover(("a", "b", "c"), np.array([[5.0, 0.0], [4.0, 8.0], [3.0, 0.0]]), 2)
    FundSize(amount=9.0, scenario=0, members=('a', 'b'))
    """
    if not 1 <= count <= len(names) or beyond.shape[0] != len(names):
        raise InputError(f"cover needs between 1 and {beyond.shape[0]} members, was {count} of {len(names)}")
    order = np.argsort(-beyond, axis=0, kind="stable")[:count]
    sums = np.take_along_axis(beyond, order, axis=0).sum(axis=0)
    worst = int(np.argmax(sums))
    members = tuple(names[place] for place in order[:, worst])
    return FundSize(amount=float(sums[worst]), scenario=worst, members=members)
