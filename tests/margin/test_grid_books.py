"""Plain books on shared columns against `scenario_grid` itself, to the last bit, on random books; the rest is turned away."""

from dataclasses import replace

import numpy as np
import pytest
from test_grid_kernels import CONTRACTS, INDEX, market, parameters

from crossmargin.instruments.contracts import Asset
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin.grid_books import GridBooks
from crossmargin.margin.methods import method_named
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.risk.risk_array import risk_array
from crossmargin.units import AccountId, Currency

MARKET, PARAMETERS = market(), parameters()
METHOD = method_named("scenario_grid")
ITEMS = [parse_contract(name) for name in CONTRACTS] + [Asset(currency=Currency(name)) for name in (*INDEX, "USD")]
RISK = risk_array(ITEMS, MARKET, METHOD.scenarios(MARKET, PARAMETERS))
BOOKS = GridBooks.on(RISK, MARKET, PARAMETERS)


def defined(positions, balances):
    portfolio = Portfolio(
        account=AccountId("a"),
        balances=tuple(Balance(currency=Currency(name), amount=amount) for name, amount in balances),
        positions=tuple(
            Position(instrument=parse_contract(name), quantity=quantity, entry_price=entry)
            for name, quantity, entry in positions
        ),
    )
    found = METHOD.requirement(portfolio, MARKET, RISK, PARAMETERS)
    return found.equity, found.initial, found.maintenance, found.worst_scenario


def random_book(dice):
    names = dice.choice(CONTRACTS, size=int(dice.integers(0, 12)), replace=False)
    positions = []
    for name in names:
        quantity = float(dice.normal() * 10.0 ** dice.integers(-2, 4))
        price = MARKET.mark_price(parse_contract(str(name)))
        entry = None if dice.random() < 0.4 else float(price * dice.uniform(0.5, 2.0))
        positions.append((str(name), quantity, entry))
    held = dice.choice([*INDEX, "USD"], size=int(dice.integers(0, 5)), replace=False)
    balances = [(str(name), float(dice.normal() * 10.0 ** dice.integers(0, 6))) for name in held]
    return positions, balances


def test_random_books_have_the_figures_and_the_scenario_of_the_definition():
    dice = np.random.default_rng(11)
    scenarios = set()
    for _ in range(1_500):
        positions, balances = random_book(dice)
        found = BOOKS.figures(positions, balances)
        assert (found.equity, found.initial, found.maintenance, found.worst_scenario) == defined(positions, balances)
        scenarios.add(found.worst_scenario)
    assert "" in scenarios
    assert len({each.partition(":")[0] for each in scenarios}) == 4  # none, BTC, ETH and SOL


def test_a_perfect_hedge_has_no_worst_scenario():
    book = [("x:BTC/USDC", 3.3, None), ("x:BTC/USDC:USDC", -3.3, None)], [("USDC", 5e6)]
    found = BOOKS.figures(*book)
    assert found.worst_scenario == defined(*book)[3]


@pytest.mark.parametrize(
    ("positions", "balances"),
    [
        ([("x:BTC/USDC:USDC", 1.0, None), ("x:BTC/USDC:USDC", 2.0, None)], []),
        ([("x:BTC/USDC:USDC", 0.0, None)], []),
        ([("x:DOGE/USDC:USDC", 1.0, None)], []),
        ([("BTC", 1.0, None)], []),
        ([("x:BTC/USDC:USDC", 1.0, 0.0)], []),
        ([("x:BTC/USDC:USDC", 1.0, -1.0)], []),
        ([("x:BTC/USDC:USDC", float("inf"), None)], []),
        ([("x:BTC/USDC:USDC", float("nan"), None)], []),
        ([], [("USDC", 1.0), ("USDC", 2.0)]),
        ([], [("DOGE", 1.0)]),
        ([], [("USDC", float("nan"))]),
    ],
    ids=["twice", "none", "unknown", "coin", "free", "entry", "infinite", "nan", "balances", "currency", "amount"],
)
def test_a_book_that_is_not_plain_is_turned_away(positions, balances):
    assert BOOKS.figures(positions, balances) is None


def test_contracts_without_a_mark_and_coins_that_no_scenario_moves_are_not_for_plain_books():
    option = next(name for name in CONTRACTS if name.endswith("-C"))
    unmarked = replace(MARKET, marks={name: price for name, price in MARKET.marks.items() if name != option})
    assert option not in GridBooks.on(RISK, unmarked, PARAMETERS).rows
    without = risk_array([each for each in ITEMS if each.id != "SOL"], MARKET, RISK.scenarios)
    found = GridBooks.on(without, MARKET, PARAMETERS)
    assert "SOL" in BOOKS.numbers
    assert "SOL" not in found.numbers
    assert "a:SOL/USDT:USDT" not in found.rows
