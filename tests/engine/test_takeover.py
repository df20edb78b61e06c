"""Auctions, backstop providers and close-outs: every refusal and every way in which a liquidation ends."""

from decimal import Decimal

import msgspec
import pytest
from default_stories import BTC, DATED, DEEP, events, go_on

from crossmargin.engine import commands as ask
from crossmargin.engine.events import (
    AuctionStarted,
    BackstopCapReached,
    Deleveraged,
    Drawn,
    LiquidationEnded,
    LiquidationOrdered,
    Refused,
    TakenOver,
    Traded,
)
from crossmargin.engine.parameters import EngineParameters
from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.files.story import Story, play
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin.methods import method_named


def bid(story: Story, bidder: str, account: str = "alice") -> str:
    """Bid; return why it was refused, or nothing."""
    before = story.engine.state_hash()
    (event, *_) = story.do(ask.BidAuction, account=account, bidder=bidder)
    if isinstance(event, Refused):
        assert story.engine.state_hash() == before
        return event.reason
    return ""


def test_every_refusal_of_a_bid() -> None:
    story = play(
        """
        set      auction_duration_ns 60000000000
        whale    deposits 900_000
        carol    deposits 3_850
        poor     deposits 10
        alice    deposits 1
        alice    opens alice.sub isolated
        ETH-PERP marks 2_000
        carol    buys 10 ETH-PERP at 2_000 from whale
        """
        + DEEP.replace("10_000", "9_999")
        + "ETH-PERP marks 1_950"
    )
    assert events(story, AuctionStarted) == [AuctionStarted(account="alice", ends_ns=60 * 10**9)]
    assert story.engine.state.accounts["carol"].state == "MARGIN_CALL"
    assert bid(story, "dave", account="bob") == "UNKNOWN_LIQUIDATION"
    assert bid(story, "nobody") == "UNKNOWN_ACCOUNT"
    assert bid(story, "alice.sub") == "SELF_TRADE"
    assert bid(story, "carol") == "ACCOUNT_STATE"
    assert bid(story, "poor") == "INSUFFICIENT_MARGIN"
    go_on(story, "halt")
    assert bid(story, "dave") == "HALTED_RISK_REDUCTION_ONLY"
    go_on(story, "resume", "30s pass")
    assert bid(story, "dave") == ""
    # half of 2,000 at half time; the position at its mark
    go_on(story, "expect dave balance 91_000", "expect dave position BTC-PERP 1", "expect alice balance 1_000")
    assert events(story, LiquidationEnded)[-1].outcome == "taken over"
    assert bid(story, "dave") == "UNKNOWN_LIQUIDATION"


def test_a_liquidation_in_slices_is_not_for_bids() -> None:
    story = play("set auction_duration_ns 60000000000" + DEEP.replace("42_000", "45_800"))
    assert bid(story, "dave") == "UNKNOWN_LIQUIDATION"


def test_the_first_bid_gets_nothing_and_the_reserve_bounds_the_last() -> None:
    start = "set auction_duration_ns 60000000000\n"
    story = play(start + DEEP)
    assert bid(story, "dave") == ""
    go_on(story, "expect dave balance 90_000", "expect alice balance 2_000")
    story = play(start + 'set auction_largest_share "0.2"' + DEEP)
    go_on(story, "30s pass")
    assert bid(story, "dave") == ""
    go_on(story, "expect dave balance 90_400", "expect alice balance 1_600")


def test_an_auction_that_was_turned_off_is_over() -> None:
    # found dividing by a duration of zero
    story = play("set auction_duration_ns 60000000000" + DEEP)
    go_on(story, "set auction_duration_ns 0")
    assert bid(story, "dave") == ""
    go_on(story, "expect dave balance 92_000", "expect alice balance 0")


def test_an_auction_that_nobody_wants_ends_at_the_backstop() -> None:
    story = play("hlp deposits 50_000\nhlp backstops 100_000\nset auction_duration_ns 60000000000" + DEEP)
    go_on(story, "59s pass")
    assert events(story, TakenOver) == []
    go_on(story, "1s passes")
    assert events(story, TakenOver) == [TakenOver(account="alice", taker="hlp", paid=Decimal(2000))]
    assert len(events(story, AuctionStarted)) == 1


