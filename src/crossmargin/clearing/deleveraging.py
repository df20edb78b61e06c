"""Auto-deleveraging in whole lots: whose winning position closes a loser's, and what is taken off the profit.

A budget is spread over the loser's lots, so that every lot that a winner gives up costs him the same; he never gives
more than his profit. Three policies: the queue of most venues (profit x leverage), pro rata, and one that minimises the
largest share of a profit that is taken. Hedged accounts, whose risk a closed leg would raise, come last in all.
"""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crossmargin.errors import InputError, invariant
from crossmargin.ledger.rounding import share_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """A candidate: lots that he could give up, profit (quanta) that may be taken, leverage for the queue."""

    name: str
    lots: int
    profit: int
    leverage: float = 1.0
    hedged: bool = False

    def __post_init__(self) -> None:
        if self.lots < 0 or self.profit < 0:
            raise InputError(f"a winner's lots and profit must not be negative, were {self.lots} and {self.profit}")


@dataclass(frozen=True, slots=True)
class Cut:
    """What a winner gives: lots, and quanta of his profit."""

    name: str
    lots: int
    haircut: int


Policy = Callable[[Sequence[int], Sequence[Winner], int], list[int]]


def deleverage(policy: str, winners: Sequence[Winner], lots: int, budget: int) -> tuple[Cut, ...]:
    """Return how `lots` are closed against `winners` so that they give `budget` quanta together.

    Where all lots are closed the haircuts add up to the budget exactly; where the winners' profits do not suffice, to
    the part of the budget that belongs to the lots that were closed.

    Examples
    --------
    >>> winners = [Winner(name="a", lots=10, profit=90), Winner(name="b", lots=10, profit=30)]
    >>> deleverage("integer", winners, 4, 40)
    (Cut(name='a', lots=3, haircut=30), Cut(name='b', lots=1, haircut=10))
    """
    if lots < 0 or budget < 0:
        raise InputError(f"lots and budget must not be negative, were {lots} and {budget}")
    if policy not in POLICIES:
        raise InputError(f"a policy must be one of {', '.join(POLICIES)}, was {policy!r}")
    limits = [lot_limit(winner, lots, budget) for winner in winners]
    taken = [0] * len(winners)
    for hedged in (False, True):
        tier = [place for place, winner in enumerate(winners) if winner.hedged is hedged]
        left = lots - sum(taken)
        chosen = POLICIES[policy]([limits[place] for place in tier], [winners[place] for place in tier], left)
        for place, count in zip(tier, chosen, strict=True):
            taken[place] = count
    closed = sum(taken)
    invariant(closed <= lots, f"deleveraging must not close more than {lots} lots, closed {closed}")
    haircuts = share_out(budget * closed // lots if lots else 0, taken)
    return tuple(
        Cut(winner.name, count, haircut)
        for winner, count, haircut in zip(winners, taken, haircuts, strict=True)
        if count
    )


def fill_in_order(scores: Sequence[float], quantities: Sequence[int], quantity: int) -> list[tuple[int, int]]:
    """Return ``(place, quantity)`` of the fills that close `quantity` against the highest scores first.

    Examples
    --------
    >>> fill_in_order([3, 6, 5], [10, 10, 20], 20)
    [(1, 10), (2, 10)]
    """
    fills, left = [], quantity
    for place in sorted(range(len(scores)), key=lambda i: -scores[i]):
        taken = min(quantities[place], left)
        if taken > 0:
            fills.append((place, taken))
            left -= taken
    return fills


def percentiles(scores: Sequence[float], quantities: Sequence[int]) -> list[int]:
    """Return in which fifth of the queued quantity each candidate ends, as 20, 40, ..., 100 (the indicator lights)."""
    total, passed = sum(quantities), 0
    lights = [0] * len(scores)
    for place in sorted(range(len(scores)), key=lambda i: -scores[i]):
        passed += quantities[place]
        lights[place] = 20 * -(-5 * passed // total)
    return lights


def lot_limit(winner: Winner, lots: int, budget: int) -> int:
    """Return the most lots that a winner can give up at ``budget / lots`` each without giving more than his profit.

    It may be more than `lots`: who holds more than is asked for weighs more in `pro_rata`.
    """
    return min(winner.lots, winner.profit * lots // budget) if budget else winner.lots


def queue(limits: Sequence[int], winners: Sequence[Winner], lots: int) -> list[int]:
    """Take all that can be taken from the largest profit x leverage, then from the next (the production rule)."""
    order = sorted(range(len(winners)), key=lambda i: (-winners[i].profit * winners[i].leverage, winners[i].name))
    taken, left = [0] * len(winners), lots
    for place in order:
        taken[place] = min(limits[place], left)
        left -= taken[place]
    return taken


def pro_rata(limits: Sequence[int], winners: Sequence[Winner], lots: int) -> list[int]:
    """Take from everybody in proportion to the lots that he could give up."""
    invariant(len(limits) == len(winners), "every winner has a limit")
    return share_out(min(lots, sum(limits)), list(limits))


def fewest_percent(limits: Sequence[int], winners: Sequence[Winner], lots: int) -> list[int]:
    """Take so that the largest ``lots / profit`` is as small as whole lots allow.

    Everybody first gives the whole lots of his share in proportion to profit, his limit at most, which no optimum
    undercuts; each lot left then goes to whom it burdens least. For one constraint and increasing burdens that greedy
    step is exact; a test shows it by mixed-integer programming.
    """
    goal = min(lots, sum(limits))
    profits = [max(winner.profit, 1) for winner in winners]
    taken, free = list(limits), list(range(len(winners)))
    while free:
        left = goal - sum(limits) + sum(limits[place] for place in free)
        whole = sum(profits[place] for place in free)
        # who would reach his limit gives all of it, and the others share what is left anew
        open_still = [place for place in free if limits[place] * whole > left * profits[place]]
        if len(open_still) == len(free):
            break
        free = open_still
    for place in free:
        taken[place] = left * profits[place] // whole
    heap = [
        (_burden(taken[place] + 1, profits[place]), winners[place].name, place)
        for place in range(len(winners))
        if taken[place] < limits[place]
    ]
    heapq.heapify(heap)
    for _ in range(goal - sum(taken)):
        _, name, place = heapq.heappop(heap)
        taken[place] += 1
        if taken[place] < limits[place]:
            heapq.heappush(heap, (_burden(taken[place] + 1, profits[place]), name, place))
    return taken


def _burden(lots: int, profit: int) -> int:
    """Return ``lots / profit`` in units of 2^-96: whole numbers compare fast, and ties need 28 equal digits."""
    return (lots << 96) // profit


POLICIES: dict[str, Policy] = {"queue": queue, "pro rata": pro_rata, "integer": fewest_percent}
