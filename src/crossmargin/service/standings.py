"""Where all accounts and the house stand at one moment, in columns: what the lists of accounts and the overview need.

The figures are those on which the engine acts, as they are, so that whoever has the columns answers with the same bytes
as whoever has the engine.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from operator import attrgetter

import numpy as np

from crossmargin.engine.book import Health
from crossmargin.engine.engine import Engine
from crossmargin.errors import InputError
from crossmargin.service.views import House, Record, house_of, overview_record, standing_row
from crossmargin.units import FloatArray

CLOSED = "CLOSED"
Own = Callable[[str], bool]
"""Whether an account is among those that whoever asks may see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsQuestion:
    """Which accounts are asked for: in alphabetical order after `cursor`, of one state or of any, so many at once."""

    limit: int = 100
    cursor: str | None = None
    state: str | None = None

    def wanted(self, accounts: Iterable[tuple[str, str]], own: Own | None) -> Iterator[str]:
        """Yield the names that are asked for, of accounts with their states; those of `own` only, None are all."""
        for name, state in accounts:
            after = self.cursor is None or name > self.cursor
            if after and (self.state is None or state == self.state) and (own is None or own(name)):
                yield name

    def page(self, names: Iterable[str], row: Callable[[str], Record]) -> Record:
        """Return the page of `names`, which are wanted and in alphabetical order, with the cursor of the next."""
        found = list(islice(names, self.limit + 1))
        shown = found[: self.limit]
        return {"accounts": [row(name) for name in shown], "next": shown[-1] if len(found) > len(shown) else None}


@dataclass(frozen=True)
class Roster:
    """Accounts in the engine's order, and the method of each."""

    names: tuple[str, ...]
    methods: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.methods):
            raise InputError(f"each account must have a method, {len(self.names)} have {len(self.methods)}")

    @cached_property
    def in_order(self) -> list[str]:
        """The names in alphabetical order."""
        return sorted(self.names)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each account stands in the columns."""
        return {name: place for place, name in enumerate(self.names)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """The columns, as of one record of the journal.

    Parameters
    ----------
    record
        Number of the last record that is in them.
    states
        By account.
    figures : array of shape (3, n_accounts)
        Equity, initial margin and maintenance margin, USD.
    """

    record: int
    house: House
    roster: Roster
    states: tuple[str, ...]
    figures: FloatArray = field(repr=False)

    def __post_init__(self) -> None:
        count = len(self.roster.names)
        if len(self.states) != count or self.figures.shape != (3, count):
            raise InputError(
                f"each account must have a state and three figures, {count} have {len(self.states)} and"
                f" {self.figures.shape}"
            )

    def overview(self) -> Record:
        """Return the state of the whole."""
        is_open = np.array([state != CLOSED for state in self.states], dtype=bool)
        equity, initial, maintenance = self.figures[:, is_open].tolist()
        return overview_record(self.house, states=self.states, equity=equity, initial=initial, maintenance=maintenance)

    def accounts(self, asked: AccountsQuestion, own: Own | None) -> Record:
        """Return a page of accounts."""
        names, places = self.roster.in_order, self.roster.places
        begin = 0 if asked.cursor is None else bisect_right(names, asked.cursor)
        stated = ((name, self.states[places[name]]) for name in islice(names, begin, None))
        return asked.page(asked.wanted(stated, own), self._row)

    def _row(self, name: str) -> Record:
        place = self.roster.places[name]
        equity, initial, maintenance = self.figures[:, place].tolist()
        return standing_row(name, self.states[place], self.roster.methods[place], (equity, initial, maintenance))


@dataclass(frozen=True, slots=True)
class Glance:
    """What is taken of the engine while nothing is applied: no more than that, for everybody else waits meanwhile."""

    record: int
    house: House
    names: tuple[str, ...]
    methods: tuple[str, ...]
    states: tuple[str, ...]
    healths: tuple[Health, ...]

    def standings(self, last: Roster | None = None) -> Standings:
        """Return the columns; their roster is `last`, if that still holds."""
        roster = Roster(self.names, self.methods)
        numbers = chain.from_iterable(map(_FIGURES, self.healths))
        return Standings(
            record=self.record,
            house=self.house,
            roster=last if last is not None and last == roster else roster,
            states=self.states,
            figures=np.fromiter(numbers, dtype=float, count=3 * len(self.names)).reshape(-1, 3).T,
        )


_FIGURES = attrgetter("equity", "initial", "maintenance")


def glance(engine: Engine, sequence: int, record: int) -> Glance:
    """Return where everything stands in `engine`.

    Raises
    ------
    MarketDataError
        If an account cannot be valued for want of a price.
    """
    accounts = engine.state.accounts
    held = accounts.values()
    return Glance(
        record=record,
        house=house_of(engine, sequence),
        names=tuple(accounts),
        methods=tuple([each.method for each in held]),
        states=tuple([each.state for each in held]),
        healths=tuple([engine.health(name) for name in accounts]),
    )
