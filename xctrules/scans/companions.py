"""The files in and beside a scan that tell how it was acquired: ``acquisition.yaml``, the scanner's own.

Keys are those seen in files of Nikon X-Tek (``.xtekct``, ``.xtekVolume``), phoenix datos|x (``.pca``,
``.pcr``), SkyScan (``.log``) and VGStudio (``.vgi``).
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xctrules.core.errors import ScanError
from xctrules.scans.acquisition import LAYOUT_KEYS, Found, read_sidecar
from xctrules.scans.units import Voxel, known_voxel, length_mm, millimetres_in

SIDECAR = "acquisition.yaml"
SIDECAR_NAME = re.compile(r"acquisition\.ya?ml", re.IGNORECASE)
ALIKE = 0.8
"""Likeness of a file's name to :data:`SIDECAR` (difflib's ratio) from which it is taken for a slip of it."""

SCANNER_SUFFIXES = (".log", ".pca", ".xtekct", ".xtekvolume", ".pcr", ".vgi")
"""In the order of trust: what tells of the reconstructed volume wins over what tells of the projections."""

_SCAN_SUFFIXES = (".tif", ".tiff", ".raw", ".vol", ".bin", ".zarr")


@dataclass(frozen=True)
class Gathered:
    """What stands in files in and beside a scan, before the scan itself is opened."""

    scanner: tuple[Found, ...] = ()
    sidecar: tuple[Found, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def layout(self) -> Mapping[str, Any]:
        """What the sidecar says of a raw volume: shape, dtype, byte order, length of its header."""
        return {k: v for s in self.sidecar for k, v in s.values.items() if k in LAYOUT_KEYS}


def gather(scan: Path, sidecar: Path | None = None) -> Gathered:
    """Read the files that tell of a scan's acquisition.

    Parameters
    ----------
    scan
        The scan's folder or file.
    sidecar
        The ``acquisition.yaml`` to use instead of the one in or beside the scan.

    Raises
    ------
    ScanError
        When one of them cannot be read.
    """
    file = sidecar if sidecar is not None else find_sidecar(scan)
    told = () if file is None else (read_sidecar(file, _shown(file, scan)),)
    scanner: list[Found] = []
    warnings = [] if file is not None else _unread(scan)
    for suffix in SCANNER_SUFFIXES:
        found, warning = _companion(scan, suffix)
        warnings += [warning] if warning else []
        if found is not None:
            scanner.append(read_scanner_file(found, _shown(found, scan)))
    return Gathered(tuple(scanner), told, tuple(warnings))


def find_sidecar(scan: Path) -> Path | None:
    """The ``acquisition.yaml`` in the scan's folder, or beside the scan (one of its own name comes first).

    ``.yml`` and capitals will do.

    Raises
    ------
    ScanError
        When there are two in one place.
    """
    own = re.compile(rf"{re.escape(scan.stem)}\.{SIDECAR_NAME.pattern}", re.IGNORECASE)
    places = [(scan, SIDECAR_NAME)] if scan.is_dir() else []
    for folder, name in (*places, (scan.parent, own), (scan.parent, SIDECAR_NAME)):
        found = [p for p in _files(folder) if name.fullmatch(p.name)]
        if len(found) > 1:
            raise ScanError(
                f"{_listed(found)} stand side by side", where=folder, todo=f"Keep one of them, as {SIDECAR}."
            )
        if found:
            return found[0]
    return None


def _unread(scan: Path) -> list[str]:
    """A warning for each file whose name looks like a slip of :data:`SIDECAR`."""
    told = []
    for folder in [scan, scan.parent] if scan.is_dir() else [scan.parent]:
        for file in _files(folder):
            stem, _, rest = file.name.lower().partition(".")
            written = rest.split(".")[0] in ("yaml", "yml", "json", "txt", "")
            like = difflib.SequenceMatcher(None, stem, "acquisition").ratio()
            if written and like >= ALIKE:
                told.append(f"{file.name} is not read; if it tells of the scan, call it {SIDECAR}")
    return told


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    except OSError:  # a folder around the scan need not be ours to read
        return []


def _shown(file: Path, scan: Path) -> str:
    """How a source is called: with ``../`` where it stands beside the scan's folder and not in it."""
    return f"../{file.name}" if scan.is_dir() and file.parent == scan.parent else file.name


