"""Strategy-based margin: a broker's worked example, by hand, against brute force, and the laws it breaks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import strategy_based
from crossmargin.margin.method import Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.margin.strategy_based import Leg, naked, spread, strategies
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.units import AccountId, Currency

PARAMETERS = read_parameters(strategy_based.METHOD)
INDEX = 45.0


def option(strike: int, kind: str, expiry: str = "260327") -> str:
    return f"deribit:BTC/USDC:USDC-{expiry}-{strike}-{kind}"


MARKS = {
    option(47, "C"): 2.10,
    option(43, "P"): 1.20,
    option(50, "C"): 1.00,
    option(50, "C", "260227"): 0.60,
    option(50, "C", "260626"): 2.00,
    option(40, "P"): 0.50,
}


def margined(held: dict[str, float], **cash: float) -> Requirement:
    contracts = {name: parse_contract(name) for name in {**MARKS, **held}}
    market = MarketSnapshot(
        time_ns=0,
        index={Currency(coin): Price(price) for coin, price in {"BTC": INDEX, "USDC": 1.0}.items()},
        marks={contracts[name].id: Price(mark) for name, mark in MARKS.items()},
    )
    book = Portfolio(
        account=AccountId("a"),
        balances=tuple(Balance(currency=Currency(coin), amount=amount) for coin, amount in cash.items()),
        positions=tuple(Position(instrument=contracts[name], quantity=size) for name, size in held.items()),
    )
    return requirements((book,), market, strategy_based.METHOD, PARAMETERS)[0]


def test_the_broker_s_short_strangle() -> None:
    # tastyworks support, "Margin requirements for a short straddle or strangle": 910 + 120 = 1,030 with proceeds applied
    result = margined({option(47, "C"): -100.0, option(43, "P"): -100.0}, USDC=1_030.0)
    assert result.initial == pytest.approx(700.0)
    assert result.excess == pytest.approx(0.0, abs=1e-9)
    assert result.maintenance == result.initial


def test_naked_options_of_the_broker_s_example() -> None:
    # calls: 0.2 * 45 - 2, at least 4.5; puts: 0.2 * 45 - 2, at least 4.3; a cash of 910 and of 820
    assert margined({option(47, "C"): -100.0}, USDC=910.0).excess == pytest.approx(0.0, abs=1e-9)
    assert margined({option(43, "P"): -100.0}, USDC=820.0).excess == pytest.approx(0.0, abs=1e-9)


def test_a_credit_spread_needs_its_width_in_cash() -> None:
    # short 47, long 50: at most 3 a coin are lost
    result = margined({option(47, "C"): -1.0, option(50, "C"): 1.0}, USDC=3.0)
    assert result.excess == pytest.approx(0.0, abs=1e-9)
    assert [part.name for part in result.initial_components] == ["BTC spreads"]


def test_a_debit_spread_needs_what_it_is_worth() -> None:
    assert margined({option(50, "C"): -1.0, option(47, "C"): 1.0}).initial == pytest.approx(1.10)


def test_a_covered_call_needs_the_coin_s_margin_alone() -> None:
    assert margined({option(47, "C"): -1.0}, BTC=1.0).initial == pytest.approx(0.5 * INDEX)
    assert margined({option(47, "C"): -1.0}, BTC=1.0).maintenance == pytest.approx(0.25 * INDEX)


def test_a_put_that_protects_a_coin_raises_the_requirement() -> None:
    with_put, alone = margined({option(43, "P"): 1.0}, BTC=1.0), margined({}, BTC=1.0)
    assert with_put.initial - alone.initial == pytest.approx(1.20)


def test_a_long_call_that_expires_first_hedges_nothing() -> None:
    short, early, late = option(50, "C"), option(50, "C", "260227"), option(50, "C", "260626")
    assert margined({short: -1.0, early: 1.0}).initial == pytest.approx(margined({short: -1.0}).initial + 0.60)
    # the one that outlives it needs the difference in value
    assert margined({short: -1.0, late: 1.0}).initial == pytest.approx(1.00)


LEGS = st.lists(
    st.builds(
        Leg,
        is_call=st.booleans(),
        strike=st.sampled_from([40.0, 43.0, 45.0, 47.0, 50.0]),
        expiry_ns=st.integers(1, 2),
        coins=st.just(1.0),
        mark=st.sampled_from([0.5, 1.0, 2.0, 4.0]),
    ),
    max_size=3,
)


def cheapest(shorts: list[Leg], longs: list[Leg], cover: int) -> float:
    """Return the least sum over every way to hold single options, by trying all."""
    if not shorts:
        return sum(leg.mark for leg in longs)
    short, rest = shorts[0], shorts[1:]
    costs = [naked(short, INDEX, PARAMETERS) + cheapest(rest, longs, cover)]
    if short.is_call and cover:
        costs.append(cheapest(rest, longs, cover - 1))
    for at, other in enumerate(rest):
        if other.is_call != short.is_call:
            both = max(naked(short, INDEX, PARAMETERS), naked(other, INDEX, PARAMETERS))
            costs.append(both + cheapest(rest[:at] + rest[at + 1 :], longs, cover))
    for at, long in enumerate(longs):
        if long.is_call == short.is_call and long.expiry_ns >= short.expiry_ns:
            costs.append(spread(short, long) + cheapest(rest, longs[:at] + longs[at + 1 :], cover))
    return min(costs)


@settings(max_examples=60, deadline=None)
@given(LEGS, LEGS, st.integers(0, 2))
def test_the_pairing_is_the_cheapest_of_all_that_can_be_tried(shorts: list[Leg], longs: list[Leg], cover: int) -> None:
    found = sum(strategies(shorts, longs, float(cover), INDEX, PARAMETERS).values())
    # calls sold and puts held pair only with puts sold, calls held and coins: two sides, so that no half is ever better
    assert found == pytest.approx(cheapest(shorts, longs, cover), abs=1e-9)


@pytest.mark.parametrize(
    ("held", "cash", "match"),
    [
        ({"deribit:BTC/USD:BTC": 1.0}, {}, "was given deribit:BTC/USD:BTC"),
        ({"deribit:BTC/USD:BTC-260327": 1.0}, {}, "options and coins only"),
        ({}, {"BTC": -1.0}, "was given -1 BTC"),
    ],
)
def test_what_has_no_strategy_is_refused_by_name(held: dict[str, float], cash: dict[str, float], match: str) -> None:
    with pytest.raises(InputError, match=match):
        margined(held, **cash)
