"""The envelope of a signature: DSSE 1.0 (Dead Simple Signing Envelope), as in-toto and others read it.

What is signed is not the payload alone but the payload and its type, each with its length (the
pre-authentication encoding), so that bytes signed as one kind of document cannot be shown as another. The few
lines of it stand here so that checking takes ``cryptography`` alone; a test holds them against the
specification's vector and against ``securesystemslib``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xctrules.core.canonical import canonical_bytes
from xctrules.core.errors import RecordError
from xctrules.records.reading import strict_json
from xctrules.records.signing.keys import PublicKey, SigningKey

IN_TOTO = "application/vnd.in-toto+json"
"""Payload type of in-toto statements."""


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """The bytes that a signature is of."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True)
class Envelope:
    """A payload with one signature.

    DSSE allows several signatures for one payload. Here each has its own envelope, since each signer says
    something else: who it is, when, and what is meant stand in the payload, under the signature.

    Attributes
    ----------
    payload, payload_type
        What is signed.
    key_id
        Which key it was, for finding it: this is not signed, and nothing may be concluded from it.
    signature
        64 bytes.
    """

    payload: bytes
    payload_type: str
    key_id: str
    signature: bytes

    def to_bytes(self) -> bytes:
        """The envelope as a file: canonical JSON."""
        signature = {"keyid": self.key_id, "sig": _text(self.signature)}
        return canonical_bytes(
            {"payload": _text(self.payload), "payloadType": self.payload_type, "signatures": [signature]}
        )

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether the signature is one of this payload, as one of this type, by ``key``."""
        return key.verify(self.signature, pre_authentication_encoding(self.payload_type, self.payload))


def signed(payload: bytes, payload_type: str, key: SigningKey) -> Envelope:
    """A payload, signed."""
    signature = key.sign(pre_authentication_encoding(payload_type, payload))
    return Envelope(payload, payload_type, key.key_id, signature)


def read_envelope(data: bytes) -> Envelope:
    """An envelope from a file's bytes, which must be just those that :meth:`Envelope.to_bytes` gives.

    Other spacing, doubled keys, base64 with other unused bits: none of it would change what is signed, but
    where every byte counts, a changed one can be told.

    Raises
    ------
    RecordError
        When it is no envelope with one signature, or not written like that.
    """
    try:
        value = strict_json(data)
        (one,) = value["signatures"]
        envelope = Envelope(
            _decoded(value["payload"]), _str(value["payloadType"]), _str(one["keyid"]), _decoded(one["sig"])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"it is no DSSE envelope with one signature ({error})") from error
    if envelope.to_bytes() != data:
        raise RecordError("its bytes are not as xctrules writes them: it was edited or formatted anew")
    return envelope


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} in place of text")
    return value


def _decoded(value: Any) -> bytes:
    try:
        return base64.b64decode(_str(value), validate=True)
    except binascii.Error as error:
        raise ValueError(f"base64 that cannot be decoded: {error}") from error


def read_payload(envelope: Envelope) -> Mapping[str, Any]:
    """The statement inside an envelope.

    Raises
    ------
    RecordError
        When it is no JSON object, or not of the type that in-toto statements have.
    """
    if envelope.payload_type != IN_TOTO:
        raise RecordError(f"what is signed is of the type {envelope.payload_type!r}, not {IN_TOTO!r}")
    try:
        value = strict_json(envelope.payload)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"what is signed is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise RecordError("what is signed is no JSON object")
    return value
