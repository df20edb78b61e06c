"""Write the embedded sample: a small real market of 15 January 2026, two years of closes, and a book of known kinds.

Facts and their sources: marks, mark vols, forwards, index and open interest of Deribit's BTC and ETH options near 09:21
UTC; Binance USDT perpetuals at 09:00 UTC, their last funding, and their daily closes. A perpetual of another venue has
no mark of its own here: it is marked at the index. The accounts are made up; nobody holds them.

    CROSSMARGIN_SHARED=... python scripts/make_sample.py
"""

import datetime as dt
import json
import os
from pathlib import Path

import polars as pl

SHARED = Path(os.environ.get("CROSSMARGIN_SHARED", "../shared"))
DATA = SHARED / "data"
OUT = Path(__file__).parents[1] / "src" / "crossmargin" / "sample"
DAY = dt.date(2026, 1, 15)
COINS = ("BTC", "ETH", "SOL", "BNB", "XRP", "ADA", "DOGE", "AVAX", "LINK", "LTC")
MONEYNESS = (0.55, 1.8)
BTC, ETH = "deribit:BTC/USD:BTC", "deribit:ETH/USD:ETH"
Row = dict[str, object]


def main() -> None:
    chain = pl.read_parquet(DATA / "option_chains_daily.parquet").filter(pl.col("snapshot_ts").dt.date() == DAY)
    time = chain["snapshot_ts"].max()
    live = chain.filter(pl.col("expiry") > pl.col("snapshot_ts"))
    expiries = [at for at in live["expiry"].unique().sort().to_list() if at.day in (16, 23, 30, 27, 26)][:6]
    options = _options(live, expiries)
    prices = {row["currency"]: row["index_price"] for row in chain.iter_rows(named=True)} | _alt_prices()
    market = {
        "time": time.isoformat(),
        "source": "Deribit option chains 2026-01-15 09:21 UTC; Binance USDT perpetuals 09:00 UTC and last funding;"
        " index of coins other than BTC and ETH: Binance perpetual",
        "index": [{"currency": coin, "price": prices[coin]} for coin in COINS]
        + [{"currency": "USDC", "price": 1.0}, {"currency": "USDT", "price": 1.0}],
        "quotes": options + _futures(live) + _perpetuals(),
    }
    book = _book([str(row["instrument"]) for row in options], prices)
    (OUT / "market.json").write_text(json.dumps(market, separators=(",", ":")) + "\n", encoding="utf-8")
    (OUT / "book.json").write_text(_compact(book), encoding="utf-8")
    _write_history()
    print(len(options), "options", len(market["quotes"]), "quotes", len(book["accounts"]), "accounts")
    print({path.name: path.stat().st_size for path in sorted(OUT.iterdir()) if path.is_file()})


def _options(live: pl.DataFrame, expiries: list[dt.datetime]) -> list[Row]:
    kept = live.filter(
        pl.col("expiry").is_in(expiries)
        & pl.col("mark_iv").is_not_null()
        & (pl.col("strike") / pl.col("underlying_price")).is_between(*MONEYNESS)
    ).sort("currency", "expiry", "strike", "option_type")
    return [
        {
            "instrument": f"deribit:{r['currency']}/USD:{r['currency']}-{r['expiry']:%y%m%d}-{r['strike']:.0f}-"
            + r["option_type"],
            "mark": r["mark"],
            "mark_vol": r["mark_iv"],
            "forward": r["underlying_price"],
            **{side: r[side] for side in ("bid", "ask") if r[side] is not None},
            "open_interest": r["open_interest"],
        }
        for r in kept.iter_rows(named=True)
    ]


def _futures(live: pl.DataFrame) -> list[Row]:
    """Dated futures: the forward of an expiry that is itself listed (others are synthetic)."""
    listed = live.filter(~pl.col("underlying").str.starts_with("SYN"))
    found = listed.group_by("currency", "expiry").agg(pl.col("underlying_price").median()).sort("currency", "expiry")
    return [
        {"instrument": f"deribit:{c}/USD:{c}-{expiry:%y%m%d}", "mark": forward}
        for c, expiry, forward in found.iter_rows()
    ]


