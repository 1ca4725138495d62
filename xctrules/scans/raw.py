"""Raw volumes: bare voxels in a file, described by a header beside it or in ``acquisition.yaml``."""

from __future__ import annotations

import hashlib
import math
import mmap
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np

from xctrules.core.errors import ScanError
from xctrules.core.slices import Volume
from xctrules.scans.acquisition import LAYOUT_KEYS, read_sidecar
from xctrules.scans.companions import SIDECAR, read_scanner_file, read_sections
from xctrules.scans.units import Voxel, known_voxel, length_mm, millimetres_in

DATA_SUFFIXES = (".raw", ".vol", ".bin")
_HOW = (
    "Put a header of the same name beside it (.mhd, .nhdr, .vgi, .xtekct, .pcr, or .yaml with shape and "
    "dtype), or give shape and dtype in acquisition.yaml."
)


@dataclass(frozen=True)
class Layout:
    """How the voxels lie in the file.

    ``shape`` is (z, y, x), x running fastest; ``dtype`` has its byte order. A ``dtype`` of ``None`` is to be
    told from the file's size, and ``header_bytes`` of ``None`` means that the voxels stand at the file's end.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any] | None
    header_bytes: int | None = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    data: str | None = None
    """The name of the data file, where the header gives it."""


class RawReader:
    """Raw volumes.

    Parameters
    ----------
    layout
        What ``acquisition.yaml`` says of the volume: ``shape``, ``dtype``, ``byte_order``, ``header_bytes``.
    """

    name = "raw"

    def __init__(self, layout: Mapping[str, Any]) -> None:
        self.layout = layout

    def can_read(self, path: Path) -> bool:
        if path.is_dir():
            return bool(_data_files(path))
        suffix = path.suffix.lower()
        return suffix in DATA_SUFFIXES or suffix in _HEADERS

    def open(self, path: Path) -> RawVolume:
        """Open a folder with one raw volume, a raw volume, or its header."""
        if path.is_dir():
            files = _data_files(path)
            if len(files) > 1:
                raise ScanError(
                    f"the folder holds {len(files)} raw volumes ({', '.join(f.name for f in files[:4])})",
                    where=path,
                    todo="Give one of them.",
                )
            path = files[0]
        if path.suffix.lower() in _HEADERS:
            layout = _HEADERS[path.suffix.lower()](path)
            return RawVolume(_data_of(path, layout), layout, path.name)
        layout, origin = self._found(path)
        return RawVolume(path, layout, origin)

    def _found(self, data: Path) -> tuple[Layout, str]:
        """The layout of a data file, and the name of the file that gives it."""
        if "shape" in self.layout and "dtype" in self.layout:
            return _layout_of(self.layout, data), SIDECAR
        for suffix, read in _HEADERS.items():
            for header in (data.with_suffix(suffix), data.with_name(data.name + suffix)):
                if header.is_file():
                    return read(header), header.name
        missing = "dtype" if "shape" in self.layout else "shape" if "dtype" in self.layout else None
        if missing:
            raise ScanError(
                f"the raw volume's {missing} is not given", where=data, todo=f"Add it to {SIDECAR}."
            )
        raise ScanError("shape and type of the raw volume are not known", where=data, todo=_HOW)


def _data_files(folder: Path) -> list[Path]:
    return sorted(
        p
        for p in folder.iterdir()
        if p.suffix.lower() in DATA_SUFFIXES and p.is_file() and not p.name.startswith(".")
    )


class RawVolume:
    """A raw volume, mapped from its file; used in place where it has the machine's byte order."""

    def __init__(self, data: Path, layout: Layout, origin: str) -> None:
        self._file = data
        self.origin = origin
        try:
            size = data.stat().st_size
        except OSError as error:
            raise ScanError(f"the raw volume is not there ({error.strerror})", where=data) from error
        dtype, offset = _fitted(layout, size, data, origin)
        self.shape = layout.shape
        self.dtype: np.dtype[Any] = dtype.newbyteorder("=")
        self.metadata = layout.metadata
        with data.open("rb") as handle:
            self._bytes = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
        self._stored: Volume = np.ndarray(layout.shape, dtype, buffer=self._bytes, offset=offset)
        self._offset = offset
        self.mapped: Volume | None = self._stored if dtype.isnative else None
        self._sha256: str | None = None

    def slices(self) -> Iterator[Volume]:
        sha, done = hashlib.sha256(), 0
        with memoryview(self._bytes) as view:
            for k, image in enumerate(self._stored):
                end = self._offset + (k + 1) * image.nbytes
                sha.update(view[done:end])
                done = end
                yield image.astype(self.dtype, copy=False)
            sha.update(view[done:])
        self._sha256 = sha.hexdigest()

    def read_slice(self, k: int) -> Volume:
        return np.asarray(self._stored[k], self.dtype)

    def digests(self) -> Sequence[tuple[str, str]]:
        return () if self._sha256 is None else ((self._sha256, self._file.name),)