def _companion(scan: Path, suffix: str) -> tuple[Path | None, str | None]:
    """The scanner's file that belongs to a scan, and a warning where that cannot be told.

    Inside the scan's folder the only one counts, or the one of the folder's name. Beside the scan it must
    bear the name of the scan or of the folder around, or be the only one with no other scan there that it
    could belong to: another cell's voxel size would be worse than none.
    """
    inside = _of_kind(scan, suffix) if scan.is_dir() else []
    if len(inside) > 1:
        inside = [p for p in inside if _related(p, scan.name)] or inside
    if len(inside) > 1 and suffix == ".log":  # SkyScan leaves the scan's log and the reconstruction's
        inside = [p for p in inside if "reconstruction" in _sections(_text(p))] or inside
    if len(inside) == 1:
        return inside[0], None
    if inside:
        return None, f"{_listed(inside)}: it cannot be told which of them is the scan's, so none is used"
    beside = _of_kind(scan.parent, suffix)
    named = [p for p in beside if _related(p, scan.stem)] or [
        p for p in beside if _related(p, scan.parent.name)
    ]
    if len(named) == 1:
        return named[0], None
    if not beside:
        return None, None
    others = [
        p
        for p in scan.parent.iterdir()
        if p != scan
        and not p.name.startswith(".")
        and (p.is_dir() or (not scan.is_dir() and p.suffix.lower() in _SCAN_SUFFIXES))
    ]
    if len(beside) == 1 and not others:
        return beside[0], None
    return None, (
        f"{_listed(named or beside)} beside the scan is not used, since it may belong to another scan; "
        "copy the right one into the scan's folder, or give it the scan's name"
    )


def _of_kind(folder: Path, suffix: str) -> list[Path]:
    found = [p for p in _files(folder) if p.suffix.lower() == suffix]
    # Many programs write .log files; a SkyScan's is told by its sections.
    return [p for p in found if suffix != ".log" or "acquisition" in _sections(_text(p))]


def _related(file: Path, name: str) -> bool:
    """Whether one name begins with the other: ``cell1.xtekct`` and ``cell1_recon``, but not ``cell10``."""
    short, long = sorted((file.stem.casefold(), name.casefold()), key=len)
    return (
        bool(short)
        and long.startswith(short)
        and not (short[-1:].isdigit() and long[len(short) :][:1].isdigit())
    )


def _listed(files: Sequence[Path]) -> str:
    return ", ".join(p.name for p in files)


# --- the scanners' files ---------------------------------------------------------------------------------

Sections = Mapping[str, Mapping[str, str]]


def read_scanner_file(file: Path, origin: str | None = None) -> Found:
    """What a file of :data:`SCANNER_SUFFIXES` tells, by the names of an ``acquisition.yaml``.

    Raises
    ------
    ScanError
        When it cannot be read or is none of these.
    """
    kind = file.suffix.lower()
    read = _READ.get(kind)
    if read is None:
        raise ScanError("not a scanner's file", where=file, todo=f"Known are {', '.join(SCANNER_SUFFIXES)}.")
    said = read_sections(file)
    values = {key: value for key, value in read(said).items() if value is not None}
    get = _Lookup(said)
    z, y, x = (get.counted(names) for names in _COUNTS[kind])
    if kind == ".vgi":
        z, y, x = vgi_counts(said)
    return Found(origin or file.name, values, (z, y, x), nominal_geometry=kind == ".log")


_XTEK_COUNTS = (("voxelsz",), ("voxelsy",), ("voxelsx",))
_COUNTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    ".xtekct": _XTEK_COUNTS,
    ".xtekvolume": _XTEK_COUNTS,
    ".pcr": (("volume_sizez",), ("volume_sizey",), ("volume_sizex",)),
    ".log": (("sections count",), ("result image height (pixels)",), ("result image width (pixels)",)),
    ".pca": ((), (), ()),
    ".vgi": ((), (), ()),
}
"""Keys of the numbers of voxels along z, y and x."""


