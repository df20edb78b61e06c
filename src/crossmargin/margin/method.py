"""What a margin method is, and what it answers."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from crossmargin.errors import InvariantError
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.risk.risk_array import RiskArray
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import AccountId


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a parameter set comes from."""

    title: str
    url: str = ""
    read: str = ""
    """Date on which it was read, ISO."""
    note: str = ""


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every parameter set says of itself. Each method adds its own fields; unknown ones are refused."""

    effective: str
    """Date from which it holds, ISO; with the method's name it is the version."""
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One addend of a requirement, in USD."""

    name: str
    amount: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A node of the tree scenario > bucket > instrument: the profit (> 0) or loss (< 0) that its children sum to."""

    name: str
    pnl: float
    children: tuple["Explanation", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A method's answer for one account, with its reason. Amounts are in USD.

    Attributes
    ----------
    initial, maintenance
        Needed to add risk; below it liquidation starts. Positive.
    equity
        Collateral after haircut, unrealised profit and option value.
    initial_components, maintenance_components
        They sum to `initial` and `maintenance`.
    equity_components
        They sum to `equity`.
    worst_scenario
        In words; empty where a method has no scenarios.
    measures
        A venue's own figures (health, uniMMR, net margin), by the venue's name for them.
    method, version
        Who says so, under which parameters.
    """

    account: AccountId
    method: str
    version: str
    initial: float
    maintenance: float
    equity: float
    initial_components: tuple[Component, ...]
    maintenance_components: tuple[Component, ...]
    equity_components: tuple[Component, ...]
    worst_scenario: str = ""
    explanation: Explanation | None = None
    measures: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, total, parts in (
            ("initial", self.initial, self.initial_components),
            ("maintenance", self.maintenance, self.maintenance_components),
            ("equity", self.equity, self.equity_components),
        ):
            summed = math.fsum(part.amount for part in parts)
            scale = max(1.0, math.fsum(abs(part.amount) for part in parts))
            if not math.isfinite(total):
                raise InvariantError(f"{name} of {self.account} must be finite, was {total}")
            if not abs(summed - total) <= 1e-9 * scale:
                raise InvariantError(f"components of {name} must sum to {total}, did to {summed}")

    @classmethod
    def from_components(
        cls,
        *,
        account: AccountId,
        method: str,
        version: str,
        initial: Iterable[Component],
        maintenance: Iterable[Component],
        equity: Iterable[Component],
        worst_scenario: str = "",
        explanation: Explanation | None = None,
        measures: Mapping[str, float] | None = None,
    ) -> "Requirement":
        """Return the answer whose three amounts are the exactly rounded sums of these addends; those of 0 are left out.

        Examples
        --------
        >>> stated = Requirement.from_components(
        ...     account=AccountId("desk"),
        ...     method="isolated",
        ...     version="2026-01-01",
        ...     initial=[Component(name="BTC", amount=50.0), Component(name="open orders", amount=0.0)],
        ...     maintenance=[Component(name="BTC", amount=25.0)],
        ...     equity=[Component(name="USD", amount=80.0), Component(name="profit", amount=-5.0)],
        ... )
        >>> stated.initial, stated.equity, len(stated.initial_components)
        (50.0, 75.0, 1)
        """
        kept = [tuple(part for part in parts if part.amount) for parts in (initial, maintenance, equity)]
        sums = [math.fsum(part.amount for part in parts) for parts in kept]
        return cls(
            account=account,
            method=method,
            version=version,
            initial=sums[0],
            maintenance=sums[1],
            equity=sums[2],
            initial_components=kept[0],
            maintenance_components=kept[1],
            equity_components=kept[2],
            worst_scenario=worst_scenario,
            explanation=explanation,
            measures=measures or {},
        )

    @property
    def excess(self) -> float:
        """Equity above the initial requirement; negative is a deficit."""
        return self.equity - self.initial

    @property
    def maintenance_ratio(self) -> float:
        """Equity over maintenance: high is safe, below 1 is liquidation; infinite without a requirement."""
        if self.maintenance > 0.0:
            return self.equity / self.maintenance
        return math.inf if self.equity >= 0.0 else -math.inf

    @property
    def margin_usage(self) -> float:
        """Maintenance over equity: low is safe, 1 is liquidation; infinite without equity."""
        if self.maintenance == 0.0:
            return 0.0 if self.equity >= 0.0 else math.inf
        return self.maintenance / self.equity if self.equity > 0.0 else math.inf


P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Method(Generic[P]):
    """A margin method: two functions and the type of their parameters.

    `scenarios` gives the set that the risk array is built from, or None for a rulebook of formulas;
    `requirement` margins one account.
    """

    name: str
    title: str
    parameters: type[P]
    scenarios: Callable[[MarketSnapshot, P], ScenarioSet | None]
    requirement: Callable[[Portfolio, MarketSnapshot, RiskArray | None, P], Requirement]


def no_scenarios(_market: MarketSnapshot, _parameters: Parameters) -> None:
    """Return None: for a rulebook of rates, tiers or formulas, which revalues nothing."""
    return
