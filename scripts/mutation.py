"""Mutation score of the modules that move money: change one expression at a time, and see whether a test notices.

usage: python scripts/mutation.py [--part 1/4] [--only engine/liquidation] [--survivors]

Each module's tests run once under a tracer, which learns what every test executes. Then, for every mutant, a forked
process swaps the code of the one changed function and runs the tests that execute its line until one fails. Mutated are
comparisons, arithmetic, `and`/`or`/`not`, numbers, booleans, strings, `min`/`max`, returned values, bare calls and
`continue`/`break`; not docstrings, nor the words of an error, nor `assert`s for the type checker, nor what runs at import.
A mutant that hangs counts as found; one that means the same counts as a survivor.
"""

import argparse
import ast
import copy
import importlib
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from hypothesis import HealthCheck, Phase, settings

ROOT = Path(__file__).parents[1]
MODULES = {
    "ledger/account": "ledger",
    "ledger/ledger": "ledger",
    "ledger/rounding": "ledger",
    "ledger/settlement": "ledger",
    "clearing/waterfall": "waterfall",
    "clearing/loss_sharing": "waterfall",
    "clearing/deleveraging": "deleveraging",
    "engine/liquidation": "liquidation",
    "engine/defaults": "waterfall",
}
"""Module, and the part of the clearing house that it counts to."""
TESTS = ("tests/ledger", "tests/clearing", "tests/engine", "tests/stories")
LEFT_OUT = ("test_stateful", "test_columns", "october_2025")
"""Too slow to run once per mutant; what only they notice counts as a survivor."""
COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list"}
WORDS = ("invariant", "InputError", "InvariantError", "No")
"""Calls whose strings are words for people."""

Place = tuple[ast.AST, str, int | None]
"""A node's parent, the field of it, and where in that field, if it is a list."""


