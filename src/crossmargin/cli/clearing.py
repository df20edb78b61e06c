"""Run, replay and audit a journal; play a story; walk a default through the waterfall."""

import sys
import tempfile
from collections.abc import Iterable
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from rich.progress import Progress
from rich.table import Table

from crossmargin.cli.app import console
from crossmargin.engine.audit import violations
from crossmargin.engine.commands import Command
from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Defaulted, Drawn, Event
from crossmargin.errors import InputError
from crossmargin.files.story import Story, play
from crossmargin.store.journal import open_journal
from crossmargin.store.records import RecordError
from crossmargin.store.runner import Replayed, Runner
from crossmargin.store.runner import replay as replay_journal

BATCH = 256
"""Commands per sync of the journal."""


def run(journal: Path, *, commands: Path | None = None, json: bool = False) -> None:
    """Recover the engine of JOURNAL, then write and apply commands read as JSON lines.

    Parameters
    ----------
    journal
        Folder of segments, or an SQLite file; it is created if there is none.
    commands
        File of commands, one JSON object per line; standard input without it.
    json
        Print a record instead of a line.
    """
    try:
        opened = open_journal(journal, write=True)
        runner = Runner(opened)
    except RecordError as error:
        _stop(error, json=json)
        return
    count = events = 0
    with Progress(console=console, transient=True, disable=json) as progress:
        task = progress.add_task("commands", total=None)
        for batch in _batches(_lines(commands)):
            for happened in runner.submit(batch):
                count, events = count + 1, events + len(happened)
            progress.update(task, completed=count)
    opened.close()
    _report(count, events, runner.engine, json=json)


def replay(journal: Path, *, json: bool = False) -> None:
    """Apply every command of JOURNAL to an empty engine and state the hash of what it then remembers.

    Exit code 1, and the first bad record named, if the journal is torn or altered.

    Parameters
    ----------
    journal
        Folder of segments, or an SQLite file.
    json
        Print a record instead of a line.
    """
    found = _replayed(journal, json=json)
    _report(found.commands, found.events, found.engine, json=json)


def audit(journal: Path, *, json: bool = False) -> None:
    """Replay JOURNAL and check every invariant of what results; exit code 1 if one is violated.

    Parameters
    ----------
    journal
        Folder of segments, or an SQLite file.
    json
        Print a record instead of lines.
    """
    found = _replayed(journal, json=json)
    broken = violations(found.engine.state)
    if json:
        _write({"commands": found.commands, "violations": broken, "state_hash": found.engine.state_hash()})
    else:
        for line in broken:
            console.print(f"[bold red]violated:[/] {line}")
        console.print(f"{found.commands} commands, {len(broken)} violations")
    if broken:
        sys.exit(1)


def story(file: Path, *, json: bool = False) -> None:
    """Play FILE, a text table of what happens, and check what it expects.

    Parameters
    ----------
    file
        A story; docs/stories.md lists its lines.
    json
        Print a record instead of lines.
    """
    if not file.is_file():
        raise InputError(f"a story must be a file, found none at {file}")
    played = play(file.read_text(encoding="utf-8"))
    if json:
        _write(
            {
                "commands": len(played.commands),
                "events": len(played.events),
                "expectations": played.expectations,
                "state_hash": played.engine.state_hash(),
            }
        )
        return
    for event in played.events:
        console.print(f"[bold]{type(event).__name__}[/] {_fields(event)}", soft_wrap=True)
    console.print(f"{played.expectations} expectations met, {len(played.commands)} commands")


def clearing_demo(*, json: bool) -> None:
    """Walk the embedded default through the whole waterfall, journaled, and show who paid what."""
    folder = Path(tempfile.mkdtemp(prefix="crossmargin-")) / "journal"
    opened = open_journal(folder, write=True)
    runner = Runner(opened)
    text = (resources.files("crossmargin") / "sample" / "default.story").read_text(encoding="utf-8")
    played = play(text, JournaledSink(runner))
    opened.close()
    shortfall, draws = who_paid(played.events)
    if json:
        _write(
            {
                "shortfall": str(shortfall),
                "draws": [{"layer": layer, "amount": str(amount)} for layer, amount in draws],
                "journal": str(folder),
                "state_hash": runner.engine.state_hash(),
            }
        )
        return
    console.print(_waterfall(shortfall, draws))
    _times(played)
    console.print(f"journal: {folder}\nstate hash: {runner.engine.state_hash()}", soft_wrap=True)


