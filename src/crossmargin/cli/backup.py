"""Back up a service's folder, and bring it back."""

from pathlib import Path

import msgspec

from crossmargin.cli.app import console, write_json
from crossmargin.service.access.audit import require_log
from crossmargin.store.backup import Manifest, back_up
from crossmargin.store.backup import restore as brought_back


def backup(folder: Path, target: Path, *, json: bool = False) -> None:
    """Copy the journal of a service, which may be running, with its newest snapshot into the empty folder TARGET.

    Parameters
    ----------
    folder
        The service's folder.
    target
        New folder for the copy and its manifest.
    json
        Print one JSON object.
    """
    _say(back_up(folder, target, require=require_log), target, json=json)


def restore(source: Path, folder: Path, *, json: bool = False) -> None:
    """Check a backup and copy it into the empty folder FOLDER, from which the service then starts.

    Parameters
    ----------
    source
        Folder that `backup` wrote.
    folder
        New folder for a service.
    json
        Print one JSON object.
    """
    _say(brought_back(source, folder, require=require_log), folder, json=json)


def _say(manifest: Manifest, folder: Path, *, json: bool) -> None:
    if json:
        write_json(msgspec.to_builtins(manifest))
    else:
        console.print(
            f"{manifest.record} records in {folder}, state hash {manifest.state_hash}", soft_wrap=True, highlight=False
        )
