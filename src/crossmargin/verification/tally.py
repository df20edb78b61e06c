"""Counting the cases of a folder."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Cases of one folder as they are checked.

    A case is one independent expected answer; it matches if every number in it does. `disabled` cases are those that
    the folder's own README calls self-contradicting or switched off upstream: counted, never hidden.
    """

    name: str
    cases: int = 0
    matched: int = 0
    disabled: int = 0
    worst_error: float = 0.0
    mismatches: list[str] = field(default_factory=list)

    def check(self, case: str, pairs: list[tuple[float, float]], *, tolerance: float, scale: float = 0.0) -> None:
        """Count a case whose ``(ours, theirs)`` pairs must agree to `tolerance`, relative to theirs (at least `scale`).

        With ``scale=1`` the tolerance is absolute for numbers below one; with exact integers pass ``tolerance=0``.
        """
        self.cases += 1
        error = max((_relative(ours, theirs, scale) for ours, theirs in pairs), default=0.0)
        self.worst_error = max(self.worst_error, error)
        if error <= tolerance:
            self.matched += 1
        else:
            self.mismatches.append(f"{case}: worst relative error {error:.3g}, allowed {tolerance:.3g}")

    def disable(self, case: str, reason: str) -> None:
        """Count a case that its own source has switched off or that contradicts itself."""
        self.disabled += 1
        self.mismatches.append(f"{case}: disabled: {reason}")

    @property
    def ok(self) -> bool:
        """Whether every case that counts has matched."""
        return self.matched == self.cases


def _relative(ours: float, theirs: float, scale: float) -> float:
    if ours == theirs:
        return 0.0
    if ours != ours or theirs != theirs:
        return float("inf")
    return abs(ours - theirs) / max(abs(theirs), scale, 1e-300)
