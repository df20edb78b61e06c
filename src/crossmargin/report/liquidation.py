"""The two-asset surface of liquidation: equity less maintenance over joint moves, as a table and as a chart."""

from typing import TYPE_CHECKING

from rich.table import Table

from crossmargin.report.columns import Column, table
from crossmargin.units import Currency, FloatArray

if TYPE_CHECKING:
    import plotly.graph_objects as go


def surface_table(coins: tuple[Currency, Currency], moves: FloatArray, cushion: FloatArray, width: int) -> Table:
    """Return `cushion` in thousands of USD, the first coin down and the second across; negative is liquidation."""
    columns = (
        Column(heading=f"{coins[0]} | {coins[1]}", cells=[f"{move:+.0%}" for move in moves]),
        *(
            Column(
                heading=f"{move:+.0%}",
                cells=[f"{value / 1e3:,.0f}" for value in cushion[:, place]],
                importance=round(abs(float(move)) * 10.0),
            )
            for place, move in enumerate(moves)
        ),
    )
    return table(columns, width, title=f"equity less maintenance, thousands of USD: {coins[0]} down, {coins[1]} across")


def surface_figure(
    account: str, coins: tuple[Currency, Currency], moves: FloatArray, cushion: FloatArray
) -> "go.Figure":
    """Return `cushion` as a map of colours with the line where liquidation begins."""
    import plotly.graph_objects as go  # slow to load, and seldom needed

    figure = go.Figure()
    figure.add_heatmap(x=moves, y=moves, z=cushion, colorscale="RdYlGn", zmid=0.0, colorbar_title="USD")
    figure.add_contour(
        x=moves,
        y=moves,
        z=cushion,
        contours={"start": 0.0, "end": 0.0, "coloring": "none"},
        line={"color": "black", "width": 3},
        showscale=False,
        name="liquidation",
    )
    figure.update_layout(
        template="plotly_white",
        title=f"{account}: equity less maintenance; liquidation begins at the black line",
        xaxis={"title": f"move of {coins[1]}", "tickformat": "+.0%"},
        yaxis={"title": f"move of {coins[0]}", "tickformat": "+.0%"},
    )
    return figure
