"""The ledger on numbers worked by hand."""

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InputError, InvariantError
from crossmargin.instruments.symbols import parse_contract
from crossmargin.ledger.account import ROUNDING, check_user_name, clearing_account
from crossmargin.ledger.ledger import Entry, Holding, Ledger, Posting, payment, rounded_entry
from crossmargin.ledger.rounding import Rounding, divide_nearest, divide_up, from_quanta, share_out, to_quanta
from crossmargin.ledger.settlement import (
    ContractTerms,
    average_price,
    close_out,
    expiry_entry,
    funding_entry,
    profit_since_entry,
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
    trade(ledger, INVERSE, "carol", "dan", 1, Decimal(50_000))  # holders of another contract are left alone
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


@pytest.mark.parametrize("price", ["NaN", "Infinity", "-1", "0"])
def test_a_price_of_nonsense_has_no_value(price: str) -> None:
    with pytest.raises(InputError, match="a price must be finite and positive"):
        PERPETUAL.value(1, Decimal(price))


def test_an_option_may_be_worth_nothing_and_a_quote_in_coin_is_linear() -> None:
    assert CALL.value(10, Decimal(0)) == 0
    with pytest.raises(InputError, match="a price must be"):
        CALL.value(10, Decimal(-1))
    # one BTC at 0.02 BTC: not size over price, as the inverse perpetual
    assert COIN_PUT.value(10, Decimal("0.02")) == 2_000_000
    assert COIN_PUT.value(-10, Decimal("0.02")) == -2_000_000
    # a short of 10 contracts of 10 dollars at 50,000 owes 0.002 BTC less than nothing
    assert INVERSE.value(-10, Decimal(50_000)) == 200_000
    assert INVERSE.value(10, Decimal(50_000)) == -200_000


def test_a_premium_of_nothing_moves_lots_and_no_money() -> None:
    ledger = Ledger()
    assert trade(ledger, CALL, "alice", "bob", 10, Decimal(0)) == 0
    assert ledger.balances == {}
    assert (ledger.lots("alice", CALL.contract.id), ledger.lots("bob", CALL.contract.id)) == (10, -10)
    assert ledger.lots("carol", CALL.contract.id) == 0


def test_an_option_sold_on_keeps_the_entry_of_what_is_left() -> None:
    ledger = Ledger()
    trade(ledger, CALL, "alice", "bob", 10, Decimal(1_500))
    trade(ledger, CALL, "carol", "alice", 4, Decimal(2_000))
    # 6 tenths at 1,500: 900 dollars of entry, and 600 of mark at 1,000
    assert ledger.holding("alice", CALL.contract.id) == Holding(lots=6, entry=900_00)
    assert profit_since_entry(CALL, ledger.holding("alice", CALL.contract.id), Decimal(1_000)) == -300_00
    assert ledger.holding("bob", CALL.contract.id).entry == -1_500_00
    # the writer is 500 dollars a coin better off
    assert profit_since_entry(CALL, ledger.holding("bob", CALL.contract.id), Decimal(1_000)) == 500_00
    assert profit_since_entry(CALL, Holding(), Decimal(1_000)) == 0
    # bob turns: he closes 10 and enters 2 anew at 3,000
    trade(ledger, CALL, "bob", "carol", 12, Decimal(3_000))
    assert ledger.holding("bob", CALL.contract.id) == Holding(lots=2, entry=600_00)
    assert unrealised(CALL, ledger.holding("bob", CALL.contract.id), Decimal(9_000)) == 0
    assert settle_variation(ledger, CALL, Decimal(9_000)) == {}


def test_adding_to_a_position_adds_its_cost() -> None:
    ledger = Ledger()
    trade(ledger, PERPETUAL, "alice", "bob", 1000, Decimal(50_000))
    trade(ledger, PERPETUAL, "alice", "bob", 500, Decimal(56_000))
    assert ledger.holding("alice", PERPETUAL.contract.id) == Holding(1500, 78_000_00, 78_000_00, 0)
    assert ledger.holding("bob", PERPETUAL.contract.id) == Holding(-1500, -78_000_00, -78_000_00, 0)
    trade(ledger, PERPETUAL, "bob", "alice", 1500, Decimal(52_000))
    # sold where it was bought on average: nothing realised, nothing left
    assert ledger.holdings == {"alice": {}, "bob": {}}
    assert ledger.balances == {}


def test_what_was_realised_is_unsettled_until_variation_is_paid() -> None:
    ledger = Ledger()
    trade(ledger, PERPETUAL, "alice", "bob", 1000, Decimal(50_000))
    trade(ledger, PERPETUAL, "carol", "alice", 1000, Decimal(51_000))
    name = PERPETUAL.contract.id
    assert ledger.holding("alice", name) == Holding(unsettled=1_000_00)
    assert ledger.holders(name) == ["bob", "carol"]
    assert ledger.holding_sums() == ({name: 0}, {name: 1_000_00})
    assert settle_variation(ledger, PERPETUAL, Decimal(51_000)) == {"bob": -1_000_00}
    # and alice is forgotten: she holds nothing and nothing is owed to her
    assert ledger.holdings["alice"] == {}


def test_costs_that_do_not_balance_their_clearing_account_are_found() -> None:
    ledger = Ledger()
    trade(ledger, PERPETUAL, "alice", "bob", 1000, Decimal(50_000))
    ledger.book(payment("theft", "USDT", clearing_account(PERPETUAL.contract.id), "eve", 1))
    with pytest.raises(InvariantError, match="must balance its clearing account, 0 and -1"):
        settle_variation(ledger, PERPETUAL, Decimal(50_000))


def test_a_flat_holding_with_a_cost_is_our_mistake() -> None:
    with pytest.raises(InvariantError, match="a flat holding must have no cost, had 1"):
        Ledger().change_holding("alice", "x", Holding(cost=1))


@pytest.mark.parametrize("lots", [0, -1])
def test_a_trade_of_nothing_is_our_mistake(lots: int) -> None:
    with pytest.raises(InvariantError, match="must move lots"):
        trade(Ledger(), PERPETUAL, "alice", "bob", lots, Decimal(1))


def test_coins_are_not_held_as_lots() -> None:
    with pytest.raises(InvariantError, match="change hands as balances"):
        trade(Ledger(), terms("binance:BTC/USDT"), "alice", "bob", 1, Decimal(1))


def test_negative_funding_is_paid_by_shorts() -> None:
    ledger = Ledger()
    trade(ledger, PERPETUAL, "alice", "bob", 1000, Decimal(50_000))
    ledger.book(funding_entry(ledger, PERPETUAL, Decimal(60_000), Decimal("-0.001")))
    assert (ledger.balance("alice", "USDT"), ledger.balance("bob", "USDT")) == (60_00, -60_00)
    # of an inverse contract too: 10,000 dollars at 50,000, 0.2 BTC
    trade(ledger, INVERSE, "alice", "bob", 1000, Decimal(50_000))
    ledger.book(funding_entry(ledger, INVERSE, Decimal(50_000), Decimal("0.001")))
    assert (ledger.balance("alice", "BTC"), ledger.balance("bob", "BTC")) == (-20_000, 20_000)


@pytest.mark.parametrize(("settlement", "gain"), [(99_000, -1_500_00), (100_000, -1_500_00), (100_001, -1_499_00)])
def test_a_call_pays_nothing_at_or_below_its_strike(settlement: int, gain: int) -> None:
    ledger = Ledger()
    trade(ledger, CALL, "alice", "bob", 10, Decimal(1_500))
    ledger.book(expiry_entry(ledger, CALL, Decimal(settlement)))
    assert (ledger.balance("alice", "USDC"), ledger.balance("bob", "USDC")) == (gain, -gain)


def test_only_options_expire_into_their_value_and_only_at_a_price() -> None:
    with pytest.raises(InvariantError, match="only options are exercised"):
        expiry_entry(Ledger(), PERPETUAL, Decimal(1))
    for price in ("0", "-1", "NaN", "Infinity"):
        with pytest.raises(InputError, match="a settlement price must be positive"):
            expiry_entry(Ledger(), CALL, Decimal(price))


def test_what_rounding_left_on_a_clearing_account_goes_to_rounding() -> None:
    ledger = Ledger()
    name = PERPETUAL.contract.id
    trade(ledger, PERPETUAL, "alice", "bob", 1, Decimal(50_000))
    middle = clearing_account(name)
    ledger.book(payment("fraction", "USDT", "alice", middle, 3))
    close_out(ledger, PERPETUAL)
    assert ledger.holders(name) == []
    assert (ledger.balance(middle, "USDT"), ledger.balance(ROUNDING, "USDT")) == (0, 3)
    assert sum(ledger.sums().values()) == 0
    # nothing left, nothing booked; other contracts are untouched
    trade(ledger, INVERSE, "alice", "bob", 7, Decimal(50_000))
    close_out(ledger, PERPETUAL)
    assert ledger.balance(ROUNDING, "USDT") == 3
    assert ledger.holders(INVERSE.contract.id) == ["alice", "bob"]


def test_only_the_house_gains_from_a_rounded_entry() -> None:
    entry = rounded_entry("funding", "USDC", [("alice", 5), ("bob", -5)], 3)
    assert [(item.account, item.amount) for item in entry.postings] == [("alice", 1), ("bob", -2), (ROUNDING, 1)]
    assert entry.rounding is Rounding.TO_THE_HOUSE
    exact = rounded_entry("funding", "USDC", [("alice", 6), ("bob", -6), ("carol", 0)], 3)
    assert [(item.account, item.amount) for item in exact.postings] == [("alice", 2), ("bob", -2)]
    with pytest.raises(InvariantError, match="only 'to the house' rounds"):
        rounded_entry("funding", "USDC", [], 1, Rounding.NEAREST)


@given(st.integers(0, 10**30), st.lists(st.integers(0, 10**6), max_size=9))
def test_the_largest_remainders_get_the_units_that_are_left(total: int, weights: list[int]) -> None:
    parts = share_out(total, weights)
    whole = sum(weights)
    if whole == 0:
        assert parts == [0] * len(weights)
        return
    shares = [Fraction(total * weight, whole) for weight in weights]
    assert sum(parts) == total
    assert all(abs(part - share) < 1 for part, share in zip(parts, shares, strict=True))
    up = [(-(share % 1), place) for place, (part, share) in enumerate(zip(parts, shares, strict=True)) if part > share]
    down = [
        (-(share % 1), place) for place, (part, share) in enumerate(zip(parts, shares, strict=True)) if part <= share
    ]
    # nobody who was rounded down stands before one who was rounded up
    assert not up or not down or max(up) < min(down)


@given(st.integers(-(10**40), 10**40), st.integers(1, 10**20))
def test_quotients_round_as_fractions_do(numerator: int, denominator: int) -> None:
    exact = Fraction(numerator, denominator)
    assert divide_nearest(numerator, denominator) == round(exact)
    assert divide_up(numerator, denominator) == math.ceil(exact)
    assert divide_nearest(numerator, 2) == round(Fraction(numerator, 2))


def test_shares_of_a_negative_total_are_refused() -> None:
    with pytest.raises(InputError, match="were -1 and 2"):
        share_out(-1, [3, 2])


def test_a_quantum_of_more_than_one_digit() -> None:
    assert to_quanta(Decimal("7.5"), Decimal("2.5")) == 3
    assert from_quanta(-3, Decimal("2.5")) == Decimal("-7.5")
    assert from_quanta(0, Decimal("0.01")) == 0
    with pytest.raises(InputError, match="finite"):
        to_quanta(Decimal("Infinity"), Decimal("0.01"))


def test_the_mean_of_prices_is_exact_before_it_is_rounded() -> None:
    assert average_price([Decimal("0.1"), Decimal("0.2"), Decimal("0.3")]) == Decimal("0.2")
    # half of the last place goes to even
    assert average_price([Decimal("1e-12"), Decimal("2e-12")]) == Decimal("2e-12")
    assert average_price([Decimal("2e-12"), Decimal("3e-12")]) == Decimal("2e-12")


@pytest.mark.parametrize(("right", "settlement", "payoff"), [("C", "0.7675", 267_50), ("P", "0.3325", 167_50)])
def test_fractions_of_strikes_and_prices(right: str, settlement: str, payoff: int) -> None:
    # a thousand coins, struck at 0.5 dollars
    option = terms(f"x:XRP/USDC:USDC-260327-0.5-{right}")
    ledger = Ledger()
    trade(ledger, option, "alice", "bob", 1000, Decimal(0))
    entry = expiry_entry(ledger, option, Decimal(settlement))
    assert [(item.account, item.amount) for item in entry.postings] == [("alice", payoff), ("bob", -payoff)]
    assert entry.reason == f"exercise of {option.contract.id}"
    # settled in coin: the same over the price, rounded against both
    coin = terms("x:XRP/USD:XRP-260327-0.5-P", quantum="0.001")
    ledger = Ledger()
    trade(ledger, coin, "alice", "bob", 1000, Decimal(0))
    exact = Fraction(1000 * 1000) * (Fraction(1, 2) - Fraction("0.3325")) / Fraction("0.3325")
    entry = expiry_entry(ledger, coin, Decimal("0.3325"))
    assert [item.amount for item in entry.postings] == [math.floor(exact), -math.ceil(exact), 1]


def test_a_quantum_need_not_be_a_power_of_ten() -> None:
    odd = terms("binance:BTC/USDT:USDT", lot="0.002", quantum="2.5")
    # 0.002 x 3 x 50,000 = 300 dollars are 120 quanta
    assert odd.value(3, Decimal(50_000)) == 120


def test_entries_say_what_they_are_for(monkeypatch: pytest.MonkeyPatch) -> None:
    booked: list[Entry] = []
    monkeypatch.setattr(Ledger, "book", lambda _, entry: booked.append(entry))
    trade(Ledger(), CALL, "alice", "bob", 1, Decimal(100))
    assert booked[-1].reason == "premium"
    assert trade(Ledger(), PERPETUAL, "alice", "bob", 1, Decimal(100)) == 10
    ledger = Ledger()
    trade(ledger, PERPETUAL, "zoe", "adam", 1, Decimal(100))
    assert ledger.holders(PERPETUAL.contract.id) == ["adam", "zoe"]
    trade(ledger, PERPETUAL, "adam", "zoe", 1, Decimal(200))
    # one entry for each who closes, the buyer first
    assert [(entry.reason, entry.postings[1].account) for entry in booked[-2:]] == [
        ("realised profit", clearing_account(PERPETUAL.contract.id)),
        ("realised profit", "zoe"),
    ]
    assert funding_entry(ledger, PERPETUAL, Decimal(1), Decimal(1)).reason == "funding"


def test_settlement_goes_by_the_alphabet_and_past_who_holds_nothing() -> None:
    ledger = Ledger()
    trade(ledger, INVERSE, "b", "c", 1, Decimal(50_000))
    trade(ledger, PERPETUAL, "zoe", "adam", 1000, Decimal(50_000))
    assert list(settle_variation(ledger, PERPETUAL, Decimal(51_000)).items()) == [
        ("adam", -1_000_00),
        ("zoe", 1_000_00),
    ]


def test_a_name_may_have_64_characters() -> None:
    check_user_name("x" * 64)


def test_lots_of_all_holders_sum_to_nothing() -> None:
    ledger = Ledger()
    for seller in ("bob", "carol"):
        trade(ledger, PERPETUAL, "alice", seller, 7, Decimal(50_000))
    ledger.holdings["alice"][PERPETUAL.contract.id].lots += 1
    assert ledger.lot_sums() == {PERPETUAL.contract.id: 1}
