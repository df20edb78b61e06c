"""Market snapshots: tables of quotes, read into a `MarketSnapshot`."""

import dataclasses
import datetime as dt
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Literal

from crossmargin.errors import InputError, MarketDataError
from crossmargin.files.market_tables import IndexRow, MarketTables, QuoteRow, nanoseconds, tables_at
from crossmargin.files.quoted_vols import quoted_surfaces
from crossmargin.instruments.contracts import Contract, Future, Option, Payoff
from crossmargin.instruments.specifications import Terms
from crossmargin.instruments.symbols import parse_contract
from crossmargin.market.forward_curve import ForwardCurve
from crossmargin.market.quality import Quote, QuoteRules, judge
from crossmargin.market.snapshot import Finding, MarketSnapshot, Price, Quality
from crossmargin.pricing.surface import fit_surface
from crossmargin.units import LARGEST_NUMBER, SMALLEST_PRICE, USD, Currency, InstrumentId

_ANY_SIZE = Terms()  # a quote is per coin: the size of its contract matters to a position only

__all__ = ["IndexRow", "MarketTables", "QuoteRow", "read_market", "snapshot"]


def read_market(
    path: str | Path,
    at: str | dt.datetime | None = None,
    *,
    rules: QuoteRules | None = None,
    surface: Literal["quoted", "fitted"] = "quoted",
) -> MarketSnapshot:
    """Return the snapshot in a market file or folder.

    JSON holds one snapshot. CSV and Parquet hold one or many: rows of kind `index` and `quote` in one table, a folder
    of `index` and `quotes` tables, or an option chain as venues publish it (Parquet).

    Parameters
    ----------
    at
        Take the newest snapshot at or before this time (ISO 8601, UTC unless it has a zone; a date alone means its
        end). Without it, the newest of all.
    rules
        When a quote is doubtful and what is then done.
    surface
        Vols as quoted and interpolated, or an arbitrage-free SVI surface fitted to them; `VolSurface.is_fitted` says
        which, and a finding per expiry states the error of the fit.

    Raises
    ------
    InputError
        If the file is missing, breaks the schema, or begins after `at`.
    MarketDataError
        If a price is impossible.
    """
    if surface not in ("quoted", "fitted"):
        raise InputError(f"a surface is quoted or fitted, was {surface!r}")
    market = snapshot(tables_at(Path(path), at), rules or QuoteRules())
    return market if surface == "quoted" else _fitted(market)


def _fitted(market: MarketSnapshot) -> MarketSnapshot:
    fits = {currency: fit_surface(surface) for currency, surface in market.surfaces.items()}
    findings = tuple(
        Finding(
            subject=f"vol surface {currency} at {fit.expiry_ns} ns",
            rule="fit error",
            found=f"RMSE {fit.rmse:.5f}, by vega {fit.weighted_rmse:.5f}, at most {fit.worst:.5f} of {fit.n_quotes}",
            treatment=f"arbitrage removed: {fit.repair}" if fit.repair else "fitted as it is",
        )
        for currency, surface in fits.items()
        for fit in surface.slices
    )
    surfaces = {currency: fit.surface for currency, fit in fits.items()}
    return dataclasses.replace(market, surfaces=surfaces, findings=market.findings + findings)


