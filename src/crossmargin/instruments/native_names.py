"""The venues' own names of contracts, lossless to and from canonical ids.

Every name is checked by its own round trip: a name that would come back different is refused, so that two spellings
never stand for one contract.
"""

import enum
import functools
from collections.abc import Callable

from crossmargin.errors import InputError
from crossmargin.instruments import native_grammar as grammar
from crossmargin.instruments.contracts import Contract, Future, Option, Payoff, Perpetual, Spot
from crossmargin.instruments.specifications import Terms
from crossmargin.instruments.symbols import parse_contract


class MarketKind(enum.Enum):
    """The section of a venue in which a name is looked up, where the name alone does not tell."""

    SPOT = "spot"
    DERIVATIVE = "derivative"


def parse_native(venue: str, name: str, kind: MarketKind | None = None, terms: Terms | None = None) -> Contract:
    """Return the contract that `venue` calls `name`.

    Parameters
    ----------
    venue : str
        One with native names: ``deribit``, ``okx``, ``binance``, ``bybit``, ``derive``, ``hyperliquid``, ``bitmex``,
        ``kraken`` (futures), ``dydx`` or ``lighter``.
    name : str
        The venue's name, to the letter.
    kind : MarketKind, optional
        Binance and Bybit call the spot pair and the linear perpetual alike, ``BTCUSDT``; there it must be given.
    terms : Terms, optional
        Size, tick and lot as the venue states them; otherwise those on record.

    Raises
    ------
    InputError
        If the name is unknown, is a combination of contracts, or means two contracts.

    Examples
    --------
    >>> parse_native("deribit", "XRP_USDC-27MAR26-0d625-C").id
    'deribit:XRP/USDC:USDC-260327-0.625-C'
    >>> parse_native("bybit", "BTCUSDT", MarketKind.DERIVATIVE).id
    'bybit:BTC/USDT:USDT'
    """
    if venue not in _PARSERS:
        raise InputError(f"a venue with native names must be one of {', '.join(_PARSERS)}, was {venue!r}")
    try:
        symbol = _PARSERS[venue](name, kind)
        contract = parse_contract(f"{venue}:{symbol}", terms) if symbol else None
    except InputError as error:
        raise InputError(f"{name!r} of {venue} is no known instrument: {error}") from error
    if contract is None or native_name(contract) != name:
        raise InputError(f"an instrument of {venue} must have a known name, was {name!r}")
    if kind is not None and (kind is MarketKind.SPOT) is not isinstance(contract, Spot):
        raise InputError(f"{name!r} of {venue} must be a {kind.value} name, is {contract.id}")
    return contract


def native_name(contract: Contract) -> str:
    """Return what the contract's venue calls it.

    Raises
    ------
    InputError
        If the venue is unknown or lists no such kind of contract.

    Examples
    --------
    >>> native_name(parse_contract("okx:BTC/USD:BTC-260327-100000-C"))
    'BTC-USD-260327-100000-C'
    """
    if contract.venue not in _NAMERS:
        raise InputError(f"a venue with native names must be one of {', '.join(_NAMERS)}, was {contract.venue!r}")
    name = _NAMERS[contract.venue](contract)
    kind = MarketKind.SPOT if isinstance(contract, Spot) else MarketKind.DERIVATIVE
    if name is None or _PARSERS[contract.venue](name, kind) != contract.id.partition(":")[2]:
        raise InputError(f"{contract.venue} must have a name for a contract, has none for {contract.id}")
    return name


def parse_instrument_name(text: str, terms: Terms | None = None) -> Contract:
    """Return the contract named by a canonical id or by ``venue:native``; ``venue.spot:`` says the kind.

    Its size, tick and lot are `terms`, or those on record.

    Examples
    --------
    >>> parse_instrument_name("deribit:BTC-PERPETUAL").id
    'deribit:BTC/USD:BTC'
    >>> parse_instrument_name("binance.spot:BTCUSDT").id
    'binance:BTC/USDT'
    """
    # books name the same contracts again and again; a name of any length must not fill the memory
    return (_kept if len(text) <= _LONGEST_KEPT else _parsed_name)(text, terms)


def _parsed_name(text: str, terms: Terms | None) -> Contract:
    venue, colon, name = text.partition(":")
    venue, _, kind = venue.partition(".")
    native = colon and venue in _PARSERS and ("/" not in name or kind)
    if not native:
        return parse_contract(text, terms)
    kinds = {member.value: member for member in MarketKind}
    if kind and kind not in kinds:
        raise InputError(f"a kind of market must be spot or derivative, was {kind!r} in {text!r}")
    return parse_native(venue, name, kinds.get(kind), terms)


_LONGEST_KEPT = 64
_kept = functools.lru_cache(maxsize=16_384)(_parsed_name)


def _deribit(contract: Contract) -> str | None:
    pair = contract.base if contract.payoff is Payoff.INVERSE else f"{contract.base}_{contract.quote}"
    match contract:
        case Spot():
            return f"{contract.base}_{contract.quote}"
        case Perpetual():
            return f"{pair}-PERPETUAL"
        case Future():
            return f"{pair}-{_day_month_year(contract)}"
        case Option():
            strike = format(contract.strike, "f").replace(".", "d")
            return f"{pair}-{_day_month_year(contract)}-{strike}-{contract.option_type.value}"


