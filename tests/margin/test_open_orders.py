"""Open orders at the worst subset of fills, against brute force."""

import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import isolated, open_orders, scenario_grid, tail_risk
from crossmargin.margin.method import Method
from crossmargin.margin.requirements import risk_for
from crossmargin.market.history import PriceHistory
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.market.vol_surface import Smile, VolSurface
from crossmargin.portfolio import Balance, Order, Portfolio, Position, Side
from crossmargin.units import NANOSECONDS_PER_DAY, AccountId, Currency

BTC, ETH, USDT, USDC = (Currency(name) for name in ("BTC", "ETH", "USDT", "USDC"))
NOW = 1_768_467_600 * 10**9
EXPIRY = parse_contract("deribit:BTC/USD:BTC-260327").expiry_ns  # type: ignore[union-attr]


def _market() -> MarketSnapshot:
    rng = np.random.default_rng(4)
    moves = np.exp(np.cumsum(rng.standard_t(4, size=(2, 400)) * 0.02, axis=1))
    history = PriceHistory(
        times_ns=NOW - NANOSECONDS_PER_DAY * np.arange(400)[::-1],
        currencies=(BTC, ETH),
        prices=moves * np.array([[100_000.0], [4_000.0]]),
    )
    smile = Smile(expiry_ns=EXPIRY, forward=100_000.0, strikes=(80_000.0, 100_000.0, 120_000.0), vols=(0.6, 0.5, 0.55))
    option = parse_contract("deribit:BTC/USD:BTC-260327-100000-C")
    return MarketSnapshot(
        time_ns=NOW,
        index={BTC: Price(100_000.0), ETH: Price(4_000.0), USDT: Price(1.0), USDC: Price(1.0)},
        marks={option.id: Price(0.09), "deribit:BTC/USD:BTC-260327-80000-P": Price(0.02)},
        surfaces={BTC: VolSurface(time_ns=NOW, smiles=(smile,))},
        history=history,
    )


MARKET = _market()
CONTRACTS = {
    name: parse_contract(name)
    for name in (
        "binance:BTC/USDT:USDT",
        "binance:ETH/USDT:USDT",
        "deribit:BTC/USD:BTC",
        "deribit:BTC/USD:BTC-260327-100000-C",
        "deribit:BTC/USD:BTC-260327-80000-P",
    )
}
SIZES = dict(zip(CONTRACTS, (1.0, 20.0, 10_000.0, 1.0, 1.0), strict=True))
METHODS = [isolated.METHOD, scenario_grid.METHOD, tail_risk.METHOD]


def _order(name: str, size: float, premium: float, reduce_only: bool) -> Order:
    mark = MARKET.mark_price(CONTRACTS[name])
    return Order(
        instrument=CONTRACTS[name],
        side=Side.BUY if size > 0 else Side.SELL,
        quantity=abs(size) * SIZES[name],
        price=mark * premium,
        reduce_only=reduce_only,
    )


SIZE = st.floats(0.1, 3.0).flatmap(lambda size: st.sampled_from([size, -size]))
ORDERS = st.builds(_order, st.sampled_from(sorted(CONTRACTS)), SIZE, st.floats(0.9, 1.1), st.booleans())
POSITIONS = st.builds(
    lambda name, size: Position(instrument=CONTRACTS[name], quantity=size * SIZES[name]),
    st.sampled_from(sorted(CONTRACTS)),
    SIZE,
)


def _deficit(book: Portfolio, method: Method, risk: object, parameters: object) -> float:
    result = method.requirement(book, MARKET, risk, parameters)
    return result.initial - result.equity


def _sequences(subset: tuple[Order, ...]) -> list[tuple[Order, ...]]:
    """Every sequence where one order may change what another closes; one otherwise."""
    reducing = [order for order in subset if order.reduce_only]
    if not reducing:
        return [subset]
    if len(subset) <= 2:
        return list(itertools.permutations(subset))
    plain = [order for order in subset if not order.reduce_only]
    rising = sorted(reducing, key=lambda order: order.price)
    orderings = (tuple(rising), tuple(rising[::-1]))
    return [(*plain, *each) for each in orderings] + [(*each, *plain) for each in orderings]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@given(
    orders=st.lists(ORDERS, min_size=1, max_size=5),
    positions=st.lists(POSITIONS, max_size=3),
    coins=st.floats(-2.0, 5.0),
)
@settings(max_examples=60)
def test_margin_covers_every_subset_of_fills(
    method: Method, orders: list[Order], positions: list[Position], coins: float
) -> None:
    book = Portfolio(
        account=AccountId("a"),
        balances=(Balance(currency=USDT, amount=50_000.0), Balance(currency=BTC, amount=coins)),
        positions=tuple(positions),
        orders=tuple(orders),
    )
    parameters = read_parameters(method)
    risk = risk_for([book], MARKET, method, parameters)
    needed = _deficit(book, method, risk, parameters)
    worst = max(
        _deficit(open_orders.with_fills(book, sequence), method, risk, parameters)
        for count in range(len(orders) + 1)
        for subset in itertools.combinations(book.orders, count)
        for sequence in _sequences(subset)
    )
    assert needed >= worst - 1e-6 * max(1.0, abs(worst))
    # the exact answer is the worst subset itself
    assert needed == pytest.approx(worst, rel=1e-9, abs=1e-5)
    # and the bound for many orders lies above it
    original = open_orders.ENUMERATED
    for module in (isolated, scenario_grid, tail_risk):
        module.ENUMERATED = 0  # type: ignore[attr-defined]
    try:
        bound = _deficit(book, method, risk, parameters)
    finally:
        for module in (isolated, scenario_grid, tail_risk):
            module.ENUMERATED = original  # type: ignore[attr-defined]
    assert bound >= worst - 1e-6 * max(1.0, abs(worst))


def test_a_reduce_only_order_never_opens() -> None:
    perpetual = CONTRACTS["binance:BTC/USDT:USDT"]
    book = Portfolio(
        account=AccountId("a"),
        positions=(Position(instrument=perpetual, quantity=1.0),),
        orders=(Order(instrument=perpetual, side=Side.SELL, quantity=5.0, price=100_000.0, reduce_only=True),),
    )
    filled = open_orders.with_fills(book, book.orders)
    assert sum(position.quantity for position in filled.positions) == 0.0
    again = open_orders.with_fills(filled, book.orders)
    assert sum(position.quantity for position in again.positions) == 0.0


def test_buying_above_the_mark_loses_at_once() -> None:
    perpetual = CONTRACTS["binance:BTC/USDT:USDT"]
    order = Order(instrument=perpetual, side=Side.BUY, quantity=2.0, price=101_000.0)
    book = Portfolio(account=AccountId("a"), orders=(order,))
    parameters = msgspec.structs.replace(read_parameters(scenario_grid.METHOD), liquidity={}, offsets=())
    risk = risk_for([book], MARKET, scenario_grid.METHOD, parameters)
    result = scenario_grid.requirement(book, MARKET, risk, parameters)
    # 2 coins 16 % down, and 1,000 too dear each; the loss is owed in USDT
    assert result.initial == pytest.approx(2 * 16_000.0 + 2 * 1_000.0)
