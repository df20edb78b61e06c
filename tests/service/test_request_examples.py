"""Every example of the OpenAPI document is sent as it stands, and answered as the document says."""

from decimal import Decimal

import jsonschema
import msgspec
import pytest
from litestar.testing import TestClient

from crossmargin.engine.commands import Withdraw
from crossmargin.errors import InvariantError
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service import examples
from crossmargin.service.access import approvals
from crossmargin.service.access.guard import Access
from crossmargin.service.access.keys import master_key
from crossmargin.service.access.roles import Principal, Scope
from crossmargin.service.access.routes import RULES
from crossmargin.service.alert_rules import AlertRule, AlertRules, Level
from crossmargin.service.application import application
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Writer

ADA = Principal(owner="ada", via="key:0", scopes=frozenset(Scope), accounts=None)
NAMED = examples.PARAMETERS["identifier"]
FIRST = ("/api/v1/deposits", "/api/v1/orders")
"""What others of the examples need to have happened."""
WITHOUT_SCHEMA = {"/metrics"}
"""Answers in text."""


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Serve a book with a user, an approval that waits and an alert that is open, each named as in the examples."""
    folder = tmp_path_factory.mktemp("examples")
    master_key(folder, create=True)
    writer, access = Writer(folder), Access(folder, withdrawal_limits={"USDC": Decimal(1000)})
    login = examples.BODIES["post", "/api/v1/session"]
    access.users.set(login["user"], password=login["password"], role="viewer", accounts=None)
    book = [each for each in sample_book() if each.account in {"hedger", "levered-long", "cash-only"}]
    for command in opening_commands(book, sample_market()):
        writer.submit(command).result(timeout=300)

    async def admit(*_):
        return ADA

    access.admit = admit  # who may ask is what tests/service/access is about
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(approvals.secrets, "token_hex", lambda _: NAMED)
        asked = Withdraw(id="w", account="cash-only", asset="USDC", amount=Decimal(1))
        access.approvals.ask(asked, "bea", access.clock_ns())
    level = Level(level="warning", at=0.0, tell=())
    rule = AlertRule(name="always", metric="crossmargin_accounts", levels=(level,))
    app = application(writer, access=access, alerts=AlertRules(rules=(rule,)))
    with TestClient(app, raise_server_exceptions=False) as client:
        watch = app.state.alerts
        watch.look()
        watch._open = {key: msgspec.structs.replace(each, id=NAMED) for key, each in watch._open.items()}
        yield client
    writer.close()
    access.close()


@pytest.fixture(scope="module")
def document(client):
    return client.get("/api/v1/schema/openapi.json").json()


def operations(document):
    found = [(path, method, each) for path, item in document["paths"].items() for method, each in item.items()]
    # what begins or ends by name goes in that order: an order is placed, then cancelled
    return sorted(found, key=lambda each: (each[0] not in FIRST, each[1] == "delete"))


def request_of(path, operation):
    """Return URL, query, headers and body, all of the examples that the document has."""
    given = {"path": {}, "query": {}, "header": {}}
    for each in operation.get("parameters", []):
        given[each["in"]][each["name"]] = each["example"]
    for name, value in given["path"].items():
        path = path.replace(f"{{{name}}}", value)
    content = operation.get("requestBody", {}).get("content", {})
    body = next((media["example"] for media in content.values()), None)
    return path, given["query"], given["header"], body


def schema_of(document, answer):
    while "$ref" in answer:
        answer = document["components"]["responses"][answer["$ref"].rsplit("/", 1)[-1]]
    return {**answer["content"]["application/json"]["schema"], "components": document["components"]}


def test_every_example_is_accepted_and_answered_as_described(client, document):
    answers = {}
    for path, method, operation in operations(document):
        url, query, headers, body = request_of(path, operation)
        sent = {} if body is None else {"json": body}
        answer = client.request(method.upper(), url, params=query, headers=headers, **sent)
        if path == "/api/v1/bids":  # nothing is auctioned on the sample book
            assert (answer.status_code, answer.json()["error"]["rule"]) == (422, "UNKNOWN_LIQUIDATION")
            answers[method, path] = 422
            continue
        assert answer.status_code in (200, 202), (method, path, answer.text)
        answers[method, path] = answer.status_code
        if path not in WITHOUT_SCHEMA:
            schema = schema_of(document, operation["responses"][str(answer.status_code)])
            jsonschema.Draft202012Validator(schema).validate(answer.json())
            if body is not None:
                asked = {**operation["requestBody"]["content"]["application/json"]["schema"]}
                asked["components"] = document["components"]
                jsonschema.Draft202012Validator(asked).validate(body)
    assert answers["post", "/api/v1/withdrawals"] == 200
    assert answers["post", "/api/v1/parameters"] == 202
    pages = {"/", "/{file_path}", *(path for _, path in RULES if path.startswith("/api/v1/schema"))}
    assert set(answers) == {
        (method.lower(), path) for method, path in RULES if method != "WEBSOCKET" and path not in pages
    }


def test_every_answer_names_its_fields(document):
    """None is a free object at its root: a route whose answer nobody described is found."""
    for path, method, operation in operations(document):
        for code, answer in operation["responses"].items():
            if code in ("200", "202") and path not in WITHOUT_SCHEMA:
                schema = schema_of(document, answer)
                assert "$ref" in schema, (method, path, schema)
                shape = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
                assert shape["properties"], (method, path)


@pytest.mark.parametrize(("kind", "key"), [("PARAMETERS", "name"), ("BODIES", ("post", "/api/v1/stress"))])
def test_a_request_without_an_example_is_not_described(client, monkeypatch, kind, key):
    monkeypatch.delitem(getattr(examples, kind), key)
    with pytest.raises(InvariantError, match="must have an example"):
        application(client.app.state.writer)