def test_an_account_that_recovers_leaves_its_auction() -> None:
    story = play("set auction_duration_ns 60000000000" + DEEP)
    go_on(story, "BTC-PERP marks 49_000")
    assert story.engine.state.liquidations == {}
    assert bid(story, "dave") == "UNKNOWN_LIQUIDATION"


def test_the_first_provider_that_can_carry_it_takes_it() -> None:
    providers = """
        alice    deposits 1
        a.small  deposits 900_000
        a.small  backstops 41_999.99
        b.poor   deposits 10
        b.poor   backstops 900_000
        c.good   deposits 900_000
        c.good   backstops 42_000
        d.later  deposits 900_000
        d.later  backstops 900_000
    """
    story = play(providers + DEEP.replace("10_000", "9_999"))
    assert events(story, TakenOver) == [TakenOver(account="alice", taker="c.good", paid=Decimal(2000))]
    backstop = story.engine.state.accounts["c.good"].backstop
    assert backstop is not None
    assert (backstop.used, backstop.paid) == (42_000, 2000)
    # its room is used: the next one, larger than what a.small has room for, goes to the next provider
    go_on(
        story,
        "erin deposits 10_800",
        "erin buys 1.2 BTC-PERP at 42_000 from bob",
        "BTC-PERP marks 35_000",
        "expect d.later position BTC-PERP 1.2",
        "expect c.good position BTC-PERP 1",
    )


def test_nobody_backs_his_own_account() -> None:
    story = play(
        """
        alice    deposits 900_000
        alice    backstops 900_000
        alice    opens alice.sub isolated
        alice    transfers 10_000 to alice.sub
        """
        + DEEP.replace("alice    deposits 10_000", "").replace("alice ", "alice.sub ")
    )
    assert events(story, TakenOver) == []
    go_on(story, "expect alice position BTC-PERP 0", "expect alice.sub position BTC-PERP 0")


def test_a_bankrupt_position_goes_to_a_backstop_where_nobody_must_be_deleveraged() -> None:
    story = play(
        """
        fund     deposits 50_000
        alice    deposits 1
        a.poor   deposits 10
        a.poor   backstops 900_000
        b.small  deposits 900_000
        b.small  backstops 29_999.99
        hlp      deposits 900_000
        hlp      backstops 30_000
        later    deposits 900_000
        later    backstops 900_000
        """
        + DEEP.replace("10_000", "9_999").replace("42_000", "30_000")
    )
    # 10,000 are missing, and the fund pays them: bob keeps his position, the provider has alice's at the mark
    go_on(story, "expect fund balance 40_000", "expect bob position BTC-PERP -1", "expect hlp position BTC-PERP 1")
    go_on(story, "expect hlp balance 900_000")
    assert [(event.buyer, event.reason) for event in events(story, Traded)][-1] == ("hlp", "takeover")
    backstop = story.engine.state.accounts["hlp"].backstop
    assert backstop is not None
    assert backstop.used == 30_000
    # the next one finds it full
    go_on(story, "erin deposits 12_000", "erin buys 2 BTC-PERP at 30_000 from bob", "BTC-PERP marks 20_000")
    go_on(story, "expect later position BTC-PERP 2", "expect hlp position BTC-PERP 1")


def test_a_provider_whose_method_cannot_margin_the_contract_is_passed_over() -> None:
    # it margins cash, and needs funding rates for contracts: to ask it raised, and a command that raises halts everybody
    story = play(
        "BTC-PERP marks 50_000\nfund deposits 50_000\nalice deposits 1\nhlp deposits 900_000\nhlp backstops 30_000"
    )
    parameters = msgspec.to_builtins(read_parameters(method_named("paradex_portfolio")))
    story.do(ask.SetMarginParameters, method="paradex_portfolio", parameters=parameters)
    story.do(ask.OpenAccount, account="a.cash", method="paradex_portfolio")
    story.do(ask.Deposit, account="a.cash", asset="USDC", amount=Decimal(900_000))
    story.do(ask.RegisterBackstop, account="a.cash", capacity=Decimal(900_000))
    assert story.engine.state.accounts["a.cash"].backstop is not None
    go_on(story, *DEEP.replace("10_000", "9_999").replace("42_000", "30_000").strip().splitlines())
    go_on(story, "expect hlp position BTC-PERP 1", "expect fund balance 40_000")
    assert story.engine.state.halt is None


