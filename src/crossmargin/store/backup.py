"""Copies of a service's folder, taken while it runs, and brought back after they were checked.

The journal only grows, so that what was read of it until a record's end is the whole of some earlier moment. SQLite
files are copied by SQLite's own online backup. Tables that follow the journal are left out: they are filled anew.
"""

import contextlib
import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

import msgspec

from crossmargin.errors import InputError
from crossmargin.store.journal import open_journal
from crossmargin.store.runner import engine_at

MANIFEST = "manifest.json"
LEFT_OUT = ("projection.sqlite", "writer.lease")


Require: TypeAlias = Callable[[Path], None]


def accept(_: Path) -> None:
    """Require nothing of a folder."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backup holds."""

    code: str
    """Version that took it."""
    record: int
    """The journal's last record in it."""
    state_hash: str
    """Of the engine after that record."""
    files: dict[str, str]
    """SHA-256 of every file, by its path."""


def back_up(folder: Path, target: Path, *, require: Require = accept) -> Manifest:
    """Copy a service's folder into a new folder; the service may be running.

    Parameters
    ----------
    require
        Refuses a copy with other files than the journal that cannot be believed.

    Raises
    ------
    InputError
        If there is no journal, or the target is not empty, or what `require` raises.
    RecordError
        If the journal cannot be believed; the copy is left for whoever looks into it, without a manifest.
    """
    if not (folder / "journal").is_dir():
        raise InputError(f"a backup is of a service's folder, found no journal in {folder}")
    _empty(target)
    (target / "journal").mkdir()
    (target / "snapshots").mkdir()
    # the others first: what they know of is then in the journal, or came after it
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith(LEFT_OUT) and not path.name.endswith(("-wal", "-shm", ".part")):
            _copy(path, target / path.name)
    require(target)
    for path in sorted((folder / "journal").glob("*.journal")):
        data = path.read_bytes()
        (target / "journal" / path.name).write_bytes(data[: data.rfind(b"\n") + 1])
    record = max(number for number, _ in open_journal(target / "journal").read())
    for path in sorted((folder / "snapshots").glob("*.snapshot"), reverse=True):
        if int(path.stem) <= record:
            with contextlib.suppress(FileNotFoundError):  # newer ones have just replaced it
                shutil.copyfile(path, target / "snapshots" / path.name)
                break
    manifest = Manifest(
        code=version("crossmargin"),
        record=record,
        state_hash=engine_at(open_journal(target / "journal"), target / "snapshots", record).state_hash(),
        files={name: _digest(target / name) for name in _files(target)},
    )
    part = target / (MANIFEST + ".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    _sync(target)
    part.replace(target / MANIFEST)
    return manifest


def restore(source: Path, folder: Path, *, require: Require = accept) -> Manifest:
    """Check a backup, and copy it into a new folder that a service can start from.

    Parameters
    ----------
    require
        Refuses a backup with other files than the journal that cannot be believed, whatever its manifest says.

    Raises
    ------
    InputError
        If a file is missing or altered, the folder is not empty, or the engine does not come out as it was, or what
        `require` raises.
    """
    try:
        manifest = msgspec.json.decode((source / MANIFEST).read_bytes(), type=Manifest)
    except FileNotFoundError as error:
        raise InputError(f"a backup must be whole, found no {MANIFEST} in {source}") from error
    except msgspec.DecodeError as error:
        raise InputError(f"a manifest must be readable, {source / MANIFEST}: {error}") from error
    for name, digest in manifest.files.items():
        if not (source / name).is_file() or _digest(source / name) != digest:
            raise InputError(f"a backup's files must be as they were taken, {name} is missing or altered")
    require(source)
    found = engine_at(open_journal(source / "journal"), source / "snapshots", manifest.record).state_hash()
    if found != manifest.state_hash:
        raise InputError(f"a backup must give the engine that it was taken of, its state hash is {found}")
    _empty(folder)
    for name in manifest.files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, folder / name)
        (folder / name).chmod(0o600)
    _sync(folder)
    return manifest


def _copy(path: Path, target: Path) -> None:
    if path.suffix not in (".sqlite", ".db"):
        shutil.copyfile(path, target)
        return
    with contextlib.closing(sqlite3.connect(path)) as source, contextlib.closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def _empty(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(folder.iterdir()):
        raise InputError(f"a folder to copy into must be empty, {folder} is not")


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
