"""Daily bars, with variances from hourly bars where there are any, from a folder laid out as the outside data."""

from pathlib import Path

import numpy as np
import polars as pl

from crossmargin.errors import InputError
from crossmargin.scenarios.volatility import garman_klass_variance
from crossmargin.units import NANOSECONDS_PER_DAY, Currency
from crossmargin.validation.daily_bars import DailyBars

_FEWEST_HOURS = 20
"""Hourly bars that a day needs for a variance of its own."""
_QUOTE = "USDT"


def read_daily_bars(folder: str | Path) -> DailyBars:
    """Return the bars of ``perp_1d.parquet`` in `folder`, with realised variances from ``perp_1h.parquet``.

    A day that is missing for every coin, or less than complete, ends the record: bars must follow each other.

    Raises
    ------
    InputError
        If the daily file is missing.
    """
    source = Path(folder) / "perp_1d.parquet"
    if not source.is_file():
        raise InputError(f"--data must name a folder with perp_1d.parquet, found none at {source}")
    daily = pl.read_parquet(source).with_columns(pl.col("date").cast(pl.Datetime("us", "UTC")))
    symbols = sorted(daily["symbol"].unique().to_list())
    days = daily["date"].unique().sort()
    gaps = np.flatnonzero(np.diff(days.dt.epoch("d").to_numpy()) != 1)
    days = days.head(int(gaps[0]) + 1 if gaps.size else len(days))
    daily = daily.filter(pl.col("date").is_in(days.implode()))

    def table(column: str) -> np.ndarray:
        wide = daily.pivot(on="symbol", index="date", values=column).sort("date")
        return np.ascontiguousarray(wide.select(pl.col(symbols).cast(pl.Float64)).to_numpy().T)

    opens, highs, lows, closes = (table(column) for column in ("open", "high", "low", "close"))
    closes = np.where(np.isnan(closes), np.nan, closes)
    variances = garman_klass_variance(opens, highs, lows, closes)
    places = {day: place for place, day in enumerate(days.to_list())}
    for symbol, day, variance in _realised(Path(folder) / "perp_1h.parquet").iter_rows():
        if day in places and symbol in symbols:
            variances[symbols.index(symbol), places[day]] = variance
    return DailyBars(
        days_ns=days.dt.epoch("ns").to_numpy() + NANOSECONDS_PER_DAY,
        currencies=tuple(Currency(symbol.removesuffix(_QUOTE)) for symbol in symbols),
        closes=closes,
        variances=np.where(np.isfinite(closes), variances, np.nan),
    )


def _realised(path: Path) -> pl.DataFrame:
    """Sum of squared hourly returns by symbol and day."""
    if not path.is_file():
        return pl.DataFrame(schema={"symbol": pl.String, "day": pl.Datetime("us", "UTC"), "variance": pl.Float64})
    hours = pl.read_parquet(path, columns=["symbol", "timestamp", "open", "close"])
    move = (pl.col("close") / pl.col("open")).log()
    by_day = (
        hours.with_columns(move=move, day=pl.col("timestamp").dt.truncate("1d").cast(pl.Datetime("us", "UTC")))
        .group_by("symbol", "day")
        .agg(variance=(pl.col("move") ** 2).sum(), hours=pl.len())
    )
    return by_day.filter(pl.col("hours") >= _FEWEST_HOURS).select("symbol", "day", "variance")
