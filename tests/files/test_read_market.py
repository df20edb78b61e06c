import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import crossmargin as cm
from crossmargin.instruments.contracts import Option
from crossmargin.instruments.symbols import parse_contract
from crossmargin.market.snapshot import MarketSnapshot, Quality
from crossmargin.pricing.valuation import model_price
from crossmargin.units import Currency, FloatArray, InstrumentId

TIME = "2026-01-15T09:00:00+00:00"
INDEX = [{"currency": "BTC", "price": 100.0}, {"currency": "USDT", "price": 0.5}]
QUOTES = [
    {"instrument": "deribit:BTC/USD:BTC", "mark": 101.0, "bid": 100.5, "ask": 101.5, "funding_rate_8h": 1e-4},
    {"instrument": "binance:BTC/USDT:USDT-260327", "mark": 220.0, "open_interest": 7.0},
    {"instrument": "deribit:BTC/USD:BTC-260130-100-C", "mark": 0.05, "mark_vol": 0.6, "forward": 102.0},
    {"instrument": "deribit:BTC/USD:BTC-260130-100-P", "mark": 0.03, "mark_vol": 0.7, "forward": 103.0},
]


def written(folder: Path, form: str) -> Path:
    """The same snapshot as one JSON, one CSV, a folder of CSV, or one Parquet."""
    rows = [{"kind": "index", "time": TIME} | row for row in INDEX] + [
        {"kind": "quote", "time": TIME} | row for row in QUOTES
    ]
    frame = pl.from_dicts(rows, infer_schema_length=None).with_columns(pl.col("time").str.to_datetime(time_zone="UTC"))
    path = folder / f"market.{form}"
    if form == "json":
        path.write_text(json.dumps({"time": TIME, "index": INDEX, "quotes": QUOTES}))
    elif form == "csv":
        frame.write_csv(path)
    elif form == "parquet":
        frame.write_parquet(path)
    else:
        path.mkdir()
        for kind, name in (("index", "index"), ("quote", "quotes")):
            part = frame.filter(pl.col("kind") == kind).drop("kind")
            part.select(column for column in part if column.null_count() < len(column)).write_csv(path / f"{name}.csv")
    return path


@pytest.mark.parametrize("form", ["json", "csv", "folder", "parquet"])
def test_every_form_says_the_same(tmp_path: Path, form: str) -> None:
    market = cm.read_market(written(tmp_path, form))
    assert market == cm.read_market(written(tmp_path, "json"))
    assert market.funding_rate_8h == {"deribit:BTC/USD:BTC": 1e-4}
    assert market.open_interest == {"binance:BTC/USDT:USDT-260327": 7.0}
    future = parse_contract("binance:BTC/USDT:USDT-260327")
    assert market.forward(Currency("BTC"), future.expiry_ns) == 110.0  # 220 USDT at half a dollar each
    option = parse_contract("deribit:BTC/USD:BTC-260130-100-C")
    assert market.forward(Currency("BTC"), option.expiry_ns) == 102.5  # median of the two that the chain names
    assert market.vol(option) == 0.7  # the put is out of the money at 100 < 102.5


def many(folder: Path) -> Path:
    path = folder / "many.csv"
    path.write_text(
        "kind,time,currency,price\n"
        "index,2026-01-14T09:00:00Z,BTC,90\nindex,2026-01-15T09:00:00Z,BTC,95\nindex,2026-01-16T09:00:00Z,BTC,99\n"
    )
    return path


@pytest.mark.parametrize(
    ("at", "price"),
    [(None, 99), ("2026-01-15", 95), ("2026-01-15T08:59:59Z", 90), ("2026-01-15T10:00+01:00", 95), ("2027-01-01", 99)],
)
def test_the_newest_at_or_before_the_time_is_taken(tmp_path: Path, at: str | None, price: float) -> None:
    market = cm.read_market(many(tmp_path), at)
    assert market.index_price(Currency("BTC")) == price
    assert [finding.rule for finding in market.findings] == (["nearest"] if at == "2027-01-01" else [])


