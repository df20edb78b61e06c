"""Native names of six venues: known pairs, recorded dumps and chains, and round trips of drawn contracts."""

import datetime as dt
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Future, Option
from crossmargin.instruments.native_names import MarketKind, native_name, parse_instrument_name, parse_native
from crossmargin.instruments.specifications import Terms
from crossmargin.instruments.symbols import parse_contract

SPOT, DERIVATIVE = MarketKind.SPOT, MarketKind.DERIVATIVE

# symbols on the right: ccxt's documentation of unified symbols, and the venues' instrument end points
KNOWN = [
    ("deribit", "BTC-PERPETUAL", None, "BTC/USD:BTC"),
    ("deribit", "SOL_USDC-PERPETUAL", None, "SOL/USDC:USDC"),
    ("deribit", "ETH-3JAN26-2950-C", None, "ETH/USD:ETH-260103-2950-C"),
    ("deribit", "XRP_USDC-27MAR26-0d625-P", None, "XRP/USDC:USDC-260327-0.625-P"),
    ("deribit", "BTC_USDC", None, "BTC/USDC"),
    ("okx", "BTC-USDT-SWAP", None, "BTC/USDT:USDT"),
    ("okx", "BTC-USD-SWAP", None, "BTC/USD:BTC"),
    ("okx", "BTC-USD-261225", None, "BTC/USD:BTC-261225"),
    ("okx", "BTC-USD-261225-100000-C", None, "BTC/USD:BTC-261225-100000-C"),
    ("okx", "BTC-USDT", None, "BTC/USDT"),
    ("binance", "BTCUSDT", SPOT, "BTC/USDT"),
    ("binance", "BTCUSDT", DERIVATIVE, "BTC/USDT:USDT"),
    ("binance", "BTCUSDT_261225", None, "BTC/USDT:USDT-261225"),
    ("binance", "BTCUSD_PERP", None, "BTC/USD:BTC"),
    ("binance", "BTC-261225-100000-C", None, "BTC/USDT:USDT-261225-100000-C"),
    ("bybit", "BTCUSDT", DERIVATIVE, "BTC/USDT:USDT"),
    ("bybit", "BTCPERP", None, "BTC/USDC:USDC"),
    ("bybit", "BTCUSD", None, "BTC/USD:BTC"),
    ("bybit", "BTCUSDU21", None, "BTC/USD:BTC-210924"),
    ("bybit", "BTC-25DEC26", None, "BTC/USDC:USDC-261225"),
    ("bybit", "BTCUSDT-25DEC26", None, "BTC/USDT:USDT-261225"),
    ("bybit", "BTC-25DEC26-100000-C-USDT", None, "BTC/USDT:USDT-261225-100000-C"),
    ("bybit", "BTC-6JAN23-17500-C", None, "BTC/USDC:USDC-230106-17500-C"),
    ("derive", "ETH-PERP", None, "ETH/USD:USDC"),
    ("derive", "ETH-20240927-3500-C", None, "ETH/USD:USDC-240927-3500-C"),
    ("derive", "ETH-USDC", None, "ETH/USDC"),
    ("hyperliquid", "BTC", None, "BTC/USDC:USDC"),
    ("hyperliquid", "kPEPE", None, "KPEPE/USDC:USDC"),
    ("hyperliquid", "PURR/USDC", None, "PURR/USDC"),
    ("hyperliquid", "@107", None, "HYPE/USDC"),
    ("hyperliquid", "km:US500", None, "KM-US500/USDH:USDH"),
]


@pytest.mark.parametrize(("venue", "name", "kind", "symbol"), KNOWN)
def test_a_native_name_and_its_symbol_are_two_spellings_of_one_contract(
    venue: str, name: str, kind: MarketKind | None, symbol: str
) -> None:
    contract = parse_native(venue, name, kind)
    assert contract.id == f"{venue}:{symbol}"
    assert native_name(contract) == name


