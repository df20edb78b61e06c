"""Daily option chains for walk-forward tests."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from crossmargin.errors import InputError
from crossmargin.units import DAYS_PER_YEAR, NANOSECONDS_PER_DAY, Currency, FloatArray
from crossmargin.validation.daily_bars import DailyBars
from crossmargin.validation.option_books import ChainDay
from crossmargin.validation.option_walk import DailyMoves

IMPLIED_VOLS = "dvol_btc_daily.parquet"


def read_chain_days(folder: str | Path, currency: Currency) -> Iterator[ChainDay]:
    """Yield the chains of `currency` in ``option_chains_daily.parquet``, oldest first; options without a mark are left out.

    Raises
    ------
    InputError
        If the file is missing or holds nothing of `currency`.
    """
    source = Path(folder) / "option_chains_daily.parquet"
    if not source.is_file():
        raise InputError(f"option chains must be in option_chains_daily.parquet, found none at {source}")
    frame = pl.read_parquet(source).filter(pl.col("currency") == currency, pl.col("mark").is_not_null())
    if frame.is_empty():
        raise InputError(f"{source.name} must hold {currency}, holds none")
    for _, chain in frame.sort("snapshot_ts").group_by("snapshot_ts", maintain_order=True):
        listed = chain.unique("instrument", keep="last", maintain_order=True)
        yield ChainDay(
            time_ns=int(listed["snapshot_ts"].dt.epoch("ns")[0]),
            spot=float(np.median(listed["index_price"].to_numpy())),
            names=tuple(listed["instrument"].to_list()),
            expiries_ns=listed["expiry"].dt.epoch("ns").to_numpy(),
            strikes=listed["strike"].cast(pl.Float64).to_numpy(),
            calls=(listed["option_type"] == "C").to_numpy(),
            forwards=listed["underlying_price"].to_numpy(),
            vols=listed["mark_iv"].to_numpy(),
            marks=(listed["mark"] * listed["index_price"]).to_numpy(),
            deltas=listed["delta"].to_numpy(),
        )


def read_daily_moves(folder: str | Path, bars: DailyBars, currency: Currency) -> DailyMoves:
    """Return the daily moves of `currency`, of BTC's 30-day implied vol and of the coin's funding before chains begin.

    ``dvol_btc_daily.parquet`` stands for every coin; ``funding.parquet`` may lack the coin or be missing.

    Raises
    ------
    InputError
        If the vols are missing or bars know no such coin.
    """
    vols = read_implied_vols(folder, bars)
    if vols is None:
        raise InputError(f"moves of implied vol must be in {IMPLIED_VOLS}, found none in {folder}")
    if currency not in bars.currencies:
        raise InputError(f"daily bars must hold {currency}, hold {', '.join(bars.currencies)}")
    return DailyMoves(
        times_ns=bars.days_ns,
        returns=bars.returns[bars.currencies.index(currency)],
        vols=_changes(np.log(vols)),
        funding=_changes(_funding(Path(folder) / "funding.parquet", currency, bars)),
    )


def read_implied_vols(folder: str | Path, bars: DailyBars) -> FloatArray | None:
    """Return BTC's 30-day implied vol at the end of each day of `bars`, annual, NaN where unknown; None without a file."""
    source = Path(folder) / IMPLIED_VOLS
    if not source.is_file():
        return None
    index = pl.read_parquet(source)
    percents = _by_day(index["date"].dt.epoch("ns").to_list(), index["dvol_btc_close"].to_list(), bars)
    return np.asarray(percents / 100.0)


def _funding(source: Path, currency: Currency, bars: DailyBars) -> FloatArray:
    """Rate per year, from the payments of each day."""
    if not source.is_file():
        return np.full(bars.days_ns.size, np.nan)
    paid = (
        pl.read_parquet(source)
        .filter(pl.col("symbol") == f"{currency}USDT")
        .group_by(pl.col("timestamp").dt.truncate("1d").alias("day"))
        .agg(pl.col("funding_rate").sum())
    )
    return DAYS_PER_YEAR * _by_day(paid["day"].dt.epoch("ns").to_list(), paid["funding_rate"].to_list(), bars)


def _by_day(starts_ns: list[int], values: list[float], bars: DailyBars) -> FloatArray:
    known = dict(zip(starts_ns, values, strict=True))
    return np.array([known.get(int(end) - NANOSECONDS_PER_DAY, np.nan) for end in bars.days_ns], dtype=np.float64)


def _changes(values: FloatArray) -> FloatArray:
    return np.concatenate([[np.nan], np.diff(values)])
