"""A call of a Deribit method: its parameters read with their rules, who asks, and what it may look at.

A query has text only, a body has numbers and truth values of its own; both are read alike.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, TypeVar

from crossmargin.engine.engine import Engine
from crossmargin.instruments.contracts import Contract
from crossmargin.service.deribit.errors import invalid_params, unauthorized
from crossmargin.service.deribit.history import History
from crossmargin.service.deribit.instruments import KINDS, contract_named
from crossmargin.service.writer import Writer
from crossmargin.units import LARGEST_NUMBER

T = TypeVar("T")
MOST_DIGITS = 25
TRUTH = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Params:
    """The parameters of a call by name."""

    given: Mapping[str, Any]

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; without a default it must be there."""
        value = self.given.get(name, default)
        if value is None:
            raise invalid_params(name, "is required")
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise invalid_params(name, f"must be a text, was {value!r}")
        return str(value)

    def decimal(self, name: str) -> Decimal | None:
        """Return a number, exactly as it was written; None where there is none."""
        value = self.given.get(name)
        if value is None:
            return None
        return _number(name, value)

    def whole(self, name: str, default: int, largest: int) -> int:
        """Return a whole number from 1 to `largest`."""
        value = self.decimal(name)
        if value is None:
            return default
        if value != value.to_integral_value() or not 1 <= value <= largest:
            raise invalid_params(name, f"must be a whole number from 1 to {largest}, was {value}")
        return int(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a truth value."""
        value = self.given.get(name, default)
        value = TRUTH.get(value, value) if isinstance(value, str) else value
        if not isinstance(value, bool):
            raise invalid_params(name, f"must be true or false, was {value!r}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts; in a query it is written as JSON, or is one text."""
        value = self.given.get(name)
        if isinstance(value, str):
            value = _json(name, value) if value.startswith("[") else [value]
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise invalid_params(name, "must be a list of texts")
        return tuple(value)

    def amounts(self, name: str) -> dict[str, Decimal]:
        """Return numbers by name; in a query they are written as JSON."""
        value = self.given.get(name, {})
        value = _json(name, value) if isinstance(value, str) else value
        if not isinstance(value, dict):
            raise invalid_params(name, "must be an object of numbers")
        return {str(key): _number(f"{name}.{key}", each) for key, each in value.items()}

    def kind(self) -> str | None:
        """Return the kind of contract asked for; None for any."""
        value = self.text("kind", "any")
        if value not in ("any", *KINDS, "future_combo", "option_combo", "combo"):
            raise invalid_params("kind", f"must be any or one of {', '.join(KINDS)}, was {value}")
        return None if value == "any" else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: what is asked, by whom, of which engine."""

    writer: Writer
    history: History
    params: Params
    account: str | None = None
    now_ms: int = 0
    """Time of the clock on the wall."""

    def look(self, at: Callable[[Engine], T]) -> T:
        """Read the engine while nothing writes, with a history that is up to date."""
        with self.writer.lock:
            self.history.follow(self.writer.published)
            return at(self.writer.engine)

    def caller(self, engine: Engine) -> str:
        """Return the account that asks.

        Raises
        ------
        DeribitError
            If nobody is known to ask, or the account is not open.
        """
        if self.account is None:
            raise unauthorized("a private method needs credentials")
        if self.account not in engine.state.accounts:
            raise unauthorized(f"no account {self.account} is open")
        return self.account

    def contract(self, engine: Engine) -> Contract:
        """Return the contract that the call names."""
        return contract_named(engine, self.params.text("instrument_name"))

    def currency(self, engine: Engine, *, default: str | None = None) -> str:
        """Return the currency that the call names: ``any``, or one that is listed."""
        name = self.params.text("currency", default)
        if name.lower() != "any" and name.upper() not in engine.state.assets:
            raise invalid_params("currency", f"must be any or a listed currency, was {name}")
        return name if name.lower() == "any" else name.upper()


Method = Callable[[Call], Any]


def _number(name: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise invalid_params(name, f"must be a number, was {value!r}")
    try:
        found = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation as error:
        raise invalid_params(name, f"must be a number, was {value!r}") from error
    if not found.is_finite() or abs(found) > LARGEST_NUMBER or len(found.as_tuple().digits) > MOST_DIGITS:
        raise invalid_params(name, f"must be a number of at most {MOST_DIGITS} digits, up to {LARGEST_NUMBER:g}")
    return found


def _json(name: str, text: str) -> object:
    try:
        return json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise invalid_params(name, "must be JSON") from error
