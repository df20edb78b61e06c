"""Signatures against the vectors of their RFCs; nonces over their window."""

import dataclasses

import pytest

from crossmargin.service.access.signatures import (
    FUTURE_MS,
    PAST_MS,
    Nonces,
    SignedRequest,
    ed25519_holds,
    ed25519_public,
    ed25519_signature,
    hmac_holds,
    hmac_signature,
)

REQUEST = SignedRequest(
    method="POST", path="/api/v1/orders", query="a=1&b=2", body=b"{}", idempotency_key="k", time_ms=1, nonce="n"
)


@pytest.mark.parametrize(
    ("secret", "text", "expected"),
    [
        (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (
            b"Jefe",
            b"what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    ],
    ids=["RFC 4231 case 1", "RFC 4231 case 2", "RFC 4231 case 3"],
)
def test_hmac_is_that_of_rfc_4231(secret, text, expected):
    assert hmac_signature(secret, text) == expected
    assert hmac_holds(secret, text, expected)
    assert not hmac_holds(secret, text, expected.upper())


@pytest.mark.parametrize(
    ("private", "public", "text", "signature"),
    [
        (
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ),
        (
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ),
    ],
    ids=["RFC 8032 test 1", "RFC 8032 test 2"],
)
def test_ed25519_is_that_of_rfc_8032(private, public, text, signature):
    assert ed25519_public(bytes.fromhex(private)).hex() == public
    assert ed25519_signature(bytes.fromhex(private), bytes.fromhex(text)) == signature
    assert ed25519_holds(bytes.fromhex(public), bytes.fromhex(text), signature)
    assert not ed25519_holds(bytes.fromhex(public), b"else", signature)
    assert not ed25519_holds(bytes.fromhex(public), bytes.fromhex(text), "no hexadecimal")


@pytest.mark.parametrize("bits", range(0, 64 * 8, 37))
def test_a_signature_with_one_bit_turned_is_forged(bits):
    private = bytes(range(32))
    true = bytearray.fromhex(ed25519_signature(private, REQUEST.text()))
    true[bits // 8] ^= 1 << bits % 8
    assert not ed25519_holds(ed25519_public(private), REQUEST.text(), true.hex())


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("method", "PUT"),
        ("path", "/api/v1/orders/"),
        ("query", "b=2&a=1"),
        ("body", b"{} "),
        ("idempotency_key", "l"),
        ("time_ms", 2),
        ("nonce", "m"),
    ],
)
def test_every_part_is_signed(field, other):
    assert dataclasses.replace(REQUEST, **{field: other}).text() != REQUEST.text()


def test_a_nonce_counts_once_over_the_whole_window():
    nonces = Nonces(started_ms=0)
    sent = 100_000
    assert nonces.take("a", "n", sent, sent)
    for later in (0, 1, PAST_MS - 1, PAST_MS, PAST_MS + 1, 2 * PAST_MS):
        assert not nonces.take("a", "n", sent, sent + later)
    assert nonces.take("b", "n", sent, sent)  # another key's


def test_a_request_dated_ahead_cannot_be_played_again_when_its_nonce_goes():
    nonces = Nonces(started_ms=0)
    now = 100_000
    assert nonces.take("a", "n", now + FUTURE_MS, now)
    for later in range(0, PAST_MS + 2 * FUTURE_MS, 50):
        assert not nonces.take("a", "n", now + FUTURE_MS, now + later)


def test_old_and_early_requests_are_refused():
    nonces = Nonces(started_ms=0)
    now = 100_000
    assert not nonces.take("a", "1", now - PAST_MS - 1, now)
    assert nonces.take("a", "2", now - PAST_MS, now)
    assert nonces.take("a", "3", now + FUTURE_MS, now)
    assert not nonces.take("a", "4", now + FUTURE_MS + 1, now)
    assert not nonces.take("a", "", now, now)
    assert not nonces.take("a", "n" * 65, now, now)


def test_a_restart_opens_no_gap():
    sent = 100_000
    assert Nonces(started_ms=0).take("a", "n", sent + FUTURE_MS, sent)
    again = Nonces(started_ms=sent + 1)
    assert not again.take("a", "n", sent + FUTURE_MS, sent + 1)
    assert again.take("a", "n", sent + 2 * FUTURE_MS, sent + 2 * FUTURE_MS)


def test_a_clock_that_goes_back_opens_no_gap():
    nonces = Nonces(started_ms=0)
    assert nonces.take("a", "n", 100_000, 100_000)
    assert nonces.take("a", "m", 200_000, 200_000)
    assert not nonces.take("a", "n", 100_000, 100_000)


def test_an_ordered_key_refuses_what_overtakes():
    nonces = Nonces(started_ms=0)
    assert nonces.take("a", "1", 100_000, 100_000, ordered=True)
    assert not nonces.take("a", "2", 99_999, 100_000, ordered=True)
    assert not nonces.take("a", "3", 100_000, 100_000, ordered=True)
    assert nonces.take("a", "4", 100_001, 100_001, ordered=True)
    assert nonces.take("b", "5", 99_999, 100_001)


def test_nonces_are_forgotten_in_the_end():
    nonces = Nonces(started_ms=0)
    for step in range(1000):
        assert nonces.take("a", str(step), 10_000 + 100 * step, 10_000 + 100 * step)
    assert len(nonces) <= (PAST_MS + FUTURE_MS) // 100 + 1
