"""Public functions of methods by name, for facts that are of a piece and not of an account."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from golden_derive import pmrm, pmrm2, srm

from crossmargin.margin import binance_futures, deribit_standard, hyperliquid, mango
from crossmargin.margin.lognormal import lognormal_es, lognormal_risk_factors, lognormal_var
from crossmargin.margin.paradex_rules import minimum_delta_risk
from crossmargin.margin.span import scan_risk
from crossmargin.margin.vega_rules import maintenance_margin

Numbers = dict[str, float]


def deribit_linear(coins: float, price: float, rate: float, slope: float) -> Numbers:
    return {"margin": deribit_standard.futures_margin(coins, price, rate, slope)}


def binance_cross(others: list[dict[str, float]] | None = None, **position: Any) -> Numbers:
    held = [binance_futures.OtherPosition(**other) for other in others or []]
    return {"liquidation price": binance_futures.cross_liquidation_price(**position, others=held)}


def hyperliquid_isolated(dollars: float, coins: float, leverage: float) -> Numbers:
    found = hyperliquid.isolated_liquidation_price(dollars, coins, hyperliquid.maintenance_rate(leverage))
    return {"liquidation price": found}


def hyperliquid_cross(coins: float, side: int, price: float, value: float, notional: float, rate: float) -> Numbers:
    available = value - rate * notional
    return {"liquidation price": hyperliquid.liquidation_price(price, side, coins, available, rate)}


def hyperliquid_borrow(maintenance: float, **token: float) -> Numbers:
    held = hyperliquid.Borrow(**token)
    return {
        "maintenance": hyperliquid.maintenance_requirement(maintenance, held.borrowed * held.price),
        "liquidation value": hyperliquid.liquidation_value(held),
    }


def mango_health(
    balances: dict[str, float], perpetuals: dict[str, float] | None = None, orders: dict[str, list[float]] | None = None
) -> Numbers:
    """Health with the prices, weights and lot of the protocol's own test."""
    terms = {"token1": (1.0, 0.8, 1.2), "token2": (5.0, 0.5, 1.5), "token3": (10.0, 0.5, 1.5)}
    tokens = {
        name: mango.Token(price=price, asset_weight=asset, liability_weight=owed, balance=balances.get(name, 0.0))
        for name, (price, asset, owed) in terms.items()
    }
    lot = {"price": 5.0, "lot_size": 10.0, "base_asset_weight": 0.8, "base_liability_weight": 1.2}
    held = [mango.PerpHolding(**lot, overall_asset_weight=0.95, **perpetuals)] if perpetuals else []
    reserved = [
        mango.ReservedOrders(base=base, quote_reserved=quote, base_reserved=coins)
        for base, (quote, coins) in (orders or {}).items()
    ]
    return {"health": mango.health(tokens, "token1", held, reserved)}


def span_scan(quantities: list[float], arrays: list[list[float]]) -> Numbers:
    return {"scan risk": scan_risk(np.array(quantities), np.array(arrays))}


def lognormal(mu: float, sigma: float, tail: float, long: bool) -> Numbers:
    return {"VaR": lognormal_var(mu, sigma, tail, long=long), "ES": lognormal_es(mu, sigma, tail, long=long)}


def lognormal_factors(**model: float) -> Numbers:
    long, short = lognormal_risk_factors(**model)
    return {"long": long, "short": short}


def vega_maintenance(**position: float) -> Numbers:
    return {"maintenance": maintenance_margin(**position)}


def paradex_minimum_delta(**given: Any) -> Numbers:
    return dataclasses.asdict(minimum_delta_risk(**given))


PIECES: dict[str, Callable[..., Numbers]] = {
    piece.__name__: piece
    for piece in (
        deribit_linear,
        binance_cross,
        hyperliquid_isolated,
        hyperliquid_cross,
        hyperliquid_borrow,
        mango_health,
        span_scan,
        lognormal,
        lognormal_factors,
        vega_maintenance,
        paradex_minimum_delta,
        pmrm,
        pmrm2,
        srm,
    )
}
