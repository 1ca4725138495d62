"""Proof of inclusion: a text that shows, with the log's key alone, that an entry stands in the log.

C2SP tlog-proof: the entry's place, the hashes from it up to the root, and the checkpoint that signs this
root. The entry itself goes with it as ``extra``, so that proof and report can be sent without anything else.
Whoever checks hashes that entry, so that nothing has to be taken on trust.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from xctrules.core.errors import RecordError
from xctrules.records.archive.checkpoint import Checkpoint, decoded, parse_checkpoint
from xctrules.records.archive.merkle import leaf_hash, root_by_inclusion

_HEAD = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,17})")


@dataclass(frozen=True)
class InclusionProof:
    """An entry (its bytes), its place in the log, the path of hashes to the root, and the checkpoint."""

    entry: bytes
    index: int
    path: tuple[bytes, ...]
    checkpoint: Checkpoint

    def text(self) -> str:
        hashes = "".join(f"{base64.b64encode(h).decode()}\n" for h in self.path)
        entry = base64.b64encode(self.entry).decode()
        return f"{_HEAD}\nextra {entry}\nindex {self.index}\n{hashes}\n{self.checkpoint.text()}"

    def holds(self) -> bool:
        """Whether the path leads from the entry to the checkpoint's root; not who signed that."""
        try:
            root = root_by_inclusion(self.index, self.checkpoint.size, leaf_hash(self.entry), self.path)
        except ValueError:
            return False
        return root == self.checkpoint.root


def parse_proof(data: bytes, where: object) -> InclusionProof:
    """A proof from its text, which must be exactly as this program would write it.

    Raises
    ------
    RecordError
    """
    try:
        proof = _parsed(data, where)
        if proof.text().encode() != data:
            raise ValueError("it is not written as xctrules writes it")
    except ValueError as error:
        todo = "It is none, or it was cut off or changed."
        raise RecordError(f"not readable as a proof ({error})", where=where, todo=todo) from error
    return proof


def _parsed(data: bytes, where: object) -> InclusionProof:
    head, blank, checkpoint = data.partition(b"\n\n")
    first, extra, index, *path = (head.decode("utf-8") + "\n\n\n").split("\n")[: head.count(b"\n") + 3]
    place = _INDEX.fullmatch(index)
    if first != _HEAD or not extra.startswith("extra ") or place is None or not blank:
        raise ValueError("it does not begin as one")
    try:
        entry = base64.b64decode(extra.removeprefix("extra "), validate=True)
    except binascii.Error as error:
        raise ValueError("its entry is no base64") from error
    hashes = tuple(decoded(line, 32) for line in path if line)
    return InclusionProof(entry, int(place[1]), hashes, parse_checkpoint(checkpoint, where))
