"""What was observed, as contracts and prices: terms, marks, their quality, and the market as a snapshot.

Everything here is derived from the state and can be thrown away.
"""

import dataclasses
from dataclasses import dataclass
from decimal import Context, Decimal

from crossmargin.engine.state import Listing, State
from crossmargin.errors import invariant
from crossmargin.instruments.contracts import Asset, Contract, Instrument, Option
from crossmargin.instruments.symbols import parse_contract
from crossmargin.ledger.settlement import ContractTerms
from crossmargin.market.forward_curve import ForwardCurve
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.market.vol_surface import Smile, VolSurface
from crossmargin.risk.risk_array import Listed
from crossmargin.units import USD, Currency, InstrumentId

_RATIO = Context(prec=28)
GOOD = "GOOD"
STALE = "STALE"
BOUND = "BOUND"


@dataclass(frozen=True, slots=True)
class Quoted:
    """What a contract's price allows: whether it can be margined, and whether it may back new risk.

    `lot` is its lot size as a fraction.
    """

    is_priced: bool
    is_good: bool
    mark: Decimal | None
    is_option: bool
    listing: Listing
    lot: tuple[int, int]


class MarketView:
    """Contracts and prices of a `State`; `prices_changed` and its like say what to look up anew."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._terms: dict[str, ContractTerms] = {}
        self._snapshot: MarketSnapshot | None = None
        self._quoted: dict[str, Quoted] = {}
        self._listed: tuple[tuple[int, int, int], Listed] | None = None

    def prices_changed(self) -> None:
        """Forget everything that depends on prices."""
        self._snapshot = None
        self._quoted.clear()

    def quality_changed(self) -> None:
        """Forget which prices may back new risk."""
        self._quoted.clear()

    def listing_changed(self, instrument_id: str) -> None:
        """Forget the terms of a contract."""
        self._terms.pop(instrument_id, None)
        self._listed = None

    def terms(self, instrument_id: str) -> ContractTerms:
        """Return the terms of a listed contract."""
        found = self._terms.get(instrument_id)
        if found is None:
            listing = self._state.listings[instrument_id]
            contract = dataclasses.replace(
                parse_contract(instrument_id), contract_size=listing.contract_size, lot_size=listing.lot_size
            )
            quantum = self._state.assets[contract.settle].quantum
            found = ContractTerms(contract=contract, lot_size=listing.lot_size, settle_quantum=quantum)
            self._terms[instrument_id] = found
        return found

    def contract(self, instrument_id: str) -> Contract:
        """Return a listed contract."""
        return self.terms(instrument_id).contract

    def index(self, currency: str) -> Decimal | None:
        """Return the last index price of a currency in USD, or None."""
        if currency == USD:
            return Decimal(1)
        seen = self._state.market.index.get(currency)
        return None if seen is None else seen.price

    def index_quality(self, currency: str) -> str:
        """Return the quality of a currency's index price."""
        if currency == USD:
            return GOOD
        seen = self._state.market.index.get(currency)
        return "MISSING" if seen is None else seen.quality

    def mark(self, instrument_id: str) -> Decimal | None:
        """Return the mark of a listed contract: its own, or the ratio of index prices; None without either."""
        seen = self._state.market.marks.get(instrument_id)
        if seen is not None:
            return seen.price
        contract = self.contract(instrument_id)
        base, quote = self.index(contract.base), self.index(contract.quote)
        if isinstance(contract, Option) or base is None or quote is None:
            return None
        return _RATIO.divide(base, quote)

    def is_good(self, instrument_id: str) -> bool:
        """Whether every price that a contract hangs on is good."""
        contract = self.contract(instrument_id)
        seen = self._state.market.marks.get(instrument_id)
        names = (contract.base, contract.settle)
        return (seen is None or seen.quality == GOOD) and all(self.index_quality(name) == GOOD for name in names)

    def is_priced(self, instrument_id: str) -> bool:
        """Whether a contract can be margined."""
        contract = self.contract(instrument_id)
        if any(self.index(name) is None for name in (contract.base, contract.quote, contract.settle)):
            return False
        if isinstance(contract, Option) and contract.base not in self._state.market.smiles:
            return False
        return self.mark(instrument_id) is not None

    def quoted(self, instrument_id: str) -> Quoted:
        """Return what the price of a listed contract allows; cached until prices change."""
        found = self._quoted.get(instrument_id)
        if found is None:
            is_option = isinstance(self.contract(instrument_id), Option)
            is_priced = self.is_priced(instrument_id)
            listing = self._state.listings[instrument_id]
            lot = listing.lot_size.as_integer_ratio()
            found = Quoted(is_priced, self.is_good(instrument_id), self.mark(instrument_id), is_option, listing, lot)
            self._quoted[instrument_id] = found
        return found

    def snapshot(self) -> MarketSnapshot:
        """Return the last prices as calculations see them; judging their quality is the engine's part."""
        if self._snapshot is None:
            self._snapshot = _snapshot(self._state)
        return self._snapshot

    def notional(self, instrument_id: str) -> float:
        """Return USD of underlying per contract."""
        contract = self.contract(instrument_id)
        market = self.snapshot()
        size = contract.contract_size_float
        if contract.settle == contract.base and not isinstance(contract, Option):
            return size * market.index_price(contract.quote)  # inverse: quoted currency per contract
        return size * market.index_price(contract.base)

    def instruments(self) -> Listed:
        """Return what can be margined: contracts that have not expired, and coins."""
        market = self._state.market
        # prices come and stay, so these change only with a listing or with the first price of something
        known = len(market.index), len(market.marks), len(market.smiles)
        if self._listed is None or self._listed[0] != known:
            contracts: list[Instrument] = [
                self.contract(name)
                for name, listing in sorted(self._state.listings.items())
                if not listing.expired and self.is_priced(name)
            ]
            coins = [Asset(currency=Currency(name)) for name in {*market.index, USD}]
            self._listed = known, Listed([*contracts, *coins])
        return self._listed[1]


def _snapshot(state: State) -> MarketSnapshot:
    seen = state.market
    index = {Currency(name): Price(float(item.price)) for name, item in seen.index.items()}
    forwards, surfaces = {}, {}
    for name, smiles in seen.smiles.items():
        currency = Currency(name)
        invariant(currency in index, f"an underlying with vols must have an index price, {name} has none")
        alive = [smile for smile in smiles if smile.expiry_ns > seen.time_ns]
        forwards[currency] = ForwardCurve(
            spot=index[currency].value,
            time_ns=seen.time_ns,
            expiries_ns=tuple(smile.expiry_ns for smile in alive),
            forwards=tuple(smile.forward for smile in alive),
        )
        if smiles:
            surfaces[currency] = VolSurface(
                time_ns=seen.time_ns,
                smiles=tuple(
                    Smile(expiry_ns=item.expiry_ns, forward=item.forward, strikes=item.strikes, vols=item.vols)
                    for item in smiles
                ),
            )
    return MarketSnapshot(
        time_ns=seen.time_ns,
        index=index,
        marks={InstrumentId(name): Price(float(item.price)) for name, item in seen.marks.items()},
        forwards=forwards,
        surfaces=surfaces,
    )
