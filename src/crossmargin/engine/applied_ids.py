"""The ids of commands that were applied: kept while a command of that id could still be accepted.

A command that says when it was sent is refused once that is longer ago than the window, so its id need not be known any
longer: asked again, it is refused as too old. A command that does not say so could come again at any time, and its id is
kept for ever.
"""

import heapq


class AppliedIds:
    """Digests of applied commands by id, and when those were sent that say so."""

    def __init__(self, digests: dict[str, str], sent: dict[str, int]) -> None:
        self.digests, self.sent = digests, sent
        self._oldest = [(sent_ns, name) for name, sent_ns in sent.items()]
        heapq.heapify(self._oldest)

    def add(self, name: str, digest: str, sent_ns: int | None) -> None:
        """Note a command that was applied."""
        self.digests[name] = digest
        if sent_ns is not None:
            self.sent[name] = sent_ns
            heapq.heappush(self._oldest, (sent_ns, name))

    def forget(self, now_ns: int, window_ns: int | None) -> None:
        """Forget the ids of commands that were sent longer ago than the window; None keeps all.

        Examples
        --------
        >>> ids = AppliedIds({}, {})
        >>> ids.add("a", "digest", 10)
        >>> ids.add("b", "digest", None)
        >>> ids.forget(31, 20)
        >>> list(ids.digests)
        ['b']
        """
        if window_ns is None:
            return
        while self._oldest and self._oldest[0][0] < now_ns - window_ns:
            _, name = heapq.heappop(self._oldest)
            del self.digests[name], self.sent[name]
