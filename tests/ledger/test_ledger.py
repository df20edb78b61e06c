"""The ledger on numbers worked by hand."""

from decimal import Decimal

import pytest

from crossmargin.errors import InputError
from crossmargin.instruments.symbols import parse_contract
from crossmargin.ledger.account import ROUNDING, check_user_name, clearing_account
from crossmargin.ledger.ledger import Entry, Holding, Ledger, Posting, payment
from crossmargin.ledger.rounding import Rounding, divide_nearest, from_quanta, share_out, to_quanta
from crossmargin.ledger.settlement import (
    ContractTerms,
    average_price,
    close_out,
    expiry_entry,
    funding_entry,
    settle_variation,
    trade,
    unrealised,
)


def terms(symbol: str, lot: str = "1", quantum: str = "0.01") -> ContractTerms:
    return ContractTerms(contract=parse_contract(symbol), lot_size=Decimal(lot), settle_quantum=Decimal(quantum))


PERPETUAL = terms("binance:BTC/USDT:USDT", lot="0.001")
INVERSE = terms("deribit:BTC/USD:BTC", quantum="0.00000001")
CALL = terms("derive:BTC/USD:USDC-260327-100000-C", lot="0.1")
COIN_PUT = terms("deribit:BTC/USD:BTC-260327-100000-P", lot="0.1", quantum="0.00000001")


def test_an_entry_that_does_not_sum_to_zero_is_refused() -> None:
    with pytest.raises(InputError, match="sum to zero"):
        Entry("theft", Rounding.EXACT, (Posting("alice", "USDC", 1),))


def test_an_entry_sums_to_zero_in_each_asset_and_not_across_assets() -> None:
    with pytest.raises(InputError, match="sums to 5 USDC"):
        Entry("swap", Rounding.EXACT, (Posting("alice", "USDC", 5), Posting("bob", "USDT", -5)))


@pytest.mark.parametrize("amount", [0, -5])
def test_a_transfer_of_nothing_is_refused(amount: int) -> None:
    with pytest.raises(InputError, match="must be positive"):
        payment("transfer", "USDC", "alice", "bob", amount)


def test_an_amount_finer_than_the_quantum_is_refused() -> None:
    with pytest.raises(InputError, match="whole number"):
        to_quanta(Decimal("0.001"), Decimal("0.01"))
    with pytest.raises(InputError, match="finite"):
        to_quanta(Decimal("NaN"), Decimal("0.01"))


def test_amounts_of_any_size_are_exact() -> None:
    quanta = to_quanta(Decimal("1e18") + Decimal("1e-6"), Decimal("1e-18"))
    assert quanta == 10**36 + 10**12
    assert from_quanta(-quanta, Decimal("1e-18")) == -(Decimal("1e18") + Decimal("1e-6"))


@pytest.mark.parametrize("name", ["", "@house", "a b", "a\n", "x" * 65])
def test_a_user_cannot_take_a_name_of_the_house(name: str) -> None:
    with pytest.raises(InputError, match="account is named"):
        check_user_name(name)


def test_a_trade_realises_only_what_it_closes() -> None:
    ledger = Ledger()
    trade(ledger, PERPETUAL, "alice", "bob", 2000, Decimal(50_000))  # 2 BTC
    assert ledger.sums() == {}
    trade(ledger, PERPETUAL, "carol", "alice", 500, Decimal(60_000))
    # alice sold 0.5 BTC for 10,000 USDT more per coin; the rest keeps its entry price
    assert ledger.balance("alice", "USDT") == 5_000_00
    assert ledger.holding("alice", PERPETUAL.contract.id) == Holding(
        lots=1500, cost=75_000_00, entry=75_000_00, unsettled=5_000_00
    )
    assert ledger.balance(clearing_account(PERPETUAL.contract.id), "USDT") == -5_000_00
    assert ledger.lot_sums() == {PERPETUAL.contract.id: 0}
    assert ledger.cost_sums() == {PERPETUAL.contract.id: 5_000_00}


