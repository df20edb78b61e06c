"""Terminal tables, and the same results as plain records for `--json`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.tree import Tree

from crossmargin.margin.comparison import Refusal
from crossmargin.margin.method import Explanation, Requirement
from crossmargin.margin.methods import OWN_METHODS
from crossmargin.margin.what_if import WhatIf
from crossmargin.report.columns import Column, table


def requirements_table(results: Sequence[Requirement], width: int) -> Table:
    """Return one row per account, what hurts first: the columns that fit into `width` cells, and no number cut."""
    rows = sorted(results, key=lambda result: -result.margin_usage)
    dangers = ["bold red" if result.equity < result.maintenance else "" for result in rows]
    columns: tuple[Column, ...] = (
        Column(heading="account", cells=[result.account for result in rows], words=True),
        Column(heading="equity", cells=[_usd(result.equity) for result in rows], importance=2),
        Column(heading="initial", cells=[_usd(result.initial) for result in rows], importance=3),
        Column(heading="excess", cells=[_usd(result.excess) for result in rows]),
        Column(heading="usage", cells=[_percent(result.margin_usage) for result in rows], importance=1),
        Column(heading="maintenance", cells=[_usd(result.maintenance) for result in rows], importance=4),
        Column(heading="state", cells=[_state(result) for result in rows], importance=5, words=True),
        Column(
            heading="worst scenario",
            cells=[result.worst_scenario or "-" for result in rows],
            importance=6,
            words=True,
            fills=True,
        ),
    )
    used = {f"{result.method} · parameters of {result.version}": None for result in results}
    title = f"{' | '.join(used)} · USD" if results else None
    if len(used) > 1:
        methods = [result.method for result in rows]
        columns = (columns[0], Column(heading="method", cells=methods, importance=1, words=True), *columns[1:])
    return table(columns, width, title=title, styles=dangers)


def comparison_table(found: Mapping[str, Sequence[Requirement | Refusal]], width: int) -> Table:
    """Return the initial requirement of every account under our own methods, and what the venues' rulebooks ask.

    The rulebooks are counted ("3 of 12" can hold the account) with the least and the most that they ask; each has a
    column of its own where the width allows.
    """
    own = [name for name in found if name in OWN_METHODS]
    venues = [name for name in found if name not in OWN_METHODS]
    accounts = [row[0].account for row in zip(*found.values(), strict=True)]
    columns = [Column(heading="account", cells=accounts, words=True)]
    columns += [Column(heading=name, cells=[_initial(a) for a in found[name]]) for name in own]
    asked = [
        [a.initial for a in row if isinstance(a, Requirement)]
        for row in zip(*(found[name] for name in venues), strict=True)
    ]
    if venues:
        held = [f"{len(amounts)} of {len(venues)}" if amounts else "cannot" for amounts in asked]
        columns += [
            Column(heading="rulebooks", cells=held, importance=1),
            Column(heading="least", cells=[_usd(min(amounts)) if amounts else "" for amounts in asked], importance=2),
            Column(heading="most", cells=[_usd(max(amounts)) if amounts else "" for amounts in asked], importance=3),
        ]
    columns += [Column(heading=name, cells=[_initial(a) for a in found[name]], importance=4) for name in venues]
    return table(columns, width, title="initial requirement, USD")


def _initial(answer: Requirement | Refusal) -> str:
    return "cannot" if isinstance(answer, Refusal) else _usd(answer.initial)


def _state(result: Requirement) -> str:
    if result.equity < result.maintenance:
        return "liquidation"
    return "deficit" if result.excess < 0.0 else "good"


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


def what_if_table(result: WhatIf, width: int) -> Table:
    """Return equity, requirements, excess and usage before and after, and the change."""
    names = ("equity", "initial", "maintenance", "excess")
    before = [getattr(result.before, name) for name in names]
    after = [getattr(result.after, name) for name in names]
    usage = [result.before.margin_usage, result.after.margin_usage]
    columns = (
        Column(heading="USD", cells=[*names, "usage", "state"], words=True),
        Column(heading="before", cells=[*map(_usd, before), _percent(usage[0]), _state(result.before)]),
        Column(heading="after", cells=[*map(_usd, after), _percent(usage[1]), _state(result.after)]),
        Column(heading="change", cells=[*(f"{y - x:+,.0f}" for x, y in zip(before, after, strict=True)), "", ""]),
    )
    return table(columns, width, title=f"{result.before.account} · {result.before.method}")


def largest_orders_table(found: Sequence[Mapping[str, Any]], width: int) -> Table:
    """Return one row per order asked about: the most contracts that pass."""
    columns = (
        Column(heading="instrument", cells=[each["instrument"] for each in found], words=True),
        Column(heading="side", cells=[each["side"] for each in found], words=True),
        Column(heading="most contracts", cells=[f"{each['contracts']:,.10g}" for each in found]),
    )
    return table(columns, width, title="largest orders at the mark that leave no deficit")


def what_ifs_table(changes: Sequence[str], results: Sequence[WhatIf], width: int) -> Table:
    """Return one row per change: initial requirement and excess after it, and what it adds to each."""
    columns = (
        Column(heading="account", cells=[result.before.account for result in results], words=True, importance=1),
        Column(heading="method", cells=[result.before.method for result in results], words=True, importance=3),
        Column(heading="change", cells=list(changes), words=True, fills=True),
        Column(heading="initial", cells=[_usd(result.after.initial) for result in results]),
        Column(heading="added", cells=[f"{result.initial:+,.0f}" for result in results]),
        Column(heading="excess", cells=[_usd(result.after.excess) for result in results]),
        Column(heading="added", cells=[f"{result.excess:+,.0f}" for result in results], importance=2),
    )
    styles = ["bold red" if result.after.excess < 0.0 else "" for result in results]
    return table(columns, width, title=f"{len(results)} changes, USD", styles=styles)


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
        "maintenance_components": [
            {"name": c.name, "amount": c.amount, "reason": c.reason} for c in result.maintenance_components
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


def _usd(amount: float) -> str:
    return f"{amount:,.0f}"


def _percent(share: float) -> str:
    return f"{100 * share:,.1f} %" if math.isfinite(share) else "∞"