def mutants(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may stand in the place of a node."""
    yield from _other_operators(node)
    yield from _other_constants(node)
    yield from _other_steps(node)


def _other_operators(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Compare(ops=[op]):
            for other in COMPARED[type(op)]:
                yield changed(node, ops=[other()])
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in COMPUTED:
            yield changed(node, op=COMPUTED[type(op)]())
        case ast.BoolOp(op=op):
            yield changed(node, op=ast.And() if isinstance(op, ast.Or) else ast.Or())
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand


def _other_constants(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.Constant(value=bool() as value):
            yield changed(node, value=not value)
        case ast.Constant(value=int() | float() as value):
            yield changed(node, value=value + 1)
        case ast.Constant(value=str() as value):
            yield changed(node, value=f"XX{value}")


def _other_steps(node: ast.AST) -> Iterator[ast.AST]:
    """Yield other calls, results and branches, and nothing in the place of a call or a `continue`."""
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in NAMES and not (name == "sorted" and node.keywords):
            yield changed(node, func=ast.copy_location(ast.Name(NAMES[name], ast.Load()), node))
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield changed(node, value=ast.copy_location(ast.Constant(None), node))
        case ast.Expr(value=ast.Call()):
            yield ast.copy_location(ast.Pass(), node)
        case ast.Continue():
            yield ast.copy_location(ast.Break(), node)
        case ast.If(test=test) | ast.IfExp(test=test) if not isinstance(test, ast.Compare | ast.UnaryOp):
            yield changed(node, test=ast.copy_location(ast.UnaryOp(ast.Not(), test), test))


def changed(node: ast.AST, **fields: object) -> ast.AST:
    """Return a copy of a node with other fields."""
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def mutable(tree: ast.Module) -> Iterator[tuple[str, ast.AST, str, Any]]:
    """Yield the function, the parent and the place in it of every node inside a function that may be mutated."""
    for top in tree.body:
        members = [(f"{top.name}.", item) for item in top.body] if isinstance(top, ast.ClassDef) else [("", top)]
        for prefix, function in members:
            if isinstance(function, ast.FunctionDef):
                body = function.body[1:] if ast.get_docstring(function) is not None else function.body
                for number in range(len(function.body) - len(body), len(function.body)):
                    yield from _places(prefix + function.name, function, "body", number)


def _places(name: str, parent: ast.AST, field: str, number: int | None) -> Iterator[tuple[str, ast.AST, str, Any]]:
    """Yield a place and all places inside it; an assertion, and the words of a message, are none."""
    found = getattr(parent, field)
    node = found if number is None else found[number]
    match node:
        case ast.Assert() | ast.JoinedStr() | ast.AnnAssign(value=None):
            return
        case ast.AnnAssign():
            yield from _places(name, node, "value", None)
        case _:
            yield name, parent, field, number
            for place in _inside(node):
                yield from _places(name, *place)


def _inside(node: ast.AST) -> Iterator[Place]:
    """Yield the places right inside a node."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "type_params", "cases") and not isinstance(node, ast.Match):
            continue
        if isinstance(value, ast.expr | ast.stmt):
            yield node, field, None
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from _of_list(node, field, number, item)


def _of_list(node: ast.AST, field: str, number: int, item: object) -> Iterator[Place]:
    """Yield the places in one of a node's parts: of a pattern's branch its lines, of a loop inside brackets its filters."""
    match item:
        case ast.match_case():
            yield from ((item, "body", line) for line in range(len(item.body)))
        case ast.keyword():
            yield item, "value", None
        case ast.comprehension():
            yield item, "iter", None
            yield from ((item, "ifs", line) for line in range(len(item.ifs)))
        case ast.Constant() if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in WORDS:
            return
        case ast.expr() | ast.stmt():
            yield node, field, number


def code_of(tree: ast.Module, path: str, name: str) -> CodeType:
    """Return the code of a function of a module, compiled but not run."""
    stack = [compile(ast.fix_missing_locations(tree), path, "exec")]
    while stack:
        code = stack.pop()
        if code.co_qualname == name:
            return code
        stack += [item for item in code.co_consts if isinstance(item, CodeType)]
    raise LookupError(name)


def function_of(module: ModuleType, name: str) -> FunctionType:
    """Return the function whose code is to be swapped, out of its wrappings."""
    found: Any = module
    for part in name.split("."):
        found = vars(found)[part]
    for wrapping in ("fget", "__func__", "__wrapped__"):
        found = getattr(found, wrapping, found)
    return found  # type: ignore[no-any-return]


class Mutation:
    """Instead of running the tests once: learn what they execute, then run them against every mutant."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.files = {str(ROOT / "src/crossmargin" / f"{name}.py"): name for name in MODULES}
        self.executed: dict[tuple[str, int], list[pytest.Item]] = defaultdict(list)
        self.seconds: dict[str, float] = {}
        self.score: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Score every module that was asked for."""
        items = [item for item in session.items if not any(name in item.nodeid for name in LEFT_OUT)]
        for item in items:
            self.learn(item)
        print(f"{len(items)} tests, {sum(self.seconds.values()):.0f} s")
        share, parts = (int(text) for text in self.arguments.part.split("/"))
        count = 0
        for path, name in self.files.items():
            if self.arguments.only and self.arguments.only not in name:
                continue
            for line, function, tree, what in self.mutants(path):
                count += 1
                if count % parts == share - 1:
                    self.judge(path, name, line, function, tree, what)
        for name, (found, total) in sorted(self.score.items()):
            print(f"{name}: {found} of {total} mutants found, {found / total:.1%}")
        for part in sorted(set(MODULES.values())):
            rows = [self.score[name] for name in MODULES if MODULES[name] == part and name in self.score]
            if rows:
                found, total = sum(row[0] for row in rows), sum(row[1] for row in rows)
                print(f"== {part}: {found} of {total}, {found / total:.1%}", flush=True)
        return True

    def learn(self, item: pytest.Item) -> None:
        """Run a test and note which lines of the modules it executes."""
        lines: set[tuple[str, int]] = set()

        def local(frame: FrameType, _: str, __: object) -> Any:  # noqa: ANN401
            lines.add((frame.f_code.co_filename, frame.f_lineno))
            return local

        def tracer(frame: FrameType, _: str, __: object) -> Any:  # noqa: ANN401
            return local if frame.f_code.co_filename in self.files else None

        began = time.perf_counter()
        sys.settrace(tracer)
        reports = runtestprotocol(item, nextitem=None, log=False)
        sys.settrace(None)
        if any(report.failed for report in reports):
            raise pytest.UsageError(f"{item.nodeid} must pass before anything is mutated")
        self.seconds[item.nodeid] = time.perf_counter() - began
        for key in lines:
            self.executed[key].append(item)

    def mutants(self, path: str) -> Iterator[tuple[int, str, ast.Module, str]]:
        """Yield line, function, mutated tree and description of every mutant of a module."""
        tree = ast.parse(Path(path).read_text())
        for function, parent, field, number in list(mutable(tree)):
            found = getattr(parent, field)
            node = found if number is None else found[number]
            for other in mutants(node):
                ast.copy_location(other, node)
                if number is None:
                    setattr(parent, field, other)
                else:
                    found[number] = other
                yield node.lineno, function, tree, f"{ast.unparse(node)[:60]}  ->  {ast.unparse(other)[:60]}"
            if number is None:
                setattr(parent, field, node)
            else:
                found[number] = node

    def judge(self, path: str, name: str, line: int, function: str, tree: ast.Module, what: str) -> None:
        """Fork, swap, and run the tests that execute the line, quickest first."""
        tests = sorted(self.executed[path, line], key=lambda item: self.seconds[item.nodeid])
        found = bool(tests) and self.fails(path, name, function, tree, tests)
        row = self.score[name]
        row[0] += found
        row[1] += 1
        if not found and self.arguments.survivors:
            print(f"survives {name}.py:{line} {function}: {what}{'' if tests else ' (no test)'}", flush=True)

    def fails(self, path: str, name: str, function: str, tree: ast.Module, tests: list[pytest.Item]) -> bool:
        """Whether a test fails on the mutant, or hangs."""
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            module = importlib.import_module("crossmargin." + name.replace("/", "."))
            function_of(module, function).__code__ = code_of(tree, path, function)
            for item in tests:
                signal.alarm(10 + int(5 * self.seconds[item.nodeid]))
                if any(report.failed for report in runtestprotocol(item, nextitem=None, log=False)):
                    os._exit(1)
            os._exit(0)
        return os.waitpid(pid, 0)[1] != 0


def main() -> int:
    """Score the modules and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", default="1/1", help="which share of the mutants, as 1/4")
    parser.add_argument("--only", default="", help="modules whose name contains this")
    parser.add_argument("--survivors", action="store_true", help="print every mutant that no test notices")
    arguments = parser.parse_args()
    # the same examples for every mutant, and no time spent on making a failure small
    settings.register_profile(
        "mutation",
        max_examples=40,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    os.environ["HYPOTHESIS_PROFILE"] = "mutation"
    options = [
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:terminalreporter",
        "-s",
        *(str(ROOT / name) for name in TESTS),
    ]
    return int(pytest.main(options, plugins=[Mutation(arguments)]))


if __name__ == "__main__":
    sys.exit(main())
