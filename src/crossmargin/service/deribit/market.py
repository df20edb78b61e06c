"""Deribit's public market methods: currencies, instruments, tickers, books, index prices.

Bids and asks are the open orders that the engine holds; sizes are Deribit's amounts. The time of a ticker is the time
at which its mark was seen, so a stale one shows its age.
"""

import math
from collections.abc import Iterator

import numpy as np
import scipy.special  # noqa: F401  (greeks need it, and whoever asks for the first ones does not wait for it)

from crossmargin.engine.engine import Engine
from crossmargin.errors import MarketDataError
from crossmargin.instruments.contracts import Contract, Future, Option, Payoff, Perpetual
from crossmargin.pricing.black76 import black76
from crossmargin.pricing.greeks import usd_greeks
from crossmargin.pricing.implied_vol import implied_vol
from crossmargin.service.deribit.call import Call
from crossmargin.service.deribit.errors import Record, invalid_params
from crossmargin.service.deribit.history import History, TradeHistory
from crossmargin.service.deribit.instruments import (
    amount_of,
    index_name,
    instrument_record,
    kind_of,
    listed,
    name_of,
    of_currency,
    price_limits,
)
from crossmargin.service.deribit.quotes import Level
from crossmargin.units import USD, years_between

ONE_PERCENT = 0.01
MOST_LEVELS = 10_000


def get_instruments(call: Call) -> list[Record]:
    """Return the contracts of a currency and kind."""
    kind = call.params.kind()
    return call.look(
        lambda engine: [
            instrument_record(engine, contract)
            for contract in _chosen(engine, call.currency(engine, default="any"), kind)
        ]
    )


def get_instrument(call: Call) -> Record:
    """Return one contract."""
    return call.look(lambda engine: instrument_record(engine, call.contract(engine)))


def get_currencies(call: Call) -> list[Record]:
    """Return the assets that are taken on; nothing is withdrawn to a chain from here, so fees are 0."""

    def records(engine: Engine) -> list[Record]:
        return [
            {
                "currency": asset,
                "currency_long": asset,
                "coin_type": asset,
                "network_currency": asset,
                "fee_precision": -int(terms.quantum.normalize().as_tuple().exponent),
                "decimals": -int(terms.quantum.normalize().as_tuple().exponent),
                "withdrawal_fee": 0.0,
                "min_withdrawal_fee": 0.0,
                "network_fee": 0.0,
                "min_confirmations": 0,
                "withdrawal_priorities": [],
                "in_cross_collateral_pool": True,
                "apr": 0.0,
            }
            for asset, terms in sorted(engine.state.assets.items())
        ]

    return call.look(records)


def get_index_price(call: Call) -> Record:
    """Return an index price; it is the estimated delivery price as well."""
    name = call.params.text("index_name")
    base, _, quote = name.upper().partition("_")

    def price(engine: Engine) -> Record:
        found = _index(engine, base, quote)
        if found is None:
            raise invalid_params("index_name", f"must be an index that is known, was {name}")
        return {"index_price": found, "estimated_delivery_price": found}

    return call.look(price)


def get_index_price_names(call: Call) -> list[str]:
    """Return the names of the index prices that listed contracts follow."""
    return call.look(lambda engine: sorted({index_name(contract) for contract in listed(engine)}))


