"""Laws that hold for every portfolio under our own methods."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.files.parameters import read_parameters
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.instruments.contracts import DOLLAR_COINS
from crossmargin.margin import isolated, scenario_grid, tail_risk
from crossmargin.margin.collateral import HaircutSchedule, HaircutTier
from crossmargin.margin.exposure import book_pnl, net_quantities
from crossmargin.margin.method import Method, Requirement
from crossmargin.margin.requirements import risk_for
from crossmargin.margin.ring_fence import account_requirement
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.risk.measures import expected_shortfall, worst_loss
from crossmargin.units import AccountId, Currency

METHODS = [isolated.METHOD, scenario_grid.METHOD, tail_risk.METHOD]
MARKET = sample_market()
BOOK = tuple(sample_book())
CONTRACTS = sorted(
    {p.instrument.id: p.instrument for book in BOOK for p in book.positions}.values(), key=lambda c: c.id
)
PARAMETERS = {method.name: read_parameters(method) for method in METHODS}
USD_BOOK = Portfolio(account=AccountId("usd"), balances=(Balance(currency=Currency("USD"), amount=1.0),))
RISK = {method.name: risk_for((*BOOK, USD_BOOK), MARKET, method, PARAMETERS[method.name]) for method in METHODS}

POSITIONS = st.lists(
    st.builds(
        lambda contract, quantity: Position(instrument=contract, quantity=quantity),
        st.sampled_from(CONTRACTS),
        st.floats(0.01, 50.0).flatmap(lambda size: st.sampled_from([size, -size])),
    ),
    min_size=1,
    max_size=6,
)
CASH = st.floats(-1e5, 1e6)
COINS = st.floats(-3.0, 20.0)


def margined(method: Method, book: Portfolio) -> Requirement:
    return account_requirement(book, MARKET, RISK[method.name], method, PARAMETERS[method.name])


def book_of(positions: list[Position], cash: float = 0.0, coins: float = 0.0) -> Portfolio:
    return Portfolio(
        account=AccountId("law"),
        balances=(Balance(currency=Currency("USDC"), amount=cash), Balance(currency=Currency("BTC"), amount=coins)),
        positions=tuple(positions),
    )


every_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


@every_method
@given(positions=POSITIONS, cash=CASH, coins=COINS)
@settings(max_examples=60)
def test_initial_is_at_least_maintenance_and_that_at_least_nothing(
    method: Method, positions: list[Position], cash: float, coins: float
) -> None:
    result = margined(method, book_of(positions, cash, coins))
    assert result.initial >= result.maintenance - 1e-9 * abs(result.initial)
    assert result.maintenance >= 0.0


@every_method
def test_a_flat_book_needs_nothing(method: Method) -> None:
    result = margined(method, book_of([], cash=100.0))
    assert (result.initial, result.maintenance) == (0.0, 0.0)


@every_method
@given(positions=POSITIONS, cash=CASH, coins=COINS, order=st.randoms())
@settings(max_examples=40)
def test_the_order_of_positions_changes_no_bit(
    method: Method, positions: list[Position], cash: float, coins: float, order: object
) -> None:
    shuffled = list(positions)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = margined(method, book_of(positions, cash, coins)), margined(method, book_of(shuffled, cash, coins))
    assert (one.initial, one.maintenance, one.equity) == (other.initial, other.maintenance, other.equity)


@every_method
@given(positions=POSITIONS, cash=st.floats(0.0, 1e5), more=st.floats(1.0, 1e6))
@settings(max_examples=40)
def test_dollars_raise_excess_one_for_one(method: Method, positions: list[Position], cash: float, more: float) -> None:
    usd = Currency("USD")
    poor = replace(book_of(positions), balances=(Balance(currency=usd, amount=cash),))
    rich = replace(poor, balances=(Balance(currency=usd, amount=cash + more),))
    gained = margined(method, rich).excess - margined(method, poor).excess
    assert gained == pytest.approx(more, rel=1e-9, abs=1e-6 * max(1.0, margined(method, poor).initial))


@every_method
@given(positions=POSITIONS, cut=st.floats(0.1, 0.9))
@settings(max_examples=40)
def test_two_lots_need_what_one_position_needs(method: Method, positions: list[Position], cut: float) -> None:
    lots = [replace(p, quantity=p.quantity * share) for p in positions for share in (cut, 1.0 - cut)]
    one, other = margined(method, book_of(positions)), margined(method, book_of(lots))
    assert other.initial == pytest.approx(one.initial, rel=1e-9, abs=1e-6)


@every_method
@given(positions=POSITIONS, coins=COINS)
@settings(max_examples=40)
def test_opposite_legs_release_everything(method: Method, positions: list[Position], coins: float) -> None:
    opposite = [replace(p, quantity=-p.quantity) for p in positions]
    alone = margined(method, book_of([], 1_000.0, coins)).initial
    assert margined(method, book_of(positions + opposite, 1_000.0, coins)).initial == pytest.approx(alone, abs=1e-6)


@pytest.mark.parametrize("method", [scenario_grid.METHOD, tail_risk.METHOD], ids=lambda method: method.name)
@given(positions=POSITIONS)
@settings(max_examples=60)
def test_the_measure_of_the_whole_is_at_most_the_sum_of_the_parts(method: Method, positions: list[Position]) -> None:
    risk = RISK[method.name]
    assert risk is not None

    def measure(held: list[Position]) -> float:
        pnl = book_pnl(net_quantities(held), risk)
        if method is tail_risk.METHOD:
            return float(expected_shortfall(pnl, 0.975, risk.scenarios.weights))
        return float(worst_loss(pnl))

    parts = sum(measure([position]) for position in positions)
    assert measure(positions) <= parts + 1e-9 * abs(parts) + 1e-6


TIERS = st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(1.0, 1e6)), min_size=1, max_size=4).map(
    lambda tiers: HaircutSchedule(
        tiers={
            "BTC": tuple(
                HaircutTier(haircut=haircut, up_to=end)
                for haircut, end in zip(sorted(h for h, _ in tiers), sorted({e for _, e in tiers}), strict=False)
            )
        }
    )
)


@given(schedule=TIERS, small=st.floats(0.0, 1e6), more=st.floats(0.0, 1e6))
def test_credit_is_concave_and_never_falls_with_size(schedule: HaircutSchedule, small: float, more: float) -> None:
    btc = Currency("BTC")
    first, middle, last = (schedule.credit(btc, value) for value in (small, small + more, small + 2.0 * more))
    assert first <= middle + 1e-6
    assert last - middle <= middle - first + 1e-6
    assert schedule.credit(btc, -small) == -small


def test_a_depegged_dollar_lowers_the_equity_that_stands_in_it() -> None:
    # FAILURES F12: the numeraire is USD, not any dollar coin
    assert "USDC" in DOLLAR_COINS
    from crossmargin.market.snapshot import Price

    broken = replace(MARKET, index={**MARKET.index, Currency("USDC"): Price(0.88)})
    book = book_of([], cash=1_000.0)
    for method in METHODS:
        before = account_requirement(book, MARKET, RISK[method.name], method, PARAMETERS[method.name]).equity
        after = account_requirement(book, broken, RISK[method.name], method, PARAMETERS[method.name]).equity
        assert after == pytest.approx(0.88 * before / MARKET.index_price(Currency("USDC")))
