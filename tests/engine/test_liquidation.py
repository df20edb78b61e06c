"""Liquidation step by step: sizes and fees worked by hand, every refusal, every way in which it ends.

BTC needs 16 % of notional and a little for concentration, maintenance is 0.8 of that: about 12.8 %.
"""

from decimal import Decimal

import pytest
from default_stories import go_on

from crossmargin.engine import commands as ask
from crossmargin.engine import liquidation
from crossmargin.engine.events import BalanceChanged, LiquidationOrdered, OrderCancelled, Refused
from crossmargin.engine.refusals import Refusal
from crossmargin.files.story import Story, play

# one BTC bought at 50,000 with 10,000: at 45,800 maintenance is 5,862.40 and equity 5,800
UNDER_WATER = """
    alice    deposits 10_000
    bob      deposits 90_000
    dave     deposits 90_000
    BTC-PERP marks 50_000
    alice    buys 1 BTC-PERP at 50_000 from bob
    BTC-PERP marks 45_800
"""


def ordered(story: Story) -> LiquidationOrdered:
    return [event for event in story.events if isinstance(event, LiquidationOrdered)][-1]


def fill(story: Story, by: str, quantity: str, price: str, account: str = "alice") -> str:
    """Answer a liquidation; return why not, or nothing."""
    before = story.engine.state_hash()
    event = story.do(
        ask.FillLiquidation, account=account, counterparty=by, quantity=Decimal(quantity), price=Decimal(price)
    )[0]
    if isinstance(event, Refused):
        assert story.engine.state_hash() == before
        return event.reason
    return ""


def maintenance(lots: int, mark: str = "45_800") -> float:
    """Return what an account of so many thousandths of a coin needs, from scratch."""
    story = play(f"""
        alice    deposits 90_000
        bob      deposits 90_000
        BTC-PERP marks {mark}
        alice    buys {Decimal(lots) / 1000} BTC-PERP at {mark} from bob
    """)
    return story.engine.health("alice").maintenance


def test_a_slice_is_the_smallest_that_cures() -> None:
    event = ordered(play(UNDER_WATER))
    assert (event.side, event.quantity, event.limit) == ("sell", Decimal("0.062"), Decimal("44884.00"))
    # a lot costs 5 bp of 45.80 and a fee of 10 bp of what is then paid
    cost = 45.8 * 0.0005 + 45.8 * 0.9995 * 0.001
    assert 5800 - 62 * cost >= 1.05 * maintenance(938)
    assert 5800 - 61 * cost < 1.05 * maintenance(939)
    # 2,839.60 at 5 bp of spread and 10 bp of fee
    per_cost = (maintenance(1000) - maintenance(938)) / (2839.60 * 0.0015)
    assert event.reason == f"releases margin, {per_cost:.4g} USD of maintenance per USD of expected cost"


@pytest.mark.parametrize(
    ("setting", "quantity"),
    [
        ("set slice_share 0.05", "0.05"),
        ("set release_ratio 1.0", "0.015"),  # 82.06 / (5.8827 - 0.06868) = 14.1
        ("list BTC-PERP depth=0.04", "0.04"),
        ("set slice_share 0.00001", "0.001"),
        ("set release_ratio 1.0\nalice deposits 79", "0.001"),  # 3.06 are missing, a lot brings 5.81
    ],
)
def test_a_slice_is_bounded_by_share_and_depth(setting: str, quantity: str) -> None:
    assert ordered(play(setting + UNDER_WATER)).quantity == Decimal(quantity)


def test_impact_grows_with_the_root_of_size_over_depth() -> None:
    found = ordered(play("list BTC-PERP depth=2\nset slice_slippage 0.1" + UNDER_WATER))
    assert (found.quantity, found.limit) == (Decimal("0.072"), Decimal("41220.0"))

    def cures(count: int) -> bool:
        cost = 0.0005 + 0.1 * (count / 2000) ** 0.5
        return 5800 - 45.8 * count * (cost + 0.001 * (1 - cost)) >= 1.05 * maintenance(1000 - count)

    assert cures(72)
    assert not cures(71)


