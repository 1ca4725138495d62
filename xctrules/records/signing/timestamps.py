"""RFC 3161 time stamps: an authority outside of the house says that a signature was there at a certain time.

A token is a time-stamp response (RFC 3161, 2.4.2) as authorities send it, obtained by whoever wants one
(nothing here uses a network), for the bytes of an envelope's file. What is looked at: that its message
imprint is the hash of those bytes; and, where the reader gives the root certificate of an authority, that the
token is signed by a certificate for time stamping that this root vouches for, valid at its own time. What is
not: whether a certificate was revoked, and what the authority's policy is worth.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from xctrules.core.errors import RecordError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import TimeStampResponse

_HASHES = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}


def read_token(data: bytes) -> TimeStampResponse:
    """A time-stamp response from its bytes.

    Raises
    ------
    RecordError
        When it is none, or the authority refused it.
    """
    from rfc3161_client import decode_timestamp_response

    try:
        token = decode_timestamp_response(data)
        token.tst_info.message_imprint.message  # noqa: B018  # decoded when asked for
        token.tst_info.gen_time  # noqa: B018
    except ValueError as error:
        raise RecordError(f"it is no RFC 3161 time-stamp response with a token ({error})") from error
    return token


def time_of(token: TimeStampResponse) -> str:
    """The time that a token states, in UTC."""
    moment = token.tst_info.gen_time
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def is_about(token: TimeStampResponse, data: bytes) -> bool:
    """Whether a token's message imprint is the hash of ``data``.

    Raises
    ------
    RecordError
        When it was made with a hash that is not looked at here.
    """
    imprint = token.tst_info.message_imprint
    name = _HASHES.get(imprint.hash_algorithm.dotted_string)
    if name is None:
        raise RecordError(
            f"its imprint is by {imprint.hash_algorithm.dotted_string}, not by SHA-256, SHA-384 or SHA-512"
        )
    return hashlib.new(name, data).digest() == imprint.message


def vouched_for(token: TimeStampResponse, data: bytes, roots: Sequence[Certificate]) -> str | None:
    """Why a token of ``data`` is not one of an authority that ``roots`` vouch for; ``None`` where it is."""
    from rfc3161_client import VerificationError, VerifierBuilder

    try:
        VerifierBuilder(roots=list(roots)).build().verify_message(token, data)
    except (VerificationError, ValueError) as error:
        return str(error) or type(error).__name__
    return None


def load_roots(path: Path) -> list[Certificate]:
    """Root certificates of time-stamp authorities, from a PEM file.

    Raises
    ------
    RecordError
        When it cannot be read, or holds no certificate.
    """
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise RecordError(f"cannot be read ({error.strerror or error})", where=path) from error
    except ValueError as error:
        raise RecordError(
            "holds no certificates", where=path, todo="Give the authority's root certificate in PEM."
        ) from error


def now() -> datetime:
    """This computer's time, to the second."""
    return datetime.now(UTC).replace(microsecond=0)
