"""Laws of every registered method on the sample's accounts that it can hold."""

from dataclasses import replace
from functools import cache

import pytest

from crossmargin.errors import InputError, MarketDataError
from crossmargin.files.parameters import read_parameters
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.margin.method import Requirement
from crossmargin.margin.methods import METHODS
from crossmargin.margin.requirements import requirements
from crossmargin.margin.what_if import Change, changed
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.units import AccountId, Currency

MARKET = sample_market()
CLOSE = {"rel": 1e-9, "abs": 1e-5}


PARAMETERS = {name: read_parameters(method) for name, method in METHODS.items()}


def margined(name: str, book: Portfolio) -> Requirement:
    return requirements((book,), MARKET, METHODS[name], PARAMETERS[name])[0]


@cache
def held(name: str) -> tuple[Portfolio, ...]:
    """Books that the method can hold: the sample's, and a long and a short of every contract in it, alone in dollars."""
    books = [replace(portfolio, orders=()) for portfolio in sample_book()]
    contracts = {p.instrument.id: p.instrument for book in books for p in book.positions}
    books += [
        Portfolio(
            account=AccountId(f"{contract.id} {sign:+g}"),
            balances=(Balance(currency=Currency("USDC"), amount=1e5),),
            positions=(Position(instrument=contract, quantity=3.0 * sign),),
        )
        for contract in contracts.values()
        for sign in (1.0, -1.0)
    ]
    found = []
    for book in books:
        try:
            margined(name, book)
        except (InputError, MarketDataError):
            continue
        found.append(book)
    return tuple(found)


every_method = pytest.mark.parametrize("name", sorted(METHODS))


@every_method
def test_a_method_can_hold_some_account_of_the_sample(name: str) -> None:
    assert any(book.positions for book in held(name))


@every_method
def test_requirements_are_positive_and_finite(name: str) -> None:
    for book in held(name):
        result = margined(name, book)
        assert result.maintenance >= -1e-6
        assert result.initial >= -1e-6


@every_method
def test_two_lots_need_what_one_position_needs(name: str) -> None:
    for book in held(name):
        lots = tuple(replace(p, quantity=p.quantity * share) for p in book.positions for share in (0.25, 0.75))
        one, two = margined(name, book), margined(name, replace(book, positions=lots))
        assert (two.initial, two.maintenance) == pytest.approx((one.initial, one.maintenance), **CLOSE), book.account


@every_method
def test_a_book_s_order_changes_no_bit(name: str) -> None:
    for book in held(name):
        turned = replace(book, positions=book.positions[::-1], balances=book.balances[::-1])
        assert margined(name, turned).initial == margined(name, book).initial


@every_method
def test_closing_the_whole_book_releases_what_positions_needed(name: str) -> None:
    for sample in held(name):
        # entered at the mark, so that closing leaves no profit behind that would count as collateral
        book = replace(sample, positions=tuple(replace(p, entry_price=None) for p in sample.positions))
        closed = changed(book, MARKET, Change(scale=0.0))
        try:
            left = margined(name, closed).initial
            idle = margined(name, replace(closed, positions=())).initial
        except InputError:
            continue  # what was earned in another coin is collateral that the rulebook does not take
        assert left == pytest.approx(idle, **CLOSE), book.account


@every_method
def test_another_name_changes_nothing(name: str) -> None:
    for book in held(name)[:5]:
        assert margined(name, replace(book, account=AccountId("other"))).initial == margined(name, book).initial
