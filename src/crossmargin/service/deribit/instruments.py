"""Deribit's names, amounts and records of the contracts that an engine has taken on.

Only contracts of the venue ``deribit`` have a Deribit name; others are not shown here. Deribit counts an order or a
position in *amount*: US dollars of an inverse future, coins of everything else. That is contracts times contract size.
"""

import datetime as dt
import functools
import math
import zlib
from collections.abc import Iterator
from decimal import Decimal

from crossmargin.engine.engine import Engine
from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Contract, Future, Option, Payoff, Perpetual, Spot
from crossmargin.instruments.native_grammar import expiry_day
from crossmargin.instruments.native_names import MarketKind, native_name, parse_native
from crossmargin.service.deribit.errors import Record, invalid_params, not_found

FAR_EXPIRY_MS = 32_503_708_800_000
"""What Deribit states as the expiry of a perpetual: 1 January 3000, 08:00 UTC."""
TICK_WHERE_NONE_IS_ON_RECORD = Decimal("0.0001")
"""The engine takes any price; a tick tells clients how to round."""
_FRIDAY = 4
KINDS = ("future", "option", "spot")


def listed(engine: Engine) -> Iterator[Contract]:
    """Yield the contracts that have a Deribit name and have not expired, by id."""
    for name, listing in sorted(engine.state.listings.items()):
        if name.startswith("deribit:") and not listing.expired:
            yield engine.terms(name).contract


@functools.lru_cache(maxsize=65_536)
def name_of(contract: Contract) -> str:
    """Return Deribit's name of a contract.

    Examples
    --------
    >>> name_of(parse_native("deribit", "BTC-27MAR26-100000-C"))
    'BTC-27MAR26-100000-C'
    """
    return native_name(contract)


def contract_named(engine: Engine, name: str) -> Contract:
    """Return the listed contract that Deribit calls `name`.

    Raises
    ------
    DeribitError
        If there is none.
    """
    try:
        found = _parsed(name)
    except InputError as error:
        raise not_found(name) from error
    listing = engine.state.listings.get(found.id)
    if listing is None or listing.expired:
        raise not_found(name)
    return engine.terms(found.id).contract


@functools.lru_cache(maxsize=65_536)
def _parsed(name: str) -> Contract:
    pair, dash, _ = name.partition("-")
    kind = MarketKind.SPOT if "_" in pair and not dash else MarketKind.DERIVATIVE
    return parse_native("deribit", name, kind)


def kind_of(contract: Contract) -> str:
    """Return Deribit's word for the kind; a perpetual is a future."""
    match contract:
        case Spot():
            return "spot"
        case Option():
            return "option"
        case Perpetual() | Future():
            return "future"


def index_name(contract: Contract) -> str:
    """Return Deribit's name of the index that the contract follows.

    Examples
    --------
    >>> index_name(parse_native("deribit", "BTC-PERPETUAL"))
    'btc_usd'
    """
    return f"{contract.base}_{contract.quote}".lower()


def amount_step(engine: Engine, contract: Contract) -> Decimal:
    """Return the smallest order, and step, of a contract in Deribit's amount."""
    return engine.state.listings[contract.id].lot_size * contract.contract_size


def tick(contract: Contract) -> Decimal:
    """Return the smallest step of its price."""
    return contract.tick_size or TICK_WHERE_NONE_IS_ON_RECORD


def price_limits(contract: Contract, mark: float, band: float) -> tuple[float, float]:
    """Return the lowest and highest price, on the tick, that lies within `band` (a share) of the mark.

    Examples
    --------
    >>> price_limits(parse_native("deribit", "BTC-PERPETUAL"), 95010.3, 0.1)
    (85509.5, 104511.0)
    """
    step = tick(contract)
    lowest = max(math.ceil(mark * (1.0 - band) / float(step)), 1)
    return float(lowest * step), float(math.floor(mark * (1.0 + band) / float(step)) * step)


def amount_of(contract: Contract, quantity: Decimal | float) -> float:
    """Return contracts in Deribit's amount.

    Examples
    --------
    >>> amount_of(parse_native("deribit", "BTC-PERPETUAL"), Decimal(3))
    30.0
    """
    return float(Decimal(repr(quantity) if isinstance(quantity, float) else quantity) * contract.contract_size)


def quantity_of(engine: Engine, contract: Contract, amount: Decimal) -> Decimal:
    """Return the contracts of an amount.

    Raises
    ------
    DeribitError
        If it is not a positive multiple of the smallest order.
    """
    step = amount_step(engine, contract)
    if not amount.is_finite() or amount <= 0 or amount % step:
        raise invalid_params("amount", f"must be a positive multiple of {step}, was {amount}")
    return amount / contract.contract_size


def of_currency(contract: Contract, currency: str) -> bool:
    """Whether Deribit lists the contract under `currency`: what it settles in, or ``any``."""
    settled = contract.base if isinstance(contract, Spot) else contract.settle
    return currency.lower() == "any" or settled == currency.upper()


def instrument_record(engine: Engine, contract: Contract) -> Record:
    """Return what ``public/get_instrument`` says of a contract.

    The engine keeps no time of listing: `creation_timestamp` is 0. Fees are the engine's; makers pay none.
    """
    inverse = contract.payoff is Payoff.INVERSE
    option = isinstance(contract, Option)
    fee = float(engine.state.parameters.taker_fee)
    form = "reversed" if inverse else "linear"
    found: Record = {
        "price_index": index_name(contract),
        "kind": kind_of(contract),
        "state": "open",
        "instrument_name": name_of(contract),
        "instrument_id": zlib.crc32(contract.id.encode()),
        "instrument_type": form,
        "maker_commission": 0.0,
        "taker_commission": fee,
        "creation_timestamp": 0,
        "is_active": True,
        "tick_size": float(tick(contract)),
        "tick_size_steps": [],
        "contract_size": float(contract.contract_size),
        "min_trade_amount": float(amount_step(engine, contract)),
        "base_currency": contract.base,
        "counter_currency": contract.quote,
        "quote_currency": contract.base if option and inverse else contract.quote,
        "settlement_currency": contract.settle,
    }
    if isinstance(contract, Spot):
        return found
    found["expiration_timestamp"] = FAR_EXPIRY_MS
    found["settlement_period"] = "perpetual"
    if isinstance(contract, Future | Option):
        found["expiration_timestamp"] = contract.expiry_ns // 1_000_000
        found["settlement_period"] = settlement_period(expiry_day(contract.expiry_ns))
    if isinstance(contract, Option):
        found["option_type"] = "call" if contract.is_call else "put"
        found["strike"] = float(contract.strike)
    else:
        found["future_type"] = form
    return found


def settlement_period(day: dt.date) -> str:
    """Return Deribit's word for an expiry: the last Friday of a month, another Friday, or any other day.

    Examples
    --------
    >>> [settlement_period(dt.date(2026, 3, day)) for day in (27, 20, 19)]
    ['month', 'week', 'day']
    """
    if day.weekday() != _FRIDAY:
        return "day"
    return "month" if (day + dt.timedelta(days=7)).month != day.month else "week"
