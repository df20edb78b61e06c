"""Vol surfaces from quotes: the vols that a venue states, else those that its option marks imply."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from crossmargin.errors import MarketDataError
from crossmargin.files.market_tables import QuoteRow
from crossmargin.instruments.contracts import Contract, Option, Payoff
from crossmargin.market.forward_curve import ForwardCurve
from crossmargin.market.snapshot import Finding, Price, Quality
from crossmargin.market.vol_surface import Smile, VolSurface
from crossmargin.pricing.implied_vol import implied_vol
from crossmargin.units import SMALLEST_PRICE, Currency, InstrumentId, years_between

LARGEST_VOL = 100.0  # 10,000 % a year is the most that is believed


def quoted_surfaces(
    contracts: Iterable[tuple[Contract, QuoteRow]],
    marks: Mapping[InstrumentId, Price],
    index: Mapping[Currency, Price],
    curves: Mapping[Currency, ForwardCurve],
    time_ns: int,
) -> tuple[dict[Currency, VolSurface], list[Finding]]:
    """Return vols by underlying, expiry and strike; where call and put differ, the out-of-the-money one speaks.

    An option without a stated vol gives the one that its mark implies. A mark that no vol explains gives none, and a
    finding.

    Raises
    ------
    MarketDataError
        If a stated vol is no number inside (0, 100], or an option's underlying has no forward.
    """
    vols: dict[Currency, dict[int, dict[float, float]]] = defaultdict(lambda: defaultdict(dict))
    findings: list[Finding] = []
    for contract, row in contracts:
        if not isinstance(contract, Option) or contract.expiry_ns <= time_ns:
            continue
        if row.mark_vol is None and not _is_good(marks.get(contract.id)):
            continue
        if contract.base not in curves:
            raise MarketDataError(f"an option with a vol or a mark must come with a forward, {contract.id} has none")
        forward, strike = curves[contract.base].forward(contract.expiry_ns), contract.strike_float
        smile = vols[contract.base][contract.expiry_ns]
        if strike in smile and contract.is_call != (strike >= forward):
            continue
        if row.mark_vol is not None:
            smile[strike] = _believable(row.mark_vol, contract)
            continue
        vol, found = _implied(contract, marks[contract.id].value, forward, index, time_ns)
        findings += found
        if vol is not None:
            smile[strike] = vol
    surfaces = {
        currency: VolSurface(
            time_ns=time_ns,
            smiles=tuple(
                _smile(expiry, quotes, curves[currency]) for expiry, quotes in sorted(smiles.items()) if quotes
            ),
        )
        for currency, smiles in vols.items()
        if any(smiles.values())
    }
    return surfaces, findings


def _is_good(price: Price | None) -> bool:
    return price is not None and price.quality is Quality.GOOD


def _believable(vol: float, option: Option) -> float:
    if not SMALLEST_PRICE <= vol <= LARGEST_VOL:
        raise MarketDataError(
            f"mark_vol must be a number from {SMALLEST_PRICE:g} to {LARGEST_VOL:g}, was {vol} for {option.id}"
        )
    return vol


def _implied(
    option: Option, mark: float, forward: float, index: Mapping[Currency, Price], time_ns: int
) -> tuple[float | None, list[Finding]]:
    """Vol that `mark` implies, or None and why: a price outside its bounds, or with no time value left."""
    if option.payoff is Payoff.INVERSE:
        price = mark * forward
    else:
        price = mark * (index[option.quote].value if option.quote in index else 1.0)
    try:
        found = implied_vol(
            price, forward, option.strike_float, years_between(time_ns, option.expiry_ns), option.is_call
        )
    except MarketDataError as error:
        refused = str(error)
    else:
        vol = float(found.vol)
        if SMALLEST_PRICE <= vol <= LARGEST_VOL:
            return vol, []
        refused = "the mark holds no time value" if found.no_time_value else f"the mark implies a vol of {vol:g}"
    return None, [Finding(subject=option.id, rule="implied vol", found=refused, treatment="no vol at this strike")]


def _smile(expiry_ns: int, quotes: dict[float, float], curve: ForwardCurve) -> Smile:
    strikes = tuple(sorted(quotes))
    return Smile(
        expiry_ns=expiry_ns,
        forward=curve.forward(expiry_ns),
        strikes=strikes,
        vols=tuple(quotes[strike] for strike in strikes),
    )
