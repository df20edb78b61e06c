"""Price histories from Parquet and CSV."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crossmargin.errors import InputError
from crossmargin.market.history import PriceHistory
from crossmargin.units import Currency, IntArray

if TYPE_CHECKING:
    import polars as pl

_QUOTES = ("USDT", "USDC", "USD")


def read_history(path: str | Path, *, until: dt.datetime | None = None) -> PriceHistory:
    """Return the closes of a Parquet or CSV file.

    Two layouts are read: long, with columns ``symbol`` (or ``currency``), ``close`` and ``timestamp`` or ``date``; and
    wide, with one time column and a column of closes per coin. A symbol loses its dollar suffix: BTCUSDT is BTC. A bar
    is stamped with its opening time; its close is known one bar later, which is the time it gets here.

    Raises
    ------
    InputError
        If the file is missing, or has no time or close column.
    """
    import polars as pl  # slow to load; the embedded sample is read without

    source = Path(path)
    if not source.is_file():
        raise InputError(f"a price history must be a file, found none at {source}")
    try:
        frame = (
            pl.read_parquet(source)
            if source.suffix == ".parquet"
            else pl.read_csv(source, try_parse_dates=True, comment_prefix="#")
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{source.name} must be a Parquet or CSV table: {error}") from error
    time = next((name for name in ("timestamp", "date", "time") if name in frame.columns), None)
    if time is None:
        raise InputError(f"{source.name} must have a column timestamp, date or time, has {', '.join(frame.columns)}")
    wide = _wide(frame, time, source.name)
    known = wide[time].cast(pl.Datetime("ns")).to_physical().to_numpy().astype(np.int64)
    names = [name for name in wide.columns if name != time]
    history = PriceHistory(
        times_ns=_closed(known),
        currencies=tuple(_coin(name) for name in names),
        prices=np.ascontiguousarray(wide.select(pl.col(names).cast(pl.Float64)).to_numpy().T),
    )
    return history if until is None else history.until(int(until.timestamp()) * 1_000_000_000)


def read_daily_closes(path: Path) -> PriceHistory:
    """Return the history in a plain file of ours: a date, then a close of every coin, on each line.

    It is what `read_history` returns of it, without the library of tables that any other form needs.
    """
    names, *rows = (line.split(",") for line in path.read_text().splitlines() if not line.startswith("#"))
    days = np.array([row[0] for row in rows], dtype="datetime64[D]").astype("datetime64[ns]")
    return PriceHistory(
        times_ns=_closed(days.astype(np.int64)),
        currencies=tuple(map(_coin, names[1:])),
        prices=np.array([[float(close) for close in row[1:]] for row in rows]).T.copy(),
    )


def _closed(opened_ns: IntArray) -> IntArray:
    return opened_ns + (int(np.median(np.diff(opened_ns))) if opened_ns.size > 1 else 0)


def _wide(frame: "pl.DataFrame", time: str, name: str) -> "pl.DataFrame":
    symbol = next((column for column in ("symbol", "currency") if column in frame.columns), None)
    if symbol is None:
        return frame.sort(time)
    if "close" not in frame.columns:
        raise InputError(f"{name} must have a column close, has {', '.join(frame.columns)}")
    return frame.pivot(on=symbol, index=time, values="close").sort(time)


def _coin(symbol: str) -> Currency:
    for quote in _QUOTES:
        if symbol.endswith(quote) and symbol != quote:
            return Currency(symbol.removesuffix(quote))
    return Currency(symbol)
