"""A page of the board: where all accounts and the house stand, in columns.

Figures are written as they are. The roster, which hardly ever changes, is written down and read once, and known again by
its bytes.
"""

from typing import Final

import msgspec
import numpy as np

from crossmargin.engine.state import ALLOWED
from crossmargin.service.standings import Roster, Standings
from crossmargin.service.views import House

STATES: Final = tuple(sorted(ALLOWED))
_NUMBERS: Final = {name: number for number, name in enumerate(STATES)}


class _Page(msgspec.Struct, frozen=True, array_like=True):
    """What is written down; `states` are numbers, a byte each."""

    record: int
    house: House | None = None
    """None where there are no columns as of this record."""
    roster: bytes = b""
    states: bytes = b""
    figures: bytes = b""


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(_Page).decode
_DECODE_ROSTER = msgspec.msgpack.Decoder(tuple[tuple[str, ...], tuple[str, ...]]).decode


class StandingPages:
    """Writes pages, or reads them; remembers the last roster.

    Examples
    --------
    >>> from crossmargin.service.standings import AccountsQuestion
    >>> house = House(time_ns=1, sequence=2, fund="0", halt=None, index=())
    >>> roster = Roster(("alice",), ("scenario_grid",))
    >>> seen = Standings(record=7, house=house, roster=roster, states=("HEALTHY",), figures=np.ones((3, 1)))
    >>> record, read = StandingPages().read(StandingPages().written(seen))
    >>> record, read.accounts(AccountsQuestion(), None)["accounts"][0]["equity"]
    (7, '1.00')
    """

    def __init__(self) -> None:
        self.roster: Roster | None = None
        self._written = b""

    def written(self, seen: Standings) -> bytes:
        """Return the page of what was seen."""
        if seen.roster is not self.roster:
            self.roster, self._written = seen.roster, _ENCODE((seen.roster.names, seen.roster.methods))
        states = bytes([_NUMBERS[each] for each in seen.states])
        figures = np.ascontiguousarray(seen.figures).tobytes()
        return _ENCODE(_Page(seen.record, seen.house, self._written, states, figures))

    def read(self, page: bytes) -> tuple[int, Standings | None]:
        """Return what a page says, and as of which record; None where it says that there is nothing to tell."""
        found = _DECODE(page)
        if found.house is None:
            return found.record, None
        if self.roster is None or found.roster != self._written:
            self.roster, self._written = Roster(*_DECODE_ROSTER(found.roster)), found.roster
        seen = Standings(
            record=found.record,
            house=found.house,
            roster=self.roster,
            states=tuple([STATES[number] for number in found.states]),
            figures=np.frombuffer(found.figures).reshape(3, -1),
        )
        return found.record, seen


def nothing_to_tell(record: int) -> bytes:
    """Return the page that says that there are no columns as of this record."""
    return _ENCODE(_Page(record))
