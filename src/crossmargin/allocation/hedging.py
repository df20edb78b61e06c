"""The trade that lowers the requirement most per unit of cost."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Contract, Future, Payoff, Perpetual
from crossmargin.margin.method import Method, P
from crossmargin.margin.requirements import risk_for
from crossmargin.margin.ring_fence import account_requirement
from crossmargin.margin.what_if import traded
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Order, Portfolio, Side
from crossmargin.units import InstrumentId


@dataclass(frozen=True, slots=True, kw_only=True)
class Hedge:
    """A trade at the mark, what it releases and what it costs. USD."""

    instrument: InstrumentId
    quantity: float
    released: float
    """Excess gained before cost."""
    cost: float

    @property
    def per_cost(self) -> float:
        """Released per unit of cost; infinite where the trade is free."""
        return self.released / self.cost if self.cost > 0.0 else float("inf") if self.released > 0.0 else 0.0


def best_hedges(
    portfolio: Portfolio,
    market: MarketSnapshot,
    method: Method[P],
    parameters: P,
    candidates: Sequence[Contract],
    cost: Callable[[Contract, float], float],
    *,
    largest: float = 1_000_000.0,
) -> tuple[Hedge, ...]:
    """Return for each candidate the size that leaves most excess after cost, the best per cost first.

    Parameters
    ----------
    candidates
        Contracts that may be traded; those that help at no size are left out.
    cost
        USD for trading so many contracts (signed), such as half the spread and the fee.
    largest
        USD of notional up to which sizes are tried.

    Notes
    -----
    Excess is not concave in the size of a trade in general; sizes double from 1/4,096 of `largest`, on both sides, and
    the best is refined by golden section between its neighbours, and cut to whole lots where the contract has lots.
    """
    if not candidates:
        raise InputError("a hedge needs at least one candidate, had none")
    wanted = tuple(Portfolio(account=portfolio.account, orders=(_probe(c, market),)) for c in candidates)
    risk = risk_for((portfolio, *wanted), market, method, parameters)
    now = account_requirement(portfolio, market, risk, method, parameters).excess

    def hedge(contract: Contract, quantity: float) -> Hedge:
        later = account_requirement(traded(portfolio, contract, quantity, market), market, risk, method, parameters)
        return Hedge(
            instrument=contract.id, quantity=quantity, released=later.excess - now, cost=cost(contract, quantity)
        )

    found = []
    for contract in candidates:
        whole = largest / (contract.contract_size_float * _usd_per_unit(contract, market))
        tried = [hedge(contract, sign * whole / 2.0**power) for power in range(13) for sign in (1.0, -1.0)]
        best = max(tried, key=_net)
        if _net(best) > 0.0:
            whole_lots = hedge(contract, _in_lots(contract, _refined(contract, best, hedge).quantity))
            found += [whole_lots] if _net(whole_lots) > 0.0 else []
    return tuple(sorted(found, key=lambda each: (-each.per_cost, each.instrument)))


def _net(hedge: Hedge) -> float:
    return hedge.released - hedge.cost


def _in_lots(contract: Contract, quantity: float) -> float:
    if contract.lot_size is None:
        return quantity
    lot = float(contract.lot_size)
    return math.copysign(math.floor(abs(quantity) / lot + 1e-9) * lot, quantity)


def _refined(contract: Contract, start: Hedge, hedge: Callable[[Contract, float], Hedge]) -> Hedge:
    low, high, share = 0.5 * start.quantity, 2.0 * start.quantity, 0.6180339887498949
    best = start
    for _ in range(40):
        inner, outer = high - share * (high - low), low + share * (high - low)
        first, second = hedge(contract, inner), hedge(contract, outer)
        best = max((best, first, second), key=_net)
        low, high = (low, outer) if _net(first) >= _net(second) else (inner, high)
    return best


def _probe(contract: Contract, market: MarketSnapshot) -> Order:
    return Order(instrument=contract, side=Side.BUY, quantity=1.0, price=max(market.mark_price(contract), 1e-12))


def _usd_per_unit(contract: Contract, market: MarketSnapshot) -> float:
    """USD of underlying per unit of contract size."""
    if isinstance(contract, Perpetual | Future) and contract.payoff is Payoff.INVERSE:
        return market.index_price(contract.quote)
    return market.index_price(contract.base)
