"""`crossmargin serve` as a process of its own, on a small book."""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path
from unittest import mock

import httpx
import msgspec
from processes.several import free_port

from crossmargin import cli
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Writer

LONGEST_WAIT_S = 900
"""Beyond all reason, on a machine with other work too."""
FORKING = multiprocessing.get_context("forkserver")
"""Services start as forks of a process that has loaded what they need, which takes a new one seconds."""
FORKING.set_forkserver_preload(["loaded"])
SPAWNING = multiprocessing.get_context("spawn")
CALLED = "near-liquidation"
"""Below its initial margin: called, and liquidated when the deadline of its call has passed."""
HELD = (CALLED, "cash-only")


def small_folder(folder):
    """Begin a folder with a small book, under ids that are not the service's own: it leaves the book as it is."""
    folder.mkdir(mode=0o700)
    market = sample_market()
    book = opening_commands([each for each in sample_book() if each.account in HELD], market)
    own = [msgspec.structs.replace(each, id=f"own-{each.id}") for each in book]
    Writer(folder, opening=lambda: own).close()


class Served:
    """A running service: its process, and what is asked of it without a key."""

    def __init__(self, process, port, log):
        self.process, self.port, self.log = process, port, log
        self.pages = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=LONGEST_WAIT_S)

    def health(self):
        try:
            return self.pages.get("/health").json()
        except httpx.TransportError:
            return {"status": None}

    def until(self, condition):
        deadline = time.monotonic() + LONGEST_WAIT_S
        while not condition():
            assert self.process.exitcode is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def family(self):
        """Return the numbers of the service's processes."""
        found = [self.process.pid]
        for each in found:  # grows meanwhile
            found += map(int, Path(f"/proc/{each}/task/{each}/children").read_text().split())
        return found

    def stop(self):
        self.process.terminate()
        self.process.join(LONGEST_WAIT_S)
        return self.process.exitcode


def _serve(arguments, log, environment):
    """Be the service."""
    os.setsid()
    told = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(told, standard)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["crossmargin", "serve", *arguments]
    cli.main()


@contextlib.contextmanager
def served(folder, *arguments, log=None, **environment):
    """Run the service until the end of the block, or until it has ended itself; yield it when it is open."""
    port, log = free_port(), log or folder.parent / f"{folder.name}.log"
    asked = ["--folder", str(folder), "--port", str(port), *arguments]
    # what stands in for a module must be there before that is loaded
    kind = SPAWNING if "PYTHONPATH" in environment else FORKING
    process = kind.Process(target=_serve, args=(asked, log, {**os.environ, **environment}), daemon=True)
    with mock.patch.dict(os.environ, environment):
        process.start()
    service = Served(process, port, log)
    try:
        service.until(lambda: service.health()["status"] == "ok")
        yield service
        if process.exitcode is None:
            assert service.stop() in (0, -signal.SIGTERM), log.read_text()
    finally:
        service.pages.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.join(LONGEST_WAIT_S)
