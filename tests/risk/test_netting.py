"""Linear positions net to one number per coin; isolated groups stand apart."""

from crossmargin.instruments.symbols import parse_contract
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.risk.netting import netting_sets
from crossmargin.units import AccountId, Currency

BTC, ETH, USDT, USDC = (Currency(name) for name in ("BTC", "ETH", "USDT", "USDC"))
NAMES = ("binance:BTC/USDT:USDT", "okx:BTC/USDT:USDT", "binance:ETH/USDT:USDT", "deribit:BTC/USD:BTC")
BOOK = tuple(
    Position(instrument=parse_contract(name), quantity=quantity)
    for name, quantity in zip(NAMES, (1.25, -300.0, 7.0, 5.0), strict=True)
)
MARKET = MarketSnapshot(
    time_ns=0,
    index={BTC: Price(100_000.0), ETH: Price(4_000.0), USDT: Price(0.95), USDC: Price(1.0)},
    marks={BOOK[0].instrument.id: Price(100_100.0), BOOK[1].instrument.id: Price(99_900.0)},
)


def test_every_position_stands_in_one_netting_set() -> None:
    book = Portfolio(
        account=AccountId("a"),
        balances=(Balance(currency=USDT, amount=10.0),),
        positions=(BOOK[0], Position(instrument=BOOK[1].instrument, quantity=-1.0, isolated_group="g")),
    )
    (cross_name, cross), (group_name, group) = netting_sets(book)
    assert (cross_name, group_name) == (None, "g")
    assert cross.positions + group.positions == book.positions
    assert (cross.balances, group.balances) == (book.balances, ())
