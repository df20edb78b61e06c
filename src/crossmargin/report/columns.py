"""Tables that fit their width: a column is shown whole or not at all, the least important left out first."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.table import Table

GAP = 2
"""Blank cells between two columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A heading with its cells; `importance` 0 always stays, a larger one leaves first.

    `fills` marks the one column of words that may take what width is left, and be cut to it.
    """

    heading: str
    cells: Sequence[str]
    importance: int = 0
    words: bool = False
    fills: bool = False

    @property
    def width(self) -> int:
        """Cells that the widest entry takes."""
        return max(cell_len(text) for text in (self.heading, *self.cells))


LEAST_WORDS = 14
"""A column of words narrower than this says nothing and is left out."""


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """Return the columns that fit into `width` cells, in their order.

    Examples
    --------
    >>> wide = [Column(heading="account", cells=["a"]), Column(heading="excess", cells=["1,000"], importance=1)]
    >>> [column.heading for column in fitting(wide, 10)]
    ['account']
    """
    kept: list[int] = []
    taken = 0
    for place in sorted(range(len(columns)), key=lambda place: (columns[place].importance, place)):
        column = columns[place]
        needed = (min(column.width, LEAST_WORDS) if column.fills else column.width) + GAP
        if column.importance and taken + needed > width:
            break
        kept.append(place)
        taken += needed
    return [columns[place] for place in sorted(kept)]


def table(columns: Sequence[Column], width: int, *, title: str | None = None, styles: Sequence[str] = ()) -> Table:
    """Return a table of the columns that fit, with a thin rule below the head; `styles` are those of the rows."""
    kept = fitting(columns, width)
    drawn = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, GAP - 1, 0, 0),  # the divider is blank, and the rest of the gap
    )
    fixed = sum(column.width + GAP for column in kept if not column.fills)
    for column in kept:
        drawn.add_column(
            column.heading,
            justify="left" if column.words else "right",
            no_wrap=True,
            overflow="ellipsis" if column.fills else "crop",
            min_width=None if column.fills else column.width,
            max_width=max(width - fixed - GAP, 1) if column.fills else None,
            header_style="dim",
        )
    rows = len(kept[0].cells) if kept else 0
    for row, style in zip(range(rows), (*styles, *([""] * rows)), strict=False):
        drawn.add_row(*(column.cells[row] for column in kept), style=style or None)
    return drawn
