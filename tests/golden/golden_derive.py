"""Derive's rules on accounts that carry their own parameters: the tests of the contracts use none of the live sets."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from crossmargin.margin import derive_pmrm, derive_pmrm2, derive_srm
from crossmargin.margin.derive_book import Expiry, expiry_of
from crossmargin.margin.derive_pmrm2 import CollateralHeld, CollateralTerms

Numbers = dict[str, float]
Table = Mapping[str, Any]
NO_PERPETUALS = {"perpetuals": 0.0, "perpetual_price": 0.0, "perpetual_confidence": 1.0, "perpetual_profit": 0.0}


def pmrm(account: Table, terms: Table) -> Numbers:
    held = derive_pmrm.PmrmAccount(**{**account, "expiries": _expiries(account.get("expiries", ()))})
    answer = derive_pmrm.margin(held, msgspec.convert(_with_moves(terms), type=derive_pmrm.PmrmMarket))
    return {
        "net maintenance": answer.net_maintenance,
        "net initial": answer.net_initial,
        "value": answer.value,
        "worst": answer.worst,
    }


def pmrm2(account: Table, terms: Table) -> Numbers:
    collateral = [
        CollateralHeld(**{**each, "terms": CollateralTerms(**each["terms"])}) for each in account.get("collateral", ())
    ]
    held = derive_pmrm2.Pmrm2Account(
        **{**NO_PERPETUALS, **account, "expiries": _expiries(account.get("expiries", ())), "collateral": collateral}
    )
    answer = derive_pmrm2.margin(held, msgspec.convert(_with_moves(terms), type=derive_pmrm2.Pmrm2Market))
    return {"net maintenance": answer.net_maintenance, "net initial": answer.net_initial} | {
        f"scenario {place}": float(profit) for place, profit in enumerate(answer.pnl)
    }


def srm(holdings: Sequence[Table], cash: float, terms: Table) -> Numbers:
    market = msgspec.convert(terms, type=derive_srm.SrmMarket)
    held = [
        derive_srm.SrmHolding(**{**each, "market": market, "expiries": _expiries(each.get("expiries", ()))})
        for each in holdings
    ]
    maintenance, initial = (
        derive_srm.net_margin(held, cash, stable_price=1.0, peg_threshold=0.98, peg_factor=1.2, initial=initial)
        for initial in (False, True)
    )
    value = derive_srm.value(held, cash, stable_price=1.0)
    return {"net maintenance": maintenance, "net initial": initial, "value": value}


def _expiries(rows: Sequence[Table]) -> list[Expiry]:
    """Options are written as strike, "C" or "P", quantity, vol."""
    found = []
    for row in rows:
        options = [(strike, kind == "C", quantity, vol) for strike, kind, quantity, vol in row["options"]]
        terms = {name: value for name, value in row.items() if name != "options"}
        found.append(expiry_of(options=options, **terms))
    return found


def _with_moves(terms: Table) -> Table:
    """Scenarios are written as factor on spot, vol move, damping."""
    moves = [{"spot": spot, "vol": vol, "damping": damping} for spot, vol, damping in terms["scenarios"]]
    return {**terms, "scenarios": moves}
