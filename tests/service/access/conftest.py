"""A service with keys over a small book, and callers that sign as the documents say."""

import hashlib
import hmac
import itertools
import time

import pytest
from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar.testing import TestClient

from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service.access.guard import Access
from crossmargin.service.access.keys import master_key
from crossmargin.service.access.rate_limits import Rate
from crossmargin.service.access.roles import ROLES
from crossmargin.service.application import application
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Writer

PLENTY = Rate(per_second=1e6, burst=1e6)
OWN, OTHER = "hedger", "levered-long"
COUNT = itertools.count()
PASSWORD = "correct horse battery"  # noqa: S105


class Caller:
    """Whoever signs with a key; written from docs/access.md, not with the service's own code."""

    def __init__(self, client, key_id, secret=None, private=None):
        self.client, self.key_id, self.secret, self.private = client, key_id, secret, private

    def headers(self, method, url, body=b"", *, idempotency_key="", time_ms=None, nonce=None):
        path, _, query = url.partition("?")
        time_ms = str(time.time_ns() // 1_000_000 if time_ms is None else time_ms)  # noqa: TID251
        nonce = f"nonce-{next(COUNT)}" if nonce is None else nonce
        body_hash = hashlib.sha256(body).hexdigest()
        lines = ["crossmargin-1", method, path, query, body_hash, idempotency_key, time_ms, nonce]
        text = "\n".join(lines).encode()
        if self.private is not None:
            signature = Ed25519PrivateKey.from_private_bytes(self.private).sign(text).hex()
        else:
            signature = hmac.new(self.secret.encode(), text, hashlib.sha256).hexdigest()
        found = {"X-Crossmargin-Key": self.key_id, "X-Crossmargin-Timestamp": time_ms, "X-Crossmargin-Nonce": nonce,
                 "X-Crossmargin-Signature": signature}  # fmt: skip
        if body:
            found["Content-Type"] = "application/json"
        if idempotency_key:
            found["Idempotency-Key"] = idempotency_key
        return found

    def send(self, method, url, body=b"", **more):
        headers = self.headers(method, url, body, **more)
        return self.client.request(method, url, content=body, headers=headers)


@pytest.fixture(scope="package")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("access")
    master_key(found, create=True)
    return found


@pytest.fixture(scope="package")
def writer(folder):
    writer = Writer(folder)
    book = [portfolio for portfolio in sample_book() if portfolio.account in {OWN, OTHER, "cash-only"}]
    for command in opening_commands(book, sample_market()):
        writer.submit(command).result(timeout=300)
    yield writer
    writer.close()


@pytest.fixture(scope="package")
def access(folder):
    access = Access(folder, withdrawal_limits={}, caller=PLENTY, common=PLENTY)
    access.failures = type(access.limits)(caller=PLENTY, common=PLENTY)
    # what a guess costs is not what most tests are about
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    access.users._hasher, access.users._nobody = quick, quick.hash("nobody")
    access.nonces._earliest_ms = 0  # the tests need not wait for a second
    yield access
    access.close()


@pytest.fixture(scope="package")
def client(writer, access):
    with TestClient(application(writer, access=access), base_url="https://testserver.local") as client:
        yield client


@pytest.fixture(scope="package")
def callers(client, access):
    """One key per role and binding: to its own account, and to all."""
    found = {}
    for role, scopes in ROLES.items():
        for bound, accounts in (("own", frozenset({OWN})), ("all", None)):
            key, secret = access.keys.create(owner=f"{role}-{bound}", scopes=scopes, accounts=accounts, created_ns=1)
            found[role, bound] = Caller(client, key.id, secret)
    return found
