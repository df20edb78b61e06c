"""What the history says of each coin and pair: tables, records and a page."""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from crossmargin.margin.offsets import Offset
from crossmargin.report.columns import Column, table
from crossmargin.report.sections import DataTable, Section
from crossmargin.scenarios.grouped_t import TailFit
from crossmargin.scenarios.tail_index import TailIndex
from crossmargin.units import FloatArray
from crossmargin.validation.buffers import AssetBuffer
from crossmargin.validation.calibration import Calibration
from crossmargin.validation.collateral_calibration import CoinHaircuts, Dependence, PairOffsets
from crossmargin.validation.implied_calibration import ImpliedCalibration

if TYPE_CHECKING:
    import plotly.graph_objects as go


def calibration_table(found: Sequence[Calibration], width: int) -> Table:
    """Return one row per coin: volatility and tails."""
    columns = (
        Column(heading="coin", cells=[each.currency for each in found], words=True),
        Column(heading="days", cells=[str(each.days) for each in found], importance=3),
        Column(heading="vol forecast", cells=[f"{each.vol_forecast:.0%}" for each in found]),
        Column(heading="EWMA vol", cells=[f"{each.vol_ewma:.0%}" for each in found], importance=2),
        Column(heading="tail index, losses", cells=[f"{each.tail_xi_losses:.2f}" for each in found], importance=1),
        Column(heading="tail index, gains", cells=[f"{each.tail_xi_gains:.2f}" for each in found], importance=1),
    )
    return table(columns, width, title="annual volatility, and shape of the tails of standardised moves")


def choice_table(found: Sequence[Calibration], width: int) -> Table:
    """Return one row per coin: the forecast that would have served it best, and what ours leaves in its returns."""
    columns = (
        Column(heading="coin", cells=[each.currency for each in found], words=True),
        *(
            Column(heading=head, cells=[_choice_cells(each)[place] for each in found], words=place == 0)
            for place, head in enumerate(_CHOICE_HEADS)
        ),
    )
    return table(columns, width, title="volatility forecasts, judged day by day on what came; the last three of ranges")


def tail_table(found: Sequence[Calibration], width: int) -> Table:
    """Return one row per coin: the Student's t of its standardised moves."""
    columns = (
        Column(heading="coin", cells=[each.currency for each in found], words=True),
        *(
            Column(heading=head, cells=[_tail_cells(each.tail)[place] for each in found])
            for place, head in enumerate(_TAIL_HEADS)
        ),
    )
    return table(columns, width, title="Student's t of standardised moves, skewed where the data ask")


_TAIL_HEADS = ("degrees of freedom", "skew", "p of no skew")


def _tail_cells(found: TailFit) -> tuple[str, ...]:
    return f"{found.degrees:.1f}", f"{found.skew:.2f}" if found.skew else "none", f"{found.p_value:.2f}"


def implied_table(found: ImpliedCalibration, width: int) -> Table:
    """Return one row: how the coin's implied vol moves with its price, and its weight in the forecast."""
    cells = dict(zip(_IMPLIED_HEADS, _implied_cells(found), strict=True))
    columns = (
        Column(heading="coin", cells=[found.currency], words=True),
        *(Column(heading=head, cells=[cell]) for head, cell in cells.items()),
    )
    return table(columns, width, title="implied vol: log move per log return, and its share in the forecast of a day")


_IMPLIED_HEADS = ("beta", "on falls", "on rises", "explained", "implied", "forecast", "weight", "blended")


def _implied_cells(found: ImpliedCalibration) -> tuple[str, ...]:
    law = found.spot_vol
    return (
        f"{law.beta:.2f} ± {law.standard_error:.2f}",
        f"{law.beta_down:.2f}",
        f"{law.beta_up:.2f}",
        f"{law.explained:.0%}",
        f"{found.vol_implied:.0%}",
        f"{found.vol_forecast:.0%}",
        f"{found.blend.weight:.2f}",
        f"{found.vol_blended:.0%}",
    )


_CHOICE_HEADS = ("best", "QLIKE above it, ranges", "variance ratio", "clustering left, p", "excess kurtosis")


def _choice_cells(found: Calibration) -> tuple[str, ...]:
    ours, best = (found.choice.diagnostics[name] for name in ("ranges", found.choice.name))
    return (
        found.choice.name,
        f"{ours.qlike - best.qlike:.3f}",
        f"{ours.variance_ratio:.2f}",
        f"{ours.clustering:.2f}",
        f"{ours.excess_kurtosis:.1f}",
    )


def buffer_table(found: Sequence[Calibration], width: int) -> Table:
    """Return one row per coin: how bursty its volatility is, and the buffer that follows."""
    own, drawn, rises, buffers, sources = zip(*(_buffer_cells(each.buffer) for each in found), strict=True)
    columns = (
        Column(heading="coin", cells=[each.currency for each in found], words=True),
        Column(heading="GARCH tail index", cells=list(own), importance=2),
        Column(heading="drawn to the others", cells=list(drawn)),
        Column(heading="5-day rise", cells=list(rises), importance=1),
        Column(heading="buffer", cells=list(buffers)),
        Column(heading="from", cells=list(sources), words=True, importance=3),
    )
    return table(columns, width, title="tail index with its 95 % interval, rise exceeded on one day in twenty, buffer")


