"""What the service needs, looked at one by one, before it starts or while it runs; each tells what it found, or raises."""

import ctypes
import fcntl
import os
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import msgspec

from crossmargin.errors import CrossMarginError, InputError
from crossmargin.service.access.audit import entries_in
from crossmargin.service.access.guard import configured
from crossmargin.service.access.keys import master_key
from crossmargin.service.alert_rules import read_rules
from crossmargin.service.configuration import Settings, limits
from crossmargin.service.listening import require_tls
from crossmargin.service.projection import answering, open_database
from crossmargin.store.journal import open_journal

LEAST_FREE_BYTES = 1 << 30
"""Below it the disk is as good as full: a day of commands may need as much."""
UNSYNCHRONISED = 5
"""What adjtimex(2) says of a clock that no time server sets."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a look found."""

    check: str
    ok: bool
    finding: str


def findings(chosen: Settings, environment: Mapping[str, str]) -> list[Finding]:
    """Return what every look finds; one that fails stops no other."""
    looks: dict[str, Callable[[], str]] = {
        "disk": lambda: _disk(chosen),
        "lease": lambda: _lease(chosen),
        "port": lambda: _port(chosen),
        "journal": lambda: _journal(chosen),
        "database": lambda: _database(chosen),
        "clock": lambda: _clock(chosen),
        "audit log": lambda: _audit_log(chosen),
        "keys": lambda: _keys(chosen),
        "certificate": lambda: _certificate(chosen),
        "alerts": lambda: _alerts(chosen, environment),
        "feeds": lambda: _feeds(chosen),
    }
    return [found(name, look) for name, look in looks.items()]


def found(name: str, look: Callable[[], str]) -> Finding:
    """Return what one look finds."""
    try:
        return Finding(check=name, ok=True, finding=look())
    except (CrossMarginError, OSError) as error:
        return Finding(check=name, ok=False, finding=" ".join(str(error).split()))


def _disk(chosen: Settings) -> str:
    folder = Path(chosen.folder).absolute()
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"a folder must be writable, {there} is not")
    free = shutil.disk_usage(there).free
    if free < LEAST_FREE_BYTES:
        raise InputError(f"a disk must have room for the journal, {there} has {free / 2**20:.0f} MiB left")
    return f"{folder}, {free / 2**30:.1f} GiB free"


def is_written(chosen: Settings) -> bool:
    """Return whether a process writes the folder."""
    path = Path(chosen.folder) / "writer.lease"
    if not path.exists():
        return False
    file = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(file)  # lets go of the lock too


def _lease(chosen: Settings) -> str:
    return "a process writes the folder" if is_written(chosen) else "free: no process writes the folder"


def _port(chosen: Settings) -> str:
    """Find the port free while nobody writes the folder, and our service behind it while somebody does."""
    at = f"{chosen.host}:{chosen.port}"
    if not is_written(chosen):
        family = socket.AF_INET6 if ":" in chosen.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((chosen.host, chosen.port))
            except OSError as error:
                raise InputError(f"a port must be free for the service, {at} is not: {error.strerror}") from error
        return f"{at} is free"
    try:
        with httpx.Client(timeout=5, trust_env=False, verify=own_tls(chosen) or True) as asking:
            answer = asking.get(f"{url_of(chosen)}/health")
        said = msgspec.json.decode(answer.content)
    except (OSError, httpx.TransportError, msgspec.MsgspecError) as error:
        raise InputError(f"the process that writes the folder must answer, {at}: {error}") from error
    if not answer.is_success:
        raise InputError(f"the service must be healthy, {at} says {answer.text[:200]}")
    return f"{at} answers: {said['status']}"


def url_of(chosen: Settings) -> str:
    """Return where the service answers on this machine."""
    # one that listens everywhere is asked at home
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(chosen.host, chosen.host)  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    return f"{'http' if chosen.certificate is None else 'https'}://{host}:{chosen.port}"