def _fitted(layout: Layout, size: int, data: Path, origin: str) -> tuple[np.dtype[Any], int]:
    """Data type and offset, when the file's size agrees with what the header says."""
    count = math.prod(layout.shape)
    if count == 0:
        raise ScanError(f"the raw volume has no voxels: its shape is {layout.shape} ({origin})", where=data)
    if layout.dtype is not None:
        dtype = layout.dtype
    else:
        known = {1: "u1", 2: "<u2", 4: "<f4"}  # what these scanners write, told apart by the file's size
        each, rest = divmod(size - (layout.header_bytes or 0), count)
        if rest or each not in known:
            raise ScanError(
                f"{size} bytes are no volume of {_by(layout.shape)} voxels of 8, 16 or 32 bits ({origin})",
                where=data,
                todo="The file is cut off, or the header is another volume's.",
            )
        dtype = np.dtype(known[each])
    needed = count * dtype.itemsize
    offset = size - needed if layout.header_bytes is None else layout.header_bytes
    if offset < 0 or offset + needed > size:
        raise ScanError(
            f"the file is cut off: {_by(layout.shape)} voxels of {dtype} need "
            f"{max(offset, 0) + needed} bytes, it has {size} ({origin})",
            where=data,
            todo="Copy it again from its origin, or correct the shape and dtype.",
        )
    if offset + needed < size:
        raise ScanError(
            f"{_by(layout.shape)} voxels of {dtype} are {offset + needed} bytes, "
            f"but the file has {size} ({origin})",
            where=data,
            todo="Correct the shape or dtype, or give header_bytes.",
        )
    return dtype, offset


def _by(shape: Sequence[int]) -> str:
    return " x ".join(str(n) for n in shape)


def _data_of(header: Path, layout: Layout) -> Path:
    """The data file of a header: the one that it names, else the one of its own name."""
    # A header may hold the path on the scanner's own computer: only its last part means anything here.
    named = [header.parent / PureWindowsPath(layout.data).name] if layout.data else []
    for file in (*named, *(header.with_suffix(suffix) for suffix in DATA_SUFFIXES), header.with_suffix("")):
        if file.is_file() and file != header:
            return file
    name = named[0].name if named else f"{header.stem}.raw"
    raise ScanError(f"the raw volume {name} is not beside its header", where=header)


# --- headers ---------------------------------------------------------------------------------------------


def _layout_of(values: Mapping[str, Any], where: object) -> Layout:
    """Layout from the keys of our own YAML: shape (z, y, x), dtype, byte_order, header_bytes."""
    order = {"little": "<", "big": ">", None: ""}[values.get("byte_order")]
    try:
        dtype = np.dtype(values["dtype"])
    except TypeError as error:
        raise ScanError(
            f"unknown dtype {values['dtype']!r}",
            where=where,
            todo="Use a name such as uint8, uint16 or float32.",
        ) from error
    if dtype.kind not in "uif":
        raise ScanError(f"voxels of type {dtype} are not supported", where=where)
    if order:
        dtype = dtype.newbyteorder(order)
    metadata = {k: v for k, v in values.items() if k not in LAYOUT_KEYS}
    return Layout(values["shape"], dtype, values.get("header_bytes", 0), metadata)


