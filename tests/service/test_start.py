"""Start and restart of the service: answers while the engine opens, snapshots, an opening that was cut short, a full disk."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest
from litestar.testing import TestClient
from tests.cli.conftest import run as run

from crossmargin.cli import serve
from crossmargin.engine.commands import Deposit
from crossmargin.engine.engine import Engine
from crossmargin.errors import InputError
from crossmargin.files.sample import UNDER_WATER, sample_book, sample_market, solvent_sample_book
from crossmargin.service import writer as writing
from crossmargin.service.alert_rules import AlertRules
from crossmargin.service.application import application
from crossmargin.service.command_queue import Busy
from crossmargin.service.configuration import Settings, settings
from crossmargin.service.feeding import parse_feed, require_feeds
from crossmargin.service.opening import opening_commands
from crossmargin.service.processes.nursery import started_afresh
from crossmargin.service.silence import Server
from crossmargin.service.writer import Starting, Writer
from crossmargin.store.journal import open_journal
from crossmargin.store.runner import replay


def cash_only():
    return tuple(opening_commands([book for book in sample_book() if book.account == "cash-only"], sample_market()))


def deposit(number):
    return Deposit(id=f"d-{number}", account="cash-only", asset="USDC", amount=Decimal(1))


def test_health_answers_while_the_engine_opens_and_other_routes_ask_to_come_again(tmp_path, caplog):
    go = threading.Event()

    def opening():
        assert go.wait(60)
        return cash_only()

    writer = Writer(tmp_path, opening=opening, background=True)
    with TestClient(application(writer)) as client:
        starting = {"status": "starting", "sequence": 1 << 16, "time": None, "open": True, "progress": None}
        assert client.get("/health").json() == starting
        refused = client.get("/api/v1/overview")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert [each.message for each in caplog.records if each.name == "crossmargin.service.metrics"] == []
        assert refused.json()["error"]["rule"] == "the engine must be open"
        with pytest.raises(Starting):
            writer.submit(deposit(1))
        go.set()
        deadline = time.monotonic() + 60
        while client.get("/health").json()["status"] != "ok":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert client.get("/api/v1/overview").status_code == 200
    writer.close()


def test_health_tells_how_far_an_opening_and_a_recovery_have_come(tmp_path, monkeypatch):
    told, count = [], len(cash_only())
    kept = Writer._tell_progress
    monkeypatch.setattr(
        Writer, "_tell_progress", lambda self, *progress: (kept(self, *progress), told.append(progress))
    )
    Writer(tmp_path, opening=cash_only).close()
    assert told == [(done, count) for done in range(1, count + 1)]
    shutil.rmtree(tmp_path / "snapshots")
    told.clear()
    writer = Writer(tmp_path, opening=cash_only)
    # the journal's first record says what it is, and is no command
    assert told == [(record, count + 1) for record in range(2, count + 2)]
    monkeypatch.setattr(Writer, "is_ready", False)
    with TestClient(application(writer)) as client:
        assert client.get("/health").json()["progress"] == {"done": count + 1, "of": count + 1}
    writer.close()


def test_a_server_error_of_a_service_that_is_open_is_a_warning(tmp_path, caplog, monkeypatch):
    writer = Writer(tmp_path, opening=cash_only)

    def full(*_):
        raise Busy("many wait")

    monkeypatch.setattr(Writer, "ask", full)
    order = {"account": "cash-only", "asset": "USDC", "amount": "1"}
    with TestClient(application(writer)) as client:
        client.post("/api/v1/deposits", json=order, headers={"Idempotency-Key": "k"})
    said = [each.message for each in caplog.records if each.name == "crossmargin.service.metrics"]
    assert said == ["answered 503 to POST /api/v1/deposits"]
    writer.close()


def test_a_writer_that_cannot_open_says_why(tmp_path):
    (tmp_path / "journal").write_text("not a folder")
    with pytest.raises(InputError, match="a journal is a folder"):
        Writer(tmp_path)
    writer = Writer(tmp_path, background=True)
    with TestClient(application(writer)) as client:
        writer._thread.join()
        assert client.get("/health").status_code == 503
        assert client.get("/health").json()["status"] == "failed"
    writer.close()


def test_a_service_that_cannot_open_ends_and_says_why(tmp_path):
    """It stayed and answered 503 for ever where it failed before the server was there to be told."""
    (tmp_path / "journal").write_text("not a folder")
    with pytest.raises(InputError, match="must be able to write its journal, a journal is a folder"):
        serve._run(
            started_afresh, settings({"folder": str(tmp_path), "open": True, "port": 0}, {}), (), AlertRules(), ""
        )


def test_an_opening_that_was_cut_short_goes_on_with_the_rest(tmp_path):
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    first = Writer(whole, opening=cash_only)
    first.close()
    begun = Writer(parted, opening=lambda: cash_only()[:9])
    begun.close()
    rest = Writer(parted, opening=cash_only)
    rest.close()
    assert rest.engine.state_hash() == first.engine.state_hash()
    again = Writer(parted, opening=cash_only)
    again.close()
    assert again.engine.state_hash() == first.engine.state_hash()


def test_a_folder_begun_otherwise_is_not_opened_with_the_sample(tmp_path):
    own = Writer(tmp_path, opening=lambda: (cash_only()[0].__class__(id="mine", time_ns=1),))
    own.close()
    second = Writer(tmp_path, opening=cash_only)
    second.close()
    assert second.engine.state.sequence == 1


def test_a_house_of_ones_own_begins_with_a_file(tmp_path, monkeypatch, caplog):
    """That of the operations guide: nothing of the sample is in it, and a refusal is told."""
    guide = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    lines = guide.split("```json\n")[1].split("```")[0]
    path = tmp_path / "opening.jsonl"
    path.write_text(lines + '{"type": "OpenAccount", "id": "begin-4", "account": "a", "method": "none"}\n')
    monkeypatch.setattr("crossmargin.service.rehearsal.rehearse", lambda: None)
    writer = Writer(tmp_path / "j", opening=serve._opening(Settings(opening=str(path))))
    state = writer.engine.state
    assert (set(state.assets), state.parameters.money, len(state.listings)) == ({"USDC"}, "USDC", 0)
    assert "a" not in state.accounts
    assert "begin-4 was refused" in caplog.text
    writer.close()
    path.write_text("{}")
    with pytest.raises(InputError, match="line 1 must hold a command"):
        serve._opening(Settings(opening=str(path)))


def test_snapshots_are_written_at_the_end_and_every_so_many_commands(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "SNAPSHOT_EVERY", 20)
    writer = Writer(tmp_path, opening=cash_only)
    taken = []
    for number in range(70):
        writer.submit(deposit(number)).result(timeout=60)
        taken = sorted(path.stem for path in (tmp_path / "snapshots").glob("*.snapshot"))
    assert len(taken) == 3
    writer.close()
    head = open_journal(tmp_path / "journal")
    *_, (last, _) = head.read()
    assert (tmp_path / "snapshots" / f"{last:012d}.snapshot").exists()
    restarted = Writer(tmp_path)
    assert restarted.engine.state_hash() == writer.engine.state_hash() == replay(head).engine.state_hash()
    restarted.close()


def test_a_torn_snapshot_is_passed_over(tmp_path):
    writer = Writer(tmp_path, opening=cash_only)
    writer.submit(deposit(1)).result(timeout=60)
    writer.close()
    newest = max((tmp_path / "snapshots").glob("*.snapshot"))
    newest.write_bytes(newest.read_bytes()[:-7])
    restarted = Writer(tmp_path)
    assert restarted.engine.state_hash() == writer.engine.state_hash()
    restarted.close()


SIGNALLED = """
import os, signal, sys, threading, time, uvicorn
from crossmargin.service.listening import ended_in_order
async def app(scope, receive, send):
    pass
