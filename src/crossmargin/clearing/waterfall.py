"""The default waterfall: ordered layers, each with payers and a cap, that pay a shortfall to the last unit.

Amounts are whole quanta. A layer pays before the next is asked for anything; inside a layer payers share in proportion
to their weight, by largest remainder, and nobody pays more than is available of him.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from crossmargin.errors import InputError, invariant
from crossmargin.ledger.rounding import share_out


@dataclass(frozen=True, slots=True)
class Payer:
    """Somebody in a layer: how much can be taken, and the weight of the share (`available` where None)."""

    name: str
    available: int
    weight: int | None = None

    def __post_init__(self) -> None:
        if self.available < 0 or (self.weight is not None and self.weight < 0):
            raise InputError(f"what a payer has must not be negative, was {self.available} for {self.name}")


@dataclass(frozen=True, slots=True)
class Layer:
    """Payers that stand equal, and the most that they pay together (None: all they have)."""

    name: str
    payers: tuple[Payer, ...]
    cap: int | None = None


@dataclass(frozen=True, slots=True)
class Draw:
    """What one payer pays."""

    layer: str
    payer: str
    amount: int


def draws(shortfall: int, layers: Sequence[Layer]) -> tuple[tuple[Draw, ...], int]:
    """Return who pays what, and what nobody pays; together they are the shortfall.

    Raises
    ------
    InputError
        If the shortfall is negative.

    Examples
    --------
    >>> house, fund = Layer("house", (Payer("h", 40),), cap=30), Layer("fund", (Payer("a", 50), Payer("b", 50)))
    >>> [(draw.payer, draw.amount) for draw in draws(101, [house, fund])[0]]
    [('h', 30), ('a', 36), ('b', 35)]
    """
    if shortfall < 0:
        raise InputError(f"a shortfall must not be negative, was {shortfall}")
    left, paid = shortfall, []
    for layer in layers:
        limit = left if layer.cap is None else min(left, max(layer.cap, 0))
        amounts = capped_shares(
            limit,
            [payer.available if payer.weight is None else payer.weight for payer in layer.payers],
            [payer.available for payer in layer.payers],
        )
        paid += [
            Draw(layer.name, payer.name, amount) for payer, amount in zip(layer.payers, amounts, strict=True) if amount
        ]
        left -= sum(amounts)
    invariant(sum(draw.amount for draw in paid) + left == shortfall, "draws and remainder must be the shortfall")
    return tuple(paid), left


def capped_shares(total: int, weights: Sequence[int], caps: Sequence[int]) -> list[int]:
    """Return parts of `total` in proportion to `weights`, none above its cap; what a cap cuts off goes to the others.

    The parts add up to ``min(total, sum of caps of positive weight)``.

    Examples
    --------
    >>> capped_shares(100, [1, 1, 2], [10, 100, 100])
    [10, 30, 60]
    """
    parts = [0] * len(weights)
    left = total
    while left > 0:
        room = [cap - part if weight > 0 else 0 for cap, part, weight in zip(caps, parts, weights, strict=True)]
        open_weights = [weight if free > 0 else 0 for weight, free in zip(weights, room, strict=True)]
        if not any(open_weights):
            break
        shares = [min(share, free) for share, free in zip(share_out(left, open_weights), room, strict=True)]
        parts = [part + share for part, share in zip(parts, shares, strict=True)]
        left -= sum(shares)
    return parts