def test_a_trade_through_zero_realises_the_old_position_and_enters_the_new_one_at_the_price() -> None:
    ledger = Ledger()
    trade(ledger, PERPETUAL, "alice", "bob", 1000, Decimal(50_000))
    trade(ledger, PERPETUAL, "carol", "alice", 3000, Decimal(40_000))
    assert ledger.balance("alice", "USDT") == -10_000_00
    assert ledger.holding("alice", PERPETUAL.contract.id) == Holding(-2000, -80_000_00, -80_000_00, -10_000_00)


def test_an_inverse_trade_pays_in_coin() -> None:
    ledger = Ledger()
    trade(ledger, INVERSE, "alice", "bob", 1000, Decimal(50_000))  # 10,000 USD
    trade(ledger, INVERSE, "bob", "alice", 1000, Decimal(100_000))
    # 10,000 * (1/50,000 - 1/100,000) = 0.1 BTC
    assert ledger.balance("alice", "BTC") == 10_000_000
    assert ledger.balance("bob", "BTC") == -10_000_000


def test_variation_moves_the_loss_to_the_profit_and_frees_it() -> None:
    ledger = Ledger()
    trade(ledger, PERPETUAL, "alice", "bob", 1000, Decimal(50_000))
    assert unrealised(PERPETUAL, ledger.holding("bob", PERPETUAL.contract.id), Decimal(51_000)) == -1_000_00
    paid = settle_variation(ledger, PERPETUAL, Decimal(51_000))
    assert paid == {"alice": 1_000_00, "bob": -1_000_00}
    assert ledger.holding("alice", PERPETUAL.contract.id) == Holding(1000, 51_000_00, 50_000_00, 0)
    assert ledger.balance(clearing_account(PERPETUAL.contract.id), "USDT") == 0


def test_funding_is_paid_by_longs_and_its_fractions_go_to_the_house() -> None:
    ledger = Ledger()
    trade(ledger, PERPETUAL, "alice", "bob", 1, Decimal(50_001))
    trade(ledger, PERPETUAL, "alice", "carol", 2, Decimal(50_001))
    ledger.book(funding_entry(ledger, PERPETUAL, Decimal(50_001), Decimal("0.0001")))
    # 150.003 USDT * 1 bp = 0.01500 -> pays 2 cents; 50.00 and 100.00 receive 0.005 and 0.01
    assert {a: ledger.balance(a, "USDT") for a in ("alice", "bob", "carol", ROUNDING)} == {
        "alice": -2,
        "bob": 0,
        "carol": 1,
        ROUNDING: 1,
    }


def test_a_dollar_call_pays_its_intrinsic_value() -> None:
    ledger = Ledger()
    trade(ledger, CALL, "alice", "bob", 10, Decimal(1_500))
    assert ledger.balance("alice", "USDC") == -1_500_00
    ledger.book(expiry_entry(ledger, CALL, Decimal(103_000)))
    close_out(ledger, CALL)
    assert ledger.balance("alice", "USDC") == 1_500_00
    assert ledger.lots("bob", CALL.contract.id) == 0


def test_a_coin_put_pays_its_intrinsic_value_at_the_settlement_price() -> None:
    ledger = Ledger()
    trade(ledger, COIN_PUT, "alice", "bob", 10, Decimal("0.02"))
    ledger.book(expiry_entry(ledger, COIN_PUT, Decimal(80_000)))
    # 20,000 / 80,000 = 0.25 BTC less the premium of 0.02
    assert ledger.balance("alice", "BTC") == 23_000_000


def test_the_settlement_price_is_an_average_and_refuses_nonsense() -> None:
    assert average_price([Decimal(1), Decimal(1), Decimal(2)]) == Decimal("1.333333333333")
    for samples in ([], [Decimal(0)], [Decimal("NaN")]):
        with pytest.raises(InputError, match="settlement"):
            average_price(samples)


def test_shares_add_up_to_the_last_unit() -> None:
    assert share_out(100, [1, 1, 1]) == [34, 33, 33]
    assert share_out(7, [0, 0]) == [0, 0]
    with pytest.raises(InputError, match="not be negative"):
        share_out(1, [-1])


def test_nearest_is_symmetric() -> None:
    assert [divide_nearest(n, 4) for n in range(-6, 7)] == [-divide_nearest(-n, 4) for n in range(-6, 7)]
    with pytest.raises(InputError, match="denominator"):
        divide_nearest(1, 0)
