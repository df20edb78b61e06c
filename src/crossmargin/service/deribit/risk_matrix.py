"""Deribit's extended risk matrix: ``private/pme/simulate`` (docs.deribit.com, with its response example).

It is Deribit's portfolio margin of a book, whatever method margins the account: parameters, vectors of every position
and pool, and the details of each currency's margin. `bucket` counts the nine prices from the lowest, from 1, and
`index` the place in the vector, from 1; the example of the documentation fits that reading.
"""

import math
from collections.abc import Iterable

import msgspec
import numpy as np

from crossmargin.engine.engine import Engine
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.contracts import Contract, Spot
from crossmargin.margin.deribit_portfolio import (
    EXTENDED_MOVES,
    METHOD,
    DeribitPortfolioParameters,
    Pool,
    coin_profit,
    extended_profit,
    pools,
)
from crossmargin.margin.exposure import net_quantities
from crossmargin.margin.requirements import risk_for
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray
from crossmargin.service.deribit.call import Call
from crossmargin.service.deribit.errors import Record, invalid_params
from crossmargin.service.deribit.instruments import amount_of, index_name, name_of
from crossmargin.service.deribit.positions import Margined, counts_dollars
from crossmargin.service.deribit.simulation import Trades, good_market, simulated, simulated_trades

VOLS = 3
"""Vol scenarios per price."""


def simulate(call: Call) -> Record:
    """Return the risk matrix of the caller's positions with simulated ones, in one currency or all (CROSS)."""
    currency = call.params.text("currency").upper()

    def look(engine: Engine) -> tuple[Margined, Trades]:
        if currency != "CROSS":
            call.currency(engine)
        seen = good_market(call, engine)
        return seen, simulated_trades(call, engine, seen)

    seen, trades = call.look(look)
    book = simulated(seen, trades, keep=call.params.flag("add_positions", default=True))
    return matrix_record(book, seen.market, read_parameters(METHOD), currency)


def matrix_record(
    book: Portfolio, market: MarketSnapshot, parameters: DeribitPortfolioParameters, currency: str
) -> Record:
    """Return the extended risk matrix of a book's positions that settle in `currency`, or of all (CROSS)."""
    positions = tuple(
        each
        for each in book.positions
        if currency in ("CROSS", each.instrument.settle) and not isinstance(each.instrument, Spot)
    )
    for each in positions:
        known = each.instrument.base in parameters.pairs and each.instrument.settle in parameters.currencies
        if not known:
            raise invalid_params("currency", f"needs portfolio-margin parameters of {name_of(each.instrument)}")
    own = Portfolio(account=book.account, positions=positions)
    risk = risk_for([own], market, METHOD, parameters)
    found = pools(own, market, risk, parameters) if risk is not None else []
    quantities = net_quantities(positions)
    contracts = {each.instrument.id: each.instrument for each in positions}
    held = [(contracts[name], quantity) for name, quantity in quantities.items() if quantity]
    return {
        "model_params": _model(parameters, market, held),
        "initial_risk_vectors": {} if risk is None else _vectors(held, market, risk, parameters),
        "aggregated_risk_vectors": {
            f"{pool.base}_{pool.settle}".lower(): {
                "standard": pool.standard.tolist(),
                "extended": pool.extended.tolist(),
            }
            for pool in found
        },
        "margins": _margins(found, parameters),
        "portfolio": {
            "currency": {},
            "position": {name_of(contract): _coins(contract, quantity, market) for contract, quantity in held},
        },
        "index_price": {index_name(contract): market.index_price(contract.base) for contract, _ in held},
        "ticker": {
            name_of(contract): {
                "mark_price": market.mark_price(contract),
                "index_price": market.index_price(contract.base),
            }
            for contract, _ in held
        },
    }


def _coins(contract: Contract, quantity: float, market: MarketSnapshot) -> float:
    """Size of a position in coins; the venue takes an inverse future's dollars at the index."""
    amount = amount_of(contract, quantity)
    return amount / market.index_price(contract.base) if counts_dollars(contract) else amount


def _model(
    parameters: DeribitPortfolioParameters, market: MarketSnapshot, held: Iterable[tuple[Contract, float]]
) -> Record:
    pairs = {index_name(contract): parameters.pairs[contract.base] for contract, _ in held}
    return {
        "currency_pair": {name: msgspec.to_builtins(pair) for name, pair in sorted(pairs.items())},
        "currency": {
            name.lower(): {**msgspec.to_builtins(terms), "haircut": parameters.haircuts.get(name, 1.0)}
            for name, terms in sorted(parameters.currencies.items())
        },
        "general": {
            "mm_factor": parameters.mm_factor,
            "buckets_count": parameters.buckets_count,
            "vol_scenarios_count": VOLS,
            "timestamp": market.time_ns // 1_000_000,
        },
    }


def _vectors(
    held: Iterable[tuple[Contract, float]],
    market: MarketSnapshot,
    risk: RiskArray,
    parameters: DeribitPortfolioParameters,
) -> Record:
    """Profits of each position in coin, before damping and offset."""
    moves, found = np.array(EXTENDED_MOVES), {}
    for contract, quantity in held:
        if isinstance(contract, Spot):
            continue
        pair, profit = parameters.pairs[contract.base], quantity * coin_profit(contract, market, risk)
        far = extended_profit(profit[-moves.size :], moves, pair.price_range, pair.extended_table_factor)
        found[name_of(contract)] = {"standard": profit[: -moves.size].tolist(), "extended": far.tolist()}
    return found


def _margins(found: list[Pool], parameters: DeribitPortfolioParameters) -> Record:
    by_currency: dict[str, list[Pool]] = {}
    for pool in found:
        by_currency.setdefault(str(pool.settle), []).append(pool)
    return {name.lower(): _margin(own, parameters) for name, own in sorted(by_currency.items())}


def _margin(own: list[Pool], parameters: DeribitPortfolioParameters) -> Record:
    """Margin of one currency in its coin; the sum over its pools."""
    worst = max(own, key=lambda pool: pool.matrix.worst_case)
    total = math.fsum(pool.matrix.total for pool in own)
    return {
        "initial_margin_details": {
            "risk_matrix_margin_details": {
                "delta_shock": math.fsum(pool.matrix.delta for pool in own),
                "roll_shock": math.fsum(pool.matrix.roll for pool in own),
                "worst_case": math.fsum(pool.matrix.worst_case for pool in own),
                "worst_case_bucket": _bucket(worst),
                "correlation_contingency": 0.0,
            },
            "risk_matrix_margin": total,
            "spot_margin": 0.0,
            "mmp_margin": 0.0,
            "open_orders_margin": 0.0,
        },
        "initial_margin": total,
        "maintenance_margin": parameters.mm_factor * total,
    }


def _bucket(pool: Pool) -> Record | None:
    """Where the worst case lies; None if nothing loses."""
    if not pool.matrix.worst_case:
        return None
    if pool.extended.min() < pool.standard.min():
        place = int(np.argmin(pool.extended))
        side = "left" if EXTENDED_MOVES[place] < 0 else "right"
        return {"bucket": place + 1, "side": side, "source": "extended", "index": place + 1}
    place = int(np.argmin(pool.standard))
    bucket, middle = place // VOLS, pool.standard.size // VOLS // 2
    side = "left" if bucket < middle else "right" if bucket > middle else "center"
    return {"bucket": bucket + 1, "side": side, "source": "standard", "index": place + 1}
