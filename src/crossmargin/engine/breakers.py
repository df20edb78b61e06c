"""Circuit breakers: what halts the engine, and when it reopens.

In a halt nobody is liquidated and only risk reduction, deposits and cancels pass. The engine reopens by itself once,
for `calm_ns`, nothing has come nearer than `reopen_share` of a threshold; a failed audit or a poisoned command waits
for an operator.
"""

from collections.abc import Callable
from decimal import Decimal

from crossmargin.engine import events as happened
from crossmargin.engine.house import House
from crossmargin.engine.market_view import GOOD
from crossmargin.engine.state import HaltState, Observed

AUTOMATIC = ("INDEX_JUMP", "MARK_INDEX_GAP", "LIQUIDATED_NOTIONAL", "INSURANCE_LOSS")
FINAL = ("AUDIT", "POISONED")
"""Halts in which nothing passes but the operator's word."""


def trip(house: House, breaker: str, finding: str) -> None:
    """Halt the engine; a halt for an audit replaces a lesser one."""
    held = house.state.halt
    if held is not None and (held.breaker in FINAL or breaker not in FINAL):
        held.quiet_since_ns = house.state.time_ns
        return
    house.state.halt = HaltState(breaker=breaker, finding=finding, quiet_since_ns=house.state.time_ns)
    house.emit(happened.Halted(breaker=breaker, finding=finding))


def watch_prices(house: House, index: dict[str, Observed], marks: dict[str, Observed]) -> Callable[[], None]:
    """Compare new prices with the old ones; return what is to be done once they are in force."""
    limits = house.parameters.breakers
    jump, gap = 0.0, 0.0
    for name, seen in index.items():
        before = house.state.market.index.get(name)
        if before is not None and seen.quality == GOOD:
            jump = max(jump, abs(float(seen.price / before.price) - 1.0))
    for seen in marks.values():
        if seen.quality != GOOD:
            gap = max(gap, house.parameters.mark_band or 0.0)

    def act() -> None:
        _judge(house, "INDEX_JUMP", jump, limits.index_jump)
        _judge(house, "MARK_INDEX_GAP", gap, limits.mark_index_gap)

    return act


def watch_flows(house: House) -> None:
    """Compare what was liquidated and drawn in the window with the thresholds."""
    limits = house.parameters.breakers
    notional = windowed(house.state.liquidated, house.state.time_ns - limits.window_ns)
    loss = windowed(house.state.insured, house.state.time_ns - limits.window_ns)
    _judge(house, "LIQUIDATED_NOTIONAL", float(notional), limits.liquidated_notional)
    most = limits.insurance_loss
    _judge(house, "INSURANCE_LOSS", float(loss), None if most is None else float(most))


def reopen_if_calm(house: House) -> None:
    """Reopen after an automatic halt once it has been quiet for long enough."""
    held = house.state.halt
    if held is None or held.breaker not in AUTOMATIC:
        return
    watch_flows(house)
    if house.state.time_ns - held.quiet_since_ns >= house.parameters.breakers.calm_ns:
        house.state.halt = None
        house.emit(happened.Resumed(reason=f"calm after {held.breaker}"))
        house.touch_all()


def windowed(entries: list[tuple[int, Decimal]], since_ns: int) -> Decimal:
    """Forget entries before `since_ns` and return the sum of the rest."""
    entries[:] = [(at, amount) for at, amount in entries if at > since_ns]
    return sum((amount for _, amount in entries), Decimal(0))


def _judge(house: House, breaker: str, found: float, limit: float | None) -> None:
    if limit is None:
        return
    if found > limit:
        trip(house, breaker, f"{found:.6g} above {limit:.6g}")
    elif house.state.halt is not None and found > house.parameters.breakers.reopen_share * limit:
        house.state.halt.quiet_since_ns = house.state.time_ns  # hysteresis: not calm enough to reopen
