"""The worked examples of Paradex's documentation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from crossmargin.clearing.liquidation_size import stepped_share
from crossmargin.margin.paradex_rules import (
    RestingOrder,
    cross_initial,
    kept_in_deleveraging,
    minimum_delta_risk,
    open_sizes,
    order_passes,
)
from crossmargin.verification.tally import Tally


def verify(folder: Path) -> Tally:
    """Return the tally of the folder's examples."""
    data = msgspec.json.decode((folder / "vectors.json").read_bytes())
    tally = Tally(name="paradex_docs")
    for name, check in _CHECKS.items():
        if name in data:
            check(tally, data[name])
    return tally


def _minimum_delta(tally: Tally, case: dict[str, Any]) -> None:
    deltas = [position["delta"] * position["qty"] for position in case["positions"]]
    found = minimum_delta_risk(deltas, case["spot"], case["unhedged"], case["hedged"])
    told = case["expected"]
    pairs = [
        (found.net, told["net"]),
        (found.gross, told["gross"]),
        (found.hedged, told["hedged_delta"]),
        (found.minimum, told["min_delta_risk"]),
    ]
    tally.check("portfolio minimum delta", pairs, tolerance=1e-9)


def _open_size(tally: Tally, case: dict[str, Any]) -> None:
    sizes = open_sizes(case["position"], case["buy_orders"], case["sell_orders"])
    told = case["expected"]
    pairs = [
        (sizes.buy, told["buy_open"]),
        (sizes.sell, told["sell_open"]),
        (cross_initial(sizes, case["mark"], case["imf"]), told["net_imr"]),
    ]
    tally.check("open size", pairs, tolerance=1e-9)


def _liquidation(tally: Tally, case: dict[str, Any]) -> None:
    told = case["expected"]
    value = case["collateral"] + sum(p["size"] * (p["mark"] - p["entry"]) for p in case["positions"])
    margin = sum(abs(p["size"]) * p["mark"] * p["mmf"] for p in case["positions"])
    # the text says 70 %, the worked table uses 50 %: the table's numbers are what can be compared
    steps = stepped_share(value, margin, fee=case["fee_used_in_table"], target=case["target"])
    pairs = [(value, told["account_value"]), (margin, told["mmr"]), (steps[-1].share, told["chosen_share"])]
    for step, row in zip(steps, told["table"], strict=False):
        pairs += [(step.maintenance, row["mmr"]), (step.penalty, row["penalty"]), (step.equity, row["account_value"])]
    tally.check("partial liquidation", pairs, tolerance=1e-9)


def _socialised(tally: Tally, case: dict[str, Any]) -> None:
    position, told = case["position"], case["expected"]
    settled = case["users"][position["owner"]] + position["size"] * (position["mark"] - position["entry"])
    pairs = [(settled, told["alice_settlement"]), (max(-settled, 0.0) - case["insurance"], told["exchange_bankruptcy"])]
    tally.check("socialised loss: bankruptcy", pairs, tolerance=1e-9)
    tally.disable("socialised loss: factor", "the page's table says 0.25, its own formula gives 0.20")


def _deleveraging(tally: Tally, case: dict[str, Any]) -> None:
    orders = [RestingOrder(side=o["side"], size=o["size"], price=o["px"]) for o in case["orders"]]
    kept = [(o.side, o.size, o.price) for o in kept_in_deleveraging(case["position"], orders)]
    told = [(o["side"], o["size"], o["px"]) for o in case["expected_remaining"]]
    tally.check("order deleveraging", [(float(kept == told), 1.0)], tolerance=0.0)


def _risk_check(tally: Tally, case: dict[str, Any]) -> None:
    fill, told = case["fill"], case["expected"]
    size, entry, mark = fill["size"], fill["px"], case["mark_then"]
    profit = size * (mark - entry)

    def passes(open_sells: float, sell: float) -> float:
        accepted = order_passes(
            collateral=case["collateral"],
            position=size,
            entry=entry,
            mark=mark,
            open_sells=open_sells,
            sell=sell,
            initial_rate=case["imf"],
        )
        return float(accepted)

    pairs = [
        (size * mark * case["imf"], told["imr_after_drop"]),
        (profit, told["upnl"]),
        (case["collateral"] + profit, told["account_value"]),
        (passes(0.0, 5.0), float(told["sell5_accepted"])),
        (passes(5.0, 8.0), float(told["then_sell8_accepted"])),
    ]
    tally.check("order risk check", pairs, tolerance=1e-9)


_CHECKS: dict[str, Callable[[Tally, dict[str, Any]], None]] = {
    "pm_min_delta": _minimum_delta,
    "open_size_imr": _open_size,
    "partial_liquidation": _liquidation,
    "socialised_loss": _socialised,
    "order_deleveraging": _deleveraging,
    "order_risk_check": _risk_check,
}
