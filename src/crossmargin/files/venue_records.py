"""Answers of venues and ccxt-shaped records, read into a portfolio; what is not read is named.

An answer is walked from its top. An object that has the fields of a position, a balance, an open order or the venue's
own margin is read as one; the fields of any object that are read nowhere are reported. So an envelope needs no rule of
its own, and a field that a venue adds shows up.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crossmargin.errors import InputError
from crossmargin.files.venue_forms import (
    FORMS,
    KRAKEN_CURRENCIES,
    NUMBERED_MARKETS,
    SMALLEST_UNITS,
    SUCCESS_CODES,
    BalanceForm,
    MarginForm,
    OrderForm,
    PositionForm,
    Unit,
)
from crossmargin.instruments.contracts import Contract, Option, Payoff, Spot
from crossmargin.instruments.native_names import MarketKind, parse_native
from crossmargin.instruments.symbols import parse_contract
from crossmargin.portfolio import Balance, Order, Portfolio, Position, Side
from crossmargin.units import AccountId, Currency, Venue

_ENVELOPES = {"result", "data", "list", "positions", "orders", "collaterals", "balances", "assetPositions"}
_READ_BELOW = {"type", "accountValue", "totalMarginUsed"}
_MAPS = {"openPerpetualPositions", "assetPositions", "positions", "orders", "assets", "markets"}
"""Lists that some venues write as objects by name or number."""

_LONG, _SHORT, _NEITHER = {"long", "buy", "1"}, {"short", "sell", "-1"}, {"both", "net", "none", "zero", "0", ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueMargin:
    """The margin that a venue states for an account, in `currency`; None where it states none."""

    currency: Currency
    initial: float | None
    maintenance: float | None
    equity: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A portfolio as a venue states it, the fields that were not read, and the venue's own margin."""

    portfolio: Portfolio
    unmapped: tuple[str, ...]
    venue_margin: tuple[VenueMargin, ...] = ()


Row = Position | Balance | Order | VenueMargin


def import_answers(
    answers: Mapping[str, Any], venue: str, *, account: str = "imported", ccxt: bool = False
) -> Imported:
    """Return the portfolio that `answers`, decoded JSON by name, state together.

    Parameters
    ----------
    answers
        One or more answers of one account; the names go before the unmapped fields.
    venue
        A venue with forms on record.
    account
        The account's name in the portfolio.
    ccxt
        The answers are records of ccxt rather than the venue's own.

    Raises
    ------
    InputError
        If the venue has no forms, an answer is an error, nothing in it is known, an instrument is unknown, a number is
        none, or two answers state one balance.

    Examples
    --------
    >>> answer = {"result": [{"instrument_name": "BTC-PERPETUAL", "size": -50.0, "direction": "sell", "id": 1}]}
    >>> found = import_answers({"positions": answer}, "deribit")
    >>> found.portfolio.positions[0].quantity, found.unmapped
    (-5.0, ('positions.result[].id',))
    """
    if venue not in FORMS:
        raise InputError(f"a venue of an import must be one of {', '.join(sorted(FORMS))}, was {venue!r}")
    unmapped: set[str] = set()
    shape = "ccxt" if ccxt else venue
    markets = dict(_numbered(list(answers.values()), shape))
    rows = [
        row
        for name, answer in answers.items()
        for row in _of_one(_with_names(answer, shape, markets), name, venue, shape, unmapped)
    ]
    balances = [row for row in rows if isinstance(row, Balance)]
    stated = [balance.currency for balance in balances]
    twice = sorted({currency for currency in stated if stated.count(currency) > 1})
    if twice:
        raise InputError(f"a balance may be stated once, {twice[0]} stands twice in {', '.join(answers)}")
    return Imported(
        portfolio=Portfolio(
            account=AccountId(account),
            balances=tuple(row for row in balances if row.amount),
            positions=tuple(row for row in rows if isinstance(row, Position) and row.quantity),
            orders=tuple(row for row in rows if isinstance(row, Order)),
        ),
        unmapped=tuple(sorted(unmapped)),
        venue_margin=tuple(row for row in rows if isinstance(row, VenueMargin)),
    )


