"""The default waterfall in the engine, to the last quantum: what is sold, who pays, what is said."""

from decimal import Decimal

import pytest
from default_stories import BTC, DATED, IN_COIN, LONG, SHORT_OF_5000, events, go_on, paid

from crossmargin.engine import defaults
from crossmargin.engine.events import (
    BalanceChanged,
    Defaulted,
    Deleveraged,
    Halted,
    LiquidationEnded,
    Traded,
)
from crossmargin.errors import InvariantError
from crossmargin.files.story import play
from crossmargin.ledger.account import CONVERSION


def test_coins_are_sold_only_as_far_as_is_needed_and_their_dust_is_rounded_against_the_owner() -> None:
    story = play("""
        fund     deposits 10_000
        BTC index 50_000
        ETH index 3_000
        alice    deposits 20_000
        alice    deposits 0.6 BTC
        alice    deposits 2 ETH
        bob      deposits 900_000
        BTC-PERP marks 50_000
        alice    buys 2 BTC-PERP at 50_000 from bob
        BTC-PERP marks 30_000
    """)
    # 20,000 short: 0.6 BTC fetch 18,000, of the 2 ETH at 3,000 the last 2,000 take two thirds of one, rounded up
    assert paid(story) == []
    assert story.engine.state.accounts["alice"].state == "HEALTHY"
    ledger = story.engine.state.ledger
    assert ledger.balance("alice", "USDC") == 0
    assert ledger.balance("alice", "BTC") == 0
    assert ledger.balance("alice", "ETH") == 200_000_000 - 66_666_667
    assert ledger.balance(CONVERSION, "ETH") == 66_666_667
    assert ledger.balance(CONVERSION, "USDC") == -20_000 * 10**6
    assert ledger.balance("@insurance", "USDC") == 10_000 * 10**6
    assert events(story, LiquidationEnded)[-1].outcome == "closed out"
    sold = [event for event in events(story, BalanceChanged) if event.reason == "conversion"]
    assert [(event.asset, event.change) for event in sold] == [
        ("BTC", Decimal("-0.6")),
        ("USDC", 18_000),
        ("ETH", Decimal("-0.66666667")),
        ("USDC", 2_000),
    ]


def test_all_collateral_goes_before_the_first_layer() -> None:
    story = play("""
        fund     deposits 10_000
        BTC index 50_000
        alice    deposits 1 BTC
        bob      deposits 500_000
        BTC-PERP marks 50_000
        alice    buys 2 BTC-PERP at 50_000 from bob
        BTC-PERP marks 30_000
    """)
    # 40,000 lost; the coin fetches 30,000
    assert [event.shortfall for event in events(story, Defaulted)] == [40_000]
    assert paid(story) == [("collateral", "alice", 30_000), ("insurance", "@insurance", 10_000)]
    assert story.engine.state.ledger.balance("alice", "BTC") == 0
    assert events(story, LiquidationEnded)[-1].outcome == "default"


def test_a_debt_in_coin_becomes_a_debt_in_money_rounded_up() -> None:
    story = play("fund deposits 100_000" + IN_COIN)
    # 50,000 dollars: 1 BTC at entry, 1.25000094 at the mark
    ledger = story.engine.state.ledger
    assert ledger.balance("alice", "BTC") == 0
    lost = -ledger.balance(CONVERSION, "BTC")
    assert lost == 25_000_094
    exact = Decimal(lost) / 10**8 * Decimal("39999.97")
    owed = events(story, Defaulted)[0].shortfall + 9_000
    assert 0 <= owed - exact < Decimal("0.000001")
    assert ledger.balance(CONVERSION, "USDC") == int(owed * 10**6)


def test_the_parts_of_each_layer() -> None:
    story = play(
        """
        set      house_cap 500
        set      insurance_cap_per_market 700
        set      assessment_multiple "2"
        house    deposits 2_000
        fund     deposits 1_000
        carol    deposits 50_000
        carol    contributes 300
        dora     deposits 100
        dora     contributes 100
        alice    deposits 1
        alice    contributes 250
        """
        + SHORT_OF_5000.replace("20_000", "19_999")
    )
    # 5,000: 250 of her own, 500, 700, 300 and 100, twice 300 and the 100 that dora has; bob's profit pays the 2,450 left
    assert paid(story) == [
        ("contribution", "@default-fund alice", 250),
        ("house", "@house", 500),
        ("insurance", "@insurance", 700),
        ("default fund", "@default-fund carol", 300),
        ("default fund", "@default-fund dora", 100),
        ("assessment", "carol", 600),
        ("assessment", "dora", 100),
        ("adl", "bob", 2_450),
    ]
    assert [(event.winner, event.haircut) for event in events(story, Deleveraged)] == [("bob", 2_450)]
    assert [event.reason for event in events(story, Traded)] == ["trade", "adl"]
    reasons = [event.reason for event in events(story, BalanceChanged) if event.reason.startswith("waterfall")]
    assert set(reasons) == {"waterfall: assessment", "waterfall: adl"} | {
        event.reason
        for event in events(story, BalanceChanged)
        if event.account == "alice" and "waterfall" in event.reason
    }
    # the market's share of insurance is used up; what is drawn is remembered for the breakers
    assert story.engine.state.insured_by_market == {"BTC": Decimal(700)}
    assert story.engine.state.insured == [(0, Decimal(700))]
    go_on(story, "audit")


