"""Kill -9 of the whole service while clients write over HTTP: every acknowledged command is there after restart, once.

In the suite three kills, on a soaking night those that `CROSSMARGIN_KILLS` names (1:201 if not set), judged in fifties.
"""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from crossmargin.engine.commands import Deposit, PlaceOrder, ReverseDeposit
from crossmargin.service.projector import Projector
from crossmargin.service.writer import Writer
from crossmargin.store.journal import open_journal
from crossmargin.store.records import Asked

CLIENTS = 3
LONGEST_WAIT_S = 900
"""Beyond all reason, on a machine with other work too."""
MOST_COMMANDS = 24
"""That a life is let take before it is killed."""
PORTION = 50
"""Kills on one folder, judged together."""

SERVE = """
import os
import sys
from pathlib import Path
import loaded
from crossmargin.cli.serve import serve
from crossmargin.files import sample
from crossmargin.service import rehearsal
folder, port = Path(sys.argv[1]), int(sys.argv[2])
# imports and kernels take seconds, a kill must not: each life of the service is a fork of this process
rehearsal.rehearse()
rehearsal.rehearse = lambda: []
held = ("cash-only", "inverse-long-own-coin")
book, market = [each for each in sample.sample_book() if each.account in held], sample.sample_market()
# threads that read tables do not live on in a fork
sample.solvent_sample_book, sample.sample_market = lambda: book, lambda: market
print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        serve(port=port, folder=folder, open_=True, database=f"sqlite:///{folder}/p.sqlite")
        os._exit(0)
    print(child, flush=True)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""
ORDERING = "c0"
"""The client that places orders; the others deposit."""


class Client(threading.Thread):
    """Asks for deposits or orders one after the other; what was not acknowledged it asks for again, under the same key."""

    def __init__(self, name, port, stopping):
        super().__init__(name=name, daemon=True)
        self.port, self.stopping = port, stopping
        self.acknowledged, self.asked, self.unexpected = [], 0, []

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        with contextlib.closing(connection):
            while not self.unexpected and (not self.stopping.is_set() or len(self.acknowledged) < self.asked):
                if len(self.acknowledged) == self.asked:
                    self.asked += 1
                try:
                    self.ask(connection, f"{self.name}-{self.asked}")
                except (OSError, http.client.HTTPException):
                    connection.close()
                    time.sleep(0.005)

    def ask(self, connection, key):
        asked = {"account": "cash-only", "asset": "USDC", "amount": "1"}
        if self.name == ORDERING:
            asked = {"account": "opening", "order": key, "instrument": "deribit:BTC/USD:BTC", "side": "buy"}
            asked |= {"quantity": "1", "price": "1000"}
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        path = "/api/v1/orders" if self.name == ORDERING else "/api/v1/deposits"
        connection.request("POST", path, msgspec.json.encode(asked), headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status == 200:
            self.acknowledged.append(f"api-{key}")
        elif answer.status == 503:
            time.sleep(0.01)
        else:
            self.unexpected.append((answer.status, content))


def up(port):
    deadline = time.monotonic() + LONGEST_WAIT_S
    while True:
        assert time.monotonic() < deadline, "the service does not come up"
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", "/health")
            status = msgspec.json.decode(connection.getresponse().read())["status"]
            assert status != "failed"
            if status == "ok":
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.01)


def after(commands, clients):
    """Wait until clients were acknowledged that many commands more."""
    deadline, wanted = time.monotonic() + LONGEST_WAIT_S, acknowledged_by(clients) + commands
    while acknowledged_by(clients) < wanted and not any(client.unexpected for client in clients):
        assert time.monotonic() < deadline, "no command is acknowledged"
        time.sleep(0.0005)


def acknowledged_by(clients):
    return sum(len(client.acknowledged) for client in clients)


def killed_under_load(folder, kills):
    """Kill the service once for each number in `kills`; return what was acknowledged, and how many kills met a command."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    service = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(folder), str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True, cwd=Path(__file__).parent,
    )  # fmt: skip
    try:
        return under_load(service, port, kills)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(service.pid, signal.SIGKILL)
        service.wait(LONGEST_WAIT_S)
        service.stdin.close()
        service.stdout.close()


