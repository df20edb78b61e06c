"""Which snapshot of many: the newest at or before the time asked for."""

import datetime as dt
from typing import TYPE_CHECKING

from crossmargin.errors import InputError
from crossmargin.market.snapshot import Finding

if TYPE_CHECKING:
    import polars as pl

_SAME_SNAPSHOT = dt.timedelta(minutes=10)
"""Rows of one snapshot may be stamped one by one; a longer silence begins the next."""
_FAR = dt.timedelta(days=1)


def asked_time(at: str | dt.datetime | None) -> dt.datetime | None:
    """Return the time named by `at` with its zone: UTC if it names none, the day's end if it is a date alone.

    Examples
    --------
    >>> asked_time("2026-01-15T09:30")
    datetime.datetime(2026, 1, 15, 9, 30, tzinfo=datetime.timezone.utc)
    """
    if at is None:
        return None
    if isinstance(at, str):
        try:
            day_alone = len(at.strip()) <= len("2026-01-15")
            time = dt.datetime.fromisoformat(at.strip())
        except ValueError as error:
            raise InputError(f"a time is written as 2026-01-15 or 2026-01-15T09:00:00Z, was {at!r}") from error
        at = time + dt.timedelta(days=1, microseconds=-1) if day_alone else time
    return at if at.tzinfo is not None else at.replace(tzinfo=dt.UTC)


def numbered(frame: "pl.DataFrame", column: str, file: str) -> "pl.DataFrame":
    """Return the rows by time, with the number of the snapshot that each belongs to in a column `_snapshot`.

    Raises
    ------
    InputError
        If a row has no time.
    """
    import polars as pl  # slow to load, and a snapshot in JSON needs none of it

    if frame.is_empty() or not frame[column].dtype.is_temporal() or frame[column].null_count():
        raise InputError(f"a snapshot's {column} must be a time in every row, was {frame[column].dtype} in {file}")
    frame = frame.with_columns(pl.col(column).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")).sort(
        column, maintain_order=True
    )
    return frame.with_columns(_snapshot=(pl.col(column).diff() > _SAME_SNAPSHOT).fill_null(value=False).cum_sum())


def choose(
    frame: "pl.DataFrame", column: str, asked: dt.datetime | None, file: str
) -> "tuple[pl.DataFrame, dt.datetime, tuple[Finding, ...]]":
    """Return the rows of the newest snapshot at or before `asked`, its time, and a finding if that is long before.

    Raises
    ------
    InputError
        If there is none; the message lists what there is.
    """
    import polars as pl

    frame = numbered(frame, column, file)
    ends = frame.group_by("_snapshot", maintain_order=True).agg(pl.col(column).max())[column].to_list()
    places = [place for place, end in enumerate(ends) if asked is None or end <= asked]
    if not places:
        raise InputError(
            f"a snapshot must be at or before {asked}, {file} holds {len(ends)} from {ends[0]} to {ends[-1]}"
        )
    time: dt.datetime = ends[places[-1]]
    findings: tuple[Finding, ...] = ()
    if asked is not None and asked - time > _FAR:
        findings = (
            Finding(subject=file, rule="nearest", found=f"{time} for {asked}", treatment="used as of its time"),
        )
    return frame.filter(pl.col("_snapshot") == places[-1]).drop("_snapshot"), time, findings
