"""A recorded Hyperliquid account, the documentation's isolated position, and the portfolio-margin ratio."""

from pathlib import Path
from typing import Any

import msgspec

from crossmargin.margin.hyperliquid import (
    Borrow,
    isolated_liquidation_price,
    liquidation_price,
    liquidation_value,
    maintenance_rate,
    maintenance_requirement,
)
from crossmargin.verification.tally import Tally

_PRINTED = 1e-8
"""Prices are printed to eight digits after the point; the isolated example rounds its raw USD."""


def verify(folder: Path) -> Tally:
    """Return the tally of the folder's account and examples."""
    data = msgspec.json.decode((folder / "vectors.json").read_bytes())
    tally = Tally(name="hyperliquid")
    if "cross_account" in data:
        _account(tally, data["cross_account"])
    if "isolated_doc_example" in data:
        case = data["isolated_doc_example"]
        rate = maintenance_rate(case["maxLeverage"])
        found = isolated_liquidation_price(float(case["leverage"]["rawUsd"]), float(case["szi"]), rate)
        tally.check("isolated example", [(found, float(case["liquidationPx"]))], tolerance=_PRINTED)
    if "portfolio_margin" in data:
        case = data["portfolio_margin"]
        token = Borrow(
            balance=case["portfolio_balance"],
            borrowed=case["borrowed"],
            price=case["borrow_px"],
            supply_cap=case["supply_cap"],
            borrow_cap=case["borrow_cap"],
            loan_to_value=case["ltv"],
        )
        owed = maintenance_requirement(case["cross_maintenance_margin"], token.borrowed * token.price)
        pairs = [
            (owed, float(case["expected"]["maintenance_requirement"])),
            (liquidation_value(token), float(case["expected"]["liquidation_value"])),
        ]
        tally.check("portfolio margin", pairs, tolerance=0.0)
    return tally


def _account(tally: Tally, account: dict[str, Any]) -> None:
    """Sums of the account, then each liquidation price at the one maintenance rate that the account implies."""
    summary = {name: float(value) for name, value in account["marginSummary"].items()}
    rows = account["positions"]
    notional = sum(float(row["positionValue"]) for row in rows)
    used = sum(float(row["positionValue"]) / row["leverage"]["value"] for row in rows)
    signed = sum(float(row["positionValue"]) * (1 if float(row["szi"]) > 0 else -1) for row in rows)
    tally.check(
        "margin summary",
        [
            (notional, summary["totalNtlPos"]),
            (used, summary["totalMarginUsed"]),
            (summary["accountValue"] - signed, summary["totalRawUsd"]),
            (summary["accountValue"] - used, float(account["withdrawable"])),
        ],
        tolerance=1e-8,
    )
    priced = [row for row in rows if row["liquidationPx"]]
    if not priced:
        return
    rate = _implied_rate(priced[0], summary["accountValue"], notional)
    for row in priced:
        size, value = float(row["szi"]), float(row["positionValue"])
        side = 1 if size > 0 else -1
        available = summary["accountValue"] - rate * notional
        found = liquidation_price(value / abs(size), side, abs(size), available, rate)
        # the rate is read off a price printed to eight digits, which is good to a millionth here
        tally.check(f"liquidation of {row['coin']}", [(found, float(row["liquidationPx"]))], tolerance=1e-6)


def _implied_rate(row: dict[str, Any], account_value: float, notional: float) -> float:
    """The maintenance rate at which the formula gives this row's price; the account's leverage tiers are not recorded."""
    size, value = abs(float(row["szi"])), float(row["positionValue"])
    side = 1 if float(row["szi"]) > 0 else -1
    gap = (float(row["liquidationPx"]) - value / size) * -side * size
    return (account_value - gap) / (notional - gap * side)
