import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin import InputError
from crossmargin.market.index_price import IndexRules, Source, index_price
from crossmargin.market.snapshot import Price, Quality

SECOND = 1_000_000_000
NOW = 100 * SECOND


def said(prices: list[float], time_ns: int = NOW) -> list[Source]:
    return [Source(name=f"venue {place}", price=price, time_ns=time_ns) for place, price in enumerate(prices)]


@st.composite
def honest_with_faulty(draw: st.DrawFn) -> tuple[list[float], list[Source]]:
    honest = draw(st.lists(st.floats(90.0, 110.0), min_size=1, max_size=9))
    anything = st.one_of(st.floats(), st.sampled_from([0.0, 1e-9, 1e9, math.nan, math.inf, -1.0]))
    # n = honest + faulty with faulty <= floor((n - 1) / 2) is the same as faulty < honest
    faulty = draw(st.lists(st.tuples(anything, st.integers(0, 2 * NOW)), max_size=len(honest) - 1))
    sources = said(honest) + [
        Source(name=f"faulty {place}", price=price, time_ns=time_ns) for place, (price, time_ns) in enumerate(faulty)
    ]
    return honest, draw(st.permutations(sources))


@given(honest_with_faulty(), st.floats(1e-6, 10.0))
def test_a_minority_of_arbitrary_sources_cannot_move_the_index_out_of_the_honest_envelope(
    case: tuple[list[float], list[Source]], max_deviation: float
) -> None:
    honest, sources = case
    index = index_price(sources, NOW, IndexRules(max_deviation=max_deviation))
    assert index.price is not None
    assert min(honest) <= index.price.value <= max(honest)
    assert 0.0 < index.confidence <= 1.0


def test_a_mean_would_have_moved() -> None:
    prices = [100.0, 101.0, 99.0, 84.0]  # as on 31 October 2019, one constituent 16 % away
    index = index_price(said(prices), NOW, IndexRules(max_deviation=0.05))
    assert index.price == Price((99.0 + 100.0) / 2, Quality.GOOD, NOW)
    assert index.used == ("venue 0", "venue 1", "venue 2")
    assert [finding.rule for finding in index.findings] == ["outlier"]
    assert sum(prices) / 4 < 97


def test_stale_and_impossible_sources_are_left_out_and_lower_the_confidence() -> None:
    sources = [
        *said([100.0, 101.0]),
        Source(name="old", price=50.0, time_ns=NOW - 11 * SECOND),
        Source(name="broken", price=math.nan, time_ns=NOW),
    ]
    index = index_price(sources, NOW)
    assert [finding.rule for finding in index.findings] == ["stale", "impossible"]
    assert index.confidence == 0.5
    assert index.price is not None
    assert index.price.quality is Quality.BOUND  # two of the three that the rules want


def test_without_any_source_there_is_no_price() -> None:
    assert index_price(said([math.nan]), NOW).price is None
    with pytest.raises(InputError, match="counts once"):
        index_price(said([1.0]) * 2, NOW)
