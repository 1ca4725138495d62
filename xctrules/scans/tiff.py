"""TIFF: a folder of slices, a single slice, a stack in one file; BigTIFF, OME-TIFF and ImageJ included.

Every file is read once. The bytes that are hashed are the bytes that are decoded.
"""

from __future__ import annotations

import hashlib
import io
import logging
import math
import mmap
import struct
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from xctrules.core.errors import ScanError
from xctrules.core.slices import Volume
from xctrules.scans.series import in_order, numbering_warnings, pattern
from xctrules.scans.units import Voxel, known_voxel, length_mm

# What tifffile logs about a broken file is said by the ScanError that follows.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

SUFFIXES = (".tif", ".tiff", ".btf", ".tf2", ".tf8")
_THREADS = 2
_AHEAD = 4  # slices decoded ahead of the one in use: bounds the memory beside the volume


def is_tiff(path: Path) -> bool:
    """Whether the name is that of a TIFF file and not hidden (``._im1.tif`` is what macOS leaves behind)."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


class TiffReader:
    """Folders of TIFF slices and TIFF files of one or more pages."""

    name = "tiff"

    def can_read(self, path: Path) -> bool:
        if path.is_dir():
            return any(is_tiff(p) for p in path.iterdir())
        return is_tiff(path)

    def open(self, path: Path) -> TiffFolder | TiffStack:
        """Open a folder or file; its pixels are not touched yet, except those of a folder's first slice."""
        if not path.is_dir():
            stack = TiffStack(path)
            if stack.shape[0] == 1:
                stack.warnings += _fellows_warning(path)
            return stack
        files = slice_files(path)
        return TiffFolder(files) if len(files) > 1 else TiffStack(files[0])


# --- a folder of slices ----------------------------------------------------------------------------------


def slice_files(folder: Path) -> list[Path]:
    """The TIFF files of a folder in natural order.

    Raises
    ------
    ScanError
        When there are none, or when they are not one series.
    """
    files = [p for p in folder.iterdir() if is_tiff(p) and not p.is_dir()]
    for file in files:
        if not file.is_file():
            what = "a link to nothing" if file.is_symlink() else "no ordinary file"
            raise ScanError(f"the slice is {what}", where=file, todo="Copy the slices again.")
    if not files:
        raise ScanError("the folder holds no TIFF slices", where=folder)
    return in_order(files, folder)


def _fellows_warning(file: Path) -> tuple[str, ...]:
    """A warning where one slice of a numbered series was given as if it were the scan."""
    series, fellows = pattern(file), 0
    with suppress(OSError):  # the folder around need not be ours to read
        fellows = sum(is_tiff(p) and pattern(p) == series for p in file.parent.iterdir())
    if "#" not in series or fellows < 2:
        return ()
    return (f"{file.name} is one of {fellows} slices in its folder; give the folder to read them all",)


class TiffFolder:
    """One slice in each file. Two threads read, hash and decode ahead of the slice in use."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = tuple(files)
        first = _read_file(self._files[0])
        image = first.image
        self._first: _Slice | None = first  # let go once it was handed out
        self.shape: tuple[int, int, int] = (len(files), image.shape[0], image.shape[1])
        self.dtype: np.dtype[Any] = image.dtype
        self.origin = self._files[0].name
        self.metadata: Mapping[str, Any] = first.metadata
        self.warnings = (*numbering_warnings(files), *first.warnings)
        self._digests: list[tuple[str, str]] = []

    def slices(self) -> Iterator[Volume]:
        self._digests = []
        for file, page in zip(self._files, self._pages(), strict=True):
            image = self._alike(page, file)
            self._digests.append((page.sha256, file.name))
            yield image

    def read_slice(self, k: int) -> Volume:
        return self._alike(_read_file(self._files[k]), self._files[k])

    def _alike(self, page: _Slice, file: Path) -> Volume:
        """The slice's image, if it is like the first."""
        if page.image.shape != self.shape[1:]:
            raise ScanError(
                f"the slice is {_size(page.image.shape)}, the first is {_size(self.shape[1:])}",
                where=file,
                todo="All slices of a scan must have one size.",
            )
        if page.image.dtype != self.dtype:
            raise ScanError(
                f"the slice is {page.image.dtype}, {self.origin} is {self.dtype}",
                where=file,
                todo="All slices of a scan must have one data type.",
            )
        return page.image

    def _pages(self) -> Iterator[_Slice]:
        first, self._first = self._first, None
        yield first or _read_file(self._files[0])
        with ThreadPoolExecutor(_THREADS, "xctrules-tiff") as pool:
            ahead: deque[Future[_Slice]] = deque()
            try:
                for file in self._files[1:]:
                    ahead.append(pool.submit(_read_file, file))
                    if len(ahead) >= _AHEAD:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()

    def digests(self) -> Sequence[tuple[str, str]]:
        return tuple(self._digests)


