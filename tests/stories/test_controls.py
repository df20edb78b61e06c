"""Controls: each guard is shown with and without."""

import pytest

from crossmargin.files.story import play

OWN_BOOK = """
    fund     deposits 100_000
    alice    deposits 40 ETH
    bob      deposits 900_000
    ETH      index 3_000 from a, 3_001 from b, 2_999 from own
    BTC-PERP marks 60_000
    alice    buys 5 BTC-PERP at 60_000 from bob
"""


def test_the_own_book_alone_never_moves_a_collateral_price() -> None:
    play(
        OWN_BOOK
        + """
        ETH    index 300 from own
        expect no event LiquidationStarted
        # three other venues follow: so does the index
        ETH    index 300 from a, 301 from b, 299 from own
        expect event LiquidationStarted
    """
    )


def test_with_the_guard_off_the_own_book_liquidates() -> None:
    play("set own_source_alone true" + OWN_BOOK + "ETH index 300 from own\nexpect event LiquidationStarted")


def test_an_outlier_among_sources_is_left_out() -> None:
    play(OWN_BOOK + "ETH index 3_000 from a, 3_001 from b, 30 from c\nexpect no event LiquidationStarted")


def test_collateral_with_a_stale_price_backs_nothing_new_and_liquidates_nobody() -> None:
    play("""
        set      index_max_age_ns 60000000000
        alice    deposits 40 ETH
        bob      deposits 900_000
        ETH      index 3_000
        BTC-PERP marks 60_000
        alice    buys 5 BTC-PERP at 60_000 from bob
        2m       pass
        BTC-PERP marks 60_000
        USDC     index 1
        # ETH has not been heard of for two minutes
        expect   no event LiquidationStarted
        alice    buys 0.1 BTC-PERP at 60_000 from bob
        expect   refused INSUFFICIENT_MARGIN
        ETH      index 3_000
        alice    buys 0.1 BTC-PERP at 60_000 from bob
    """)


def test_a_mark_at_its_band_backs_no_new_risk_and_liquidates_nobody() -> None:
    play("""
        set      mark_band 0.05
        alice    deposits 10_000
        bob      deposits 900_000
        BTC-PERP marks 60_000
        alice    buys 0.6 BTC-PERP at 60_000 from bob
        BTC-PERP mark alone 30_000
        expect   no event LiquidationStarted
        alice    buys 0.1 BTC-PERP at 57_000 from bob
        expect   refused PRICE_NOT_GOOD
        alice    sells 0.1 BTC-PERP at 57_000 to bob
    """)


FALL = """
    fund     deposits 100_000
    alice    deposits 20_000
    bob      deposits 900_000
    BTC-PERP marks 50_000
    alice    buys 1 BTC-PERP at 50_000 from bob
    BTC-PERP marks 20_000
"""


def test_an_index_jump_halts_instead_of_liquidating_and_risk_reduction_passes() -> None:
    play(
        "set breakers.index_jump 0.2"
        + FALL
        + """
        expect   event Halted
        expect   no event LiquidationStarted
        alice    buys 0.1 BTC-PERP at 20_000 from bob
        expect   refused HALTED_RISK_REDUCTION_ONLY
        alice    withdraws 1
        expect   refused HALTED_RISK_REDUCTION_ONLY
        alice    sells 0.1 BTC-PERP at 20_000 to bob
        alice    deposits 1_000
        # it was a fault of the feed: the price is back, and after a calm minute the engine reopens
        BTC-PERP marks 49_000
        59s      pass
        expect   no event Resumed
        2s       pass
        expect   event Resumed
        expect   no event LiquidationStarted
    """
    )


def test_without_the_breaker_the_fault_of_a_feed_bankrupts() -> None:
    play(FALL + "expect event Defaulted")


def test_the_engine_does_not_flap() -> None:
    story = play(
        "set breakers.index_jump 0.2"
        + FALL
        + """
        BTC-PERP marks 23_000
        59s      pass
        # 15 % is more than half of the threshold: the minute begins anew
        BTC-PERP marks 19_550
        59s      pass
        expect   no event Resumed
        2s       pass
        expect   event Resumed
    """
    )
    assert sum(type(event).__name__ == "Halted" for event in story.events) == 1


@pytest.mark.parametrize(("limit", "left"), [("null", "0"), ("5_000".replace("_", ""), "95_000")])
def test_what_leaves_in_an_hour_is_bounded_over_all_accounts(limit: str, left: str) -> None:
    refused = "" if limit == "null" else "expect refused WITHDRAWAL_RATE_LIMIT"
    play(
        f"""
        set      withdrawal_limit "{limit}"
        alice    deposits 100_000
        alice    withdraws 5_000
        alice    withdraws 95_000
        {refused}
        expect   alice balance {left}
    """.replace('"null"', "null")
    )


def test_more_loss_than_the_market_s_share_of_insurance_goes_to_the_next_layer() -> None:
    play("set insurance_cap_per_market 1_000".replace("1_000", '"1000"') + FALL + "expect fund balance 99_000")
    play(FALL + "expect fund balance 90_000")


def test_a_liquidation_that_nobody_answers_ends() -> None:
    story = play(
        """
        set      max_slices 3
        alice    deposits 10_000
        bob      deposits 90_000
        BTC-PERP marks 50_000
        alice    buys 1 BTC-PERP at 50_000 from bob
        BTC-PERP marks 45_800
    """
        + "5s pass\n" * 4
        + """
        expect   alice position BTC-PERP 0
        expect   alice equity 5_800
        expect   bob equity 94_200
        expect   alice state HEALTHY
    """
    )
    assert not story.engine.state.liquidations
