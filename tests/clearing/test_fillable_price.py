"""Closing prices worked by hand from the figures of dYdX's own tests: 0.1 BTC at 50,000 with 10 % of maintenance."""

from fractions import Fraction

import pytest

from crossmargin.clearing.fillable_price import (
    ClosingTerms,
    QuantaAccount,
    bankruptcy_price,
    fillable_price,
    insurance_delta,
    totals,
)
from crossmargin.errors import InputError
from crossmargin.margin.dydx import PerpetualTerms

# a base quantum is 1e-10 BTC and a quote quantum 1e-6 USDC: 50,000 * 1e6 * 1e-10 = 5; ETH at 3,000 with 1e-9: 3
BTC = PerpetualTerms(price=Fraction(5), initial_ppm=200_000, maintenance_of_initial_ppm=500_000)
ETH = PerpetualTerms(price=Fraction(3), initial_ppm=100_000, maintenance_of_initial_ppm=500_000)
MARKET = {0: BTC, 1: ETH}
TENTH = 10**9


def long(cash: int, *, eth: int = 0) -> QuantaAccount:
    return QuantaAccount(cash=cash, positions={0: TENTH, **({1: eth} if eth else {})})


def test_collateral_and_requirement() -> None:
    assert totals(long(-4_501_000_000), MARKET) == (499_000_000, 500_000_000)
    assert totals(long(0, eth=-(10**9)), MARKET) == (2_000_000_000, 500_000_000 + 150_000_000)


def test_closing_at_the_bankruptcy_price_leaves_risk_as_it_was() -> None:
    # closing all of it gives up all the collateral: the debt is what is paid for the position
    assert bankruptcy_price(long(-4_501_000_000), MARKET, 0, -TENTH) == 4_501_000_000
    assert bankruptcy_price(long(-5_100_000_000), MARKET, 0, -TENTH) == 5_100_000_000
    # half of it keeps half of 499 dollars: 2,500 - 249.50
    assert bankruptcy_price(long(-4_501_000_000), MARKET, 0, -TENTH // 2) == 2_250_500_000
    # a second position keeps its share of the collateral: 5/6.5 of 1,999 with 150 dollars for the other
    both = long(-1_000_000, eth=-(10**9))
    assert totals(both, MARKET) == (1_999_000_000, 650_000_000)
    assert bankruptcy_price(both, MARKET, 0, -TENTH) == 5_000_000_000 - 1_999_000_000 * 500 // 650


def test_a_price_falls_with_the_depth_under_water() -> None:
    terms = ClosingTerms()
    # 1 dollar of 500 is missing: the spread is 1/500 of a tenth of the 10 % of maintenance, 0.002 %
    assert fillable_price(long(-4_501_000_000), MARKET, 0, -TENTH, terms) == 5 * (1 - Fraction(1, 500) / 100)
    assert fillable_price(long(-5_000_000_000), MARKET, 0, -TENTH, terms) == Fraction(495, 100)
    # no deeper than the whole spread, nor above the oracle for whoever is well margined
    assert fillable_price(long(-6_000_000_000), MARKET, 0, -TENTH, terms) == Fraction(495, 100)
    assert fillable_price(long(0), MARKET, 0, -TENTH, terms) == 5
    steep = ClosingTerms(bankruptcy_adjustment_ppm=2_000_000, spread_to_maintenance_ppm=200_000)
    assert fillable_price(long(-4_501_000_000), MARKET, 0, -TENTH, steep) == 5 * (1 - Fraction(2, 500) / 50)
    short = QuantaAccount(cash=5_499_000_000, positions={0: -TENTH})
    assert fillable_price(short, MARKET, 0, TENTH, terms) == 5 * (1 + Fraction(1, 500) / 100)


def test_insurance_gets_at_most_its_fee_and_pays_all_that_is_missing() -> None:
    terms = ClosingTerms()
    # 0.5 % of 5,610 is less than the 510 above bankruptcy; of 5,105.10 it is more than the 5.10
    assert insurance_delta(5_610_000_000, 5_100_000_000, terms) == 28_050_000
    assert insurance_delta(5_105_100_000, 5_100_000_000, terms) == 5_100_000
    assert insurance_delta(5_000_000_000, 5_100_000_000, terms) == -100_000_000
    assert insurance_delta(5_100_000_000, 5_100_000_000, terms) == 0
    # a short pays, so quotes are negative
    assert insurance_delta(-4_410_000_000, -4_900_000_000, ClosingTerms(max_fee_ppm=25_000)) == 110_250_000


@pytest.mark.parametrize("delta", [1, 0, -TENTH - 1])
def test_a_closing_that_grows_or_turns_a_position_is_refused(delta: int) -> None:
    for price in (bankruptcy_price, lambda *given: fillable_price(*given, ClosingTerms())):
        with pytest.raises(InputError, match="must reduce the position"):
            price(long(0), MARKET, 0, delta)
    with pytest.raises(InputError, match=r"was -1 on 0 of perpetual 7"):
        bankruptcy_price(long(0), {**MARKET, 7: ETH}, 7, -1)
