"""Arithmetic of Drift's margin in its own fixed points: weights that worsen with size, and deposits that dilute.

drift-labs/protocol-v2, programs/drift/src/math/margin and liquidation, commit 0ae3e3b1. Weights are in 1e-4, size factors in
1e-6, sizes in 1e-9, amounts in 1e-6; divisions round down unless said otherwise.
"""

from math import isqrt

from crossmargin.errors import InputError

WEIGHT_UNIT = 10**4
FACTOR_UNIT = 10**6
SIZE_UNIT = 10**9
FEE_UNIT = 10**6


def _root_of_size(size: int) -> int:
    """``sqrt(10 size + 1)`` in units of 1e-5 for a size in 1e-9."""
    if size < 0:
        raise InputError(f"a size must not be negative, was {size}")
    return isqrt(10 * size + 1)


def size_discounted_asset_weight(weight: int, factor: int, size: int) -> int:
    """Return the weight of an asset of `size`: ``min(weight, 1.1 / (1 + sqrt(10 size) * factor))``.

    Examples
    --------
    >>> size_discounted_asset_weight(9_000, 10, 1_000_000_000 * SIZE_UNIT)
    8357
    """
    if factor == 0:
        return weight
    discounted = 1_100_000 * WEIGHT_UNIT // (FACTOR_UNIT + _root_of_size(size) * factor // 10**5)
    return min(weight, discounted)


def size_premium_liability_weight(weight: int, factor: int, size: int) -> int:
    """Return the weight of a liability of `size`: ``max(weight, 0.8 weight + sqrt(10 size) * factor)``.

    Examples
    --------
    >>> size_premium_liability_weight(11_000, 10, 1_000 * SIZE_UNIT)
    11000
    """
    if factor == 0:
        return weight
    premium = _root_of_size(size) * factor // (10**5 * FACTOR_UNIT // WEIGHT_UNIT)
    return max(weight, weight - weight // 5 + premium)


def deposit_scaled_asset_weight(weight: int, deposits_value: int, scale_start: int) -> int:
    """Return the initial weight once all deposits are worth more than `scale_start`: ``weight * start / deposits``.

    Examples
    --------
    >>> deposit_scaled_asset_weight(9_000, 1_000_000, 500_000)
    4500
    """
    return weight * scale_start // deposits_value if deposits_value > scale_start else weight


def fill_asset_weight(initial: int, maintenance: int) -> int:
    """Return the weight used while an order fills: halfway between initial and maintenance.

    Examples
    --------
    >>> fill_asset_weight(1_500, 7_500)
    4500
    """
    return (initial + maintenance) // 2


def liability_to_cover(
    shortage: int,
    *,
    asset_weight: int,
    asset_multiplier: int,
    liability_weight: int,
    liability_multiplier: int,
    decimals: int,
    price: int,
    insurance_fee: int,
) -> int | None:
    """Return the liability tokens whose transfer frees `shortage` of margin; None where a transfer frees nothing.

    ``shortage / (price * (liability weight - asset weight * multipliers - fee))``, in weights ten times as fine.
    """
    fine_liability = 10 * liability_weight
    fine_asset = 10 * asset_weight * asset_multiplier // liability_multiplier
    freed = fine_liability - fine_asset - fine_liability * insurance_fee // FEE_UNIT
    return shortage * 10**decimals * 10 * WEIGHT_UNIT // (price * freed) if freed > 0 else None


def liability_for_asset(
    asset: int,
    *,
    asset_multiplier: int,
    asset_price: int,
    asset_decimals: int,
    liability_multiplier: int,
    liability_price: int,
    liability_decimals: int,
) -> int:
    """Return the liability tokens that an asset transfer pays for, rounded up against the liquidator."""
    numerator = asset * asset_price * liability_multiplier * 10**liability_decimals
    denominator = asset_multiplier * liability_price * 10**asset_decimals
    return int(-(-numerator // denominator))


def asset_for_liability(
    liability: int,
    *,
    asset_multiplier: int,
    asset_price: int,
    asset_decimals: int,
    liability_multiplier: int,
    liability_price: int,
    liability_decimals: int,
) -> int:
    """Return the asset tokens that a liability transfer earns, rounded down."""
    numerator = liability * liability_price * asset_multiplier * 10**asset_decimals
    return int(numerator // (liability_multiplier * asset_price * 10**liability_decimals))
