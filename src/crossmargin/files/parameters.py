"""Dated parameter files, ``parameters/<method>/<effective-date>.toml``, shipped with the package."""

import tomllib
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TypeVar

import msgspec

from crossmargin.errors import InputError
from crossmargin.margin.method import Method, Parameters
from crossmargin.units import LARGEST_NUMBER

P = TypeVar("P", bound=Parameters)


def effective_dates(method_name: str) -> list[str]:
    """Return the dates from which parameter sets of a method hold, oldest first."""
    folder = _folder(method_name)
    if not folder.is_dir():
        return []
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_parameters(method: Method[P], as_of: str | None = None) -> P:
    """Return the parameters of `method` in force on the ISO date `as_of`, or the latest.

    Raises
    ------
    InputError
        If none was in force, or the file does not fit the method's `Parameters`.
    """
    dates = [date for date in effective_dates(method.name) if as_of is None or date <= as_of]
    if not dates:
        raise InputError(f"parameters of {method.name} must be in force on {as_of or 'some date'}, found none")
    entry = _folder(method.name) / f"{dates[-1]}.toml"
    return parse_parameters(method, entry.read_text(encoding="utf-8"), where=f"{method.name}/{dates[-1]}.toml")


def parse_parameters(method: Method[P], text: str, where: str) -> P:
    """Return the parameters written in the TOML `text`; `where` names it in errors."""
    try:
        table = tomllib.loads(text)
        _refuse_unusable(table, where)
        return msgspec.convert(table, type=method.parameters)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise InputError(f"{where} must hold the parameters of {method.name}: {error}") from error


def _refuse_unusable(value: object, where: str) -> None:
    """Refuse NaN, infinities and numbers too large to multiply, wherever they stand."""
    if isinstance(value, dict):
        for key, one in value.items():
            _refuse_unusable(one, f"{where}, {key}")
    elif isinstance(value, list):
        for place, one in enumerate(value, start=1):
            _refuse_unusable(one, f"{where} [{place}]")
    elif isinstance(value, float | int) and not abs(value) <= LARGEST_NUMBER:
        raise InputError(f"a parameter must be a number up to {LARGEST_NUMBER:g}, was {value} in {where}")


def _folder(method_name: str) -> Traversable:
    return resources.files("crossmargin") / "parameters" / method_name