def test_a_bankrupt_owner_does_not_take_over_from_himself() -> None:
    story = play(
        """
        fund     deposits 50_000
        alice    deposits 900_000
        alice    backstops 900_000
        alice    opens alice.sub isolated
        alice    transfers 10_000 to alice.sub
        """
        + DEEP.replace("alice    deposits 10_000", "").replace("alice ", "alice.sub ").replace("42_000", "30_000")
    )
    go_on(story, "expect alice position BTC-PERP 0", "expect bob position BTC-PERP 0", "expect fund balance 40_000")


def test_a_backstop_gives_back_what_costs_more_than_its_cap() -> None:
    story = play("hlp deposits 90_000\nhlp backstops 100_000 losing at most 1_000\nset release_ratio 1.0" + DEEP)
    go_on(story, "expect hlp balance 92_000", "BTC-PERP marks 39_000")
    # 2,000 came with it: at 39,000 it has cost 1,000, which is allowed, and a dollar less is not
    assert events(story, BackstopCapReached) == []
    go_on(story, "BTC-PERP marks 38_999", "expect hlp position BTC-PERP 0", "expect bob position BTC-PERP 0")
    assert events(story, BackstopCapReached) == [BackstopCapReached(account="hlp", loss=Decimal(1001))]
    backstop = story.engine.state.accounts["hlp"].backstop
    assert backstop is not None
    assert backstop.taken == {}
    go_on(story, "BTC-PERP marks 30_000")
    assert len(events(story, BackstopCapReached)) == 1


def test_a_backstop_that_sold_on_gives_back_only_what_it_still_has() -> None:
    story = play("hlp deposits 90_000\nhlp backstops 100_000 losing at most 1_000" + DEEP)
    go_on(story, "hlp sells 0.4 BTC-PERP at 42_000 to dave", "BTC-PERP marks 38_000", "expect hlp position BTC-PERP 0")
    go_on(story, "expect dave position BTC-PERP 0.4", "expect bob position BTC-PERP -0.4")
    # and nothing where it has turned
    story = play("hlp deposits 90_000\nhlp backstops 100_000 losing at most 1_000" + DEEP)
    go_on(story, "hlp sells 2 BTC-PERP at 42_000 to dave", "BTC-PERP marks 38_000", "expect hlp position BTC-PERP -1")
    assert len(events(story, BackstopCapReached)) == 1


def test_no_backstop_is_closed_in_a_halt() -> None:
    story = play("hlp deposits 90_000\nhlp backstops 100_000 losing at most 1_000" + DEEP)
    go_on(story, "halt", "BTC-PERP marks 30_000")
    assert events(story, BackstopCapReached) == []
    go_on(story, "resume")
    assert len(events(story, BackstopCapReached)) == 1


def test_slices_are_paced_and_counted() -> None:
    story = play("set max_slices 2\nset slice_interval_ns 10000000000" + DEEP.replace("42_000", "45_800"))
    assert len(events(story, LiquidationOrdered)) == 1
    go_on(story, "9s pass")
    assert len(events(story, LiquidationOrdered)) == 1
    go_on(story, "1s passes")
    assert len(events(story, LiquidationOrdered)) == 2
    # nobody answered twice: it is closed against who stands opposite
    go_on(story, "10s pass", "expect alice position BTC-PERP 0", "expect bob position BTC-PERP 0")
    go_on(story, "expect alice state HEALTHY", "expect alice balance 5_800")
    assert [(event.winner, event.haircut) for event in events(story, Deleveraged)] == [("bob", 0)]


