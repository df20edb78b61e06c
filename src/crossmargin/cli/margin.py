"""Margin a book."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from crossmargin.cli.app import console, followed, write_json
from crossmargin.cli.clearing import clearing_demo
from crossmargin.cli.inputs import Given, Observed, account_of, given_book
from crossmargin.cli.report import every_method, write_report
from crossmargin.cli.serve import serve_sample
from crossmargin.errors import CrossMarginError, InputError, MarketDataError
from crossmargin.files.parameters import read_parameters
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.margin.comparison import Refusal, answers
from crossmargin.margin.method import Requirement
from crossmargin.margin.methods import DEFAULT_METHOD, method_named
from crossmargin.margin.requirements import each_requirement
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.report.table import (
    comparison_table,
    explanation_tree,
    requirement_record,
    requirements_table,
)

DEFAULT = Observed()


def margin(
    book: Path | None = None,
    *,
    method: str | None = None,
    given: Given = DEFAULT,
    report: Path | None = None,
    json: bool = False,
) -> None:
    """State the margin of every account of BOOK.

    Parameters
    ----------
    book
        Accounts, balances, positions and orders; the embedded sample where not given.
    method
        Margin method of all accounts; by default the one that each names in the book, or scenario_grid.
    report
        Write an HTML report there too.
    json
        Print records instead of a table.
    """
    held, market = given_book(book), given.snapshot()
    groups: dict[str, list[Portfolio]] = {}
    for portfolio in held:
        groups.setdefault(method or held.method_of(portfolio.account), []).append(portfolio)
    answered: dict[str, Requirement] = {}
    for name, accounts in groups.items():
        answered |= {result.account: result for result in _margined(accounts, market, name, given.as_of, quiet=json)}
    results = [answered[portfolio.account] for portfolio in held]
    if report is not None:
        found = every_method(held.portfolios, market, given.as_of, quiet=json)
        title = "sample" if book is None else book.stem
        write_report(report, title, held.portfolios, market, next(iter(groups)), found, given.as_of, quiet=json)
    if json:
        write_json([requirement_record(result) for result in results])
    else:
        console.print(requirements_table(results, console.width))


def _margined(
    held: Sequence[Portfolio], market: MarketSnapshot, method: str, as_of: str | None, *, quiet: bool
) -> list[Requirement]:
    chosen = method_named(method)
    parameters = read_parameters(chosen, as_of)
    asked = each_requirement(held, market, chosen, parameters)
    try:
        return list(followed(asked, "margining", total=len(held), quiet=quiet))
    except (InputError, MarketDataError) as error:
        raise _named(error, answers(held, market, chosen, parameters)) from error


def _named(error: CrossMarginError, found: Sequence[Requirement | Refusal]) -> CrossMarginError:
    """The same error with the accounts that it is about."""
    refused = [answer for answer in found if isinstance(answer, Refusal)]
    if not refused:
        return error
    first = refused[0]
    return InputError(
        f"every account must fit the method, {len(refused)} of {len(found)} do not, the first "
        f"{first.account}: {first.reason}"
    )


def demo(
    *,
    report: Path = Path("crossmargin-demo.html"),
    clearing: bool = False,
    serve: bool = False,
    port: int = 8000,
    json: bool = False,
) -> None:
    """Margin the embedded sample book under every method and write a report; needs no files, keys or network.

    Parameters
    ----------
    report
        Where the report goes.
    clearing
        Walk a default through the whole waterfall instead.
    serve
        Go on with the dashboard on the sample book, for this machine alone, until Ctrl-C; nothing of it is kept.
    port
        Where the dashboard is.
    json
        Print records of every method instead of a table; writes no report.
    """
    if serve and (clearing or json):
        raise InputError("a dashboard follows the table of methods, it does not go with --clearing or --json")
    if clearing:
        clearing_demo(json=json)
        return
    book, market = tuple(sample_book()), sample_market()
    found = every_method(book, market, quiet=json)
    if json:
        write_json([_record(answer) for answers in found.values() for answer in answers])
        return
    console.print(comparison_table(found, console.width))
    write_report(report, "Sample book", book, market, "scenario_grid", found)
    console.print(f"report: {report}", soft_wrap=True)
    if serve:
        serve_sample(port)


def explain(
    account: str,
    *,
    book: Path | None = None,
    method: str = DEFAULT_METHOD,
    given: Given = DEFAULT,
    json: bool = False,
) -> None:
    """Say why ACCOUNT needs what it needs.

    Parameters
    ----------
    account
        Name of the account.
    book
        Its book; the embedded sample where not given.
    method
        Margin method.
    json
        Print a record instead of a tree.
    """
    portfolio, chosen = account_of(book, account), method_named(method)
    parameters = read_parameters(chosen, given.as_of)
    (result,) = each_requirement((portfolio,), given.snapshot(), chosen, parameters)
    if json:
        write_json(requirement_record(result))
    else:
        console.print(explanation_tree(result))


def _record(answer: Requirement | Refusal) -> dict[str, Any]:
    if isinstance(answer, Refusal):
        return {"account": answer.account, "method": answer.method, "refused": answer.reason}
    return requirement_record(answer)