def _of_one(answer: object, name: str, venue: str, shape: str, unmapped: set[str]) -> list[Row]:
    if isinstance(answer, Mapping) and (
        answer.get("error")
        or str(answer.get("retCode", answer.get("code", 0))) not in ("0", SUCCESS_CODES.get(venue, "0"))
    ):
        raise InputError(f"an answer must not be an error, {name} is one of {venue}")
    knowns = [True for _ in _numbered(answer, shape)]  # a venue's list of markets says what orders mean
    rows = list(_walked(answer, name, venue, shape, unmapped, knowns))
    if not knowns:
        raise InputError(f"an answer must hold positions, balances, orders or margin of {shape}, {name} holds none")
    return rows


def _walked(node: object, path: str, venue: str, shape: str, unmapped: set[str], knowns: list[bool]) -> Iterator[Row]:
    if isinstance(node, list):
        if not node and (path.rpartition(".")[2] in _ENVELOPES or "." not in path):
            knowns.append(True)  # an account may hold nothing
        for child in node:
            yield from _walked(child, f"{path}[]", venue, shape, unmapped, knowns)
        return
    if not isinstance(node, Mapping):
        return
    read, rows = _of_object(node, path, venue, shape, unmapped)
    yield from rows
    if read:
        knowns.append(True)
    for key, child in node.items():
        if key in read:
            if shape == "hyperliquid" and isinstance(child, Mapping):
                unmapped |= {f"{path}.{key}.{name}" for name in child.keys() - _READ_BELOW}
            continue
        before = len(knowns)
        # ccxt repeats the venue's own record under info
        if isinstance(child, Mapping | list) and key != "info":
            by_name = key in _MAPS and isinstance(child, Mapping)
            if by_name and not child:
                knowns.append(True)
            inner = list(child.values()) if by_name and isinstance(child, Mapping) else child
            yield from _walked(inner, f"{path}.{key}", venue, shape, unmapped, knowns)
            if len(knowns) > before or not child:
                continue
        unmapped.add(f"{path}.{key}")


def _of_object(
    node: Mapping[str, Any], path: str, venue: str, shape: str, unmapped: set[str]
) -> tuple[set[str], list[Row]]:
    """Return the fields of one object that are read, and what they say."""
    read: set[str] = set()
    rows: list[Row] = []
    for form in FORMS[shape]:
        if form.needs <= node.keys():
            read |= form.reads
            rows.extend(_read(form, node, venue, shape))
            if isinstance(form, OrderForm) and _open(form, node):
                if _waits(form, node):
                    unmapped.add(f"{path}: the order in {node[form.name]} waits for its trigger")
                elif _first(node, form.price) is None:
                    unmapped.add(f"{path}: the order in {node[form.name]} has no limit price")
    if shape == "ccxt" and {"total", "free", "used"} <= node.keys() and isinstance(node["total"], Mapping):
        held = node["total"]
        read |= {"total", "free", "used", *held}
        rows.extend(Balance(currency=Currency(name), amount=_number(held, name), venue=Venue(venue)) for name in held)
    if shape == "kraken" and path.endswith(".result") and node and not read and _is_balance_map(node):
        read |= {code for code in node if "." not in code}  # staked and locked coins have a suffix
        rows.extend(
            Balance(
                currency=Currency(KRAKEN_CURRENCIES.get(code, code)), amount=_number(node, code), venue=Venue(venue)
            )
            for code in sorted(read)
        )
    if shape == "kraken" and {"pair", "posstatus"} <= node.keys():
        raise InputError(f"a margin loan cannot be imported as a position, was {node['pair']} of {venue}")
    if shape == "hyperliquid" and {"marginSummary", "assetPositions"} <= node.keys():
        read |= {"marginSummary", "crossMaintenanceMarginUsed"}
        rows.extend(_clearinghouse(node))
    return read, rows


