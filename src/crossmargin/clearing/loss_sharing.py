"""How a loss that its owner cannot pay is shared among those who stay."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from crossmargin.clearing.waterfall import Layer, Payer, draws
from crossmargin.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Haircut:
    """What the warming profits and insurance pay, and the fraction taken off everybody's matured equity."""

    warming: int
    insurance: int
    fraction: Fraction
    unpaid: int


def equity_haircut(deficit: int, *, warming: int, insurance: int, equity: int) -> Haircut:
    """Return how a deficit is paid: profits still warming up, then insurance, then matured equity pro rata.

    Percolator (github.com/aeyakovenko/percolator, commit d594e6a9): instead of closing winners' positions, all equity
    shrinks by one fraction.

    Examples
    --------
    >>> equity_haircut(1_000_000, warming=100_000, insurance=200_000, equity=1_200_000).fraction
    Fraction(7, 12)
    """
    layers = (
        Layer("warming", (Payer("warming", warming),)),
        Layer("insurance", (Payer("insurance", insurance),)),
    )
    paid, left = draws(max(deficit, 0), layers)
    amounts = {draw.layer: draw.amount for draw in paid}
    taken = min(left, equity)
    return Haircut(
        warming=amounts.get("warming", 0),
        insurance=amounts.get("insurance", 0),
        fraction=Fraction(taken, equity) if equity > 0 else Fraction(0),
        unpaid=left - taken,
    )


@dataclass(frozen=True, slots=True)
class Loser:
    """Owes `loss` and has `balance`."""

    name: str
    loss: int
    balance: int


def collect(losers: Sequence[Loser], insurance: int) -> tuple[tuple[int, ...], int]:
    """Return what each loser's account and insurance pay together for him, and the insurance left."""
    paid = []
    for loser in losers:
        if loser.loss < 0 or loser.balance < 0:
            raise InputError(f"loss and balance must not be negative, were {loser.loss} and {loser.balance}")
        own = min(loser.loss, loser.balance)
        help_given = min(loser.loss - own, insurance)
        insurance -= help_given
        paid.append(own + help_given)
    return tuple(paid), insurance


def floor_shares(collected: int, gains: Sequence[int]) -> tuple[int, ...]:
    """Return what each winner is paid: the floor of his share, and the last one what is left over.

    Vega loss socialisation (vegaprotocol/vega, commit a50750cc). `capped_shares` of the waterfall is the largest
    remainder instead.

    Examples
    --------
    >>> floor_shares(5100, [80, 8000])
    (50, 5050)
    """
    expected = sum(gains)
    if expected == 0:
        return tuple(0 for _ in gains)
    if collected < 0 or any(gain < 0 for gain in gains):
        raise InputError("gains and what was collected must not be negative")
    shares = [gain * collected // expected for gain in gains]
    shares[-1] += collected - sum(shares)
    return tuple(shares)