def test_a_liquidation_ends_with_another_in_the_same_moment() -> None:
    # ann's close-out is against zoe, who is under water too and is left with nothing
    story = play("""
        set      max_slices 1
        ann      deposits 10_000
        zoe      deposits 13_000
        bob      deposits 900_000
        BTC-PERP marks 50_000, ETH-PERP marks 2_000
        ann      buys 1 BTC-PERP at 50_000 from zoe
        zoe      buys 15 ETH-PERP at 2_000 from bob
        BTC-PERP marks 45_800, ETH-PERP marks 1_200
    """)
    assert set(story.engine.state.liquidations) == {"ann", "zoe"}
    go_on(story, "5s pass")
    assert story.engine.state.liquidations == {}


def test_closing_stops_where_there_is_no_good_price() -> None:
    story = play("set mark_band 0.05\nset takeover_ratio 0.01" + DEEP.replace("42_000", "45_800"))
    found = story.engine.state.liquidations["alice"]
    assert found.order is not None
    go_on(story, "BTC-PERP mark alone 30_000", "5s pass")
    # at its band a mark moves nobody: no slice helps, and what is left goes at the mark
    assert story.engine.state.accounts["alice"].state in ("HEALTHY", "LIQUIDATING")


def test_the_largest_market_answers_for_a_shortfall() -> None:
    story = play("""
        fund     deposits 90_000
        set      insurance_cap_per_market "5000"
        alice    deposits 30_000
        bob      deposits 900_000
        BTC-PERP marks 50_000, ETH-PERP marks 2_000
        alice    buys 1 BTC-PERP at 50_000 from bob
        alice    buys 30 ETH-PERP at 2_000 from bob
        BTC-PERP marks 30_000, ETH-PERP marks 1_500
    """)
    # 35,000 lost, 5,000 missing: 45,000 of ETH against 30,000 of BTC
    assert story.engine.state.insured_by_market == {"ETH": Decimal(5000)}
    assert [(event.layer, event.amount) for event in events(story, Drawn)] == [("insurance", 5000)]


def test_a_winner_whom_closing_would_put_under_water_is_not_asked_to_pay() -> None:
    # bob is hedged: his short has gained 25,000, his long has lost as much, and without either he needs 3,210
    story = play(f"""
        alice    deposits 40_000
        zed      deposits 90_000
        bob      deposits 20_000
        BTC-PERP marks 50_000, {DATED} marks 50_000
        alice    buys 2 BTC-PERP at 50_000 from zed
        bob      sells 1 BTC-PERP at 50_000 to zed
        bob      buys 1 {DATED} at 50_000 from zed
        bob      withdraws 17_000
        BTC-PERP marks 25_000, {DATED} marks 25_000
        # zed pays all of the 10,000 that are missing; bob's short is torn up, as nobody else stands opposite
        expect   bob balance 28_000
        expect   zed balance 105_000
    """)
    assert [(event.winner, event.quantity, event.haircut) for event in events(story, Deleveraged)] == [
        ("bob", 1, 0),
        ("zed", 1, 10_000),
    ]
    assert story.engine.state.accounts["bob"].state == "LIQUIDATING"
    # selling the naked long is the one slice there is: it is offered, its hedge is gone
    assert events(story, LiquidationOrdered)[-1].instrument == DATED


def test_of_a_hedged_leg_only_what_is_naked_is_sold() -> None:
    # long 1, short 0.9 of another contract: all of the long would leave a naked short, all of the short a naked long
    story = play(f"""
        set      slice_share 1.0
        alice    deposits 20_000
        bob      deposits 900_000
        BTC-PERP marks 50_000, {DATED} marks 50_000
        alice    buys 1 BTC-PERP at 50_000 from bob
        alice    sells 0.9 {DATED} at 50_000 to bob
        alice    withdraws 18_000
        BTC-PERP marks 49_000
    """)
    (event,) = events(story, LiquidationOrdered)
    assert (event.instrument, event.side) == (BTC, "sell")
    assert 0 < event.quantity <= Decimal("0.2")
    go_on(story, f"bob fills alice {event.quantity} at 49_000")
    assert story.engine.state.liquidations == {}


