"""The market under `scenario_grid` in columns: what compiled functions read beside an account's own columns.

Contracts are also there in whole numbers, so that profit since entry is computed as the ledger would book it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from crossmargin.instruments.contracts import Instrument, Payoff
from crossmargin.ledger.settlement import ContractTerms
from crossmargin.margin.grid_columns import GridColumns, GridLayout, PackedGrid, grid_layout, packed
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import IntArray

EXACT = 2**53
"""Whole numbers up to here are floats."""
AMPLE = 2**61
"""Sums of whole numbers stay below this, so that no addition leaves 64 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridMarket:
    """The market as the kernels read it.

    Attributes
    ----------
    grid, columns
        The same columns packed for kernels, and apart.
    rows, numbers
        Rows of instruments, and numbers of currencies.
    terms : integers of shape (n_instruments, 5)
        Value of a lot in quanta at the mark as a fraction, most lots for which that fits, the number of the settlement
        asset, and the sign of a long's value; the denominator is 0 for what is paid for.
    lot_sizes : integers of shape (n_instruments, 2)
        Contracts per lot as a fraction; 0 where that does not fit.
    scales : integers of shape (n_currencies, 2)
        A quantum as a fraction; 0 where that does not fit.
    """

    grid: PackedGrid
    columns: GridColumns
    rows: dict[str, int]
    numbers: dict[str, int]
    terms: IntArray
    lot_sizes: IntArray
    scales: IntArray

    @property
    def shape(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Instruments and currencies: books of one shape fit all markets of that shape."""
        return tuple(self.rows), tuple(self.numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketLayout:
    """What of a market no price changes.

    Attributes
    ----------
    columns
        The same of its columns.
    marked
        Row and terms of contracts that are marked to market.
    terms, lot_sizes, scales
        As in `GridMarket`; terms of what is marked to market hold nothing yet.
    """

    columns: GridLayout
    rows: dict[str, int]
    numbers: dict[str, int]
    marked: dict[str, tuple[int, ContractTerms]]
    terms: IntArray
    lot_sizes: IntArray
    scales: IntArray

    def fits(self, instruments: tuple[Instrument, ...], currencies: Sequence[str]) -> bool:
        """Whether this is the layout of the same instruments, by identity, and currencies."""
        return self.columns.instruments is instruments and self.columns.currencies == tuple(currencies)


def market_layout(
    risk: RiskArray, currencies: Sequence[str], contracts: Mapping[str, ContractTerms], quanta: Mapping[str, Decimal]
) -> MarketLayout:
    """Return the layout for instruments of `risk`, of which `contracts` gives the terms of contracts.

    `quanta` is the quantum of every currency that is taken on as an asset.
    """
    rows = {str(name): row for name, row in risk.rows.items()}
    numbers = {name: number for number, name in enumerate(currencies)}
    terms = np.zeros((len(rows), 5), dtype=np.int64)
    for name, contract in contracts.items():
        terms[rows[name], 3] = numbers[contract.settle]
    return MarketLayout(
        columns=grid_layout(risk, currencies),
        rows=rows,
        numbers=numbers,
        marked={name: (rows[name], contract) for name, contract in contracts.items() if not contract.is_paid_up},
        terms=terms,
        lot_sizes=_fractions({rows[name]: contract.lot_size for name, contract in contracts.items()}, len(rows)),
        scales=_fractions({numbers[name]: size for name, size in quanta.items() if name in numbers}, len(numbers)),
    )


def grid_market(grid: GridColumns, layout: MarketLayout, marks: Mapping[str, Decimal]) -> GridMarket:
    """Return the market of `grid`; `marks` are those of all contracts that are marked to market."""
    terms, floats = layout.terms.copy(), grid.mark.copy()
    for name, mark in marks.items():
        row, contract = layout.marked[name]
        floats[row] = float(mark)
        terms[row] = _value_of_a_lot(contract, mark, layout.numbers[contract.settle])
    columns = grid._replace(mark=floats)
    return GridMarket(
        grid=packed(columns),
        columns=columns,
        rows=layout.rows,
        numbers=layout.numbers,
        terms=terms,
        lot_sizes=layout.lot_sizes,
        scales=layout.scales,
    )


def _fractions(sizes: dict[int, Decimal], count: int) -> IntArray:
    fractions = np.zeros((count, 2), dtype=np.int64)
    for place, size in sizes.items():
        numerator, denominator = size.as_integer_ratio()
        if numerator < EXACT and denominator < EXACT:
            fractions[place] = numerator, denominator
    return fractions


def _value_of_a_lot(terms: ContractTerms, mark: Decimal, settle: int) -> tuple[int, int, int, int, int]:
    (numerator, denominator), (p, q) = terms.ratio(), mark.as_integer_ratio()
    inverse = terms.contract.payoff is Payoff.INVERSE
    a, b = (numerator * q, denominator * p) if inverse else (numerator * p, denominator * q)
    common = math.gcd(a, b)
    a, b = a // common, b // common
    if a >= AMPLE or b >= AMPLE:
        return 0, 1, -1, settle, 0  # no lots fit
    return a, b, AMPLE // a, settle, -1 if inverse else 1
