"""The tables of which a market snapshot is made, and how JSON, CSV, folders and Parquet are read into them."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from crossmargin.errors import InputError
from crossmargin.files.snapshot_time import asked_time, choose
from crossmargin.market.snapshot import Finding
from crossmargin.units import NANOSECONDS_PER_SECOND

if TYPE_CHECKING:
    import polars as pl


class IndexRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Index price of one currency in USD."""

    currency: str
    price: float
    quote_time: dt.datetime | None = None
    delivery_average: float | None = None


class QuoteRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Quote of one contract; `forward` is the USD forward of its expiry."""

    instrument: str
    mark: float | None = None
    mark_vol: float | None = None
    forward: float | None = None
    bid: float | None = None
    ask: float | None = None
    funding_rate_8h: float | None = None
    open_interest: float | None = None
    quote_time: dt.datetime | None = None


class MarketTables(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A snapshot as tables, the form in which it is written down."""

    time: dt.datetime
    index: tuple[IndexRow, ...]
    quotes: tuple[QuoteRow, ...] = ()
    source: str = ""
    findings: tuple[Finding, ...] = ()


_ROWS: dict[str, Any] = {"index": IndexRow, "quote": QuoteRow}
_ROW = "number of the row"
"""Column that remembers where a row stood in its file."""


def tables_at(path: Path, at: str | dt.datetime | None) -> MarketTables:
    """Return the tables of the newest snapshot in `path` at or before `at`."""
    asked = asked_time(at)
    if path.is_dir():
        return _from_rows(_folder(path), asked, path.name)
    if not path.is_file():
        raise InputError(f"a market snapshot must be a file, found none at {path}")
    match path.suffix.lower():
        case ".json":
            return _from_json(path, asked)
        case ".csv" | ".parquet":
            frame = read_frame(path)
            return frame_tables(frame, asked, path.name)
    raise InputError(f"a market snapshot must be .json, .csv, .parquet or a folder, was {path.name}")


def frame_tables(frame: "pl.DataFrame", asked: dt.datetime | None, file: str) -> MarketTables:
    """Return the newest snapshot at or before `asked` in a table of quotes or in an option chain."""
    from crossmargin.files.option_chain import chain_tables  # with polars, which a snapshot in JSON does not need

    if is_chain(frame):
        return msgspec.convert(chain_tables(frame, asked, file), MarketTables)
    return _from_rows(frame, asked, file)


def is_chain(frame: "pl.DataFrame") -> bool:
    """Whether a table is an option chain as venues publish it."""
    from crossmargin.files.option_chain import CHAIN_COLUMNS

    return set(CHAIN_COLUMNS) <= set(frame.columns)


def nanoseconds(time: dt.datetime) -> int:
    """Return `time` in integer nanoseconds UTC.

    Raises
    ------
    InputError
        If it has no zone.
    """
    if time.tzinfo is None:
        raise InputError(f"a snapshot's time must have a zone, was {time}")
    since = time - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    return (since.days * 86_400 + since.seconds) * NANOSECONDS_PER_SECOND + since.microseconds * 1_000


def read_frame(path: Path) -> "pl.DataFrame":
    """Return the table in a CSV or Parquet file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    import polars as pl  # slow to load, and what is read from JSON needs none of it

    try:
        if path.suffix.lower() == ".parquet":
            return pl.read_parquet(path)
        return pl.read_csv(path, try_parse_dates=True, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path.name} must be a table: {error}") from error


def _from_json(path: Path, asked: dt.datetime | None) -> MarketTables:
    try:
        tables = msgspec.json.decode(path.read_bytes(), type=MarketTables)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path.name} must hold a market snapshot: {error}") from error
    nanoseconds(tables.time)
    if asked is not None and tables.time > asked:
        raise InputError(f"a snapshot must be at or before {asked}, {path.name} holds one only, at {tables.time}")
    return tables


def _folder(folder: Path) -> "pl.DataFrame":
    """Stack a folder's `index` and `quotes` tables into one with a column `kind`."""
    import polars as pl

    parts = []
    for kind, name in (("index", "index"), ("quote", "quotes")):
        files = [folder / f"{name}{suffix}" for suffix in (".csv", ".parquet")]
        found = next((file for file in files if file.is_file()), None)
        if found is not None:
            parts.append(read_frame(found).with_columns(kind=pl.lit(kind)))
        elif kind == "index":
            raise InputError(f"a market folder must hold index.csv or index.parquet, {folder} holds neither")
    try:
        return pl.concat(parts, how="diagonal_relaxed")
    except pl.exceptions.PolarsError as error:
        raise InputError(f"index and quotes of {folder.name} must agree on their columns: {error}") from error


def _from_rows(frame: "pl.DataFrame", asked: dt.datetime | None, file: str) -> MarketTables:
    for column in ("kind", "time"):
        if column not in frame.columns:
            raise InputError(f"a table of quotes must have a column {column}, {file} has {', '.join(frame.columns)}")
    wrong = set(frame["kind"].unique().to_list()) - {"index", "quote"}
    if wrong:
        raise InputError(f"a row is of kind index or quote, {file} has {', '.join(sorted(map(str, wrong)))}")
    frame, time, findings = choose(frame.with_row_index(_ROW, offset=1), "time", asked, file)
    tables: dict[str, list[Any]] = {"index": [], "quote": []}
    for row in frame.drop("time").iter_rows(named=True):
        kind, number = row.pop("kind"), row.pop(_ROW)
        cells = {name: _zoned(value) for name, value in row.items() if value is not None}
        try:
            tables[kind].append(msgspec.convert(cells, _ROWS[kind], strict=False))
        except msgspec.ValidationError as error:
            raise InputError(f"{file} must hold a market snapshot, row {number}: {error}") from error
    return MarketTables(time=time, index=tuple(tables["index"]), quotes=tuple(tables["quote"]), findings=findings)


def _zoned(value: object) -> object:
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        return value.replace(tzinfo=dt.UTC)
    return value
