"""Our canonical symbols against those that ccxt makes of the same recorded instrument records, offline."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ccxt
import pytest

from crossmargin.files.instrument_records import contract_of_record

Rows = list[dict[str, Any]]


def _rows(shared: Path, venue: str) -> Rows:
    rows: Rows = []
    for file in sorted((shared / "data/recorded/instrument_dumps").glob(f"{venue}_*")):
        rows += _list(json.loads(gzip.decompress(file.read_bytes()))["response"])
    for file in sorted((shared / "data/recorded/venue_answers" / venue).glob("*instrument*.json")):
        rows += _list(json.loads(file.read_bytes()))
    return rows


def _list(answer: Any) -> Rows:
    for key in ("result", "symbols", "data", "list"):
        if isinstance(answer, dict) and key in answer:
            answer = answer[key]
    return [answer] if isinstance(answer, dict) else list(answer)


def _one_by_one(venue: str, rows: Rows) -> list[str]:
    exchange = getattr(ccxt, venue)()
    return [exchange.parse_market(row)["symbol"] for row in rows]


def _deribit(rows: Rows) -> list[str]:
    """Return ccxt's symbols; `fetch_markets` is the only way in, so its request is answered from the records."""
    exchange = ccxt.deribit()
    symbols = []
    for row in rows:
        exchange.publicGetGetInstruments = lambda _, row=row: {"result": [row]}
        symbols += [market["symbol"] for market in exchange.fetch_markets()]
    return symbols


def _bybit(rows: Rows) -> list[str]:
    exchange = ccxt.bybit()
    symbols = []
    for row in rows:
        spot, option = "marginTrading" in row, "optionsType" in row
        answer = {"result": {"category": "linear" if row["quoteCoin"] != "USD" else "inverse", "list": [row]}}
        exchange.publicGetV5MarketInstrumentsInfo = lambda _, answer=answer: answer
        fetch = "fetch_spot_markets" if spot else "fetch_option_markets" if option else "fetch_future_markets"
        symbols.append(getattr(exchange, fetch)({})[0]["symbol"])
    return symbols


def _kept(venue: str, rows: Rows) -> Rows:
    """Return the records that ccxt can read and that name one contract."""
    if venue == "deribit":  # ccxt needs counter_currency, absent in 2021; combinations keep the venue's name in ccxt
        return [row for row in rows if "counter_currency" in row and "combo" not in row["kind"].lower()]
    return [row for row in rows if "price_filter" not in row]  # Bybit's interface of 2021 is gone from ccxt


ORACLES: dict[str, Callable[[Rows], list[str]]] = {
    "deribit": _deribit,
    "okx": lambda rows: _one_by_one("okx", rows),
    "binance": lambda rows: _one_by_one("binance", rows),
    "bybit": _bybit,
    "derive": lambda rows: _one_by_one("derive", rows),
}


# ours, that of ccxt, how many records, and why
DIFFERENCES: dict[str, dict[tuple[str, str], int]] = {
    # ccxt gives the ticker AE of OKX to another coin
    "okx": {("AE/USDT", "AET/USDT"): 1},
    # the recorded answers state a delivery time on another day than the name; we go by the name. ccxt takes the quote
    # from the record; every Bybit option settled in USDC is named alike, whatever quote the record gives
    "bybit": {
        ("ETH/USDC:USDC-260626-16000-P", "ETH/USDC:USDC-260528-16000-P"): 1,
        ("BTC/USDC:USDC-250630-100000-C", "BTC/USD:USDC-250615-100000-C"): 1,
    },
    # we quote in the dollar of the index (ETH-USD) that the contract follows, ccxt in the settlement coin; the answers'
    # expiry of the option is again not the day of its name
    "derive": {
        ("ETH/USD:USDC", "ETH/USDC:USDC"): 4,
        ("ETH/USD:USDC-260627-3500-C", "ETH/USDC:USDC-260621-3500-C"): 2,
    },
}


@pytest.mark.parametrize("venue", sorted(ORACLES))
def test_our_symbol_is_that_of_ccxt_but_the_listed(
    shared: Path, venue: str, record_property: Callable[[str, object], None]
) -> None:
    rows = _kept(venue, _rows(shared, venue))
    ours = [contract_of_record(venue, row).id.partition(":")[2] for row in rows]
    differing = Counter((a, b) for a, b in zip(ours, ORACLES[venue](rows), strict=True) if a != b)
    assert dict(differing) == DIFFERENCES.get(venue, {})
    record_property("outside_cases", len(rows))