@pytest.mark.parametrize(
    "text",
    [
        "deribit:BTC-CS-19MAY26-70000_75000",
        "deribit:BTC-FS-19MAY26_PERP",
        "deribit:BTC-03JAN26-2950-C",
        "deribit:BTC-30FEB26",
        "deribit:BTC-3XXX26",
        "okx:BTC-USD_UM-SWAP",
        "okx:btc-usdt",
        "binance:BTCUSDT",
        "bybit:BTCUSDT",
        "bybit.margin:BTCUSDT",
        "hyperliquid:@999999",
        "hyperliquid:kFOO",
        "hyperliquid:none:BTC",
        "kraken:XBTUSD",
        "deribit:BTC/USD:BTC-260327-100000.0-C",
        "",
    ],
)
def test_an_unknown_or_ambiguous_name_is_refused_by_name(text: str) -> None:
    with pytest.raises(InputError) as refusal:
        parse_instrument_name(text)
    assert repr(text.partition(":")[2]) in str(refusal.value) or repr(text) in str(refusal.value)


def _recorded(shared: Path, pattern: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for file in sorted((shared / "data/recorded/instrument_dumps").glob(pattern)):
        answer = json.loads(gzip.decompress(file.read_bytes()))["response"]
        rows += answer.get("result") or answer.get("symbols") or answer["data"]
    return rows


def _ns(milliseconds: object) -> int:
    return int(str(milliseconds)) * 1_000_000


@pytest.mark.parametrize(
    ("venue", "pattern", "key", "expiry_ms", "expected"),
    [
        ("deribit", "deribit_*", "instrument_name", "expiration_timestamp", 1017),
        ("okx", "okx_*", "instId", "expTime", 1479),
        ("binance", "binance_*", "symbol", "deliveryDate", 158),
        ("bybit", "bybit_*", "name", None, 15),
    ],
)
def test_every_recorded_instrument_parses_comes_back_and_expires_on_the_hour_that_the_venue_says(
    shared: Path,
    venue: str,
    pattern: str,
    key: str,
    expiry_ms: str | None,
    expected: int,
    record_property: Callable[[str, object], None],
) -> None:
    rows = _recorded(shared, pattern)
    kind = None if venue in ("deribit", "okx") else DERIVATIVE
    for row in rows:
        contract = parse_native(venue, row[key], kind)
        assert native_name(contract) == row[key]
        assert parse_contract(contract.id) == contract
        settle = row.get("settlement_currency") or row.get("settleCcy") or row.get("marginAsset")
        if settle:
            assert contract.settle == settle, row[key]
        if expiry_ms is not None and isinstance(contract, Future | Option):
            assert contract.expiry_ns == _ns(row[expiry_ms]), row[key]
    assert len(rows) == expected
    record_property("outside_cases", len(rows))


@pytest.mark.parametrize("chain", ["option_chains_daily", "option_chains_historic"])
def test_every_option_of_the_chains_parses_with_its_strike_and_expiry(
    shared: Path, chain: str, record_property: Callable[[str, object], None]
) -> None:
    columns = ["instrument", "strike", "expiry", "option_type"]
    rows = pl.read_parquet(shared / f"data/{chain}.parquet", columns=columns).unique("instrument")
    for name, strike, expiry, option_type in rows.iter_rows():
        contract = parse_native("deribit", name)
        assert isinstance(contract, Option)
        assert native_name(contract) == name
        assert contract.strike_float == strike
        assert contract.option_type.value == option_type
        assert contract.expiry_ns == int(expiry.timestamp()) * 1_000_000_000
    record_property("outside_cases", len(rows))


COINS = st.sampled_from(["BTC", "ETH", "SOL", "XRP", "1INCH", "1000SHIB", "DOGE", "AVAX"])
DAYS = st.dates(dt.date(2020, 1, 1), dt.date(2049, 12, 31)).map(lambda day: f"{day:%y%m%d}")
STRIKES = st.one_of(
    st.integers(1, 1_000_000).map(str),
    st.integers(1, 10**7).filter(lambda n: n % 10 > 0).map(lambda n: f"{n // 10_000}.{n % 10_000:04d}".rstrip("0")),
).filter(lambda strike: not strike.endswith("."))
INVERSE_AND_LINEAR = {
    "deribit": ("{0}/USD:{0}", "{0}/USDC:USDC"),
    "okx": ("{0}/USD:{0}", "{0}/USDT:USDT", "{0}/USDC:USDC"),
    "binance": ("{0}/USDT:USDT",),
    "bybit": ("{0}/USDC:USDC", "{0}/USDT:USDT"),
    "derive": ("{0}/USD:USDC",),
}


@given(st.data())
def test_a_drawn_contract_comes_back_from_its_native_name(data: st.DataObject) -> None:
    venue = data.draw(st.sampled_from(sorted(INVERSE_AND_LINEAR)))
    pair = data.draw(st.sampled_from(INVERSE_AND_LINEAR[venue])).format(data.draw(COINS))
    option = f"-{data.draw(DAYS)}-{data.draw(STRIKES)}-{data.draw(st.sampled_from('CP'))}"
    dated = f"-{data.draw(DAYS)}"
    ending = data.draw(st.sampled_from(["", option] if venue == "derive" else ["", dated, option]))
    # sizes are given: not every drawn coin has one on record
    contract = parse_contract(f"{venue}:{pair}{ending}", Terms())
    assert parse_native(venue, native_name(contract), DERIVATIVE, Terms()) == contract


@pytest.mark.parametrize(
    ("name", "wanted", "size"),
    [
        # Kraken Futures: PI_ and FI_ pay in the coin and count dollars, PF_ and FF_ pay in dollars and count coins.
        ("kraken:PI_XBTUSD", "kraken:BTC/USD:BTC", "1"),
        ("kraken:PF_ETHUSD", "kraken:ETH/USD:USD", "1"),
        ("kraken:FI_XBTUSD_240628", "kraken:BTC/USD:BTC-240628", "1"),
        ("kraken:FF_XBTUSD_240628", "kraken:BTC/USD:USD-240628", "1"),
        ("bitmex:XBTUSD", "bitmex:BTC/USD:BTC", "1"),
        ("bitmex:ETHUSD", "bitmex:ETH/USD:BTC", "0.000001"),
        ("bitmex:XBTM26", "bitmex:BTC/USD:BTC-260626", "1"),
        ("dydx:BTC-USD", "dydx:BTC/USDC:USDC", "1"),
        ("lighter:ETH", "lighter:ETH/USDC:USDC", "1"),
    ],
)
def test_names_of_smaller_venues(name: str, wanted: str, size: str) -> None:
    contract = parse_instrument_name(name)
    assert (contract.id, str(contract.contract_size)) == (wanted, size)
    assert f"{contract.venue}:{native_name(contract)}" == name


@pytest.mark.parametrize("name", ["bitmex:XBTUSDT", "bitmex:NEWUSD", "kraken:PF_USD", "kraken:PI_XBTUSD_240628"])
def test_names_of_smaller_venues_that_say_too_little(name: str) -> None:
    with pytest.raises(InputError, match=name.partition(":")[2]):
        parse_instrument_name(name)


def test_recorded_contract_sizes_of_smaller_venues(shared: Path) -> None:
    answers = shared / "data/recorded/venue_answers"
    kraken = json.loads((answers / "kraken/http_futures_instruments.json").read_text())["instruments"]
    for row in kraken:
        if row["symbol"].removeprefix("PF_").isupper():  # tokenised shares have a small x in their names
            assert float(parse_instrument_name(f"kraken:{row['symbol']}").contract_size) == row["contractSize"]
    bitmex = json.loads((answers / "bitmex/http_get_instrument_xbtusd.json").read_text())
    satoshi_per_dollar = abs(bitmex["multiplier"]) / 10**8
    assert float(parse_instrument_name("bitmex:XBTUSD").contract_size) == satoshi_per_dollar
    for market in json.loads((answers / "dydx/http_get_perpetual_markets.json").read_text())["result"]["markets"]:
        assert native_name(parse_instrument_name(f"dydx:{market}")) == market
