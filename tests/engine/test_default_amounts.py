"""Defaults at their edges: one lot, one quantum, nobody left, an empty fund; every amount is worked by hand."""

from decimal import Decimal

import pytest
from default_stories import IN_COIN, SHORT_OF_5000, events, go_on, paid

from crossmargin.engine.events import BalanceChanged, Deleveraged, TakenOver, Traded
from crossmargin.files.story import Story, play

QUANTUM = Decimal("0.000001")


@pytest.mark.parametrize(
    ("before", "reason", "taker"),
    [
        ("", "adl", "bob"),
        ("fund deposits 90_000", "tear-up", "bob"),
        ("fund deposits 90_000\nhlp deposits 90_000\nhlp backstops 90_000", "takeover", "hlp"),
    ],
)
def test_a_single_lot_is_closed_like_any_other(before: str, reason: str, taker: str) -> None:
    story = play("list BTC-PERP lot_size=1\n" + before + SHORT_OF_5000)
    last = events(story, Traded)[-1]
    assert (last.buyer, last.seller, last.quantity, last.reason) == (taker, "alice", 1, reason)
    go_on(story, "expect alice position BTC-PERP 0")
    assert [row[2] for row in paid(story)] == [5_000]


def test_of_two_providers_the_first_by_name_takes_an_account_over() -> None:
    story = play(
        "zoe deposits 900_000\nzoe backstops 900_000\nabe deposits 900_000\nabe backstops 900_000"
        + SHORT_OF_5000.replace("25_000", "32_000")
    )
    assert events(story, TakenOver) == [TakenOver(account="alice", taker="abe", paid=Decimal(2_000))]


THIN_WINNER = """
    set      layers ["collateral", "adl", "socialised"]
    alice    deposits 20_000
    bob      deposits {own}
    whale    deposits 900_000
    BTC-PERP marks 50_000, ETH-PERP marks 2_000
    alice    buys 1 BTC-PERP at 50_000 from bob
    bob      buys 100 ETH-PERP at 2_000 from whale
    USDC     index {unit}
    BTC-PERP marks 25_000, ETH-PERP marks {ether}
"""


@pytest.mark.parametrize("unit", ["1", "0.8"])
def test_a_winner_gives_what_he_has_above_maintenance_and_no_more(unit: str) -> None:
    # the same day without a default: what he has, and what he needs with and without the leg
    lines = THIN_WINNER.format(own=50_000, ether=1_500, unit=unit)
    quiet = play(lines.replace("alice    deposits 20_000", "alice deposits 900_000"))
    with_leg = quiet.engine.health("bob")
    go_on(quiet, "bob buys 1 BTC-PERP at 25_000 from whale")
    spare = with_leg.equity - max(with_leg.maintenance, quiet.engine.health("bob").maintenance)
    given = (Decimal(spare) / Decimal(unit)).quantize(QUANTUM, rounding="ROUND_DOWN")
    story = play(lines)
    assert [row for row in paid(story) if row[0] == "adl"] == [("adl", "bob", given)]
    assert sum(row[2] for row in paid(story)) == 5_000
    assert [row[0] for row in paid(story)][1:] == ["socialised", "socialised"]


def test_a_winner_below_maintenance_gives_nothing() -> None:
    story = play(THIN_WINNER.format(own=46_000, ether=1_500, unit="1"))
    assert [(row[0], row[1]) for row in paid(story)] == [("socialised", "bob"), ("socialised", "whale")]
    assert sum(row[2] for row in paid(story)) == 5_000
    # his leg is torn up all the same, as nobody else stands opposite
    assert [(event.winner, event.haircut) for event in events(story, Deleveraged)] == [("bob", 0)]


# bob has gained 20,000 on a short of 30,000, carol 7,500 on one of 15,000; half a coin is to be closed, and nobody pays
TORN_UP = """
    fund     deposits 90_000
    whale    deposits 900_000
    dan      deposits 900_000
    alice    deposits 6_000
    bob      deposits {bob}
    carol    deposits {carol}
    BTC-PERP marks 50_000, ETH-PERP marks 2_000
    dan      buys 1 BTC-PERP at 50_000 from bob
    bob      buys {ether} ETH-PERP at 2_000 from whale
    BTC-PERP marks 45_000
    alice    buys 0.5 BTC-PERP at 45_000 from carol
    BTC-PERP marks 30_000, ETH-PERP marks 1_500
"""


def test_a_tear_up_takes_the_larger_product_of_profit_and_leverage() -> None:
    # 20,000 x 30/895 against 7,500 x 15/16.5; in profit alone, or in profit over leverage, bob would be first
    story = play(TORN_UP.format(bob=900_000, carol=9_000, ether=50))
    go_on(story, "expect bob position BTC-PERP -1", "expect carol position BTC-PERP 0")


