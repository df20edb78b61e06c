"""One book under several methods; a method that cannot hold an instrument says so by account."""

from collections.abc import Iterable
from dataclasses import dataclass

from crossmargin.errors import InputError, MarketDataError
from crossmargin.margin.method import Method, P, Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
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
