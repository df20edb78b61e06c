"""The service keeps the ids of commands for a window: what is asked again within it is answered once."""

from decimal import Decimal

import msgspec
import pytest

from crossmargin.engine import commands as ask
from crossmargin.engine.events import BalanceChanged, Refused, Repeated
from crossmargin.engine.parameters import EngineParameters
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Writer

MINUTE_NS = 60 * 10**9
WINDOW_NS = 10 * MINUTE_NS
START_NS = sample_market().time_ns


def opening():
    book = [each for each in sample_book() if each.account == "cash-only"]
    settings = EngineParameters(index_max_age_ns=10**18, mark_band=None, id_window_ns=WINDOW_NS)
    return (*opening_commands(book, sample_market()), ask.SetParameters(id="p", parameters=settings))


@pytest.fixture
def writer(tmp_path):
    writer = Writer(tmp_path, opening=opening)
    yield writer
    writer.close()


def told(writer, command):
    return writer.submit(command).result(timeout=60)


def deposit(name, amount=1, **more):
    return ask.Deposit(id=name, account="cash-only", asset="USDC", amount=Decimal(amount), **more)


def balance(writer):
    return writer.engine.state.ledger.balance("cash-only", "USDC") // 10**8 - 250_000


def minutes(writer, number):
    told(writer, ask.AdvanceTime(id=f"m{number}", time_ns=START_NS + number * MINUTE_NS))


def kept(writer):
    """How many ids a snapshot holds."""
    return len(msgspec.json.decode(writer.engine.snapshot())["applied"])


def an_hour(writer, **more):
    counts = []
    for minute in range(1, 61):
        minutes(writer, minute)
        for number in range(5):
            told(writer, deposit(f"d{minute}-{number}", **more))
        counts.append(kept(writer))
    return counts


@pytest.mark.parametrize("sent", [{}, {"sent_ns": 2 * START_NS}], ids=["not said", "said to be in a year to come"])
def test_the_ids_that_are_kept_are_those_of_the_window(writer, sent):
    counts = an_hour(writer, **sent)
    # those of ten minutes and the one that has just begun, five deposits and the clock's, and those of the opening, by
    # which a folder whose opening was cut short is known
    assert max(counts[15:]) <= 11 * 6 + len(opening())
    assert counts[-1] == counts[-20]
    assert balance(writer) == 300


def test_without_the_time_at_which_they_came_all_are_kept(writer, monkeypatch):
    monkeypatch.setattr("crossmargin.service.writer.dated", lambda commands, _: commands)
    assert an_hour(writer)[-1] == 60 * 6 + len(opening())


def test_a_repeat_within_the_window_is_answered_once(writer, tmp_path):
    minutes(writer, 1)
    told(writer, deposit("d", 5))
    minutes(writer, 9)
    assert [type(each) for each in told(writer, deposit("d", 5))] == [Repeated]
    assert [type(each) for each in told(writer, deposit("d", 5, sent_ns=START_NS + 2 * MINUTE_NS))] == [Repeated]
    (refused,) = told(writer, deposit("d", 6))
    assert isinstance(refused, Refused)
    assert refused.reason == "DUPLICATE_ID_OTHER_CONTENT"
    assert balance(writer) == 5


def test_a_repeat_after_a_restart_is_answered_once(tmp_path):
    for expected in (BalanceChanged, Repeated):
        writer = Writer(tmp_path, opening=opening)
        minutes(writer, 1 if expected is BalanceChanged else 9)
        assert type(told(writer, deposit("d", 5))[0]) is expected
        assert balance(writer) == 5
        writer.close()


def test_commands_that_wait_while_time_jumps_are_not_late(writer):
    with writer.lock:  # so that all are one batch
        jump = writer.submit(ask.AdvanceTime(id="jump", time_ns=START_NS + 100 * WINDOW_NS))
        late = writer.submit(deposit("d", 5))
    jump.result(timeout=60)
    assert not isinstance(late.result(timeout=60)[0], Refused)


def test_an_id_is_free_again_after_the_window(writer):
    minutes(writer, 1)
    told(writer, deposit("d", 5))
    minutes(writer, 12)
    told(writer, deposit("d", 5))
    assert balance(writer) == 10
    (refused,) = told(writer, deposit("late", 5, sent_ns=START_NS + MINUTE_NS))
    assert refused.reason == "EXPIRED_COMMAND"
