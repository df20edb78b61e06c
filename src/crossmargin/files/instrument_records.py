"""Instrument records as venues publish them, read into contracts with their own size, tick and lot.

They go before the terms on record in `instruments.specifications`, which cannot know of a change.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Contract, Spot
from crossmargin.instruments.native_names import MarketKind, parse_native
from crossmargin.instruments.specifications import Terms
from crossmargin.units import InstrumentId

Record = Mapping[str, Any]


def read_instrument_records(path: str | Path, venue: str) -> dict[InstrumentId, Contract]:
    """Return the contracts in a venue's answer to a request for its instruments, by canonical id.

    Parameters
    ----------
    path
        JSON as the venue sends it: Deribit ``public/get_instruments``, OKX ``public/instruments``, Binance
        ``exchangeInfo``, Bybit ``instruments-info``, Derive ``public/get_instruments``.
    venue
        ``deribit``, ``okx``, ``binance``, ``bybit`` or ``derive``.

    Raises
    ------
    InputError
        If the file is no such answer, or a record names no known instrument (a combination of contracts, say).
    """
    file = Path(path)
    try:
        answer = msgspec.json.Decoder(float_hook=Decimal).decode(file.read_bytes())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OSError) as error:
        raise InputError(f"{file.name} must hold instrument records of {venue}: {error}") from error
    contracts = [contract_of_record(venue, record) for record in _records(answer, file.name)]
    return {contract.id: contract for contract in contracts}


def contract_of_record(venue: str, record: Record) -> Contract:
    """Return the contract that one instrument record of `venue` describes, with its terms.

    Raises
    ------
    InputError
        If the record lacks a field, its name is unknown, or it settles in another currency than its name says.

    Examples
    --------
    >>> record = {"instId": "ETH-USDT-SWAP", "instType": "SWAP", "settleCcy": "USDT"}
    >>> sizes = {"ctVal": "0.1", "ctMult": "1", "tickSz": "0.01", "lotSz": "0.01"}
    >>> contract_of_record("okx", record | sizes).contract_size
    Decimal('0.1')
    """
    if venue not in _READERS:
        raise InputError(f"a venue with instrument records must be one of {', '.join(_READERS)}, was {venue!r}")
    try:
        name, kind, terms, settle = _READERS[venue](record)
    except (KeyError, StopIteration, TypeError, AttributeError, InvalidOperation, ZeroDivisionError) as error:
        raise InputError(
            f"an instrument record of {venue} must have its fields as the venue documents them, "
            f"found {type(error).__name__} {error} in {str(record)[:80]}"
        ) from error
    contract = parse_native(venue, name, kind, terms)
    if settle and not isinstance(contract, Spot) and contract.settle != settle:
        raise InputError(f"{name} of {venue} must settle in {contract.settle} by its name, its record says {settle}")
    return contract


def _records(answer: object, file: str) -> list[Record]:
    """Return the list of records, wherever the venue's envelope holds it."""
    for key in ("result", "symbols", "optionSymbols", "data", "list", "response"):
        if isinstance(answer, dict) and key in answer:
            return _records(answer[key], file)
    rows = [answer] if isinstance(answer, dict) and answer else answer
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"an answer must hold a list of instrument records, {file} holds none")
    return rows


def _deribit(record: Record) -> tuple[str, None, Terms, str]:
    size = _exact(record["contract_size"])
    terms = Terms(
        contract_size=size,
        tick_size=_exact(record["tick_size"]),
        # stated in USD for inverse futures and in coins for all else, as the size is
        lot_size=_exact(record["min_trade_amount"]) / size,
    )
    return record["instrument_name"], None, terms, record.get("settlement_currency", "")


def _okx(record: Record) -> tuple[str, None, Terms, str]:
    sized = record["instType"] not in ("SPOT", "MARGIN")
    terms = Terms(
        contract_size=_exact(record["ctVal"]) * _exact(record["ctMult"]) if sized else Decimal(1),
        tick_size=_exact(record["tickSz"]),
        lot_size=_exact(record["lotSz"]),
    )
    return record["instId"], None, terms, record["settleCcy"]


def _binance(record: Record) -> tuple[str, MarketKind, Terms, str]:
    filters = {one["filterType"]: one for one in record["filters"]}
    spot = "contractType" not in record and "strikePrice" not in record
    terms = Terms(
        contract_size=_exact(record.get("contractSize", record.get("unit", 1))),
        tick_size=_exact(filters["PRICE_FILTER"]["tickSize"]),
        lot_size=_exact(filters["LOT_SIZE"]["stepSize"]),
    )
    return record["symbol"], MarketKind.SPOT if spot else MarketKind.DERIVATIVE, terms, record.get("marginAsset", "")


def _bybit(record: Record) -> tuple[str, MarketKind, Terms, str]:
    if "price_filter" in record:  # the second version of the interface, until 2023
        tick, step = record["price_filter"]["tick_size"], record["lot_size_filter"]["qty_step"]
        return record["name"], MarketKind.DERIVATIVE, Terms(tick_size=_exact(tick), lot_size=_exact(step)), ""
    lots = record["lotSizeFilter"]
    kind = MarketKind.SPOT if "basePrecision" in lots else MarketKind.DERIVATIVE
    terms = Terms(
        tick_size=_exact(record["priceFilter"]["tickSize"]),
        lot_size=_exact(lots["basePrecision"] if kind is MarketKind.SPOT else lots["qtyStep"]),
    )
    return record["symbol"], kind, terms, record.get("settleCoin", "")


def _derive(record: Record) -> tuple[str, None, Terms, str]:
    terms = Terms(tick_size=_exact(record["tick_size"]), lot_size=_exact(record["amount_step"]))
    return record["instrument_name"], None, terms, ""


def _exact(value: object) -> Decimal:
    return Decimal(str(value))


_READERS: dict[str, Callable[[Record], tuple[str, MarketKind | None, Terms, str]]] = {
    "deribit": _deribit,
    "okx": _okx,
    "binance": _binance,
    "bybit": _bybit,
    "derive": _derive,
}
