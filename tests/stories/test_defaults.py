"""Trades, calls, liquidations and defaults, as tables through the engine."""

from crossmargin.files.story import play


def test_insurance_fund_pays_the_shortfall_of_a_bankrupt_long() -> None:
    play("""
        fund     deposits 10_000
        alice    deposits 20_000
        bob      deposits 90_000
        BTC-PERP marks 50_000
        alice    buys 1 BTC-PERP at 50_000 from bob
        BTC-PERP marks 25_000
        expect   event Defaulted
        expect   alice equity 0
        expect   alice state BANKRUPT
        expect   fund equity 5_000
        expect   bob balance 115_000
        audit
    """)


def test_layers_pay_in_their_order_and_adl_before_socialised_loss() -> None:
    play("""
        set      house_cap 500
        house    deposits 2_000
        fund     deposits 1_000
        carol    deposits 50_000
        carol    contributes 700
        alice    deposits 20_000
        bob      deposits 90_000
        BTC-PERP marks 50_000
        alice    buys 1 BTC-PERP at 50_000 from bob
        BTC-PERP marks 25_000
        # 5,000 are missing: 500 of the house, 1,000 of insurance, 700 and as much again of the member, 2,100 by ADL
        expect   house balance 1_500
        expect   fund balance 0
        expect   carol contribution 0
        expect   carol balance 49_300
        expect   event Deleveraged
        expect   bob balance 112_900
        expect   bob position BTC-PERP 0
        audit
    """)


def test_a_margin_call_is_raised_met_and_forgotten() -> None:
    play("""
        alice    deposits 10_000
        bob      deposits 90_000
        BTC-PERP marks 50_000
        alice    buys 1 BTC-PERP at 50_000 from bob
        BTC-PERP marks 47_200
        expect   event MarginCalled
        expect   alice state MARGIN_CALL
        alice    deposits 3_000
        expect   event MarginCallMet
        expect   alice state HEALTHY
    """)


def test_a_call_that_is_not_met_lets_the_account_only_reduce() -> None:
    play("""
        alice    deposits 10_000
        bob      deposits 90_000
        BTC-PERP marks 50_000
        alice    buys 1 BTC-PERP at 50_000 from bob
        BTC-PERP marks 47_200
        1h       passes
        expect   alice state REDUCE_ONLY
        alice    buys 0.1 BTC-PERP at 47_200 from bob
        expect   refused ACCOUNT_STATE
        alice    sells 0.5 BTC-PERP at 47_200 to bob
        expect   alice state HEALTHY
    """)


def test_a_liquidation_sells_slices_until_the_account_is_healthy() -> None:
    story = play("""
        alice    deposits 10_000
        alice    orders o1 buy 0.05 BTC-PERP at 40_000
        expect   refused NO_PRICE
        bob      deposits 90_000
        dave     deposits 90_000
        BTC-PERP marks 50_000
        alice    buys 1 BTC-PERP at 50_000 from bob
        alice    orders o1 buy 0.05 BTC-PERP at 49_000
        BTC-PERP marks 45_800
        # 5,800 of equity against 0.8 * 0.16 * 45,800 = 5,862.40 of maintenance
        expect   event LiquidationStarted
        expect   event OrderCancelled
        expect   event LiquidationOrdered
        dave     fills alice 1 at 45_700
        expect   refused OUTSIDE_LIMIT
        dave     fills alice 0.03 at 44_000
        expect   refused OUTSIDE_LIMIT
        dave     fills alice 0.03 at 45_700
        expect   event Liquidated
        expect   alice state MARGIN_CALL
        expect   alice position BTC-PERP 0.97
        dave     fills alice 0.01 at 45_700
        expect   refused UNKNOWN_LIQUIDATION
        audit
    """)
    assert not story.engine.state.liquidations


def test_an_isolated_account_loses_only_its_own_collateral() -> None:
    play("""
        fund     deposits 100_000
        alice    deposits 50_000
        bob      deposits 900_000
        alice    opens alice.doge isolated
        alice    transfers 5_000 to alice.doge
        DOGE-PERP marks 0.2
        alice.doge buys 50_000 DOGE-PERP at 0.2 from bob
        DOGE-PERP marks 0.05
        expect   event Defaulted
        expect   alice.doge equity 0
        expect   alice balance 45_000
        expect   fund balance 97_500
    """)


def test_profit_cannot_leave_before_its_payers_have_paid() -> None:
    play("""
        alice    deposits 10_000
        bob      deposits 90_000
        BTC-PERP marks 50_000
        alice    buys 0.5 BTC-PERP at 50_000 from bob
        BTC-PERP marks 60_000
        alice    withdraws 9_000
        expect   refused INSUFFICIENT_MARGIN
        alice    sells 0.5 BTC-PERP at 60_000 to bob
        alice    withdraws 12_000
        expect   refused UNSETTLED_PROFIT
        settle   BTC-PERP
        alice    withdraws 15_000
        expect   alice balance 0
    """)


def test_a_takeover_at_the_bankruptcy_price_gives_the_provider_all_of_the_equity() -> None:
    play("""
        alice    deposits 10_000
        bob      deposits 90_000
        hlp      deposits 500_000
        hlp      backstops 1_000_000
        BTC-PERP marks 50_000
        alice    buys 1 BTC-PERP at 50_000 from bob
        BTC-PERP marks 42_000
        expect   event TakenOver
        expect   alice equity 0
        expect   hlp balance 502_000
        expect   hlp position BTC-PERP 1
        audit
    """)


def test_a_dutch_auction_leaves_the_account_what_the_bidder_does_not_ask_for() -> None:
    play("""
        set      auction_duration_ns 60000000000
        alice    deposits 10_000
        bob      deposits 90_000
        eve      deposits 500_000
        BTC-PERP marks 50_000
        alice    buys 1 BTC-PERP at 50_000 from bob
        BTC-PERP marks 42_000
        expect   event AuctionStarted
        15s      pass
        eve      bids on alice
        # a quarter of the auction has gone: a quarter of 2,000
        expect   eve balance 500_500
        expect   alice balance 1_500
        expect   alice state HEALTHY
        audit
    """)


def test_collateral_in_coin_is_sold_before_anybody_else_pays() -> None:
    play("""
        fund     deposits 10_000
        alice    deposits 1 BTC
        bob      deposits 500_000
        BTC index 50_000
        BTC-PERP marks 50_000
        alice    buys 2 BTC-PERP at 50_000 from bob
        BTC-PERP marks 30_000
        # lost 40,000, the coin fetches 30,000
        expect   event Defaulted
        expect   alice equity 0
        expect   fund balance 0
        audit
    """)