def under_load(service, port, kills):
    stopping = threading.Event()
    clients = [Client(f"c{number}", port, stopping) for number in range(CLIENTS)]

    def begin():
        service.stdin.write("\n")
        service.stdin.flush()
        return int(service.stdout.readline())

    assert service.stdout.readline() == "ready\n"
    life = begin()
    up(port)
    for client in clients:
        client.start()
    met = 0
    for number in kills:
        # multiples of the golden ratio spread the kills evenly over commands, and over the parts of one
        share = 0.6180339887 * number % 1
        # some kills fall into the start of the next life, before it is open
        if number % 5:
            up(port)
            after(int(MOST_COMMANDS * share), clients)
            time.sleep(0.01 * (MOST_COMMANDS * share % 1))
            met += any(client.asked > len(client.acknowledged) for client in clients)
        else:
            time.sleep(0.12 * share)
        os.kill(life, signal.SIGKILL)
        assert service.stdout.readline() == "gone\n"
        life = begin()
    up(port)
    stopping.set()
    for client in clients:
        client.join(LONGEST_WAIT_S)
    os.kill(life, signal.SIGTERM)
    assert service.stdout.readline() == "gone\n"
    assert [client.unexpected for client in clients] == [[]] * CLIENTS
    return [key for client in clients for key in client.acknowledged], met


def judge(folder, acknowledged):
    assert len(acknowledged) == len(set(acknowledged))
    records = [payload.command for _, payload in open_journal(folder / "journal").read() if isinstance(payload, Asked)]
    asked = [command for command in records if command.id.startswith("api-")]
    assert {command.id for command in asked} == set(acknowledged)
    writer = Writer(folder, projector=Projector(f"sqlite:///{folder}/p.sqlite", folder))
    quantum = writer.engine.state.assets["USDC"].quantum
    balance = writer.engine.state.ledger.balance("cash-only", "USDC") * quantum
    first = [each for each in records if isinstance(each, Deposit) and not each.id.startswith("api-")]
    assert all(writer.engine.has_applied(key) for key in acknowledged)
    placed = sum(isinstance(command, PlaceOrder) for command in {each.id: each for each in asked}.values())
    resting = [name for name in writer.engine.state.orders if name.startswith(f"{ORDERING}-")]
    assert 0 < len(resting) == placed
    # each deposit is of 1 USDC: what came twice would be counted twice
    opened = sum((each.amount for each in first if each.account == "cash-only" and each.asset == "USDC"), Decimal(0))
    reversed_ = (each for each in records if isinstance(each, ReverseDeposit))
    opened -= sum(
        (each.amount for each in reversed_ if each.account == "cash-only" and each.asset == "USDC"), Decimal(0)
    )
    assert 0 < balance - opened == len(acknowledged) - placed
    assert writer.projector.wait_for(writer.record, LONGEST_WAIT_S)
    writer.close()


def test_kills_under_load_lose_nothing_and_repeat_nothing(tmp_path, record_property):
    acknowledged, _ = killed_under_load(tmp_path, range(1, 4))
    record_property("acknowledged", len(acknowledged))
    judge(tmp_path, acknowledged)


@pytest.mark.soak
def test_two_hundred_kills_under_load(tmp_path, record_property):
    first, last = (int(part) for part in os.environ.get("CROSSMARGIN_KILLS", "1:201").split(":"))
    judged: Counter[str] = Counter()
    for begin in range(first, last, PORTION):
        kills = range(begin, min(begin + PORTION, last))
        folder = tmp_path / str(begin)
        folder.mkdir()
        acknowledged, met_here = killed_under_load(folder, kills)
        judge(folder, acknowledged)
        judged.update(kills=len(kills), acknowledged=len(acknowledged), met=met_here)
        print(dict(judged), flush=True)
    for name, figure in judged.items():
        record_property(name, figure)
    # most kills meet a command that was asked for and not acknowledged, or the test would prove little
    assert judged["met"] > judged["kills"] / 2