@dataclass(frozen=True)
class _Slice:
    image: Volume
    sha256: str
    metadata: Mapping[str, Any]
    warnings: tuple[str, ...] = ()


def _size(shape: Sequence[int]) -> str:
    return " x ".join(str(n) for n in shape)


def _read_file(file: Path) -> _Slice:
    """Read, hash and decode one file that holds one slice."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ScanError(f"the slice cannot be read: {error.strerror}", where=file) from error
    sha256 = hashlib.sha256(data).hexdigest()
    with _opened(io.BytesIO(data), file) as tiff:
        _check_directories(tiff, data, file)
        page, pages = _first_page(tiff, file), len(tiff.pages)
        # Where a stack was split by others' programs its first page still speaks of all; its pixels do not.
        more = _images_told(tiff) > 1 and len(data) > 2 * page.size * page.dtype.itemsize
        if pages > 1 or more:
            raise ScanError(
                "the file holds several pages, but stands in a folder of slices",
                where=file,
                todo="Give the file itself as the scan, or split it into one file for each slice.",
            )
        _check_page(page, len(data), file)
        return _Slice(_decoded(page, file), sha256, voxel_metadata(tiff, 1), _grey_warnings(page))


# --- a stack in one file ---------------------------------------------------------------------------------


class TiffStack:
    """All slices in one file, which is mapped: hashed and decoded out of the same mapping.

    It is used in place where its pixels lie uncompressed, in the machine's byte order, and one slice after
    the other.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            with file.open("rb") as handle:
                self._bytes = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise ScanError("the file is empty", where=file) from error
        except OSError as error:
            raise ScanError(f"the file cannot be read: {error.strerror}", where=file) from error
        self._tiff = _opened(self._bytes, file)
        _check_directories(self._tiff, self._bytes, file)
        self._sha256: str | None = None
        page = _first_page(self._tiff, file)
        _check_page(page, len(self._bytes), file)
        count, offset = self._layout(page)
        self.shape: tuple[int, int, int] = (count, int(page.shape[0]), int(page.shape[1]))
        self.dtype: np.dtype[Any] = np.dtype(page.dtype)
        self.origin = file.name
        self.metadata: Mapping[str, Any] = voxel_metadata(self._tiff, count)
        self.warnings: tuple[str, ...] = _grey_warnings(page)
        stored = self.dtype.newbyteorder(self._tiff.byteorder)
        self._stored: Volume | None = None
        if offset is not None and self.dtype.kind != "b":
            self._stored = np.ndarray(self.shape, stored, buffer=self._bytes, offset=offset)
        self.mapped = self._stored if stored.isnative else None
        self._lock = Lock()  # the file has one position, of which a page that is decoded makes use

    def _layout(self, page: Any) -> tuple[int, int | None]:
        """Number of slices, and the offset of the first where they lie uncompressed in one piece."""
        tiff, file, size = self._tiff, self._file, len(self._bytes)
        try:
            series = [s for s in tiff.series if not getattr(s, "is_pyramidal_level", False)]
        except Exception as error:
            raise _unreadable(file, error) from error
        shapes = {(s.shape[-2:], s.dtype) for s in series}
        if len(shapes) > 1:
            shown = ", ".join(sorted(f"{_size(s.shape)} {s.dtype}" for s in series)[:4])
            raise ScanError(
                f"the file holds images of different size or type: {shown}",
                where=file,
                todo="Save the volume alone, as one stack of grey slices.",
            )
        leading = [n for n in series[0].shape[:-2] if n != 1]
        if len(leading) > 1 or (leading and len(series) > 1):
            raise ScanError(
                f"the file holds more than one volume: {series[0].axes} {_size(series[0].shape)}",
                where=file,
                todo="Save one channel and one time step alone.",
            )
        if len(series) > 1:  # written slice by slice: each page its own series
            return len(series), None
        count = leading[0] if leading else 1
        _check_ome_planes(tiff, count, file)
        if _images_told(tiff) > count:
            raise ScanError(
                f"the file is cut off: ImageJ wrote {_images_told(tiff)} slices, {count} can be read",
                where=file,
                todo="Copy it again from its origin.",
            )
        offset = series[0].dataoffset
        if offset is not None:
            needed = offset + count * page.shape[0] * page.shape[1] * np.dtype(page.dtype).itemsize
            if page.dtype != np.dtype(bool) and needed > size:
                raise _truncated(file, needed, size)
        return count, offset

    def slices(self) -> Iterator[Volume]:
        sha, done = hashlib.sha256(), 0
        with memoryview(self._bytes) as view:
            for k in range(self.shape[0]):
                if self._stored is not None:
                    image = self._stored[k].astype(self.dtype, copy=False)
                    end = min(len(view), done + image.nbytes)
                else:
                    page = self._page(k)
                    image = _decoded(page, self._file)
                    end = max(
                        [done, *(o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True))]
                    )
                sha.update(view[done:end])
                done = end
                yield image
            sha.update(view[done:])
        self._sha256 = sha.hexdigest()

    def read_slice(self, k: int) -> Volume:
        if self._stored is not None:
            return np.asarray(self._stored[k], self.dtype)
        with self._lock:
            return _decoded(self._page(k), self._file)

    def _page(self, k: int) -> Any:
        try:
            series = self._tiff.series
            page = (series[k].pages[0] if len(series) > 1 else series[0].pages[k]).aspage()
        except Exception as error:
            raise _unreadable(self._file, error, k) from error
        if tuple(page.shape) != self.shape[1:] or page.dtype != self.dtype:
            raise ScanError(
                f"page {k + 1} is {_size(page.shape)} {page.dtype}, "
                f"the first is {_size(self.shape[1:])} {self.dtype}",
                where=self._file,
                todo="All slices of a scan must have one size and data type.",
            )
        _check_page(page, len(self._bytes), self._file, k)
        return page

    def digests(self) -> Sequence[tuple[str, str]]:
        return () if self._sha256 is None else ((self._sha256, self._file.name),)


