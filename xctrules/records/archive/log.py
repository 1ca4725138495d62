"""The log as it lies on disk: its newest checkpoint, its entries and proofs, and the hashes of its tree.

No tree is stored. The proof of entry ``m`` begins with the root of the subtree that ends just before ``m``,
so that the proofs together hold every left half there is; a right half is put together from the left ones
within it. So the path of any entry to the newest root, and what a log needs to grow, takes a few small files
to read however long the log is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xctrules.core.errors import RecordError
from xctrules.records.archive.checkpoint import Checkpoint, parse_checkpoint
from xctrules.records.archive.entries import parse_entry
from xctrules.records.archive.layout import CHECKPOINT, entry_path, proof_path
from xctrules.records.archive.merkle import consistency_path, inclusion_path, leaf_hash, node_hash
from xctrules.records.archive.proof import InclusionProof, parse_proof
from xctrules.records.reading import read_bytes


@dataclass(frozen=True)
class Log:
    """A log up to one checkpoint; what writers add meanwhile is not looked at."""

    folder: Path
    head: Checkpoint

    @classmethod
    def open(cls, folder: Path) -> Log:
        """The log up to its newest checkpoint.

        Raises
        ------
        RecordError
            When there is no checkpoint that can be read.
        """
        return cls(folder, read_checkpoint(folder))

    def entry_bytes(self, index: int) -> bytes:
        return read_bytes(self.folder / entry_path(index))

    def entry(self, index: int) -> dict[str, Any]:
        """An entry; RecordError where it cannot be read."""
        return parse_entry(self.entry_bytes(index), entry_path(index))

    def entries(self, start: int = 0) -> Iterator[dict[str, Any]]:
        """Entries from ``start`` on, in their order."""
        return (self.entry(index) for index in range(start, self.head.size))

    def proof(self, index: int) -> InclusionProof:
        """The proof that was written with an entry; RecordError where it cannot be read."""
        path = proof_path(self.entry(index), index)
        return parse_proof(read_bytes(self.folder / path), path)

    def subtree(self, start: int, level: int) -> bytes:
        """The root of a perfect subtree of the log, as the proofs in the archive state it."""
        after = start + (1 << level)
        if after < self.head.size and (after >> level) & 1:
            return self._first_of_path(after)
        if level == 0:
            return leaf_hash(self.entry_bytes(start))
        half = level - 1
        return node_hash(self.subtree(start, half), self.subtree(start + (1 << half), half))

    def _first_of_path(self, index: int) -> bytes:
        path = self.proof(index).path
        if not path:
            raise RecordError("the proof of this entry lacks its path", where=entry_path(index))
        return path[0]

    def path_to_head(self, index: int) -> tuple[bytes, ...]:
        """The hashes from an entry to the root of the newest checkpoint."""
        return inclusion_path(index, self.head.size, self.subtree)

    def path_from(self, old: Checkpoint) -> tuple[bytes, ...]:
        """The hashes that show that the log begins with what an older checkpoint stood for."""
        return consistency_path(old.size, self.head.size, self.subtree)


def read_checkpoint(folder: Path) -> Checkpoint:
    """The newest checkpoint of an archive; RecordError where it cannot be read."""
    return parse_checkpoint(read_bytes(folder / CHECKPOINT), folder / CHECKPOINT)
