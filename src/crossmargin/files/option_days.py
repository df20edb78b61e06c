"""Daily option chains for walk-forward tests."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from crossmargin.errors import InputError
from crossmargin.units import Currency
from crossmargin.validation.option_books import ChainDay


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