def index_record(engine: Engine, base: str, quote: str) -> Record | None:
    """Return what the channel of an index price says; None where it is not known."""
    found = _index(engine, base, quote)
    if found is None:
        return None
    seen = engine.state.market.index.get(base)
    time_ns = engine.state.time_ns if seen is None else seen.time_ns
    return {"index_name": f"{base}_{quote}".lower(), "price": found, "timestamp": time_ns // 1_000_000}


def ticker(call: Call) -> Record:
    """Return the ticker of a contract."""
    return call.look(lambda engine: ticker_record(engine, call.history, call.contract(engine), call.now_ms))


def get_order_book(call: Call) -> Record:
    """Return the ticker of a contract with its book."""
    depth = call.params.whole("depth", 20, MOST_LEVELS)

    def record(engine: Engine) -> Record:
        contract = call.contract(engine)
        bids, asks = call.history.quotes(engine).book(contract)
        return {
            **ticker_record(engine, call.history, contract, call.now_ms),
            "change_id": engine.state.sequence,
            "bids": [list(level) for level in bids[:depth]],
            "asks": [list(level) for level in asks[:depth]],
        }

    return call.look(record)


def get_book_summary_by_currency(call: Call) -> list[Record]:
    """Return a line for each contract of a currency and kind."""
    kind = call.params.kind()
    return call.look(
        lambda engine: [
            _summary(engine, call, contract) for contract in _chosen(engine, call.currency(engine, default="any"), kind)
        ]
    )


def get_book_summary_by_instrument(call: Call) -> list[Record]:
    """Return the line of one contract, in a list."""
    return call.look(lambda engine: [_summary(engine, call, call.contract(engine))])


def get_contract_size(call: Call) -> Record:
    """Return the size of a contract."""
    return call.look(lambda engine: {"contract_size": float(call.contract(engine).contract_size)})


def _chosen(engine: Engine, currency: str, kind: str | None) -> Iterator[Contract]:
    for contract in listed(engine):
        if of_currency(contract, currency) and kind in (None, kind_of(contract)):
            yield contract


def ticker_record(engine: Engine, history: History, contract: Contract, now_ms: int) -> Record:
    """Return a contract's ticker: mark, index, best quotes, the day's trades, and greeks of an option."""
    standing = history.quotes(engine)
    bids, asks = standing.book(contract)
    mark = engine.mark(contract.id)
    seen = engine.state.market.marks.get(contract.id)
    band = engine.state.parameters.order_band
    lowest, highest = (None, None) if mark is None else price_limits(contract, float(mark), band)
    settled = history.settled.get(contract.id)
    index = _index(engine, contract.base, contract.quote)
    settle_price = _index(engine, contract.settle, USD)
    found: Record = {
        "instrument_name": name_of(contract),
        "timestamp": (engine.state.time_ns if seen is None else seen.time_ns) // 1_000_000,
        "state": "open",
        "stats": _stats(contract, history.day_of_trades(contract.id, now_ms), settle_price),
        "index_price": index,
        "estimated_delivery_price": index,
        "mark_price": None if mark is None else float(mark),
        "last_price": history.last_price(contract.id),
        "settlement_price": settled,
        "min_price": lowest,
        "max_price": highest,
        "open_interest": standing.open_interest(contract),
        "best_bid_price": bids[0][0] if bids else 0.0,
        "best_bid_amount": bids[0][1] if bids else 0.0,
        "best_ask_price": asks[0][0] if asks else 0.0,
        "best_ask_amount": asks[0][1] if asks else 0.0,
    }
    if isinstance(contract, Perpetual):
        rate = history.funding.get(contract.id, 0.0)
        found |= {"current_funding": rate, "funding_8h": rate}
    if isinstance(contract, Option):
        found |= option_record(engine, contract, bids, asks)
    return found


def option_record(engine: Engine, option: Option, bids: list[Level], asks: list[Level]) -> Record:
    """Return what the ticker of an option says besides: vols in percent, and greeks as Deribit counts them.

    Greeks are those of the dollar value by the forward of the expiry: vega and rho per percent, theta per day. Where the
    market is too old to be used they are left out.
    """
    market = engine.market()
    found: Record = {"underlying_index": _underlying_index(engine, option), "interest_rate": 0.0}
    try:
        forward, vol = market.forward(option.base, option.expiry_ns), market.vol(option)
    except MarketDataError:
        return found
    years = max(years_between(market.time_ns, option.expiry_ns), 0.0)
    greeks = usd_greeks(forward, option.strike_float, years, vol, option.is_call)
    step = 1e-4  # of the strike; exercise probability is the slope of the price by the strike
    above, below = (
        float(black76(forward, option.strike_float * (1.0 + sign * step), years, vol, option.is_call))
        for sign in (1.0, -1.0)
    )
    exercised = (below - above) / (2.0 * step * option.strike_float)
    return {
        **found,
        "underlying_price": forward,
        "mark_iv": round(100.0 * vol, 2),
        "bid_iv": _vol_percent(option, bids, forward, years),
        "ask_iv": _vol_percent(option, asks, forward, years),
        "greeks": {
            "delta": round(float(greeks.delta), 5),
            "gamma": round(float(greeks.gamma), 8),
            "vega": round(float(greeks.vega) * ONE_PERCENT, 5),
            "theta": round(float(greeks.theta), 5),
            "rho": round(option.strike_float * years * exercised * ONE_PERCENT, 5),
        },
    }


def _vol_percent(option: Option, levels: list[Level], forward: float, years: float) -> float:
    """Vol of the best quote in percent; 0 where there is no quote, or none that a vol could explain."""
    if not levels:
        return 0.0
    price = levels[0][0] * (forward if option.payoff is Payoff.INVERSE else 1.0)
    try:
        vol = float(implied_vol(price, forward, option.strike_float, years, option.is_call).vol)
    except MarketDataError:
        return 0.0
    return round(100.0 * vol, 2)


def _underlying_index(engine: Engine, option: Option) -> str:
    """Return the future of the same expiry, or Deribit's word for one that is made up."""
    for contract in listed(engine):
        if isinstance(contract, Future) and (contract.base, contract.expiry_ns) == (option.base, option.expiry_ns):
            return name_of(contract)
    pair, expiry = name_of(option).split("-")[:2]
    return f"SYN.{pair}-{expiry}"


def _index(engine: Engine, base: str, quote: str) -> float | None:
    prices = engine.state.market.index
    legs = [1.0 if coin == USD else (float(prices[coin].price) if coin in prices else np.nan) for coin in (base, quote)]
    return None if any(math.isnan(leg) for leg in legs) else legs[0] / legs[1]


def _stats(contract: Contract, trades: list[TradeHistory], settle_price: float | None) -> Record:
    """Sum up a day of trades: volume in coins and in USD, a premium at today's price of its coin."""
    if not trades:
        return {"high": None, "low": None, "price_change": None, "volume": 0.0, "volume_usd": 0.0}
    prices = [float(trade.price) for trade in trades]
    amounts = [amount_of(contract, trade.quantity) for trade in trades]
    turnover = sum(amount * price for amount, price in zip(amounts, prices, strict=True))
    if contract.payoff is Payoff.INVERSE and not isinstance(contract, Option):
        coins, dollars = sum(amount / price for amount, price in zip(amounts, prices, strict=True)), sum(amounts)
    else:
        coins, dollars = sum(amounts), turnover * (settle_price or 0.0)
    return {
        "high": max(prices),
        "low": min(prices),
        "price_change": round(100.0 * (prices[-1] / prices[0] - 1.0), 4) if prices[0] else None,
        "volume": coins,
        "volume_usd": dollars,
    }


def _summary(engine: Engine, call: Call, contract: Contract) -> Record:
    full = ticker_record(engine, call.history, contract, call.now_ms)
    bid, ask = full["best_bid_price"] or None, full["best_ask_price"] or None
    record = instrument_record(engine, contract)
    found: Record = {
        "instrument_name": full["instrument_name"],
        "base_currency": record["base_currency"],
        "quote_currency": record["quote_currency"],
        "creation_timestamp": full["timestamp"],
        "bid_price": bid,
        "ask_price": ask,
        "mid_price": None if bid is None or ask is None else (bid + ask) / 2.0,
        "mark_price": full["mark_price"],
        "last": full["last_price"],
        "high": full["stats"]["high"],
        "low": full["stats"]["low"],
        "price_change": full["stats"]["price_change"],
        "volume": full["stats"]["volume"],
        "volume_usd": full["stats"]["volume_usd"],
        "open_interest": full["open_interest"],
        "estimated_delivery_price": full["estimated_delivery_price"],
    }
    for name in ("underlying_index", "underlying_price", "interest_rate", "mark_iv", "current_funding", "funding_8h"):
        if name in full:
            found[name] = full[name]
    return found