def vgi_counts(said: Sections) -> tuple[int | None, int | None, int | None]:
    """Numbers of voxels (z, y, x) of a ``.vgi``, whose first volume counts."""
    sizes = next((place["size"] for place in said.values() if "size" in place), "").split()
    if len(sizes) != 3 or not all(size.isdigit() for size in sizes):
        return None, None, None
    x, y, z = (int(size) for size in sizes)
    return z, y, x


def vgi_voxel(said: Sections) -> Voxel | None:
    """Edges of the voxel (z, y, x) in mm that a ``.vgi`` gives."""
    place = next((place for place in said.values() if "resolution" in place), {})
    edges = place.get("resolution", "").replace(",", ".").split()
    unit = place.get("unit") or next((p["unit"] for p in said.values() if "unit" in p), "mm")
    if len(edges) != 3 or millimetres_in(unit) is None:
        return None
    x, y, z = (length_mm(edge, unit) for edge in edges)
    return known_voxel(z, y, x)


def _vgi(said: Sections) -> dict[str, Any]:
    return {"voxel_size_mm": vgi_voxel(said)}


def _pcr(said: Sections) -> dict[str, Any]:
    edge = _Lookup(said).number("voxelsizerec", "volumedata")  # cubes
    return {"voxel_size_mm": known_voxel(edge, edge, edge)}


def _nikon_volume(said: Sections) -> dict[str, Any]:
    edge = _Lookup(said).number("voxel size")  # some versions give one edge for all
    told = {key: value for key, value in _nikon(said).items() if value is not None}
    return {"voxel_size_mm": known_voxel(edge, edge, edge), **told}


def _nikon(said: Sections) -> dict[str, Any]:
    get = _Lookup(said)
    thickness, material = get.number("filter_thicknessmm"), get.text("filter_material")
    product = " ".join(t for t in (get.text("product", "ctpro"), get.text("version", "ctpro")) if t)
    return {
        "voxel_size_mm": known_voxel(
            get.number("voxelsizez"), get.number("voxelsizey"), get.number("voxelsizex")
        ),
        "source_to_object_mm": get.number("srctoobject"),
        "source_to_detector_mm": get.number("srctodetector"),
        "detector_pixel_mm": get.number("detectorpixelsizex"),
        "detector_pixels_x": get.count("detectorpixelsx"),
        "detector_pixels_y": get.count("detectorpixelsy"),
        "projections": get.count("projections"),
        "angular_step_deg": get.number("angularstep"),
        "tube_voltage_kv": get.number("xraykv"),
        "tube_current_ua": get.number("xrayua"),
        "filter": f"{thickness:g} mm {material}" if thickness and material else material,
        "software": product or None,
    }


def _phoenix(said: Sections) -> dict[str, Any]:
    get = _Lookup(said)
    x, y = get.number("voxelsizex", "geometry"), get.number("voxelsizey", "geometry")
    projections, sector = get.count("numberimages", "ct"), get.number("rotationsector", "ct")
    binning = get.count("binning", "detector", least=0)
    return {
        # datos|x reconstructs cubes; the file gives two of their edges.
        "voxel_size_mm": known_voxel(y, y, x),
        "source_to_object_mm": get.number("fod", "geometry"),
        "source_to_detector_mm": get.number("fdd", "geometry"),
        "detector_pixel_mm": get.number("pixelsizex", "detector"),
        "detector_binning": None if binning is None else 2**binning,  # 0 is 1 x 1, n is 2^n
        "detector_pixels_x": get.count("nrpixelsx", "detector"),
        "detector_pixels_y": get.count("nrpixelsy", "detector"),
        "projections": projections,
        "angular_step_deg": sector / projections if sector and projections else None,
        "tube_voltage_kv": get.number("voltage", "xray"),
        "tube_current_ua": get.number("current", "xray"),
        "filter": get.text("filter", "xray"),
        "exposure_ms": get.number("timingval", "detector"),
        "frames_averaged": get.count("avg", "detector"),
        "instrument": get.text("systemname", "general"),
        "software": get.text("version", "general"),
    }


