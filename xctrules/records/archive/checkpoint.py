"""Checkpoints: what the log says of itself in five lines, signed (C2SP tlog-checkpoint, as a signed note).

::

    example.org/archive-1          <- origin: whose log
    20852163                       <- how many entries
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=       <- root of the tree over them

    — example.org/archive-1 Az3grl...                  <- signature: name, base64(key hash + signature)

The key's name in a signature line is the log's origin, as C2SP asks for, and its hash the first four bytes of
the SHA-256 over that name, a newline, the byte 1 (Ed25519) and the public key. An archive without a key has
checkpoints without signature lines: the same text, which C2SP does not know, and which proves less.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from xctrules.core.errors import RecordError
from xctrules.records.signing.keys import PublicKey, SigningKey

ED25519 = b"\x01"
_LONGEST = 100_000
"""Bytes of a note; sixteen signatures need a tenth of it."""

_SIGNATURE = re.compile(r"— (\S+) (\S+)")
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_ORIGIN = re.compile(r"[^\s+\x00-\x1f\x7f]{1,200}")


@dataclass(frozen=True)
class NoteSignature:
    """A signature line: the key's name and the first four bytes of its hash, and 64 bytes of signature."""

    name: str
    key_hash: bytes
    signature: bytes

    def line(self) -> str:
        return f"— {self.name} {base64.b64encode(self.key_hash + self.signature).decode()}\n"


@dataclass(frozen=True)
class Checkpoint:
    """The state of a log: its origin, number of entries and root, and who signed that."""

    origin: str
    size: int
    root: bytes
    signatures: tuple[NoteSignature, ...] = ()

    def body(self) -> bytes:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n".encode()

    def text(self) -> str:
        """The whole note."""
        return self.body().decode() + "\n" + "".join(s.line() for s in self.signatures)

    def signed(self, key: SigningKey) -> Checkpoint:
        """The same with one more signature, in the log's own name."""
        signature = NoteSignature(self.origin, key_hash(self.origin, key.public), key.sign(self.body()))
        return Checkpoint(self.origin, self.size, self.root, (*self.signatures, signature))

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether a key signed this in the log's name, and no signature that claims to be its is wrong."""
        claimed = key_hash(self.origin, key)
        own = [s for s in self.signatures if (s.name, s.key_hash) == (self.origin, claimed)]
        return bool(own) and all(key.verify(s.signature, self.body()) for s in own)


def check_origin(origin: str) -> str:
    """A log's origin, refused where it could not be the name of a key: empty, with spaces or a plus sign.

    Raises
    ------
    RecordError
    """
    if not _ORIGIN.fullmatch(origin) or not origin.isprintable():
        raise RecordError(
            f"the name {origin!r} cannot be that of a log",
            where="--origin",
            todo="Give one without spaces and plus signs, such as example.org/archive-1.",
        )
    return origin


def key_hash(name: str, key: PublicKey) -> bytes:
    """The first four bytes of a key's hash under a name (C2SP signed-note, Ed25519)."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + key.raw).digest()[:4]


def verifier_key(name: str, key: PublicKey) -> str:
    """A public key as tools for signed notes take it: ``name+hash+base64``."""
    encoded = base64.b64encode(ED25519 + key.raw).decode()
    return f"{name}+{key_hash(name, key).hex()}+{encoded}"


def parse_checkpoint(data: bytes, where: object) -> Checkpoint:
    """A checkpoint from its text, which must be exactly as this program would write it.

    Raises
    ------
    RecordError
        When it is anything else, extension lines and signatures of other kinds included.
    """
    try:
        checkpoint = _parsed(data)
        if checkpoint.text().encode() != data:
            raise ValueError("it is not written as xctrules writes it")
    except ValueError as error:
        todo = "It is none, or it was cut off or changed."
        raise RecordError(f"not readable as a checkpoint ({error})", where=where, todo=todo) from error
    return checkpoint


def _parsed(data: bytes) -> Checkpoint:
    if len(data) > _LONGEST:
        raise ValueError("it is too long")
    text = data.decode("utf-8")
    if not text.endswith("\n"):
        raise ValueError("its last line is not complete")
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < 4 or lines[3]:
        raise ValueError("it has not three lines and a blank one")
    origin, size, root = lines[:3]
    if not _ORIGIN.fullmatch(origin):
        raise ValueError("its first line names no log")
    if not _SIZE.fullmatch(size):
        raise ValueError("its second line is no number of entries")
    return Checkpoint(origin, int(size), decoded(root, 32), tuple(map(_signature, lines[4:])))


def _signature(line: str) -> NoteSignature:
    found = _SIGNATURE.fullmatch(line)
    if found is None:
        raise ValueError("a line below the blank one is no signature")
    data = decoded(found[2], 68)
    return NoteSignature(found[1], data[:4], data[4:])


def decoded(text: str, length: int) -> bytes:
    """Base64 that stands for so many bytes, in the one way that these are written.

    Raises
    ------
    ValueError
    """
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{text[:60]!r} is no base64") from error
    if len(data) != length or base64.b64encode(data).decode() != text:
        raise ValueError(f"{text[:60]!r} does not stand for {length} bytes")
    return data
