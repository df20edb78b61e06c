"""Drift margin of an account: the worked example, size, orders, the cap on profit, refusals."""

import pytest

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import drift
from crossmargin.margin.method import Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Order, Portfolio, Position, Side
from crossmargin.units import AccountId, Currency

PARAMETERS = read_parameters(drift.METHOD)
MARKET = MarketSnapshot(
    time_ns=0,
    index={Currency(name): Price(price) for name, price in (("SOL", 100.0), ("USDC", 1.0), ("XMR", 150.0))},
)
SOL = "drift:SOL/USDC:USDC"


def margined(
    *held: tuple[str, float],
    entry: float | None = None,
    orders: tuple[tuple[str, float], ...] = (),
    **balances: float,
) -> Requirement:
    book = Portfolio(
        account=AccountId("a"),
        balances=tuple(Balance(currency=Currency(name), amount=amount) for name, amount in balances.items()),
        positions=tuple(
            Position(instrument=parse_contract(name), quantity=quantity, entry_price=entry) for name, quantity in held
        ),
        orders=tuple(
            Order(
                instrument=parse_contract(name),
                side=Side.BUY if quantity > 0.0 else Side.SELL,
                quantity=abs(quantity),
                price=100.0,
            )
            for name, quantity in orders
        ),
    )
    return requirements((book,), MARKET, drift.METHOD, PARAMETERS)[0]


def test_the_worked_example_and_the_scaling_that_breaks() -> None:
    small, large = margined((SOL, 1_000.0)), margined((SOL, 1_000_000.0))
    assert (small.initial, small.maintenance) == (10_000.0, 5_000.0)
    assert (large.initial, large.maintenance) == (13_000_000.0, 9_000_000.0)
    assert large.initial > 1_000 * small.initial
    deposit = margined(SOL=10.0)
    assert (deposit.initial, deposit.maintenance, deposit.equity) == (200.0, 100.0, 1_000.0)


def test_a_borrow_needs_what_its_weight_adds() -> None:
    owed = margined(SOL=-10.0, USDC=2_000.0)
    assert (owed.initial, owed.maintenance, owed.equity) == (200.0, 100.0, 1_000.0)
    assert owed.measures["free collateral"] == 800.0


def test_a_large_deposit_counts_less() -> None:
    # the program's own case: at a weight of 9,000, factor 10, a billion coins weigh 8,357
    weights = drift.TokenWeights(
        initial_asset=9_000,
        maintenance_asset=9_000,
        maintenance_liability=10_000,
        initial_liability=10_000,
        size_factor=10,
    )
    size = 10**9 * drift.SIZE_UNIT
    taken = drift.token_haircut(size, drift.AMOUNT_UNIT, weights)
    assert taken.initial == 10**9 * drift.AMOUNT_UNIT * (10_000 - 8_357) // 10_000


def test_orders_count_at_the_worse_side_and_a_cent_each() -> None:
    answer = margined((SOL, 10.0), orders=((SOL, 5.0), (SOL, -30.0)))
    assert answer.initial == pytest.approx(200.0 + 0.02)
    assert margined((SOL, 10.0), orders=((SOL, -10.0),)).initial == pytest.approx(100.01)


def test_profit_beyond_the_cap_backs_no_new_risk() -> None:
    answer = margined((SOL, 10.0), entry=50.0)
    assert answer.equity == 500.0
    assert answer.initial == pytest.approx(100.0 + 400.0)
    assert answer.maintenance == pytest.approx(50.0)
    assert margined((SOL, 10.0), entry=150.0).initial == pytest.approx(100.0)


@pytest.mark.parametrize(
    ("held", "balances", "name"),
    [
        ((("deribit:BTC/USD:BTC", 1.0),), {}, "deribit:BTC/USD:BTC"),
        ((("derive:SOL/USDC:USDC-260327-100-C", 1.0),), {}, "260327-100-C"),
        ((("drift:XMR/USDC:USDC", 1.0),), {}, "drift:XMR/USDC:USDC"),
        ((), {"XMR": 1.0}, "no weights of XMR"),
    ],
)
def test_what_it_does_not_hold_is_refused_by_name(
    held: tuple[tuple[str, float], ...], balances: dict[str, float], name: str
) -> None:
    with pytest.raises(InputError, match=name):
        margined(*held, **balances)


def test_an_order_on_a_spot_pair_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="leave drift:SOL/USDC out"):
        margined(orders=(("drift:SOL/USDC", 1.0),))