def test_a_tear_up_ranks_by_all_of_the_profit_although_little_may_be_taken() -> None:
    # bob has lost 25,000 of ether and has little above maintenance; he comes first by his 20,000 x 30/14.7 all the same
    rich = play(
        TORN_UP.format(bob=19_700, carol=9_000, ether=50).replace("alice    deposits 6_000", "alice deposits 90_000")
    )
    health = rich.engine.health("bob")
    # what may be taken of him, at his leverage, is less than carol's 7,500 x 15/16.5
    assert 0 < (health.equity - health.maintenance) * 30 / 14.7 < 6_800
    story = play(TORN_UP.format(bob=19_700, carol=9_000, ether=50))
    go_on(story, "expect bob position BTC-PERP -0.5", "expect carol position BTC-PERP -0.5")


def test_who_has_nothing_pays_nothing() -> None:
    # bob's 30,000 of realised loss eat the 25,000 that he wins of alice, and whale has taken what bob lost
    story = play("""
        set      layers ["collateral", "socialised"]
        BTC      index 50_000
        alice    deposits 20_000
        bob      deposits 5 BTC
        empty    deposits 1
        empty    withdraws 1
        whale    deposits 90_000
        BTC-PERP marks 50_000, ETH-PERP marks 2_000
        bob      buys 40 ETH-PERP at 2_000 from whale
        ETH-PERP marks 1_250
        bob      sells 40 ETH-PERP at 1_250 to whale
        settle   ETH-PERP
        whale    withdraws 120_000
        alice    buys 1 BTC-PERP at 50_000 from bob
        BTC-PERP marks 25_000
    """)
    assert paid(story) == [("house beyond its capital", "@house", 5_000)]
    go_on(story, "expect bob balance -5_000", "expect empty balance 0", "expect whale balance 0")


def test_a_member_is_asked_for_a_part_of_what_it_has_paid_in_and_out_of_what_it_has() -> None:
    story = play(
        """
        set      assessment_multiple "0.5"
        carol    deposits 50_000
        carol    contributes 300
        dora     deposits 1
        dora     withdraws 1
        dora     contributes 100
        """
        + SHORT_OF_5000
    )
    # dora has nothing beyond her contribution
    assert paid(story) == [
        ("default fund", "@default-fund carol", 300),
        ("default fund", "@default-fund dora", 100),
        ("assessment", "carol", 150),
        ("adl", "bob", 4_450),
    ]


def test_a_fund_that_is_used_up_pays_nothing_the_next_time() -> None:
    story = play(
        'set insurance_cap_per_market "2_000"\nfund deposits 90_000\ncarol deposits 50_000\ncarol contributes 300'
        + SHORT_OF_5000
    )
    assert [row[2] for row in paid(story)] == [2_000, 300, 300, 2_400]
    # 2,000 more are missing: neither the market's insurance nor carol's fund has anything, nor is she asked again
    go_on(story, "erin deposits 5_000", "whale deposits 900_000", "erin buys 1 BTC-PERP at 25_000 from whale")
    go_on(story, "BTC-PERP marks 18_000")
    assert paid(story)[4:] == [("adl", "whale", 2_000)]


def conversions(story: Story, name: str) -> list[tuple[str, Decimal]]:
    """Return what an account paid and was paid when coins became money."""
    changes = [event for event in events(story, BalanceChanged) if event.account == name]
    return [(event.asset, event.change) for event in changes if event.reason == "conversion"]


def test_coins_are_sold_by_name_and_to_the_last_quantum() -> None:
    story = play("""
        fund     deposits 10_000
        borrowing ADA up to 0
        ETH      index 3_000
        BTC      index 50_000
        ADA      index 0.0001
        alice    deposits 21_999.999999
        alice    deposits 2 ETH
        alice    deposits 0.6 BTC
        alice    deposits 0.000001 ADA
        bob      deposits 900_000
        BTC-PERP marks 50_000
        alice    buys 2 BTC-PERP at 50_000 from bob
        BTC-PERP marks 30_000
    """)
    # 18,000.000001 are missing: the bitcoin fetches 18,000, a quantum of ether the rest, the dust of ADA nothing
    one = Decimal("0.00000001")
    assert conversions(story, "alice") == [("BTC", Decimal("-0.6")), ("USDC", 18_000), ("ETH", -one), ("USDC", QUANTUM)]
    assert paid(story) == []
    go_on(story, "expect alice balance 0", "expect fund balance 10_000")


