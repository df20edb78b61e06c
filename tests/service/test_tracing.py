"""Traces: what a collector is sent, read back from a local one."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from litestar.testing import TestClient

from crossmargin.service.application import application
from crossmargin.service.tracing import open_tracing
from crossmargin.service.writer import Writer


@pytest.fixture
def collector():
    received = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", received
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_collector_is_sent_a_span_per_request_within_its_callers_trace(tmp_path, collector):
    wire = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    endpoint, received = collector
    provider, writer = open_tracing(endpoint), Writer(tmp_path)
    # the example of W3C's Trace Context, section 3.2
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with TestClient(application(writer, tracer=provider.get_tracer("crossmargin"))) as client:
        client.get("/api/v1/accounts/planted-name?secret=planted", headers={"traceparent": parent})
        client.get("/health")
    writer.close()
    provider.shutdown()
    messages = [wire.ExportTraceServiceRequest.FromString(body) for path, body in received if path == "/v1/traces"]
    spans = [
        span for each in messages for made in each.resource_spans for scope in made.scope_spans for span in scope.spans
    ]
    assert [span.name for span in spans] == ["GET /api/v1/accounts/{name}", "GET /health"]
    assert spans[0].trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert spans[0].parent_span_id.hex() == "b7ad6b7169203331"
    assert not spans[1].parent_span_id
    said = {each.key: each.value for each in spans[0].attributes}
    assert said["http.response.status_code"].int_value == 404
    assert b"planted" not in b"".join(body for _, body in received)
