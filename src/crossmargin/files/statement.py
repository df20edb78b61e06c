"""Statements of venues and custodians: a JSON record of balances, positions and lines, or a table of lines."""

import csv
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec

from crossmargin.clearing.reconciliation import Line, Statement
from crossmargin.errors import InputError

COLUMNS = ("id", "account", "asset", "amount", "time_ns", "fee", "fee_asset")


class _Statement(msgspec.Struct, forbid_unknown_fields=True):
    balances: dict[str, Decimal] | None = None
    positions: dict[str, Decimal] | None = None
    lines: list[Line] | None = None
    time_ns: int | None = None


def read_statement(path: Path) -> Statement:
    """Return the statement in a file: JSON where its name ends in .json, else CSV of lines with a head.

    The head names id, account, asset and amount, and may name time_ns, fee and fee_asset.

    Raises
    ------
    InputError
        If there is no such file, or it is no statement.
    """
    if not path.is_file():
        raise InputError(f"a statement must be a file, found none at {path}")
    found = _record(path.read_bytes()) if path.suffix == ".json" else Statement(lines=_table(path))
    for name, amounts in (("balance", found.balances), ("position", found.positions)):
        for key, amount in (amounts or {}).items():
            _check(f"a {name} of {key}", amount)
    for line in found.lines or ():
        _check(f"the amount of line {line.id!r}", line.amount)
        _check(f"the fee of line {line.id!r}", line.fee)
    return found


def _record(text: bytes) -> Statement:
    try:
        found = msgspec.json.decode(text, type=_Statement)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"a statement must hold balances, positions or lines: {error}") from error
    if found.balances is None and found.positions is None and found.lines is None:
        raise InputError("a statement must hold balances, positions or lines, it holds none of them")
    lines = None if found.lines is None else tuple(found.lines)
    return Statement(balances=found.balances, positions=found.positions, lines=lines, time_ns=found.time_ns)


def _table(path: Path) -> tuple[Line, ...]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            head = rows.fieldnames or []
            if not set(COLUMNS[:4]) <= set(head) <= set(COLUMNS) or len(head) != len(set(head)):
                raise InputError(f"a statement's columns are {', '.join(COLUMNS)}, the last three at will, were {head}")
            return tuple(_line(number, row) for number, row in enumerate(rows, start=2))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"a statement must be a table in UTF-8: {error}") from error


def _line(number: int, row: dict[str, Any]) -> Line:
    if None in row or None in row.values():
        raise InputError(f"row {number} must have as many cells as the head")
    try:
        return Line(
            id=row["id"],
            account=row["account"],
            asset=row["asset"],
            amount=Decimal(row["amount"]),
            time_ns=int(row.get("time_ns") or 0),
            fee=Decimal(row.get("fee") or 0),
            fee_asset=row.get("fee_asset") or "",
        )
    except (InvalidOperation, ValueError) as error:
        raise InputError(f"row {number} must hold numbers, has {row}") from error


def _check(what: str, amount: Decimal) -> None:
    if not amount.is_finite():
        raise InputError(f"{what} must be finite, was {amount}")
