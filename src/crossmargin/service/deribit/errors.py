"""Deribit's error codes, and which of them stands for each of our refusals.

Codes and their short names are those of docs.deribit.com ("RPC error codes"); clients map them to exceptions of their
own.
"""

from typing import Any

from crossmargin.engine.events import Refused
from crossmargin.engine.refusals import Refusal

Record = dict[str, Any]


class DeribitError(Exception):
    """An answer that is an error.

    Attributes
    ----------
    code
        Deribit's number.
    message
        Its short name.
    data
        What was wrong; None where the name says it all.
    """

    def __init__(self, code: int, message: str, data: Record | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def record(self) -> Record:
        """Return the member ``error`` of an answer."""
        found: Record = {"code": self.code, "message": self.message}
        return found if self.data is None else {**found, "data": self.data}


def invalid_params(param: str, reason: str) -> DeribitError:
    """Return the error for a parameter that breaks its rule."""
    return DeribitError(-32602, "Invalid params", {"param": param, "reason": reason})


def method_not_found(method: str) -> DeribitError:
    """Return the error for a method that is not answered here."""
    return DeribitError(-32601, "Method not found", {"reason": f"no method {method}"})


def unauthorized(reason: str) -> DeribitError:
    """Return the error for a private method without a caller."""
    return DeribitError(13009, "unauthorized", {"reason": reason})


def forbidden(reason: str) -> DeribitError:
    """Return the error for who is known and may not do this."""
    return DeribitError(13021, "forbidden", {"reason": reason})


def invalid_credentials() -> DeribitError:
    """Return the error for credentials that are not known, without saying which part is wrong."""
    return DeribitError(13004, "invalid_credentials")


def not_found(name: str) -> DeribitError:
    """Return the error for an instrument that is not listed."""
    return DeribitError(13020, "not_found", {"reason": f"no instrument {name}"})


def order_not_found(order_id: str) -> DeribitError:
    """Return the error for an order that this account has not placed."""
    return DeribitError(10004, "order_not_found", {"reason": f"no order {order_id}"})


def not_implemented(reason: str) -> DeribitError:
    """Return the error for something that Deribit does and this service does not."""
    return DeribitError(10033, "not_implemented", {"reason": reason})


CODES: dict[Refusal, tuple[int, str]] = {
    Refusal.DUPLICATE_ID_OTHER_CONTENT: (11030, "other_reject"),
    Refusal.ENGINE_HALTED: (10019, "locked_by_admin"),
    Refusal.MALFORMED: (11043, "bad_argument"),
    Refusal.TIME_RUNS_FORWARD: (11043, "bad_argument"),
    Refusal.EXPIRED_COMMAND: (10040, "retry"),
    Refusal.UNKNOWN_ASSET: (11043, "bad_argument"),
    Refusal.UNKNOWN_INSTRUMENT: (13020, "not_found"),
    Refusal.UNKNOWN_ACCOUNT: (13004, "invalid_credentials"),
    Refusal.UNKNOWN_ORDER: (10004, "order_not_found"),
    Refusal.UNKNOWN_LIQUIDATION: (11043, "bad_argument"),
    Refusal.ALREADY_EXISTS: (11030, "other_reject"),
    Refusal.NOT_EMPTY: (11030, "other_reject"),
    Refusal.NOT_HALTED: (11030, "other_reject"),
    Refusal.ACCOUNT_STATE: (13002, "account_blocked"),
    Refusal.HALTED_RISK_REDUCTION_ONLY: (10019, "locked_by_admin"),
    Refusal.INSTRUMENT_EXPIRED: (10012, "book_closed"),
    Refusal.NOT_EXPIRED: (11043, "bad_argument"),
    Refusal.NO_PRICE: (10040, "retry"),
    Refusal.PRICE_NOT_GOOD: (10040, "retry"),
    Refusal.PRICE_OUTSIDE_BAND: (10011, "price_not_allowed"),
    Refusal.SELF_TRADE: (10003, "order_overlap"),
    Refusal.NOT_REDUCING: (11030, "other_reject"),
    Refusal.POSITION_LIMIT: (10018, "non_pme_max_future_position_size"),
    Refusal.OPEN_INTEREST_LIMIT: (11030, "other_reject"),
    Refusal.CREDIT_LIMIT: (11030, "other_reject"),
    Refusal.TOO_MANY_ORDERS: (10013, "pme_max_total_open_orders"),
    Refusal.INSUFFICIENT_BALANCE: (10009, "not_enough_funds"),
    Refusal.UNSETTLED_PROFIT: (10009, "not_enough_funds"),
    Refusal.BORROW_LIMIT: (10009, "not_enough_funds"),
    Refusal.WITHDRAWAL_RATE_LIMIT: (11030, "other_reject"),
    Refusal.INSUFFICIENT_MARGIN: (10009, "not_enough_funds"),
    Refusal.NOT_LIQUIDATABLE: (11030, "other_reject"),
    Refusal.WORSENS_HEALTH: (11030, "other_reject"),
    Refusal.OUTSIDE_LIMIT: (11030, "other_reject"),
    Refusal.DEPOSIT_CAP: (11030, "other_reject"),
}


def refused(event: Refused) -> DeribitError:
    """Return the error that says what the engine refused, and why in its own words.

    Examples
    --------
    >>> refused(Refused(command="a", reason="INSUFFICIENT_MARGIN", detail="short of 5.00 USD")).record()["message"]
    'not_enough_funds'
    """
    code, message = CODES[event.refusal]
    return DeribitError(code, message, {"reason": event.detail or event.refusal.value, "refusal": event.reason})
