"""Option chains as Deribit publishes them, collected in Parquet: one row per option and snapshot.

Bid, ask and mark are in coin per coin of underlying, `underlying_price` is the USD forward of the expiry (also where
Deribit makes it up from other expiries, `SYN.`), `mark_iv` a decimal. Columns may be missing or empty.

The forward of an expiry is the one that its marks agree on by put-call parity, ``K / (1 - (C - P))`` with prices in
coin, the median over strikes; only where no strike has both marks it is `underlying_price`. The two differ where the
venue had refreshed one and not yet the other: by up to 5 basis points in 2026, which moved option values by up to 2e-4
coin away from the marks beside them.
"""

import datetime as dt
from typing import Any

import polars as pl

from crossmargin.errors import InputError, MarketDataError
from crossmargin.files.snapshot_time import choose
from crossmargin.market.snapshot import Finding

CHAIN_COLUMNS = ("snapshot_ts", "currency", "expiry", "strike", "option_type")
_FIELDS = {
    "mark": "mark",
    "mark_iv": "mark_vol",
    "underlying_price": "forward",
    "bid": "bid",
    "ask": "ask",
    "open_interest": "open_interest",
}


def chain_tables(frame: pl.DataFrame, asked: dt.datetime | None, file: str) -> dict[str, Any]:
    """Return the market tables, as plain values, of the newest chain at or before `asked`.

    Raises
    ------
    InputError
        If there is none.
    MarketDataError
        If a coin of the chain has no index price.
    """
    frame, time, findings = choose(frame, "snapshot_ts", asked, file)
    frame = frame.unique(CHAIN_COLUMNS[1:], keep="last", maintain_order=True)  # asked for twice within one snapshot
    index = _index(frame, time)
    forwards = _parity_forwards(frame)
    return {
        "time": time,
        "source": f"{file} at {time}",
        "index": index,
        "quotes": [_quote(row, forwards, file) for row in frame.iter_rows(named=True)],
        "findings": (*findings, *_gaps(frame, forwards)),
    }


def _parity_forwards(frame: pl.DataFrame) -> dict[tuple[str, dt.datetime], float]:
    """USD forward by coin and expiry, wherever a call and a put of one strike both have a mark."""
    if "mark" not in frame.columns:
        return {}
    marked = frame.filter(pl.col("mark") > 0.0, pl.col("strike") > 0.0)
    at = ["currency", "expiry", "strike"]
    calls = marked.filter(pl.col("option_type") == "C").select(*at, call="mark")
    puts = marked.filter(pl.col("option_type") == "P").select(*at, put="mark")
    share = 1.0 - (pl.col("call") - pl.col("put"))  # what the strike is of the forward
    pairs = calls.join(puts, on=at).with_columns(share=share).filter(pl.col("share") > 0.0)
    medians = pairs.group_by("currency", "expiry").agg((pl.col("strike") / pl.col("share")).median().alias("forward"))
    return {(row["currency"], row["expiry"]): row["forward"] for row in medians.iter_rows(named=True)}


def _gaps(frame: pl.DataFrame, forwards: dict[tuple[str, dt.datetime], float]) -> list[Finding]:
    """Say per coin how far the published forwards lie from those of the marks, where that is a basis point or more."""
    if "underlying_price" not in frame.columns:
        return []
    apart: dict[str, list[float]] = {}
    published = frame.group_by("currency", "expiry", maintain_order=True).agg(pl.col("underlying_price").median())
    for currency, expiry, price in published.iter_rows():
        forward = forwards.get((currency, expiry))
        if price and forward and abs(gap := 1e4 * (price / forward - 1.0)) >= 1.0:
            apart.setdefault(currency, []).append(gap)
    return [
        Finding(
            subject=f"{currency} forwards",
            rule="parity",
            found=f"published forwards of {len(gaps)} expiries up to {max(map(abs, gaps)):.1f} bp from the marks' own",
            treatment="the marks' own, by put-call parity",
        )
        for currency, gaps in sorted(apart.items())
    ]


def _index(frame: pl.DataFrame, time: dt.datetime) -> list[dict[str, object]]:
    """Each coin's newest index price; rows of one snapshot may be seconds apart."""
    rows = []
    for (currency,), chain in frame.group_by("currency", maintain_order=True):
        known = chain.filter(pl.col("index_price").is_not_null()) if "index_price" in chain.columns else chain.clear()
        if known.is_empty():
            raise MarketDataError(f"an underlying must have an index price, {currency} has none at {time}")
        rows.append({"currency": currency, "price": known["index_price"][-1]})
    return sorted(rows, key=lambda row: str(row["currency"]))


def _quote(row: dict[str, Any], forwards: dict[tuple[str, dt.datetime], float], file: str) -> dict[str, object]:
    if row["option_type"] not in ("C", "P") or not float(row["strike"]) > 0.0:
        raise InputError(
            f"an option is C or P with a positive strike, was {row['option_type']} {row['strike']} in {file}"
        )
    coin, strike = row["currency"], f"{row['strike']:.8f}".rstrip("0").rstrip(".")
    name = f"deribit:{coin}/USD:{coin}-{row['expiry']:%y%m%d}-{strike}-{row['option_type']}"
    quote: dict[str, object] = {"instrument": name, "quote_time": row["snapshot_ts"]}
    if row.get("quote_ts") is not None:
        # a chain is asked for at one second and stamped by the venue within it; the snapshot's time is the later
        quote["quote_time"] = min(row["quote_ts"], row["snapshot_ts"])
    stated = {ours: row[theirs] for theirs, ours in _FIELDS.items() if row.get(theirs) is not None}
    agreed = forwards.get((coin, row["expiry"]))
    return quote | stated | ({} if agreed is None else {"forward": agreed})
