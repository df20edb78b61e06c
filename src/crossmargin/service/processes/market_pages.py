"""A page of the board: the engine's market, and the risk array of the default method where it is the shipped one.

Floats are written as they are, so that a worker margins on the same bits as the engine would.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from crossmargin.errors import CrossMarginError, InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.contracts import Asset, Instrument
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin.methods import DEFAULT_METHOD, method_named
from crossmargin.market.forward_curve import ForwardCurve
from crossmargin.market.snapshot import MarketSnapshot, Price, Quality
from crossmargin.market.vol_surface import Smile, VolSurface
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency, InstrumentId

_Prices = dict[str, tuple[float, Quality, int | None]]


class _Page(msgspec.Struct, frozen=True, array_like=True):
    """What is written down; the arrays of a risk array follow as bytes."""

    time_ns: int
    index: _Prices
    marks: _Prices
    forwards: dict[str, ForwardCurve]
    surfaces: dict[str, tuple[int, tuple[Smile, ...]]]
    instruments: tuple[str, ...] = ()
    """Rows of the risk array by id: coins, and contracts that are what their id alone says."""
    pnl: bytes = b""
    delta: bytes = b""


_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE = msgspec.msgpack.Decoder(_Page).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A market, and the risk arrays of it that are known, by method."""

    market: MarketSnapshot
    arrays: Mapping[str, RiskArray]


def market_page(market: MarketSnapshot, risk: RiskArray | None = None) -> bytes:
    """Return the page of the engine's market.

    Parameters
    ----------
    risk
        Of the default method under its shipped parameters; rows of contracts that a book would not mean by the same id
        are left out.

    Raises
    ------
    InputError
        If the market has what the engine's never has: past prices, findings, fitted vols, funding, open interest.
    """
    surfaces = {}
    for name, surface in market.surfaces.items():
        smiles = tuple(smile for smile in surface.smiles if isinstance(smile, Smile))
        if len(smiles) < len(surface.smiles):
            raise InputError(f"a market on the board must have quoted vols, those of {name} are fitted")
        surfaces[str(name)] = surface.time_ns, smiles
    others = (market.findings, market.funding_rate_8h, market.open_interest, market.delivery_averages)
    if market.history is not None or any(others):
        raise InputError("a market on the board must hold prices alone, this one holds more")
    names, pnl, delta = _rows(risk)
    page = _Page(
        time_ns=market.time_ns,
        index={name: (each.value, each.quality, each.time_ns) for name, each in market.index.items()},
        marks={name: (each.value, each.quality, each.time_ns) for name, each in market.marks.items()},
        forwards={str(name): curve for name, curve in market.forwards.items()},
        surfaces=surfaces,
        instruments=names,
        pnl=pnl,
        delta=delta,
    )
    return _ENCODE(page)


def told(page: bytes) -> Told:
    """Return what a page says."""
    found = _DECODE(page)
    market = MarketSnapshot(
        time_ns=found.time_ns,
        index={Currency(name): Price(*each) for name, each in found.index.items()},
        marks={InstrumentId(name): Price(*each) for name, each in found.marks.items()},
        forwards={Currency(name): curve for name, curve in found.forwards.items()},
        surfaces={
            Currency(name): VolSurface(time_ns=time_ns, smiles=smiles)
            for name, (time_ns, smiles) in found.surfaces.items()
        },
    )
    if not found.instruments:
        return Told(market=market, arrays={})
    method = method_named(DEFAULT_METHOD)
    scenarios = method.scenarios(market, read_parameters(method))
    if scenarios is None:
        return Told(market=market, arrays={})
    risk = RiskArray(
        instruments=tuple(map(_meant, found.instruments)),
        scenarios=scenarios,
        pnl=np.frombuffer(found.pnl).reshape(len(found.instruments), scenarios.size),
        delta=np.frombuffer(found.delta),
    )
    return Told(market=market, arrays={DEFAULT_METHOD: risk})


def _rows(risk: RiskArray | None) -> tuple[tuple[str, ...], bytes, bytes]:
    if risk is None:
        return (), b"", b""
    rows = [row for row, item in enumerate(risk.instruments) if _is_meant(item)]
    names = tuple(str(risk.instruments[row].id) for row in rows)
    return names, np.ascontiguousarray(risk.pnl[rows]).tobytes(), risk.delta[rows].tobytes()


def _meant(name: str) -> Instrument:
    """Return the instrument that a book means by an id, which holds a colon unless it is a coin's."""
    return parse_contract(name) if ":" in name else Asset(currency=Currency(name))


def _is_meant(item: Instrument) -> bool:
    try:
        return _meant(item.id) == item
    except CrossMarginError:
        return False
