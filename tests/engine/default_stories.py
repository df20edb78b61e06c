"""Stories of accounts that fail, as lines to play, and what to read from them afterwards."""

from decimal import Decimal

from crossmargin.engine.events import Drawn
from crossmargin.files.story import Story, _play_line

BTC, ETH = "crossmargin:BTC/USDC:USDC", "crossmargin:ETH/USDC:USDC"
DATED = "crossmargin:BTC/USDC:USDC-261225"
LONG = """
    alice    deposits 20_000
    bob      deposits 90_000
    BTC-PERP marks 50_000
    alice    buys 1 BTC-PERP at 50_000 from bob
"""
SHORT_OF_5000 = LONG + "BTC-PERP marks 25_000"
"""Alice is long one BTC from 50,000 with 20,000: at 25,000 she owes 5,000."""
DEEP = """
    alice    deposits 10_000
    bob      deposits 90_000
    dave     deposits 90_000
    BTC-PERP marks 50_000
    alice    buys 1 BTC-PERP at 50_000 from bob
    BTC-PERP marks 42_000
"""
"""One BTC bought at 50,000 with 10,000: at 42,000 equity is 2,000, less than half of maintenance."""


IN_COIN = """
    list     crossmargin:BTC/USD:BTC contract_size=100
    BTC      index 50_000
    alice    deposits 9_000
    bob      deposits 20 BTC
    crossmargin:BTC/USD:BTC marks 50_000
    alice    buys 500 crossmargin:BTC/USD:BTC at 50_000 from bob
    BTC      index 39_999.97
    crossmargin:BTC/USD:BTC marks 39_999.97
"""
"""50,000 dollars of a contract that pays in bitcoin: 1 at entry, 1.25000094 at the mark."""


def go_on(story: Story, *lines: str) -> None:
    """Play more lines."""
    for line in lines:
        _play_line(story, " ".join(line.split()))


def events(story: Story, kind: type) -> list:
    """Return the events of a kind, in order."""
    return [event for event in story.events if isinstance(event, kind)]


def paid(story: Story) -> list[tuple[str, str, Decimal]]:
    """Return layer, payer and amount of every draw, in order."""
    return [(event.layer, event.payer, event.amount) for event in events(story, Drawn)]
