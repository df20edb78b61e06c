"""Snapshots beside a journal: an engine, the record after which it stood, and digests that say whether it is whole."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from crossmargin.engine.engine import Engine
from crossmargin.store.records import GENESIS

SNAPSHOTS_KEPT = 3


class SavedSnapshot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An engine's snapshot, and the record after which it was taken."""

    record: int
    record_hash: str
    state_hash: str
    digest: str
    """SHA-256 of `body`."""
    body: str


@dataclass(frozen=True, slots=True)
class Standing:
    """An engine, and the record after which it stands."""

    engine: Engine
    record: int
    record_hash: str


def snapshot_of(standing: Standing) -> SavedSnapshot:
    """Return the snapshot of an engine that nothing changes meanwhile."""
    body = standing.engine.snapshot()
    return SavedSnapshot(
        record=standing.record,
        record_hash=standing.record_hash,
        state_hash=standing.engine.state_hash(),
        digest=hashlib.sha256(body).hexdigest(),
        body=body.decode(),
    )


def write_snapshot(saved: SavedSnapshot, folder: Path) -> Path:
    """Write a snapshot under its record's number, and keep the newest few.

    Raises
    ------
    OSError
        If the disk does not take it; those that were there stand.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{saved.record:012d}.snapshot"
    part = path.with_suffix(".part")
    try:
        _write_synced(part, msgspec.json.encode(saved))
    except OSError:
        part.unlink(missing_ok=True)
        raise
    part.replace(path)
    for older in _newest_first(folder)[SNAPSHOTS_KEPT:]:
        older.unlink(missing_ok=True)
    return path


def newest_snapshot(folder: Path | None, last: int) -> Standing:
    """Return the newest snapshot that is whole and not later than record `last`, or an empty engine."""
    for path in [] if folder is None else _newest_first(folder):
        if int(path.stem) > last:
            continue
        try:
            saved = msgspec.json.decode(path.read_bytes(), type=SavedSnapshot)
        except (msgspec.DecodeError, FileNotFoundError):
            continue  # a crash of the machine cut it off, or it has just been replaced by newer ones
        body = saved.body.encode()
        if saved.record > last or hashlib.sha256(body).hexdigest() != saved.digest:
            continue
        engine = Engine.restore(body)
        if engine.state_hash() == saved.state_hash:
            return Standing(engine, saved.record, saved.record_hash)
    return Standing(Engine(), 0, GENESIS)


def newest_snapshot_record(folder: Path) -> int:
    """Return the record of the newest snapshot, 0 where there is none."""
    paths = _newest_first(folder)
    return int(paths[0].stem) if paths else 0


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.snapshot"), reverse=True)


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
