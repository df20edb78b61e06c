"""Canonical ids: ``venue:ccxt-unified-symbol``, lossless both ways.

``deribit:BTC/USD:BTC-260327-100000-C`` is an inverse call, ``binance:BTC/USDT:USDT`` a linear perpetual,
``okx:BTC/USDT`` a spot pair.
"""

import dataclasses
import datetime as dt
import re
from decimal import Decimal
from typing import TypedDict

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import (
    Contract,
    Future,
    Option,
    OptionType,
    Perpetual,
    Spot,
)
from crossmargin.instruments.specifications import Terms, published_terms
from crossmargin.units import NANOSECONDS_PER_SECOND, Currency, InstrumentId, Venue

_TICKER = r"[A-Z0-9][A-Z0-9._$]*"
_CANONICAL = re.compile(
    rf"(?P<venue>[a-z][a-z0-9_]*):(?P<base>{_TICKER}(?:-{_TICKER})?)/(?P<quote>{_TICKER})"
    rf"(?::(?P<settle>{_TICKER})(?:-(?P<expiry>\d{{6}})(?:-(?P<strike>(?:0|[1-9]\d*)(?:\.\d*[1-9])?)-(?P<type>[CP]))?)?)?"
)
_EXPIRY_HOUR_UTC = 8  # Deribit, OKX, Binance, Bybit and Derive settle dated contracts at 08:00 UTC


def parse_contract(text: str, terms: Terms | None = None) -> Contract:
    """Return the contract named by a canonical id, with `terms` or those that its venue has published.

    Raises
    ------
    InputError
        If `text` is not of the form ``venue:BASE/QUOTE[:SETTLE[-YYMMDD[-STRIKE-C|P]]]``, its date does not exist, or
        its size is not known.
    """
    match = _CANONICAL.fullmatch(text)
    if match is None:
        raise InputError(f"an instrument is named venue:BASE/QUOTE[:SETTLE[-YYMMDD[-STRIKE-C|P]]], was {text!r}")
    part = match.groupdict()
    names = _Names(
        id=InstrumentId(text),
        venue=Venue(part["venue"]),
        base=Currency(part["base"]),
        quote=Currency(part["quote"]),
        settle=Currency(part["settle"] or part["quote"]),
    )
    if part["settle"] is None:
        return _with_terms(Spot(**names), "spot", terms)
    if part["expiry"] is None:
        return _with_terms(Perpetual(**names), "perpetual", terms)
    expiry_ns = _expiry_ns(part["expiry"], text)
    if part["strike"] is None:
        return _with_terms(Future(**names, expiry_ns=expiry_ns), "future", terms)
    strike, kind = Decimal(part["strike"]), OptionType(part["type"])
    return _with_terms(Option(**names, expiry_ns=expiry_ns, strike=strike, option_type=kind), "option", terms)


class _Names(TypedDict):
    id: InstrumentId
    venue: Venue
    base: Currency
    quote: Currency
    settle: Currency


def _with_terms(contract: Contract, kind: str, known: Terms | None) -> Contract:
    found = known or published_terms(contract.venue, kind, contract.payoff, contract.base)
    return dataclasses.replace(
        contract, contract_size=found.contract_size, tick_size=found.tick_size, lot_size=found.lot_size
    )


def _expiry_ns(yymmdd: str, text: str) -> int:
    try:
        day = dt.datetime.strptime(yymmdd, "%y%m%d").replace(hour=_EXPIRY_HOUR_UTC, tzinfo=dt.UTC)
    except ValueError as error:
        raise InputError(f"an expiry is a date YYMMDD, was {yymmdd} in {text!r}") from error
    return int(day.timestamp()) * NANOSECONDS_PER_SECOND