def test_a_market_s_share_of_insurance_shrinks_with_each_default() -> None:
    story = play('set insurance_cap_per_market "6000"\nfund deposits 90_000' + SHORT_OF_5000)
    go_on(
        story,
        "erin deposits 5_000",
        "erin buys 1 BTC-PERP at 25_000 from bob",
        "BTC-PERP marks 18_000",
    )
    # 2,000 missing, 1,000 left of the market's 6,000: the next layer that has anything is ADL, which takes the rest
    assert [row for row in paid(story) if row[0] == "insurance"] == [
        ("insurance", "@insurance", 5_000),
        ("insurance", "@insurance", 1_000),
    ]
    assert paid(story)[-1] == ("adl", "bob", 1_000)


def test_a_loss_beyond_all_layers_is_the_house_s_in_the_open() -> None:
    story = play('set layers ["collateral", "house"]\nhouse deposits 100' + SHORT_OF_5000)
    assert paid(story) == [("house", "@house", 100), ("house beyond its capital", "@house", 4_900)]
    go_on(story, "expect house balance -4_900", "expect bob position BTC-PERP 0", "expect bob balance 115_000", "audit")


def test_a_loss_is_socialised_in_proportion_to_what_each_has() -> None:
    story = play(
        'set layers ["collateral", "socialised"]\ncarol deposits 345_000\nempty deposits 1\nempty withdraws 1\n'
        "zed deposits 1 BTC" + SHORT_OF_5000
    )
    # bob has 115,000 when it comes to that, carol three times as much
    assert paid(story) == [("socialised", "bob", 1_250), ("socialised", "carol", 3_750)]


def test_insurance_that_is_drawn_fast_halts() -> None:
    story = play('set breakers.insurance_loss "4999"\nfund deposits 50_000' + SHORT_OF_5000)
    assert [event.breaker for event in events(story, Halted)] == ["INSURANCE_LOSS"]


def test_winners_give_by_profit_and_no_more_than_keeps_them_margined() -> None:
    # 10,000 missing; bob's 25,000 of profit and carol's 25,000, of which she needs all but 1,000 for another position
    story = play("""
        alice    deposits 40_000
        bob      deposits 90_000
        carol    deposits 90_000
        whale    deposits 900_000
        BTC-PERP marks 50_000, ETH-PERP marks 2_000
        alice    buys 1 BTC-PERP at 50_000 from bob
        alice    buys 1 BTC-PERP at 50_000 from carol
        carol    buys 100 ETH-PERP at 2_000 from whale
        carol    withdraws 50_000
        BTC-PERP marks 25_000
    """)
    haircuts = {event.winner: event.haircut for event in events(story, Deleveraged)}
    assert sum(haircuts.values()) == 10_000
    assert haircuts["bob"] >= haircuts["carol"]
    health = story.engine.health("carol")
    assert health.equity >= health.maintenance
    assert [row for row in paid(story) if row[0] != "adl"] == []


def test_the_queue_closes_the_most_leveraged_winner() -> None:
    # alike in profit, 21,000 each; carol has 31,000 behind it and bob 111,000
    story = play(
        "set adl_policy queue\ncarol deposits 10_000\ndan deposits 90_000"
        + LONG
        + "dan buys 1 BTC-PERP at 50_000 from carol\nBTC-PERP marks 29_000"
    )
    assert paid(story) == [("adl", "carol", 1_000)]
    go_on(story, "expect carol position BTC-PERP 0", "expect bob position BTC-PERP -1")


def test_a_tear_up_takes_winners_first() -> None:
    # nobody must pay, as the fund does: one of two positions against alice is closed, that of the larger profit x leverage
    story = play("""
        fund     deposits 90_000
        bob      deposits 90_000
        carol    deposits 90_000
        alice    deposits 6_000
        dan      deposits 90_000
        BTC-PERP marks 50_000
        dan      buys 1 BTC-PERP at 50_000 from bob
        BTC-PERP marks 45_000
        alice    buys 0.5 BTC-PERP at 45_000 from carol
        BTC-PERP marks 30_000
    """)
    assert paid(story) == [("insurance", "@insurance", 1_500)]
    # bob gained 20,000 on 30,000 with 110,000, carol 7,500 on 15,000 with 97,500
    go_on(story, "expect bob position BTC-PERP -0.5", "expect carol position BTC-PERP -0.5")
    assert [event.reason for event in events(story, Traded)][-1] == "tear-up"
    assert [(event.winner, event.quantity, event.haircut) for event in events(story, Deleveraged)] == [
        ("bob", Decimal("0.5"), 0)
    ]


