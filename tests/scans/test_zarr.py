"""Zarr arrays and OME-Zarr images, written by the zarr library, come back voxel for voxel."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scan_files import VOXEL, counted_opens, opened, volume

from xctrules.core.errors import ScanError
from xctrules.scans.opening import open_scan

zarr = pytest.importorskip("zarr")


def file_digests(folder: Path, chunks: list[Path]) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in chunks}


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("chunks", [(1, 80, 90), (3, 33, 90), (5, 80, 90)], ids=str)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "float16", "float32", "float64"])
def test_zarr_array(tmp_path: Path, version: int, chunks: tuple[int, int, int], dtype: str) -> None:
    data = volume(dtype, (5, 80, 90))
    folder = tmp_path / "v.zarr"
    zarr.create_array(folder, data=data, chunks=chunks, zarr_format=version)
    with counted_opens() as opens:
        scan = opened(folder)
    np.testing.assert_array_equal(scan.slices[:], data)
    assert scan.slices.dtype == data.dtype
    stored = [p for p in folder.rglob("*") if p.is_file() and p.name != ".zattrs"]
    assert {name: sha for sha, name in scan.digests} == file_digests(folder, stored)
    assert scan.reader == "zarr"
    assert scan.warnings == ()
    described = 1  # the array's own description is among the files; chunks are opened once each
    assert len(stored) - described == np.prod([-(-n // c) for n, c in zip(data.shape, chunks, strict=True)])
    if version == 2:  # names of version 2 chunks are unlike any other file's
        assert all(opens[p.name] == 1 for p in stored if p.name[0].isdigit())


def test_sharded_zarr(tmp_path: Path) -> None:
    data = volume(shape=(6, 80, 90))
    zarr.create_array(tmp_path / "v.zarr", data=data, chunks=(1, 40, 45), shards=(2, 80, 90))
    scan = opened(tmp_path / "v.zarr")
    np.testing.assert_array_equal(scan.slices[:], data)
    stored = [p for p in (tmp_path / "v.zarr").rglob("*") if p.is_file()]
    assert {name: sha for sha, name in scan.digests} == file_digests(tmp_path / "v.zarr", stored)


def ome_zarr(folder: Path, data: Any, version: str, axes: str, unit: str | None, factor: float) -> Path:
    """An OME-Zarr image with two levels; scales of the axes z, y, x are VOXEL times ``factor``."""
    group = zarr.open_group(folder, mode="w", zarr_format=2 if version == "0.4" else 3)
    sizes = dict(zip("zyx", VOXEL, strict=True))
    shape = [data.shape["zyx".index(a)] if a in "zyx" else 1 for a in axes]
    group.create_array("0", data=data.reshape(shape), chunks=[min(n, 64) for n in shape])
    group.create_array("1", data=data.reshape(shape)[..., ::2, ::2], chunks=[min(n, 64) for n in shape])
    described = [
        {"name": a, "type": "space", **({"unit": unit} if unit else {})}
        if a in "zyx"
        else {"name": a, "type": "time"}
        for a in axes
    ]

    def level(name: str, coarser: int) -> dict[str, Any]:
        # Half of the scale stands at the level, half at the image: both hold.
        scale = [sizes[a] * factor / 2 * (coarser if a in "yx" else 1) if a in sizes else 1.0 for a in axes]
        return {"path": name, "coordinateTransformations": [{"type": "scale", "scale": scale}]}

    image = {
        "axes": described,
        "datasets": [level("0", 1), level("1", 2)],
        "coordinateTransformations": [{"type": "scale", "scale": [2.0 if a in sizes else 1.0 for a in axes]}],
    }
    if version == "0.4":
        group.attrs["multiscales"] = [{"version": "0.4", **image}]
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [image]}
    return folder


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["zyx", "tczyx"])
@pytest.mark.parametrize(("unit", "factor"), [("millimeter", 1.0), ("micrometer", 1e3)])
def test_ome_zarr(tmp_path: Path, version: str, axes: str, unit: str, factor: float) -> None:
    data = volume()
    scan = open_scan(ome_zarr(tmp_path / "v.ome.zarr", data, version, axes, unit, factor))
    np.testing.assert_array_equal(scan.slices[:], data)
    assert scan.voxel_size_mm == pytest.approx(VOXEL)


def test_ome_zarr_without_unit_has_no_voxel_size(tmp_path: Path) -> None:
    folder = ome_zarr(tmp_path / "v.ome.zarr", volume(), "0.5", "zyx", None, 1.0)
    with pytest.raises(ScanError, match="no voxel size"):
        open_scan(folder)
    assert any("unit" in w for w in opened(folder).warnings)


def test_zarr_with_several_volumes_or_wrong_axes(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "c.zarr", data=np.stack([volume(), volume()]))
    with pytest.raises(ScanError, match="2 x 5 x 80 x 90"):
        opened(tmp_path / "c.zarr")
    zarr.create_array(tmp_path / "x.zarr", data=volume(), dimension_names=["x", "y", "z"])
    with pytest.raises(ScanError, match="x, y, z"):
        opened(tmp_path / "x.zarr")
    group = zarr.open_group(tmp_path / "g.zarr", mode="w")
    group.create_array("a", data=volume())
    np.testing.assert_array_equal(opened(tmp_path / "g.zarr").slices[:], volume())
    group.create_array("b", data=volume())
    with pytest.raises(ScanError, match="a, b"):
        opened(tmp_path / "g.zarr")


def test_missing_chunks_are_said(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "v.zarr", data=volume(), chunks=(1, 80, 90), zarr_format=2)
    (tmp_path / "v.zarr" / "2.0.0").unlink()
    assert any("1 of the array's chunks" in w for w in opened(tmp_path / "v.zarr").warnings)


def test_broken_chunk_and_broken_document(tmp_path: Path) -> None:
    zarr.create_array(tmp_path / "v.zarr", data=volume(), chunks=(1, 80, 90), zarr_format=2)
    chunk = tmp_path / "v.zarr" / "2.0.0"
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(ScanError, match="slice 3"):
        opened(tmp_path / "v.zarr")
    (tmp_path / "v.zarr" / ".zarray").write_text("{")
    with pytest.raises(ScanError, match="not a readable Zarr"):
        opened(tmp_path / "v.zarr")


def test_zarr_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zarr.create_array(tmp_path / "v.zarr", data=volume())
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ScanError, match=r"pip install 'xctrules\[zarr\]'"):
        opened(tmp_path / "v.zarr")