def test_what_has_no_price_pays_no_debt() -> None:
    story = play("alice deposits 1" + DEEP.replace("10_000", "9_999").replace("42_000", "49_000"))
    story.do(ask.ListAsset, asset="DOGE", quantum=Decimal(1))
    story.do(ask.Deposit, account="alice", asset="DOGE", amount=Decimal(10**9))
    go_on(story, "fund deposits 50_000", "BTC-PERP marks 30_000", "expect fund balance 40_000")
    assert story.engine.state.ledger.balance("alice", "DOGE") == 10**9


def test_a_backstop_is_not_measured_on_what_has_expired() -> None:
    story = play("hlp deposits 90_000\nhlp backstops 100_000 losing at most 1_000" + DEEP.replace("BTC-PERP", DATED))
    backstop = story.engine.state.accounts["hlp"].backstop
    assert backstop is not None
    assert set(backstop.taken) == {DATED}
    story.do(ask.AdvanceTime, time_ns=parse_contract(DATED).expiry_ns)
    story.do(ask.UpdateMarket, index={"BTC": (ask.Quote(source="a", price=Decimal(42_000)),)})
    go_on(story, f"{DATED} expires at 41_500")
    # a loss on the way out is his own: no position is left to close
    story.do(ask.UpdateMarket, index={"BTC": (ask.Quote(source="a", price=Decimal(20_000)),)})
    assert events(story, BackstopCapReached) == []
    assert story.unexpected_refusal == ""


def test_a_provider_is_measured_with_what_comes_with_the_account() -> None:
    # 42,000 of BTC need 6,733; 2,000 come with it
    for own, taken in ((4_800, True), (4_700, False), (2_800, False)):
        story = play(f"alice deposits 1\nhlp deposits {own}\nhlp backstops 900_000" + DEEP.replace("10_000", "9_999"))
        assert bool(events(story, TakenOver)) == taken, own
    # and a bidder with the share that is on offer
    story = play("1m passes\nset auction_duration_ns 60000000000\neve deposits 5_800" + DEEP)
    assert bid(story, "eve") == "INSUFFICIENT_MARGIN"
    go_on(story, "15s pass")
    assert bid(story, "eve") == "INSUFFICIENT_MARGIN"
    go_on(story, "15s pass")
    assert bid(story, "eve") == ""
    go_on(story, "expect eve balance 6_800")


def test_no_slice_is_offered_that_does_not_help() -> None:
    # a fee above what a slice releases: it is handed over at once
    story = play(
        'set liquidation_fee "0.2"\nhlp deposits 90_000\nhlp backstops 900_000' + DEEP.replace("42_000", "45_800")
    )
    assert events(story, LiquidationOrdered) == []
    assert [event.taker for event in events(story, TakenOver)] == ["hlp"]


def test_settings_that_no_default_could_be_paid_with_are_refused() -> None:
    story = play("alice deposits 1")
    for setting, reason in (("money XYZ", "UNKNOWN_ASSET"), ('house_cap "0.0000001"', "MALFORMED")):
        go_on(story, f"set {setting}")
        assert [event.reason for event in story.last if isinstance(event, Refused)] == [reason]
        story.settings.pop(setting.split()[0])
        story.unexpected_refusal = ""
    for name in ("house_cap", "insurance_cap_per_market", "withdrawal_limit", "max_credit_line"):
        assert getattr(EngineParameters(**{name: Decimal(0)}), name) == 0
        for amount in ("NaN", "-1"):
            with pytest.raises(InputError, match=f"{name} must not be negative"):
                EngineParameters(**{name: Decimal(amount)})


def test_a_backstop_gives_back_a_single_lot() -> None:
    story = play("list BTC-PERP lot_size=1\nhlp deposits 90_000\nhlp backstops 100_000 losing at most 1_000" + DEEP)
    go_on(story, "expect hlp position BTC-PERP 1", "BTC-PERP marks 38_999", "expect hlp position BTC-PERP 0")
    assert events(story, BackstopCapReached) == [BackstopCapReached(account="hlp", loss=Decimal(1001))]