def test_a_single_quantum_of_a_coin_is_collateral() -> None:
    story = play("BTC index 50_000\nalice deposits 0.00000001 BTC" + SHORT_OF_5000)
    assert paid(story) == [("collateral", "alice", Decimal("0.00025")), ("adl", "bob", Decimal("4999.99975"))]


@pytest.mark.parametrize(("fund", "reason"), [("3_999.876532", "adl"), ("3_999.876533", "tear-up")])
def test_coins_are_worth_whole_quanta_of_money_and_winners_pay_the_last_one(fund: str, reason: str) -> None:
    # 1.00000001 x 1,000.123457 = 1,000.12346700123457
    story = play(f"ETH index 1_000.123457\nalice deposits 1.00000001 ETH\nfund deposits {fund}" + SHORT_OF_5000)
    rows = [("collateral", "alice", Decimal("1000.123467")), ("insurance", "@insurance", Decimal(fund))]
    assert paid(story) == rows + [("adl", "bob", QUANTUM)] * (reason == "adl")
    assert events(story, Traded)[-1].reason == reason


@pytest.mark.parametrize("short_by", [0, 1])
def test_a_debt_in_coin_is_rounded_up_before_winners_are_asked_for_what_no_fund_pays(short_by: int) -> None:
    # 50,000 dollars at 50,000 and at 39,999.97: 0.25000094 bitcoin are lost, which cost 10,000.030100...
    owed = (Decimal("0.25000094") * Decimal("39999.97")).quantize(QUANTUM, rounding="ROUND_UP") - 9_000
    fund = owed - short_by * QUANTUM
    story = play(f"fund deposits {fund}" + IN_COIN)
    assert paid(story) == [("insurance", "@insurance", fund)] + [("adl", "bob", QUANTUM)] * short_by
    assert events(story, Traded)[-1].reason == ("adl" if short_by else "tear-up")
    assert conversions(story, "alice") == [("USDC", -owed - 9_000), ("BTC", Decimal("0.25000094"))]


def test_debts_in_coins_are_paid_by_name() -> None:
    story = play("""
        fund     deposits 900_000
        list     crossmargin:ETH/USD:ETH contract_size=10
        list     crossmargin:BTC/USD:BTC contract_size=100
        ETH      index 2_000
        BTC      index 50_000
        alice    deposits 18_000
        bob      deposits 20 BTC
        zed      deposits 900 ETH
        crossmargin:ETH/USD:ETH marks 2_000
        crossmargin:BTC/USD:BTC marks 50_000
        alice    buys 5_000 crossmargin:ETH/USD:ETH at 2_000 from zed
        alice    buys 500 crossmargin:BTC/USD:BTC at 50_000 from bob
        ETH      index 1_900
        crossmargin:ETH/USD:ETH marks 1_900
        settle   crossmargin:ETH/USD:ETH
        ETH      index 1_600
        crossmargin:ETH/USD:ETH marks 1_600
        BTC      index 40_000
        crossmargin:BTC/USD:BTC marks 40_000
    """)
    # a fifth less for each: a quarter of a bitcoin and, of which part was settled before, 6.25 ether, 10,000 each
    sold = [("USDC", -10_000), ("BTC", Decimal("0.25")), ("USDC", -10_000), ("ETH", Decimal("6.25"))]
    assert conversions(story, "alice") == sold
    assert paid(story) == [("insurance", "@insurance", 2_000)]


def test_winners_pay_by_name_whatever_the_contract() -> None:
    story = play("""
        alice    deposits 30_000
        abe      deposits 900_000
        zed      deposits 900_000
        BTC-PERP marks 50_000, ETH-PERP marks 2_000
        alice    buys 1 BTC-PERP at 50_000 from zed
        alice    buys 30 ETH-PERP at 2_000 from abe
        BTC-PERP marks 30_000, ETH-PERP marks 1_500
    """)
    # 5,000 are missing of the 15,000 and 20,000 that were won: three and four sevenths
    assert paid(story) == [("adl", "abe", Decimal("2142.857143")), ("adl", "zed", Decimal("2857.142857"))]


def test_of_two_equal_markets_the_first_by_coin_answers() -> None:
    story = play("""
        fund     deposits 90_000
        alice    deposits 25_000
        bob      deposits 900_000
        a:ETH/USDC:USDC marks 2_000, b:BTC/USDC:USDC marks 50_000
        alice    buys 20 a:ETH/USDC:USDC at 2_000 from bob
        alice    buys 1 b:BTC/USDC:USDC at 50_000 from bob
        a:ETH/USDC:USDC marks 1_500, b:BTC/USDC:USDC marks 30_000
    """)
    assert story.engine.state.insured_by_market == {"BTC": Decimal(5_000)}