def _read(
    form: PositionForm | BalanceForm | OrderForm | MarginForm, row: Mapping[str, Any], venue: str, shape: str
) -> Iterator[Row]:
    match form:
        case PositionForm():
            if _number(row, form.quantity):  # venues list closed positions too
                yield _position(form, row, venue, shape)
        case BalanceForm():
            amount = sum(_number(row, name) for name in form.plus) - sum(_number(row, name) for name in form.minus)
            if form.side and str(row[form.side]).lower() in _SHORT:
                amount = -abs(amount)
            currency, unit = _unit(shape, str(row[form.currency]))
            yield Balance(currency=currency, amount=amount * unit, venue=Venue(venue))
        case OrderForm():
            if _first(row, form.price) is not None and _open(form, row) and not _waits(form, row):
                yield _order(form, row, venue, shape)
        case MarginForm():
            if any(_stated(row, name) is not None for name in (form.initial, form.maintenance)):
                yield _margin(form, row, shape)


def _unit(shape: str, code: str) -> tuple[Currency, float]:
    """Return the currency that a venue's code stands for, and how much of it one unit is."""
    name, unit = SMALLEST_UNITS.get(shape, {}).get(code, (code, 1.0))
    return Currency(name), unit


def _is_balance_map(node: Mapping[str, Any]) -> bool:
    """Whether an object holds amounts by currency alone: every value a number, every name a code."""
    return all(name.upper() == name and isinstance(value, str) for name, value in node.items())


def _numbered(node: object, shape: str) -> Iterator[tuple[str, str]]:
    """Return market numbers with the names that any of the answers gives them."""
    if shape not in NUMBERED_MARKETS:
        return
    name, numbers = NUMBERED_MARKETS[shape]
    if isinstance(node, Mapping):
        if name in node:
            yield from ((str(node[number]), str(node[name])) for number in numbers if number in node)
        for child in node.values():
            yield from _numbered(child, shape)
    elif isinstance(node, list):
        for child in node:
            yield from _numbered(child, shape)


def _with_names(node: object, shape: str, markets: Mapping[str, str]) -> object:
    """Return `node` with the name of its market in every object that has the number alone."""
    if shape not in NUMBERED_MARKETS:
        return node
    if isinstance(node, list):
        return [_with_names(child, shape, markets) for child in node]
    if not isinstance(node, Mapping):
        return node
    named = {key: _with_names(child, shape, markets) for key, child in node.items()}
    name, numbers = NUMBERED_MARKETS[shape]
    number = next((str(named[field]) for field in numbers if field in named), None)
    if number is None or name in named or "side" not in named:
        return named
    if number not in markets:
        raise InputError(f"an order must name its market, has number {number} of {shape}: import its markets too")
    return {**named, name: markets[number]}


def _clearinghouse(state: Mapping[str, Any]) -> Iterator[Row]:
    """Return the dollars behind a Hyperliquid account, its value less unrealised profit, and its margin."""
    held = [one["position"] for one in state["assetPositions"]]
    equity = _number(state["marginSummary"], "accountValue")
    amount = equity - sum(_number(position, "unrealizedPnl") for position in held)
    yield Balance(currency=Currency("USDC"), amount=amount, venue=Venue("hyperliquid"))
    # with isolated positions its two figures are of different books: all positions, and the cross-margined ones
    isolated = any(str(position.get("leverage", {}).get("type")) == "isolated" for position in held)
    yield VenueMargin(
        currency=Currency("USD"),
        initial=None if isolated else _stated(state["marginSummary"], "totalMarginUsed"),
        maintenance=None if isolated else _stated(state, "crossMaintenanceMarginUsed"),
        equity=equity,
    )


def _position(form: PositionForm, row: Mapping[str, Any], venue: str, shape: str) -> Position:
    kind = str(row.get("instType", ""))
    if kind == "MARGIN":
        raise InputError(f"a margin loan cannot be imported as a position, was {row[form.name]} of {venue}")
    contract = _contract(str(row[form.name]), venue, shape, MarketKind.DERIVATIVE)
    size = _number(row, form.quantity)
    side = str(row.get(form.side, "")).lower() if form.side else ""
    if side in _LONG | _SHORT:
        size = abs(size) if side in _LONG else -abs(size)
    elif side not in _NEITHER:
        raise InputError(f"a side must be long or short, was {side!r} of {row[form.name]}")
    unit = form.unit
    if shape == "ccxt" and venue == "deribit":
        unit = "venue"  # ccxt passes Deribit's own size on as contracts: dollars of an inverse future
    elif shape == "ccxt" and row.get("contractSize"):
        size *= _number(row, "contractSize") / contract.contract_size_float
    modes = [row.get(key, "") for key in form.isolated or ()]
    if form.cross is not None and str(row.get(form.cross)).lower() == "false":
        modes.append("isolated")
    isolated = any(
        str(mode.get("type", "") if isinstance(mode, Mapping) else mode).lower() in ("isolated", "true", "1")
        for mode in modes
    )
    return Position(
        instrument=contract,
        quantity=_contracts(contract, size, unit),
        entry_price=_first(row, form.entry),
        isolated_group=contract.id if isolated else None,
    )


