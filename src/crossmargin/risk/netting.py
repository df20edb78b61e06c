"""Netting sets: which positions may offset each other, and linear positions that net exactly."""

from dataclasses import replace

from crossmargin.portfolio import Portfolio


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
