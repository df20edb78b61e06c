"""Mango's health against the protocol's own cases and by hand."""

from collections.abc import Callable
from pathlib import Path

import pytest

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import mango
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.units import AccountId, Currency
from crossmargin.verification.mango_v4 import verify

MARKET = MarketSnapshot(
    time_ns=0, index={Currency("SOL"): Price(100.0), Currency("USDC"): Price(1.0), Currency("DOGE"): Price(0.1)}
)
PARAMETERS = read_parameters(mango.METHOD)


def test_the_outside_cases_match(shared: Path, record_property: Callable[[str, object], None]) -> None:
    tally = verify(shared / "vectors" / "mango_v4")
    record_property("outside_cases", tally.cases)
    assert tally.cases > 0
    assert tally.ok, tally.mismatches


@pytest.mark.parametrize(
    ("lots", "quote", "expected"),
    [
        # programs/mango-v4/src/health/cache.rs test_health1, cases 2, 4 and 12's perpetual part
        (-1.0, 100.0, 0.95 * (100.0 - 10 * 5 * 1.2)),
        (10.0, 100.0, 0.95 * (100.0 + 10 * 10 * 5 * 0.8)),
        (1.0, 100.0, 0.95 * (100.0 + 10 * 5 * 0.8)),
    ],
)
def test_perpetual_profit_is_weighted_twice_when_positive(lots: float, quote: float, expected: float) -> None:
    holding = mango.PerpHolding(
        price=5.0,
        lot_size=10.0,
        base_asset_weight=0.8,
        base_liability_weight=1.2,
        overall_asset_weight=0.95,
        base_lots=lots,
        quote=quote,
    )
    assert mango.perp_health(holding) == pytest.approx(expected)


def _margined(*positions: Position, **balances: float) -> mango.Requirement:
    book = Portfolio(
        account=AccountId("a"),
        balances=tuple(Balance(currency=Currency(c), amount=amount) for c, amount in balances.items()),
        positions=positions,
    )
    return requirements((book,), MARKET, mango.METHOD, PARAMETERS)[0]


def test_a_weight_is_what_the_requirement_takes() -> None:
    result = _margined(SOL=10.0, USDC=-200.0)
    # 1,000 of SOL counts 800, or 900 for maintenance; 200 of USDC is owed
    assert result.measures == pytest.approx({"init_health": 600.0, "maint_health": 700.0})
    assert (result.initial, result.maintenance, result.equity) == pytest.approx((200.0, 100.0, 800.0))


def test_a_closed_perpetual_leaves_nothing() -> None:
    perpetual = parse_contract("mango:SOL/USDC:USDC")
    legs = [Position(instrument=perpetual, quantity=quantity) for quantity in (3.0, -3.0)]
    assert _margined(*legs, USDC=100.0).initial == pytest.approx(0.0)


def test_what_mango_does_not_have_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="DOGE"):
        _margined(DOGE=1.0)
    with pytest.raises(InputError, match="deribit:BTC/USD:BTC"):
        _margined(Position(instrument=parse_contract("deribit:BTC/USD:BTC"), quantity=1.0))


def test_a_flat_account_with_a_weighted_token_still_has_a_requirement() -> None:
    # the law "a flat book needs nothing" does not hold for weights: this is their haircut
    assert _margined(SOL=1.0).initial == pytest.approx(20.0)
