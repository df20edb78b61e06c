"""One book under several methods; a method that cannot hold an instrument says so by account."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from crossmargin.errors import InputError, MarketDataError
from crossmargin.instruments.contracts import DOLLAR_COINS
from crossmargin.margin.method import Method, P, Parameters, Requirement
from crossmargin.margin.requirements import held_instruments, requirements, risk_for
from crossmargin.margin.venue_accounts import by_venue
from crossmargin.margin.what_if import Change, margin_benefit, moved
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import entered
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import AccountId


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A method's reason for not margining an account."""

    account: AccountId
    method: str
    reason: str


def answers(
    portfolios: Iterable[Portfolio], market: MarketSnapshot, method: Method[P], parameters: P
) -> tuple[Requirement | Refusal, ...]:
    """Return a requirement or a refusal for every portfolio, in the order given.

    The whole book is tried at once; only if that is refused, account by account.
    """
    accounts = tuple(portfolios)
    try:
        return requirements(accounts, market, method, parameters)
    except (InputError, MarketDataError):
        return tuple(_answer(portfolio, market, method, parameters) for portfolio in accounts)


def _answer(portfolio: Portfolio, market: MarketSnapshot, method: Method[P], parameters: P) -> Requirement | Refusal:
    try:
        return requirements((portfolio,), market, method, parameters)[0]
    except (InputError, MarketDataError) as error:
        return Refusal(account=portfolio.account, method=method.name, reason=str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRow:
    """One account, or the part of it that lies at one venue, under one method. USD.

    Attributes
    ----------
    answer
        The requirement, or why there is none.
    distance
        Nearest relative move of all coins alike at which maintenance is hit; None if none within the moves that were
        asked. It is read between those moves, so it is an estimate: `liquidation` finds the exact price.
    benefit
        Sum of the positions alone less the whole; None where a position alone is refused.
    why
        The component of the initial requirement that differs most from the yardstick's, and by how much.
    """

    account: AccountId
    method: str
    answer: Requirement | Refusal
    distance: float | None = None
    benefit: float | None = None
    why: tuple[str, float] | None = None


DISTANCE_MOVES = (-0.5, -0.25, -0.1, 0.1, 0.25, 0.5)


def compared(
    portfolios: Iterable[Portfolio],
    market: MarketSnapshot,
    methods: Iterable[tuple[Method[Any], Parameters]],
    *,
    pool: bool = False,
    yardstick: str = "scenario_grid",
) -> tuple[ComparisonRow, ...]:
    """Return every account under every method, venue by venue unless one `pool` is asked for.

    Rows stand account by account, methods in the order given. A part that a method cannot hold stands in the list
    with its reason.
    """
    books: list[Portfolio] = []
    chosen, rows = list(methods), []
    for portfolio in portfolios:
        try:
            books += _parts(portfolio, pool=pool)
        except InputError as error:
            rows += [
                ComparisonRow(
                    account=portfolio.account,
                    method=method.name,
                    answer=Refusal(
                        account=portfolio.account, method=method.name, reason=f"{error}; or ask for one pool"
                    ),
                )
                for method, _ in chosen
            ]
    names = {item.id for item in held_instruments(books)}
    quoted = replace(market, marks={name: price for name, price in market.marks.items() if name in names})
    coins = [coin for coin in market.index if coin not in DOLLAR_COINS]
    later = {move: moved(quoted, Change(prices=dict.fromkeys(coins, move))) for move in DISTANCE_MOVES}
    columns = {method.name: _column(books, quoted, later, method, parameters) for method, parameters in chosen}
    for place in range(len(books)):
        measure = columns[yardstick][place].answer if yardstick in columns else None
        for method, _ in chosen:
            row = columns[method.name][place]
            rows.append(replace(row, why=_largest_difference(row.answer, measure)))
    return tuple(rows)


def _parts(portfolio: Portfolio, *, pool: bool) -> list[Portfolio]:
    venues = {item.instrument.venue for item in portfolio.positions}
    return [portfolio] if pool or len(venues) <= 1 else list(by_venue(portfolio).values())


def _column(
    books: list[Portfolio],
    market: MarketSnapshot,
    later: Mapping[float, MarketSnapshot],
    method: Method[P],
    parameters: P,
) -> list[ComparisonRow]:
    """Every book under one method, with its distance over the markets of `later` and its benefit."""
    now = answers(books, market, method, parameters)
    held = [book for book, answer in zip(books, now, strict=True) if isinstance(answer, Requirement)]
    cushions: dict[AccountId, dict[float, float]] = {book.account: {} for book in held}
    carried = [entered(book, market) for book in held]
    for move, moved_market in later.items():
        for answer in answers(carried, moved_market, method, parameters):
            if isinstance(answer, Requirement):
                cushions[answer.account][move] = answer.equity - answer.maintenance
    # a method that can hold none of the books may lack what its scenarios need, such as a history
    risk = risk_for(held, market, method, parameters) if held else None
    rows = []
    for book, answer in zip(books, now, strict=True):
        if isinstance(answer, Refusal):
            rows.append(ComparisonRow(account=book.account, method=method.name, answer=answer))
            continue
        line = {**cushions[book.account], 0.0: answer.equity - answer.maintenance}
        rows.append(
            ComparisonRow(
                account=book.account,
                method=method.name,
                answer=answer,
                distance=_distance(line),
                benefit=_benefit(book, market, risk, method, parameters),
            )
        )
    return rows


def _benefit(
    book: Portfolio, market: MarketSnapshot, risk: RiskArray | None, method: Method[P], parameters: P
) -> float | None:
    try:
        return margin_benefit(book, market, risk, method, parameters).benefit
    except InputError:
        return None  # a leg that only a whole may hold


def _distance(cushion: Mapping[float, float]) -> float | None:
    """Nearest change of sign along the moves asked, linear between them."""
    if cushion[0.0] <= 0.0:
        return 0.0
    found = []
    for side in (-1.0, 1.0):
        line = sorted((move for move in cushion if move * side >= 0.0), key=abs)
        for inner, outer in itertools.pairwise(line):
            if cushion[outer] <= 0.0:
                share = cushion[inner] / (cushion[inner] - cushion[outer])
                found.append(inner + share * (outer - inner))
                break
    return min(found, key=abs, default=None)


def _largest_difference(
    answer: Requirement | Refusal, yardstick: Requirement | Refusal | None
) -> tuple[str, float] | None:
    if not (isinstance(answer, Requirement) and isinstance(yardstick, Requirement)) or answer is yardstick:
        return None
    ours: dict[str, float] = {}
    for sign, parts in ((1.0, answer.initial_components), (-1.0, yardstick.initial_components)):
        for part in parts:
            ours[part.name] = ours.get(part.name, 0.0) + sign * part.amount
    name = max(sorted(ours), key=lambda each: abs(ours[each]), default=None)
    return None if name is None or ours[name] == 0.0 else (name, ours[name])