server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="warning"))
def kill():
    while not server.started:
        time.sleep(0.01)
    os.kill(os.getpid(), int(sys.argv[1]))
threading.Thread(target=kill).start()
with ended_in_order(server):
    server.run()
print("the journal is closed here")
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_and_leaves_the_rest_to_be_closed(sent):
    ran = subprocess.run([sys.executable, "-c", SIGNALLED, str(int(sent))], capture_output=True, text=True, timeout=120)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "the journal is closed here\n", "")


def test_the_sample_opens_as_a_house_at_work_where_nobody_is_bankrupt_yet():
    def states(book):
        engine = Engine()
        for command in opening_commands(book, sample_market()):
            engine.apply(command)
        return {each.state for each in engine.state.accounts.values()}

    troubled = ("cash-only", "near-liquidation", "naked-call-seller", UNDER_WATER)
    solvent = {each.account for each in solvent_sample_book()}
    assert states([each for each in sample_book() if each.account in troubled]) >= {"BANKRUPT"}
    kept = [each for each in sample_book() if each.account in troubled and each.account in solvent]
    assert states(kept) == {"HEALTHY", "MARGIN_CALL", "LIQUIDATING"}


FULL = """
import resource, signal, sys
from pathlib import Path
from decimal import Decimal
from crossmargin.engine.commands import Deposit
from crossmargin.service.writer import Writer
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = Writer(Path(sys.argv[1]))
size = sum(path.stat().st_size for path in Path(sys.argv[1], "journal").iterdir())
def ask(number):
    command = Deposit(id=f"full-{number}", account="cash-only", asset="USDC", amount=Decimal(1))
    try:
        writer.submit(command).result(timeout=60)
        print("done", number)
    except Exception as error:
        print("refused", number, error)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 1000, resource.RLIM_INFINITY))
for number in range(10):
    ask(number)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for number in range(10, 13):
    ask(number)
writer.close()
print("hash", writer.engine.state_hash())
"""