# --- what both share -------------------------------------------------------------------------------------


def _opened(stream: Any, file: Path) -> Any:
    try:
        # OME files may point at others; those are not opened unasked (see _check_ome_planes).
        return tifffile.TiffFile(stream, name=file.name, is_ome=False)
    except Exception as error:
        raise _unreadable(file, error) from error


_FIELD_BYTES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}


def _check_directories(tiff: Any, data: bytes | mmap.mmap, file: Path) -> None:
    """Refuse a file whose chain of image file directories, or a tag's value, reaches beyond its end.

    tifffile makes do with the pages that it can still find, so that a stack cut off would come back shorter.
    """
    form = tiff.tiff
    size, number = len(data), form.offsetsize
    entry = struct.Struct(form.byteorder + ("HHQQ" if form.is_bigtiff else "HHII"))
    position, seen = 4 + (4 if form.is_bigtiff else 0), set()
    while True:
        if position + number > size:
            raise _truncated(file, position + number, size)
        (start,) = struct.unpack_from(form.offsetformat, data, position)
        if start == 0:
            return
        if start in seen:
            raise _unreadable(file, ValueError("its pages run in a circle"))
        seen.add(start)
        if start + form.tagnosize > size:
            raise _truncated(file, start + form.tagnosize, size)
        (tags,) = struct.unpack_from(form.tagnoformat, data, start)
        first, position = start + form.tagnosize, start + form.tagnosize + tags * entry.size
        if position + number > size:
            raise _truncated(file, position + number, size)
        for _, kind, count, value in entry.iter_unpack(data[first:position]):
            length = count * _FIELD_BYTES.get(kind, 0)
            if length > number and value + length > size:
                raise _truncated(file, value + length, size)


