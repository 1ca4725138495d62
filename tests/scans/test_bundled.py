"""The readers that come with xctrules."""

from __future__ import annotations

from xctrules.core.slices import Reader
from xctrules.scans.bundled import bundled


def test_bundled_readers_keep_the_protocol() -> None:
    assert [reader.name for reader in bundled({})] == ["zarr", "tiff", "raw"]
    assert all(isinstance(reader, Reader) for reader in bundled({}))