def test_a_full_disk_refuses_and_does_not_corrupt(tmp_path):
    """A limit on the size of files stands for the full disk: a write is cut short, and the next one fails."""
    Writer(tmp_path, opening=cash_only).close()
    ran = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=120)
    lines = ran.stdout.splitlines()
    done = {int(line.split()[1]) for line in lines if line.startswith("done")}
    refused = {int(line.split()[1]) for line in lines if line.startswith("refused")}
    assert done >= {0, 10, 11, 12}, ran.stderr
    assert refused >= {8, 9}
    assert "a command must be on disk before it is applied" in ran.stdout
    restarted = Writer(tmp_path)
    assert lines[-1] == f"hash {restarted.engine.state_hash()}"
    assert {number for number in range(13) if restarted.engine.has_applied(f"full-{number}")} == done
    restarted.close()


def test_a_disk_that_fails_to_sync_stops_the_writer(tmp_path, monkeypatch):
    writer = Writer(tmp_path, opening=cash_only)

    def failing(_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(Exception, match="Input/output error"):
            writer.submit(deposit(1)).result(timeout=60)
    with pytest.raises(Busy, match="the writer has stopped"):
        writer.submit(deposit(2))
    with TestClient(application(writer)) as client:
        assert client.get("/health").json()["status"] == "failed"
    writer.close()


# looked for and not imported, which takes ten seconds
UNKNOWN = pytest.param(
    "ccxt:nosuch", marks=pytest.mark.skipif(find_spec("ccxt") is None, reason="ccxt is not installed")
)
FED = ["serve", "--open", "--port", "0", "--folder", "data", "--feed"]


def require_refused(folder, code, out, err):
    assert (code, out) == (2, "")
    assert err.startswith("error: a ")
    assert len(err.splitlines()) == 1
    assert not (folder / "data").exists()


@pytest.mark.parametrize("feed", ["replay:nosuch", "replay:nosuch.csv@60", "replay:wrong.csv", UNKNOWN])
def test_a_feed_that_cannot_be_is_refused_before_anything_is_said_or_made(tmp_path, run, monkeypatch, feed):
    (tmp_path / "wrong.csv").write_text("colour,size\nred,1\n")
    monkeypatch.chdir(tmp_path)
    # where it is not refused in time, the address is said and the folder made, and nothing is served for ever
    monkeypatch.setattr(Server, "run", lambda _: None)
    require_refused(tmp_path, *run(*FED, feed))


@pytest.mark.skipif(find_spec("ccxt") is None, reason="ccxt is not installed")
def test_an_unknown_venue_is_refused_without_importing_every_exchange(monkeypatch):
    monkeypatch.setitem(sys.modules, "ccxt.pro", None)  # where it is imported all the same, the import fails
    with pytest.raises(InputError, match=r"must be an exchange of ccxt\.pro, was nosuch"):
        require_feeds([parse_feed("ccxt:nosuch")])
    with pytest.raises(InputError, match="ccxt is missing"):
        require_feeds([parse_feed("ccxt:kraken")])


def test_a_process_that_is_to_play_what_is_not_there_ends_before_anything_is_said_or_made(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "crossmargin", *FED, "replay:nosuch"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    require_refused(tmp_path, done.returncode, done.stdout, done.stderr)
