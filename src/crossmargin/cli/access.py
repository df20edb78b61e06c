"""Keys, users, and the log of who did what."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cyclopts
import msgspec

from crossmargin.cli.app import console, write_json
from crossmargin.errors import InputError

if TYPE_CHECKING:
    from crossmargin.service.access.audit import AuditLog
    from crossmargin.service.access.keys import KeyStore
    from crossmargin.service.access.users import UserStore

keys = cyclopts.App(name="keys", help="Create, list and revoke API keys.")
users = cyclopts.App(name="users", help="Let users of the dashboard in, list them, and let them in no more.")
PASSWORD_VARIABLE = "CROSSMARGIN_PASSWORD"  # noqa: S105  (a name)


@keys.command(name="create")
def create_key(
    *,
    owner: str,
    scope: list[str],
    account: list[str] | None = None,
    all_accounts: bool = False,
    network: list[str] | None = None,
    public: str | None = None,
    ordered: bool = False,
    lane: str = "ordinary",
    folder: Path | None = None,
    json: bool = False,
) -> None:
    """Create a key and show its secret, this once.

    Parameters
    ----------
    owner
        Whom it belongs to; two keys of one owner are one pair of eyes.
    scope
        read, trade, withdraw, risk or admin; several may be given.
    account
        Account that it is bound to; several may be given.
    all_accounts
        Bind it to every account instead.
    network
        Where it may come from, as 203.0.113.0/24; anywhere if not given.
    public
        Ed25519 public key in hexadecimal; then there is no secret.
    ordered
        Refuse a request dated no later than the one before.
    lane
        ordinary, or liquidation for who fills liquidations.
    folder
        Folder of the service; CROSSMARGIN_FOLDER, or crossmargin-data.
    json
        Print a record.
    """
    from crossmargin.service.access.roles import Lane, parsed_scopes
    from crossmargin.service.access.users import checked_name

    if lane not in {Lane.ORDINARY, Lane.LIQUIDATION}:
        raise InputError(f"a lane must be ordinary or liquidation, was {lane}")
    store, log = _keys(folder, create=True), _log(folder, create=True)
    key, secret = store.create(
        owner=checked_name(owner),
        scopes=parsed_scopes(scope),
        accounts=_accounts(account, all_accounts=all_accounts),
        created_ns=time.time_ns(),
        networks=tuple(network or ()),
        public=public,
        ordered=ordered,
        lane=Lane(lane),
    )
    _noted(log, f"create key {key.id}", f"for {owner}: {', '.join(sorted(key.scopes))}")
    record = {**_record(key), "secret": secret}
    if json:
        write_json(record)
        return
    console.print(f"key     {key.id}", soft_wrap=True)
    if secret is not None:
        console.print(f"secret  {secret}\nThe secret is not stored and not shown again.", soft_wrap=True)


@keys.command(name="list")
def list_keys(*, folder: Path | None = None, json: bool = False) -> None:
    """List every key, without secrets.

    Parameters
    ----------
    folder
        Folder of the service; CROSSMARGIN_FOLDER, or crossmargin-data.
    json
        Print records instead of lines.
    """
    _print([_record(key) for key in _keys(folder).all()], json=json)


@keys.command(name="revoke")
def revoke_key(key: str, *, folder: Path | None = None, json: bool = False) -> None:
    """End a key; a running service refuses it from its next request on.

    Parameters
    ----------
    key
        Id of the key.
    folder
        Folder of the service; CROSSMARGIN_FOLDER, or crossmargin-data.
    json
        Print records instead of lines.
    """
    ended = _keys(folder).revoke(key, time.time_ns())
    _noted(_log(folder), f"revoke key {key}", "")
    _print([_record(ended)], json=json)


@users.command(name="set")
def set_user(
    name: str,
    *,
    role: str,
    account: list[str] | None = None,
    all_accounts: bool = False,
    folder: Path | None = None,
    json: bool = False,
) -> None:
    """Create a user or replace his password, role and accounts; the password is read from CROSSMARGIN_PASSWORD.

    Parameters
    ----------
    name
        Name to log in with.
    role
        viewer, trader, treasurer, risk or admin.
    account
        Account that the user is bound to; several may be given.
    all_accounts
        Bind the user to every account instead.
    folder
        Folder of the service; CROSSMARGIN_FOLDER, or crossmargin-data.
    json
        Print a record.
    """
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None:
        raise InputError(f"a password must be in {PASSWORD_VARIABLE}, found none")
    accounts = _accounts(account, all_accounts=all_accounts)
    user = _users(folder, create=True).set(name, password=password, role=role, accounts=accounts)
    _noted(_log(folder), f"set user {name}", role)
    _print([_record(user)], json=json)


@users.command(name="list")
def list_users(*, folder: Path | None = None, json: bool = False) -> None:
    """List every user, without what is kept of the password.

    Parameters
    ----------
    folder
        Folder of the service; CROSSMARGIN_FOLDER, or crossmargin-data.
    json
        Print records instead of lines.
    """
    _print([_record(user) for user in _users(folder).users()], json=json)


@users.command(name="disable")
def disable_user(name: str, *, folder: Path | None = None, json: bool = False) -> None:
    """Let a user in no more; his sessions end.

    Parameters
    ----------
    name
        Name of the user.
    folder
        Folder of the service; CROSSMARGIN_FOLDER, or crossmargin-data.
    json
        Print records instead of lines.
    """
    ended = _users(folder).disable(name)
    _noted(_log(folder), f"disable user {name}", "")
    _print([_record(ended)], json=json)


def audit_log(*, folder: Path | None = None, head: str | None = None, show: bool = False, json: bool = False) -> None:
    """Verify the log of who did what, entry by entry, and state its head.

    Parameters
    ----------
    folder
        Folder of the service; CROSSMARGIN_FOLDER, or crossmargin-data.
    head
        A head stated earlier: it must still be in the log, else the end was cut off or all of it written anew.
    show
        Print the entries too.
    json
        Print a record.
    """
    from crossmargin.service.access.audit import entry_hash

    log = _log(folder)
    found = list(log.entries())
    hashes = [entry_hash(entry) for entry in found]
    if head is not None and head not in hashes:
        raise InputError(f"a head stated earlier must be in the log, {head} is not")
    record = {"entries": len(found), "head": hashes[-1] if hashes else None}
    if json:
        write_json({**record, "log": [msgspec.to_builtins(entry) for entry in found]} if show else record)
        return
    if show:
        _print([msgspec.to_builtins(entry) for entry in found], json=False)
    console.print(f"{len(found)} entries, each holds the hash of the one before; head {record['head']}", soft_wrap=True)


def _accounts(names: list[str] | None, *, all_accounts: bool) -> frozenset[str] | None:
    if all_accounts == bool(names):
        raise InputError("accounts must be named, or all of them by --all-accounts, found both or neither")
    return None if all_accounts else frozenset(names or ())


def _in(folder: Path | None) -> Path:
    return folder or Path(os.environ.get("CROSSMARGIN_FOLDER", "crossmargin-data"))


def _database(folder: Path | None, *, create: bool) -> Path:
    path = _in(folder) / "access.sqlite"
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
    elif not path.exists():
        raise InputError(f"keys and users must have been created, found none in {_in(folder)}")
    return path


def _keys(folder: Path | None, *, create: bool = False) -> "KeyStore":
    from crossmargin.service.access.keys import KeyStore, master_key

    return KeyStore(_database(folder, create=create), master_key(_in(folder), create=create))


def _users(folder: Path | None, *, create: bool = False) -> "UserStore":
    from crossmargin.service.access.keys import master_key
    from crossmargin.service.access.users import UserStore

    path = _database(folder, create=create)
    master_key(_in(folder), create=create)  # a service starts only with a master key
    return UserStore(path)


def _log(folder: Path | None, *, create: bool = False) -> "AuditLog":
    from crossmargin.service.access.audit import AuditLog

    return AuditLog(_database(folder, create=create))


def _noted(log: "AuditLog", action: str, detail: str) -> None:
    who = f"uid {os.getuid()}"
    log.append(time_ns=time.time_ns(), who=who, via="command line", address="local", action=action, detail=detail,
               decision="allowed")  # fmt: skip


def _record(held: object) -> dict[str, Any]:
    record: dict[str, Any] = msgspec.to_builtins(held)
    record.pop("password_hash", None)
    for name in ("scopes", "accounts"):
        if isinstance(record.get(name), list | set | frozenset):
            record[name] = sorted(record[name])
    return record


def _print(records: list[dict[str, Any]], *, json: bool) -> None:
    if json:
        write_json(records)
        return
    for record in records:
        told = (f"{name} {_shown(value)}" for name, value in record.items() if value not in ([], (), "", None, False))
        console.print("  ".join(told), soft_wrap=True, markup=False, highlight=False)


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
