"""Contract terms that a symbol does not tell: size, tick and lot per venue and kind, with their source.

Facts published by the venues (their instrument end points and contract specification pages). A market snapshot that
brings its own terms replaces these.
"""

from dataclasses import dataclass
from decimal import Decimal

from crossmargin.instruments.contracts import Payoff


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Size, tick and lot of a family of contracts."""

    contract_size: Decimal = Decimal(1)
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None


def terms(venue: str, kind: str, payoff: Payoff, base: str) -> Terms:
    """Return the published terms of a contract, or one coin per contract where a venue quotes in coins.

    `kind` is ``spot``, ``perpetual``, ``future`` or ``option``.

    Examples
    --------
    >>> terms("deribit", "perpetual", Payoff.INVERSE, "BTC").contract_size
    Decimal('10')
    """
    for key in ((venue, kind, payoff, base), (venue, kind, payoff, "*")):
        if key in _TERMS:
            return _TERMS[key]
    return Terms()


_D = Decimal
_TERMS: dict[tuple[str, str, Payoff, str], Terms] = {
    # docs.deribit.com public/get_instruments, read January 2026
    ("deribit", "perpetual", Payoff.INVERSE, "BTC"): Terms(contract_size=_D(10), tick_size=_D("0.5"), lot_size=_D(1)),
    ("deribit", "perpetual", Payoff.INVERSE, "ETH"): Terms(contract_size=_D(1), tick_size=_D("0.05"), lot_size=_D(1)),
    ("deribit", "future", Payoff.INVERSE, "BTC"): Terms(contract_size=_D(10), tick_size=_D("2.5"), lot_size=_D(1)),
    ("deribit", "future", Payoff.INVERSE, "ETH"): Terms(contract_size=_D(1), tick_size=_D("0.05"), lot_size=_D(1)),
    ("deribit", "option", Payoff.INVERSE, "*"): Terms(tick_size=_D("0.0001"), lot_size=_D("0.1")),
}
