"""What a report shows: one book, one market, a leading method and others beside it."""

from collections.abc import Mapping
from dataclasses import dataclass

from crossmargin.margin.comparison import Refusal
from crossmargin.margin.method import Parameters, Requirement
from crossmargin.margin.profile import AccountProfile
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A book margined.

    Attributes
    ----------
    method
        Name of the leading method, one of `answers`.
    answers
        By method, in the order of `portfolios`.
    profiles
        Under the leading method, in the order of `portfolios`.
    """

    book_name: str
    portfolios: tuple[Portfolio, ...]
    market: MarketSnapshot
    method: str
    parameters: Parameters
    answers: Mapping[str, tuple[Requirement | Refusal, ...]]
    profiles: tuple[AccountProfile | None, ...]
