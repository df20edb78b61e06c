"""Market snapshots: tables of quotes, read into a `MarketSnapshot`."""

import datetime as dt
from collections import defaultdict
from pathlib import Path

import msgspec

from crossmargin.errors import InputError, MarketDataError
from crossmargin.instruments.contracts import Option
from crossmargin.instruments.symbols import parse_contract
from crossmargin.market.forward_curve import ForwardCurve
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.market.vol_surface import Smile, VolSurface
from crossmargin.units import Currency, InstrumentId


class IndexRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Index price of one currency in USD."""

    currency: str
    price: float


class QuoteRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Quote of one contract; `forward` is the USD forward of its expiry."""

    instrument: str
    mark: float
    mark_vol: float | None = None
    forward: float | None = None
    bid: float | None = None
    ask: float | None = None
    funding_rate_8h: float | None = None
    open_interest: float | None = None


class MarketTables(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A snapshot as tables, the form in which it is written down."""

    time: dt.datetime
    index: tuple[IndexRow, ...]
    quotes: tuple[QuoteRow, ...] = ()
    source: str = ""


def read_market(path: str | Path) -> MarketSnapshot:
    """Return the snapshot of a market file (JSON).

    Raises
    ------
    InputError
        If the file is missing or breaks the schema.
    MarketDataError
        If a price is impossible.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"a market snapshot must be a file, found none at {path}")
    try:
        tables = msgspec.json.decode(path.read_bytes(), type=MarketTables)
    except msgspec.DecodeError as error:
        raise InputError(f"{path.name} must hold a market snapshot: {error}") from error
    return snapshot(tables)


def snapshot(tables: MarketTables) -> MarketSnapshot:
    """Return the snapshot written down in `tables`."""
    if tables.time.tzinfo is None:
        raise InputError(f"a snapshot's time must have a zone, was {tables.time}")
    time_ns = int(tables.time.timestamp()) * 1_000_000_000
    index = {Currency(row.currency): Price(row.price) for row in tables.index}
    forwards: dict[Currency, dict[int, float]] = defaultdict(dict)
    vols: dict[Currency, dict[int, dict[float, float]]] = defaultdict(lambda: defaultdict(dict))
    marks: dict[InstrumentId, Price] = {}
    for row in tables.quotes:
        contract = parse_contract(row.instrument)
        marks[contract.id] = Price(row.mark)
        if isinstance(contract, Option):
            if row.forward is not None:
                forwards[contract.base][contract.expiry_ns] = row.forward
            if row.mark_vol is not None:
                vols[contract.base][contract.expiry_ns][contract.strike_float] = row.mark_vol
    curves = {}
    for currency, quotes in forwards.items():
        if currency not in index:
            raise MarketDataError(f"an underlying must have an index price, {currency} has none")
        expiries = tuple(sorted(quotes))
        curves[currency] = ForwardCurve(
            spot=index[currency].value,
            time_ns=time_ns,
            expiries_ns=expiries,
            forwards=tuple(quotes[expiry] for expiry in expiries),
        )
    surfaces = {
        currency: VolSurface(
            time_ns=time_ns,
            smiles=tuple(_smile(expiry, quotes, curves[currency]) for expiry, quotes in sorted(smiles.items())),
        )
        for currency, smiles in vols.items()
    }
    return MarketSnapshot(
        time_ns=time_ns,
        index=index,
        marks=marks,
        forwards=curves,
        surfaces=surfaces,
        funding_rate_8h={
            InstrumentId(row.instrument): row.funding_rate_8h
            for row in tables.quotes
            if row.funding_rate_8h is not None
        },
        open_interest={
            InstrumentId(row.instrument): row.open_interest for row in tables.quotes if row.open_interest is not None
        },
    )


def _smile(expiry_ns: int, quotes: dict[float, float], curve: ForwardCurve) -> Smile:
    strikes = tuple(sorted(quotes))
    return Smile(
        expiry_ns=expiry_ns,
        forward=curve.forward(expiry_ns),
        strikes=strikes,
        vols=tuple(quotes[strike] for strike in strikes),
    )
