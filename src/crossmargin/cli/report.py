"""Margin a book under every method and write its report."""

from pathlib import Path

from crossmargin.cli.app import followed
from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.margin.comparison import Refusal, answers
from crossmargin.margin.method import Requirement
from crossmargin.margin.methods import METHODS, method_named
from crossmargin.margin.profile import profiles
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.report.page import report_page
from crossmargin.report.study import Study

Answers = dict[str, tuple[Requirement | Refusal, ...]]


def every_method(
    book: tuple[Portfolio, ...], market: MarketSnapshot, as_of: str | None = None, *, quiet: bool = False
) -> Answers:
    """Return the answers of every method for every account."""
    found: Answers = {}
    methods = followed(METHODS.items(), "methods", total=len(METHODS), quiet=quiet)
    for name, method in methods:
        try:
            found[name] = answers(book, market, method, read_parameters(method, as_of))
        except InputError as error:  # no parameters in force
            found[name] = tuple(Refusal(account=p.account, method=name, reason=str(error)) for p in book)
    return found


def write_report(
    path: Path,
    book_name: str,
    book: tuple[Portfolio, ...],
    market: MarketSnapshot,
    method: str,
    found: Answers,
    as_of: str | None = None,
    *,
    quiet: bool = False,
) -> None:
    """Write the report on `book` to `path`, `method` leading."""
    if not path.parent.is_dir():
        raise InputError(f"a report must go into an existing folder, found none at {path.parent}")
    chosen = method_named(method)
    parameters = read_parameters(chosen, as_of)
    steps = profiles(book, market, chosen, parameters)
    page = report_page(
        Study(
            book_name=book_name,
            portfolios=book,
            market=market,
            method=method,
            parameters=parameters,
            answers=found,
            profiles=tuple(followed(steps, "report", total=len(book), quiet=quiet)),
        )
    )
    path.write_text(page, encoding="utf-8")
