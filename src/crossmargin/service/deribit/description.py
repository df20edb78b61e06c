"""Deribit's routes in the OpenAPI document: one envelope for every method; docs/deribit_api.md has the methods."""

from typing import Any, cast

import msgspec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, RequestBody, Schema

from crossmargin.service.deribit.rpc import METHODS

METHOD = {"enum": ["public/auth", *METHODS]}
"""Subscriptions besides, over the WebSocket at ``/ws/api/v2``."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request of JSON-RPC 2.0; `params` are those of Deribit's method of the name."""

    method: str
    params: dict[str, Any] = {}
    id: int | str | None = None
    jsonrpc: str = "2.0"


class _Times(
    msgspec.Struct, frozen=True, kw_only=True, rename={"us_in": "usIn", "us_out": "usOut", "us_diff": "usDiff"}
):
    """When it came and went, microseconds since 1970."""

    jsonrpc: str
    us_in: int
    us_out: int
    us_diff: int
    testnet: bool
    id: int | str | None = None


class Answer(_Times, frozen=True, kw_only=True):
    """What a method answers, as Deribit documents it."""

    result: Any


class RpcError(msgspec.Struct, frozen=True, kw_only=True):
    """Deribit's number of an error and its short name."""

    code: int
    message: str
    data: dict[str, Any] | None = None


class Fault(_Times, frozen=True, kw_only=True):
    """Why a method does not answer."""

    error: RpcError


def describe_rpc(method: str, operation: Operation, refused: dict[str, Any]) -> None:
    """Put the envelope into an operation; what the service itself refuses before a method is asked is in its own shape."""
    (asked, told, fault), _ = RPC
    assert operation.responses is not None  # noqa: S101  (the framework states one)
    operation.responses["200"] = OpenAPIResponse(description="The method's result.", content=_json(told))
    operation.responses["400"] = OpenAPIResponse(
        description="Deribit's error, or what the service refuses before a method is asked.",
        content=_json({"anyOf": [fault, refused]}),
    )
    for each in operation.parameters or ():
        if getattr(each, "name", "") == "method":
            each.schema = Schema(enum=METHOD["enum"])  # type: ignore[union-attr]
    if method == "post":
        operation.request_body = RequestBody(content=_json(asked), required=True)


def _json(schema: dict[str, Any]) -> dict[str, OpenAPIMediaType]:
    return {"application/json": OpenAPIMediaType(schema=cast(Schema, schema))}


RPC = msgspec.json.schema_components([Request, Answer, Fault], ref_template="#/components/schemas/deribit.{name}")
"""The schemas of an envelope, and what they refer to."""
RPC[1]["Request"]["properties"]["method"] = METHOD
