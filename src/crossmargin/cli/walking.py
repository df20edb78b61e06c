"""Margins of many days, computed in several processes and kept on the way."""

import concurrent.futures
import hashlib
import multiprocessing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crossmargin.cli.app import followed
from crossmargin.files.parameters import read_parameters
from crossmargin.margin.methods import method_named
from crossmargin.units import FloatArray
from crossmargin.validation.books import LinearBooks
from crossmargin.validation.daily_bars import DailyBars
from crossmargin.validation.rulebook_walk import rulebook_days
from crossmargin.validation.study import MEASURES, Measure, WalkedMargins

_CHUNK = 50
"""Days of one task; margins are saved after each."""


def walked_margins(
    names: list[str],
    books: LinearBooks,
    bars: DailyBars,
    days: range,
    horizon: int,
    workers: int,
    checkpoint: Path | None,
    *,
    measures: Mapping[str, Measure] = MEASURES,
    quiet: bool,
) -> list[WalkedMargins]:
    """Return the margins of every name: measures for the whole record, methods and rulebooks for `days`."""
    rulebooks = [name for name in names if name not in measures]
    found = {name: np.full((len(books.names), bars.days_ns.size), np.nan) for name in rulebooks}
    keys = {name: _key(name, books, bars) for name in rulebooks}
    tasks = []
    for name in rulebooks:
        done = _saved(checkpoint, keys[name], found[name])
        todo = [day for day in days if not done[day]]
        tasks += [(name, todo[start : start + _CHUNK]) for start in range(0, len(todo), _CHUNK)]
    answers = _computed(tasks, books, bars, workers)
    for name, chunk, asked in followed(answers, "days", total=len(tasks), quiet=quiet):
        found[name][:, chunk] = asked
        if checkpoint is not None:
            _save(checkpoint, keys[name], chunk, asked)
    return [
        measures[name](books, bars, horizon)
        if name in measures
        else WalkedMargins(name=name, margins=found[name], uncovered=np.zeros(found[name].shape))
        for name in followed(names, "measures", total=len(names), quiet=quiet)
    ]


Task = tuple[str, list[int]]
Answer = tuple[str, list[int], FloatArray]


def _computed(tasks: list[Task], books: LinearBooks, bars: DailyBars, workers: int) -> Iterator[Answer]:
    if workers == 1 or len(tasks) < 2:
        for task in tasks:
            yield _chunk(task, books, bars)
        return
    # spawned, not forked: a fork may copy a lock that another thread holds
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting = [pool.submit(_chunk, task, books, bars) for task in tasks]
        for each in concurrent.futures.as_completed(waiting):
            yield each.result()


def _chunk(task: Task, books: LinearBooks, bars: DailyBars) -> Answer:
    name, days = task
    method = method_named(name)
    asked = [row for _, row in rulebook_days(method, read_parameters(method), books, bars, iter(days))]
    return name, days, np.stack(asked, axis=1)


def _key(name: str, books: LinearBooks, bars: DailyBars) -> str:
    """Names what was margined: other data, books or parameters are other margins."""
    method = method_named(name)
    digest = hashlib.sha256(repr((books.names, books.currencies, read_parameters(method))).encode())
    for part in (books.weights, bars.days_ns, bars.closes):
        digest.update(np.ascontiguousarray(part).tobytes())
    return f"{name}-{digest.hexdigest()[:16]}"


def _saved(checkpoint: Path | None, key: str, margins: FloatArray) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Fill in what `checkpoint` holds and return which days that was."""
    done = np.zeros(margins.shape[1], dtype=bool)
    if checkpoint is not None and checkpoint.is_file():
        with np.load(checkpoint) as kept:
            if f"{key}/days" in kept:
                done[kept[f"{key}/days"]] = True
                margins[:, kept[f"{key}/days"]] = kept[f"{key}/margins"]
    return done


def _save(checkpoint: Path, key: str, days: list[int], margins: FloatArray) -> None:
    kept: dict[str, Any] = {}
    if checkpoint.is_file():
        with np.load(checkpoint) as old:
            kept = {each: np.array(old[each]) for each in old}
    before = kept.get(f"{key}/days", np.empty(0, dtype=np.int64))
    kept[f"{key}/days"] = np.concatenate([before, np.array(days, dtype=np.int64)])
    older = kept.get(f"{key}/margins", np.empty((margins.shape[0], 0)))
    kept[f"{key}/margins"] = np.concatenate([older, margins], axis=1)
    spare = checkpoint.with_name(checkpoint.name + ".part.npz")
    np.savez_compressed(spare, **kept)
    spare.replace(checkpoint)
