"""Price histories whose daily moves are the quantiles of a law, so that its textbook tail is known."""

import csv
import dataclasses
import datetime as dt
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import crossmargin as cm
from crossmargin.market.snapshot import MarketSnapshot


def with_history(market: MarketSnapshot, rule: Mapping[str, Any] | None) -> MarketSnapshot:
    """Return `market` with the history that `rule` describes, read from a file.

    The rule names a coin, a law (``normal`` or ``t`` with its degrees of freedom), a number of days and the scale of a
    move. Day by day the price moves by the quantile at a midpoint, ``scale * ppf((i + 1/2) / days)``; low and high
    quantiles alternate, so that the price stays where numbers are exact.
    """
    if rule is None:
        return market
    law = stats.norm() if rule["law"] == "normal" else stats.t(rule["degrees"])
    days = rule["days"]
    moves = rule["scale"] * law.ppf((np.arange(days) + 0.5) / days)
    mixed = np.column_stack([moves[: days // 2], moves[::-1][: days // 2]]).ravel()
    prices = 100.0 * np.cumprod(np.append(1.0, 1.0 + mixed))
    last = dt.datetime.fromtimestamp(market.time_ns // 1_000_000_000, tz=dt.UTC).date()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["date", rule["coin"]])
            writer.writerows(
                (last - dt.timedelta(days=days + 1 - day), repr(float(price))) for day, price in enumerate(prices)
            )
        return dataclasses.replace(market, history=cm.read_history(path))
