"""Judge a quote: impossible numbers are refused, doubtful ones are treated as the rules say and put on record."""

import enum
import math
from dataclasses import dataclass

from crossmargin.errors import InputError, MarketDataError
from crossmargin.market.snapshot import Finding, Price, Quality
from crossmargin.units import LARGEST_NUMBER, NANOSECONDS_PER_SECOND, SMALLEST_PRICE


class Treatment(enum.Enum):
    """What is done with the mark of a doubtful quote."""

    ACCEPT = "accepted"
    """Use the mark as good."""
    FLAG = "flagged"
    """Keep it with its quality, so that a calculation that needs it refuses."""
    CLAMP = "moved to the nearest quote"
    """Move it to the nearer of bid and ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRules:
    """When a quote is doubtful, and what is then done with its mark.

    Attributes
    ----------
    max_age_ns
        Older quotes are stale.
    max_jump
        Largest move of the mark since the quote before, as a fraction of it; None does not look.
    stale, crossed, outside, jumping
        Treatments of a stale quote, of one with its bid above its ask, of a mark outside bid and ask, and of a jump.
    """

    max_age_ns: int = 15 * 60 * NANOSECONDS_PER_SECOND
    max_jump: float | None = None
    stale: Treatment = Treatment.FLAG
    crossed: Treatment = Treatment.FLAG
    outside: Treatment = Treatment.ACCEPT
    jumping: Treatment = Treatment.FLAG

    def __post_init__(self) -> None:
        if self.max_age_ns < 0:
            raise InputError(f"max_age_ns must not be negative, was {self.max_age_ns}")
        if self.max_jump is not None and not self.max_jump > 0.0:
            raise InputError(f"max_jump must be positive, was {self.max_jump}")
        for name in ("stale", "crossed", "jumping"):
            if getattr(self, name) is Treatment.CLAMP:
                raise InputError(f"only a mark outside its quotes can be moved to the nearest; {name} cannot")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a source said about one instrument or index; None is not quoted.

    A mark may be 0 only if `may_be_zero`: a far option's is, once rounded to its tick.
    """

    subject: str
    mark: float | None
    bid: float | None = None
    ask: float | None = None
    time_ns: int | None = None
    may_be_zero: bool = False

    def __post_init__(self) -> None:
        for name in ("mark", "bid", "ask"):
            value = getattr(self, name)
            if value is None:
                continue
            least = 0.0 if self.may_be_zero else SMALLEST_PRICE
            if not least <= value <= LARGEST_NUMBER:
                rule = "not negative" if self.may_be_zero else "positive"
                raise MarketDataError(f"{name} must be finite and {rule}, was {value} for {self.subject}")


def judge(
    quote: Quote, time_ns: int, rules: QuoteRules, previous: Price | None = None
) -> tuple[Price | None, tuple[Finding, ...]]:
    """Return the mark of `quote` with its quality, and what was found.

    Without a mark the middle of bid and ask stands for it, as `Quality.MISSING`; without either there is no price.

    Parameters
    ----------
    time_ns
        Of the snapshot; a quote from later than that is refused.
    previous
        The mark before this one, for `QuoteRules.max_jump`.

    Raises
    ------
    MarketDataError
        If the quote is from after `time_ns`.

    Examples
    --------
    >>> price, findings = judge(Quote(subject="BTC-PERP", mark=100.0, bid=101.0, ask=100.5), 0, QuoteRules())
    >>> price.quality, [finding.rule for finding in findings]
    (<Quality.BOUND: 'bound'>, ['crossed', 'outside'])
    """
    if quote.time_ns is not None and quote.time_ns > time_ns:
        raise MarketDataError(
            f"a quote must be no later than its snapshot at {time_ns} ns, was at {quote.time_ns} ns for {quote.subject}"
        )
    if quote.mark is None:
        return _without_mark(quote)
    findings: list[Finding] = []
    quality, value = Quality.GOOD, quote.mark
    for rule, flagged, found, treatment in _doubts(quote, quote.mark, time_ns, rules, previous):
        findings.append(Finding(subject=quote.subject, rule=rule, found=found, treatment=treatment.value))
        if treatment is Treatment.FLAG and quality is Quality.GOOD:
            quality = flagged
        elif treatment is Treatment.CLAMP:
            value = _clamped(value, quote)
    return Price(value, quality, quote.time_ns), tuple(findings)


def _doubts(
    quote: Quote, mark: float, time_ns: int, rules: QuoteRules, previous: Price | None
) -> list[tuple[str, Quality, str, Treatment]]:
    doubts = []
    if quote.time_ns is not None and time_ns - quote.time_ns > rules.max_age_ns:
        age = (time_ns - quote.time_ns) / NANOSECONDS_PER_SECOND
        doubts.append(("stale", Quality.STALE, f"{age:g} s old", rules.stale))
    low, high = quote.bid, quote.ask
    if low is not None and high is not None and low > high:
        doubts.append(("crossed", Quality.BOUND, f"bid {low:g} above ask {high:g}", rules.crossed))
    if (low is not None and mark < low) or (high is not None and mark > high):
        doubts.append(("outside", Quality.BOUND, f"mark {mark:g} outside {low} to {high}", rules.outside))
    if rules.max_jump is not None and previous is not None and previous.value > 0.0:
        jump = abs(mark / previous.value - 1.0)
        if jump > rules.max_jump:
            doubts.append(("jumping", Quality.BOUND, f"moved by {jump:.6g} from {previous.value:g}", rules.jumping))
    return doubts


def _without_mark(quote: Quote) -> tuple[Price | None, tuple[Finding, ...]]:
    if quote.bid is None or quote.ask is None:
        finding = Finding(subject=quote.subject, rule="missing", found="no mark, no two quotes", treatment="left out")
        return None, (finding,)
    found = Finding(subject=quote.subject, rule="missing", found="no mark", treatment="middle of the quotes, flagged")
    return Price(0.5 * (quote.bid + quote.ask), Quality.MISSING, quote.time_ns), (found,)


def _clamped(value: float, quote: Quote) -> float:
    low = quote.bid if quote.bid is not None else -math.inf
    high = quote.ask if quote.ask is not None else math.inf
    return value if low > high else min(max(value, low), high)
