"""The record of one cell: plain JSON that everything else, the report included, is drawn from."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import re
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import OutputError
from xctrules.core.measurement import (
    Contribution,
    Figure,
    Histogram,
    ImageFigure,
    LineChart,
    Measurement,
    Polyline,
    Samples,
    Scale,
    Table,
    coverage_factor_95,
)
from xctrules.core.version import __version__

if TYPE_CHECKING:
    from xctrules.rules.cellspec import CellSpec

SCHEMA = "xctrules.record/1"
RECORD_NAME = "record.json"
REPORT_NAME = "report.html"

SIGNIFICANT_DIGITS = 9
_EXACT_DIGITS = 17
"""Enough to give every float back as it was."""


def plain(value: Any, *, digits: int = SIGNIFICANT_DIGITS) -> Any:
    """``value`` as JSON holds it: floats to ``digits`` significant digits, NaN and infinity as ``None``.

    Takes mappings, sequences, numpy scalars and arrays and dataclasses; anything else becomes its text.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # a file name may hold what UTF-8 cannot
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        number = float(value)
        # Adding 0.0 turns -0.0 into 0.0, so that equal values have equal bytes.
        return float(f"{number:.{digits}g}") + 0.0 if math.isfinite(number) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item, digits=digits) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist(), digits=digits)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: plain(getattr(value, name), digits=digits) for name in names}
    if isinstance(value, set | frozenset):
        return sorted((plain(item, digits=digits) for item in value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(item, digits=digits) for item in value]
    return str(value)


# --- figures ---------------------------------------------------------------------------------------------


def figure_to_json(figure: Figure) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A figure as JSON, and the image files it needs.

    Returns
    -------
    data
        The figure's fields under their own names, and ``kind``: ``image``, ``histogram``, ``lines`` or
        ``table``. An image's pixels become ``{"file", "sha256", "width", "height"}``; a polyline's points
        ``[[x, y], ...]`` in pixels with two decimals, with ``null`` where the line breaks. A line chart's
        series is a list of ``{"label", "role", "x", "y"}``, with ``null`` in ``y`` where the line breaks.
    images
        PNG bytes by name (``images/<id>.png``).
    """
    if isinstance(figure, ImageFigure):
        return _image_to_json(figure)
    if isinstance(figure, Histogram):
        return {"kind": "histogram", **plain(figure)}, {}
    if isinstance(figure, LineChart):
        data = {"kind": "lines", **plain(dataclasses.replace(figure, series=()))}
        data["series"] = [
            {"label": label, "role": role, "x": plain(x, digits=6), "y": plain(y, digits=6)}
            for label, role, x, y in figure.series
        ]
        return data, {}
    if isinstance(figure, Table):
        return {"kind": "table", **plain(figure)}, {}
    raise TypeError(f"{type(figure).__name__} is no figure that a report can draw")


def _image_to_json(figure: ImageFigure) -> tuple[dict[str, Any], dict[str, bytes]]:
    pixels = np.ascontiguousarray(figure.image)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ValueError(
            f"image of figure {figure.id!r} must be uint8, (height, width) or (height, width, 3), "
            f"not {pixels.dtype} {pixels.shape}"
        )
    name = f"images/{safe_file_stem(figure.id)}.png"
    encoded = encode_png(pixels)
    height, width = pixels.shape[:2]
    data: dict[str, Any] = {"kind": "image"}
    for field in dataclasses.fields(figure):
        if field.name == "image":
            digest = hashlib.sha256(encoded).hexdigest()
            data["image"] = {"file": name, "sha256": digest, "width": width, "height": height}
        elif field.name == "overlays":
            data["overlays"] = [_polyline_to_json(line) for line in figure.overlays]
        else:
            data[field.name] = plain(getattr(figure, field.name))
    return data, {name: encoded}


def _polyline_to_json(line: Polyline) -> dict[str, Any]:
    points = np.asarray(line.points, dtype=float).reshape(-1, 2)
    broken = ~np.isfinite(points).all(axis=1)
    rounded = np.round(points, 2) + 0.0
    listed = [None if gap else pair for gap, pair in zip(broken, rounded.tolist(), strict=True)]
    return {
        "points": listed,
        "role": line.role,
        "label": line.label,
        "marker": bool(line.marker),
        "closed": bool(line.closed),
    }


def encode_png(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """PNG bytes of a grey (height, width) or RGB (height, width, 3) image."""
    import cv2

    ordered = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels[:, :, ::-1])
    done, encoded = cv2.imencode(".png", ordered, [cv2.IMWRITE_PNG_COMPRESSION, 6])
    if not done:
        raise ValueError(f"an image of {pixels.shape} could not be encoded as PNG")
    return bytes(encoded.tobytes())


def safe_file_stem(text: str) -> str:
    """``text`` with everything but letters, digits, dot, dash and underscore replaced by a dash."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in text).strip(".-")
    return kept[:80] or "unnamed"


# --- bytes -----------------------------------------------------------------------------------------------


def record_bytes(record: Mapping[str, Any]) -> bytes:
    """The record's canonical bytes, as they are written to disk and embedded in the report.

    UTF-8 JSON in the order in which the record was built, indented by one space, except that a list of
    numbers (or of pairs of numbers) stays on one line: contours would otherwise be one number per line. Ends
    with a newline. Reading these bytes as JSON and writing them again gives the same bytes.
    """
    return (_write(record, 0) + "\n").encode("utf-8")


def _write(value: Any, depth: int) -> str:
    if isinstance(value, Mapping) and value:
        pad = "\n" + " " * (depth + 1)
        items = (
            f"{json.dumps(str(k), ensure_ascii=False)}: {_write(v, depth + 1)}" for k, v in value.items()
        )
        return "{" + pad + ("," + pad).join(items) + "\n" + " " * depth + "}"
    if isinstance(value, list | tuple) and value and not _is_numeric(value):
        pad = "\n" + " " * (depth + 1)
        return "[" + pad + ("," + pad).join(_write(v, depth + 1) for v in value) + "\n" + " " * depth + "]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _is_numeric(items: Sequence[Any]) -> bool:
    """Whether a list, by its first item, is one of numbers or of lists of numbers (contours are long)."""
    first = next((item for item in items if item is not None), None)
    if isinstance(first, list | tuple) and first:
        first = first[0]
    return first is None or isinstance(first, int | float)


# --- building --------------------------------------------------------------------------------------------


def build_record(
    *,
    cell_id: str,
    spec: CellSpec,
    measurements: Mapping[str, Measurement],
    scope: Mapping[str, Any],
    scale: Scale,
    scan: Mapping[str, Any],
    acquisition: Mapping[str, Any],
    files: Mapping[str, bytes],
    sections: Sequence[Mapping[str, Any]] = (),
    plugins: Sequence[Any] = (),
    software: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    acquisition_sources: Mapping[str, str] | None = None,
    rejections: Sequence[str] = (),
    unscreened: Sequence[str] = (),
    warnings: Sequence[str] = (),
    failures: Sequence[Any] = (),
    fitness: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Judge the cell and put its record together.

    What is judged is the measurements as the record holds them, rounded, so that the verdict can be
    recomputed from the record to the last digit.

    Parameters
    ----------
    scope
        ``ends`` in view, ``height_seen_mm``, ``straight_can_mm``.
    scan
        ``shape``, ``dtype``, ``voxel_size_mm``, ``files``, ``sha256`` and whatever else is known of it.
    files
        All files that stand beside the record (see :func:`cell_files`), by name.
    sections
        ``{"metric", "title", "figures": [...]}`` with figures as :func:`figure_to_json` makes them.
    plugins, failures, parameters, software
        Mappings or dataclasses; taken over as they are.
    run
        What differs from run to run: ``started``, ``seconds``, ``host``, ``operator``.
    fitness
        For each rule, whether the scan can decide it (:func:`xctrules.engine.fit_for_purpose.assess`).

    Returns
    -------
    record
        Plain JSON in the order of the contract.
    """
    from xctrules.rules.judging import judge

    entries = {name: measurement_to_json(m) for name, m in measurements.items()}
    resolved = plain(spec.resolved, digits=_EXACT_DIGITS)
    seen = plain(scope)
    checks, verdict = judge(
        entries, resolved, seen, scale.stated, rejections=rejections, unscreened=unscreened
    )
    record = {
        "schema": SCHEMA,
        "cell_id": cell_id,
        "verdict": verdict.verdict,
        "reasons": list(verdict.reasons),
        "probability_of_conformity": verdict.probability_of_conformity,
        "verdict_under_other_rules": dict(verdict.by_decision_rule),
        "scope": seen,
        "spec": {
            "name": spec.name,
            "version": spec.version,
            "file": spec.file,
            "sha256": spec.sha256,
            "text": spec.text,
            "parents": [{"name": p.name, "sha256": p.sha256, "text": p.text} for p in spec.parents],
            "resolved": resolved,
        },
        "scan": scan,
        "scale": {"relative_uncertainty": scale.relative_uncertainty, "stated": scale.stated},
        "acquisition": acquisition,
        "acquisition_sources": acquisition_sources or {},
        "measurements": entries,
        "checks": [plain(check) for check in checks],
        "fitness": list(fitness),
        "rejections": list(rejections),
        "unscreened": list(unscreened),
        "warnings": list(warnings),
        "failures": list(failures),
        "plugins": list(plugins),
        "software": software if software is not None else software_versions(),
        "parameters": parameters or {},
        "sections": [],
        "files": [{"name": name, "sha256": _sha256(files[name])} for name in sorted(files)],
        "run": run or {},
    }
    # The spec's own numbers stay as they were written; everything measured is rounded.
    exact = {"spec": plain(record["spec"], digits=_EXACT_DIGITS), "sections": list(map(_section, sections))}
    return sealed({**plain(record), **exact})


def _section(section: Mapping[str, Any]) -> dict[str, Any]:
    """A section as the record holds it; its figures are plain already, and long."""
    rest = {key: value for key, value in section.items() if key != "figures"}
    return {**plain(rest), "figures": list(section.get("figures", ()))}


def measurement_to_json(measurement: Measurement) -> dict[str, Any]:
    """A measurement as the record holds it; without a value, only its status, unit and reason."""
    if measurement.status != "measured":
        return {
            "status": measurement.status,
            "value": None,
            "unit": measurement.unit,
            "reason": plain(measurement.reason),
        }
    budget = [
        {
            "source": plain(line.source),
            "type": line.type,
            "contribution": plain(line.contribution),
            "shared": bool(line.shared),
            "degrees_of_freedom": plain(line.degrees_of_freedom),
        }
        for line in measurement.budget
    ]
    return {
        "status": "measured",
        "value": plain(float("nan") if measurement.value is None else float(measurement.value)),
        "unit": measurement.unit,
        **combined_uncertainty(budget),
        "n": plain(measurement.n),
        "worst_at": plain(measurement.worst_at),
        "reason": plain(measurement.reason),
        "budget": budget,
    }


def combined_uncertainty(budget: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Standard and expanded uncertainty, coverage factor and degrees of freedom of a recorded budget.

    Root sum of squares (JCGM 100, 5.1.2), Welch-Satterthwaite (G.4.1) and Student's t for 95 %. Worked out
    from the rounded contributions, so that whoever reads the record gets the same numbers. Infinite degrees
    of freedom are ``None``; all are ``None`` when a contribution is.
    """
    unknown: dict[str, float | None] = dict.fromkeys(
        ("standard_uncertainty", "expanded_uncertainty", "coverage_factor", "degrees_of_freedom")
    )
    if any(line.get("contribution") is None for line in budget):
        return unknown
    parts = tuple(
        Contribution(
            source="",
            contribution=float(line["contribution"]),
            degrees_of_freedom=math.inf
            if line.get("degrees_of_freedom") is None
            else float(line["degrees_of_freedom"]),
        )
        for line in budget
    )
    combined = Measurement("", "", value=0.0, budget=parts)
    try:
        freedom = plain(combined.degrees_of_freedom)
    except ArithmeticError:  # numbers that no budget should hold: 1e200, or no degree of freedom at all
        return unknown
    factor = plain(coverage_factor_95(math.inf if freedom is None else freedom))
    u = plain(combined.standard_uncertainty)
    return {
        "standard_uncertainty": u,
        "expanded_uncertainty": plain(u * factor),
        "coverage_factor": factor,
        "degrees_of_freedom": freedom,
    }


def software_versions() -> dict[str, str]:
    """Versions of everything whose change could change a number."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    versions = {"xctrules": __version__, "python": platform.python_version()}
    for package in ("numpy", "scipy", "opencv-python-headless", "scikit-image", "tifffile"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "unknown"
    return {**versions, "machine": platform.machine()}


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record with ``run.integrity_sha256``: the SHA-256 of its canonical bytes without that field.

    It shows any change made by accident or by hand. Whoever changes a record on purpose can renew it: proof
    of origin takes a signature. It stands in ``run`` because it covers what differs from run to run.
    """
    run = {key: value for key, value in record["run"].items() if key != "integrity_sha256"}
    bare = {**record, "run": run}
    return {**bare, "run": {**run, "integrity_sha256": _sha256(record_bytes(bare))}}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- files -----------------------------------------------------------------------------------------------


def cell_files(images: Mapping[str, bytes], samples: Sequence[Samples], digest_text: str) -> dict[str, bytes]:
    """All files that stand beside a record, by name: images, single values, the list of scan files."""
    files = {name: bytes(data) for name, data in images.items()}
    for table in samples:
        name = f"samples/{safe_file_stem(table.name)}.csv"
        if name in files:
            raise ValueError(f"two tables of samples would both be {name}")
        files[name] = samples_csv(table)
    files["samples/scan.sha256"] = digest_text.encode("utf-8")
    return files


def samples_csv(samples: Samples) -> bytes:
    """A table of single values as CSV (RFC 4180): nine significant digits, NaN empty."""
    columns = {name: np.asarray(values).ravel() for name, values in samples.columns.items()}
    if len({column.size for column in columns.values()}) > 1:
        sizes = ", ".join(f"{name} {column.size}" for name, column in columns.items())
        raise ValueError(f"columns of samples {samples.name!r} differ in length: {sizes}")
    rows = zip(*(_csv_cells(column) for column in columns.values()), strict=True)
    lines = [",".join(map(_csv_text, columns)), *map(",".join, rows)]
    return ("\r\n".join(lines) + "\r\n").encode("utf-8")


def _csv_cells(column: NDArray[Any]) -> list[str]:
    if column.dtype.kind in "US":  # a few names, repeated: quote each once
        names, which = np.unique(column, return_inverse=True)
        quoted = [_csv_text(name) for name in names.tolist()]
        return [quoted[i] for i in which.tolist()]
    if column.dtype.kind in "iu":
        return list(map(str, column.tolist()))
    if column.dtype.kind != "f":
        return [_csv_text(value) for value in column.tolist()]
    # One format call for the whole column: these tables hold hundreds of thousands of numbers.
    cells = (f"%.{SIGNIFICANT_DIGITS}g " * column.size % tuple(column.tolist())).split()
    for index in np.flatnonzero(~np.isfinite(column)).tolist():
        cells[index] = ""
    return cells


def _csv_text(value: Any) -> str:
    text = "" if value is None else str(value)
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text


_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')
_RESERVED = {"con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(1, 10))}


def check_cell_id(cell_id: str) -> None:
    """Refuse an id that cannot name a folder on every system.

    Raises
    ------
    OutputError
    """
    problem = None
    if not cell_id or cell_id != cell_id.strip():
        problem = "is empty, or begins or ends with a space"
    elif cell_id.startswith(".") or cell_id.endswith("."):
        problem = "begins or ends with a dot"
    elif unsafe := _UNSAFE.search(cell_id):
        problem = f"holds {unsafe.group()!r}"
    elif cell_id.split(".")[0].lower() in _RESERVED:
        problem = "is a name that Windows keeps for itself"
    elif len(cell_id.encode("utf-8", "replace")) > 150:
        problem = "is longer than 150 bytes"
    elif not cell_id.isprintable():
        problem = "holds characters that cannot be printed"
    if problem:
        raise OutputError(
            f"the cell id {cell_id!r} {problem}",
            where="--cell-id",
            todo="Give one that can be a folder's name.",
        )


def cell_folder(out_dir: Path, cell_id: str, *, replace: bool = False) -> Path:
    """The folder for a cell, once it is known that nothing would be lost in it.

    Raises
    ------
    OutputError
        For an id that is no folder name; when the folder holds a record already and ``replace`` is not set;
        when it holds anything else.
    """
    check_cell_id(cell_id)
    folder = out_dir / cell_id
    _finish_interrupted_swap(folder)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError("the cell's folder is something else", where=folder, todo="Choose another --out.")
    if (folder / RECORD_NAME).exists():
        if not replace:
            raise OutputError(
                "there is a record of this cell already",
                where=folder,
                todo="Give --replace to replace it, or another --out or --cell-id.",
            )
    elif folder.is_dir() and any(folder.iterdir()):
        raise OutputError(
            "the folder holds files that are no record",
            where=folder,
            todo="Choose another --out or --cell-id.",
        )
    return folder


def write_cell(
    out_dir: Path,
    record: Mapping[str, Any],
    files: Mapping[str, bytes],
    report_html: str,
    *,
    replace: bool = False,
) -> Path:
    """Write a cell's folder, whole or not at all.

    Everything goes into a temporary folder beside the final one and is flushed to disk, then renamed into
    place. Whenever the program or the machine stops, the folder holds the old record or the new one, never a
    mixture.

    Returns
    -------
    folder
        ``<out_dir>/<cell_id>``.

    Raises
    ------
    OutputError
        As :func:`cell_folder`, and when something cannot be written.
    """
    folder = cell_folder(out_dir, str(record["cell_id"]), replace=replace)
    contents = {
        **files,
        RECORD_NAME: record_bytes(record),
        REPORT_NAME: report_html.encode("utf-8"),
    }
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        try:
            _fill(temporary, contents)
            _put_in_place(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise OutputError(
            f"cannot be written ({error.strerror or error})",
            where=error.filename or folder,
            todo="Check the path, its permissions and the free space, or give another --out.",
        ) from error
    return folder


def _fill(folder: Path, contents: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for name, data in contents.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"the file name {name!r} leads out of the cell's folder")
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
    for inner in (*(p for p in folder.iterdir() if p.is_dir()), folder):
        _sync_folder(inner)


def _put_in_place(temporary: Path, folder: Path) -> None:
    """Rename ``temporary`` to ``folder``; a folder that is in the way is removed only afterwards."""
    if not folder.exists():
        temporary.rename(folder)
    elif _exchange(temporary, folder):
        pass  # the old folder now has the temporary name and is removed by the caller
    else:
        old = folder.with_name(f".{folder.name}{_OLD}")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
        try:
            temporary.rename(folder)
        except OSError:
            old.rename(folder)
            raise
        shutil.rmtree(old, ignore_errors=True)
    _sync_folder(folder.parent)


_OLD = ".replaced"


def _finish_interrupted_swap(folder: Path) -> None:
    """Bring back the old record where a machine without atomic exchange stopped between two renames."""
    old = folder.with_name(f".{folder.name}{_OLD}")
    if old.is_dir() and not folder.exists():
        old.rename(folder)


def _exchange(a: Path, b: Path) -> bool:
    """Swap two folders in one step (Linux, ``renameat2``); ``False`` where the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        swap = ctypes.CDLL(None).renameat2
    except (OSError, AttributeError):
        return False
    return int(swap(here, os.fsencode(a), here, os.fsencode(b), exchange)) == 0


def _sync_folder(folder: Path) -> None:
    """Make renames in a folder last; not every system lets a folder be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
