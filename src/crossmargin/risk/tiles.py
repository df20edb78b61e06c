"""The least profit of a book in a tile of scenarios, kept in registers from the first position to the last.

Before that a screen in single precision, at a quarter of the cost, says in which tiles the least cannot be: those whose
least is further from the least of all than both roundings together can move them. What decides is always the sum in
double precision, in the order of positions.

A compiler would store the profits after every few positions, and check each time that the arrays do not overlap; so the
loop is written in its own language, in vectors of `LANES`. Every processor adds the same products in the same order: a
product is rounded before it is added, as numpy rounds it.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core.base import BaseContext
from numba.core.typing.templates import Signature
from numba.extending import intrinsic

from crossmargin.compilation import literal_kernel
from crossmargin.units import FloatArray, IntArray

SingleArray: TypeAlias = npt.NDArray[np.float32]
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
        data = [context.make_array(found.args[n])(context, builder, arguments[n]).data for n in range(3)]  # type: ignore[no-untyped-call]
        vectors = _sums(builder, data, arguments[3], arguments[4], ir.DoubleType(), LANES, ())
        least = _least_lane(builder, vectors, LANES)
        return builder.extract_element(least, ir.Constant(ir.IntType(32), 0))

    return types.float64(tile, rows, quantities, first, last), write


def _typed_pair(
    _: object,
    tile: types.Type,
    rows: types.Type,
    quantities: types.Type,
    first: types.Type,
    last: types.Type,
    out: types.Type,
    place: types.Type,
) -> tuple[object, Callable[..., ir.Value]]:
    """Return the type of `_least_of_two`, and what writes it."""

    def write(context: BaseContext, builder: ir.IRBuilder, found: Signature, arguments: list[ir.Value]) -> ir.Value:
        data = [context.make_array(found.args[n])(context, builder, arguments[n]).data for n in range(3)]  # type: ignore[no-untyped-call]
        target = context.make_array(found.args[5])(context, builder, arguments[5]).data  # type: ignore[no-untyped-call]
        # a bound holds for either rounding, so the processor may fuse
        vectors = _sums(builder, data, arguments[3], arguments[4], ir.FloatType(), 2 * LANES, ("contract",))
        least = _least_lane(builder, vectors, LANES)
        for half in range(2):
            found_least = builder.extract_element(least, ir.Constant(ir.IntType(32), half * LANES))
            where = builder.add(arguments[6], ir.Constant(ir.IntType(64), half))
            builder.store(found_least, builder.gep(target, [where]))
        return context.get_dummy_value()  # type: ignore[no-untyped-call]

    return types.none(tile, rows, quantities, first, last, out, place), write


_least: Any = intrinsic(_typed)
_least_of_two: Any = intrinsic(_typed_pair)


def _sums(
    builder: ir.IRBuilder,
    data: list[ir.Value],
    first: ir.Value,
    last: ir.Value,
    number: ir.Type,
    lanes: int,
    flags: tuple[str, ...],
) -> list[ir.Value]:
    """Write the sums over positions `first` to `last` of quantity times row, `VECTORS` vectors of so many lanes."""
    tile, rows, quantities = data
    whole = ir.IntType(64)
    vector = ir.VectorType(number, lanes)
    zero = ir.Constant(vector, [0.0] * lanes)
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
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    spread = builder.shuffle_vector(alone, ir.Constant(vector, ir.Undefined), everywhere)
    row = builder.gep(tile, [builder.mul(builder.load(builder.gep(rows, [k])), ir.Constant(whole, VECTORS * lanes))])
    for place, each in enumerate(sums):
        where = builder.gep(row, [ir.Constant(whole, place * lanes)])
        profit = builder.load(builder.bitcast(where, vector.as_pointer()), align=4)
        product = builder.fmul(spread, profit, flags=flags)
        each.add_incoming(builder.fadd(each, product, flags=flags), body)
    k.add_incoming(builder.add(k, ir.Constant(whole, 1)), body)
    builder.branch(head)
    builder.position_at_end(done)
    return sums


def _least_lane(builder: ir.IRBuilder, vectors: list[ir.Value], group: int) -> ir.Value:
    """Write the least of `vectors` over every `group` lanes, into each of them."""
    least = vectors[0]
    for each in vectors[1:]:
        least = builder.select(builder.fcmp_ordered("<", each, least), each, least)
    lanes = least.type.count
    size = group // 2
    while size:
        turned = [lane - lane % group + (lane % group + size) % group for lane in range(lanes)]
        places = ir.Constant(ir.VectorType(ir.IntType(32), lanes), turned)
        other = builder.shuffle_vector(least, ir.Constant(least.type, ir.Undefined), places)
        least = builder.select(builder.fcmp_ordered("<", other, least), other, least)
        size //= 2
    return least


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


@literal_kernel
def in_singles(tiles: FloatArray) -> SingleArray:
    """Return tiles in single precision, two by two, of shape (n_pairs, n_rows, 2 * TILE), on a cache line.

    The lower half of every vector is of the first tile of a pair, the upper half of the second; one that is lacking is
    filled up with repetitions of the first scenario.
    """
    n_tiles, n = tiles.shape[0], tiles.shape[1]
    count = (n_tiles + 1) // 2
    raw = np.empty(count * n * 2 * TILE + 4 * LANES, dtype=np.float32)
    start = (-raw.ctypes.data % 64) // 4
    singles = raw[start : start + count * n * 2 * TILE].reshape((count, n, 2 * TILE))
    for t in range(2 * count):
        for k in range(n):
            for s in range(TILE):
                place = 2 * (s - s % LANES) + s % LANES + t % 2 * LANES
                singles[t // 2, k, place] = tiles[t, k, s] if t < n_tiles else tiles[0, k, 0]
    return singles


@literal_kernel
def least_in_pair(
    singles: SingleArray,
    pair: int,
    rows: IntArray,
    quantities: SingleArray,
    first: int,
    last: int,
    out: SingleArray,
    place: int,
) -> None:
    """Write nearly the least profit in each tile of a pair to `out` at `place` and the place after; see `rounding_of`.

    Examples
    --------
    >>> tiles = tiles_of(np.array([[1.0, -4.0], [3.0, 2.0]]), np.array([0, 1]))
    >>> out = np.zeros(2, dtype=np.float32)
    >>> least_in_pair(in_singles(tiles), 0, np.array([0, 1]), np.array([2.0, 1.0], dtype=np.float32), 0, 2, out, 0)
    >>> float(out[0])
    -6.0
    """
    _least_of_two(singles[pair], rows, quantities, first, last, out, place)


SINGLE_ROUNDING = 2.0**-24
"""Largest relative error of one operation in single precision."""
TINY, HUGE = 2.0**-60, 2.0**60
"""Sizes between which single precision holds quantities and profits, and their products, without loss of range."""


@literal_kernel
def rounding_of(count: int, gross: float) -> float:
    """Return what a profit in single precision may differ by from that in double precision.

    The sizes of its `count` terms add up to at most `gross`, to which a row counts with at least `TINY` per contract;
    quantities are between `TINY` and `HUGE`, rows at most `HUGE`. Each quantity and profit is rounded, then each product
    and each sum (Higham 2002, Accuracy and Stability of Numerical Algorithms, 3.1).
    """
    return 1.01 * (2 * count + 3) * SINGLE_ROUNDING * (gross + TINY)
