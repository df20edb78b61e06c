"""`crossmargin serve` as a process of its own, on a small book."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import msgspec
from processes.several import free_port

from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Writer

LONGEST_WAIT_S = 900
"""Beyond all reason, on a machine with other work too."""
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
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def family(self):
        """Return the numbers of the service's processes."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(LONGEST_WAIT_S)


@contextlib.contextmanager
def served(folder, *arguments, log=None, **environment):
    """Run the service until the end of the block, or until it has ended itself; yield it when it is open."""
    port, log = free_port(), log or folder.parent / f"{folder.name}.log"
    command = [sys.executable, "-m", "crossmargin", "serve", "--folder", str(folder), "--port", str(port), *arguments]
    with log.open("ab") as told:
        process = subprocess.Popen(
            command, stdout=told, stderr=told, env={**os.environ, **environment}, start_new_session=True
        )
    service = Served(process, port, log)
    try:
        service.until(lambda: service.health()["status"] == "ok")
        yield service
        if process.poll() is None:
            assert service.stop() in (0, -signal.SIGTERM), log.read_text()
    finally:
        service.pages.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(LONGEST_WAIT_S)
