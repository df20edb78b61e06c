"""Who may ask is decided in one place, whoever answers: a nonce, a limit and a revocation hold at every worker."""

import hashlib
import hmac
import itertools
import json
import time

from several import book_of

from crossmargin.service.access.audit import AuditLog
from crossmargin.service.access.keys import KeyStore, master_key

MARGIN = "/api/v1/margin"
COUNT = itertools.count()
BODY = json.dumps({"book": book_of("hedger")}).encode()


def signed(key, body=BODY, method="POST", path=MARGIN, query=""):
    """Return headers that sign a request; written from docs/access.md, not with the service's own code."""
    now, nonce = str(time.time_ns() // 1_000_000), f"n-{next(COUNT)}"  # noqa: TID251
    lines = ["crossmargin-1", method, path, query, hashlib.sha256(body).hexdigest(), "", now, nonce]
    text = "\n".join(lines).encode()
    signature = hmac.new(key[1].encode(), text, hashlib.sha256).hexdigest()
    return {
        "X-Crossmargin-Key": key[0],
        "X-Crossmargin-Timestamp": now,
        "X-Crossmargin-Nonce": nonce,
        "X-Crossmargin-Signature": signature,
    }


def at_both_workers(service, address="127.0.0.1"):
    """Return connections that round robin gives to one worker each."""
    clients = [service.client(address) for _ in range(2)]
    assert len(service.pids()) == 2
    return clients


def test_a_signed_request_is_answered_once_whichever_worker_gets_it(keyed, service):
    guarded, keys = keyed
    one, other = at_both_workers(guarded)
    headers = signed(keys["anywhere"])
    status, _, body = one.ask(MARGIN, BODY, **headers)
    assert (status, json.loads(body)["accounts"][0]["account"]) == (200, "hedger")
    refused = other.ask(MARGIN, BODY, **headers)
    assert refused[0] == 401
    assert refused == guarded.client().ask(MARGIN, BODY)  # as without any key, in the engine's process
    assert other.ask(MARGIN, BODY, **signed(keys["anywhere"]))[0] == 200
    # without keys nobody asks, and the same request is answered as often as it comes
    assert [each.ask(MARGIN, BODY, **headers)[0] for each in at_both_workers(service)] == [200, 200]


def test_the_handed_connection_keeps_the_address_that_it_comes_from(keyed):
    guarded, keys = keyed
    near, far = at_both_workers(guarded), at_both_workers(guarded, "127.0.0.2")
    assert [each.ask(MARGIN, BODY, **signed(keys["elsewhere"]))[0] for each in near] == [401, 401]
    assert [each.ask(MARGIN, BODY, **signed(keys["elsewhere"]))[0] for each in far] == [200, 200]


def test_a_changed_body_a_forged_signature_and_no_key_are_refused(keyed):
    guarded, keys = keyed
    client, headers = guarded.client(), signed(keys["anywhere"])
    assert client.ask(MARGIN, BODY.replace(b"hedger", b"hedgar"), **headers)[0] == 401
    forged = {**headers, "X-Crossmargin-Signature": "0" * 64}
    assert guarded.client().ask(MARGIN, BODY, **forged)[0] == 401
    assert guarded.client().ask(MARGIN, BODY)[0] == 401


def test_a_limit_holds_over_all_workers(keyed):
    """A margin weighs 5 of the 50 that a caller has here at once: ten are answered, half of them at either worker."""
    guarded, keys = keyed
    clients = itertools.cycle(at_both_workers(guarded))
    answers = [next(clients).ask(MARGIN, BODY, **signed(keys["busy"])) for _ in range(12)]
    assert [status for status, _, _ in answers] == [200] * 10 + [429] * 2
    assert "retry-after" in answers[-1][1]


def test_a_revoked_key_is_out_at_every_worker_from_the_next_request_on(keyed):
    guarded, keys = keyed
    clients = at_both_workers(guarded)
    assert [each.ask(MARGIN, BODY, **signed(keys["leaving"]))[0] for each in clients] == [200, 200]
    folder = guarded.writer.folder
    store = KeyStore(folder / "access.sqlite", master_key(folder))  # as another process revokes it
    store.revoke(keys["leaving"][0], 2)
    store.close()
    assert [each.ask(MARGIN, BODY, **signed(keys["leaving"]))[0] for each in clients] == [401, 401]


def test_what_workers_answer_stands_in_the_one_audit_log_whose_chain_holds(keyed):
    guarded, keys = keyed
    for each in at_both_workers(guarded):
        assert each.ask(MARGIN, BODY, **signed(keys["anywhere"]))[0] == 200
    log = AuditLog(guarded.writer.folder / "access.sqlite")
    entries = list(log.entries())  # each is checked
    log.close()
    assert [entry.decision for entry in entries[-2:]] == ["allowed", "allowed"]
