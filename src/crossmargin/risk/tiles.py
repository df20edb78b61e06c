"""The least profit of a book in a tile of scenarios, kept in registers from the first position to the last.

A compiler would store the profits after every few positions, and check each time that the arrays do not overlap; so the
loop is written in its own language, in vectors of `LANES`. Every processor adds the same products in the same order: a
product is rounded before it is added, as numpy rounds it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.base import BaseContext
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

from crossmargin.compilation import literal_kernel
from crossmargin.units import FloatArray, IntArray

LANES, VECTORS = 8, 7
TILE = LANES * VECTORS
"""Scenarios of a tile: 56 divide both the 105 of the grid and the 1,005 of the large one with little left over."""


@literal_kernel
def tiles_of(pnl: FloatArray, chosen: IntArray) -> FloatArray:
    """Return the `chosen` rows of `pnl` tile by tile, of shape (n_tiles, n_rows, TILE), on a cache line.

    The last tile is filled up with repetitions of the first scenario; rows that are not chosen are left out.
    """
    m, n = pnl.shape[1], chosen.size
    count = (m + TILE - 1) // TILE
    raw = np.empty(count * n * TILE + LANES)
    start = (-raw.ctypes.data % 64) // 8
    tiles = raw[start : start + count * n * TILE].reshape((count, n, TILE))
    for t in range(count):
        size = min(TILE, m - t * TILE)
        for k in range(n):
            tiles[t, k, :size] = pnl[chosen[k], t * TILE : t * TILE + size]
            tiles[t, k, size:] = pnl[chosen[k], 0]
    return tiles


def _typed(
    _: object, tile: types.Type, rows: types.Type, quantities: types.Type, first: types.Type, last: types.Type
) -> tuple[object, Callable[..., ir.Value]]:
    """Return the type of `_least`, and what writes it."""

    def write(context: BaseContext, builder: ir.IRBuilder, found: Signature, arguments: list[ir.Value]) -> ir.Value:
        arrays = [context.make_array(found.args[n])(context, builder, arguments[n]) for n in range(3)]  # type: ignore[no-untyped-call]
        return _written(builder, [array.data for array in arrays], arguments[3], arguments[4])

    return types.float64(tile, rows, quantities, first, last), write


_least: Any = intrinsic(_typed)


def _written(builder: ir.IRBuilder, data: list[ir.Value], first: ir.Value, last: ir.Value) -> ir.Value:
    """Write the least of the sums over positions `first` to `last` of quantity times row, from 0."""
    tile, rows, quantities = data
    whole, number = ir.IntType(64), ir.DoubleType()
    vector = ir.VectorType(number, LANES)
    zero = ir.Constant(vector, [0.0] * LANES)
    before = builder.block
    head, body, done = (builder.append_basic_block(name) for name in ("head", "body", "done"))
    builder.branch(head)
    builder.position_at_end(head)
    k = builder.phi(whole)
    k.add_incoming(first, before)
    sums = [builder.phi(vector) for _ in range(VECTORS)]
    for each in sums:
        each.add_incoming(zero, before)
    builder.cbranch(builder.icmp_signed("<", k, last), body, done)
    builder.position_at_end(body)
    quantity = builder.load(builder.gep(quantities, [k]))
    alone = builder.insert_element(ir.Constant(vector, ir.Undefined), quantity, ir.Constant(ir.IntType(32), 0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    spread = builder.shuffle_vector(alone, ir.Constant(vector, ir.Undefined), everywhere)
    row = builder.gep(tile, [builder.mul(builder.load(builder.gep(rows, [k])), ir.Constant(whole, TILE))])
    for place, each in enumerate(sums):
        where = builder.gep(row, [ir.Constant(whole, place * LANES)])
        profit = builder.load(builder.bitcast(where, vector.as_pointer()), align=8)
        each.add_incoming(builder.fadd(each, builder.fmul(spread, profit)), body)
    k.add_incoming(builder.add(k, ir.Constant(whole, 1)), body)
    builder.branch(head)
    builder.position_at_end(done)
    return _least_lane(builder, sums, vector)


def _least_lane(builder: ir.IRBuilder, vectors: list[ir.Value], vector: ir.VectorType) -> ir.Value:
    least = vectors[0]
    for each in vectors[1:]:
        least = builder.select(builder.fcmp_ordered("<", each, least), each, least)
    size = LANES // 2
    while size:
        turned = [(lane + size) % LANES for lane in range(LANES)]
        places = ir.Constant(ir.VectorType(ir.IntType(32), LANES), turned)
        other = builder.shuffle_vector(least, ir.Constant(vector, ir.Undefined), places)
        least = builder.select(builder.fcmp_ordered("<", other, least), other, least)
        size //= 2
    return builder.extract_element(least, ir.Constant(ir.IntType(32), 0))


@literal_kernel
def least_in_tile(tiles: FloatArray, t: int, rows: IntArray, quantities: FloatArray, first: int, last: int) -> float:
    """Return the least profit in tile `t` of positions `first` to `last`, added one after the other.

    Parameters
    ----------
    tiles : array of shape (n_tiles, n_rows, TILE)
    rows, quantities : contiguous arrays of shape (n_positions,)
        Rows of `tiles`.

    Examples
    --------
    >>> tiles = tiles_of(np.array([[1.0, -4.0], [3.0, 2.0]]), np.array([0, 1]))
    >>> least_in_tile(tiles, 0, np.array([0, 1]), np.array([2.0, 1.0]), 0, 2)
    -6.0
    """
    return _least(tiles[t], rows, quantities, first, last)  # type: ignore[no-any-return]