def test_what_releases_most_margin_per_cost_goes_first() -> None:
    # ETH is thin: closing it costs impact, so that BTC is sold although both are held
    event = ordered(
        play("""
        list     ETH-PERP depth=30
        alice    deposits 19_000
        bob      deposits 900_000
        BTC-PERP marks 50_000, ETH-PERP marks 2_000
        alice    buys 1 BTC-PERP at 50_000 from bob
        alice    buys 25 ETH-PERP at 2_000 from bob
        BTC-PERP marks 46_500, ETH-PERP marks 1_860
        """)
    )
    assert event.instrument == "crossmargin:BTC/USDC:USDC"


def test_a_short_is_bought_back() -> None:
    story = play("""
        alice    deposits 10_000
        bob      deposits 90_000
        dave     deposits 90_000
        BTC-PERP marks 50_000
        alice    sells 1 BTC-PERP at 50_000 to bob
        BTC-PERP marks 53_500
    """)
    event = ordered(story)
    assert (event.side, event.limit) == ("buy", Decimal("54570.00"))
    cost = 53.5 * 0.0005 + 53.5 * 1.0005 * 0.001
    lots = int(event.quantity * 1000)
    assert 6500 - lots * cost >= 1.05 * maintenance(1000 - lots, "53_500")
    assert 6500 - (lots - 1) * cost < 1.05 * maintenance(1001 - lots, "53_500")
    assert fill(story, "dave", "0.098", "54570.01") == "OUTSIDE_LIMIT"
    assert fill(story, "dave", "0.098", "0") == "OUTSIDE_LIMIT"
    assert fill(story, "dave", "0.001", "54570") == ""
    assert fill(story, "dave", "0.097", "53600") == ""
    # 97 lots were sold at 50,000 and cost 53,600, one cost 54,570; the fee is 0.1 % of 5,253.77
    go_on(story, "expect alice balance 9_640.98")
    go_on(story, "expect fees balance 5.25")
    assert story.engine.state.accounts["alice"].state == "MARGIN_CALL"


def test_every_refusal_of_a_fill() -> None:
    story = play(
        """
        fund     deposits 1_000
        poor     deposits 1
        full     deposits 7_400
        carol    deposits 3_850
        erin     deposits 7_600
        whale    deposits 900_000
        BTC-PERP marks 50_000, ETH-PERP marks 2_000
        alice    deposits 1
        alice    opens alice.sub isolated
        carol    buys 10 ETH-PERP at 2_000 from whale
        erin     buys 20 ETH-PERP at 2_000 from whale
        erin     sells 0.003 BTC-PERP at 50_000 to whale
        """
        + UNDER_WATER.replace("10_000", "9_999")
        + "ETH-PERP marks 1_950\nfull buys 1 BTC-PERP at 45_800 from bob"
    )
    state = story.engine.state
    assert {name: state.accounts[name].state for name in ("carol", "erin", "dave")} == {
        "carol": "MARGIN_CALL",
        "erin": "MARGIN_CALL",
        "dave": "HEALTHY",
    }
    assert fill(story, "dave", "0.01", "45700", account="bob") == "UNKNOWN_LIQUIDATION"
    assert fill(story, "dave", "0.0005", "45700") == "MALFORMED"
    assert fill(story, "dave", "-0.01", "45700") == "MALFORMED"
    assert fill(story, "nobody", "0.01", "45700") == "UNKNOWN_ACCOUNT"
    assert fill(story, "carol", "0.01", "45700") == "ACCOUNT_STATE"
    assert fill(story, "erin", "0.01", "45700") == "ACCOUNT_STATE"
    assert fill(story, "alice.sub", "0.01", "45700") == "SELF_TRADE"
    assert fill(story, "poor", "0.01", "45700") == "INSUFFICIENT_MARGIN"
    assert fill(story, "full", "0.03", "45800") == "INSUFFICIENT_MARGIN"
    assert fill(story, "dave", "0.063", "45700") == "OUTSIDE_LIMIT"
    assert fill(story, "dave", "0.01", "44883.99") == "OUTSIDE_LIMIT"
    assert fill(story, "dave", "0.01", "44884") == ""
    # who is in a margin call may take what brings him nearer to zero
    assert fill(story, "erin", "0.003", "45700") == ""
    go_on(story, "halt")
    assert fill(story, "dave", "0.01", "45700") == "HALTED_RISK_REDUCTION_ONLY"
    go_on(story, "resume")
    assert fill(story, "dave", "0.01", "45700") == ""


