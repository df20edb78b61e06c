"""The methods by name. A new venue is a new file in this folder and a line here."""

from typing import Any

from crossmargin.errors import InputError
from crossmargin.margin import (
    binance_futures,
    binance_portfolio,
    bybit_portfolio,
    deribit_portfolio,
    deribit_standard,
    derive_pmrm,
    derive_pmrm2,
    derive_srm,
    drift,
    dydx,
    grappa,
    hyperliquid,
    hyperliquid_portfolio,
    isolated,
    mango,
    okx_multi_currency,
    okx_portfolio,
    paradex_cross,
    paradex_portfolio,
    scenario_grid,
    span,
    span2,
    strategy_based,
    tail_risk,
    tims,
    vega,
)
from crossmargin.margin.method import Method
from crossmargin.units import Venue

METHODS: dict[str, Method[Any]] = {
    method.name: method
    for method in (
        binance_futures.METHOD,
        binance_portfolio.METHOD,
        bybit_portfolio.METHOD,
        deribit_portfolio.METHOD,
        deribit_standard.METHOD,
        derive_pmrm.METHOD,
        derive_pmrm2.METHOD,
        derive_srm.METHOD,
        drift.METHOD,
        dydx.METHOD,
        grappa.METHOD,
        hyperliquid.METHOD,
        hyperliquid_portfolio.METHOD,
        isolated.METHOD,
        mango.METHOD,
        paradex_cross.METHOD,
        paradex_portfolio.METHOD,
        okx_multi_currency.METHOD,
        okx_portfolio.METHOD,
        scenario_grid.METHOD,
        span2.METHOD,
        strategy_based.METHOD,
        span.METHOD,
        tail_risk.METHOD,
        tims.METHOD,
        vega.METHOD,
    )
}

OWN_METHODS = ("isolated", "scenario_grid", "tail_risk")
"""The methods of this project; every other one is a venue's rulebook."""

STANDARD_RULEBOOKS: dict[Venue, str] = {
    Venue("binance"): "binance_futures",
    Venue("bybit"): "bybit_portfolio",
    Venue("deribit"): "deribit_standard",
    Venue("derive"): "derive_srm",
    Venue("drift"): "drift",
    Venue("dydx"): "dydx",
    Venue("hyperliquid"): "hyperliquid",
    Venue("mango"): "mango",
    Venue("okx"): "okx_multi_currency",
    Venue("paradex"): "paradex_cross",
    Venue("vega"): "vega",
}
"""The rulebook under which a venue margins an account that has asked for no other, as far as it is built here."""

DEFAULT_METHOD = "scenario_grid"
"""What an account is margined under if neither it nor anybody says otherwise."""


def method_named(name: str) -> Method[Any]:
    """Return the method called `name`.

    Raises
    ------
    InputError
        If there is none.
    """
    if name not in METHODS:
        raise InputError(f"a method must be one of {', '.join(sorted(METHODS))}, was {name!r}")
    return METHODS[name]
