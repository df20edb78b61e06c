"""The service as a process of its own whose clocks jump: nobody is liquidated, and it says what is wrong."""

import os
import re
import shutil
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest
from own_process import CALLED, served, small_folder

from crossmargin.client import Client, Key, ServiceError, questions
from crossmargin.service.access.keys import KeyStore, master_key
from crossmargin.service.access.roles import Scope
from crossmargin.service.access.users import UserStore

DAY_S = 86_400
NEAR_S = 5
"""Between two looks at two clocks on a machine that does much else."""
PASSWORD = "correct horse battery"  # noqa: S105
WRONG_CLOCK = {"PYTHONPATH": str(Path(__file__).with_name("wrong_clock"))}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small") / "data"
    small_folder(folder)
    return folder


@pytest.fixture
def folder(tmp_path, small):
    return Path(shutil.copytree(small, tmp_path / "data"))


@pytest.fixture
def key(folder):
    keys = KeyStore(folder / "access.sqlite", master_key(folder, create=True))
    made, secret = keys.create(owner="desk", scopes=frozenset(Scope), accounts=None, created_ns=1)
    keys.close()
    users = UserStore(folder / "access.sqlite")
    users.set("ada", password=PASSWORD, role="admin", accounts=None)
    users.close()
    return Key(id=made.id, secret=secret)


def set_ahead(folder, seconds, *names):
    for name in names:
        part = folder / f"{name}.part"
        part.write_text(str(seconds))
        part.replace(folder / name)


def engine_ms(service):
    return service.health()["time"]["epoch_ms"]


def states(page, **asked):
    answer = page.get("/api/v1/accounts", **asked)
    assert answer.status_code == 200, answer.text
    return {row["account"]: row["state"] for row in answer.json()["accounts"]}


def is_answered(client):
    try:
        client.overview()
    except ServiceError as error:
        if error.status != 401:
            raise
        return False
    return True


def test_clocks_that_jump_liquidate_nobody_and_let_nothing_be_sent_twice(folder, key, tmp_path):
    jump_to_and_fro(folder, key, tmp_path, (DAY_S, 0))


@pytest.mark.soak
def test_clocks_that_jump_to_and_fro_liquidate_nobody(folder, key, tmp_path):
    jump_to_and_fro(folder, key, tmp_path, (-DAY_S, 400 * DAY_S, -3600, 0, 35, 0))


def jump_to_and_fro(folder, key, tmp_path, jumps):
    with (
        served(folder, WRONG_CLOCK=str(tmp_path), CROSSMARGIN_TICK_S="0.2", **WRONG_CLOCK) as service,
        Client(f"http://127.0.0.1:{service.port}", key=key, attempts=1) as client,
    ):
        page, begun = service.pages, time.monotonic()
        # what is dated before the service was up for a second is refused
        service.until(lambda: is_answered(client))
        start = engine_ms(service)
        session = page.post("/api/v1/session", json={"user": "ada", "password": PASSWORD})
        who = {"headers": {"Cookie": session.headers["set-cookie"].partition(";")[0]}}
        before = states(page, **who)
        assert before[CALLED] == "MARGIN_CALL"
        question = questions.overview()
        once = {"method": question.method, "url": question.target, "headers": question.headers(key)}
        assert page.request(**once).status_code == 200
        for jump in jumps:
            set_ahead(tmp_path, jump, "wall")
            service.until(lambda jump=jump: is_told(service, jump))
            stood = engine_ms(service)
            service.until(lambda stood=stood: engine_ms(service) > stood)
            # what was asked and answered is not taken again when its time comes again
            assert page.request(**once).status_code == 401
            # a caller whose clock is right is told no, rather than taken at a wrong time
            assert is_answered(client) == (jump == 0)
            assert states(page, **who) == before
        # the interval in which a process stood, or its machine
        set_ahead(tmp_path, DAY_S, "wall", "monotonic")
        service.until(lambda: "passed between two ticks" in service.log.read_text())
        stood = engine_ms(service)
        service.until(lambda: engine_ms(service) > stood)
        assert states(page, **who) == before
        # the engine's time went on as it does, and by no jump
        assert engine_ms(service) - start <= 1000 * (time.monotonic() - begun) + 2000
    said = [float(each) for each in re.findall(r"jumped by ([+-][\d.]+) s", service.log.read_text())]
    assert [round(each / NEAR_S) for each in said] == [
        round((jump - last) / NEAR_S) for last, jump in pairwise((0, *jumps))
    ]


def is_told(service, jump):
    finding = service.health()["finding"]
    stands = re.search(r"the system's clock stands ([+-]\d+) s", finding or "")
    return finding is None if jump == 0 else stands is not None and abs(int(stands[1]) - jump) < NEAR_S


@pytest.mark.soak
def test_with_the_limit_off_the_same_interval_liquidates(folder, tmp_path):
    unlimited = {"WRONG_CLOCK": str(tmp_path), "CROSSMARGIN_LONGEST_JUMP_S": "1e9"}
    with served(folder, "--open", **unlimited, **WRONG_CLOCK) as service:
        assert states(service.pages)[CALLED] == "MARGIN_CALL"
        start = engine_ms(service)
        service.until(lambda: engine_ms(service) > start)
        set_ahead(tmp_path, DAY_S, "wall", "monotonic")
        service.until(lambda: states(service.pages)[CALLED] != "MARGIN_CALL")
        assert states(service.pages)[CALLED] in {"LIQUIDATING", "REDUCE_ONLY", "BANKRUPT", "CLOSED"}


@pytest.mark.soak
def test_a_process_that_is_stopped_and_goes_on_leaves_the_interval_out(folder):
    """No clock is set: the process stands still, as a virtual machine that is moved."""
    with served(folder, "--open", CROSSMARGIN_LONGEST_JUMP_S="20") as service:
        start = engine_ms(service)
        service.until(lambda: engine_ms(service) > start)
        start, stopped_s = engine_ms(service), 30
        begun = time.monotonic()
        os.kill(service.process.pid, signal.SIGSTOP)
        time.sleep(stopped_s)
        os.kill(service.process.pid, signal.SIGCONT)
        service.until(lambda: "crossmargin_clock_findings_total 1.0" in service.pages.get("/metrics").text)
        assert engine_ms(service) - start <= 1000 * (time.monotonic() - begun - stopped_s) + 2000
