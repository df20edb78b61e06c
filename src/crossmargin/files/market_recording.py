"""A recording: every snapshot of a market file, one after the other."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from crossmargin.errors import InputError
from crossmargin.files.market import snapshot
from crossmargin.files.market_tables import frame_tables, is_chain, read_frame
from crossmargin.files.snapshot_time import numbered
from crossmargin.market.quality import QuoteRules
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.units import Currency, InstrumentId

BAR_COLUMNS = frozenset({"symbol", "timestamp", "close"})


def read_recording(path: str | Path, rules: QuoteRules | None = None) -> Iterator[MarketSnapshot]:
    """Yield the snapshots of a CSV or Parquet file, the oldest first.

    It holds rows of kind `index` and `quote`, option chains as venues publish them, or bars of perpetuals against USDT
    (`symbol`, `timestamp`, `close`). A bar's close is the mark of ``binance:<coin>/USDT:USDT`` and, as nothing else is
    recorded beside it, the index price of its coin.

    Raises
    ------
    InputError
        If the file is missing or is none of these.
    MarketDataError
        If a price is impossible; when its snapshot is reached.
    """
    path = Path(path)
    if not path.is_file() or path.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"a recording must be a file .csv or .parquet, was {path.name}")
    frame = read_frame(path)
    # refused here, not by who asks for the first snapshot: a service would have started by then
    if set(frame.columns) >= BAR_COLUMNS:
        if not frame["timestamp"].dtype.is_temporal():
            raise InputError(f"a bar's timestamp must be a time, was {frame['timestamp'].dtype} in {path.name}")
        return _bars(frame)
    column = "snapshot_ts" if is_chain(frame) else "time"
    if column not in frame.columns:
        raise InputError(f"a recording must have a column {column}, {path.name} has {', '.join(frame.columns)}")
    return _snapshots(frame, column, path.name, rules)


def _snapshots(frame: pl.DataFrame, column: str, file: str, rules: QuoteRules | None) -> Iterator[MarketSnapshot]:
    previous: MarketSnapshot | None = None
    for _, rows in numbered(frame, column, file).group_by("_snapshot", maintain_order=True):
        previous = snapshot(frame_tables(rows.drop("_snapshot"), None, file), rules, previous)
        yield previous


def _bars(frame: pl.DataFrame) -> Iterator[MarketSnapshot]:
    times = frame.filter(pl.col("symbol").str.ends_with("USDT")).sort("timestamp", maintain_order=True)
    for (time,), rows in times.group_by("timestamp", maintain_order=True):
        time_ns = int(pl.Series([time]).dt.epoch("ns")[0])
        closes = {
            symbol.removesuffix("USDT"): Price(float(close), time_ns=time_ns)
            for symbol, close in zip(rows["symbol"], rows["close"], strict=True)
        }
        yield MarketSnapshot(
            time_ns=time_ns,
            index={Currency(coin): price for coin, price in closes.items()},
            marks={InstrumentId(f"binance:{coin}/USDT:USDT"): price for coin, price in closes.items()},
        )
