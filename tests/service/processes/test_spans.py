"""Spans of requests that workers answer: one each, as of those that the engine's process answers."""

import time

import pytest
from test_admission import BODY, MARGIN, signed

ACCOUNTS = "/api/v1/accounts"
# the example of W3C's Trace Context, section 3.2
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def traced(keyed, spans):
    """Return the service, a key, and what waits for spans that have ended since."""
    if spans is None:
        pytest.skip("the extra crossmargin[tracing] is missing")
    guarded, keys = keyed
    ended = spans[1]
    ended.clear()

    def of(name, count):
        def found():
            return [span for span in ended.get_finished_spans() if span.name == name]

        return guarded.until(lambda: found() if len(found()) >= count else None)

    return guarded, keys["traced"], of


def told(span):
    return {
        "kind": span.kind.name,
        "status": span.status.status_code.name,
        **span.attributes,
        "trace": f"{span.context.trace_id:032x}" if span.parent else None,
        "parent": f"{span.parent.span_id:016x}" if span.parent else None,
    }


@pytest.mark.parametrize(("method", "path", "body"), [("POST", MARGIN, BODY), ("GET", ACCOUNTS, b"")])
def test_a_span_tells_the_same_whoever_answers(traced, method, path, body):
    guarded, key, of = traced
    here, there = guarded.client(), guarded.client()
    assert here.ask("/health")[0] == 200
    begun = time.time_ns()  # noqa: TID251  (what spans are dated by)
    for client in (here, there):
        headers = signed(key, body, method, path) | {"Traceparent": f"00-{TRACE}-{PARENT}-01"}
        assert client.ask(path, body or None, **headers)[0] == 200
    one, other = of(f"{method} {path}", 2)
    expected = {
        "kind": "SERVER", "status": "UNSET", "http.request.method": method, "http.route": path,
        "http.response.status_code": 200, "trace": TRACE, "parent": PARENT,
    }  # fmt: skip
    assert told(one) == told(other) == expected
    assert begun <= other.start_time < other.end_time <= time.time_ns()  # noqa: TID251


def test_a_request_that_is_refused_before_a_worker_answers_has_one_span(traced):
    guarded, key, of = traced
    client, headers = guarded.client(), signed(key)
    assert client.ask(MARGIN, BODY, **headers)[0] == 200
    assert client.ask(MARGIN, BODY, **headers)[0] == 401
    assert client.ask(MARGIN, BODY, **signed(key))[0] == 200
    # admission alone makes none, or there were five
    assert sorted(told(each)["http.response.status_code"] for each in of(f"POST {MARGIN}", 3)) == [200, 200, 401]