def _first_page(tiff: Any, file: Path) -> Any:
    try:
        return tiff.pages[0]
    except Exception as error:
        raise _unreadable(file, error) from error


def _check_page(page: Any, size: int, file: Path, index: int | None = None) -> None:
    """Refuse what is no complete grey image, before any of it is decoded."""
    where = file if index is None else f"{file}, page {index + 1}"
    if page.samplesperpixel > 1 or len(page.shape) > 2 or _is_coloured(page):
        raise ScanError(
            "the image is in colour; a CT slice has one grey value for each pixel",
            where=where,
            todo="Export the reconstructed volume as grey values, without a colour table.",
        )
    if page.dtype is None:
        raise ScanError(f"pixels of {page.bitspersample} bits are not supported", where=where)
    if page.dtype.kind == "c":
        raise ScanError("the pixels are complex numbers", where=where, todo="Save their magnitude.")
    if 0 in page.shape:
        raise ScanError("the image has no pixels", where=where)
    ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if not ends:
        raise ScanError("the file holds no pixels", where=where, todo="Copy it again from its origin.")
    if max(ends) > size:
        raise _truncated(where, max(ends), size)


def _is_coloured(page: Any) -> bool:
    """Whether a palette makes colours of grey values (a palette of greys does no harm)."""
    if page.photometric != tifffile.PHOTOMETRIC.PALETTE:
        return False
    colours = page.colormap
    return colours is None or bool(np.any(colours != colours[:1]))


def _grey_warnings(page: Any) -> tuple[str, ...]:
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and page.dtype != bool:
        return ("the TIFF calls its lowest value white; the stored values are used as they are",)
    return ()


def _decoded(page: Any, file: Path) -> Volume:
    """The page's pixels in native byte order."""
    try:
        image: Volume = np.asarray(page.asarray())
    except Exception as error:
        raise _unreadable(file, error, page.index) from error
    return image.astype(image.dtype.newbyteorder("="), copy=False)


def _truncated(where: object, needed: int, size: int) -> ScanError:
    return ScanError(
        f"the file is cut off: its pixels need {needed} bytes, it has {size}",
        where=where,
        todo="Copy it again from its origin.",
    )


def _unreadable(file: Path, error: Exception, index: int | None = None) -> ScanError:
    place = "the TIFF file" if not index else f"page {index + 1} of the TIFF file"
    text = str(error) or type(error).__name__
    # Which is missing depends on the compression and on what Python itself brings.
    if "imagecodecs" in text or isinstance(error, ImportError):
        return ScanError(
            f"{place} is compressed in a way that needs the package imagecodecs",
            where=file,
            todo="Install it with: pip install 'xctrules[compressed]'",
        )
    return ScanError(f"{place} cannot be read ({text})", where=file, todo="Copy it again from its origin.")


# --- voxel size from metadata ----------------------------------------------------------------------------


