"""The body of a refusal: a rule, then the finding; for whoever answers, with a framework or without."""

from crossmargin.errors import CrossMarginError, InvariantError
from crossmargin.service.views import Record


def refused_record(error: CrossMarginError) -> tuple[int, Record]:
    """Return status and body of what is refused.

    Examples
    --------
    >>> refused_record(CrossMarginError("a book must have accounts, had none"))
    (400, {'error': {'rule': 'a book must have accounts', 'finding': 'had none'}})
    """
    rule, _comma, finding = str(error).partition(", ")
    return 500 if isinstance(error, InvariantError) else 400, {"error": {"rule": rule, "finding": finding}}


def failed_record() -> tuple[int, Record]:
    """Return status and body where we failed: whoever asked learns nothing of our insides."""
    rule, finding = "the service must answer what it is asked", "it failed, and has written down why"
    return 500, {"error": {"rule": rule, "finding": finding}}
