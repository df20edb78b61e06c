"""From what sources say to the prices that decide: index from several sources, marks within a band, ages.

A price that cannot be trusted keeps its last value and says so: STALE when no source is young enough, or only the
venue's own book is left; BOUND when it is held at its band. Such a price backs no new risk, and liquidates nobody.
"""

from decimal import Decimal

from crossmargin.engine import events as happened
from crossmargin.engine.breakers import watch_prices
from crossmargin.engine.commands import Quote, UpdateMarket
from crossmargin.engine.house import House, No
from crossmargin.engine.market_view import BOUND, GOOD, STALE
from crossmargin.engine.refusals import Refusal
from crossmargin.engine.state import Observed, SmileState
from crossmargin.errors import InputError, MarketDataError
from crossmargin.instruments.contracts import Option
from crossmargin.market.index_price import trimmed_median
from crossmargin.market.vol_surface import Smile
from crossmargin.units import USD


def update_market(house: House, command: UpdateMarket) -> No | None:
    """Judge what was observed and examine whom it touches."""
    for instrument_id in command.marks:
        if instrument_id not in house.state.listings:
            return No(Refusal.UNKNOWN_INSTRUMENT, instrument_id)
        if house.state.listings[instrument_id].expired:
            return No(Refusal.INSTRUMENT_EXPIRED, instrument_id)
    smiles = _smiles(house, command)
    index, rejected = _judged_index(house, command)
    marks: dict[str, Observed] = {}
    for instrument_id, price in sorted(command.marks.items()):
        seen = _judged_mark(house, instrument_id, price, index)
        if seen is None:
            rejected.append(f"{instrument_id}: {price}")
        else:
            marks[instrument_id] = seen
    moves = watch_prices(house, index, marks)
    market = house.state.market
    market.time_ns = house.state.time_ns
    market.index.update(index)
    market.marks.update(marks)
    market.smiles.update(smiles)
    house.exposures.market_changed()
    house.touch_all()
    house.emit(
        happened.MarketUpdated(
            index={name: (seen.price, seen.quality) for name, seen in sorted(index.items())},
            marks={name: (seen.price, seen.quality) for name, seen in sorted(marks.items())},
            rejected=tuple(rejected),
        )
    )
    moves()
    return None


def mark_stale(house: House) -> None:
    """Let prices that have grown too old say so; their values stay."""
    oldest = house.state.time_ns - house.parameters.index_max_age_ns
    for seen in (*house.state.market.index.values(), *house.state.market.marks.values()):
        if seen.quality == GOOD and seen.time_ns < oldest:
            seen.quality = STALE
            house.exposures.quality_changed()


def index_price(
    quotes: tuple[Quote, ...], *, now_ns: int, max_age_ns: int, outlier: float, own: str, min_sources: int
) -> tuple[Decimal, bool] | None:
    """Return the index price of what sources say and whether others than the own book support it; None without any.

    Sources that are too old, from the future, not a positive number, or unsure by more than `outlier` of their price
    are left out; the rest make the index by `market.index_price.trimmed_median`, `outlier` being the deviation.

    Examples
    --------
    >>> quotes = tuple(Quote(source=name, price=Decimal(p)) for name, p in (("a", 100), ("b", 101), ("own", 30)))
    >>> index_price(quotes, now_ns=0, max_age_ns=1, outlier=0.1, own="own", min_sources=1)
    (Decimal('100'), True)
    """
    usable = [quote for quote in quotes if _is_usable(quote, now_ns, max_age_ns, outlier)]
    if not usable:
        return None
    price, near = trimmed_median([quote.price for quote in usable], Decimal(repr(outlier)))
    independent = {usable[place].source for place in near} - {own}
    return price, len(independent) >= min_sources


def _is_usable(quote: Quote, now_ns: int, max_age_ns: int, outlier: float) -> bool:
    if not quote.price.is_finite() or quote.price <= 0 or not quote.confidence.is_finite():
        return False
    if quote.time_ns is not None and not now_ns - max_age_ns <= quote.time_ns <= now_ns:
        return False
    return abs(quote.confidence) <= Decimal(repr(outlier)) * quote.price


def _judged_index(house: House, command: UpdateMarket) -> tuple[dict[str, Observed], list[str]]:
    parameters, now = house.parameters, house.state.time_ns
    index: dict[str, Observed] = {}
    rejected: list[str] = []
    for currency, quotes in sorted(command.index.items()):
        if currency == USD:
            raise InputError("USD is the numeraire and has no index price")
        found = index_price(
            quotes,
            now_ns=now,
            max_age_ns=parameters.index_max_age_ns,
            outlier=parameters.index_outlier,
            own=parameters.index_own_source,
            min_sources=parameters.index_min_sources,
        )
        if found is not None and (found[1] or parameters.own_source_alone):
            index[currency] = Observed(price=found[0], quality=GOOD, time_ns=now)
            continue
        rejected.append(f"{currency}: no independent source")
        before = house.state.market.index.get(currency)
        if before is not None:
            index[currency] = Observed(price=before.price, quality=STALE, time_ns=before.time_ns)
    return index, rejected


def _judged_mark(house: House, instrument_id: str, price: Decimal, index: dict[str, Observed]) -> Observed | None:
    contract = house.view.contract(instrument_id)
    is_option = isinstance(contract, Option)
    if not price.is_finite() or price < 0 or (price == 0 and not is_option):
        return None
    seen = Observed(price=price, quality=GOOD, time_ns=house.state.time_ns)
    band = house.parameters.mark_band
    if is_option or band is None:
        return seen
    base = index.get(contract.base) or house.state.market.index.get(contract.base)
    quote = index[contract.quote].price if contract.quote in index else house.view.index(contract.quote)
    if base is None or quote is None:
        return seen
    middle, reach = base.price / quote, Decimal(repr(band))
    low, high = middle * (1 - reach), middle * (1 + reach)
    if low <= price <= high:
        return seen
    return Observed(price=min(max(price, low), high), quality=BOUND, time_ns=house.state.time_ns)


def _smiles(house: House, command: UpdateMarket) -> dict[str, tuple[SmileState, ...]]:
    result = {}
    for currency, quotes in sorted(command.smiles.items()):
        if currency not in command.index and currency not in house.state.market.index:
            raise InputError(f"an underlying with vols must have an index price, {currency} has none")
        try:
            for quote in quotes:
                Smile(expiry_ns=quote.expiry_ns, forward=quote.forward, strikes=quote.strikes, vols=quote.vols)
        except MarketDataError as error:
            raise InputError(str(error)) from error
        ordered = sorted(quotes, key=lambda quote: quote.expiry_ns)
        if len({quote.expiry_ns for quote in ordered}) != len(ordered) or not ordered:
            raise InputError(f"expiries of {currency} must be distinct, and at least one")
        if any(not quote.forward > 0.0 or quote.forward == float("inf") for quote in ordered):
            raise InputError(f"forwards of {currency} must be positive")
        result[currency] = tuple(
            SmileState(expiry_ns=quote.expiry_ns, forward=quote.forward, strikes=quote.strikes, vols=quote.vols)
            for quote in ordered
        )
    return result