def _own(header: Path) -> Layout:
    values = read_sidecar(header).values
    missing = [key for key in ("shape", "dtype") if key not in values]
    if missing:
        raise ScanError(f"the header has no {' and no '.join(missing)}", where=header)
    return _layout_of(values, header)


def _xtekct(header: Path) -> Layout:
    said = read_sections(header)
    values = {k: v for place in said.values() for k, v in place.items()}
    shape = _counts([values.get(f"voxels{axis}") for axis in "zyx"], header)
    return Layout(shape, None, metadata=read_scanner_file(header).values)


def _pcr(header: Path) -> Layout:
    values = read_sections(header).get("volumedata", {})
    shape = _counts([values.get(f"volume_size{axis}") for axis in "zyx"], header)
    return Layout(shape, None, metadata=read_scanner_file(header).values)


def _vgi(header: Path) -> Layout:
    said = read_sections(header)
    values = {
        k: v for place in reversed(list(said.values())) for k, v in place.items()
    }  # the first volume's win
    sizes = (values.get("size") or "").split()
    shape = _counts(sizes[::-1], header)
    kind, bits = values.get("datatype", "").lower(), _number(values.get("bitsperelement")) or 0
    letter = "f" if "float" in kind else "i" if kind.startswith("signed") else "u"
    dtype = _checked_dtype(f"<{letter}{int(bits) // 8}", header, f"{kind} of {bits:g} bits")
    skip = _number(values.get("skipheader")) or 0
    return Layout(shape, dtype, int(skip), read_scanner_file(header).values, values.get("name"))


_MET = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2",
    "MET_INT": "i4", "MET_UINT": "u4", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip


def _mhd(header: Path) -> Layout:
    """MetaImage (ITK): lengths are millimetres by convention."""
    values = _lines(header, "=")
    if values.get("compresseddata", "false").lower() == "true":
        raise ScanError("the volume is compressed", where=header, todo="Save it uncompressed.")
    if _number(values.get("elementnumberofchannels", "1")) != 1:
        raise ScanError("the volume is in colour or has several channels", where=header)
    shape = _counts(values.get("dimsize", "").split()[::-1], header)
    big = (values.get("binarydatabyteordermsb") or values.get("elementbyteordermsb") or "").lower() == "true"
    kind = values.get("elementtype", "").upper()
    dtype = _checked_dtype((">" if big else "<") + _MET.get(kind, "?"), header, kind)
    edges = [_number(v) for v in (values.get("elementspacing") or values.get("elementsize") or "").split()]
    metadata = {"voxel_size_mm": tuple(reversed(edges))} if len(edges) == 3 else {}
    skip = int(values.get("headersize", "0"))
    data = values.get("elementdatafile")
    if data and data.upper() in ("LOCAL", "LIST"):
        raise ScanError(f"ElementDataFile = {data} is not supported", where=header, todo="Use one .raw file.")
    return Layout(shape, dtype, None if skip < 0 else skip, metadata, data)


_NRRD = {
    "signed char": "i1", "int8": "i1", "int8_t": "i1", "uchar": "u1", "unsigned char": "u1", "uint8": "u1",
    "uint8_t": "u1", "short": "i2", "int16": "i2", "int16_t": "i2", "ushort": "u2", "unsigned short": "u2",
    "uint16": "u2", "uint16_t": "u2", "int": "i4", "int32": "i4", "int32_t": "i4", "uint": "u4",
    "unsigned int": "u4", "uint32": "u4", "uint32_t": "u4", "float": "f4", "double": "f8",
}  # fmt: skip


