"""The table of commands: each is listed by its docstring's first line; listing or starting one imports what it needs."""

import dataclasses
import importlib
import inspect
import subprocess
import sys
import typing

import cyclopts
import pytest

from crossmargin.cli import app
from crossmargin.cli.commands import COMMANDS

HEAVY = ("numpy", "numba", "polars", "scipy", "litestar", "sqlalchemy", "cryptography", "textual")


@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_command_is_listed_by_the_first_line_of_its_docstring(name):
    where, line = COMMANDS[name]
    module, _, attribute = where.partition(":")
    command = getattr(importlib.import_module(f"crossmargin.cli.{module}"), attribute)
    assert line == (command.help if isinstance(command, cyclopts.App) else inspect.getdoc(command).splitlines()[0])


def test_a_book_that_is_not_given_is_the_embedded_sample():
    """All alike, but for `attribute`, which needs two snapshots of the market too."""
    needed = set()
    for name, (where, _) in COMMANDS.items():
        module, _, attribute = where.partition(":")
        command = getattr(importlib.import_module(f"crossmargin.cli.{module}"), attribute)
        given = {} if isinstance(command, cyclopts.App) else inspect.signature(command).parameters
        if "book" in given and given["book"].default is not None:
            needed.add(name)
    assert needed == {"attribute"}


def functions():
    """Return each command and subcommand with its function."""
    for name, (where, _) in COMMANDS.items():
        module, _, attribute = where.partition(":")
        command = getattr(importlib.import_module(f"crossmargin.cli.{module}"), attribute)
        if isinstance(command, cyclopts.App):
            yield from (
                (f"{name} {each}", command[each].default_command) for each in command if not each.startswith("-")
            )
        else:
            yield name, command


def test_every_command_takes_json_and_its_help_says_what_each_option_is():
    """Numpy's "start, end" in one line is passed over by the library, and leaves both without help."""
    for name, function in functions():
        types = typing.get_type_hints(function)
        groups = {each: kind for each, kind in types.items() if dataclasses.is_dataclass(kind)}
        assert "json" in types, name
        told = {function: set(inspect.signature(function).parameters) - groups.keys()}
        told |= {kind: {each.name for each in dataclasses.fields(kind)} for kind in groups.values()}
        for what, names in told.items():
            lines = inspect.getdoc(what).splitlines()
            assert {each for each in names if each not in lines} == set(), name


def test_every_command_can_be_reached():
    assert {name for name in app if not name.startswith("-")} == set(COMMANDS)


def started(*arguments):
    """Return what a command line prints, and which of the heavy libraries it has loaded at its end."""
    code = (
        "import atexit, sys\nfrom crossmargin.cli import main\n"
        f"atexit.register(lambda: print(*(set({HEAVY!r}) & sys.modules.keys()), file=sys.stderr))\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True, timeout=300
    )
    return done.stdout, set(done.stderr.split())


def test_commands_are_listed_without_importing_any(run):
    said, loaded = started("--help")
    assert all(f" {name} " in said for name in COMMANDS)
    assert loaded == set()
    assert run()[1] == run("--help")[1] == said


def test_a_command_tells_all_of_its_docstring_and_loads_no_other(run):
    said, loaded = started("watch", "--help")
    assert "--certificate" in said
    assert loaded == set()
    assert "Requests carry keys or sessions" in run("serve", "--help")[1]


def test_the_frequent_commands_load_no_statistics():
    """`scipy.stats` alone takes as long as all else that they import."""
    frequent = "schema", "venues", "margin", "what_if", "stress", "several_venues"
    code = f"""
import importlib, sys
for name in {frequent}:
    importlib.import_module("crossmargin.cli." + name)
    print(name, *({{"scipy.stats", "scipy.optimize"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == list(frequent)