def _buffer_cells(found: AssetBuffer) -> tuple[str, str, str, str, str]:
    def shown(index: TailIndex) -> str:
        low, high = index.interval
        return f"{index.index:.1f} ({low:.1f} to {high:.1f})"

    return (
        shown(found.own),
        shown(found.drawn),
        f"{found.rise:.0%}",
        f"{found.buffer:.0%}",
        "index" if found.from_index else "larger of both",
    )


def haircut_table(found: Sequence[CoinHaircuts], width: int) -> Table:
    """Return one row per coin: the haircut by size, and its parts at the smallest."""
    sizes = [cut.amount for cut in found[0].by_size] if found else []
    columns = (
        Column(heading="coin", cells=[each.currency for each in found], words=True),
        *(
            Column(heading=_dollars(size), cells=[f"{each.by_size[place].total:.1%}" for each in found])
            for place, size in enumerate(sizes)
        ),
        Column(heading="own", cells=[f"{each.by_size[0].own:.1%}" for each in found], importance=1),
        Column(heading="wrong way", cells=[f"{each.by_size[0].wrong_way:.1%}" for each in found], importance=2),
        Column(heading="depth", cells=[f"{each.by_size[0].depth:.2%}" for each in found], importance=3),
    )
    return table(columns, width, title="haircuts by amount, securing a book that is long BTC; parts of the smallest")


def offset_table(found: Sequence[PairOffsets], width: int, cap: float = 1.0) -> Table:
    """Return one row per pair: the share that netting saves, at most `cap`, as it is and under broken correlations."""
    laws = [law.law for law in found[0].laws] if found else []
    columns = (
        Column(heading="pair", cells=[each.pair for each in found], words=True),
        *(
            Column(heading=law.split(",")[0], cells=[f"{_granted(each.laws[place], cap):.0%}" for each in found])
            for place, law in enumerate(laws)
        ),
    )
    return table(
        columns,
        width,
        title="share of the two legs that netting saves; correlations half way to the named; own tails: a grouped t",
    )


def _granted(offset: Offset, cap: float) -> float:
    """Share of the sum of the parts that is saved where no more than `cap` may be."""
    return 1.0 - offset.capped(cap) / offset.total if offset.total > 0.0 else 0.0


def calibration_record(
    coins: Sequence[Calibration],
    haircuts: Sequence[CoinHaircuts],
    offsets: Sequence[PairOffsets],
    found: Dependence,
    implied: ImpliedCalibration | None = None,
    *,
    cap: float = 1.0,
) -> dict[str, Any]:
    """Return plain values of all; `charged` is what a pair needs where netting saves at most `cap` of its legs."""
    return {
        "coins": [
            {
                "currency": each.currency,
                "days": each.days,
                "vol_forecast": each.vol_forecast,
                "vol_ewma": each.vol_ewma,
                "forecast_chosen": each.choice.name,
                "forecasts": {name: dataclasses.asdict(seen) for name, seen in each.choice.diagnostics.items()},
                "tail_xi_losses": each.tail_xi_losses,
                "tail_xi_gains": each.tail_xi_gains,
                "student_t": dataclasses.asdict(each.tail),
                "garch_tail_index": _index_record(each.buffer.own),
                "garch_tail_index_shrunk": _index_record(each.buffer.drawn),
                "five_day_rise": each.buffer.rise,
                "buffer": each.buffer.buffer,
                "buffer_from_index": each.buffer.from_index,
            }
            for each in coins
        ],
        "haircuts": [
            {
                "currency": each.currency,
                "amount": cut.amount,
                "days": cut.days,
                "own": cut.own,
                "wrong_way": cut.wrong_way,
                "depth": cut.depth,
                "haircut": cut.total,
            }
            for each in haircuts
            for cut in each.by_size
        ],
        "haircut_tiers": {
            each.currency: [{"haircut": tier.haircut, "up_to": tier.up_to} for tier in each.tiers] for each in haircuts
        },
        "offsets": [
            {
                "pair": each.pair,
                "law": law.law,
                "alone": law.total,
                "together": law.together,
                "share": law.share,
                "charged": law.capped(cap),
            }
            for each in offsets
            for law in each.laws
        ],
        "correlation": {
            "currencies": list(found.currencies),
            "matrix": found.correlation.tolist(),
            "eigenvalue_clipped": found.clipped.tolist(),
            "exponentially_weighted": found.weighted.tolist(),
            "expected_next_day": found.dynamic.tolist(),
            "dcc": {"a": found.dcc.a, "b": found.dcc.b},
        },
        "implied": None if implied is None else dataclasses.asdict(implied),
    }


