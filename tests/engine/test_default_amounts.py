"""Defaults at their edges: one lot, one quantum, nobody left, an empty fund; every amount is worked by hand."""

from decimal import Decimal

import pytest
from default_stories import SHORT_OF_5000, events, go_on, paid

from crossmargin.engine.events import Deleveraged, TakenOver, Traded
from crossmargin.files.story import play

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
