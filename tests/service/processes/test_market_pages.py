"""Pages of the engine's market: what a worker reads margins every book to the same bits as the engine's process does."""

import dataclasses

import msgspec
import numpy as np
import pytest

from crossmargin.engine.engine import Engine
from crossmargin.errors import CrossMarginError, InputError
from crossmargin.files.book import book_tables
from crossmargin.files.parameters import read_parameters
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.margin.methods import DEFAULT_METHOD, METHODS, method_named
from crossmargin.margin.requirements import held_instruments
from crossmargin.risk.risk_array import risk_array
from crossmargin.service.opening import opening_commands
from crossmargin.service.processes.market_pages import market_page, told
from crossmargin.service.stateless import MarginQuestion, RiskArrays, margin_answer


@pytest.fixture(scope="module")
def engine():
    """An engine with the market of the sample, and the contracts of some of its books."""
    held = ("market-maker-eth", "cash-only", "inverse-long-own-coin")
    found = Engine()
    for command in opening_commands([each for each in sample_book() if each.account in held], sample_market()):
        found.apply(command)
    return found


def test_a_market_comes_back_as_it_was(engine):
    assert told(market_page(engine.market())).market == engine.market()


def test_rows_come_back_bit_for_bit_and_are_those_that_a_worker_would_compute(engine):
    risk = engine.risk_array(DEFAULT_METHOD)
    found = told(market_page(engine.market(), risk))
    read = found.arrays[DEFAULT_METHOD]
    method = method_named(DEFAULT_METHOD)
    own = risk_array(read.instruments, found.market, method.scenarios(found.market, read_parameters(method)))
    assert len(read.instruments) > 15
    assert read.instruments == own.instruments
    assert read.pnl.tobytes() == own.pnl.tobytes()
    assert read.delta.tobytes() == own.delta.tobytes()
    assert read.scenarios.labels == own.scenarios.labels == risk.scenarios.labels


def test_a_contract_that_the_engine_lists_with_another_size_is_left_out(engine):
    """A book means by the id what its venue has published; with the rule off it would be margined on the other size."""
    risk = engine.risk_array(DEFAULT_METHOD)
    place = next(row for row, item in enumerate(risk.instruments) if ":" in item.id)
    changed = dataclasses.replace(risk.instruments[place], contract_size=risk.instruments[place].contract_size * 7)
    items = (*risk.instruments[:place], changed, *risk.instruments[place + 1 :])
    page = market_page(engine.market(), dataclasses.replace(risk, instruments=items))
    assert told(page).arrays[DEFAULT_METHOD].instruments == (*items[:place], *items[place + 1 :])


def test_a_market_that_is_more_than_prices_is_refused():
    with pytest.raises(InputError, match="must hold prices alone"):
        market_page(sample_market())


@pytest.mark.parametrize("method", [None, *METHODS])
def test_books_are_margined_alike_from_a_page_from_parts_of_it_and_from_nothing(engine, method):
    """The sample's books: all rows from the page, some of them, or none; one after the other, and together."""
    page = told(market_page(engine.market(), engine.risk_array(DEFAULT_METHOD)))
    begun, none = RiskArrays(), RiskArrays()
    begun.begin(page.market, page.arrays)
    books = [each for each in sample_book() if not each.orders][:12]
    asked = [MarginQuestion(book=book_tables([each]), method=method) for each in books]
    asked.append(MarginQuestion(book=book_tables(books), method=method))
    outcomes = []
    for question in asked:
        answers = []
        for market, arrays in ((page.market, begun), (page.market, none), (engine.market(), RiskArrays())):
            try:
                answers.append(msgspec.json.encode(margin_answer(question, market, arrays)))
            except CrossMarginError as error:
                answers.append(str(error))
        assert answers[0] == answers[1] == answers[2]
        outcomes.append(answers[0])
    # some rulebooks need what the engine's market has not, like funding rates, and refuse every book
    assert any(isinstance(each, bytes) for each in outcomes) or method not in (None, DEFAULT_METHOD)


def test_an_array_that_grew_holds_the_rows_of_one_that_was_built_at_once(engine):
    market, method = engine.market(), method_named(DEFAULT_METHOD)
    books = [each for each in sample_book() if not each.orders][:12]
    grown, parameters = RiskArrays(), read_parameters(method)
    for each in books:
        last = grown.of([each], market, method, parameters)
    whole = risk_array(held_instruments(books), market, method.scenarios(market, parameters))
    assert last.instruments == whole.instruments
    np.testing.assert_array_equal(last.pnl, whole.pnl)
    np.testing.assert_array_equal(last.delta, whole.delta)
