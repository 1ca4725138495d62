"""The Merkle tree of RFC 6962 (and RFC 9162): one hash for a list that only grows, and short proofs about it.

The hash of a list is that of its two halves, of which the left one is the largest power of two below its
length. A leaf is hashed behind a zero byte and a node behind a one, so that neither can pass for the other.

A tree need not be held to be grown. The roots of the perfect subtrees that its size is made of, largest
first, are its *frontier*: with 100 000 leaves six hashes, and never more than one for each binary digit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

Subtree = Callable[[int, int], bytes]
"""``(start, level)`` to the root of the perfect subtree of ``2 ** level`` leaves that begins at ``start``."""

EMPTY = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """SHA-256 of a leaf (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256 of a node above two others (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def grown(frontier: Sequence[bytes], size: int, leaf: bytes) -> tuple[bytes, ...]:
    """The frontier of a tree of ``size`` leaves after one more, given by its hash."""
    roots, node = list(frontier), leaf
    while size & 1:
        node = node_hash(roots.pop(), node)
        size >>= 1
    return (*roots, node)


def root_of(frontier: Sequence[bytes]) -> bytes:
    """The root of a tree from its frontier."""
    if not frontier:
        return EMPTY
    *rest, root = frontier
    for left in reversed(rest):
        root = node_hash(left, root)
    return root


def range_root(start: int, end: int, subtree: Subtree) -> bytes:
    """The root over the leaves from ``start`` up to ``end``, ``start`` being where a subtree can begin."""
    width = end - start
    if width & (width - 1) == 0:
        return subtree(start, width.bit_length() - 1)
    middle = start + _left_width(width)
    return node_hash(range_root(start, middle, subtree), range_root(middle, end, subtree))


def inclusion_path(index: int, size: int, subtree: Subtree) -> tuple[bytes, ...]:
    """The hashes that lead from a leaf to the root (RFC 6962, 2.1.1), the leaf's neighbour first.

    For the last leaf these are the frontier of the tree before it, smallest subtree first.
    """
    start, end, found = 0, size, []
    while end - start > 1:
        middle = start + _left_width(end - start)
        if index < middle:
            found.append(range_root(middle, end, subtree))
            end = middle
        else:
            found.append(range_root(start, middle, subtree))
            start = middle
    return tuple(reversed(found))


def root_by_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """The root that a leaf's hash and its path lead to (RFC 9162, 2.1.3.2).

    Raises
    ------
    ValueError
        When no path of this length leads from that place to a root.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    node, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise ValueError("the path is too long")
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = node_hash(root, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise ValueError("the path is too short")
    return root


def consistency_path(old: int, new: int, subtree: Subtree) -> tuple[bytes, ...]:
    """The hashes that show that a tree of ``new`` leaves begins with one of ``old`` (RFC 6962, 2.1.2)."""
    start, end, found = 0, new, []
    while old != end:
        middle = start + _left_width(end - start)
        if old <= middle:
            found.append(range_root(middle, end, subtree))
            end = middle
        else:
            found.append(range_root(start, middle, subtree))
            start = middle
    whole = start == 0  # the old root itself, which who checks already has
    return (*(() if whole else (range_root(start, end, subtree),)), *reversed(found))


def is_consistent(old: int, new: int, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether a path shows that the tree of ``new`` leaves begins with ``old`` ones (RFC 9162, 2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    hashes = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not hashes:
        return False
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    before = after = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            before, after = node_hash(sibling, before), node_hash(sibling, after)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            after = node_hash(after, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and before == old_root and after == new_root


def _left_width(width: int) -> int:
    """The largest power of two below ``width``."""
    return 1 << (width - 1).bit_length() - 1
