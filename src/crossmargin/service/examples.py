"""An example of every request in the OpenAPI document; each is accepted as it stands by a service on the sample book."""

from typing import Any

from litestar.openapi.spec import RequestBody
from litestar.openapi.spec.operation import Operation
from litestar.openapi.spec.parameter import Parameter

from crossmargin.errors import InvariantError

API, ACCOUNT = "/api/v1", "/api/v1/accounts/{name}"
PERPETUAL = "deribit:BTC/USD:BTC"
BOOK = {
    "accounts": [{"account": "me"}],
    "balances": [{"account": "me", "currency": "BTC", "amount": 2.0}],
    "positions": [{"account": "me", "instrument": PERPETUAL, "quantity": -5_000.0, "entry_price": 95_000.0}],
}
INDEX_PRICE = {"jsonrpc": "2.0", "id": 1, "method": "public/get_index_price", "params": {"index_name": "btc_usd"}}
PARAMETERS: dict[str, Any] = {
    "name": "hedger",
    "underlying": "BTC",
    "since": 1_767_225_600_000,
    "until": 1_798_761_600_000,
    "record": 1,
    "order": "my-1",
    "what": "margin-calls",
    "limit": 50,
    "state": "HEALTHY",
    "identifier": "5f2b9c0d7e614a38",
    "method": "public/get_index_price",
}
"""By name, where an operation has none of its own."""
OWN_PARAMETERS: dict[tuple[str, str], dict[str, Any]] = {
    ("get", f"{API}/accounts"): {"cursor": "cash-only"},
    ("get", f"{API}/{{what}}"): {"cursor": 1_000},
    ("get", f"{API}/liquidations"): {"cursor": 1_000},
    ("get", f"{API}/insurance"): {"cursor": 1_000},
    ("get", f"{API}/approvals"): {"cursor": 1_000, "state": "pending"},
    ("get", f"{API}/access-log"): {"cursor": 1_000, "who": "ann", "action": "/parameters"},
    ("get", "/api/v2/{method}"): {"method": "public/get_time"},
    ("post", f"{API}/orders"): {"Idempotency-Key": "order-17"},
    ("delete", f"{ACCOUNT}/orders/{{order}}"): {"Idempotency-Key": "cancel-17"},
    ("post", f"{API}/deposits"): {"Idempotency-Key": "payment-17"},
    ("post", f"{API}/withdrawals"): {"Idempotency-Key": "payout-17"},
    ("post", f"{API}/parameters"): {"Idempotency-Key": "change-17"},
    ("post", f"{API}/commands"): {"Idempotency-Key": "audit-17"},
    ("post", f"{API}/bids"): {"Idempotency-Key": "bid-17"},
}
BODIES: dict[tuple[str, str], object] = {
    ("post", f"{API}/stress"): {"moves": {"BTC": -0.3, "ETH": -0.4}, "vol": 0.5},
    ("post", f"{ACCOUNT}/what-if"): {
        "trades": [{"instrument": PERPETUAL, "quantity": "1000"}],
        "collateral": [{"currency": "USDC", "amount": "1000"}],
        "price_moves": {"BTC": -0.1},
        "vol_moves": {"BTC": 0.25},
    },
    ("post", f"{API}/margin"): {"book": BOOK, "method": "scenario_grid", "explain": True},
    ("post", f"{API}/compare"): {"book": BOOK},
    ("post", f"{API}/orders"): {
        "account": "hedger", "order": "my-1", "instrument": PERPETUAL, "side": "buy", "quantity": "1000", "price": "80000",
    },
    ("post", f"{API}/deposits"): {"account": "hedger", "asset": "USDC", "amount": "250.00"},
    ("post", f"{API}/withdrawals"): {"account": "hedger", "asset": "USDC", "amount": "100.00"},
    ("post", f"{API}/parameters"): {"parameters": {"liquidation_fee": "0.0015", "order_band": 0.25, "slice_share": 0.2}},
    ("post", f"{API}/commands"): {"type": "RunAudit"},
    ("post", f"{API}/bids"): {"account": "hedger", "auctioned": "levered-long"},
    ("post", f"{API}/session"): {"user": "ada", "password": "correct horse battery staple"},
    ("post", f"{API}/approvals/{{identifier}}"): {"decision": "approve"},
    ("post", "/api/v2"): INDEX_PRICE,
    ("post", "/api/v2/{method}"): INDEX_PRICE,
}  # fmt: skip


def put_examples(named: tuple[str, str], operation: Operation) -> None:
    """Put an example of every parameter and of the body into an operation.

    Raises
    ------
    InvariantError
        If one has none: a new route brings its own.
    """
    own = OWN_PARAMETERS.get(named, {})
    for each in operation.parameters or ():
        assert isinstance(each, Parameter)  # noqa: S101  (the framework refers to none)
        if each.name not in own and each.name not in PARAMETERS:
            raise InvariantError(f"every parameter must have an example, {each.name} of {named} has none")
        each.example = own[each.name] if each.name in own else PARAMETERS[each.name]
    if isinstance(operation.request_body, RequestBody):
        if named not in BODIES:
            raise InvariantError(f"every body must have an example, that of {named} has none")
        for media in operation.request_body.content.values():
            media.example = BODIES[named]
