import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin import InputError, MarketDataError
from crossmargin.market.quality import Quote, QuoteRules, Treatment, judge
from crossmargin.market.snapshot import Price, Quality

SECOND = 1_000_000_000
NOW = 10_000 * SECOND
RULES = QuoteRules(max_age_ns=60 * SECOND, max_jump=0.1)


@pytest.mark.parametrize(
    ("quote", "quality", "rules"),
    [
        (Quote(subject="x", mark=100.0, bid=99.0, ask=101.0, time_ns=NOW), Quality.GOOD, []),
        (Quote(subject="x", mark=100.0, time_ns=NOW - 60 * SECOND), Quality.GOOD, []),
        (Quote(subject="x", mark=100.0, time_ns=NOW - 61 * SECOND), Quality.STALE, ["stale"]),
        (Quote(subject="x", mark=100.0, bid=100.5, ask=99.5), Quality.BOUND, ["crossed", "outside"]),
        (Quote(subject="x", mark=100.0, bid=101.0), Quality.GOOD, ["outside"]),
        (Quote(subject="x", mark=112.0), Quality.BOUND, ["jumping"]),
        (Quote(subject="x", mark=None, bid=99.0, ask=101.0), Quality.MISSING, ["missing"]),
    ],
)
def test_each_doubt_is_found_and_flagged(quote: Quote, quality: Quality, rules: list[str]) -> None:
    price, findings = judge(quote, NOW, RULES, Price(101.0))
    assert price is not None
    assert price.quality is quality
    assert [finding.rule for finding in findings] == rules


def test_without_mark_or_two_quotes_there_is_no_price() -> None:
    price, findings = judge(Quote(subject="x", mark=None, ask=101.0), NOW, RULES)
    assert price is None
    assert findings[0].treatment == "left out"


def test_the_rules_name_the_treatment() -> None:
    stale = Quote(subject="x", mark=100.0, bid=101.0, ask=102.0, time_ns=0)
    accepting = QuoteRules(max_age_ns=1, stale=Treatment.ACCEPT, outside=Treatment.CLAMP)
    price, findings = judge(stale, NOW, accepting)
    assert price == Price(101.0, Quality.GOOD, 0)
    assert [finding.treatment for finding in findings] == ["accepted", "moved to the nearest quote"]
    with pytest.raises(InputError, match="stale cannot"):
        QuoteRules(stale=Treatment.CLAMP)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 0.0, -1.0])
@pytest.mark.parametrize("name", ["mark", "bid", "ask"])
def test_impossible_numbers_are_refused_at_the_door(name: str, value: float) -> None:
    with pytest.raises(MarketDataError, match=f"{name} must be finite and positive"):
        Quote(subject="x", **({"mark": 1.0} | {name: value}))


def test_a_quote_from_the_future_is_refused() -> None:
    with pytest.raises(MarketDataError, match="no later than its snapshot"):
        judge(Quote(subject="x", mark=1.0, time_ns=NOW + 1), NOW, RULES)


positive = st.floats(1e-6, 1e9)


@given(positive, positive, positive)
def test_a_clamped_mark_lies_between_bid_and_ask_where_they_do_not_cross(mark: float, bid: float, ask: float) -> None:
    price, _ = judge(Quote(subject="x", mark=mark, bid=bid, ask=ask), NOW, QuoteRules(outside=Treatment.CLAMP))
    assert price is not None
    if bid <= ask:
        assert bid <= price.value <= ask
    else:
        assert price.quality is Quality.BOUND
