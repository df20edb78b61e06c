"""Requests that Schemathesis generates from the service's own description: no answer is a 5xx, and each is as described.

In the suite a few for each route, on a soaking night `CROSSMARGIN_REQUESTS` in all (100,000 if not set).
"""

import datetime as dt
import os
from collections import Counter

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from litestar.testing import TestClient
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service.access.guard import Access
from crossmargin.service.access.keys import master_key
from crossmargin.service.access.roles import Principal, Scope
from crossmargin.service.application import application
from crossmargin.service.description import ANSWERS
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Writer

FEW = 3
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
EVERYBODY = Principal(owner="generated", via="key:0", scopes=frozenset(Scope), accounts=None)
ACCOUNTS = ("hedger", "levered-long", "cash-only")
PATHS = {"name": ACCOUNTS, "what": ("orders", "events", "liquidations", "draws")}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    master_key(folder, create=True)
    writer, access = Writer(folder), Access(folder)

    async def admit(*_):
        return EVERYBODY

    access.admit = admit  # who may ask is what tests/service/access is about
    book = [portfolio for portfolio in sample_book() if portfolio.account in ACCOUNTS]
    for command in opening_commands(book, sample_market()):
        writer.submit(command).result(timeout=300)
    with TestClient(application(writer, access=access), raise_server_exceptions=False) as client:
        yield client
    writer.close()
    access.close()


@pytest.fixture(scope="module")
def operations(client):
    description = client.get("/api/v1/schema/openapi.json").json()
    schema = schemathesis.openapi.from_dict(description)
    schema.config.generation.update(modes=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
    return [each.ok() for each in schema.get_all_operations()]


def ask(client, case, answers, failures, asked):
    """Send a generated case; half of them about an account that is there, or few would get past the first check."""
    parameters = dict(case.path_parameters or {})
    for name, known in PATHS.items():
        if name in parameters and sum(answers.values()) % 2:
            parameters[name] = known[sum(answers.values()) // 2 % len(known)]
    case.path_parameters = parameters
    try:
        sent = case.as_transport_kwargs(base_url=str(client.base_url))
        sent.pop("cookies", None)
        answer = client.request(**{name: value for name, value in sent.items() if value is not None})
    except (UnicodeEncodeError, ValueError, schemathesis.errors.SchemathesisError) as error:
        answers[f"not sent: {type(error).__name__}"] += 1
        return
    answers[answer.status_code] += 1
    asked.add((case.method, case.path, hash((str(answer.request.url), answer.request.read()))))
    if answer.status_code >= 500:
        failures.setdefault((case.method, case.path), f"{sent} answered {answer.status_code}: {answer.text}")
        return
    try:
        case.validate_response(answer, checks=CHECKS)
    except FailureGroup as group:
        for failure in group.exceptions:
            # one of a kind for each route and status is enough to mend it
            kind = (case.method, case.path, str(answer.status_code), type(failure).__name__)
            failures.setdefault(kind, f"{answer.status_code} is not as described: {failure}\n{answer.text[:500]}")


def hammer(client, operations, wanted, record_property):
    """Ask every route in turn until enough was sent; one that has no parameters is soon exhausted."""
    answers: Counter[int | str] = Counter()
    failures: dict[tuple[str, ...], str] = {}
    asked: set[tuple[str, str, int]] = set()
    left = list(operations)
    while left and sum(answers.values()) < wanted:
        count = -(-(wanted - sum(answers.values())) // len(left))
        for operation in list(left):

            @settings(max_examples=count, database=None, deadline=None, phases=[Phase.generate],
                      suppress_health_check=list(HealthCheck))  # fmt: skip
            @given(case=operation.as_strategy())
            def generated(case):
                ask(client, case, answers, failures, asked)

            before = sum(answers.values())
            generated()
            if sum(answers.values()) - before < count:
                left.remove(operation)
    record_property("generated_requests", {str(code): number for code, number in answers.items()})
    known = {(each.method.upper(), each.path) for each in operations}
    covered = {(method, path) for method, path, _ in asked} & known
    record_property("distinct", len(asked))
    record_property("operations", len(covered))
    print(dict(answers), f"{len(asked)} distinct, of {len(covered)} operations")
    assert covered == known
    assert not failures, "\n".join(f"{method} {path}: {told}" for (method, path, *_), told in failures.items())
    assert {200, 400, 404} <= set(answers), answers
    return sum(number for code, number in answers.items() if isinstance(code, int))


def test_every_answer_that_is_described_is_of_a_route(client):
    paths = client.get("/api/v1/schema/openapi.json").json()["paths"]
    assert {(method, path) for method, path in ANSWERS if method not in paths.get(path, {})} == set()


@pytest.mark.parametrize(
    ("status", "answer", "finding"),
    [
        (200, {"equity": 1}, "violates schema"),
        (400, {"detail": "no", "status_code": 400}, "violates schema"),
        (418, {"error": {"rule": "r", "finding": "f"}}, "Undocumented status code"),
    ],
)
def test_an_answer_that_is_not_as_described_is_found(operations, status, answer, finding):
    (overview,) = (each for each in operations if (each.method, each.path) == ("get", "/api/v1/overview"))
    given = httpx.Response(status, json=answer, request=httpx.Request("GET", "http://testserver/api/v1/overview"))
    given.elapsed = dt.timedelta(0)
    with pytest.raises(FailureGroup) as found:
        overview.Case().validate_response(given, checks=CHECKS)
    assert finding in str(found.value.exceptions)


def test_a_few_of_every_route(client, operations, record_property):
    assert hammer(client, operations, FEW * len(operations), record_property) >= FEW * len(operations) / 2


@pytest.mark.soak
def test_a_night_of_them(client, operations, record_property):
    wanted = int(os.environ.get("CROSSMARGIN_REQUESTS", "100000"))
    assert hammer(client, operations, wanted, record_property) >= wanted * 0.9
