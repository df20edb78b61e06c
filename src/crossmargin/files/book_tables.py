"""The four tables of a book as rows, read from JSON, Excel, CSV or Parquet."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from crossmargin.errors import InputError
from crossmargin.units import LARGEST_NUMBER

if TYPE_CHECKING:
    import polars as pl

Number = Annotated[float, msgspec.Meta(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER)]


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    account: str


class AccountRow(_Row, frozen=True, kw_only=True):
    """One account of a book."""

    method: str | None = None
    parent: str | None = None
    kind: str | None = None


class BalanceRow(_Row, frozen=True, kw_only=True):
    """One balance; negative is borrowed."""

    currency: str
    amount: Number
    venue: str | None = None
    chain: str | None = None


class PositionRow(_Row, frozen=True, kw_only=True):
    """One position, long > 0; quantity in contracts unless `unit` says base coins or US dollars."""

    instrument: str
    quantity: Number
    entry_price: Number | None = None
    isolated_group: str | None = None
    unit: Literal["contracts", "coin", "usd"] = "contracts"


class OrderRow(_Row, frozen=True, kw_only=True):
    """One open order; quantity in contracts, positive."""

    instrument: str
    side: Literal["buy", "sell"]
    quantity: Number
    price: Number
    reduce_only: bool = False


class BookTables(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A book as tables, the form in which it is written down."""

    accounts: tuple[AccountRow, ...]
    balances: tuple[BalanceRow, ...] = ()
    positions: tuple[PositionRow, ...] = ()
    orders: tuple[OrderRow, ...] = ()


TABLES: dict[str, Any] = {
    "accounts": tuple[AccountRow, ...],
    "balances": tuple[BalanceRow, ...],
    "positions": tuple[PositionRow, ...],
    "orders": tuple[OrderRow, ...],
}
_KINDS = {name.removesuffix("s"): name for name in TABLES} | {name: name for name in TABLES}
_FRAMES = ".csv", ".parquet"
_READERS = "fastexcel", "polars"
"""Libraries whose errors say what is wrong with a file; they are not named by class, as that would load them."""


def read_tables(path: Path) -> BookTables:
    """Return the tables at `path`: JSON, Excel, one CSV or Parquet with a column `kind`, or a folder of them.

    Raises
    ------
    InputError
        If nothing is there, or a row breaks the schema; the message names table, row and column.
    """
    if not path.exists():
        raise InputError(f"a book must be a file or a folder, found none at {path}")
    try:
        raw = _raw_tables(path)
    except (msgspec.DecodeError, UnicodeDecodeError, OSError, RecursionError) as error:
        raise InputError(f"{path.name} must hold a book: {_one_line(error)}") from error
    except Exception as error:
        if type(error).__module__.lstrip("_").startswith(_READERS):
            raise InputError(f"{path.name} must hold a book: {_one_line(error)}") from error
        raise
    return _checked(raw, path, strict=path.suffix == ".json")


def _raw_tables(path: Path) -> dict[str, Any]:
    if path.is_dir():
        return _folder(path)
    if path.suffix == ".json":
        raw = msgspec.json.decode(path.read_bytes())
        if not isinstance(raw, dict):
            raise InputError(f"{path.name} must hold a book: expected an object with the key accounts")
        return raw
    if path.suffix == ".xlsx":
        import polars as pl  # slow to load, and what is read from JSON needs none of it

        sheets = pl.read_excel(path, sheet_id=0, raise_if_empty=False)
        return {name.strip().lower(): _rows(sheet) for name, sheet in sheets.items()}
    if path.suffix in _FRAMES:
        return _by_kind(_frame(path), path)
    raise InputError(f"a book must be .json, .xlsx, .csv, .parquet or a folder, was {path.name}")


def _frame(path: Path) -> "pl.DataFrame":
    import polars as pl

    return pl.read_csv(path, infer_schema=False) if path.suffix == ".csv" else pl.read_parquet(path)


def _folder(path: Path) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for file in sorted(path.iterdir()):
        if file.suffix in _FRAMES:
            if file.stem in tables:
                raise InputError(f"a table may stand once in a book, {file.stem!r} stands twice in {path.name}")
            tables[file.stem] = _rows(_frame(file))
    return tables


def _by_kind(frame: "pl.DataFrame", path: Path) -> dict[str, Any]:
    if "kind" not in frame.columns:
        raise InputError(f"a book in one table must have a column kind, {path.name} has {', '.join(frame.columns)}")
    tables: dict[str, Any] = {}
    for number, row in enumerate(_rows(frame), start=1):
        kind = row.pop("kind", "")
        if kind not in _KINDS:
            raise InputError(f"a kind must be one of {', '.join(TABLES)}, was {kind!r} in row {number} of {path.name}")
        tables.setdefault(_KINDS[kind], []).append(row)
    return tables


def _rows(frame: "pl.DataFrame") -> list[dict[str, Any]]:
    import polars as pl

    texts = {"account", "method", "parent", "kind", "currency", "venue", "chain", "instrument", "isolated_group"}
    # a sheet of account numbers arrives as floats: 1.0 is the account "1"
    whole = [name for name in texts & set(frame.columns) if frame[name].dtype.is_float()]
    frame = frame.with_columns(pl.col(name).cast(pl.Int64, strict=False) for name in whole)
    numbered = [name for name in texts & set(frame.columns) if frame[name].dtype.is_integer()]
    frame = frame.with_columns(pl.col(name).cast(pl.String) for name in numbered)
    return [
        {key: value for key, value in row.items() if value not in (None, "")} for row in frame.iter_rows(named=True)
    ]


def _checked(raw: dict[str, Any], path: Path, *, strict: bool) -> BookTables:
    unknown = sorted(str(name) for name in raw if name not in TABLES)
    if unknown:
        raise InputError(f"a table of a book must be one of {', '.join(TABLES)}, was {unknown[0]!r} in {path.name}")
    if "accounts" not in raw:
        raise InputError(f"a book must have the table accounts, {path.name} has {', '.join(raw) or 'none'}")
    found: dict[str, Any] = {}
    for name, rows in raw.items():
        try:
            found[name] = msgspec.convert(rows, TABLES[name], strict=strict)
        except msgspec.ValidationError as error:
            raise InputError(f"{path.name} must hold a book: {_located(name, str(error))}") from error
    return BookTables(**found)


def _located(table: str, message: str) -> str:
    """Return msgspec's finding with its JSON path as table, row (from 1) and column."""
    rule, _, where = message.partition(" - at `$")
    match = re.match(r"\[(\d+)\](?:\.(\w+))?", where)
    if match is None:
        return f"{rule} in table {table}"
    column = f", column {match[2]}" if match[2] else ""
    return f"{rule} in table {table}, row {int(match[1]) + 1}{column}"


def _one_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
