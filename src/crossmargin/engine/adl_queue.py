"""Where an account stands in the queue for deleveraging, contract by contract.

The order is that of the policy ``queue``: profit times leverage, the highest first, longs and shorts apart. The other
policies take from everybody at once; the place then still says whose profit is the most exposed.
"""

from dataclasses import dataclass

from crossmargin.clearing.deleveraging import percentiles
from crossmargin.engine.house import House
from crossmargin.engine.state import BANKRUPT, CLOSED
from crossmargin.ledger.settlement import profit_since_entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A place in the queue of one side of one contract."""

    instrument: str
    place: int | None
    """1 is asked first; None for who has no profit to give."""
    of: int
    """How many stand in the queue."""
    light: int | None
    """In which fifth of the queued lots the place is: 20 is asked first, 100 last."""
    profit: float
    """Profit since entry, USD."""
    leverage: float


def standings(house: House, account: str) -> tuple[Standing, ...]:
    """Return where an account stands, contract by contract in alphabetical order."""
    return tuple(_standing(house, account, each) for each in sorted(house.positions(account)))


def _standing(house: House, account: str, instrument_id: str) -> Standing:
    terms, mark = house.view.terms(instrument_id), house.mark(instrument_id)
    sign = 1 if house.lots(account, instrument_id) > 0 else -1
    queued: list[tuple[float, str, int]] = []
    own = 0.0, 0.0
    for name in house.state.ledger.holders(instrument_id):
        lots = house.lots(name, instrument_id)
        if lots * sign <= 0 or house.state.accounts[name].state in (BANKRUPT, CLOSED):
            continue
        profit = float(
            house.usd(terms.settle, profit_since_entry(terms, house.state.ledger.holding(name, instrument_id), mark))
        )
        leverage = float(house.notional(instrument_id, lots)) / max(house.health(name).worth, 1.0)
        if name == account:
            own = profit, leverage
        if profit > 0.0:
            queued.append((-profit * leverage, name, abs(lots)))
    queued.sort()
    place = next((number for number, each in enumerate(queued) if each[1] == account), None)
    lights = percentiles([-each[0] for each in queued], [each[2] for each in queued]) if queued else []
    return Standing(
        instrument=instrument_id, place=None if place is None else place + 1, of=len(queued),
        light=None if place is None else lights[place], profit=own[0], leverage=own[1],
    )  # fmt: skip
