"""Write the embedded sample: a small real market of 15 January 2026, and a book of recognisable accounts.

Source of the market facts: Deribit's BTC and ETH option chains near 09:00 UTC on that day (marks, mark vols, forwards,
index), as collected in the folder of outside data. Run it from the project's root with CROSSMARGIN_SHARED set:

    python scripts/make_sample.py
"""

import datetime as dt
import json
import os
from pathlib import Path

import polars as pl

SHARED = Path(os.environ.get("CROSSMARGIN_SHARED", "../shared"))
OUT = Path(__file__).parents[1] / "src" / "crossmargin" / "sample"
DAY = dt.date(2026, 1, 15)
MONEYNESS = (0.55, 1.8)


def main() -> None:
    chain = pl.read_parquet(SHARED / "data" / "option_chains_daily.parquet").filter(
        pl.col("snapshot_ts").dt.date() == DAY
    )
    time = chain["snapshot_ts"].max()
    index = chain.group_by("currency").agg(pl.col("index_price").median()).sort("currency")
    expiries = chain.filter(pl.col("expiry") > pl.col("snapshot_ts"))["expiry"].unique().sort()
    kept = [expiry for expiry in expiries.to_list() if expiry.day in (16, 23, 30, 27, 26)][:6]
    options = chain.filter(
        pl.col("expiry").is_in(kept)
        & pl.col("mark_iv").is_not_null()
        & (pl.col("strike") / pl.col("underlying_price")).is_between(*MONEYNESS)
    ).sort("currency", "expiry", "strike", "option_type")
    quotes = [
        {
            "instrument": "deribit:{c}/USD:{c}-{e:%y%m%d}-{k:g}-{t}".format(
                c=row["currency"], e=row["expiry"], k=int(row["strike"]), t=row["option_type"]
            ).replace("e+", "e"),
            "mark": row["mark"],
            "mark_vol": row["mark_iv"],
            "forward": row["underlying_price"],
            **({"bid": row["bid"]} if row["bid"] is not None else {}),
            **({"ask": row["ask"]} if row["ask"] is not None else {}),
            "open_interest": row["open_interest"],
        }
        for row in options.iter_rows(named=True)
    ]
    prices = {row["currency"]: row["index_price"] for row in index.iter_rows(named=True)}
    market = {
        "time": time.isoformat(),
        "source": "Deribit option chains, 2026-01-15 near 09:00 UTC",
        "index": [{"currency": c, "price": p} for c, p in prices.items()]
        + [{"currency": "USDC", "price": 1.0}, {"currency": "USDT", "price": 1.0}],
        "quotes": quotes,
    }
    (OUT / "market.json").write_text(json.dumps(market, separators=(",", ":")) + "\n", encoding="utf-8")
    (OUT / "book.json").write_text(json.dumps(_book(), indent=1) + "\n", encoding="utf-8")
    print(len(quotes), "options", (OUT / "market.json").stat().st_size, "bytes", kept, prices)


def _book() -> dict[str, list[dict[str, object]]]:
    perp = "deribit:BTC/USD:BTC"
    call, put = "deribit:BTC/USD:BTC-260327-100000-C", "deribit:BTC/USD:BTC-260327-100000-P"
    return {
        "accounts": [
            {"account": name} for name in ("cash-only", "hedger", "straddle-seller", "covered-call", "levered-long")
        ],
        "balances": [
            {"account": "cash-only", "currency": "USDC", "amount": 250_000.0},
            {"account": "hedger", "currency": "BTC", "amount": 10.0},
            {"account": "straddle-seller", "currency": "BTC", "amount": 12.0},
            {"account": "covered-call", "currency": "BTC", "amount": 20.0},
            {"account": "levered-long", "currency": "USDC", "amount": 150_000.0},
        ],
        "positions": [
            {"account": "hedger", "instrument": perp, "quantity": -90_000.0, "entry_price": 95_000.0},
            {"account": "straddle-seller", "instrument": call, "quantity": -10.0},
            {"account": "straddle-seller", "instrument": put, "quantity": -10.0},
            {"account": "covered-call", "instrument": call, "quantity": -20.0},
            {"account": "levered-long", "instrument": perp, "quantity": 80_000.0, "entry_price": 94_000.0},
        ],
        "orders": [],
    }


if __name__ == "__main__":
    main()
