"""Keys, the audit log and limits of rate."""

import sqlite3

import msgspec
import pytest

from crossmargin.errors import InputError
from crossmargin.service.access import audit
from crossmargin.service.access.audit import AuditLog, BrokenChainError, entry_hash
from crossmargin.service.access.keys import KeyStore, master_key
from crossmargin.service.access.rate_limits import Rate, RateLimits, TooManyError
from crossmargin.service.access.roles import Lane, Scope, parsed_scopes
from crossmargin.service.access.signatures import ed25519_public, ed25519_signature, hmac_signature

READ = frozenset({Scope.READ})


@pytest.fixture
def store(tmp_path):
    return KeyStore(tmp_path / "access.sqlite", master_key(tmp_path, create=True))


def created(store, **more):
    return store.create(owner="alice", scopes=READ, accounts=frozenset({"a"}), created_ns=1, **more)


def test_a_secret_is_in_no_file_but_can_be_found_again(store, tmp_path):
    key, secret = created(store)
    assert all(secret.encode() not in path.read_bytes() for path in tmp_path.iterdir())
    assert KeyStore(tmp_path / "access.sqlite", master_key(tmp_path)).secret(key.id) == secret


def test_a_signature_is_of_a_live_key(store):
    key, secret = created(store)
    signature = hmac_signature(secret.encode(), b"text")
    assert store.signed(key.id, b"text", signature) == key
    assert store.signed(key.id, b"other", signature) is None
    assert store.signed("0" * 16, b"text", signature) is None
    assert store.with_secret(key.id, secret) == key
    assert store.with_secret(key.id, secret[:-1]) is None
    store.revoke(key.id, 2)
    assert store.signed(key.id, b"text", signature) is None
    assert store.with_secret(key.id, secret) is None
    with pytest.raises(InputError, match="must be live"):
        store.revoke(key.id, 3)


def test_a_public_key_is_no_secret(store):
    """The confusion of algorithms: an HMAC by what everybody knows."""
    private = bytes(range(32))
    key, secret = created(store, public=ed25519_public(private).hex())
    assert secret is None
    assert store.signed(key.id, b"text", ed25519_signature(private, b"text")) == key
    for known in (key.public.encode(), bytes.fromhex(key.public)):
        assert store.signed(key.id, b"text", hmac_signature(known, b"text")) is None
    assert store.with_secret(key.id, store.secret(key.id)) is None


def test_a_key_comes_from_its_networks(store):
    key, _ = created(store, networks=["203.0.113.0/24", "2001:db8::/32"])
    assert key.allows("203.0.113.7")
    assert key.allows("::ffff:203.0.113.7")
    assert key.allows("2001:db8::1")
    assert not key.allows("203.0.114.7")
    assert not key.allows("unknown")
    assert created(store)[0].allows("unknown")


@pytest.mark.parametrize(
    ("more", "rule"),
    [({"networks": ["nowhere"]}, "a network must be"), ({"public": "ab"}, "an Ed25519 public key must be")],
)
def test_a_key_that_cannot_be_is_refused(store, more, rule):
    with pytest.raises(InputError, match=rule):
        created(store, **more)
    with pytest.raises(InputError, match="must be bound"):
        store.create(owner="a", scopes=READ, accounts=frozenset(), created_ns=1)
    with pytest.raises(InputError, match="scopes must be some of"):
        parsed_scopes(["root"])


def test_a_master_key_is_its_owners_alone(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="need a master key"):
        master_key(tmp_path)
    found = master_key(tmp_path, create=True)
    assert (tmp_path / "master.key").stat().st_mode & 0o777 == 0o600
    assert master_key(tmp_path, create=True) == found
    (tmp_path / "master.key").chmod(0o640)
    with pytest.raises(InputError, match="open to others"):
        master_key(tmp_path)
    monkeypatch.setenv("CROSSMARGIN_MASTER_KEY", "deadbeef-is-secret")
    with pytest.raises(InputError) as refused:
        master_key(tmp_path)
    assert "deadbeef" not in str(refused.value)
    monkeypatch.setenv("CROSSMARGIN_MASTER_KEY", "ab" * 32)
    assert master_key(tmp_path) == b"\xab" * 32


def logged(path, count):
    log = AuditLog(path)
    for number in range(count):
        log.append(
            time_ns=number, who="alice", via="key:1", address="::1", action=f"POST /{number}", decision="allowed"
        )
    return log


def test_the_log_is_chained(tmp_path):
    log = logged(tmp_path / "audit.sqlite", 5)
    count, head = log.verified()
    assert count == 5
    assert [entry.action for entry in log.entries()] == [f"POST /{number}" for number in range(5)]
    other = logged(tmp_path / "audit.sqlite", 1)  # another process's hand
    assert other.verified()[0] == 6
    assert list(other.entries())[5].before == head


def test_the_database_itself_refuses_changes(tmp_path):
    path = tmp_path / "audit.sqlite"
    logged(path, 2)
    with sqlite3.connect(path) as database:
        for statement in ("DELETE FROM audit", "UPDATE audit SET hash = ''"):
            with pytest.raises(sqlite3.IntegrityError, match="appended only"):
                database.execute(statement)


