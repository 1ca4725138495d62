"""The Merkle tree: certificate-transparency's vectors, and the RFC's definition taken literally."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xctrules.records.archive import merkle

# The reference implementation's example (certificate-transparency, transparency-dev/merkle): eight leaves,
# the roots over the first 1, 2, ... of them, and proofs between them.
LEAVES = [bytes.fromhex(leaf) for leaf in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = [bytes.fromhex(root) for root in (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)]  # fmt: skip
INCLUSION = {
    (0, 8): ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
             "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"],
    (5, 8): ["bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
             "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
             "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): ["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
             "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"],
}  # fmt: skip
CONSISTENCY = {
    (1, 1): [],
    (1, 8): ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
             "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"],
    (6, 8): ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
             "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
             "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"],
    (2, 5): ["5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"],
    (6, 7): ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
             "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
             "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"],
}  # fmt: skip


# --- RFC 6962, 2.1, word for word: slow, and plainly right -------------------------------------------------


def mth(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: Sequence[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    return [*path(m, leaves[:k]), mth(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: Sequence[bytes], whole: bool = True) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def subtree_of(leaves: Sequence[bytes]) -> merkle.Subtree:
    return lambda start, level: mth(leaves[start : start + 2**level])


def frontier_of(leaves: Sequence[bytes]) -> tuple[bytes, ...]:
    frontier: tuple[bytes, ...] = ()
    for size, leaf in enumerate(leaves):
        frontier = merkle.grown(frontier, size, merkle.leaf_hash(leaf))
    return frontier


# -----------------------------------------------------------------------------------------------------------


def test_roots_of_the_reference() -> None:
    assert merkle.root_of(()) == bytes.fromhex(
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    for size, root in enumerate(ROOTS, start=1):
        assert merkle.root_of(frontier_of(LEAVES[:size])) == root


@pytest.mark.parametrize(("place", "proof"), INCLUSION.items())
def test_inclusion_of_the_reference(place: tuple[int, int], proof: list[str]) -> None:
    index, size = place
    hashes = [bytes.fromhex(h) for h in proof]
    assert list(merkle.inclusion_path(index, size, subtree_of(LEAVES))) == hashes
    leaf = merkle.leaf_hash(LEAVES[index])
    assert merkle.root_by_inclusion(index, size, leaf, hashes) == ROOTS[size - 1]


@pytest.mark.parametrize(("sizes", "proof"), CONSISTENCY.items())
def test_consistency_of_the_reference(sizes: tuple[int, int], proof: list[str]) -> None:
    old, new = sizes
    hashes = [bytes.fromhex(h) for h in proof]
    assert list(merkle.consistency_path(old, new, subtree_of(LEAVES))) == hashes
    assert merkle.is_consistent(old, new, ROOTS[old - 1], ROOTS[new - 1], hashes)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(max_size=3), min_size=1, max_size=40), st.data())
def test_proofs_are_those_of_the_definition_and_no_others_hold(
    leaves: list[bytes], data: st.DataObject
) -> None:
    new = len(leaves)
    index, old = data.draw(st.integers(0, new - 1)), data.draw(st.integers(1, new))
    root, leaf = mth(leaves), merkle.leaf_hash(leaves[index])
    assert merkle.root_of(frontier_of(leaves)) == root
    inclusion = path(index, leaves)
    assert list(merkle.inclusion_path(index, new, subtree_of(leaves))) == inclusion
    assert merkle.root_by_inclusion(index, new, leaf, inclusion) == root
    consistency = subproof(old, leaves)
    assert list(merkle.consistency_path(old, new, subtree_of(leaves))) == consistency
    assert merkle.is_consistent(old, new, mth(leaves[:old]), root, consistency)

    for wrong in spoilt(inclusion):
        assert reached(index, new, leaf, wrong) != root
    assert reached(index, new, merkle.leaf_hash(b"other leaf"), inclusion) != root
    for wrong in spoilt(consistency):
        assert not merkle.is_consistent(old, new, mth(leaves[:old]), root, wrong)
    assert not merkle.is_consistent(old, new, mth([*leaves[: old - 1], b"else"]), root, consistency)
    assert not merkle.is_consistent(old, new, mth(leaves[:old]), merkle.EMPTY, consistency)
    assert not merkle.is_consistent(new + 1, new, root, root, consistency)


def spoilt(proof: list[bytes]) -> list[list[bytes]]:
    """A proof cut, lengthened, and with each of its hashes changed."""
    changed = [[*proof[:i], bytes([h[0] ^ 8]) + h[1:], *proof[i + 1 :]] for i, h in enumerate(proof)]
    return [
        *changed,
        [*proof, merkle.EMPTY],
        [merkle.EMPTY, *proof],
        *([proof[:-1], proof[1:]] if proof else []),
    ]


def reached(index: int, size: int, leaf: bytes, proof: list[bytes]) -> bytes | None:
    try:
        return merkle.root_by_inclusion(index, size, leaf, proof)
    except ValueError:
        return None


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(max_size=2), min_size=1, max_size=70))
def test_the_last_leafs_path_is_all_that_is_needed_to_go_on(leaves: list[bytes]) -> None:
    """What the archive grows by: path of the last leaf = frontier before it."""
    proof = path(len(leaves) - 1, leaves)
    assert tuple(reversed(proof)) == frontier_of(leaves[:-1])
    assert len(proof) == (len(leaves) - 1).bit_count()