def _okx(contract: Contract) -> str | None:
    pair = f"{contract.base}-{contract.quote}"
    match contract:
        case Spot():
            return pair
        case Perpetual():
            return f"{pair}-SWAP"
        case Future():
            return f"{pair}-{_yymmdd(contract)}"
        case Option():
            return f"{pair}-{_yymmdd(contract)}-{contract.strike:f}-{contract.option_type.value}"


def _binance(contract: Contract) -> str | None:
    pair = f"{contract.base}{contract.quote}"
    match contract:
        case Spot():
            return pair
        case Perpetual():
            return f"{pair}_PERP" if contract.payoff is Payoff.INVERSE else pair
        case Future():
            return f"{pair}_{_yymmdd(contract)}"
        case Option():
            return f"{contract.base}-{_yymmdd(contract)}-{contract.strike:f}-{contract.option_type.value}"


def _bybit(contract: Contract) -> str | None:
    pair = f"{contract.base}{contract.quote}"
    usdc = contract.quote == "USDC"
    match contract:
        case Spot():
            return pair
        case Perpetual():
            return f"{contract.base}PERP" if usdc else pair
        case Future() if contract.payoff is Payoff.INVERSE:
            day = grammar.expiry_day(contract.expiry_ns)
            return f"{pair}{grammar.MONTH_CODES[day.month - 1]}{day:%y}"
        case Future():
            return f"{contract.base if usdc else pair}-{_day_month_year(contract)}"
        case Option():
            ending = "" if usdc else f"-{contract.settle}"
            day_month = _day_month_year(contract)
            return f"{contract.base}-{day_month}-{contract.strike:f}-{contract.option_type.value}{ending}"


def _derive(contract: Contract) -> str | None:
    match contract:
        case Spot():
            return f"{contract.base}-{contract.quote}"
        case Perpetual():
            return f"{contract.base}-PERP"
        case Future():
            return None
        case Option():
            strike = format(contract.strike, "f").replace(".", "_")
            return f"{contract.base}-20{_yymmdd(contract)}-{strike}-{contract.option_type.value}"


def _hyperliquid(contract: Contract) -> str | None:
    match contract:
        case Spot():
            pair = f"{contract.base}/{contract.quote}"
            return grammar.HYPERLIQUID_SPOT_INDEX.get(pair, pair)
        case Perpetual():
            dex, dash, coin = contract.base.partition("-")
            if dash:
                return f"{dex.lower()}:{coin}"
            return f"k{contract.base[1:]}" if contract.base in grammar.HYPERLIQUID_THOUSANDS else contract.base
        case Future() | Option():
            return None


def _bitmex(contract: Contract) -> str | None:
    base = "XBT" if contract.base == "BTC" else contract.base
    match contract:
        case Perpetual() if contract.quote == "USD" and contract.settle == "BTC":
            return f"{base}USD"
        case Future() if contract.id.startswith("bitmex:BTC/USD:BTC-"):
            day = grammar.expiry_day(contract.expiry_ns)
            return f"{base}{grammar.MONTH_CODES[day.month - 1]}{day:%y}"
        case _:
            return None


def _kraken(contract: Contract) -> str | None:
    base = "XBT" if contract.base == "BTC" else contract.base
    payoff = "I" if contract.payoff is Payoff.INVERSE else "F"
    match contract:
        case Perpetual():
            return f"P{payoff}_{base}USD"
        case Future():
            return f"F{payoff}_{base}USD_{_yymmdd(contract)}"
        case Spot() | Option():
            return None


def _dydx(contract: Contract) -> str | None:
    return f"{contract.base}-USD" if isinstance(contract, Perpetual) else None


def _lighter(contract: Contract) -> str | None:
    match contract:
        case Spot():
            return f"{contract.base}/{contract.quote}"
        case Perpetual():
            return str(contract.base)
        case Future() | Option():
            return None


def _yymmdd(contract: Future | Option) -> str:
    return f"{grammar.expiry_day(contract.expiry_ns):%y%m%d}"


def _day_month_year(contract: Future | Option) -> str:
    day = grammar.expiry_day(contract.expiry_ns)
    return f"{day.day}{grammar.MONTHS[day.month - 1]}{day:%y}"


_PARSERS: dict[str, Callable[[str, MarketKind | None], str | None]] = {
    "deribit": lambda name, _: grammar.deribit(name),
    "okx": lambda name, _: grammar.okx(name),
    "binance": lambda name, kind: grammar.binance(name, None if kind is None else kind is MarketKind.SPOT),
    "bybit": lambda name, kind: grammar.bybit(name, None if kind is None else kind is MarketKind.SPOT),
    "derive": lambda name, _: grammar.derive(name),
    "hyperliquid": lambda name, _: grammar.hyperliquid(name),
    "bitmex": lambda name, _: grammar.bitmex(name),
    "kraken": lambda name, _: grammar.kraken(name),
    "dydx": lambda name, _: grammar.dydx(name),
    "lighter": lambda name, _: grammar.lighter(name),
}
_NAMERS: dict[str, Callable[[Contract], str | None]] = {
    "deribit": _deribit,
    "okx": _okx,
    "binance": _binance,
    "bybit": _bybit,
    "derive": _derive,
    "hyperliquid": _hyperliquid,
    "bitmex": _bitmex,
    "kraken": _kraken,
    "dydx": _dydx,
    "lighter": _lighter,
}