@pytest.mark.parametrize("place", range(0, 160, 7))
def test_a_changed_byte_is_seen(tmp_path, place):
    path = tmp_path / "audit.sqlite"
    log = logged(path, 3)
    with sqlite3.connect(path) as database:
        database.execute("DROP TRIGGER audit_UPDATE")
        (held,) = database.execute("SELECT entry FROM audit WHERE sequence = 2").fetchone()
        changed = bytearray(held)
        changed[place] ^= 1
        database.execute("UPDATE audit SET entry = ? WHERE sequence = 2", (bytes(changed),))
    with pytest.raises(BrokenChainError):
        log.verified()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit WHERE sequence = 2",
        "DELETE FROM audit WHERE sequence = 1",
        "UPDATE audit SET sequence = sequence + 10",
    ],
)
def test_a_missing_entry_is_seen(tmp_path, statement):
    path = tmp_path / "audit.sqlite"
    log = logged(path, 3)
    with sqlite3.connect(path) as database:
        database.execute("DROP TRIGGER audit_UPDATE")
        database.execute("DROP TRIGGER audit_DELETE")
        database.execute(statement)
    with pytest.raises(BrokenChainError):
        log.verified()


def altered(entries):
    """Say of the second entry that somebody else did it."""
    return [entries[0], msgspec.structs.replace(entries[1], who="mallory"), *entries[2:]]


def removed(entries):
    return [entries[0], *entries[2:]]


def reordered(entries):
    return [entries[0], entries[2], entries[1], *entries[3:]]


def appended(entries):
    return [*entries, msgspec.structs.replace(entries[-1], who="mallory")]


@pytest.mark.parametrize("tampered", [altered, removed, reordered, appended])
def test_only_the_chain_finds_a_log_of_which_every_entry_is_sound(tmp_path, monkeypatch, tampered):
    """Whoever tampers numbers entries anew and states their hashes, all but the hash of the one before."""
    path = tmp_path / "audit.sqlite"
    log = logged(path, 4)
    assert log.verified()[0] == 4
    entries = [
        msgspec.structs.replace(entry, sequence=number)
        for number, entry in enumerate(tampered(list(log.entries())), start=1)
    ]
    with sqlite3.connect(path) as database:
        database.execute("DROP TRIGGER audit_DELETE")
        database.execute("DELETE FROM audit")
        rows = [(entry.sequence, msgspec.json.encode(entry), entry_hash(entry)) for entry in entries]
        database.executemany("INSERT INTO audit VALUES (?, ?, ?)", rows)
    with pytest.raises(BrokenChainError, match="must hold the hash of the one before"):
        log.verified()
    monkeypatch.setattr(audit, "_follows", lambda *_: True)
    assert log.verified()[0] == len(entries), "without the chain nobody notices"


def test_a_caller_waits_and_others_do_not():
    limits = RateLimits(caller=Rate(per_second=10, burst=5), common=Rate(per_second=1000, burst=1000))
    for _ in range(5):
        limits.take("alice", Lane.ORDINARY, 1, now=0.0)
    with pytest.raises(TooManyError) as refused:
        limits.take("alice", Lane.ORDINARY, 2, now=0.0)
    assert refused.value.wait_seconds == pytest.approx(0.2)
    limits.take("bob", Lane.ORDINARY, 5, now=0.0)
    limits.take("alice", Lane.ORDINARY, 2, now=0.2)


def test_a_flood_leaves_room_for_liquidators_and_operators():
    """Of a common burst of 100, ordinary callers take 80, liquidators 10 more, operators the last 10."""
    limits = RateLimits(caller=Rate(per_second=1, burst=1000), common=Rate(per_second=1, burst=100))

    def passed(lane):
        count = 0
        while True:
            try:
                limits.take(lane, lane, 1, now=0.0)
            except TooManyError:
                return count
            count += 1

    assert [passed(lane) for lane in (Lane.ORDINARY, Lane.LIQUIDATION, Lane.OPERATORS)] == [80, 10, 10]


def test_a_rate_is_positive():
    with pytest.raises(InputError, match="must be positive"):
        Rate(per_second=0, burst=1)


def test_an_entry_rewritten_with_its_own_hash_is_seen_by_the_next_and_all_of_them_by_the_head(tmp_path):
    path = tmp_path / "audit.sqlite"
    log = logged(path, 4)
    _, head = log.verified()
    entries = list(log.entries())
    with sqlite3.connect(path) as database:
        database.execute("DROP TRIGGER audit_UPDATE")

    def rewrite(entry):
        with sqlite3.connect(path) as database:
            told = (msgspec.json.encode(entry), entry_hash(entry), entry.sequence)
            database.execute("UPDATE audit SET entry = ?, hash = ? WHERE sequence = ?", told)

    innocent = msgspec.structs.replace(entries[1], who="mallory")
    rewrite(innocent)
    with pytest.raises(BrokenChainError, match="3 does not"):
        log.verified()
    # who writes all that follow anew is found by nothing in the file, and by a head that was kept elsewhere
    before = entry_hash(innocent)
    for entry in entries[2:]:
        rewritten = msgspec.structs.replace(entry, before=before)
        rewrite(rewritten)
        before = entry_hash(rewritten)
    count, now = log.verified()
    assert count == 4
    assert now != head
