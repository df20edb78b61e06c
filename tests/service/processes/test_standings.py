"""Lists of accounts and the overview from a worker: the same bytes as from the engine's process, and never an older state."""

import json
import threading

import pytest
from several import LONGEST_WAIT_S
from test_admission import signed
from test_stream import deposit

ACCOUNTS, OVERVIEW = "/api/v1/accounts", "/api/v1/overview"
BACK = 'crossmargin_connections_handed_total{to="engine"}'
PATHS = {
    OVERVIEW: True,
    ACCOUNTS: True,
    f"{ACCOUNTS}?limit=1": True,
    f"{ACCOUNTS}?limit=2&cursor=cash-only": True,
    f"{ACCOUNTS}?cursor=hedger": True,
    f"{ACCOUNTS}?state=HEALTHY&limit=1000": True,
    f"{ACCOUNTS}?state=LIQUIDATING": True,
    f"{ACCOUNTS}?state=NONSENSE": True,
    # whatever is not plain is read in one place
    f"{ACCOUNTS}?limit=0": False,
    f"{ACCOUNTS}?limit=1001": False,
    f"{ACCOUNTS}?limit=two": False,
    f"{ACCOUNTS}?limit=1&limit=2": False,
    f"{ACCOUNTS}?limit=": False,
    f"{ACCOUNTS}?cursor=cash%2Donly": False,
    f"{ACCOUNTS}?cursor=5": False,
    f"{ACCOUNTS}?colour=red": False,
    f"{ACCOUNTS}?": True,
}


@pytest.mark.parametrize("path", PATHS)
def test_a_worker_answers_as_the_engines_process_does(service, path):
    here, there = service.client(), service.client()
    assert here.ask("/health")[0] == 200
    before = service.metric(BACK)
    assert there.ask(path) == here.ask(path)
    assert service.metric(BACK) - before == (0 if PATHS[path] else 1)


def test_pages_of_a_worker_follow_each_other_to_the_end(service):
    client, names, cursor = service.client(), [], ""
    before = service.metric(BACK)
    while True:
        page = json.loads(client.ask(f"{ACCOUNTS}?limit=2{cursor}")[2])
        names += [each["account"] for each in page["accounts"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert names == sorted(service.writer.engine.state.accounts)
    assert service.metric(BACK) == before


def test_who_wrote_reads_what_he_wrote_at_any_worker(service):
    """Each deposit is looked for in the overview, from a new connection, as soon as it is acknowledged."""
    for number in range(20):
        deposit(service.writer, f"read at once {number}")
        sequence = service.writer.sequence
        assert json.loads(service.client().ask(OVERVIEW)[2])["sequence"] == sequence


def test_without_the_number_that_is_due_a_worker_tells_of_the_past(service, monkeypatch):
    """The control of the test above: nobody says how far the journal is, and each worker goes on with what it has."""
    workers = [service.client() for _ in service.pids()]
    for each in workers:
        assert each.ask(OVERVIEW)[0] == 200
    deposit(service.writer, "told to nobody")
    sequence = service.writer.sequence
    due = service.front.standings.board.due
    service.front.standings.board.due = 0
    assert [json.loads(each.ask(OVERVIEW)[2])["sequence"] < sequence for each in workers] == [True] * len(workers)
    service.front.standings.board.due = due
    assert [json.loads(each.ask(OVERVIEW)[2])["sequence"] for each in workers] == [sequence] * len(workers)


def test_readers_get_no_older_state_while_others_write(service):
    """Sequences that one reader sees, at whichever process, never go back."""
    stop = threading.Event()

    def keep_writing():
        number = 0
        while not stop.is_set():
            deposit(service.writer, f"meanwhile {number}")
            number += 1

    thread = threading.Thread(target=keep_writing)
    thread.start()
    here, workers, last = service.client(), [service.client() for _ in range(2)], 0
    assert here.ask("/health")[0] == 200
    try:
        for number in range(60):
            found = json.loads([here, *workers][number % 3].ask(OVERVIEW)[2])["sequence"]
            assert found >= last
            last = found
    finally:
        stop.set()
        thread.join(LONGEST_WAIT_S)


@pytest.mark.parametrize(
    ("key", "path", "query", "status", "names"),
    [
        ("house", ACCOUNTS, "", 200, ["cash-only", "hedger", "inverse-long-own-coin"]),
        ("house", OVERVIEW, "", 200, None),
        ("desk", ACCOUNTS, "", 200, ["cash-only", "hedger"]),
        ("desk", ACCOUNTS, "limit=1&cursor=cash-only", 200, ["hedger"]),
        ("nobody", ACCOUNTS, "", 200, []),
        ("desk", OVERVIEW, "", 403, None),
        ("forged", ACCOUNTS, "", 401, None),
    ],
)
def test_a_key_is_told_of_its_own_accounts_only_whoever_answers(keyed, key, path, query, status, names):
    guarded, keys = keyed
    pair = (keys["desk"][0], "forged") if key == "forged" else keys[key]
    here, there = guarded.client(), guarded.client()
    assert here.ask("/health")[0] == 200
    before = guarded.metric(BACK)
    target = f"{path}?{query}" if query else path
    found = [each.ask(target, **signed(pair, b"", "GET", path, query)) for each in (here, there)]
    assert found[0] == found[1]
    assert found[0][0] == status
    if names is not None:
        assert [
            each["account"] for each in json.loads(found[1][2])["accounts"] if each["account"] != "opening"
        ] == names
    assert guarded.metric(BACK) == before


def test_a_signed_question_about_accounts_is_answered_once(keyed):
    guarded, keys = keyed
    headers = signed(keys["desk"], b"", "GET", ACCOUNTS)
    assert [guarded.client().ask(ACCOUNTS, **headers)[0] for _ in range(3)] == [200, 401, 401]
