"""Measure the speed, beside what one would use instead."""

import sys

import msgspec
from rich.progress import Progress
from rich.table import Table

from crossmargin.bench.backtest_workloads import backtest_linear, backtest_options
from crossmargin.bench.engine_workloads import engine_commands, engine_tick
from crossmargin.bench.margin_workloads import remargin, remargin_large, tick, tick_large
from crossmargin.bench.rulebook_workloads import RULEBOOKS
from crossmargin.bench.workload import Workload, machine
from crossmargin.bench.workloads import WORKLOADS as KERNELS
from crossmargin.cli.app import console
from crossmargin.errors import InputError

ENGINE = (engine_commands, engine_tick, tick, tick_large, remargin, remargin_large)
WORKLOADS = KERNELS | RULEBOOKS | {work.__name__: work for work in (*ENGINE, backtest_linear, backtest_options)}


def bench(*names: str, json: bool = False) -> None:
    """Measure the workloads, each beside its peers in the same process.

    Parameters
    ----------
    names
        Workloads to run; all of them by default.
    json
        Print one record instead of a table.
    """
    unknown = [name for name in names if name not in WORKLOADS]
    if unknown:
        raise InputError(f"a workload must be one of {', '.join(WORKLOADS)}, was {unknown[0]}")
    results = []
    with Progress(console=console, transient=True, disable=json) as progress:
        task = progress.add_task("measuring", total=len(names or WORKLOADS))
        for name in names or tuple(WORKLOADS):
            progress.update(task, description=name)
            results.append(WORKLOADS[name]())
            progress.advance(task)
    if json:
        answer = {"machine": machine(), "workloads": [result.record() for result in results]}
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
        return
    console.print(_table(results))
    about = machine()
    console.print(", ".join(f"{key} {value}" for key, value in about.items()), style="dim")


def _table(results: list[Workload]) -> Table:
    table = Table(title="speed, official float64 path")
    for column in ("workload", "ours", "peers", "speed-up", "to reach", "reached"):
        table.add_column(column, justify="left" if column in ("workload", "peers") else "right")
    for result in results:
        ratios = result.ratios
        table.add_row(
            f"{result.name}\n[dim]{result.title}[/]",
            f"{result.ours:,.4g} {result.unit}",
            "\n".join(f"{name} {value:,.4g}" for name, value in result.peers.items()),
            "\n".join(f"{ratio:,.1f}x" for ratio in ratios.values()),
            "\n".join(f"{bound:g}x" if name != "ours" else f"{bound:g}" for name, bound in result.floor.items()),
            "[green]yes[/]" if result.reached else "[red]no[/]",
        )
        for name, value in result.notes.items():
            table.add_row(f"[dim]  {name}[/]", f"[dim]{value:,.4g}[/]")
        table.add_section()
    return table