def snapshot(
    tables: MarketTables, rules: QuoteRules | None = None, previous: MarketSnapshot | None = None
) -> MarketSnapshot:
    """Return the snapshot written down in `tables`, its quotes judged by `rules` and against `previous`."""
    rules = rules or QuoteRules()
    time_ns = nanoseconds(tables.time)
    findings: list[Finding] = list(tables.findings)
    index: dict[Currency, Price] = {}
    for line in tables.index:
        currency = Currency(line.currency)
        if currency in index:
            raise InputError(f"a currency has one index price in a snapshot, {currency} has two")
        quote = Quote(subject=f"index {currency}", mark=line.price, time_ns=_observed(line.quote_time))
        before = previous.index.get(currency) if previous else None
        price, found = judge(quote, time_ns, rules, before)
        findings += found
        if price is not None:
            index[currency] = price
    contracts = [(parse_contract(row.instrument, _ANY_SIZE), row) for row in tables.quotes]
    marks: dict[InstrumentId, Price] = {}
    for contract, row in contracts:
        if contract.id in marks:
            raise InputError(f"an instrument has one quote in a snapshot, {contract.id} has two")
        before = previous.marks.get(contract.id) if previous else None
        price, found = judge(_quote(contract, row), time_ns, rules, before)
        findings += found
        if price is not None:
            marks[contract.id] = price
    curves = _curves(contracts, marks, index, time_ns)
    surfaces, unmarked = quoted_surfaces(contracts, marks, index, curves, time_ns)
    return MarketSnapshot(
        time_ns=time_ns,
        index=index,
        marks=marks,
        forwards=curves,
        surfaces=surfaces,
        funding_rate_8h={
            contract.id: _finite(row.funding_rate_8h, "funding_rate_8h", contract)
            for contract, row in contracts
            if row.funding_rate_8h is not None
        },
        open_interest={
            contract.id: _not_negative(row.open_interest, "open_interest", contract)
            for contract, row in contracts
            if row.open_interest is not None
        },
        delivery_averages={
            Currency(line.currency): line.delivery_average for line in tables.index if line.delivery_average is not None
        },
        findings=(*findings, *unmarked),
    )


def _quote(contract: Contract, row: QuoteRow) -> Quote:
    return Quote(
        subject=contract.id,
        mark=row.mark,
        bid=row.bid,
        ask=row.ask,
        time_ns=_observed(row.quote_time),
        may_be_zero=isinstance(contract, Option),
    )


def _observed(time: dt.datetime | None) -> int | None:
    return None if time is None else nanoseconds(time)


def _curves(
    contracts: list[tuple[Contract, QuoteRow]],
    marks: dict[InstrumentId, Price],
    index: dict[Currency, Price],
    time_ns: int,
) -> dict[Currency, ForwardCurve]:
    """One curve per underlying: the forward that options name (its median per expiry), else the future's mark."""
    named: dict[Currency, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    futures: dict[Currency, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for contract, row in contracts:
        if isinstance(contract, Option | Future) and row.forward is not None:
            named[contract.base][contract.expiry_ns].append(_positive(row.forward, "forward", contract))
        mark = marks.get(contract.id)
        if isinstance(contract, Future) and mark is not None and mark.quality is Quality.GOOD:
            dollars = 1.0 if contract.quote == USD or contract.payoff is Payoff.QUANTO else _spot(index, contract.quote)
            futures[contract.base][contract.expiry_ns].append(mark.value * dollars)
    curves = {}
    for currency in sorted({*named, *futures}):
        quotes = {**futures[currency], **named[currency]}
        expiries = tuple(sorted(quotes))
        curves[currency] = ForwardCurve(
            spot=_spot(index, currency),
            time_ns=time_ns,
            expiries_ns=expiries,
            forwards=tuple(statistics.median(quotes[expiry]) for expiry in expiries),
        )
    return curves


def _spot(index: dict[Currency, Price], currency: Currency) -> float:
    if currency not in index:
        raise MarketDataError(f"an underlying must have an index price, {currency} has none")
    return index[currency].value


def _finite(value: float, name: str, contract: Contract) -> float:
    if not abs(value) <= LARGEST_NUMBER:
        raise MarketDataError(f"{name} must be finite, was {value} for {contract.id}")
    return value


def _positive(value: float, name: str, contract: Contract) -> float:
    if not SMALLEST_PRICE <= value <= LARGEST_NUMBER:
        raise MarketDataError(f"{name} must be finite and positive, was {value} for {contract.id}")
    return value


def _not_negative(value: float, name: str, contract: Contract) -> float:
    if not 0.0 <= value <= LARGEST_NUMBER:
        raise MarketDataError(f"{name} must be finite and not negative, was {value} for {contract.id}")
    return value
