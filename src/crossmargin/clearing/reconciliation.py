"""Compare our record with somebody else's statement, and name every difference. It never proposes a booking."""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal


class Break(enum.Enum):
    """What kind of difference it is."""

    MISSING = "missing"
    """They have it, we do not."""
    UNKNOWN_TO_THEM = "unknown to them"
    """We have it, they do not."""
    DUPLICATE = "duplicate"
    """The same id more than once on one side."""
    AMOUNT = "amount"
    FEE_ASSET = "fee asset"
    """The fee was taken in another asset than we booked."""
    TIMING = "timing"
    """The same, but further apart in time than the tolerance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One fill, transfer or fee of a statement."""

    id: str
    account: str
    asset: str
    amount: Decimal
    time_ns: int = 0
    fee: Decimal = Decimal(0)
    fee_asset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What somebody says he holds for us, and what moved: at a time, per asset, per contract, line by line."""

    balances: Mapping[str, Decimal] | None = None
    """None where the statement does not say."""
    positions: Mapping[str, Decimal] | None = None
    lines: tuple[Line, ...] | None = None
    time_ns: int | None = None
    """Until when it lists what moved."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference: what kind, which line, and by how much."""

    kind: Break
    id: str
    detail: str
    amount: Decimal = Decimal(0)


def compare_statements(
    ours: Statement, theirs: Statement, *, tolerance: Decimal = Decimal(0), timing_ns: int = 0
) -> tuple[Finding, ...]:
    """Return every break between our record and a statement, in whatever both of them state.

    Examples
    --------
    >>> ours = Statement(balances={"BTC": Decimal(2)}, positions={})
    >>> [found.detail for found in compare_statements(ours, Statement(balances={"BTC": Decimal(1)}))]
    ['we say 2, they say 1 BTC']
    """
    found: list[Finding] = []
    if ours.balances is not None and theirs.balances is not None:
        found += compare_balances(ours.balances, theirs.balances, tolerance=tolerance)
    if ours.positions is not None and theirs.positions is not None:
        found += compare_balances(ours.positions, theirs.positions)
    if ours.lines is not None and theirs.lines is not None:
        found += compare_lines(ours.lines, theirs.lines, tolerance=tolerance, timing_ns=timing_ns, until=theirs.time_ns)
    return tuple(found)


def compare_lines(
    ours: Iterable[Line],
    theirs: Iterable[Line],
    *,
    tolerance: Decimal = Decimal(0),
    timing_ns: int = 0,
    until: int | None = None,
) -> tuple[Finding, ...]:
    """Return every break between two statements, in the order of ids.

    What only we have, from later than `until` less `timing_ns`, is on its way rather than unknown to them.

    Examples
    --------
    >>> line = Line(id="f1", account="a", asset="BTC", amount=Decimal(1))
    >>> [finding.kind for finding in compare_lines([], [line, line])]
    [<Break.DUPLICATE: 'duplicate'>, <Break.MISSING: 'missing'>]
    """
    mine, their = _grouped(ours), _grouped(theirs)
    found = []
    for key in sorted({*mine, *their}):
        a, b = mine.get(key, []), their.get(key, [])
        for side, lines in (("our", a), ("their", b)):
            if len(lines) > 1:
                detail = f"{len(lines)} times in {side} record"
                found.append(Finding(Break.DUPLICATE, key, detail, lines[0].amount * (len(lines) - 1)))
        if not a:
            found.append(Finding(Break.MISSING, key, f"{b[0].account}: {b[0].amount} {b[0].asset}", b[0].amount))
        elif not b:
            is_late = until is not None and a[0].time_ns > until - timing_ns
            kind = Break.TIMING if is_late else Break.UNKNOWN_TO_THEM
            found.append(Finding(kind, key, f"{a[0].account}: {a[0].amount} {a[0].asset}", a[0].amount))
        else:
            found += _differences(a[0], b[0], tolerance, timing_ns)
    return tuple(found)


def compare_balances(
    ours: Mapping[str, Decimal], theirs: Mapping[str, Decimal], *, tolerance: Decimal = Decimal(0)
) -> tuple[Finding, ...]:
    """Return the assets (or contracts) whose amounts differ by more than the tolerance.

    Examples
    --------
    >>> compare_balances({"BTC": Decimal(2)}, {"BTC": Decimal(1)})[0].amount
    Decimal('-1')
    """
    found = []
    for asset in sorted({*ours, *theirs}):
        difference = theirs.get(asset, Decimal(0)) - ours.get(asset, Decimal(0))
        if abs(difference) > tolerance:
            kind = (
                Break.MISSING if asset not in ours else Break.UNKNOWN_TO_THEM if asset not in theirs else Break.AMOUNT
            )
            detail = f"we say {ours.get(asset, Decimal(0))}, they say {theirs.get(asset, Decimal(0))} {asset}"
            found.append(Finding(kind, asset, detail, difference))
    return tuple(found)


def _grouped(lines: Iterable[Line]) -> dict[str, list[Line]]:
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(line.id, []).append(line)
    return groups


def _differences(ours: Line, theirs: Line, tolerance: Decimal, timing_ns: int) -> list[Finding]:
    found = []
    difference = theirs.amount - ours.amount
    if (ours.account, ours.asset) != (theirs.account, theirs.asset) or abs(difference) > tolerance:
        mine, their = (f"{line.account} {line.amount} {line.asset}" for line in (ours, theirs))
        detail = f"we say {mine}, they say {their}"
        found.append(Finding(Break.AMOUNT, ours.id, detail, difference))
    if ours.fee_asset != theirs.fee_asset:
        detail = f"we say {ours.fee} {ours.fee_asset}, they say {theirs.fee} {theirs.fee_asset}"
        found.append(Finding(Break.FEE_ASSET, ours.id, detail, theirs.fee))
    elif abs(theirs.fee - ours.fee) > tolerance:
        detail = f"fee: we say {ours.fee}, they say {theirs.fee} {theirs.fee_asset}"
        found.append(Finding(Break.AMOUNT, ours.id, detail, theirs.fee - ours.fee))
    if abs(theirs.time_ns - ours.time_ns) > timing_ns:
        found.append(Finding(Break.TIMING, ours.id, f"{theirs.time_ns - ours.time_ns} ns apart"))
    return found