def _index_record(found: TailIndex) -> dict[str, Any]:
    return {"index": found.index, "interval": list(found.interval), "stable": found.stable}


def calibration_sections(
    coins: Sequence[Calibration],
    haircuts: Sequence[CoinHaircuts],
    offsets: Sequence[PairOffsets],
    found: Dependence,
    implied: ImpliedCalibration | None = None,
    *,
    cap: float = 1.0,
) -> list[Section]:
    """Return the page's sections: coins, correlations, haircuts, offsets."""
    heads = ("coin", "days", "vol forecast", "EWMA vol", "tail index, losses", "tail index, gains", *_TAIL_HEADS)
    rows = tuple(
        (each.currency, str(each.days), f"{each.vol_forecast:.0%}", f"{each.vol_ewma:.0%}",
         f"{each.tail_xi_losses:.2f}", f"{each.tail_xi_gains:.2f}", *_tail_cells(each.tail))
        for each in coins
    )  # fmt: skip
    cuts = tuple((each.currency, *(f"{cut.total:.1%}" for cut in each.by_size)) for each in haircuts)
    cut_heads = ("coin", *(_dollars(cut.amount) for cut in (haircuts[0].by_size if haircuts else ())))
    nets = tuple((each.pair, *(f"{_granted(law, cap):.0%}" for law in each.laws)) for each in offsets)
    net_heads = ("pair", *(law.law for law in (offsets[0].laws if offsets else ())))
    return [
        Section(heading="Volatility and tails", tables=(DataTable(heads=heads, rows=rows),)),
        Section(
            heading="Volatility forecasts",
            words=(
                "Each forecast was made before its day and is judged by QLIKE against the variance that the day's range "
                "shows: daily ranges of all coins, the coin's own EWMA, GARCH and GJR refitted on the past.",
            ),
            tables=(
                DataTable(
                    heads=("coin", *_CHOICE_HEADS),
                    rows=tuple((each.currency, *_choice_cells(each)) for each in coins),
                ),
            ),
        ),
        Section(
            heading="Buffers",
            words=(
                "Tail index of a GARCH by itself and drawn to those of the other coins, each with its 95 % interval; the "
                "rise of the volatility forecast over five days that was exceeded on one day in twenty; and the buffer.",
            ),
            tables=(
                DataTable(
                    heads=("coin", "tail index", "drawn to the others", "5-day rise", "buffer", "from"),
                    rows=tuple((each.currency, *_buffer_cells(each.buffer)) for each in coins),
                ),
            ),
        ),
        Section(
            heading="Correlation",
            words=(
                "Of standardised daily moves, the last 250 days, shrunk (Ledoit & Wolf).",
                "Then with the eigenvalues that noise alone may have made one (Laloux et al. 1999), and with each day "
                "weighing 3 % more than the one before it.",
                f"Beside it what a DCC expects of the next day (Engle 2002): a = {found.dcc.a:.3f}, b = {found.dcc.b:.3f}.",
            ),
            figures=(
                _heatmap(found.currencies, found.correlation, "correlation, 250 days"),
                _heatmap(found.currencies, found.clipped, "correlation, 250 days, noise eigenvalues made one"),
                _heatmap(found.currencies, found.weighted, "correlation, exponentially weighted"),
                _heatmap(found.currencies, found.dynamic, "correlation expected of the next day"),
            ),
        ),
        *([] if implied is None else [_implied_section(implied)]),
        Section(
            heading="Haircuts",
            words=("By amount of collateral, securing a book that is long BTC.",),
            tables=(DataTable(heads=cut_heads, rows=cuts),),
        ),
        Section(
            heading="Offsets",
            words=("What netting a dollar long against a dollar short saves of the two legs.",),
            tables=(DataTable(heads=net_heads, rows=nets),),
        ),
    ]


def _implied_section(found: ImpliedCalibration) -> Section:
    return Section(
        heading="Implied vol",
        words=(
            "Log moves of the 30-day implied vol on log returns of the coin, over all days and apart for falls and rises; "
            "and the blend of the forecast from returns with the implied vol that would have served best.",
        ),
        tables=(DataTable(heads=("coin", *_IMPLIED_HEADS), rows=((found.currency, *_implied_cells(found)),)),),
    )


def _heatmap(currencies: Sequence[str], correlation: FloatArray, title: str) -> "go.Figure":
    import plotly.graph_objects as go  # slow to load, and seldom needed

    figure = go.Figure(layout={"title": {"text": title}, "template": "plotly_white"})
    names = list(currencies)
    figure.add_heatmap(
        x=names, y=names, z=correlation.tolist(), zmin=-1.0, zmax=1.0, colorscale="RdBu", reversescale=True
    )
    return figure.update_layout(yaxis={"autorange": "reversed"}, height=620)


def _dollars(amount: float) -> str:
    return f"{amount / 1e6:g} M USD"
