"""Documents keep up with the code."""

import doctest
import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from crossmargin.cli import app
from crossmargin.margin.methods import METHODS, OWN_METHODS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_has_its_page_and_dated_parameters_with_sources(name: str) -> None:
    page = DOCS / "methods" / f"{name}.md"
    assert page.is_file()
    assert page.read_text(encoding="utf-8").startswith(f"# `{name}`")
    files = list((resources.files("crossmargin") / "parameters" / name).iterdir())
    assert files
    for file in files:
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}\.toml", file.name)
        held = tomllib.loads(file.read_text(encoding="utf-8"))
        assert held["effective"] == file.name.removesuffix(".toml")
        assert all(source["title"] for source in held["sources"])
        assert held["sources"]


def test_our_own_methods_are_methods() -> None:
    assert set(OWN_METHODS) <= set(METHODS)


def test_the_readme_maps_every_package() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    package = ROOT / "src" / "crossmargin"
    names = {path.stem for path in package.iterdir() if path.name != "__pycache__" and not path.name.startswith("_")}
    silent = {"py", "errors", "units", "parameters", "sample"}
    missing = sorted(name for name in names - silent if f"`{name}`" not in text)
    assert not missing


def test_the_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [name for name in app if not name.startswith("-")]
    assert [name for name in commands if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", sorted([ROOT / "README.md", *DOCS.rglob("*.md")]), ids=lambda p: p.name)
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


EXAMPLES = [page for page in sorted(DOCS.rglob("*.md")) if "\n>>> " in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda p: p.name)
def test_examples_of_a_page_run(page: Path) -> None:
    found = doctest.testfile(str(page), module_relative=False)
    assert found.attempted > 0
    assert found.failed == 0


def test_every_decision_is_listed() -> None:
    listed = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    for page in (DOCS / "decisions").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in listed


PRINTED = re.compile(r"crossmargin ([a-z][a-z-]*(?: [a-z]+)?)(.*)")


def printed(page: Path) -> list[tuple[str, list[str]]]:
    """Return the command lines that a page prints, in its code alone: each with the options that it names."""
    told, prose, is_fenced = [], [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            is_fenced = not is_fenced
        elif is_fenced or line.startswith("    crossmargin "):
            told.append(line.strip().partition(" #")[0])
        else:
            prose.append(line)
    told += [" ".join(span.split()) for span in re.findall(r"`([^`]*)`", "\n".join(prose))]
    lines = [each for each in told if re.match(r"(\w+='[^']*' )*crossmargin [a-z]", each)]
    return [
        (words, re.findall(r"(?<!\S)--[a-z][a-z-]*", rest)) for line in lines for words, rest in PRINTED.findall(line)
    ]


PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md")])


@pytest.mark.parametrize("page", [each for each in PAGES if printed(each)], ids=lambda p: p.name)
def test_command_lines_of_a_page_are_commands_with_options_that_there_are(page: Path) -> None:
    for words, options in printed(page):
        name, _, sub = words.partition(" ")
        assert name in app, f"no command {name}"
        command = app[name]
        if sub and sub in command:
            command = command[sub]
        arguments = [] if command.default_command is None else command.assemble_argument_collection()
        known = {"--help", *(each for argument in arguments for each in argument.names)}
        assert set(options) <= known, f"crossmargin {words}: no option {sorted(set(options) - known)}"


def test_a_wrong_command_line_on_a_page_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "`crossmargin margin --jsn` and\n\n```sh\ncrossmargin keys create --owner desk   # once\n```\n",
        encoding="utf-8",
    )
    assert printed(page) == [("keys create", ["--owner"]), ("margin", ["--jsn"])]