def _skyscan(said: Sections) -> dict[str, Any]:
    get = _Lookup(said)
    # "Camera Pixel Size" is the detector's, not the voxel's. A reconstruction may have been made on a coarser
    # grid than the projections; its own section says so.
    voxel = length_mm(
        get.number("pixel size (um)", "reconstruction") or get.number("image pixel size (um)"), "um"
    )
    name, serial = get.text("scanner"), get.text("instrument s/n")
    averaging = re.search(r"ON\s*\((\d+)\)", get.text("frame averaging") or "")
    binning = re.match(r"(\d+)\s*x", get.text("camera binning") or "")
    return {
        "voxel_size_mm": known_voxel(voxel, voxel, voxel),
        "source_to_object_mm": get.number("object to source (mm)"),
        "source_to_detector_mm": get.number("camera to source (mm)"),
        "detector_pixel_mm": length_mm(get.number("camera pixel size (um)"), "um"),
        "detector_binning": int(binning[1]) if binning else None,
        "projections": get.count("number of files", "acquisition"),
        # Without "Use 360 Rotation" 180 degrees are meant, and the step says nothing of the whole way.
        "angular_step_deg": get.number("rotation step (deg)"),
        "full_turn": (get.text("use 360 rotation") or "").upper() != "NO",
        "tube_voltage_kv": get.number("source voltage (kv)"),
        "tube_current_ua": get.number("source current (ua)"),
        "filter": get.text("filter", "acquisition"),
        "exposure_ms": get.number("exposure (ms)"),
        "frames_averaged": int(averaging[1]) if averaging else None,
        "instrument": f"{name}, S/N {serial}" if name and serial else name,
        "software": get.text("software") or get.text("software version"),
        "reconstruction": get.text("reconstruction program", "reconstruction"),
        "scanned_at": get.text("study date and time"),
    }


_READ: Mapping[str, Callable[[Sections], Mapping[str, Any]]] = {
    ".log": _skyscan,
    ".pca": _phoenix,
    ".xtekct": _nikon,
    ".xtekvolume": _nikon_volume,
    ".pcr": _pcr,
    ".vgi": _vgi,
}


class _Lookup:
    """Values by key, from one section or from whichever has it first; ``None`` for what says nothing."""

    def __init__(self, said: Sections) -> None:
        self._said = said

    def text(self, key: str, section: str | None = None) -> str | None:
        places = [self._said.get(section, {})] if section else list(self._said.values())
        value = next((place[key] for place in places if key in place), "").strip()
        empty = value.lower() in ("", "unknown", "none", "please define a filter.", "no filter")
        return None if empty else value

    def number(self, key: str, section: str | None = None) -> float | None:
        """A number above zero; zero stands for "not known" in these files."""
        try:
            value = float((self.text(key, section) or "").replace(",", "."))  # some write in their locale
        except ValueError:
            return None
        return value if math.isfinite(value) and value > 0 else None

    def count(self, key: str, section: str | None = None, least: int = 1) -> int | None:
        try:
            value = int(self.text(key, section) or "")
        except ValueError:
            return None
        return value if value >= least else None

    def counted(self, keys: Sequence[str]) -> int | None:
        """The first of these counts that is there."""
        return next((found for key in keys if (found := self.count(key)) is not None), None)


def read_sections(file: Path) -> Sections:
    """The sections of an INI-like file, names and keys in lower case."""
    return _sections(_text(file))


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ScanError(f"the file cannot be read: {error.strerror}", where=file) from error
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _sections(text: str) -> Sections:
    """Sections to keys to values, names in lower case.

    The standard library's parser refuses what these files hold: keys given twice (the first is kept), lines
    without a section, and ``%``.
    """
    sections: dict[str, dict[str, str]] = {}
    current = sections.setdefault("", {})
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            current = sections.setdefault(line[1:-1].strip().lower(), {})
        elif "=" in line and not line.startswith((";", "#")):
            key, _, value = line.partition("=")
            current.setdefault(key.strip().lower(), value.strip())
    return sections