def own_tls(chosen: Settings) -> ssl.SSLContext | None:
    """Return what believes the service's own certificate and no other, for whichever names; None over plain HTTP."""
    if chosen.certificate is None:
        return None
    context = ssl.create_default_context(cafile=chosen.certificate)
    context.check_hostname = False  # asked at home, it answers under the name that the world knows
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _journal(chosen: Settings) -> str:
    path = Path(chosen.folder) / "journal"
    if not path.exists():
        return "none yet, the service begins one"
    # up to the records that a running service may be writing
    number = max((number for number, _ in open_journal(path).read()), default=0)
    snapshots = sorted((Path(chosen.folder) / "snapshots").glob("*.snapshot"))
    behind = number - int(snapshots[-1].stem) if snapshots else number
    return f"{number} records in their chain, {behind} beyond the newest snapshot"


def _database(chosen: Settings) -> str:
    database = open_database(chosen.database_url)
    if database.dialect.name == "sqlite" and not Path(str(database.url.database)).exists():
        return "SQLite, none yet"
    try:
        with answering(), database.connect() as connection:
            version = ".".join(map(str, connection.dialect.server_version_info or ()))
    finally:
        database.dispose()
    return f"{database.dialect.name} {version} answers"


def _clock(chosen: Settings) -> str:
    """Find the system's clock no earlier than the files that were written by it."""
    now_s = time.time()
    written = [each.stat().st_mtime for each in (Path(chosen.folder) / "journal").glob("*.journal")]
    behind_s = max(written, default=now_s) - now_s
    if behind_s > chosen.longest_jump_s:
        raise InputError(f"the clock must not go back, it is {behind_s:.0f} s before the journal's last write")
    return "goes on from the journal's last write" + _set_by()


def _set_by() -> str:
    try:
        # modes = 0 at the start of the structure, which is shorter than this, only asks
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    except AttributeError:
        return ""  # not Linux
    if state < 0:
        return ""
    return "; no time server sets it" if state == UNSYNCHRONISED else "; a time server sets it"


def _audit_log(chosen: Settings) -> str:
    count = entries_in(Path(chosen.folder))
    return "none yet" if count is None else f"{count} entries, each holds the hash of the one before"


def _keys(chosen: Settings) -> str:
    if chosen.open:
        return "nobody is asked for one, on this machine alone"
    folder = Path(chosen.folder)
    access = configured(folder, withdrawal_limits=limits(chosen.withdrawal_limits))
    try:
        master_key(folder)
        keys = sum(each.revoked_ns is None for each in access.keys.all())
        users = sum(not each.disabled for each in access.users.users())
    finally:
        access.close()
    return f"{keys} live keys, {users} users"


def _certificate(chosen: Settings) -> str:
    if chosen.certificate is None or chosen.private_key is None:
        return "none: plain HTTP" + (" behind a proxy" if chosen.proxy else " on this machine")
    from cryptography import x509

    require_tls(chosen)
    try:
        found = x509.load_pem_x509_certificate(Path(chosen.certificate).read_bytes())
    except ValueError as error:
        raise InputError(f"a certificate must be PEM, {chosen.certificate} is not") from error
    if Path(chosen.private_key).stat().st_mode & 0o007:
        raise InputError(f"a private key must not be open to everybody, {chosen.private_key} is")
    left_days = (found.not_valid_after_utc.timestamp() - time.time()) / 86_400
    if left_days < 7:
        raise InputError(
            f"a certificate must be valid for a week at least, {chosen.certificate} is for {left_days:.1f} d"
        )
    return f"valid for {left_days:.0f} days"


def _feeds(chosen: Settings) -> str:
    from crossmargin.service.feeding import Recorded, parse_feed

    asked = [parse_feed(each) for each in chosen.feeds]
    for each in asked:
        if isinstance(each, Recorded) and not each.path.is_file():
            raise InputError(f"a recording must be a file, found none at {each.path}")
    return f"{len(asked)} feeds" if asked else "none: prices come by the API alone"


def _alerts(chosen: Settings, environment: Mapping[str, str]) -> str:
    if chosen.alerts is None:
        return "no rules"
    rules = read_rules(Path(chosen.alerts), environment)
    return f"{len(rules.rules)} rules, {len(rules.channels)} channels"
