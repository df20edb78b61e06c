import json
from pathlib import Path

import polars as pl
import pytest

import crossmargin as cm
from crossmargin.instruments.symbols import parse_contract
from crossmargin.market.snapshot import MarketSnapshot, Quality
from crossmargin.units import Currency, InstrumentId

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
