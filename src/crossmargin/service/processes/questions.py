"""What a worker answers: its routes, each of which reads a request and looks at what the boards say at that moment."""

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.service.processes.board import Board
from crossmargin.service.processes.market_pages import told
from crossmargin.service.processes.plain_requests import NotPlain, PlainRequest
from crossmargin.service.processes.standing_pages import StandingPages
from crossmargin.service.standings import AccountsQuestion, Own, Standings
from crossmargin.service.stateless import CompareQuestion, MarginQuestion, RiskArrays, compare_answer, margin_answer

Answer = Callable[[Own | None], Any]
"""Gives the answer's record to whoever may see these accounts; None are all."""
T = TypeVar("T")


class Behind(Exception):  # noqa: N818  (a state, not a fault)
    """The columns are older than what has been acknowledged; ask again as soon as they are not."""


class Seen:
    """What the boards say, each page read once."""

    def __init__(self, market: Board, standings: Board) -> None:
        self._market_board, self._standings_board = market, standings
        self._market_page = self._standings_page = 0
        self._market: MarketSnapshot | None = None
        self._pages = StandingPages()
        self._record = -1
        self._standings: Standings | None = None
        self.arrays = RiskArrays()

    @property
    def due(self) -> int:
        """The record at which columns must stand from now on: no answer says less than an earlier one of anybody's."""
        return self._standings_board.due

    def market(self) -> MarketSnapshot | None:
        """Return the market that is up now; None where the engine's process has none for us."""
        if self._market_board.number != self._market_page:
            page = self._market_board.read()
            seen = told(page.content) if page.content else None
            self._market_page, self._market = page.number, None if seen is None else seen.market
            if seen is not None:
                self.arrays.begin(seen.market, seen.arrays)
        return self._market

    def standings(self, due: int) -> Standings:
        """Return where accounts stand, at the record `due` or later.

        Raises
        ------
        Behind
            If that is not up yet.
        NotPlain
            If the engine's process has none for us.
        """
        if self._standings_board.number != self._standings_page:
            page = self._standings_board.read()
            self._record, self._standings = self._pages.read(page.content)
            self._standings_page = page.number
        if self._record < due:
            raise Behind
        if self._standings is None:
            raise NotPlain
        return self._standings


Route = Callable[[PlainRequest, Seen, int], Answer]
"""Reads a request; the number is the record that is due."""


def _margin(asked: PlainRequest, seen: Seen, _: int) -> Answer:
    question, market = _decoded(_MARGIN.decode, asked), _there(seen.market())
    return lambda _: margin_answer(question, market, seen.arrays)


def _compare(asked: PlainRequest, seen: Seen, _: int) -> Answer:
    question, market = _decoded(_COMPARE.decode, asked), _there(seen.market())
    return lambda _: compare_answer(question, market)


def _overview(asked: PlainRequest, seen: Seen, due: int) -> Answer:
    if b"?" in asked.target:
        raise NotPlain
    standings = seen.standings(due)
    return lambda _: standings.overview()


def _accounts(asked: PlainRequest, seen: Seen, due: int) -> Answer:
    question, standings = _accounts_question(asked.target.partition(b"?")[2]), seen.standings(due)
    return lambda own: standings.accounts(question, own)


_MARGIN, _COMPARE = msgspec.json.Decoder(MarginQuestion), msgspec.json.Decoder(CompareQuestion)
_QUERY = re.compile(
    r"(?:(?:limit=(?:[1-9][0-9]{0,2}|1000)|cursor=[A-Za-z][A-Za-z0-9._/-]*|state=[A-Z_]+)(?:&(?=.)|$))*"
)
ROUTES: Final[dict[tuple[bytes, bytes], Route]] = {
    (b"POST", b"/api/v1/margin"): _margin,
    (b"POST", b"/api/v1/compare"): _compare,
    (b"GET", b"/api/v1/overview"): _overview,
    (b"GET", b"/api/v1/accounts"): _accounts,
}


def _there(found: T | None) -> T:
    if found is None:
        raise NotPlain
    return found


def _decoded(decode: Callable[[bytes], T], asked: PlainRequest) -> T:
    if b"?" in asked.target:
        raise NotPlain
    try:
        return decode(asked.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotPlain from error


def _accounts_question(query: bytes) -> AccountsQuestion:
    """Return what a query in its plainest form asks for; how others are read, the engine's process knows."""
    text = query.decode("ascii")
    found = parse_qsl(text)
    said = dict(found)
    if not _QUERY.fullmatch(text) or len(said) < len(found):
        raise NotPlain
    return AccountsQuestion(limit=int(said.get("limit", "100")), cursor=said.get("cursor"), state=said.get("state"))
