"""Where child processes come from: forks of a process from before the first thread, which has their programs loaded.

A program takes seconds to load and a fork milliseconds, so a child that died is replaced at once, and what all of them
load is in memory once. The engine's process must not be forked itself: a fork has none of its threads and all of its
locks. Where the system has no handles of processes (Linux has), each child is started afresh.
"""

import contextlib
import gc
import importlib
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec

_LOG = logging.getLogger(__name__)
ONE_THREAD = dict.fromkeys(
    ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1"
)
"""Several processes share the cores; threads of each would only fight over them."""
PROGRAMS = (
    "crossmargin.service.following",
    "crossmargin.service.processes.worker",
    "crossmargin.service.processes.fan_out",
)
_LONGEST, _MOST_DESCRIPTORS = 1 << 16, 16
_NAME = 15
"""Bytes of a process's name that the system keeps."""


class Process(Protocol):
    """A child, however it was started."""

    pid: int

    def kill(self) -> None:
        """End it at once; nothing where it has ended."""

    def wait(self, timeout: float | None = None) -> object:
        """Wait for its end; raise `subprocess.TimeoutExpired` where that takes longer, s."""


Start: TypeAlias = Callable[[str, str, Sequence[int]], Process]
"""Starts a program, a module with `main`, with an argument and with descriptors."""


class _Born(msgspec.Struct, frozen=True):
    program: str
    argument: str


def started_afresh(program: str, argument: str, descriptors: Sequence[int]) -> Process:
    """Start a program that loads itself."""
    return subprocess.Popen(  # noqa: S603  (our own program)
        [sys.executable, "-m", program, argument, *map(str, descriptors)],
        pass_fds=descriptors,
        env=os.environ | ONE_THREAD,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


def given() -> tuple[str, list[int]]:
    """Return the argument and the descriptors that a program was started afresh with."""
    return sys.argv[1], [int(each) for each in sys.argv[2:]]


class Forked:
    """A child of the nursery's, by the handle that the system has of it: its number may be another's once it has ended."""

    def __init__(self, program: str, pid: int, handle: int) -> None:
        self.program, self.pid, self._handle = program, pid, handle

    def kill(self) -> None:
        """End it at once; nothing where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> None:
        """Wait for its end; raise `subprocess.TimeoutExpired` where that takes longer, s."""
        ended = select.poll()  # knows descriptors of any number
        ended.register(self._handle, select.POLLIN)
        if not ended.poll(None if timeout is None else 1000 * timeout):
            raise subprocess.TimeoutExpired(self.program, timeout or 0)

    def __del__(self) -> None:
        os.close(self._handle)


class Nursery:
    """The process that forks children, as it is asked for them over a link from several threads."""

    def __init__(self, link: socket.socket) -> None:
        self._link, self._asking = link, threading.Lock()

    def start(self, program: str, argument: str, descriptors: Sequence[int]) -> Process:
        """Fork a child that runs a program; one that loads itself where the nursery is gone."""
        with self._asking:
            try:
                socket.send_fds(self._link, [msgspec.json.encode(_Born(program, argument))], descriptors)
                number, (handle,), _, _ = socket.recv_fds(self._link, _LONGEST, 1)
                return Forked(program, int(number), handle)
            except (OSError, ValueError):
                _LOG.warning("the process that children are forked from has ended; the %s is started afresh", program)
        return started_afresh(program, argument, descriptors)


@contextlib.contextmanager
def nursery() -> Iterator[Start]:
    """Yield what starts children; to be entered when all is loaded, and before the first thread begins."""
    if "polars" in sys.modules or not _has_handles():
        # threads of that library begin when it is loaded, as by a recording that is played
        yield started_afresh
        return
    for program in PROGRAMS:
        importlib.import_module(program)
    link, asked = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    gc.freeze()  # memory that no collector writes to stays shared
    process = os.fork()
    if process == 0:
        try:
            link.close()
            tend(asked)
        finally:
            os._exit(0)
    asked.close()
    try:
        yield Nursery(link).start
    finally:
        link.close()  # with which it ends; its children are told to by whom they work for
        os.waitpid(process, 0)


def _has_handles() -> bool:
    """Whether the system has handles of processes."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


def tend(asked: socket.socket) -> None:
    """Fork a child whenever it is asked for, until nobody is there to ask; the process does nothing else."""
    _show("nursery")
    # signals are meant for the engine's process, with which everything ends; who asked for a child waits by its handle
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(each, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):
        os.dup2(nothing, standard)
    from numba.core import config  # loaded here only, where children run kernels

    os.environ |= ONE_THREAD
    config.reload_config()  # type: ignore[no-untyped-call]
    while True:
        content, descriptors, _, _ = socket.recv_fds(asked, _LONGEST, _MOST_DESCRIPTORS)
        if not content:
            return
        child = os.fork()
        if child == 0:
            asked.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _live(msgspec.json.decode(content, type=_Born), descriptors)
            return
        handle = os.pidfd_open(child)
        socket.send_fds(asked, [b"%d" % child], [handle])
        for handed in (*descriptors, handle):
            os.close(handed)


def _show(name: str) -> None:
    """Be called so in `top` and `ps -o comm`."""
    with contextlib.suppress(OSError):  # there may be no /proc
        Path("/proc/self/comm").write_text(name[:_NAME])


def _live(born: _Born, descriptors: Sequence[int]) -> None:
    _show(born.program.rpartition(".")[2])
    try:
        importlib.import_module(born.program).main(born.argument, descriptors)
    except Exception:
        _LOG.exception("the %s's process failed", born.program)