def _at_nine() -> pl.DataFrame:
    nine = dt.datetime(2026, 1, 15, 9, tzinfo=dt.UTC)
    return pl.read_parquet(DATA / "perp_1h.parquet").filter(pl.col("timestamp") == nine)


def _alt_prices() -> dict[str, float]:
    rows = {row["symbol"].removesuffix("USDT"): row["open"] for row in _at_nine().iter_rows(named=True)}
    last = pl.read_parquet(DATA / "perp_1d.parquet").filter(pl.col("date").dt.date() == DAY)
    daily = {row["symbol"].removesuffix("USDT"): row["open"] for row in last.iter_rows(named=True)}
    return {coin: rows.get(coin, daily[coin]) for coin in COINS if coin not in ("BTC", "ETH")}


def _perpetuals() -> list[Row]:
    hour = {row["symbol"]: row["open"] for row in _at_nine().iter_rows(named=True)}
    funding = pl.read_parquet(DATA / "funding.parquet").filter(
        pl.col("timestamp") <= dt.datetime(2026, 1, 15, 9, tzinfo=dt.UTC)
    )
    latest = {row["symbol"]: row["funding_rate"] for row in funding.sort("timestamp").iter_rows(named=True)}
    return [
        {
            "instrument": f"binance:{coin}/USDT:USDT",
            "mark": hour[f"{coin}USDT"],
            **({"funding_rate_8h": latest[f"{coin}USDT"]} if f"{coin}USDT" in latest else {}),
        }
        for coin in COINS
        if f"{coin}USDT" in hour
    ]


def _write_history() -> None:
    daily = pl.read_parquet(DATA / "perp_1d.parquet")
    first, last = dt.date(2024, 1, 15), dt.date(2026, 1, 14)
    kept = daily.filter(
        pl.col("symbol").is_in([f"{coin}USDT" for coin in COINS]) & pl.col("date").dt.date().is_between(first, last)
    )
    wide = kept.with_columns(pl.col("date").dt.date()).pivot(on="symbol", index="date", values="close").sort("date")
    table = wide.rename({f"{coin}USDT": coin for coin in COINS}).select("date", *COINS)
    note = "# Binance USDT-margined perpetuals: daily closes, USDT (data.binance.vision)\n"
    (OUT / "history.csv").write_text(note + table.write_csv(), encoding="utf-8")


