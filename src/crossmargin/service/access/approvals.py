"""Four eyes: what one owner asks for and another must approve, and which withdrawals need it."""

import secrets
import sqlite3
import threading
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from crossmargin.engine.commands import (
    AdvanceTime,
    ChargeFee,
    ListAsset,
    ListInstrument,
    RegisterBackstop,
    ReverseDeposit,
    SetCreditLine,
    SetMarginParameters,
    SetParameters,
    TransferFunds,
    Withdraw,
)
from crossmargin.errors import InputError
from crossmargin.service.access.roles import ForbiddenError, Principal, Scope

DAY_NS = 86_400_000_000_000
FourEyes = (
    SetParameters
    | SetMarginParameters
    | AdvanceTime
    | ListAsset
    | ListInstrument
    | TransferFunds
    | ReverseDeposit
    | ChargeFee
    | SetCreditLine
    | RegisterBackstop
)
"""What changes the rules, passes deadlines, or takes an account's money and is no withdrawal: it always needs two."""
Watched = Withdraw | FourEyes
ApprovalState: TypeAlias = Literal["pending", "approved", "rejected"]


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A command that waits for a second owner, or what became of it."""

    id: str
    asked_by: str
    asked_ns: int
    command: Watched
    state: ApprovalState = "pending"
    decided_by: str | None = None
    decided_ns: int | None = None


class Approvals:
    """Approvals, and what was withdrawn on one pair of eyes during the last day, in an SQLite database.

    Parameters
    ----------
    limits
        Amount per asset that an account may withdraw within 24 hours on one pair of eyes; of an asset that is not
        named, nothing.
    """

    def __init__(self, path: Path, limits: Mapping[str, Decimal]) -> None:
        self._limits = dict(limits)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA busy_timeout = 5000")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS approvals (id TEXT PRIMARY KEY, command TEXT UNIQUE, record BLOB NOT NULL)"
        )
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS withdrawn"
            " (command TEXT PRIMARY KEY, account TEXT, asset TEXT, amount TEXT, time_ns INTEGER)"
        )

    def needs_two(self, command: Watched, now_ns: int) -> bool:
        """Whether a second owner must approve; a withdrawal that needs none counts against the limit from then on.

        Many small withdrawals are one large one: the limit is on the sum of 24 hours. One that is asked again, under
        the same id, counts once.
        """
        if not isinstance(command, Withdraw):
            return True
        with self._lock:
            rows = self._database.execute(
                "SELECT command, amount FROM withdrawn WHERE account = ? AND asset = ? AND time_ns > ?",
                (command.account, command.asset, now_ns - DAY_NS),
            ).fetchall()
            counted = dict(rows)
            if command.id in counted:
                return Decimal(counted[command.id]) != command.amount
            total = sum((Decimal(amount) for _, amount in rows), command.amount)
            if total > self._limits.get(command.asset, Decimal(0)):
                return True
            self._database.execute(
                "INSERT OR REPLACE INTO withdrawn VALUES (?, ?, ?, ?, ?)",
                (command.id, command.account, command.asset, str(command.amount), now_ns),
            )
        return False

    def ask(self, command: Watched, owner: str, now_ns: int) -> Approval:
        """Return what now waits; the same command asked again is the same approval.

        Raises
        ------
        InputError
            If another command was asked for under the same id.
        """
        asked = Approval(id=secrets.token_hex(8), asked_by=owner, asked_ns=now_ns, command=command)
        with self._lock:
            self._database.execute(
                "INSERT OR IGNORE INTO approvals VALUES (?, ?, ?)", (asked.id, command.id, msgspec.json.encode(asked))
            )
            row = self._database.execute("SELECT record FROM approvals WHERE command = ?", (command.id,)).fetchone()
        held = msgspec.json.decode(row[0], type=Approval)
        if held.command != command:
            raise InputError(f"a key must name one command, {command.id} was asked with other content")
        return held

    def decide(self, approval_id: str, by: Principal, now_ns: int, *, approve: bool) -> Approval:
        """Return the approval as decided, once; approving it again returns it, so that its command can be asked again.

        Raises
        ------
        ForbiddenError
            If `by` may not administer, or is who asked.
        """
        by.require(Scope.ADMIN)
        with self._lock:
            row = self._database.execute("SELECT record FROM approvals WHERE id = ?", (approval_id,)).fetchone()
            if row is None:
                raise InputError("an approval must have been asked for, this one was not")
            held = msgspec.json.decode(row[0], type=Approval)
            _require_another(held.asked_by, by)
            if isinstance(held.command, Withdraw):
                by.require_account(held.command.account)
            wanted: Literal["approved", "rejected"] = "approved" if approve else "rejected"
            if held.state == wanted and held.decided_by == by.owner:
                return held
            if held.state != "pending":
                raise InputError(f"an approval must be pending, this one was {held.state}")
            decided = msgspec.structs.replace(held, state=wanted, decided_by=by.owner, decided_ns=now_ns)
            self._database.execute(
                "UPDATE approvals SET record = ? WHERE id = ?", (msgspec.json.encode(decided), approval_id)
            )
        return decided

    def newest(
        self, limit: int, *, before: int | None = None, state: ApprovalState | None = None
    ) -> list[tuple[int, Approval]]:
        """Return approvals with their places, the newest first and at most `limit`.

        Parameters
        ----------
        before
            Only approvals of lower places; none is ever removed, so that places are in the order of asking.
        state
            Only approvals of this state.
        """
        with self._lock:
            rows = self._database.execute(
                "SELECT rowid, record FROM approvals WHERE (:before IS NULL OR rowid < :before)"
                " AND (:state IS NULL OR json_extract(CAST(record AS TEXT), '$.state') = :state)"
                " ORDER BY rowid DESC LIMIT :limit",
                {"before": before, "state": state, "limit": limit},
            ).fetchall()
        return [(place, msgspec.json.decode(record, type=Approval)) for place, record in rows]

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()


def _require_another(asked_by: str, by: Principal) -> None:
    if asked_by == by.owner:
        raise ForbiddenError("who approves must not be who asked, both were the same owner")
