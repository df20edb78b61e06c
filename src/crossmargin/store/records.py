"""A record of the journal: a payload in a hash chain, so that no record can be changed, moved or dropped unseen."""

import hashlib
from typing import TypeAlias

import msgspec

from crossmargin.engine.commands import Command
from crossmargin.errors import InputError

FORMAT = 1
"""Of the payloads; a journal of another format is refused."""
GENESIS = "0" * 64


class SegmentStart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="segment"):
    """The first record of a segment: which code writes it, in which format."""

    number: int
    format: int
    code: str


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="command"):
    """A command, accepted into the journal before it is applied."""

    command: Command


class Poisoned(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="poisoned"):
    """The command of record `record` raised: a replay leaves it out and halts there until an operator resumes."""

    record: int
    command: str
    error: str


Payload: TypeAlias = SegmentStart | Asked | Poisoned

_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER = msgspec.json.Decoder(Payload)


class RecordError(InputError):
    """A record that cannot be believed: `number` counts from 1."""

    def __init__(self, number: int, finding: str) -> None:
        super().__init__(f"record {number} of the journal must be whole and in its chain: {finding}")
        self.number = number


def encode(payload: Payload) -> bytes:
    """Return the bytes of a payload."""
    return _ENCODER.encode(payload)


def asked(command: bytes) -> bytes:
    """Return the bytes of the payload that asks for a command, of which the text is known.

    Examples
    --------
    >>> from crossmargin.engine.commands import RunAudit, encoded
    >>> command = RunAudit(id="a")
    >>> asked(encoded(command)) == encode(Asked(command=command))
    True
    """
    return b'{"type":"command","command":%b}' % command


def chained(previous: str, number: int, body: bytes) -> str:
    """Return the SHA-256, in hexadecimal, of a record after the one of hash `previous`."""
    return hashlib.sha256(b"%b %d %b" % (previous.encode(), number, body)).hexdigest()


def decode(number: int, previous: str, claimed: str, body: bytes) -> Payload:
    """Return the payload of a record.

    Raises
    ------
    RecordError
        If its hash is not the one that its place and content give, or it holds no payload of this format.
    """
    if chained(previous, number, body) != claimed:
        raise RecordError(number, "its hash does not fit")
    try:
        payload: Payload = _DECODER.decode(body)
    except (msgspec.DecodeError, InputError) as error:
        raise RecordError(number, str(error)) from error
    if isinstance(payload, SegmentStart) and payload.format != FORMAT:
        raise RecordError(number, f"format {payload.format}, this code reads {FORMAT}")
    return payload
