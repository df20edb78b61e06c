"""One look at a service, and the words in which the terminal shows it."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TypeVar

import msgspec

from crossmargin.client import Client, ServiceError
from crossmargin.client.records import AccountRow, Alert, Overview

T = TypeVar("T", str, float)
COLUMNS = ("account", "state", "equity", "initial", "maintenance", "excess", "usage")
STATES = ("BANKRUPT", "LIQUIDATING", "REDUCE_ONLY", "MARGIN_CALL", "HEALTHY", "CLOSED")
"""The worst first."""
FORBIDDEN = 403


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a look found."""

    overview: Overview
    accounts: tuple[AccountRow, ...]
    alerts: tuple[Alert, ...] = ()


def look(client: Client) -> Seen:
    """Return the whole, every account, and open alerts."""
    return Seen(overview=client.overview(), accounts=tuple(client.all_accounts()), alerts=_alerts(client))


def _alerts(client: Client) -> tuple[Alert, ...]:
    try:
        return client.alerts().open
    except ServiceError as error:
        if error.status == FORBIDDEN:  # a key that may read but has no part in risk
            return ()
        raise


def money(amount: Decimal) -> str:
    """Return USD in whole dollars: the terminal is for the eye, what is exact stands in the API.

    Examples
    --------
    >>> money(Decimal("-1234567.89"))
    '-1,234,568'
    """
    return f"{amount:,.0f}"


def usage(row: AccountRow) -> str:
    """Return maintenance margin per equity in percent; infinite where nothing is left to carry it.

    Examples
    --------
    >>> row = AccountRow(account="a", method="m", equity=4, initial=2, maintenance=1, excess=2, margin_usage=0.25)
    >>> usage(row)
    '25.0 %'
    """
    return "inf" if row.margin_usage is None else f"{row.margin_usage:.1%}".replace("%", " %")


def cells(row: AccountRow) -> tuple[str, ...]:
    """Return the texts of an account's row, in the order of `COLUMNS`."""
    amounts = (money(each) for each in (row.equity, row.initial, row.maintenance, row.excess))
    return (row.account, row.state, *amounts, usage(row))


def ordered(rows: Iterable[AccountRow], column: str, *, turned: bool, part: str = "") -> list[AccountRow]:
    """Return the accounts whose name has a part, by a column: states worst first, usage highest first, the rest rising.

    Accounts that are alike there stand in alphabetical order.
    """
    shown = sorted((row for row in rows if part.lower() in row.account.lower()), key=lambda row: row.account)
    match column:
        case "account":
            return _by(shown, [row.account for row in shown], turned=turned)
        case "state":
            return _by(shown, [float(_worst(row.state)) for row in shown], turned=turned)
        case "usage":
            found = [float("inf") if row.margin_usage is None else row.margin_usage for row in shown]
            return _by(shown, [-each for each in found], turned=turned)
        case _:
            return _by(shown, [float(getattr(row, column)) for row in shown], turned=turned)


def _by(rows: list[AccountRow], keys: Sequence[T], *, turned: bool) -> list[AccountRow]:
    places = sorted(range(len(rows)), key=lambda place: keys[place], reverse=turned)
    return [rows[place] for place in places]


def heading(seen: Seen) -> str:
    """Return the lines above the accounts: sums, states, the fund, breakers, alerts."""
    whole = seen.overview
    counts = sorted(whole.accounts_by_state.items(), key=lambda item: _worst(item[0]))
    states = ", ".join(f"{count} {state}" for state, count in counts)
    breakers = "; ".join(f"HALTED by {each.name}: {each.reason}" for each in whole.breakers) or "no breaker active"
    alerts = "; ".join(f"{each.level}: {each.rule}" for each in seen.alerts) or "no alert open"
    return "\n".join((
        f"{whole.time.iso}   commands and events to {whole.sequence}",
        f"equity {money(whole.equity)}   initial {money(whole.initial)}   maintenance {money(whole.maintenance)}"
        f"   insurance fund {money(whole.insurance_fund)}",
        states,
        breakers,
        alerts,
    ))  # fmt: skip


def _worst(state: str) -> int:
    return STATES.index(state) if state in STATES else -1


def prices(seen: Seen) -> str:
    """Return the ages of prices, those that may not be used named.

    Ages are by the engine's time, as the service says.
    """
    each = (
        f"{feed.source} {feed.age_ms / 1e3:.1f} s{'' if feed.state == 'GOOD' else ' ' + feed.state}"
        for feed in seen.overview.feeds
    )
    return "   ".join(each) or "no prices"
