"""PostgreSQL killed and started again while clients write over HTTP: no command is lost, and findings are clear meanwhile."""

import http.client
import json
import threading
import time

import pytest
import sqlalchemy as sql
from serving import serving

from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service import following
from crossmargin.service.application import application
from crossmargin.service.opening import opening_commands
from crossmargin.service.processes.nursery import started_afresh
from crossmargin.service.projection_tables import POSITION
from crossmargin.service.projector import Projector
from crossmargin.service.writer import Writer

STOPS = 3
CLIENTS = 3
LONGEST_WAIT_S = 900
"""Beyond all reason, on a machine with other work too."""


def ask(url, method, path, body=None, key=""):
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"} if body else {}
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def opening():
    return tuple(opening_commands([book for book in sample_book() if book.account == "cash-only"], sample_market()))


@pytest.mark.soak
def test_a_database_that_dies_under_load_loses_nothing(tmp_path, postgres, monkeypatch, record_property):
    monkeypatch.setattr(following, "PAUSE_S", 0.2)
    writer = Writer(
        tmp_path,
        opening=opening,
        projector=Projector(postgres.create(f"load{time.monotonic_ns()}"), tmp_path, started_afresh),
    )
    assert writer.projector.wait_for(writer.record, LONGEST_WAIT_S)
    done, answers = threading.Event(), [[] for _ in range(CLIENTS)]

    def load(url, client):
        body = json.dumps({"account": "cash-only", "asset": "USDC", "amount": "1"})
        while not done.is_set():
            answers[client].append(ask(url, "POST", "/api/v1/deposits", body, f"{client}-{len(answers[client])}")[0])

    with serving(application(writer)) as url:
        clients = [threading.Thread(target=load, args=(url, client)) for client in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            for _ in range(STOPS):
                time.sleep(1)
                postgres.stop()
                before = sum(map(len, answers))
                status, content = ask(url, "GET", "/api/v1/margin-calls")
                assert (status, json.loads(content)["error"]["rule"]) == (503, "the database must answer")
                time.sleep(1)
                assert sum(map(len, answers)) > before
                postgres.start()
        finally:
            done.set()
            for client in clients:
                client.join()
    acknowledged = [status for each in answers for status in each]
    assert set(acknowledged) == {200}
    record_property("acknowledged", len(acknowledged))
    assert writer.projector.wait_for(writer.record, LONGEST_WAIT_S)
    with writer.projector.database.connect() as connection:
        (stood,) = connection.execute(sql.select(POSITION.c.record)).scalars()
    assert stood == writer.record
    writer.close()