def _order(form: OrderForm, row: Mapping[str, Any], venue: str, shape: str) -> Order:
    kind = None
    if shape in ("binance", "bybit"):  # they call a pair and its perpetual alike
        futures = {"positionSide", "positionIdx"} & row.keys()
        kind = MarketKind.DERIVATIVE if futures else MarketKind.SPOT
    contract = _contract(str(row[form.name]), venue, shape, kind)
    price = _first(row, form.price)
    if price is None:
        raise InputError(f"an order must have a price, has none for {contract.id}")
    return Order(
        instrument=contract,
        side=_side(row[form.side], contract),
        quantity=_contracts(
            contract, _left(form, row), "venue" if (shape, venue) == ("ccxt", "deribit") else form.unit
        ),
        price=price,
        reduce_only=form.reduce_only is not None and str(row.get(form.reduce_only)).lower() == "true",
    )


def _side(stated: object, contract: Contract) -> Side:
    """Return the side of an order; Hyperliquid says B and A for bid and ask."""
    word = str(stated).lower()
    if word not in ("buy", "sell", "b", "a"):
        raise InputError(f"an order's side must be buy or sell, was {stated!r} of {contract.id}")
    return Side.BUY if word in ("buy", "b") else Side.SELL


def _open(form: OrderForm, row: Mapping[str, Any]) -> bool:
    closed = form.status is not None and form.status in row and str(row[form.status]) not in form.open
    return not closed and _left(form, row) > 0.0


def _waits(form: OrderForm, row: Mapping[str, Any]) -> bool:
    stated = None if form.trigger is None else row.get(form.trigger)
    if isinstance(stated, bool) or str(stated).lower() in ("true", "false"):
        return str(stated).lower() == "true"
    return form.trigger is not None and _number(row, form.trigger) != 0.0


def _margin(form: MarginForm, row: Mapping[str, Any], shape: str) -> VenueMargin:
    currency, unit = _unit(shape, str(row[form.currency]) if form.currency in row else form.currency)
    equity, initial, maintenance = (
        None if amount is None else amount * unit
        for amount in (_stated(row, name) for name in (form.equity, form.initial, form.maintenance))
    )
    if form.net and equity is not None:
        # the venue states what is left over its requirement
        initial = None if initial is None else equity - initial
        maintenance = None if maintenance is None else equity - maintenance
    return VenueMargin(currency=currency, initial=initial, maintenance=maintenance, equity=equity)


def _left(form: OrderForm, row: Mapping[str, Any]) -> float:
    return _number(row, form.quantity) - (_number(row, form.filled) if form.filled else 0.0)


def _contract(name: str, venue: str, shape: str, kind: MarketKind | None) -> Contract:
    if shape == "ccxt":
        return parse_contract(f"{venue}:{name}")
    return parse_native(venue, name, kind)


def _contracts(contract: Contract, size: float, unit: Unit) -> float:
    if unit == "contracts" or isinstance(contract, Spot | Option):
        return size
    if contract.payoff is Payoff.QUANTO:
        raise InputError(f"a size of a quanto contract must be in contracts, was in {unit} for {contract.id}")
    return size / contract.contract_size_float


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    """Return the first stated positive number; venues write 0 or nothing where there is no price."""
    for name in names:
        value = _stated(row, name)
        if value:
            return value
    return None


def _stated(row: Mapping[str, Any], name: str | None) -> float | None:
    return None if name is None or row.get(name) in (None, "") else _number(row, name)


def _number(row: Mapping[str, Any], name: str) -> float:
    value = row.get(name)
    if value in (None, ""):
        return 0.0
    try:
        number = float(str(value))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"the field {name} must be a number, was {value!r}")
    return number