class JournaledSink:
    """Where a story's commands go: a runner, and so its journal. The story looks at the runner's engine."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    @property
    def engine(self) -> Engine:
        """The engine that the story looks at."""
        return self._runner.engine

    def __call__(self, command: Command) -> tuple[Event, ...]:
        """Write and apply a command."""
        return self._runner.submit([command])[0]


def who_paid(events: Iterable[Event]) -> tuple[Decimal, list[tuple[str, Decimal]]]:
    """Return the sum of shortfalls, and what each layer paid, in the order in which layers pay."""
    shortfall = Decimal(0)
    draws: dict[str, Decimal] = {}
    for event in events:
        if isinstance(event, Defaulted):
            shortfall += event.shortfall
        elif isinstance(event, Drawn):
            draws[event.layer] = draws.get(event.layer, Decimal(0)) + event.amount
    return shortfall, list(draws.items())


def _waterfall(shortfall: Decimal, draws: list[tuple[str, Decimal]]) -> Table:
    table = Table(title=f"A shortfall of {shortfall:,.2f} USDC, and who paid it")
    table.add_column("layer")
    table.add_column("paid", justify="right")
    table.add_column("still owed", justify="right")
    table.add_column("")
    left = shortfall
    for layer, amount in draws:
        left -= amount
        blanks = round(24 * float(1 - (left + amount) / shortfall))
        bar = " " * blanks + "█" * max(round(24 * float(amount / shortfall)), 1)
        table.add_row(layer, f"{amount:,.2f}", f"{left:,.2f}", bar)
    return table


def _times(played: Story) -> None:
    for event in played.events:
        if isinstance(event, Drawn):
            console.print(
                f"  {event.layer}: {event.payer} paid {event.amount:,.2f} for {event.account}", soft_wrap=True
            )


def _replayed(journal: Path, *, json: bool) -> Replayed:
    with Progress(console=console, transient=True, disable=json) as progress:
        task = progress.add_task("records", total=None)
        try:
            return replay_journal(open_journal(journal), lambda number, _: progress.update(task, completed=number))
        except RecordError as error:
            progress.stop()
            _stop(error, json=json)
            raise


def _stop(error: RecordError, *, json: bool) -> None:
    if json:
        _write({"error": str(error), "record": error.number})
    sys.stderr.write(f"error: {error}\n")
    sys.exit(1)


def _report(commands: int, events: int, engine: Engine, *, json: bool) -> None:
    record = {"commands": commands, "events": events, "state_hash": engine.state_hash()}
    if json:
        _write(record)
    else:
        console.print(f"{commands} commands, {events} events, state hash {record['state_hash']}", soft_wrap=True)


def commands_in(path: Path) -> tuple[Command, ...]:
    """Return the commands of a file, one JSON object a line.

    Raises
    ------
    InputError
        If there is no file, or a line holds no command.
    """
    return tuple(command for batch in _batches(_lines(path)) for command in batch)


def _lines(path: Path | None) -> Iterable[bytes]:
    if path is None:
        yield from sys.stdin.buffer
        return
    if not path.is_file():
        raise InputError(f"commands must be a file, found none at {path}")
    with path.open("rb") as lines:
        yield from lines


def _batches(lines: Iterable[bytes]) -> Iterable[list[Command]]:
    decoder = msgspec.json.Decoder(Command)
    batch: list[Command] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            batch.append(decoder.decode(line))
        except (msgspec.DecodeError, InputError) as error:
            raise InputError(f"line {number} must hold a command: {error}") from error
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _fields(event: Event) -> str:
    values: dict[str, Any] = msgspec.to_builtins(event)
    return ", ".join(f"{name} {value}" for name, value in values.items() if name != "type")


def _write(record: dict[str, Any]) -> None:
    sys.stdout.write(msgspec.json.encode(record).decode() + "\n")
