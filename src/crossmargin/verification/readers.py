"""The readers by folder name, and `each_folder`, which runs them.

A reader is a function of the folder's path that returns a `Tally`. It translates the cases into calls of the same
functions that margin a book, and holds no formula of its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from crossmargin.errors import InputError
from crossmargin.verification import (
    binance_freqtrade,
    bitmex_adl,
    deribit_pm,
    deribit_standard,
    derive_auction,
    derive_pmrm1,
    derive_pmrm2,
    derive_srm,
    drift_v2,
    dydx_v4,
    grappa_cross_margin,
    hyperliquid,
    mango_v4,
    okx_pm,
    paradex_docs,
    percolator_waterfall,
    span16,
    vega,
)
from crossmargin.verification.tally import Tally

READERS: dict[str, Callable[[Path], Tally]] = {
    "binance_freqtrade": binance_freqtrade.verify,
    "bitmex_adl": bitmex_adl.verify,
    "deribit_pm": deribit_pm.verify,
    "deribit_standard": deribit_standard.verify,
    "okx_pm": okx_pm.verify,
    "derive_auction": derive_auction.verify,
    "derive_liquidation": derive_pmrm1.verify_liquidation,
    "derive_pmrm1": derive_pmrm1.verify,
    "derive_pmrm2": derive_pmrm2.verify,
    "derive_srm": derive_srm.verify,
    "drift_v2": drift_v2.verify,
    "dydx_v4": dydx_v4.verify,
    "grappa_cross_margin": grappa_cross_margin.verify,
    "hyperliquid": hyperliquid.verify,
    "mango_v4": mango_v4.verify,
    "paradex_docs": paradex_docs.verify,
    "percolator_waterfall": percolator_waterfall.verify,
    "span16": span16.verify,
    "vega": vega.verify,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderOutcome:
    """What became of one folder; `known` is False where no reader exists."""

    name: str
    known: bool
    tally: Tally | None = None


def each_folder(directory: Path) -> Iterator[FolderOutcome]:
    """Run every case folder below `directory` for which a reader exists and name the others, one by one.

    Raises
    ------
    InputError
        If `directory` is not a folder.
    """
    if not directory.is_dir():
        raise InputError(f"the cases must be a folder, found none at {directory}")
    for folder in sorted(entry for entry in directory.iterdir() if entry.is_dir()):
        known = folder.name in READERS
        yield FolderOutcome(name=folder.name, known=known, tally=_tally(folder) if known else None)


def _tally(folder: Path) -> Tally:
    try:
        return READERS[folder.name](folder)
    except (LookupError, TypeError, ValueError, OSError) as error:
        raise InputError(f"{folder.name} must hold cases as its reader expects them: {error!r}") from error
