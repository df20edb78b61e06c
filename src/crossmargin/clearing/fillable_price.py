"""At which price a position is closed: bankruptcy price, fillable price and what insurance gives or takes.

Whole quanta and exact fractions throughout, rounded as the chain rounds. Rule: dYdX v4, `x/clob` and `x/perpetuals`
(github.com/dydxprotocol/v4-chain, commit 84d4664b, read 2026-11).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from crossmargin.errors import InputError
from crossmargin.margin.dydx import MILLION, PerpetualTerms, maintenance, notional


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantaAccount:
    """Quote quanta of cash and base quanta per perpetual."""

    cash: int
    positions: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingTerms:
    """Parts per million: what insurance may take of a fill, and how far a fill may undercut the oracle."""

    max_fee_ppm: int = 5_000
    bankruptcy_adjustment_ppm: int = MILLION
    spread_to_maintenance_ppm: int = 100_000


def totals(account: QuantaAccount, perpetuals: Mapping[int, PerpetualTerms]) -> tuple[int, int]:
    """Return net collateral and maintenance requirement of the account."""
    held = account.positions.items()
    collateral = account.cash + sum(notional(perpetuals[name], quantity) for name, quantity in held)
    return collateral, sum(maintenance(perpetuals[name], quantity) for name, quantity in held)


def bankruptcy_price(
    account: QuantaAccount, perpetuals: Mapping[int, PerpetualTerms], perpetual: int, delta: int
) -> int:
    """Return the quote quanta received (paid if < 0) for closing `delta` that leave each unit of risk as it was.

    ``-dNNV - TNC |dMMR| / TMMR``, rounded against the account being closed.

    Raises
    ------
    InputError
        If `delta` does not reduce the position, or reduces it beyond zero.
    """
    held = _reduced(account, perpetual, delta)
    terms = perpetuals[perpetual]
    collateral, required = totals(account, perpetuals)
    released = abs(maintenance(terms, held + delta) - maintenance(terms, held))
    moved = notional(terms, held + delta) - notional(terms, held)
    return -moved - collateral * released // required


def fillable_price(
    account: QuantaAccount,
    perpetuals: Mapping[int, PerpetualTerms],
    perpetual: int,
    delta: int,
    terms: ClosingTerms,
) -> Fraction:
    """Return the worst price of a closing order, quote quanta per base quantum, as an exact fraction.

    ``(PNNV - ABR SMMR PMMR) / PS`` with ``ABR = clamp(BA (1 - TNC/TMMR), 0, 1)``: the deeper under water, the
    further from the oracle price.
    """
    held = _reduced(account, perpetual, delta)
    collateral, required = totals(account, perpetuals)
    adjusted = Fraction(terms.bankruptcy_adjustment_ppm, MILLION) * (1 - Fraction(collateral, required))
    rating = min(Fraction(1), max(Fraction(0), adjusted))
    spread = rating * Fraction(terms.spread_to_maintenance_ppm, MILLION)
    held_terms = perpetuals[perpetual]
    return (notional(held_terms, held) - spread * maintenance(held_terms, held)) / held


def insurance_delta(fill_quote: int, bankruptcy_quote: int, terms: ClosingTerms) -> int:
    """Return what a fill pays into insurance (> 0, at most the fee) or draws from it (< 0), in quote quanta."""
    surplus = fill_quote - bankruptcy_quote
    return min(abs(fill_quote) * terms.max_fee_ppm // MILLION, surplus) if surplus > 0 else surplus


def _reduced(account: QuantaAccount, perpetual: int, delta: int) -> int:
    held = account.positions.get(perpetual, 0)
    if held * delta >= 0 or abs(delta) > abs(held):
        raise InputError(f"a closing must reduce the position, was {delta} on {held} of perpetual {perpetual}")
    return held
