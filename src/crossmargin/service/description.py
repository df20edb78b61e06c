"""The answers of every operation in the OpenAPI document: those that our own client reads, and the refusals in one shape."""

from typing import Any, cast

import msgspec
from litestar.openapi.spec import Components, OpenAPI, OpenAPIMediaType, OpenAPIResponse, PathItem, Reference, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.openapi.spec.operation import Operation
from litestar.openapi.spec.request_body import RequestBody

from crossmargin.client import house_records as house
from crossmargin.client import records as are
from crossmargin.engine.commands import Deposit, PlaceOrder, SetMarginParameters, SetParameters, Withdraw
from crossmargin.engine.events import Event
from crossmargin.service.access.description import SCHEMES, describe_access
from crossmargin.service.access.routes import RULES
from crossmargin.service.deribit.description import RPC, describe_rpc
from crossmargin.service.examples import put_examples
from crossmargin.service.operator_routes import OPERATED
from crossmargin.service.stream import Subscription

ABOUT = """\
Cross margin of crypto derivatives: accounts, their margin with its reasons, orders, money, and the clearing house.

Money is decimal text. A no has one shape, the rule and then the finding. A command needs an `Idempotency-Key`: asked
again under the same key, it counts once. Lists go page by page: `next` is the `cursor` of the next page.

**The stream.** A WebSocket at `/api/v1/stream`. The first message is `stream.Subscription`: some of the channels
`overview`, `accounts` and `events`, and after which sequence to go on. Each message that comes is `answer.Message`; its
data are `answer.Overview`, or a list of `answer.AccountRow` or of events. `previous` is the sequence of the message
before it in the same channel. Who does not read is closed with 1013. docs/api.md has more.

**Deribit's API.** JSON-RPC under `/api/v2`, and over a WebSocket at `/ws/api/v2` with subscriptions besides:
docs/deribit_api.md.
"""
"""Markdown; OpenAPI has no WebSockets, so that their messages are schemas that no path names."""
API, ACCOUNT = "/api/v1", "/api/v1/accounts/{name}"
ANSWERS: dict[tuple[str, str], type] = {
    ("get", "/health"): are.Health,
    ("get", f"{API}/overview"): are.Overview,
    ("get", f"{API}/accounts"): are.AccountsPage,
    ("get", ACCOUNT): are.AccountPage,
    ("get", f"{ACCOUNT}/explain"): are.Explanation,
    ("get", f"{ACCOUNT}/surface"): are.Surface,
    ("get", f"{ACCOUNT}/history"): are.History,
    ("get", f"{ACCOUNT}/compare"): are.Comparison,
    ("get", f"{ACCOUNT}/deleveraging"): are.Standings,
    ("post", f"{ACCOUNT}/what-if"): are.WhatIf,
    ("delete", f"{ACCOUNT}/orders/{{order}}"): are.Done,
    ("post", f"{API}/orders"): are.Done,
    ("post", f"{API}/deposits"): are.Done,
    ("post", f"{API}/withdrawals"): are.Done,
    ("post", f"{API}/parameters"): are.Done,
    ("post", f"{API}/commands"): are.Done,
    ("post", f"{API}/bids"): are.Done,
    ("post", f"{API}/stress"): are.Stress,
    ("post", f"{API}/margin"): are.Margin,
    ("post", f"{API}/compare"): are.Comparison,
    ("get", f"{API}/liquidations"): are.Liquidations,
    ("get", f"{API}/waterfall"): are.Waterfall,
    ("get", f"{API}/insurance"): are.Insurance,
    ("get", f"{API}/parameters"): are.ParameterVersions,
    ("get", f"{API}/access-log"): house.AccessLog,
    ("get", f"{API}/{{what}}"): are.Items,
    ("get", f"{API}/alerts"): are.Alerts,
    ("post", f"{API}/alerts/{{identifier}}/acknowledge"): are.Alert,
    ("get", f"{API}/feeds"): house.Feeds,
    ("get", f"{API}/replay"): house.Replay,
    ("get", f"{API}/session"): house.Session,
    ("post", f"{API}/session"): house.Session,
    ("delete", f"{API}/session"): house.Session,
    ("get", f"{API}/approvals"): house.Approvals,
    ("post", f"{API}/approvals/{{identifier}}"): house.Decided,
}
"""What each answers with 200, in JSON."""
TWO_OWNERS = tuple(("post", f"{API}/{name}") for name in ("withdrawals", "parameters", "commands"))
"""What may have to wait for a second owner, and is then answered with 202."""
BODIES: dict[tuple[str, str], tuple[type[msgspec.Struct], ...]] = {
    ("post", f"{API}/orders"): (PlaceOrder,),
    ("post", f"{API}/deposits"): (Deposit,),
    ("post", f"{API}/withdrawals"): (Withdraw,),
    ("post", f"{API}/parameters"): (SetParameters, SetMarginParameters),
    ("post", f"{API}/commands"): tuple(OPERATED.values()),
}
"""Commands that a body states, but for the name, which is its Idempotency-Key."""
COMMANDS = frozenset(
    {
        *BODIES,
        ("post", f"{API}/bids"),
        ("delete", f"{ACCOUNT}/orders/{{order}}"),
        ("post", f"{API}/approvals/{{identifier}}"),
    }
)
"""What the engine may refuse."""
REFUSALS = {
    "400": "What is asked breaks a rule: the rule, then what was found.",
    "401": "Nobody known asks: the key, its signature or the session is missing or wrong.",
    "403": "Who asks is known and may not do this, or asks from another site.",
    "404": "There is no such thing.",
    "405": "The route does not take this method.",
    "413": "The body is too large.",
    "422": "The engine refuses the command: why, then the finding.",
    "429": "Requests come faster than their rate; Retry-After says when the next may.",
    "500": "The service failed, and has written down why.",
    "503": "The engine is not open yet, its queue is full, the disk or the database does not take writes: ask again.",
}
OWN_SHAPE = frozenset({"/health"})
"""Paths whose failure is told in the shape of their answer."""
_TEXT = Schema(type=OpenAPIType.STRING)
_ERROR = Schema(
    type=OpenAPIType.OBJECT,
    properties={
        "error": Schema(
            type=OpenAPIType.OBJECT,
            properties={"rule": _TEXT, "finding": _TEXT},
            required=["rule", "finding"],
            examples=[{"rule": "an account must be known", "finding": "nobody"}],
        )
    },
    required=["error"],
)


