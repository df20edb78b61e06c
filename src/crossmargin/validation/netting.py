"""What a pair is asked for against its two legs apart, under the same margin on the same days."""

from dataclasses import dataclass

import numpy as np

from crossmargin.units import FloatArray
from crossmargin.validation.books import LinearBooks


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSaving:
    """How far a pair's mean margin lies below the sum of its legs' (`saving`), and the pair's own coverage."""

    pair: str
    saving: float
    coverage: float


def pair_savings(books: LinearBooks, margins: FloatArray, profits: FloatArray) -> tuple[PairSaving, ...]:
    """Return the saving of every book that is long one coin, short another, and has both legs among the books.

    Parameters
    ----------
    margins, profits : arrays of shape (n_books, n_days)
        NaN where either is missing; only days on which pair and legs have a margin count.
    """
    legs = {
        (int(np.flatnonzero(row)[0]), float(np.sign(row.sum()))): place
        for place, row in enumerate(books.weights)
        if np.count_nonzero(row) == 1
    }
    found = []
    for place, row in enumerate(books.weights):
        held = [(int(coin), float(np.sign(row[coin]))) for coin in np.flatnonzero(row)]
        if len(held) != 2 or held[0][1] == held[1][1] or not all(leg in legs for leg in held):
            continue
        # legs are margined per dollar of their own size
        alone = sum(abs(row[leg[0]]) / abs(books.weights[legs[leg]][leg[0]]) * margins[legs[leg]] for leg in held)
        known = np.isfinite(margins[place]) & np.isfinite(alone) & np.isfinite(profits[place])
        if known.any():
            covered = -profits[place][known] <= margins[place][known]
            found.append(
                PairSaving(
                    pair=books.names[place],
                    saving=1.0 - float(margins[place][known].mean() / np.asarray(alone)[known].mean()),
                    coverage=float(covered.mean()),
                )
            )
    return tuple(found)
