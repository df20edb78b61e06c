"""The trade that frees most margin for its cost."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import cyclopts

from crossmargin.allocation.hedging import Hedge, best_hedges
from crossmargin.cli.app import console, write_json
from crossmargin.cli.inputs import Given, Observed, account_of
from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.contracts import Contract, Future, Payoff, Perpetual
from crossmargin.instruments.native_names import parse_instrument_name
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin.methods import DEFAULT_METHOD, method_named
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.report.columns import Column, table

DEFAULT = Observed()
MANY = 40
"""More candidates than this take minutes under a rulebook; name them."""


def hedge(
    account: str,
    *,
    among: Annotated[list[str] | None, cyclopts.Parameter(consume_multiple=True)] = None,
    cost_bps: float = 5.0,
    largest: float | None = None,
    book: Path | None = None,
    method: str = DEFAULT_METHOD,
    given: Given = DEFAULT,
    json: bool = False,
) -> None:
    """Find the trade that frees most margin of ACCOUNT per unit of its cost, and the best size of each candidate.

    Parameters
    ----------
    account
        Name of the account.
    among
        Instruments that may be traded. Where not given: what the account holds, and the perpetuals and futures that
        the market quotes on the account's venues in its coins.
    cost_bps
        What a trade costs, in basis points of its notional: fee and half the spread.
    largest
        USD of notional up to which sizes are tried; where not given, twice the account's notional.
    book
        Its book; the embedded sample where not given.
    method
        Margin method.
    json
        Print a list instead of a table.
    """
    if not 0.0 <= cost_bps < 10_000.0:
        raise InputError(f"cost_bps must be inside [0, 10000), was {cost_bps:g}")
    market = given.snapshot()
    portfolio, chosen = account_of(book, account, market), method_named(method)
    candidates = [parse_instrument_name(name) for name in among] if among else _candidates(portfolio, market)
    if len(candidates) > MANY:
        raise InputError(f"a hedge may look among {MANY} instruments, found {len(candidates)}: name some with --among")
    limit = _notional(portfolio, market) if largest is None else largest
    if not 0.0 < limit < float("inf"):
        raise InputError(f"the largest trade must be a positive number of USD, was {limit:g}")
    found = best_hedges(
        portfolio,
        market,
        chosen,
        read_parameters(chosen, given.as_of),
        candidates,
        _cost(market, cost_bps * 1e-4),
        largest=limit,
    )
    if json:
        write_json([_record(each) for each in found])
    elif found:
        columns = (
            Column(heading="trade", cells=[each.instrument for each in found], words=True),
            Column(heading="contracts", cells=[_contracts(each.quantity) for each in found]),
            Column(heading="frees USD", cells=[f"{each.released:,.0f}" for each in found]),
            Column(heading="cost", cells=[f"{each.cost:,.2f}" for each in found]),
            Column(heading="per cost", cells=[f"{each.per_cost:,.1f}" for each in found], importance=1),
        )
        console.print(table(columns, console.width, title=f"{account} · {method}: hedges, the best per cost first"))
    else:
        console.print(f"none of {len(candidates)} instruments frees more margin than its trade costs")


def _candidates(portfolio: Portfolio, market: MarketSnapshot) -> list[Contract]:
    held = {item.instrument.id: item.instrument for item in portfolio.positions}
    venues = {contract.venue for contract in held.values()}
    coins = {contract.underlying for contract in held.values()}
    for name in sorted(market.marks):
        if name in held or name.partition(":")[0] not in venues:
            continue
        contract = parse_contract(name)
        if isinstance(contract, Perpetual | Future) and contract.underlying in coins:
            held[name] = contract
    if not held:
        raise InputError(f"a hedge needs candidates: {portfolio.account} holds no position, name some with --among")
    return list(held.values())


def _notional(portfolio: Portfolio, market: MarketSnapshot) -> float:
    """Twice the USD notional of the account's positions: enough to turn the book around."""
    held = sum(abs(p.quantity) * _usd_per_contract(p.instrument, market) for p in portfolio.positions)
    return 2.0 * held or 1_000_000.0


def _cost(market: MarketSnapshot, fraction: float) -> Callable[[Contract, float], float]:
    return lambda contract, quantity: fraction * abs(quantity) * _usd_per_contract(contract, market)


def _usd_per_contract(contract: Contract, market: MarketSnapshot) -> float:
    inverse = isinstance(contract, Perpetual | Future) and contract.payoff is Payoff.INVERSE
    return contract.contract_size_float * market.index_price(contract.quote if inverse else contract.base)


def _contracts(quantity: float) -> str:
    return f"{quantity:+,.0f}" if abs(quantity) >= 1_000.0 else f"{quantity:+,.4g}"


def _record(found: Hedge) -> dict[str, object]:
    per_cost = found.per_cost
    return {
        "instrument": found.instrument,
        "quantity": found.quantity,
        "released": found.released,
        "cost": found.cost,
        "per_cost": per_cost if per_cost != float("inf") else None,
    }
