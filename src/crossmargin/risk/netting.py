"""Netting sets: which positions may offset each other, and linear positions that net exactly."""

import math
from collections.abc import Iterable
from dataclasses import replace

from crossmargin.instruments.contracts import Payoff, Perpetual
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio, Position
from crossmargin.units import Currency


def netting_sets(portfolio: Portfolio) -> tuple[tuple[str | None, Portfolio], ...]:
    """Return the cross-margined part of `portfolio` under None, first, then each isolated group by name.

    Balances and open orders belong to the cross-margined part; a group holds its positions and their profit.
    """
    groups = sorted({p.isolated_group for p in portfolio.positions if p.isolated_group is not None})
    if not groups:
        return ((None, portfolio),)
    cross = tuple(p for p in portfolio.positions if p.isolated_group is None)
    return (
        (None, replace(portfolio, positions=cross)),
        *(
            (
                group,
                replace(
                    portfolio,
                    balances=(),
                    orders=(),
                    positions=tuple(p for p in portfolio.positions if p.isolated_group == group),
                ),
            )
            for group in groups
        ),
    )


def linear_exposures(
    positions: Iterable[Position], market: MarketSnapshot
) -> tuple[dict[tuple[Currency, Currency], float], tuple[Position, ...]]:
    """Return the USD exposure of linear perpetuals per underlying and settlement currency, and all other positions.

    A linear perpetual's profit is ``exposure * (price factor - 1) * settlement factor`` with exposure
    ``quantity * size * mark * settlement index``: perpetuals of one coin and settlement currency, whatever their venue
    and mark, are one number, exactly.
    """
    lots: dict[tuple[Currency, Currency], list[float]] = {}
    others = []
    for position in positions:
        contract = position.instrument
        if isinstance(contract, Perpetual) and contract.payoff is Payoff.LINEAR:
            unit = contract.contract_size_float * market.mark_price(contract) * market.index_price(contract.settle)
            lots.setdefault((contract.base, contract.settle), []).append(position.quantity * unit)
        else:
            others.append(position)
    return {key: math.fsum(amounts) for key, amounts in sorted(lots.items())}, tuple(others)
