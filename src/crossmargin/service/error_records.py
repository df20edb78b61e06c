"""The body of a refusal: a rule, then the finding; for whoever answers, with a framework or without."""

from crossmargin.errors import CrossMarginError, InvariantError
from crossmargin.service.views import Record


def rule_and_finding(said: str) -> tuple[str, str]:
    """Return what stands before the first comma that is no interval's, and what stands after it.

    Examples
    --------
    >>> rule_and_finding("order_band must be inside (0, 1], was 7.0")
    ('order_band must be inside (0, 1]', 'was 7.0')
    >>> rule_and_finding("a smile is a smile :(, was none")
    ('a smile is a smile :(', 'was none')
    """
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