def test_a_fill_that_leaves_less_ratio_than_before_is_refused() -> None:
    # equity 12.67 % of notional: a lot sold 20 % below the mark takes more than it releases
    story = play("set slice_slippage 0.2" + UNDER_WATER)
    assert fill(story, "dave", "0.059", "37000") == "WORSENS_HEALTH"
    assert fill(story, "dave", "0.059", "45700") == ""


def test_a_fill_may_leave_part_of_the_order_open() -> None:
    story = play(UNDER_WATER)
    assert fill(story, "dave", "0.001", "45800") == ""
    order = story.engine.state.liquidations["alice"].order
    assert order is not None
    assert order.lots == -61
    # 82.06 are missing, a lot brings 5.84: fifteen lots end the liquidation, with 47 of the order unfilled
    assert fill(story, "dave", "0.013", "45800") == ""
    assert set(story.engine.state.liquidations) == {"alice"}
    assert fill(story, "dave", "0.001", "45800") == ""
    assert story.engine.state.liquidations == {}
    assert [event for event in story.events if type(event).__name__ == "LiquidationEnded"][-1].outcome == "healthy"


def test_the_fee_takes_at_most_what_the_account_is_worth() -> None:
    # 1,000 are left at 42,000; 3 % of it would be 1,260
    story = play(
        'set takeover_ratio 0.01\nset half_spread 0.0\nset liquidation_fee "0.03"\nset slice_share 1.0\n'
        + UNDER_WATER.replace("10_000", "9_000").replace("45_800", "42_000")
    )
    assert ordered(story).quantity == 1
    assert fill(story, "dave", "1", "42000") == ""
    go_on(story, "expect fees balance 1_000")
    go_on(story, "expect alice balance 0")


def test_an_account_that_is_healthy_is_not_liquidated_whatever_is_on_record() -> None:
    story = play(UNDER_WATER)
    house = story.engine._house
    # a record that no command leaves behind: money came, and nobody looked at the account
    story.engine.state.ledger.balances["alice"]["USDC"] += 10**9
    house.exposures.account_changed("alice")
    command = ask.FillLiquidation(
        id="x", account="alice", counterparty="dave", quantity=Decimal("0.01"), price=Decimal(45_800)
    )
    found = liquidation.fill(house, command)
    assert found is not None
    assert found.reason is Refusal.NOT_LIQUIDATABLE
    house.state.liquidations["alice"].auction_from_ns = 0
    found = liquidation.bid(house, ask.BidAuction(id="y", account="alice", bidder="dave"))
    assert found is not None
    assert found.reason is Refusal.NOT_LIQUIDATABLE


def test_what_is_said_of_a_liquidation() -> None:
    story = play(UNDER_WATER)
    assert fill(story, "dave", "0.02", "45700") == ""
    said = {type(event).__name__: event for event in story.events}
    assert (said["Liquidated"].quantity, said["Liquidated"].price) == (Decimal("0.02"), 45_700)
    # 0.1 % of 914
    assert said["Liquidated"].fee == Decimal("0.914")
    assert said["Traded"].reason == "liquidation"
    assert said["Traded"].seller == "alice"
    fees = [event for event in story.events if isinstance(event, BalanceChanged) and event.account == "alice"]
    assert (fees[-1].reason, fees[-1].change) == ("liquidation fee", Decimal("-0.914"))
    # at the mark, for the window of the breakers
    assert story.engine.state.liquidated == [(0, Decimal("916.00"))]


def test_orders_go_first_and_may_be_all_that_was_wrong() -> None:
    story = play(
        UNDER_WATER.replace(
            "BTC-PERP marks 45_800", "alice orders o1 buy 0.01 BTC-PERP at 49_000\nBTC-PERP marks 45_800"
        )
    )
    (cancelled,) = [event for event in story.events if isinstance(event, OrderCancelled)]
    assert (cancelled.order, cancelled.reason) == ("o1", "liquidation")
    names = [type(event).__name__ for event in story.events]
    assert names.index("LiquidationStarted") < names.index("OrderCancelled") < names.index("LiquidationOrdered")


def test_too_much_liquidated_in_a_window_halts() -> None:
    story = play("set breakers.liquidated_notional 915.99" + UNDER_WATER)
    assert fill(story, "dave", "0.02", "45700") == ""
    assert story.engine.state.halt is not None
    assert story.engine.state.halt.breaker == "LIQUIDATED_NOTIONAL"