def describe_answers(document: OpenAPI) -> None:
    """Put bodies, answers and refusals into the document; what the framework says of its own shape of errors is taken out."""
    components = document.components
    assert isinstance(components, Components)  # noqa: S101  (one document has one)
    kinds = [*dict.fromkeys(ANSWERS.values()), house.Approval, are.Place, are.Message]
    schemas, answers = _components(kinds, "answer")
    of = dict(zip(kinds, schemas, strict=True))
    asked, bodies = _bodies()
    known, events = _components([Event], "event")
    _type_events(answers, events, known[0])
    components.schemas = {
        **(components.schemas or {}),
        **answers,
        **bodies,
        **events,
        **_named(RPC[1], "deribit"),
        **_components([Subscription], "stream")[1],
        "Error": _ERROR,
    }
    components.security_schemes = dict(SCHEMES)
    components.responses = {**(components.responses or {}), **{f"Refused{code}": _refused(code) for code in REFUSALS}}
    references = {code: Reference(ref=f"#/components/responses/Refused{code}") for code in REFUSALS}
    for path, item in (document.paths or {}).items():
        for method, operation in operations(item).items():
            named = method, path
            told = {code: each for code, each in references.items() if code != "422" or named in COMMANDS}
            own = {} if path not in OWN_SHAPE else {"503": OpenAPIResponse(description="The engine has stopped.")}
            operation.responses = {**(operation.responses or {}), **told, **own}
            if named in ANSWERS:
                cast(OpenAPIResponse, operation.responses["200"]).content = _json(of[ANSWERS[named]])
            if named in TWO_OWNERS:
                waiting = "It waits for a second owner, who decides at /api/v1/approvals."
                operation.responses["202"] = OpenAPIResponse(description=waiting, content=_json(of[house.Approval]))
            if named in BODIES:
                cast(RequestBody, operation.request_body).content = _json(asked[named])
            if path.startswith("/api/v2"):
                describe_rpc(method, operation, {"$ref": "#/components/schemas/Error"})
            put_examples(named, operation)
            describe_access(operation, RULES[method.upper(), path])


def _bodies() -> tuple[dict[tuple[str, str], dict[str, Any]], dict[str, Schema]]:
    """Return the schema of each body that states a command, and what they refer to."""
    kinds = [kind for each in BODIES.values() for kind in each]
    schemas, shapes = _components(kinds, "body")
    for kind in kinds:
        shape = cast(dict[str, Any], shapes[f"body.{kind.__name__}"])
        # the Idempotency-Key names it, the route says what it is where it takes few
        for name in ("id",) if kind.__name__ in OPERATED else ("id", "type"):
            del shape["properties"][name]
            shape["required"].remove(name)
    of = dict(zip(kinds, schemas, strict=True))
    return {
        named: of[each[0]] if len(each) == 1 else {"anyOf": [of[kind] for kind in each]}
        for named, each in BODIES.items()
    }, shapes


def _type_events(answers: dict[str, Schema], events: dict[str, Schema], known: dict[str, Any]) -> None:
    """Say of lists of events what they hold; the client takes any, of a later service too."""
    for shape in events.values():
        cast(dict[str, Any], shape).pop("additionalProperties", None)  # in a list it has a place and a time besides
    placed = {"allOf": [{"$ref": "#/components/schemas/answer.Place"}, known]}
    for name, field, items in (
        ("Done", "events", known), ("Decided", "events", known), ("Items", "items", placed), ("Insurance", "draws", placed),
    ):  # fmt: skip
        cast(dict[str, Any], answers[f"answer.{name}"])["properties"][field]["items"] = items


def _components(kinds: list[Any], group: str) -> tuple[tuple[dict[str, Any], ...], dict[str, Schema]]:
    schemas, shapes = msgspec.json.schema_components(kinds, ref_template=f"#/components/schemas/{group}.{{name}}")
    return schemas, _named(shapes, group)


def _named(shapes: dict[str, dict[str, Any]], group: str) -> dict[str, Schema]:
    return {f"{group}.{name}": cast(Schema, shape) for name, shape in shapes.items()}


def _refused(code: str) -> OpenAPIResponse:
    return OpenAPIResponse(description=REFUSALS[code], content=_json({"$ref": "#/components/schemas/Error"}))


def _json(schema: dict[str, Any]) -> dict[str, OpenAPIMediaType]:
    return {"application/json": OpenAPIMediaType(schema=cast(Schema, schema))}


def operations(item: PathItem) -> dict[str, Operation]:
    """Return the operations of a path by method."""
    found = {name: getattr(item, name) for name in ("get", "put", "post", "delete", "patch")}
    return {name: each for name, each in found.items() if each is not None}
