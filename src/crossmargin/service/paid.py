"""What each layer of the waterfall paid since the journal began: every draw is read once, however often it is asked."""

import threading
from decimal import Decimal

from sqlalchemy import Engine as Database

from crossmargin.service import projection


class Paid:
    """Sums by layer, up to a place in the tables."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._place = -1
        self._sums: dict[str, Decimal] | None = None

    def sums(self, database: Database, *, level: bool) -> dict[str, Decimal]:
        """Return the sums as the tables have them.

        They are kept for the next question only if the tables stand `level` with the journal: before, they may be of
        another one, and wait to be emptied.
        """
        with self._lock:
            place, sums = self._place, dict(self._sums or {})
            for place, draw in projection.drawn_after(database, self._place):  # noqa: B007  (the last one is kept)
                sums[draw.layer] = sums.get(draw.layer, Decimal(0)) + draw.amount
            if level:
                self._place, self._sums = place, sums
            return dict(sums)

    def known(self) -> dict[str, Decimal] | None:
        """Return the sums as they were last kept, if they ever were."""
        with self._lock:
            return None if self._sums is None else dict(self._sums)
