"""Vega margin of an account: the worked example, the specification's own number, orders, refusals."""

import msgspec
import pytest

from crossmargin.errors import InputError, MarketDataError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import vega
from crossmargin.margin.method import Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Order, Portfolio, Position, Side
from crossmargin.units import AccountId, Currency

PARAMETERS = read_parameters(vega.METHOD)
PERPETUAL, FUTURE = "vega:BTC/USDT:USDT", "vega:BTC/USDT:USDT-260327"
NO_FUNDING = msgspec.structs.replace(PARAMETERS, funding_factor=0.0)


def margined(
    *held: tuple[str, float],
    orders: tuple[tuple[str, float], ...] = (),
    mark: float = 100_000.0,
    funding_rate: float | None = 1e-4,
    parameters: vega.VegaParameters = PARAMETERS,
    **balances: float,
) -> Requirement:
    market = MarketSnapshot(
        time_ns=0,
        index={Currency("BTC"): Price(mark), Currency("XMR"): Price(mark), Currency("USDT"): Price(1.0)},
        funding_rate_8h={} if funding_rate is None else {parse_contract(PERPETUAL).id: funding_rate},
    )
    book = Portfolio(
        account=AccountId("a"),
        balances=tuple(Balance(currency=Currency(name), amount=amount) for name, amount in balances.items()),
        positions=tuple(Position(instrument=parse_contract(name), quantity=quantity) for name, quantity in held),
        orders=tuple(
            Order(
                instrument=parse_contract(name),
                side=Side.BUY if quantity > 0.0 else Side.SELL,
                quantity=abs(quantity),
                price=mark,
            )
            for name, quantity in orders
        ),
    )
    return requirements((book,), market, vega.METHOD, parameters)[0]


def test_the_worked_example() -> None:
    answer = margined((PERPETUAL, 1.0), USDT=10_000.0)
    assert answer.maintenance == pytest.approx(7_740.59, abs=0.005)
    assert answer.initial == pytest.approx(9_288.70, abs=0.005)
    assert answer.excess == pytest.approx(10_000.0 - 9_288.70, abs=0.005)
    assert answer.measures["collateral release level"] == pytest.approx(1.4 * answer.maintenance, abs=1e-5)


def test_only_the_side_that_pays_holds_funding() -> None:
    free = margined((PERPETUAL, 1.0), parameters=NO_FUNDING).maintenance
    assert margined((PERPETUAL, 1.0), funding_rate=1e-4).maintenance == pytest.approx(free + 5.0, abs=2e-6)
    assert margined((PERPETUAL, 1.0), funding_rate=-1e-4).maintenance == free


def test_the_specification_s_example_comes_out_of_an_account() -> None:
    # 0019-MCAL-210: short 1 at 15,900, slippage 0.25, factor 0.1: maintenance 5,565. A tail and vol for that factor:
    low, high = 0.1, 5.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        _, short = vega.lognormal_risk_factors(1e-6, 1e-4, 0.0, middle)
        low, high = (middle, high) if short < 0.1 else (low, middle)
    model = vega.RiskModel(tail=1e-6, years=1e-4, drift=0.0, vol=low, slippage_rate=0.25)
    parameters = msgspec.structs.replace(NO_FUNDING, markets={Currency("BTC"): model})
    answer = margined((PERPETUAL, -1.0), mark=15_900.0, parameters=parameters)
    assert answer.maintenance == pytest.approx(5_565.0, abs=1e-5)


def test_the_worse_side_of_orders_counts() -> None:
    plain = margined((PERPETUAL, 1.0), parameters=NO_FUNDING).maintenance
    both = margined((PERPETUAL, 1.0), orders=((PERPETUAL, 2.0), (PERPETUAL, -2.0)), parameters=NO_FUNDING)
    assert both.maintenance == pytest.approx(plain + 2.0 * 7_635.586718, abs=1e-4)
    assert margined((PERPETUAL, 1.0), orders=((PERPETUAL, -1.0),), parameters=NO_FUNDING).maintenance == plain


def test_an_order_that_closes_can_cost() -> None:
    plain = margined((PERPETUAL, 1.0), parameters=NO_FUNDING).maintenance
    closing = margined((PERPETUAL, 1.0), orders=((PERPETUAL, -1.0001),), parameters=NO_FUNDING)
    assert closing.maintenance > 1.05 * plain


def test_expiries_do_not_offset() -> None:
    apart = [margined((name, quantity)).maintenance for name, quantity in ((PERPETUAL, 1.0), (FUTURE, -1.0))]
    assert margined((PERPETUAL, 1.0), (FUTURE, -1.0)).maintenance == pytest.approx(sum(apart))


@pytest.mark.parametrize(
    ("held", "balances", "name"),
    [
        ((("deribit:BTC/USD:BTC", 1.0),), {}, "deribit:BTC/USD:BTC"),
        ((("vega:XMR/USDT:USDT", 1.0),), {}, "no market of XMR"),
        ((("vega:BTC/USDC:USDC", 1.0),), {}, "settle in USDT only, was given vega:BTC/USDC:USDC"),
        ((), {"BTC": 1.0}, "was given BTC"),
    ],
)
def test_what_it_does_not_hold_is_refused_by_name(
    held: tuple[tuple[str, float], ...], balances: dict[str, float], name: str
) -> None:
    with pytest.raises(InputError, match=name):
        margined(*held, **balances)


def test_an_unknown_funding_rate_is_not_taken_as_none() -> None:
    with pytest.raises(MarketDataError, match="funding rate of vega:BTC/USDT:USDT"):
        margined((PERPETUAL, 1.0), funding_rate=None)
