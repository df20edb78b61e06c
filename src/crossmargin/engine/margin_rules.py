"""Which version of a method's margin parameters binds, and how figures move from one version to the next."""

from typing import Any

import msgspec

from crossmargin.engine.market_view import MarketView
from crossmargin.engine.state import MarginVersion, State
from crossmargin.errors import MarketDataError
from crossmargin.margin.method import Parameters
from crossmargin.margin.methods import method_named
from crossmargin.risk.risk_array import RiskArray, risk_array


class MarginRules:
    """Parameters of a `State` in force, and the risk arrays that they ask for."""

    def __init__(self, state: State, view: MarketView) -> None:
        self._state, self._view = state, view
        self._risks: dict[tuple[str, int], tuple[Parameters, RiskArray | None]] = {}
        self._parsed: dict[tuple[str, int], Parameters] = {}
        self._force: dict[str, tuple[int, list[int]]] = {}
        """Versions of a method's parameters in force, and at what time."""

    def prices_changed(self) -> None:
        """Forget everything that depends on prices."""
        self._risks.clear()

    def parameters_changed(self) -> None:
        """Forget everything that depends on parameters."""
        self._parsed.clear()
        self._force.clear()
        self._risks.clear()

    def in_force(self, method: str) -> list[int]:
        """Return the numbers of the versions in force, the newest last."""
        kept = self._force.get(method)
        if kept is not None and kept[0] == self._state.time_ns:
            return kept[1]
        versions = self._state.margin.get(method, [])
        found = [number for number, item in enumerate(versions) if item.effective_ns <= self._state.time_ns]
        if not found:
            raise MarketDataError(f"a method must have parameters in force, {method} has none")
        self._force[method] = (self._state.time_ns, found)
        return found

    def risk(self, method: str, version: int) -> tuple[Parameters, RiskArray | None]:
        """Return the parameters of a version, -1 the newest in force, and the risk array that they ask for."""
        number = self.in_force(method)[-1] if version == -1 else version
        key = (method, number)
        if key not in self._risks:
            parameters = self._parameters(method, number)
            scenarios = method_named(method).scenarios(self._view.snapshot(), parameters)
            risk = None if scenarios is None else risk_array(self._view.instruments(), self._view.snapshot(), scenarios)
            self._risks[key] = (parameters, risk)
        return self._risks[key]

    def parameters_in_force(self, method: str) -> Parameters:
        """Return a method's newest parameters that are in force."""
        return self._parameters(method, self.in_force(method)[-1])

    def _parameters(self, method: str, number: int) -> Parameters:
        key = (method, number)
        if key not in self._parsed:
            self._parsed[key] = parsed_parameters(method, self._state.margin[method][number].parameters)
        return self._parsed[key]

    def settled_share(self, method: str, number: int) -> float:
        """Return the share of the way from the version before to version `number`: 1 once it is all that binds."""
        return _transition(self._state.margin[method][number], self._state.time_ns)


def parsed_parameters(method: str, parameters: dict[str, Any]) -> Parameters:
    """Return the parameters of a method, checked by their own record."""
    result: Parameters = msgspec.convert(parameters, type=method_named(method).parameters)
    return result


def _transition(version: MarginVersion, time_ns: int) -> float:
    """Share of the way from the old parameters to `version`: 0 during its grace period, 1 after its ramp."""
    since = time_ns - version.effective_ns - version.grace_ns
    if since < 0:
        return 0.0
    return 1.0 if since >= version.ramp_ns else since / version.ramp_ns


def nearer(old: tuple[float, float], new: tuple[float, float], share: float) -> tuple[float, float]:
    """Return equity and maintenance a share of the way from the old to the new, or the new where those are better."""
    equity = old[0] + share * (new[0] - old[0])
    maintenance = old[1] + share * (new[1] - old[1])
    return (equity, maintenance) if equity - maintenance > new[0] - new[1] else new
