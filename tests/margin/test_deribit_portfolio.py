"""Deribit's portfolio margin against its own answers and by hand."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.files.sample import sample_market
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import deribit_portfolio as pm
from crossmargin.margin.requirements import requirements
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.units import AccountId, Currency
from crossmargin.verification.deribit_pm import verify

MARKET = sample_market()
PARAMETERS = read_parameters(pm.METHOD)
PERPETUAL = parse_contract("deribit:BTC/USD:BTC")
CALL = parse_contract("deribit:BTC/USD:BTC-260327-100000-C")
BTC = MARKET.index_price(Currency("BTC"))


def _margined(*positions: Position) -> pm.Requirement:
    book = Portfolio(
        account=AccountId("a"), balances=(Balance(currency=Currency("BTC"), amount=5.0),), positions=positions
    )
    return requirements((book,), MARKET, pm.METHOD, PARAMETERS)[0]


def test_the_outside_cases_match(shared: Path, record_property: Callable[[str, object], None]) -> None:
    tally = verify(shared / "vectors" / "deribit_pm")
    record_property("outside_cases", tally.cases)
    assert tally.cases > 0
    assert tally.ok, tally.mismatches


def test_the_documentation_example_of_17_june_2024() -> None:
    # docs.deribit.com private/pme/simulate, response example, timestamp 1718619740501; index 65,666.19
    coins = {"BTC-PERPETUAL": 0.314538364, "BTC-28JUN24": -0.001187534}
    moves = pm.standard_moves(0.16, 4)
    standard = sum(pm.inverse_future_profit(q, moves) for q in coins.values())
    assert standard[0] == pytest.approx(-0.05968587238095239, abs=1e-15)
    roll = pm.roll_shock([(q, 0.03) for q in coins.values()], 0.075, 0.01)
    assert roll == pytest.approx(0.00315725898, abs=1e-14)
    matrix = pm.risk_matrix(pm.offset(standard, 0.0, 0.0), np.zeros(8), roll, 0.0)
    assert matrix.total == pytest.approx(0.06284313098, abs=1e-12)
    assert 0.8 * matrix.total == pytest.approx(0.050274504784, abs=1e-12)
    assert round(matrix.total + 0.06 + 0.000018212, 9) == 0.122861343


def test_a_future_counts_at_the_end_of_the_range_in_every_extended_move() -> None:
    moves = np.array(pm.EXTENDED_MOVES)
    far = pm.extended_profit(pm.inverse_future_profit(1.0, moves), moves, 0.16, 1.0)
    ends = pm.inverse_future_profit(1.0, np.where(moves < 0, -0.16, 0.16))
    assert far == pytest.approx(ends, abs=1e-15)
    # the dampener of 100,000 USD is 1.81 coins at -33 %: nothing of one coin is left
    assert pm.dampened(far, moves, 0.16, 100_000.0, 65_666.19).tolist() == [0.0] * 8


def test_one_coin_of_perpetual_needs_its_fall_and_its_roll() -> None:
    result = _margined(Position(instrument=PERPETUAL, quantity=BTC / 10.0))
    # 1 - 1/0.84 of a coin, and 1 % of it for the roll
    assert result.initial == pytest.approx((1.0 / 0.84 - 1.0 + 0.01) * BTC, rel=1e-6)
    assert result.maintenance == pytest.approx(0.8 * result.initial)


def test_a_short_call_loses_most_where_prices_and_vols_rise() -> None:
    result = _margined(Position(instrument=CALL, quantity=-1.0))
    assert result.worst_scenario.endswith("vols up")
    assert 0.05 * BTC < result.initial < 0.5 * BTC


def test_opposite_expiries_pay_the_roll_on_both() -> None:
    legs = (
        Position(instrument=PERPETUAL, quantity=BTC / 10.0),
        Position(instrument=parse_contract("deribit:BTC/USD:BTC-260327"), quantity=-BTC / 10.0),
    )
    roll = [part.amount for part in _margined(*legs).initial_components if part.name.endswith("roll shock")]
    # 1 % of the perpetual and 7.5 % a year of the future, 71 days out
    assert roll == pytest.approx([(0.01 + 0.075 * 71 / 365) * BTC], rel=0.02)


def test_a_closed_book_needs_nothing() -> None:
    legs = [Position(instrument=CALL, quantity=q) for q in (2.0, -2.0)]
    assert _margined(*legs).initial == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("name", ["okx:BTC/USD:BTC", "deribit:SOL/USDC:USDC", "deribit:BTC/USDC"])
def test_what_the_rulebook_cannot_hold_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=name):
        _margined(Position(instrument=parse_contract(name), quantity=1.0))
