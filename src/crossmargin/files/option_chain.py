"""Option chains as Deribit publishes them, collected in Parquet: one row per option and snapshot.

Bid, ask and mark are in coin per coin of underlying, `underlying_price` is the USD forward of the expiry (also where
Deribit makes it up from other expiries, `SYN.`), `mark_iv` a decimal. Columns may be missing or empty.
"""

import datetime as dt
from typing import Any

import polars as pl

from crossmargin.errors import InputError, MarketDataError
from crossmargin.files.snapshot_time import choose

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
    return {
        "time": time,
        "source": f"{file} at {time}",
        "index": _index(frame, time),
        "quotes": [_quote(row, file) for row in frame.iter_rows(named=True)],
        "findings": findings,
    }


def _index(frame: pl.DataFrame, time: dt.datetime) -> list[dict[str, object]]:
    """Each coin's newest index price; rows of one snapshot may be seconds apart."""
    rows = []
    for (currency,), chain in frame.group_by("currency", maintain_order=True):
        known = chain.filter(pl.col("index_price").is_not_null()) if "index_price" in chain.columns else chain.clear()
        if known.is_empty():
            raise MarketDataError(f"an underlying must have an index price, {currency} has none at {time}")
        rows.append({"currency": currency, "price": known["index_price"][-1]})
    return sorted(rows, key=lambda row: str(row["currency"]))


def _quote(row: dict[str, Any], file: str) -> dict[str, object]:
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
    return quote | {ours: row[theirs] for theirs, ours in _FIELDS.items() if row.get(theirs) is not None}
