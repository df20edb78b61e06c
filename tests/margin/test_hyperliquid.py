"""Hyperliquid against a recorded account and the documentation's examples."""

from collections.abc import Callable
from pathlib import Path

import pytest

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import hyperliquid as hl
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.units import AccountId, Currency
from crossmargin.verification.hyperliquid import verify

MARKET = MarketSnapshot(
    time_ns=0, index={Currency("BTC"): Price(100_000.0), Currency("ETH"): Price(4_000.0), Currency("USDC"): Price(1.0)}
)
PARAMETERS = read_parameters(hl.METHOD)
BTC = parse_contract("hyperliquid:BTC/USDC:USDC")


def _margined(*positions: Position) -> hl.Requirement:
    book = Portfolio(
        account=AccountId("a"), balances=(Balance(currency=Currency("USDC"), amount=50_000.0),), positions=positions
    )
    return requirements((book,), MARKET, hl.METHOD, PARAMETERS)[0]


def test_the_outside_cases_match(shared: Path, record_property: Callable[[str, object], None]) -> None:
    tally = verify(shared / "vectors" / "hyperliquid")
    record_property("outside_cases", tally.cases)
    assert tally.cases > 5
    assert tally.ok, tally.mismatches


def test_the_documentation_s_isolated_position() -> None:
    found = hl.isolated_liquidation_price(-95.059824, 0.0335, hl.maintenance_rate(50.0))
    assert found == pytest.approx(2_866.26936529, rel=1e-8)


def test_the_portfolio_margin_example() -> None:
    token = hl.Borrow(
        balance=12_000.0, borrowed=9_200.0, price=1.0, supply_cap=12_000.0, borrow_cap=5e7, loan_to_value=0.5
    )
    assert hl.maintenance_requirement(150.0, 9_200.0) == 9_370.0
    assert hl.liquidation_value(token) == 21_000.0
    assert hl.portfolio_ratio(150.0, [token]) < hl.LIQUIDATION_RATIO


def test_a_shared_account_s_liquidation_price_counts_the_other_positions() -> None:
    # the account recorded on 27 March 2023: value 1,182.312496, notional 3,434.815334, one rate of 0.7495 %
    rate = 0.007495
    available = 1_182.312496 - rate * 3_434.815334
    found = hl.liquidation_price(287.244 / 121.2, -1, 121.2, available, rate)
    assert found == pytest.approx(11.841653, rel=1e-4)


def test_maintenance_is_half_the_initial_margin_at_forty_times() -> None:
    result = _margined(Position(instrument=BTC, quantity=1.0))
    assert result.maintenance == pytest.approx(100_000.0 / 80.0)
    assert result.initial == pytest.approx(100_000.0 / 20.0)


def test_a_larger_position_pays_the_higher_rate_on_its_last_part_only() -> None:
    # BTC: 40 times to 150 million, 20 times beyond
    result = _margined(Position(instrument=BTC, quantity=2_000.0))
    assert result.maintenance == pytest.approx(150e6 / 80.0 + 50e6 / 40.0)


@pytest.mark.parametrize("name", ["deribit:BTC/USD:BTC", "hyperliquid:PURR/USDC", "hyperliquid:NOPE/USDC:USDC"])
def test_what_the_rulebook_cannot_hold_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=name.split(":", 1)[1].split("/")[0]):
        _margined(Position(instrument=parse_contract(name), quantity=1.0))
