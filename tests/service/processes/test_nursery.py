"""Forking child processes: they run what was asked for with what was handed, end by their handle, and can do without it."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from crossmargin.service.processes import nursery

LONGEST_S = 300
PROGRAM = "tests.service.processes.echoing"
ALONE = """
import os, signal, socket, sys
from crossmargin.service.processes import nursery
nursery.PROGRAMS = ("tests.service.processes.echoing",)
with nursery.nursery() as start:
    ours, theirs = socket.socketpair()
    first = start(*nursery.PROGRAMS, "first", [theirs.fileno()])
    parent = int(open(f"/proc/{first.pid}/stat").read().rpartition(")")[2].split()[1])
    assert parent != os.getpid()
    assert open(f"/proc/{parent}/comm").read() == "nursery\\n"
    os.kill(parent, signal.SIGKILL)
    os.waitid(os.P_PID, parent, os.WEXITED | os.WNOWAIT)
    theirs.close()
    ours.sendall(b"end")
    ours.recv(1000)
    first.wait(300)
    ours, theirs = socket.socketpair()
    second = start(*nursery.PROGRAMS, "second", [theirs.fileno()])
    print(type(second).__name__, open(f"/proc/{second.pid}/stat").read().rpartition(")")[2].split()[1] == str(os.getpid()))
    second.kill()
    second.wait(300)
"""


@pytest.fixture
def begun(forked):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(LONGEST_S)
        yield forked(PROGRAM, "said", [theirs.fileno()]), ours


def test_a_child_runs_its_program_with_what_it_is_given_and_is_waited_for(begun):
    child, link = begun
    told = json.loads(link.recv(1 << 16))
    assert told["argument"] == "said"
    assert told["pid"] == child.pid
    assert told["threads"] == "1"
    assert told["ignored"] == [signal.SIGINT, signal.SIGTERM], "signals are for who started it; and its own end with it"
    assert Path(f"/proc/{child.pid}/comm").read_text() == "echoing\n"
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0)
    link.sendall(b"end")
    child.wait(LONGEST_S)
    child.kill()  # has ended: whoever has its number now is not meant


def test_a_child_that_is_killed_has_ended(begun):
    child, link = begun
    link.recv(1 << 16)
    child.kill()
    child.wait(LONGEST_S)
    assert not Path(f"/proc/{child.pid}").exists()


def test_descriptors_are_the_childs_alone(forked, begun):
    """A child that held another's link would keep it from hearing that its service is gone."""
    child, link = begun
    held = json.loads(link.recv(1 << 16))["sockets"]
    ours, theirs = socket.socketpair()
    with ours:
        ours.settimeout(LONGEST_S)
        with theirs:
            other = forked(PROGRAM, "other", [theirs.fileno()])
        assert json.loads(ours.recv(1 << 16))["sockets"] == held == 1
        other.kill()
        assert ours.recv(1) == b"", "nobody else holds its end"
    child.kill()


def test_without_the_process_that_forks_children_are_started_afresh():
    path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    ran = subprocess.run(
        [sys.executable, "-c", ALONE],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        timeout=LONGEST_S,
    )
    assert (ran.returncode, ran.stdout) == (0, "Popen True\n"), ran.stderr
    assert "started afresh" in ran.stderr


def test_where_the_system_has_no_handles_children_are_started_afresh(monkeypatch):
    monkeypatch.delitem(sys.modules, "polars", raising=False)
    monkeypatch.delattr(os, "pidfd_open")
    with nursery.nursery() as start:
        assert start is nursery.started_afresh


def test_where_threads_have_begun_children_are_started_afresh(monkeypatch):
    """A recording is looked at before anything is started, by a library whose threads no fork would have."""
    monkeypatch.setitem(sys.modules, "polars", sys)
    with nursery.nursery() as start:
        assert start is nursery.started_afresh