def _nhdr(header: Path) -> Layout:
    """NRRD with its data in a file of its own; lengths without a unit are millimetres, as its users hold."""
    values = _lines(header, ":")
    if values.get("encoding", "").lower() != "raw":
        raise ScanError(
            f"the encoding {values.get('encoding')!r} is not supported", where=header, todo="Save it raw."
        )
    shape = _counts(values.get("sizes", "").split()[::-1], header)
    kind = values.get("type", "").lower()
    big = values.get("endian", "little").lower() == "big"
    dtype = _checked_dtype((">" if big else "<") + _NRRD.get(kind, "?"), header, kind)
    voxel = _nrrd_voxel(values)
    metadata = {} if voxel is None else {"voxel_size_mm": voxel}
    skip = int(values.get("byte skip") or values.get("byteskip") or 0)
    return Layout(
        shape, dtype, None if skip < 0 else skip, metadata, values.get("data file") or values.get("datafile")
    )


def _nrrd_voxel(values: Mapping[str, str]) -> Voxel | None:
    """(z, y, x) in mm. Each axis has its own unit: of the space, where directions are given in it, or of the
    array's axis."""
    vectors = re.findall(r"\(([^)]*)\)", values.get("space directions", ""))
    units = re.findall(r'"([^"]*)"', values.get("space units" if vectors else "units", ""))
    units = units or re.findall(r'"([^"]*)"', values.get("space units") or values.get("units") or "")
    units = [unit.strip() or "mm" for unit in (units * 3 if len(units) == 1 else units or ["mm"] * 3)]
    factors = [millimetres_in(unit) for unit in units]
    if len(factors) != 3:
        return None
    edges: list[float | None]
    if vectors:
        parts = [[_number(c) or 0.0 for c in vector.split(",")] for vector in vectors]
        edges = [_length_of(part, factors) for part in parts]
    else:
        spacings = values.get("spacings", "").split()
        edges = [length_mm(s.replace(",", "."), u) for s, u in zip(spacings, units, strict=False)]
    if len(edges) != 3:
        return None
    x, y, z = edges
    return known_voxel(z, y, x)


def _length_of(vector: Sequence[float], factors: Sequence[float | None]) -> float | None:
    """Length in mm of a vector with a unit for each component; ``None`` without a unit that it needs."""
    if len(vector) != len(factors) or any(c and f is None for c, f in zip(vector, factors, strict=True)):
        return None
    length = math.hypot(*(c * (f or 0.0) for c, f in zip(vector, factors, strict=True)))
    return length or None


_HEADERS: Mapping[str, Callable[[Path], Layout]] = {
    ".yaml": _own, ".mhd": _mhd, ".nhdr": _nhdr, ".vgi": _vgi, ".xtekct": _xtekct, ".xtekvolume": _xtekct,
    ".pcr": _pcr,
}  # fmt: skip


def _lines(header: Path, sign: str) -> dict[str, str]:
    """``key sign value`` lines, keys in lower case."""
    try:
        text = header.read_text(encoding="latin-1")
    except OSError as error:
        raise ScanError(f"the header cannot be read: {error.strerror}", where=header) from error
    parts = (line.partition(sign) for line in text.splitlines() if not line.startswith("#"))
    return {key.strip().lower(): value.lstrip("=").strip() for key, found, value in parts if found}


def _counts(texts: Sequence[str | None], header: Path) -> tuple[int, int, int]:
    """(z, y, x) from the header's numbers of voxels."""
    try:
        z, y, x = (int(t or "") for t in texts)
    except ValueError as error:
        raise ScanError(
            "the header does not give the number of voxels along three axes", where=header
        ) from error
    if min(z, y, x) < 0:
        raise ScanError(f"the header gives a negative number of voxels: {z} x {y} x {x}", where=header)
    return z, y, x


def _number(text: str | None) -> float | None:
    try:
        value = float((text or "").strip().replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _checked_dtype(code: str, header: Path, shown: str) -> np.dtype[Any]:
    try:
        return np.dtype(code)
    except TypeError as error:
        raise ScanError(
            f"the header's data type is not known ({shown or 'none given'})", where=header
        ) from error
