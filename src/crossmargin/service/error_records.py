"""The body of a refusal: a rule, then the finding; for whoever answers, with a framework or without."""

import re

from crossmargin.errors import CrossMarginError, InvariantError
from crossmargin.service.views import Record

_FINDING = re.compile(r", (?=was |were |had |held |found )")


def rule_and_finding(said: str) -> tuple[str, str]:
    """Return what stands before the finding, and the finding: from a comma and its verb, else the first comma of no interval.

    Examples
    --------
    >>> rule_and_finding("order_band must be inside (0, 1], was 7.0")
    ('order_band must be inside (0, 1]', 'was 7.0')
    >>> rule_and_finding("a smile is a smile :(, was none")
    ('a smile is a smile :(', 'was none')
    >>> rule_and_finding("a list must be one of draws, margin-calls, audit, was nonsense")
    ('a list must be one of draws, margin-calls, audit', 'was nonsense')
    """
    found = _FINDING.search(said)
    if found is not None:
        return said[: found.start()], said[found.start() + 2 :]
    depth = 0
    for place, letter in enumerate(said):
        depth += (letter in "([") - (letter in ")]")
        if depth == 0 and said.startswith(", ", place):
            return said[:place], said[place + 2 :]
    rule, _comma, finding = said.partition(", ")
    return rule, finding


def refused_record(error: CrossMarginError) -> tuple[int, Record]:
    """Return status and body of what is refused.

    Examples
    --------
    >>> refused_record(CrossMarginError("a book must have accounts, had none"))
    (400, {'error': {'rule': 'a book must have accounts', 'finding': 'had none'}})
    """
    rule, finding = rule_and_finding(str(error))
    return 500 if isinstance(error, InvariantError) else 400, {"error": {"rule": rule, "finding": finding}}


def failed_record() -> tuple[int, Record]:
    """Return status and body where we failed: whoever asked learns nothing of our insides."""
    rule, finding = "the service must answer what it is asked", "it failed, and has written down why"
    return 500, {"error": {"rule": rule, "finding": finding}}