class Book:
    """Tables under construction."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Row]] = {"accounts": [], "balances": [], "positions": [], "orders": []}

    def account(
        self,
        name: str,
        cash: dict[str, float],
        *positions: tuple[str, float] | tuple[str, float, float],
        orders: tuple[tuple[str, str, float, float], ...] = (),
        group: str | None = None,
    ) -> None:
        self.tables["accounts"].append({"account": name})
        for currency, amount in cash.items():
            self.tables["balances"].append({"account": name, "currency": currency, "amount": amount})
        for instrument, quantity, *entry in positions:
            row: Row = {"account": name, "instrument": instrument, "quantity": quantity}
            row |= {"entry_price": entry[0]} if entry else {}
            row |= {"isolated_group": group} if group else {}
            self.tables["positions"].append(row)
        for instrument, side, quantity, price in orders:
            self.tables["orders"].append(
                {"account": name, "instrument": instrument, "side": side, "quantity": quantity, "price": price}
            )


def _opt(coin: str, expiry: str, strike: int, kind: str) -> str:
    return f"deribit:{coin}/USD:{coin}-{expiry}-{strike}-{kind}"


def _perp(coin: str, venue: str = "binance") -> str:
    return f"hyperliquid:{coin}/USDC:USDC" if venue == "hyperliquid" else f"{venue}:{coin}/USDT:USDT"


def _book(options: list[str], prices: dict[str, float]) -> dict[str, list[Row]]:
    book = Book()
    _simple(book)
    _option_books(book)
    _spreads(book)
    _in_trouble(book)
    _market_makers(book, options, prices)
    known = set(options)
    missing = [row["instrument"] for row in book.tables["positions"] if str(row["instrument"])[-2:] in ("-C", "-P")]
    unknown = [name for name in missing if name not in known]
    if unknown:
        raise SystemExit(f"the sample market must quote every option of the book, lacks {unknown}")
    return book.tables


def _simple(book: Book) -> None:
    book.account("cash-only", {"USDC": 250_000.0})
    book.account("coin-holder", {"BTC": 25.0, "ETH": 200.0})
    book.account("alt-holder", {"SOL": 4_000.0, "LINK": 12_000.0, "USDT": 50_000.0})
    book.account("hedger", {"BTC": 10.0}, (BTC, -90_000.0, 95_000.0))
    book.account("hedger-eth", {"ETH": 300.0}, (ETH, -900_000.0, 3_250.0))
    book.account("inverse-long-own-coin", {"BTC": 4.0}, (BTC, 60_000.0, 93_500.0))
    book.account("levered-long", {"USDC": 150_000.0}, (BTC, 80_000.0, 94_000.0))
    book.account("levered-long-eth", {"USDT": 400_000.0}, (_perp("ETH"), 600.0, 3_150.0))
    book.account("levered-short", {"USDT": 350_000.0}, (_perp("BTC", "bybit"), -20.0, 98_000.0))
    book.account("levered-long-sol", {"USDT": 165_000.0}, (_perp("SOL", "okx"), 4_500.0, 138.0))
    book.account("onchain-long", {"USDC": 200_000.0}, (_perp("BTC", "hyperliquid"), 6.0, 92_000.0))
    book.account("borrower", {"USDC": -400_000.0, "BTC": 15.0})
    book.account("coin-borrower", {"ETH": -150.0, "USDT": 900_000.0}, (_perp("ETH", "bybit"), 120.0, 3_300.0))


def _option_books(book: Book) -> None:
    mar_c, mar_p = _opt("BTC", "260327", 100_000, "C"), _opt("BTC", "260327", 100_000, "P")
    book.account("straddle-seller", {"BTC": 12.0}, (mar_c, -10.0), (mar_p, -10.0))
    book.account("straddle-buyer", {"BTC": 6.0}, (mar_c, 15.0), (mar_p, 15.0))
    book.account(
        "strangle-seller",
        {"BTC": 10.0},
        (_opt("BTC", "260227", 110_000, "C"), -20.0),
        (_opt("BTC", "260227", 80_000, "P"), -20.0),
        orders=((_opt("BTC", "260227", 75_000, "P"), "sell", 5.0, 0.006),),
    )
    book.account(
        "strangle-seller-eth",
        {"ETH": 250.0},
        (_opt("ETH", "260227", 4_000, "C"), -300.0),
        (_opt("ETH", "260227", 2_600, "P"), -300.0),
    )
    book.account("covered-call", {"BTC": 20.0}, (mar_c, -20.0))
    book.account("covered-call-eth", {"ETH": 400.0}, (_opt("ETH", "260327", 4_000, "C"), -350.0))
    book.account("put-writer", {"USDC": 900_000.0}, (_opt("BTC", "260327", 85_000, "P"), -12.0))
    book.account("protective-put", {"BTC": 15.0}, (_opt("BTC", "260626", 85_000, "P"), 15.0))
    book.account(
        "collar",
        {"BTC": 15.0},
        (_opt("BTC", "260327", 85_000, "P"), 15.0),
        (_opt("BTC", "260327", 115_000, "C"), -15.0),
    )
    book.account(
        "delta-hedged-seller",
        {"BTC": 8.0, "USDC": 300_000.0},
        (_opt("BTC", "260130", 96_000, "C"), -25.0),
        (BTC, 125_000.0, 96_200.0),
        orders=((BTC, "buy", 20_000.0, 98_000.0), (BTC, "sell", 20_000.0, 94_000.0)),
    )


def _spreads(book: Book) -> None:
    book.account("calendar-spread", {"BTC": 5.0}, (_opt("BTC", "260130", 100_000, "C"), -20.0),
                 (_opt("BTC", "260327", 100_000, "C"), 20.0))  # fmt: skip
    book.account("call-spread", {"USDC": 120_000.0}, (_opt("BTC", "260227", 100_000, "C"), 20.0),
                 (_opt("BTC", "260227", 110_000, "C"), -20.0))  # fmt: skip
    book.account(
        "iron-condor",
        {"BTC": 4.0},
        (_opt("BTC", "260227", 75_000, "P"), 15.0),
        (_opt("BTC", "260227", 85_000, "P"), -15.0),
        (_opt("BTC", "260227", 105_000, "C"), -15.0),
        (_opt("BTC", "260227", 115_000, "C"), 15.0),
    )
    book.account("basis-trader", {"BTC": 8.0, "USDC": 200_000.0}, (f"{BTC}-260327", -150_000.0), (BTC, 140_000.0))
    book.account("basis-trader-eth", {"ETH": 150.0}, (f"{ETH}-260626", -600_000.0), (ETH, 580_000.0))
    book.account("venue-spread", {"USDT": 500_000.0}, (_perp("BTC"), 30.0), (_perp("BTC", "bybit"), -30.0))
    book.account("pair-btc-eth", {"USDT": 450_000.0}, (_perp("BTC"), 10.0), (_perp("ETH"), -290.0))
    book.account("vol-pair", {"BTC": 6.0, "ETH": 80.0}, (_opt("BTC", "260327", 95_000, "C"), -8.0),
                 (_opt("ETH", "260327", 3_300, "C"), 230.0), (BTC, 38_000.0))  # fmt: skip
    alts = {"SOL": 2_500, "BNB": 350, "XRP": 150_000, "ADA": -600_000, "DOGE": -1_800_000, "AVAX": 18_000}
    book.account(
        "diversified-alts",
        {"USDT": 600_000.0, "USDC": 150_000.0},
        *[(_perp(coin), float(size)) for coin, size in alts.items()],
        (_perp("LINK"), -15_000.0),
        (_perp("LTC"), 2_000.0),
        orders=((_perp("SOL"), "buy", 800.0, 140.0), (_perp("XRP"), "sell", 60_000.0, 2.2)),
    )
    book.account("isolated-pair", {"USDT": 260_000.0}, (_perp("BTC"), 8.0, 95_500.0), (_perp("ETH"), -120.0, 3_350.0),
                 group="g1")  # fmt: skip


def _in_trouble(book: Book) -> None:
    book.account("near-liquidation", {"USDT": 240_000.0}, (_perp("BTC"), 14.0, 100_500.0))
    book.account("under-water", {"USDT": 100_000.0}, (_perp("ETH"), 420.0, 3_640.0))
    book.account(
        "naked-call-seller",
        {"USDC": 260_000.0},
        (_opt("BTC", "260130", 105_000, "C"), -30.0),
        (BTC, -15_000.0, 92_000.0),
    )
    book.account("idle-orders", {"USDC": 300_000.0}, orders=(
        (BTC, "buy", 50_000.0, 90_000.0), (BTC, "sell", 50_000.0, 102_000.0),
        (_opt("BTC", "260227", 80_000, "P"), "sell", 10.0, 0.02),
    ))  # fmt: skip


def _market_makers(book: Book, options: list[str], prices: dict[str, float]) -> None:
    """Many small option positions of alternating sign near the money, hedged and quoting."""
    near = [name for name in options if _near(name, prices)]
    legs = near[:: max(len(near) // 58, 1)][:58]
    size = {"BTC": 6.0, "ETH": 90.0}
    held = [(name, size[name.split(":")[1][:3]] * (1 if place % 3 else -2)) for place, name in enumerate(legs)]
    quoting = tuple((name, "buy" if place % 2 else "sell", 2.0, 0.02) for place, name in enumerate(near[5:45:10]))
    book.account("market-maker", {"BTC": 30.0, "ETH": 400.0, "USDC": 2_000_000.0}, *held, (BTC, -40_000.0),
                 (ETH, 150_000.0), orders=quoting)  # fmt: skip
    half = [(name, quantity / 2.0) for name, quantity in held if "ETH" in name][:20]
    book.account("market-maker-eth", {"ETH": 500.0, "USDC": 400_000.0}, *half, (ETH, -200_000.0))


def _near(name: str, prices: dict[str, float]) -> bool:
    coin, strike = name.split(":")[1][:3], float(name.split("-")[2])
    return 0.8 <= strike / prices[coin] <= 1.25


def _compact(book: dict[str, list[Row]]) -> str:
    """One row a line, so that a change of the book reads well in a diff."""
    tables = [
        f'"{name}": [\n' + ",\n".join(f" {json.dumps(row)}" for row in rows) + "\n]" for name, rows in book.items()
    ]
    return "{\n" + ",\n".join(tables) + "\n}\n"


if __name__ == "__main__":
    main()
