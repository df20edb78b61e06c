"""The answers of every operation in the OpenAPI document: those that our own client reads, and the refusals in one shape."""

from typing import Any, cast

import msgspec
from litestar.openapi.spec import Components, OpenAPI, OpenAPIMediaType, OpenAPIResponse, PathItem, Reference, Schema
from litestar.openapi.spec.enums import OpenAPIType
from litestar.openapi.spec.operation import Operation

from crossmargin.client import records as are

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
    ("post", f"{API}/stress"): are.Stress,
    ("post", f"{API}/margin"): are.Margin,
    ("post", f"{API}/compare"): are.Comparison,
    ("get", f"{API}/liquidations"): are.Liquidations,
    ("get", f"{API}/waterfall"): are.Waterfall,
    ("get", f"{API}/insurance"): are.Insurance,
    ("get", f"{API}/parameters"): are.Items,
    ("get", f"{API}/{{what}}"): are.Items,
    ("get", f"{API}/alerts"): are.Alerts,
    ("post", f"{API}/alerts/{{identifier}}/acknowledge"): are.Alert,
}
"""What each answers with 200; the rest answer with an object of their own."""
REFUSALS = {
    "400": "What is asked breaks a rule: the rule, then what was found.",
    "401": "Nobody known asks: the key, its signature or the session is missing or wrong.",
    "403": "Who asks is known and may not do this, or asks from another site.",
    "404": "There is no such thing.",
    "405": "The route does not take this method.",
    "413": "The body is too large.",
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
    """Put answers and refusals into the document; what the framework says of its own shape of errors is taken out."""
    components = document.components
    assert isinstance(components, Components)  # noqa: S101  (one document has one)
    kinds = list(dict.fromkeys(ANSWERS.values()))
    schemas, shapes = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/answer.{name}")
    of = dict(zip(kinds, schemas, strict=True))
    named = {f"answer.{name}": cast(Schema, shape) for name, shape in shapes.items()}
    components.schemas = {**(components.schemas or {}), **named, "Error": _ERROR}
    components.responses = {**(components.responses or {}), **{f"Refused{code}": _refused(code) for code in REFUSALS}}
    references = {code: Reference(ref=f"#/components/responses/Refused{code}") for code in REFUSALS}
    for path, item in (document.paths or {}).items():
        for method, operation in _operations(item).items():
            own = {} if path not in OWN_SHAPE else {"503": OpenAPIResponse(description="The engine has stopped.")}
            operation.responses = {**(operation.responses or {}), **references, **own}
            if (method, path) in ANSWERS:
                answered = cast(OpenAPIResponse, operation.responses["200"])
                answered.content = _json(of[ANSWERS[method, path]])


def _refused(code: str) -> OpenAPIResponse:
    return OpenAPIResponse(description=REFUSALS[code], content=_json({"$ref": "#/components/schemas/Error"}))


def _json(schema: dict[str, Any]) -> dict[str, OpenAPIMediaType]:
    return {"application/json": OpenAPIMediaType(schema=cast(Schema, schema))}


def _operations(item: PathItem) -> dict[str, Operation]:
    found = {name: getattr(item, name) for name in ("get", "put", "post", "delete", "patch")}
    return {name: each for name, each in found.items() if each is not None}
