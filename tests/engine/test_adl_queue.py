"""The places that accounts are told in the queue for deleveraging are those from which the engine takes."""

import msgspec
import pytest
from default_stories import BTC, go_on

from crossmargin.engine.events import Deleveraged
from crossmargin.files.story import play

# alice is long 3 BTC; bob (profit 1 x 25,000, little equity), carol (the same, much equity) and dave (1 x 5,000) are short
BOOK = """
    alice    deposits 60_000
    bob      deposits 30_000
    carol    deposits 900_000
    dave     deposits 30_000
    erin     deposits 900_000
    BTC-PERP marks 50_000
    alice    buys 1 BTC-PERP at 50_000 from carol
    alice    buys 1 BTC-PERP at 50_000 from bob
    BTC-PERP marks 45_000
    erin     buys 1 BTC-PERP at 45_000 from dave
    BTC-PERP marks 30_000
"""


def test_places_are_by_profit_times_leverage_and_longs_stand_apart() -> None:
    engine = play(BOOK).engine
    found = {name: engine.deleveraging_standings(name) for name in ("alice", "bob", "carol", "dave", "erin")}
    # bob: 20,000 profit, 30,000 behind 50,000; dave: 15,000, 30,000 behind 45,000; carol: 20,000, 30,000 behind 920,000
    assert {name: each.place for name in ("bob", "dave", "carol") for each in found[name]} == {
        "bob": 1,
        "dave": 2,
        "carol": 3,
    }
    (bob,) = found["bob"]
    assert (bob.instrument, bob.of, bob.profit) == (BTC, 3, 20_000.0)
    assert bob.leverage == pytest.approx(30_000 / 50_000)
    assert [found[name][0].light for name in ("bob", "dave", "carol")] == [40, 80, 100]
    # who loses does not stand in the queue of his side, and nobody of it wins
    assert [(each.place, each.light, each.of) for each in (*found["alice"], *found["erin"])] == [(None, None, 0)] * 2
    assert found["alice"][0].profit == -40_000.0


def test_the_engine_takes_from_the_first_place() -> None:
    story = play(BOOK)
    parameters = story.engine.state.parameters
    assert "adl" in parameters.layers
    story.engine.state.parameters = msgspec.structs.replace(parameters, adl_policy="queue")
    go_on(story, "BTC-PERP marks 10_000")
    taken = [event for event in story.events if isinstance(event, Deleveraged)]
    assert taken
    assert taken[0].winner == "bob"
