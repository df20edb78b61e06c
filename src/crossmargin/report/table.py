"""Terminal tables, and the same results as plain records for `--json`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.tree import Tree

from crossmargin.margin.comparison import Refusal
from crossmargin.margin.method import Explanation, Requirement
from crossmargin.margin.what_if import WhatIf


def requirements_table(results: Sequence[Requirement]) -> Table:
    """Return one row per account: equity, requirement, excess, usage and the worst scenario; what hurts first."""
    table = Table(title=f"{results[0].method} · parameters of {results[0].version}" if results else None)
    table.add_column("account", no_wrap=True)
    for heading in ("equity", "initial", "excess", "usage"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("worst scenario", no_wrap=True, overflow="ellipsis")
    for result in sorted(results, key=lambda r: -r.margin_usage):
        danger = result.equity < result.maintenance
        table.add_row(
            result.account,
            f"{result.equity:,.0f}",
            f"{result.initial:,.0f}",
            f"{result.excess:,.0f}",
            _percent(result.margin_usage),
            result.worst_scenario or "-",
            style="bold red" if danger else None,
        )
    return table


def comparison_table(found: Mapping[str, Sequence[Requirement | Refusal]]) -> Table:
    """Return the initial requirement of every account under every method; "cannot" where a method refuses it."""
    table = Table(title="initial requirement, USD")
    table.add_column("account", no_wrap=True)
    for name in found:
        table.add_column(name, justify="right", no_wrap=True)
    for row in zip(*found.values(), strict=True):
        cells = ["cannot" if isinstance(answer, Refusal) else f"{answer.initial:,.0f}" for answer in row]
        table.add_row(row[0].account, *cells)
    return table


def explanation_tree(result: Requirement) -> Tree:
    """Return the reason of a requirement as a tree: equity and requirement with their parts, then the loss."""
    tree = Tree(f"{result.account}: excess {result.excess:,.0f} USD under {result.method} of {result.version}")
    for name, total, parts in (
        ("equity", result.equity, result.equity_components),
        ("initial", result.initial, result.initial_components),
        ("maintenance", result.maintenance, result.maintenance_components),
    ):
        branch = tree.add(f"{name} {total:,.0f}")
        for part in parts:
            branch.add(f"{part.amount:,.0f}  {part.name}" + (f" ({part.reason})" if part.reason else ""))
    if result.explanation is not None:
        _grow(tree, result.explanation)
    return tree


def _grow(tree: Tree, node: Explanation) -> None:
    branch = tree.add(f"{node.pnl:,.0f}  {node.name}")
    for child in node.children:
        _grow(branch, child)


def what_if_table(result: WhatIf) -> Table:
    """Return equity, requirements and excess before and after, and the change."""
    table = Table("USD", title=f"{result.before.account} · {result.before.method}")
    for heading in ("before", "after", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in ("equity", "initial", "maintenance", "excess"):
        before, after = getattr(result.before, name), getattr(result.after, name)
        table.add_row(name, f"{before:,.0f}", f"{after:,.0f}", f"{after - before:+,.0f}")
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
