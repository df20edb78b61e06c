"""The terminal's view of a running service, over its client."""

from crossmargin.watching.screen import Watch
from crossmargin.watching.sight import Seen, look

__all__ = ["Seen", "Watch", "look"]