def test_a_fee_in_coin_is_bounded_by_what_the_account_is_worth_in_coin() -> None:
    story = play("""
        set      takeover_ratio 0.01
        set      half_spread 0.0
        set      liquidation_fee "0.03"
        set      slice_share 1.0
        list     x:BTC/USD:BTC contract_size=100 lot_size=1
        BTC index 50_000
        alice    deposits 0.2 BTC
        bob      deposits 20 BTC
        dave     deposits 20 BTC
        x:BTC/USD:BTC marks 50_000
        alice    buys 500 x:BTC/USD:BTC at 50_000 from bob
        x:BTC/USD:BTC marks 42_500
    """)
    # 1 BTC bought with 0.2: at 42,500 it has cost 0.17647059, and 0.02352941 are left; 3 % of 1.176 would be 0.0353
    assert ordered(story).quantity == 500
    assert fill(story, "dave", "500", "42500") == ""
    fee = [event for event in story.events if type(event).__name__ == "Liquidated"][-1].fee
    assert abs(fee - Decimal("0.02352941")) <= Decimal("0.00000001")
    assert 0 <= story.engine.state.ledger.balance("alice", "BTC") <= 1


def test_a_fee_can_make_a_fill_worse() -> None:
    # 10 % of fee: a lot of 45.80 takes 4.58 and 5.88 of requirement with it, at 98.6 % of which the ratio still rises;
    # 13 % take more than that
    for fee, reason in (("0.10", ""), ("0.13", "WORSENS_HEALTH")):
        story = play(UNDER_WATER)
        go_on(story, f'set liquidation_fee "{fee}"')
        assert fill(story, "dave", "0.01", "45800") == reason


@pytest.mark.parametrize(
    ("verb", "side", "mark", "limit"), [("buys", "sell", 458, "448.84"), ("sells", "buy", 535, "545.70")]
)
def test_a_single_lot_is_liquidated_like_any_other(verb: str, side: str, mark: int, limit: str) -> None:
    # one lot of one coin at 500 with 100: at 458 and at 535 less than 12.8 % is left
    story = play(f"""
        list     BTC-PERP lot_size=1
        alice    deposits 100
        bob      deposits 90_000
        dave     deposits 90_000
        BTC-PERP marks 500
        alice    {verb} 1 BTC-PERP at 500 from bob
        BTC-PERP marks {mark}
    """)
    event = ordered(story)
    assert (event.side, event.quantity, event.limit) == (side, 1, Decimal(limit))
    assert fill(story, "dave", "1", str(mark)) == ""
    go_on(story, "expect alice position BTC-PERP 0", f"expect dave position BTC-PERP {1 if verb == 'buys' else -1}")
    assert story.engine.state.liquidations == {}


def test_an_order_stays_open_for_its_last_lot() -> None:
    # three lots cure; after two of them the third is still asked for
    story = play("set slice_share 0.00201" + UNDER_WATER)
    assert ordered(story).quantity == Decimal("0.003")
    assert fill(story, "dave", "0.002", "45800") == ""
    order = story.engine.state.liquidations["alice"].order
    assert order is not None
    assert order.lots == -1
    assert fill(story, "dave", "0.001", "45800") == ""
    assert story.engine.state.liquidations["alice"].order is None


@pytest.mark.parametrize(("mark", "auctioned"), [("25_000", False), ("40_000", False), ("40_000.5", True)])
def test_what_is_worth_nothing_is_not_auctioned(mark: str, auctioned: bool) -> None:
    # 10,000 of collateral, lost at 40,000
    story = play("set auction_duration_ns 60000000000" + UNDER_WATER.replace("45_800", mark))
    names = [type(event).__name__ for event in story.events]
    assert ("AuctionStarted" in names) == auctioned
    go_on(story, f"expect alice position BTC-PERP {int(auctioned)}")


def test_liquidations_go_on_by_name_whoever_came_first() -> None:
    story = play("""
        set      slice_interval_ns 1000000000
        zoe      deposits 9_700
        ann      deposits 10_000
        bob      deposits 900_000
        BTC-PERP marks 50_000
        zoe      buys 1 BTC-PERP at 50_000 from bob
        ann      buys 1 BTC-PERP at 50_000 from bob
        BTC-PERP marks 46_100
        BTC-PERP marks 45_800
    """)
    assert list(story.engine.state.liquidations) == ["zoe", "ann"]
    go_on(story, "1s passes")
    assert [event.account for event in story.last if isinstance(event, LiquidationOrdered)] == ["ann", "zoe"]
