"""Answers as HTML fragments for a notebook: small tables, numbers right-aligned, in the notebook's own colours."""

from collections.abc import Iterable, Sequence
from html import escape

from crossmargin.margin.method import Component, Explanation, Requirement
from crossmargin.margin.what_if import WhatIf

_RIGHT = 'style="text-align:right;font-variant-numeric:tabular-nums"'
_LEFT = 'style="text-align:left"'


def requirements_fragment(results: Sequence[Requirement]) -> str:
    """Return one row per account, what hurts first."""
    rows = sorted(results, key=lambda result: -result.margin_usage)
    cells = [
        (
            _text(result.account),
            *(_usd(amount) for amount in (result.equity, result.initial, result.maintenance, result.excess)),
            _number(f"{100 * result.margin_usage:,.1f} %" if result.margin_usage < float("inf") else "∞"),
            _text(result.worst_scenario or "-"),
        )
        for result in rows
    ]
    title = f"{results[0].method} · parameters of {results[0].version} · USD" if results else "no accounts"
    heads = ("account", "equity", "initial", "maintenance", "excess", "usage", "worst scenario")
    return _table(title, heads, cells)


def explanation_fragment(result: Requirement) -> str:
    """Return equity and requirement with their parts, and the tree of the worst scenario to open."""
    title = f"{result.account}: excess {result.excess:,.0f} USD under {result.method} of {result.version}"
    parts = "".join(
        _table(f"{name} {total:,.0f}", ("USD", "component", "reason"), _components(components))
        for name, total, components in (
            ("equity", result.equity, result.equity_components),
            ("initial", result.initial, result.initial_components),
            ("maintenance", result.maintenance, result.maintenance_components),
        )
    )
    tree = _tree(result.explanation) if result.explanation is not None else ""
    return f"<p><b>{escape(title)}</b></p>{parts}{tree}"


def change_fragment(result: WhatIf) -> str:
    """Return equity, requirements and excess before and after, and the change."""
    names = ("equity", "initial", "maintenance", "excess")
    cells = [
        (_text(name), _usd(old), _usd(new), _number(f"{new - old:+,.0f}"))
        for name in names
        for old, new in [(getattr(result.before, name), getattr(result.after, name))]
    ]
    return _table(f"{result.before.account} · {result.before.method}", ("USD", "before", "after", "change"), cells)


def _components(components: Iterable[Component]) -> list[tuple[str, ...]]:
    return [(_usd(part.amount), _text(part.name), _text(part.reason)) for part in components]


def _tree(node: Explanation) -> str:
    line = f"{node.pnl:,.0f}&ensp;{escape(node.name)}"
    if not node.children:
        return f"<div>{line}</div>"
    inner = "".join(_tree(child) for child in node.children)
    return f'<details><summary>{line}</summary><div style="padding-left:1.2em">{inner}</div></details>'


def _table(title: str, heads: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = "".join(f"<th {_LEFT}>{escape(heading)}</th>" for heading in heads)
    body = "".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return (
        f'<table><caption style="text-align:left">{escape(title)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _text(text: str) -> str:
    return f"<td {_LEFT}>{escape(text)}</td>"


def _usd(amount: float) -> str:
    return _number(f"{amount:,.0f}")


def _number(text: str) -> str:
    return f"<td {_RIGHT}>{text}</td>"