def test_before_the_first_the_error_lists_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(cm.InputError, match=r"holds 3 from 2026-01-14 09:00:00\+00:00 to 2026-01-16 09:00:00\+00:00"):
        cm.read_market(many(tmp_path), "2020-01-01")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("kind,time,currency,price\nindex,2026-01-14T09:00:00Z,BTC,nan\n", cm.MarketDataError, "finite and positive"),
        ("kind,time,currency,price\nindex,2026-01-14T09:00:00Z,BTC,-1\n", cm.MarketDataError, "finite and positive"),
        ("kind,time,currency\nindex,2026-01-14T09:00:00Z,BTC\n", cm.InputError, "price"),
        ("kind,time,currency,price\nother,2026-01-14T09:00:00Z,BTC,1\n", cm.InputError, "kind index or quote"),
        ("time,currency,price\n2026-01-14T09:00:00Z,BTC,1\n", cm.InputError, "column kind"),
        ("kind,time,currency,price\nindex,soon,BTC,1\n", cm.InputError, "must be a time"),
        ("", cm.InputError, "must be a table"),
    ],
)
def test_nonsense_is_refused_in_one_clear_line(tmp_path: Path, text: str, error: type[Exception], message: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(error, match=message):
        cm.read_market(tmp_path / "m.csv")


def test_a_stale_quote_keeps_its_quality_and_is_refused_when_needed(tmp_path: Path) -> None:
    quote = QUOTES[0] | {"quote_time": "2026-01-15T08:00:00Z"}
    (tmp_path / "m.json").write_text(json.dumps({"time": TIME, "index": INDEX, "quotes": [quote]}))
    market = cm.read_market(tmp_path / "m.json")
    assert market.marks[InstrumentId("deribit:BTC/USD:BTC")].quality is Quality.STALE
    with pytest.raises(cm.MarketDataError, match="must be good, was stale"):
        market.mark_price(parse_contract("deribit:BTC/USD:BTC"))


def test_real_chains_of_one_day_and_of_older_years(shared: Path) -> None:
    market = cm.read_market(shared / "data" / "option_chains_daily.parquet", "2026-01-15")
    assert len(market.marks) == 1400
    assert market.index_price(Currency("BTC")) == 96651.96
    old = cm.read_market(shared / "data" / "option_chains_historic.parquet", "2020-06-01")
    assert isinstance(old, MarketSnapshot)
    assert len(old.surfaces[Currency("BTC")].smiles) == 7
    both = cm.read_market(shared / "data" / "option_chains_historic.parquet", "2021-03-01")
    assert set(both.surfaces) == {"BTC", "ETH"}
    with pytest.raises(cm.MarketDataError, match="BTC has none at 2026-01-24"):
        cm.read_market(shared / "data" / "option_chains_historic.parquet")


def test_vols_that_a_chain_does_not_state_are_those_of_its_marks(tmp_path: Path) -> None:
    market = cm.read_market(written(tmp_path, "json"))
    option = parse_contract("deribit:BTC/USD:BTC-260130-100-P")
    assert isinstance(option, Option)
    priced = model_price(option, market)
    quotes = [
        {key: value for key, value in quote.items() if key != "mark_vol"} | {"mark": priced}
        for quote in QUOTES
        if quote["instrument"] == option.id
    ]
    worthless = {"instrument": "deribit:BTC/USD:BTC-260130-50-P", "mark": 0.0, "forward": 102.5}
    impossible = {"instrument": "deribit:BTC/USD:BTC-260130-150-P", "mark": 0.1, "forward": 102.5}
    text = json.dumps({"time": TIME, "index": INDEX, "quotes": [*quotes, worthless, impossible]})
    (tmp_path / "no vols.json").write_text(text)
    implied = cm.read_market(tmp_path / "no vols.json")
    assert implied.vol(option) == pytest.approx(0.7, rel=2e-3)  # the two snapshots differ in their forward only
    assert model_price(option, implied) == pytest.approx(priced, rel=1e-12)
    rules = {finding.subject: finding.found for finding in implied.findings if finding.rule == "implied vol"}
    assert rules["deribit:BTC/USD:BTC-260130-50-P"] == "the mark holds no time value"
    assert "no-arbitrage bounds" in rules["deribit:BTC/USD:BTC-260130-150-P"]


def chain_errors(market: MarketSnapshot, coin: str) -> FloatArray:
    """Differences in coin between the marks of a chain and what its own vols are worth."""
    options = [parse_contract(name) for name in market.marks if name.startswith(f"deribit:{coin}/")]
    alive = [each for each in options if isinstance(each, Option) and each.expiry_ns > market.time_ns]
    return np.array([model_price(each, market) - market.marks[each.id].value for each in alive])


@pytest.mark.parametrize(
    "day",
    # the five days on which the published forwards were the furthest from the marks', and two ordinary ones
    ["2026-06-04", "2026-06-10", "2026-03-05", "2026-06-05", "2026-05-23", "2026-01-15", "2026-04-30"],
)
def test_marks_of_real_chains_are_worth_what_their_vols_say(shared: Path, day: str) -> None:
    market = cm.read_market(shared / "data" / "option_chains_daily.parquet", day)
    for coin in ("BTC", "ETH"):
        assert np.median(np.abs(chain_errors(market, coin))) <= 1e-5


@pytest.mark.soak
def test_marks_of_every_real_chain_are_worth_what_their_vols_say(
    shared: Path, record_property: Callable[[str, object], None]
) -> None:
    chains = shared / "data" / "option_chains_daily.parquet"
    times = pl.read_parquet(chains, columns=["snapshot_ts"])["snapshot_ts"].dt.date().unique().sort()
    medians = {}
    for day in times:
        market = cm.read_market(chains, day.isoformat())
        for coin in ("BTC", "ETH"):
            medians[day, coin] = float(np.median(np.abs(chain_errors(market, coin))))
    record_property("outside_cases", len(medians))
    print(f"{len(medians)} coin-days, worst median {max(medians.values()):.2g} coin")
    assert max(medians.values()) <= 1e-5


def test_without_parity_the_published_forward_misses_the_marks(shared: Path) -> None:
    market = cm.read_market(shared / "data" / "option_chains_daily.parquet", "2026-06-04")
    (gap,) = [finding for finding in market.findings if finding.subject == "ETH forwards"]
    assert gap.rule == "parity"
    frame = pl.read_parquet(shared / "data" / "option_chains_daily.parquet").filter(
        pl.col("snapshot_ts").dt.date() == pl.date(2026, 6, 4), pl.col("currency") == "ETH"
    )
    named = dict(frame.group_by("expiry").agg(pl.col("underlying_price").median()).iter_rows())
    curve = market.forwards[Currency("ETH")]
    expiries = [dt.datetime.fromtimestamp(at / 1e9, tz=dt.UTC) for at in curve.expiries_ns]
    published = replace(curve, forwards=tuple(named[at] for at in expiries))
    off = replace(market, forwards={**market.forwards, Currency("ETH"): published})
    assert np.median(np.abs(chain_errors(off, "ETH"))) > 1e-4


def test_a_wrong_row_is_named_by_its_number(tmp_path: Path) -> None:
    file = tmp_path / "market.csv"
    file.write_text(
        "kind,time,currency,price,instrument,mark\n"
        "index,2026-01-15T00:00:00Z,BTC,95000,,\n"
        "quote,2026-01-15T00:00:00Z,,,deribit:BTC/USD:BTC,95010\n"
        "quote,2026-01-15T00:00:00Z,XRP,,deribit:ETH/USD:ETH,3300\n"
    )
    with pytest.raises(cm.InputError, match=r"market\.csv must hold a market snapshot, row 3: .*currency"):
        cm.read_market(file)
