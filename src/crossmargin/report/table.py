"""Terminal tables, and the same results as plain records for `--json`."""

import math
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from crossmargin.margin.method import Explanation, Requirement


def requirements_table(results: Sequence[Requirement]) -> Table:
    """Return one row per account: equity, requirement, excess, usage and the worst scenario; what hurts first."""
    table = Table(title=f"{results[0].method} · parameters of {results[0].version}" if results else None)
    table.add_column("account", no_wrap=True)
    for heading in ("equity USD", "initial USD", "maintenance USD", "excess USD", "usage"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("worst scenario", no_wrap=True, overflow="ellipsis")
    for result in sorted(results, key=lambda r: -r.margin_usage):
        danger = result.equity < result.maintenance
        table.add_row(
            result.account,
            f"{result.equity:,.0f}",
            f"{result.initial:,.0f}",
            f"{result.maintenance:,.0f}",
            f"{result.excess:,.0f}",
            _percent(result.margin_usage),
            result.worst_scenario or "-",
            style="bold red" if danger else None,
        )
    return table


def requirement_record(result: Requirement) -> dict[str, Any]:
    """Return `result` as plain values that JSON can hold; an infinite ratio is null."""
    return {
        "account": result.account,
        "method": result.method,
        "version": result.version,
        "equity": result.equity,
        "initial": result.initial,
        "maintenance": result.maintenance,
        "excess": result.excess,
        "maintenance_ratio": _finite(result.maintenance_ratio),
        "margin_usage": _finite(result.margin_usage),
        "worst_scenario": result.worst_scenario,
        "initial_components": [
            {"name": c.name, "amount": c.amount, "reason": c.reason} for c in result.initial_components
        ],
        "equity_components": [
            {"name": c.name, "amount": c.amount, "reason": c.reason} for c in result.equity_components
        ],
        "explanation": _tree(result.explanation),
        "measures": dict(result.measures),
    }


def _tree(node: Explanation | None) -> dict[str, Any] | None:
    if node is None:
        return None
    return {"name": node.name, "pnl": node.pnl, "children": [_tree(child) for child in node.children]}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _percent(share: float) -> str:
    return f"{100 * share:,.1f} %" if math.isfinite(share) else "∞"
