"""Who could hurt us, and how much: exposure per counterparty, and the size of a default fund against stress."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import DOLLAR_COINS
from crossmargin.margin.stress_test import StressResult
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import usd_value
from crossmargin.units import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What is at stake with one counterparty, in USD."""

    name: str
    amount: float
    share: float
    """Of all exposures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FundSize:
    """Loss beyond margin of the worst members together, and in which scenario."""

    amount: float
    scenario: int
    members: tuple[str, ...]


def concentration(amounts: Mapping[str, float]) -> tuple[tuple[Exposure, ...], float]:
    """Return exposures from the largest, and their Herfindahl index (the sum of squared shares).

    Examples
    --------
    >>> concentration({"a": 30.0, "b": 10.0})[1]
    0.625
    """
    if any(not np.isfinite(amount) or amount < 0.0 for amount in amounts.values()):
        raise InputError("exposures must be finite and not negative")
    total = sum(amounts[name] for name in sorted(amounts))
    rows = tuple(
        Exposure(name=name, amount=amounts[name], share=amounts[name] / total if total else 0.0)
        for name in sorted(amounts, key=lambda key: (-amounts[key], key))
    )
    return rows, sum(row.share**2 for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterparty:
    """One account as the house sees it, in USD.

    Attributes
    ----------
    posted
        Equity that pays before anybody else does.
    stress, loss
        The one that is worst for the house, and what is lost in it, the cost of closing included.
    loss_given_default
        What `posted` does not pay of it.
    """

    name: str
    exposure: float
    initial: float
    posted: float
    stress: str
    loss: float
    loss_given_default: float


def without_excess(portfolio: Portfolio, market: MarketSnapshot, excess: float) -> Portfolio:
    """Return the account after it has withdrawn `excess` USD, as far as its balances of dollars and dollar coins go.

    Coins stay: they may be what hedges its positions.
    """
    balances, left = [], max(excess, 0.0)
    for balance in portfolio.balances:
        taken = 0.0
        if balance.currency in DOLLAR_COINS and balance.amount > 0.0:
            price = usd_value({balance.currency: 1.0}, market)
            taken = min(left / price, balance.amount)
            left -= taken * price
        balances.append(replace(balance, amount=balance.amount - taken))
    return replace(portfolio, balances=tuple(balances))


def counterparties(
    results: Sequence[Sequence[StressResult]], initial: Sequence[float], exposure: Sequence[float]
) -> tuple[tuple[Counterparty, ...], FloatArray]:
    """Return each account in its worst stress, and what all would owe beyond what they posted in every stress.

    Parameters
    ----------
    results
        Per account, its result in each stress, in the same order for all.
    initial, exposure
        Per account: requirement, and what it stands for (USD of underlying).

    Returns
    -------
    counterparties, array of shape (n_accounts, n_stresses)
    """
    pnl = np.array([[each.pnl - each.closing_cost for each in account] for account in results])
    posted = np.array([account[0].equity for account in results])
    beyond = losses_beyond_margin(pnl, posted)
    rows = []
    for place, account in enumerate(results):
        worst = int(np.argmin(pnl[place]))
        row = Counterparty(
            name=account[0].account,
            exposure=exposure[place],
            initial=initial[place],
            posted=float(posted[place]),
            stress=account[worst].stress,
            loss=float(max(-pnl[place, worst], 0.0)),
            loss_given_default=float(beyond[place, worst]),
        )
        rows.append(row)
    return tuple(rows), beyond


def losses_beyond_margin(pnl: FloatArray, margin: FloatArray) -> FloatArray:
    """Return what each member would owe beyond its margin in each scenario; never negative.

    Parameters
    ----------
    pnl : array of shape (n_members, n_scenarios)
        Profit (> 0) or loss (< 0) of each member's book in USD.
    margin : array of shape (n_members,)
        What each member has posted, contribution not counted.
    """
    if pnl.ndim != 2 or margin.shape != (pnl.shape[0],):
        raise InputError(f"profits must be members by scenarios, were {pnl.shape} against {margin.shape} margins")
    return np.asarray(np.maximum(-pnl - margin[:, None], 0.0))


def cover(names: tuple[str, ...], beyond: FloatArray, count: int) -> FundSize:
    """Return the size of a fund that covers the default of the `count` worst members at once: cover-1, cover-2.

    For each scenario the `count` largest losses beyond margin are added; the fund covers the worst scenario
    (CPMI-IOSCO, Principles for financial market infrastructures, April 2012, principle 4).

    Examples
    --------
    >>> cover(("a", "b", "c"), np.array([[5.0, 0.0], [4.0, 8.0], [3.0, 0.0]]), 2)
    FundSize(amount=9.0, scenario=0, members=('a', 'b'))
    """
    if not 1 <= count <= len(names) or beyond.shape[0] != len(names):
        raise InputError(f"cover needs between 1 and {beyond.shape[0]} members, was {count} of {len(names)}")
    order = np.argsort(-beyond, axis=0, kind="stable")[:count]
    sums = np.take_along_axis(beyond, order, axis=0).sum(axis=0)
    worst = int(np.argmax(sums))
    members = tuple(names[place] for place in order[:, worst])
    return FundSize(amount=float(sums[worst]), scenario=worst, members=members)
