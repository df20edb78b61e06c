"""What a network has taken over, at its average entry price, and what it has gained or lost on it."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPosition:
    """A signed position taken over at marks (vegaprotocol/specs 0012-POSR, commit 5fea1f3e)."""

    size: int = 0
    entry: Fraction = Fraction(0)
    realised: Fraction = Fraction(0)

    def take(self, size: int, mark: Fraction) -> "NetworkPosition":
        """Return the position after taking over `size` at `mark`: what closes is realised, what opens moves the entry.

        Examples
        --------
        >>> held = NetworkPosition().take(1, Fraction(100)).take(-2, Fraction(120))
        >>> held.size, int(held.realised), int(held.unrealised(Fraction(60)))
        (-1, 20, 60)
        """
        after = self.size + size
        if self.size * size >= 0:
            entry = (self.entry * self.size + mark * size) / after if after else Fraction(0)
            return NetworkPosition(size=after, entry=entry, realised=self.realised)
        closed = min(abs(size), abs(self.size)) * (1 if self.size > 0 else -1)
        entry = self.entry if self.size * after > 0 else mark if after else Fraction(0)
        return NetworkPosition(size=after, entry=entry, realised=self.realised + closed * (mark - self.entry))

    def unrealised(self, mark: Fraction) -> Fraction:
        """Return the profit on what is still held."""
        return self.size * (mark - self.entry)
