"""Print what a file must hold."""

import sys
from typing import Any, Literal

import msgspec
from rich.table import Table

from crossmargin.cli.app import console
from crossmargin.files.book_tables import BookTables
from crossmargin.files.changes import ChangeRow
from crossmargin.files.market_tables import MarketTables
from crossmargin.files.routes import RouteRow
from crossmargin.margin.methods import DEFAULT_METHOD, method_named


def schema(
    what: Literal["book", "market", "parameters", "changes", "costs"],
    *,
    method: str = DEFAULT_METHOD,
    json: bool = False,
) -> None:
    """Print the schema of a book, a market snapshot, a method's parameters, or a row of changes or transfer costs.

    Parameters
    ----------
    what
        Which file.
    method
        Margin method whose parameters are meant.
    json
        Print JSON Schema instead of tables.
    """
    types: dict[str, Any] = {"book": BookTables, "market": MarketTables, "changes": ChangeRow, "costs": RouteRow}
    found = msgspec.json.schema(types[what] if what in types else method_named(method).parameters)
    if json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    for name, record in found["$defs"].items():
        if "properties" in record:
            console.print(_record_table(name, record))


def _record_table(name: str, record: dict[str, Any]) -> Table:
    table = Table(title=f"{name}: {record.get('description', '')}", title_justify="left")
    for heading in ("field", "type", "required"):
        table.add_column(heading)
    required = record.get("required", [])
    for field, kind in record["properties"].items():
        table.add_row(field, _words(kind), "yes" if field in required else "")
    return table


def _words(kind: dict[str, Any]) -> str:
    if "$ref" in kind:
        return str(kind["$ref"]).rpartition("/")[2]
    if "anyOf" in kind:
        return " or ".join(_words(one) for one in kind["anyOf"])
    if "enum" in kind:
        return " | ".join(str(value) for value in kind["enum"])
    if kind.get("type") == "array" and isinstance(kind.get("items"), dict):
        return f"list of {_words(kind['items'])}"
    return str(kind.get("format") or kind.get("type", "any"))