@pytest.mark.parametrize(("fund", "policy"), [(90_000, "integer"), (1, "integer"), (1, "queue"), (1, "pro rata")])
def test_who_is_hedged_is_closed_last(fund: int, policy: str) -> None:
    # bob has gained more and on more leverage, and his long in the dated contract has lost it again
    story = play(f"""
        set      adl_policy {policy}
        fund     deposits {fund}
        bob      deposits 30_000
        carol    deposits 90_000
        alice    deposits 6_000
        dan      deposits 90_000
        BTC-PERP marks 50_000, {DATED} marks 50_000
        dan      buys 1 BTC-PERP at 50_000 from bob
        bob      buys 1 {DATED} at 50_000 from dan
        BTC-PERP marks 45_000
        alice    buys 0.5 BTC-PERP at 45_000 from carol
        BTC-PERP marks 30_000, {DATED} marks 30_000
        expect   bob position BTC-PERP -1
        expect   carol position BTC-PERP 0
    """)
    assert [event.winner for event in events(story, Deleveraged)] == ["carol"]
    assert sum(row[2] for row in paid(story)) == 1_500


def test_a_short_defaulter_is_bought_back() -> None:
    story = play("""
        alice    deposits 20_000
        bob      deposits 90_000
        BTC-PERP marks 50_000
        alice    sells 1 BTC-PERP at 50_000 to bob
        BTC-PERP marks 75_000
    """)
    assert paid(story) == [("adl", "bob", 5_000)]
    (_, back) = events(story, Traded)
    assert (back.buyer, back.seller, back.reason) == ("alice", "bob", "adl")
    go_on(story, "expect bob balance 110_000")


def test_debts_that_cannot_be_paid_exactly_are_our_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "draws", lambda *_: ((), 0))
    with pytest.raises(InvariantError, match="must pay exactly the shortfall of alice"):
        play(SHORT_OF_5000)


def test_a_position_that_nobody_holds_the_other_side_of_is_our_mistake() -> None:
    story = play(LONG)
    house = story.engine._house
    with pytest.raises(InvariantError, match="1 lots are missing"):
        defaults.close_against_others(house, "alice", BTC, 1001)


def test_a_takeover_settles_coins_debts_and_what_is_left() -> None:
    story = play("""
        BTC index 50_000
        ETH index 3_000
        alice    deposits 1_500
        alice    deposits 3 ETH
        bob      deposits 90_000
        hlp      deposits 500_000
        hlp      backstops 1_000_000
        BTC-PERP marks 50_000
        alice    buys 1 BTC-PERP at 50_000 from bob
        BTC-PERP marks 42_000
    """)
    # 1,500 and 9,000 of coin less 8,000: all of the 2,500 goes, and no coin stays
    go_on(story, "expect hlp balance 502_500", "expect alice equity 0", "expect alice state HEALTHY")
    assert story.engine.state.ledger.balance("alice", "ETH") == 0
    assert [event.reason for event in events(story, Traded)] == ["trade", "takeover"]
    assert {event.reason for event in events(story, BalanceChanged) if event.account == "hlp"} == {
        "deposit",
        "takeover",
    }


def test_who_is_asked_first_does_not_hang_on_who_came_first() -> None:
    story = play(
        "zoe deposits 900_000\nzoe backstops 900_000\nabe deposits 900_000\nabe backstops 900_000\nfund deposits 90_000"
        + SHORT_OF_5000
    )
    go_on(story, "expect abe position BTC-PERP 1", "expect zoe position BTC-PERP 0")
    backstop = story.engine.state.accounts["abe"].backstop
    assert backstop is not None
    assert backstop.taken == {BTC: (1000, 25_000 * 10**6)}


def test_an_account_of_cash_alone_can_default() -> None:
    story = play("""
        fund     deposits 10_000
        borrowing SOL up to 10
        SOL index 3_000
        alice    deposits 6_000
        bob      deposits 90_000
        bob      deposits 10 SOL
        list     crossmargin:SOL/USDC
        alice    sells 1 crossmargin:SOL/USDC at 3_000 to bob
        SOL index 12_000
    """)
    # 9,000 of dollars against one SOL that is owed: 3,000 are missing, in no market
    assert [(event.shortfall, event.market) for event in events(story, Defaulted)] == [(3_000, "cash")]
    assert paid(story) == [("insurance", "@insurance", 3_000)]


def test_nothing_is_planned_where_nothing_is_missing() -> None:
    story = play(SHORT_OF_5000.replace("20_000", "90_000"))
    assert defaults._plan_adl(story.engine._house, "alice", 0) == {}


def test_money_off_its_peg_buys_coins_at_its_own_price() -> None:
    story = play("""
        ETH index 3_000
        alice    deposits 20_000
        alice    deposits 1 ETH
        bob      deposits 90_000
        BTC-PERP marks 50_000
        alice    buys 1 BTC-PERP at 50_000 from bob
        USDC index 0.75
        BTC-PERP marks 25_000
    """)
    # 5,000 are missing; the coin fetches 3,000 / 0.75, and all of it goes
    assert paid(story)[0] == ("collateral", "alice", 4_000)
    assert story.engine.state.ledger.balance("alice", "ETH") == 0
    assert sum(row[2] for row in paid(story)) == 5_000
    sold = [event.reason for event in events(story, BalanceChanged) if event.asset == "ETH"]
    assert sold == ["deposit", "conversion"]