def voxel_metadata(tiff: Any, slices: int) -> Mapping[str, Any]:
    """``voxel_size_mm`` (z, y, x) from OME or ImageJ metadata, ``None`` for an axis that is not given.

    The plain resolution tags are not trusted: their unit is inch or centimetre by the standard, most programs
    write a printer's 72 or 300 dpi or a fixed 1 there, and they know nothing of the distance of slices.
    """
    size = _ome_voxel(tiff) or _imagej_voxel(tiff, slices)
    return {} if size is None else {"voxel_size_mm": size}


def _pixels(tiff: Any) -> ElementTree.Element | None:
    """The ``Pixels`` element of the OME-XML in the first page, if there is one."""
    text = tiff.pages[0].description or ""
    if "<OME" not in text[:4096] and "OME/" not in text[:4096]:
        return None
    try:
        root = ElementTree.fromstring(text.strip("\x00 \n"))
    except ElementTree.ParseError:
        return None
    return next((e for e in root.iter() if e.tag.rpartition("}")[2] == "Pixels"), None)


def _check_ome_planes(tiff: Any, count: int, file: Path) -> None:
    """Refuse an OME file that is one of several, or holds more than one volume."""
    pixels = _pixels(tiff)
    if pixels is None:
        return
    sizes = {axis: pixels.get(f"Size{axis}", "1") for axis in "ZCT"}
    if not all(n.isdigit() for n in sizes.values()):
        return
    planes = math.prod(int(n) for n in sizes.values())
    if sum(int(n) > 1 for n in sizes.values()) > 1:
        shown = ", ".join(f"{n} along {axis}" for axis, n in sizes.items())
        raise ScanError(
            f"the file holds more than one volume: {shown}",
            where=file,
            todo="Save one channel and one time step alone.",
        )
    if planes != count:
        raise ScanError(
            f"the OME metadata speaks of {planes} planes, but the file holds {count}",
            where=file,
            todo="The file is cut off, or one of several: give the folder with all of them.",
        )


def _ome_voxel(tiff: Any) -> Voxel | None:
    pixels = _pixels(tiff)
    if pixels is None:
        return None

    def length(axis: str) -> float | None:
        unit = pixels.get(f"PhysicalSize{axis}Unit", "µm")  # the schema's default
        return length_mm(pixels.get(f"PhysicalSize{axis}"), unit)

    return known_voxel(length("Z"), length("Y"), length("X"))


def _imagej_voxel(tiff: Any, slices: int) -> Voxel | None:
    described = tiff.imagej_metadata
    if not described:
        return None
    # The unit is that of x; y and z have their own where it differs. "pixel" and "" say: not calibrated.
    unit = _unescaped(str(described.get("unit", "")))
    along_y, along_z = (_unescaped(str(described.get(key, unit))) for key in ("yunit", "zunit"))
    tags = tiff.pages[0].tags
    by_tag = _UNIT_OF_TAG.get(tags.valueof("ResolutionUnit"))

    def length(tag: str, unit: str) -> float | None:
        ratio = tags.valueof(tag)  # pixels in one unit, as a fraction
        if not ratio or not ratio[0] or not ratio[1]:
            return None
        if by_tag and unit.lower() in _UNIT_OF_TAG.values() and unit.lower() != by_tag:
            return None  # inch or centimetre: the file says both
        return length_mm(ratio[1] / ratio[0], unit)

    return known_voxel(
        length_mm(described.get("spacing"), along_z),
        length("YResolution", along_y),
        length("XResolution", unit),
    )


_UNIT_OF_TAG = {2: "inch", 3: "cm"}
"""TIFF's own units of resolution; 1 is none."""


def _images_told(tiff: Any) -> int:
    """How many slices ImageJ says that it wrote into the file."""
    told = (tiff.imagej_metadata or {}).get("images", 1)
    return told if isinstance(told, int) else 1


def _unescaped(unit: str) -> str:
    """ImageJ writes the micro sign as the six characters of a Java escape."""
    return unit.replace("\\u00B5", "µ").replace("\\u00b5", "µ").strip()
