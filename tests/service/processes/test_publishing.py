"""What the engine's process puts up: the market of now, nothing while it cannot, and workers that go by it."""

import json
import time
from decimal import Decimal

import pytest
from several import LONGEST_WAIT_S, book_of
from test_stream import deposit

from crossmargin.engine.commands import Quote, UpdateMarket
from crossmargin.margin.methods import DEFAULT_METHOD
from crossmargin.service.processes import publishing
from crossmargin.service.processes.market_pages import told
from crossmargin.service.processes.publishing import Publisher

MARGIN = "/api/v1/margin"


def move(writer, name, price):
    quotes = (Quote(source="opening", price=Decimal(price)),)
    writer.submit(UpdateMarket(id=name, index={"ADA": quotes}, marks={})).result(timeout=60)


def until(holds):
    deadline = time.monotonic() + LONGEST_WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_board_follows_the_market_and_nothing_else(writer):
    with Publisher(writer) as publisher:
        until(lambda: publisher.board.number)
        move(writer, "put up", "0.41")
        until(lambda: told(publisher.board.read().content).market == writer.engine.market())
        seen = told(publisher.board.read().content)
        assert seen.market.index["ADA"].value == 0.41
        with writer.lock:
            risk = writer.engine.risk_array(DEFAULT_METHOD)
        read = seen.arrays[DEFAULT_METHOD]
        assert len(read.instruments) == len(risk.instruments)
        assert read.pnl.tobytes() == risk.pnl.tobytes()
        number = publisher.board.number
        deposit(writer, "moves no market")
        publisher.publish()
        assert publisher.board.number == number


def test_a_market_that_cannot_be_put_up_is_taken_down_and_the_next_is_up_again(writer, monkeypatch):
    """Were the page before left there, workers would go on margining on a market that is over."""

    def full(*_):
        raise OSError("no room")

    with Publisher(writer) as publisher:
        until(lambda: publisher.board.number)
        with monkeypatch.context() as broken:
            broken.setattr(publishing, "market_page", full)
            move(writer, "cannot be put up", "0.42")
            until(lambda: publisher.board.read().content == b"")
        move(writer, "can be put up", "0.43")
        until(lambda: publisher.board.read().content)
        assert told(publisher.board.read().content).market.index["ADA"].value == 0.43


@pytest.mark.parametrize("price", ["0.44", "0.45"])
def test_a_worker_margins_on_the_market_of_now(service, price):
    book = {"accounts": [{"account": "a"}], "balances": [{"account": "a", "currency": "ADA", "amount": 1_000_000}]}

    def equity():
        return json.loads(service.client().ask(MARGIN, {"book": book})[2])["accounts"][0]["equity"]

    move(service.writer, f"for workers {price}", price)
    here = service.client()
    assert here.ask("/health")[0] == 200
    answer = here.ask(MARGIN, {"book": book})  # by the engine's process, at once
    until(lambda: equity() == json.loads(answer[2])["accounts"][0]["equity"])
    assert equity() == equity()  # either worker's


def test_workers_hand_back_what_they_have_no_market_for(service):
    publisher, asked = service.front.publisher, {"book": book_of("hedger")}
    right = service.client().ask(MARGIN, asked)
    back = 'crossmargin_connections_handed_total{to="engine"}'
    before = service.metric(back)
    publisher.board.write(b"")
    assert service.client().ask(MARGIN, asked) == right
    assert service.metric(back) == before + 1
    publisher._market = None
    publisher.publish()
    assert service.client().ask(MARGIN, asked) == right
    assert service.metric(back) == before + 1
