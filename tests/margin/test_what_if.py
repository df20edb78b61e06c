"""What-if, margin benefit, reductions and the largest order, by hand."""

import msgspec
import pytest

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin import scenario_grid
from crossmargin.margin.requirements import risk_for
from crossmargin.margin.what_if import Change, largest_order, margin_benefit, moved, reductions, what_if
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Portfolio, Position, Side
from crossmargin.units import AccountId, Currency

BTC, ETH, USDT = (Currency(name) for name in ("BTC", "ETH", "USDT"))
MARKET = MarketSnapshot(time_ns=0, index={BTC: Price(100_000.0), ETH: Price(4_000.0), USDT: Price(1.0)})
METHOD = scenario_grid.METHOD
PARAMETERS = msgspec.structs.replace(read_parameters(METHOD, "2026-01-15"), liquidity={}, basis_rate=0.0)
BTC_PERP, ETH_PERP = parse_contract("binance:BTC/USDT:USDT"), parse_contract("binance:ETH/USDT:USDT")


def _book(btc: float, eth: float, usdt: float = 50_000.0) -> Portfolio:
    return Portfolio(
        account=AccountId("a"),
        balances=(Balance(currency=USDT, amount=usdt),),
        positions=(
            Position(instrument=BTC_PERP, quantity=btc, entry_price=100_000.0),
            Position(instrument=ETH_PERP, quantity=eth, entry_price=4_000.0),
        ),
    )


def test_netting_is_worth_the_parts_less_the_whole() -> None:
    book = _book(1.0, -25.0)
    benefit = margin_benefit(book, MARKET, risk_for([book], MARKET, METHOD, PARAMETERS), METHOD, PARAMETERS)
    assert dict(benefit.parts) == pytest.approx({BTC_PERP.id: 16_000.0, ETH_PERP.id: 18_000.0})
    assert benefit.portfolio == pytest.approx(34_000.0 - 12_800.0)
    assert benefit.benefit == pytest.approx(12_800.0)


def test_a_trade_shows_its_margin_before_and_after() -> None:
    found = what_if(_book(1.0, 0.0), MARKET, Change(trades=((ETH_PERP, -25.0),)), METHOD, PARAMETERS)
    assert found.before.initial == pytest.approx(16_000.0)
    assert found.initial == pytest.approx(21_200.0 - 16_000.0)
    assert found.maintenance == pytest.approx(0.8 * 5_200.0)


def test_a_price_move_earns_profit_and_moves_the_requirement() -> None:
    found = what_if(_book(1.0, 0.0), MARKET, Change(prices={BTC: -0.1}), METHOD, PARAMETERS)
    assert found.after.initial == pytest.approx(14_400.0)
    # 40,000 USDT are left, of which 2 % is haircut
    assert found.after.equity == pytest.approx(0.98 * 40_000.0)


def test_closing_the_whole_book_releases_everything() -> None:
    found = what_if(_book(1.0, -25.0), MARKET, Change(scale=0.0), METHOD, PARAMETERS)
    assert found.after.initial == pytest.approx(0.0, abs=1e-6)
    assert found.after.equity == found.before.equity


def test_the_largest_order_is_the_last_that_passes() -> None:
    book = _book(1.0, 0.0)
    risk = risk_for([book], MARKET, METHOD, PARAMETERS)
    size = largest_order(book, MARKET, risk, METHOD, PARAMETERS, BTC_PERP, Side.BUY)
    # equity 49,000 pays for 49,000 / 16,000 coins, one of which is held
    assert size == pytest.approx(49_000.0 / 16_000.0 - 1.0, abs=2e-3)
    sold = largest_order(book, MARKET, risk, METHOD, PARAMETERS, BTC_PERP, Side.SELL)
    assert sold == pytest.approx(49_000.0 / 16_000.0 + 1.0, abs=2e-3)


def test_reducing_a_hedge_is_the_last_advice() -> None:
    book = _book(2.0, -10.0)
    found = reductions(book, MARKET, risk_for([book], MARKET, METHOD, PARAMETERS), METHOD, PARAMETERS, share=0.5)
    assert [reduction.instrument for reduction in found] == [BTC_PERP.id, ETH_PERP.id]
    # one BTC less: 16,000; the offset of 0.4 on both sides of ETH's 7,200 stays
    assert found[0].released == pytest.approx(16_000.0)
    assert found[1].released == pytest.approx(3_600.0 * (1 - 0.8))


def test_a_market_moved_by_nothing_is_the_same_market() -> None:
    assert moved(MARKET, Change()) is MARKET
    with pytest.raises(InputError, match="must be above -1"):
        Change(prices={BTC: -1.0})


def test_what_if_keeps_the_fence_around_isolated_groups() -> None:
    fenced = Portfolio(
        account=AccountId("a"),
        balances=(Balance(currency=USDT, amount=50_000.0),),
        positions=(
            Position(instrument=BTC_PERP, quantity=1.0, entry_price=100_000.0),
            Position(instrument=BTC_PERP, quantity=-1.0, entry_price=100_000.0, isolated_group="alone"),
        ),
    )
    found = what_if(fenced, MARKET, Change(), METHOD, PARAMETERS)
    # nothing offsets across the fence: 16,000 on each side
    assert found.before.initial == found.after.initial == pytest.approx(32_000.0)
