"""A self-contained HTML page of sections: words, tables and plotly figures. It opens offline and prints."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import jinja2

from crossmargin.errors import InputError

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTable:
    """A table: numbers arrive as they shall be read; the first column is words."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.heads):
                raise InputError(f"a row of {len(self.heads)} columns had {len(row)} cells")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, what to know, then tables and figures."""

    heading: str
    words: tuple[str, ...] = ()
    tables: tuple[DataTable, ...] = ()
    figures: tuple["go.Figure", ...] = field(default=())


def sections_page(title: str, subtitle: str, sections: Sequence[Section], notes: Sequence[str] = ()) -> str:
    """Return the HTML of `sections`; `notes` say at the end how the numbers were made."""
    import plotly.offline  # slow to load, and seldom needed

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("crossmargin.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    drawn = [[_script(figure.to_json()) for figure in section.figures] for section in sections]
    return environment.get_template("sections.html.j2").render(
        title=title,
        subtitle=subtitle,
        sections=list(zip(sections, drawn, strict=True)),
        notes=notes,
        plotly=plotly.offline.get_plotlyjs() if any(drawn) else "",
    )


def _script(json: str) -> str:
    """JSON that cannot end the script element that holds it."""
    return json.replace("<", "\\u003c")
