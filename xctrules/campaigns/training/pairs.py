"""Pairs of images and labels as annotation tools write them, read, checked and split.

``DATA/images/NAME.tif`` and ``DATA/labels/NAME.tif`` are single planes or stacks of them.
``DATA/validation/`` with the same two folders holds planes to validate on; without it, some are held out of
the others.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xctrules.campaigns.training.network import MULTIPLE
from xctrules.core.errors import XctrulesError
from xctrules.cylinder.half_planes import INWARD_MM, ROWS, STANDARD_MM, Greys, levels
from xctrules.cylinder.model_card import sha256_of
from xctrules.cylinder.surfaces import LABELS

UNKNOWN = 255
"""Label of pixels that nobody could judge: neither loss nor scores look at them."""

SUFFIXES = (".tif", ".tiff")

VALIDATION_SHARE = 0.2
_LEAST_WIDTH = 32
_LONG = 20
"""A sequence from this length on can spare a plane on either side of what is held out of it."""

_MEASURED = ("cathode", "copper", "overhang")
"""Classes whose edges are measured."""

_MANY = 5
"""With so many sequences, whole ones are held out: a plane of a scan never seen is the fairer test."""

_LEAST_STEP = 0.1
"""From void to roll, as a share of the greys' spread; less is noise, or the planes are upside down."""

_PLANES_FIRST = "the axis that counts planes comes first"

_NEAR_ZERO, _NEAR_ONE = 0.2, 0.3
"""How far void and roll of planes on the standard scale may lie from 0 and 1, in a part of them."""


class PairError(XctrulesError):
    """Images and labels that cannot be trained on."""


@dataclass(frozen=True)
class PlaneSequence:
    """Planes in order, neighbours next to each other.

    Attributes
    ----------
    name
        Of the file, or of the folder for single planes.
    grey : (n, ROWS, width) float32
        On the standard scale. The width is a whole multiple of eight.
    labels : (n, ROWS, width) uint8
        Values of ``LABELS``, or ``UNKNOWN``.
    planes
        For each plane, what a person would look for: file and number.
    """

    name: str
    grey: Greys
    labels: NDArray[np.uint8]
    planes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.grey)

    def take(self, index: NDArray[np.intp]) -> PlaneSequence:
        """Some of the planes."""
        return PlaneSequence(
            self.name, self.grey[index], self.labels[index], tuple(self.planes[i] for i in index)
        )


@dataclass(frozen=True)
class Pairs:
    """All that a training needs of its data.

    Attributes
    ----------
    train, validation
        Sequences; none is empty.
    sha256
        Over names and contents of all files.
    split
        In words: how the validation planes were chosen.
    warnings
        What a person should know before training on them.
    """

    train: tuple[PlaneSequence, ...]
    validation: tuple[PlaneSequence, ...]
    sha256: str
    split: str
    warnings: tuple[str, ...] = ()

    @property
    def planes(self) -> int:
        """Number of training planes."""
        return sum(map(len, self.train))

    @property
    def validation_planes(self) -> int:
        return sum(map(len, self.validation))


def read_pairs(data: Path, *, seed: int = 1, share: float = VALIDATION_SHARE) -> Pairs:
    """Read a folder of pairs.

    Parameters
    ----------
    data
        Folder with ``images`` and ``labels``, and perhaps ``validation``.
    seed, share
        Which planes are held out, and how many of them, where there is no ``validation``.

    Raises
    ------
    PairError
        When a pair is incomplete or does not match, a file is no picture of planes, planes are upside down
        or mirrored, labels have unknown values, or there is too little of it, above all no overhang. The
        message names the file.
    """
    sequences = _read_folder(data)
    sha256 = _sha256_of_data(data)
    if (data / "validation").is_dir():
        train, validation = sequences, _read_folder(data / "validation")
        how = "validation planes from a folder of their own"
    else:
        train, validation, how = _split(sequences, seed, share)
    if not (train and validation):
        raise PairError(
            "there are too few planes to hold some out for validation",
            where=data,
            todo="Label at least four planes, or put some into a folder “validation”.",
        )
    if not _labelled(train, "overhang"):
        raise PairError(
            f"nothing is labelled as overhang ({LABELS['overhang']}) in any of the planes to train on",
            where=data,
            todo="Label the foil beyond the cathode's edge, up to its tip: it is what is measured.",
        )
    return Pairs(tuple(train), tuple(validation), sha256, how, tuple(_unlabelled(train, validation)))


def named(planes: Sequence[str], most: int = 40) -> str:
    """Names of planes in one line, a stack's by numbers; files beyond ``most`` are counted."""
    files: dict[str, list[int]] = {}
    for plane in planes:
        of_stack = re.fullmatch(r"(.*), plane (\d+) of \d+", plane)
        numbers = files.setdefault(of_stack[1] if of_stack else plane, [])
        numbers += [int(of_stack[2])] if of_stack else []
    parts = [name + (f" ({_ranges(numbers)})" if numbers else "") for name, numbers in files.items()]
    return ", ".join(parts[:most]) + (f" and {len(parts) - most} more" if len(parts) > most else "")


def _ranges(numbers: Sequence[int]) -> str:
    """``planes 3 to 5, 9``."""
    ordered = np.unique(numbers)
    runs = np.split(ordered, np.flatnonzero(np.diff(ordered) > 1) + 1)
    said = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)
    return f"plane{'s' if len(ordered) > 1 else ''} {said}"


def _labelled(sequences: Sequence[PlaneSequence], name: str) -> bool:
    return any((s.labels == LABELS[name]).any() for s in sequences)


def _unlabelled(train: Sequence[PlaneSequence], validation: Sequence[PlaneSequence]) -> Iterator[str]:
    """A warning for each class that is measured and that cannot be learnt, or not be scored."""
    for name in _MEASURED:
        label = f"{name} ({LABELS[name]})"
        if not _labelled(train, name):
            yield (
                f"nothing is labelled as {label} in any of the planes to train on, so that the network "
                f"learns to find none. Label it, or mark with {UNKNOWN} what you leave out."
            )
        elif not _labelled(validation, name):
            yield (
                f"nothing is labelled as {label} in the planes held out for validation, so that it has no "
                "score. Label some there, or hold out other planes with --seed."
            )


def _sha256_of_data(data: Path) -> str:
    """Over the SHA-256 and the path inside ``data`` of every picture there."""
    digest = hashlib.sha256()
    for path in sorted(path for path in data.rglob("*") if path.suffix.lower() in SUFFIXES):
        digest.update(f"{sha256_of(path)}  {path.relative_to(data).as_posix()}\n".encode())
    return digest.hexdigest()


# --- files -----------------------------------------------------------------------------------------------


def _read_folder(data: Path) -> list[PlaneSequence]:
    if not data.is_dir():
        raise PairError(
            "there is no such folder", where=data, todo="Name the folder that holds images and labels."
        )
    images, labels = _files(data / "images"), _files(data / "labels")
    for stem in sorted(images.keys() ^ labels.keys()):
        has, lacks = ("image", "labels") if stem in images else ("labels", "image")
        raise PairError(
            "there are no labels for this image" if has == "image" else "there is no image for these labels",
            where=images.get(stem) or labels[stem],
            todo=f"Save the {lacks} as {data / ('labels' if has == 'image' else 'images') / stem}.tif, "
            "or take this file out.",
        )
    found = [_read_pair(images[stem], labels[stem]) for stem in sorted(images)]
    single = [s for s in found if len(s) == 1]
    return [s for s in found if len(s) > 1] + _joined(single)


def _joined(single: Sequence[PlaneSequence]) -> list[PlaneSequence]:
    """Single planes in the order of their names, one sequence for each width."""
    widths = sorted({s.grey.shape[2] for s in single})
    groups = [[s for s in single if s.grey.shape[2] == width] for width in widths]
    return [
        PlaneSequence(
            f"single planes {width} pixels wide",
            np.concatenate([s.grey for s in group]),
            np.concatenate([s.labels for s in group]),
            tuple(s.planes[0] for s in group),
        )
        for width, group in zip(widths, groups, strict=True)
    ]


def _files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise PairError(
            "there is no such folder",
            where=folder,
            todo="Data are a folder “images” and a folder “labels” with TIFF files of the same names.",
        )
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise PairError(
                f"there is a {found[path.stem].name} as well", where=path, todo="Leave one of the two."
            )
        found[path.stem] = path
    if not found:
        raise PairError(
            "there are no TIFF files in this folder", where=folder, todo="Save planes there as .tif."
        )
    return found


def _read_pair(image_path: Path, label_path: Path) -> PlaneSequence:
    image, labels = _read(image_path), _as_labels(_read(label_path), label_path)
    if image.shape != labels.shape:
        raise PairError(
            f"the labels are {_size(labels.shape)}, their image is {_size(image.shape)}",
            where=label_path,
            todo="Label the plane at its own size, all planes of a stack, without scaling or cropping.",
        )
    n, rows, width = image.shape
    if rows != ROWS or width < _LEAST_WIDTH:
        raise PairError(
            f"the planes are {rows} × {width} pixels, not {ROWS} rows of {_LEAST_WIDTH} or more",
            where=image_path,
            todo=f"A stack is saved as (plane, row, column): {_PLANES_FIRST}."
            if n == ROWS
            else f"Write them with `xctrules planes`: pixels of {STANDARD_MM:g} mm, the axis on the left.",
        )
    grey = _standard(image, image_path)
    _refuse_misplaced(grey, labels, label_path)
    _refuse_turned(labels, label_path)
    short = -width % MULTIPLE
    around = ((0, 0), (0, 0), (0, short))
    names = tuple(image_path.name if n == 1 else f"{image_path.name}, plane {i + 1} of {n}" for i in range(n))
    return PlaneSequence(
        image_path.stem,
        np.pad(grey, around, mode="edge"),
        np.pad(labels, around, constant_values=UNKNOWN),
        names,
    )


def _size(shape: tuple[int, ...]) -> str:
    planes = f"{shape[0]} planes of " if shape[0] > 1 else ""
    return f"{planes}{shape[1]} × {shape[2]} pixels"


def _read(path: Path) -> NDArray[np.generic]:
    """A TIFF file as (n, rows, width), whatever its pages, series or axes are called."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            parts = [series.asarray() for series in tiff.series]
            # A stack of three or four planes is often written as if they were colours, one after the other.
            coloured = any(p.samplesperpixel > 1 and p.planarconfig == 1 for p in tiff.pages)
    except Exception as error:  # a damaged file can make it raise anything
        if "imagecodecs" in str(error):
            raise PairError(
                "the file is compressed in a way that needs the package imagecodecs",
                where=path,
                todo='Save it without, or install it with: python -m pip install "xctrules[compressed]"',
            ) from error
        raise PairError(
            f"this TIFF file cannot be read ({type(error).__name__})", where=path, todo="Save it again."
        ) from error
    if coloured:
        raise PairError(
            "this is a picture in colour, or a stack whose last axis counts planes",
            where=path,
            todo="Save grey values, or label numbers, not a rendering. A stack is saved as (plane, row, "
            f"column): {_PLANES_FIRST}.",
        )
    if not parts:
        raise PairError("there is no picture in this file", where=path, todo="Save it again.")
    if len({part.shape for part in parts}) == 1 and len(parts) > 1:
        parts = [np.stack([part.squeeze() for part in parts])]
    if len(parts) != 1:
        raise PairError("the planes in this file differ in size", where=path, todo="Save one file for each.")
    planes: NDArray[np.generic] = parts[0].squeeze()
    if planes.ndim == 2:
        planes = planes[None]
    if planes.ndim != 3 or planes.dtype.kind not in "buif" or not planes.size:
        shape = " × ".join(map(str, planes.shape))
        raise PairError(f"this is no plane and no stack of planes ({shape}, {planes.dtype})", where=path,
                        todo="Save one channel of grey values or label numbers.")  # fmt: skip
    return planes


def _as_labels(raw: NDArray[np.generic], path: Path) -> NDArray[np.uint8]:
    wide = raw.astype(np.float64)
    known = (*LABELS.values(), UNKNOWN)
    strange = wide[~np.isin(wide, known)]
    if strange.size:
        plane = int(np.flatnonzero(~np.isin(wide, known).all(axis=(1, 2)))[0]) + 1
        meaning = ", ".join(f"{value} {name}" for name, value in LABELS.items())
        raise PairError(
            f"the label {strange.flat[0]:g} means nothing (plane {plane})",
            where=path,
            todo=f"Known are {meaning}, and {UNKNOWN} for “not known”.",
        )
    return wide.astype(np.uint8)


def _standard(image: NDArray[np.generic], path: Path) -> Greys:
    """On the standard scale: as it is where it is on it, else by the same rule as a scan's planes."""
    grey: Greys = image.astype(np.float32)
    if not np.isfinite(grey).all():
        raise PairError(
            "some pixels are no numbers (NaN or infinite)", where=path, todo="Save the image again."
        )
    height_mm = np.arange(ROWS - 0.5, 0, -1) * STANDARD_MM - INWARD_MM
    void, roll = levels(grey, height_mm)
    spread = float(np.subtract(*np.percentile(grey, (90, 10))))
    if not roll - void > _LEAST_STEP * spread:
        raise PairError(
            "the lower part is no brighter than the upper one",
            where=path,
            todo="Rows run from the void (at the top) into the roll (at the bottom): is it upside down?",
        )
    if image.dtype.kind == "f" and abs(void) < _NEAR_ZERO and abs(roll - 1) < _NEAR_ONE:
        void, roll = 0.0, 1.0
    grey -= np.float32(void)
    grey /= np.float32(roll - void)
    np.clip(grey, -2, 6, out=grey)
    return grey


def _refuse_misplaced(grey: Greys, labels: NDArray[np.uint8], path: Path) -> None:
    """Labels that were flipped or shuffled against their image show in the cathode's grey.

    Medians, because tabs and other metal in the background may be brighter than any cathode.
    """
    cathode, rest = labels == LABELS["cathode"], labels == LABELS["background"]
    if not (cathode | (labels == LABELS["copper"]) | (labels == LABELS["can"])).any():
        raise PairError(
            "nothing is labelled as can, cathode or copper",
            where=path,
            todo="Label the planes, or take them out.",
        )
    # Medians: a bright cap is background as well.
    if cathode.any() and rest.any() and not np.median(grey[cathode]) > np.median(grey[rest]):
        raise PairError(
            "what is labelled as cathode is no brighter than the background",
            where=path,
            todo="Do these labels belong to this image, the same way round?",
        )


def _refuse_turned(labels: NDArray[np.uint8], path: Path) -> None:
    found = turned(labels)
    if found is None:
        return
    plane, how = found
    what, cure = {
        "upside down": (
            "the overhang lies below the cathode and copper of its columns: it is upside down",
            "The void is at the top (row 0), the roll at the bottom, whichever end of the cell it is.",
        ),
        "mirrored": (
            "the can lies left of the cathode: it is mirrored",
            "The cell's axis is on the left (column 0), the can on the right.",
        ),
    }[how]
    where = f"plane {plane + 1} of {len(labels)}: " if len(labels) > 1 else ""
    raise PairError(
        f"{where}{what}",
        where=path,
        todo=f"{cure} Flip image and labels alike; where the image is right, correct the labels.",
    )


def turned(labels: NDArray[np.uint8]) -> tuple[int, str] | None:
    """The first plane that is ``"upside down"`` or ``"mirrored"`` by its labels, or ``None``.

    Overhang lies above the roll (cathode and copper) in the columns that have both, and the can right of the
    roll in the rows that have both: a can's floor spans all columns, but beyond the roll. Means are compared,
    which a few stray pixels do not turn. A plane without overhang or can tells nothing.

    Parameters
    ----------
    labels : (n, rows, width)
        Values of ``LABELS``.
    """
    roll = (labels == LABELS["cathode"]) | (labels == LABELS["copper"])
    lower = _mean_step(roll, labels == LABELS["overhang"])
    right = _mean_step(*(mask.swapaxes(1, 2) for mask in (roll, labels == LABELS["can"])))
    for plane in range(len(labels)):
        if lower[plane] > 0:
            return plane, "upside down"
        if right[plane] < 0:
            return plane, "mirrored"
    return None


def _mean_step(start: NDArray[np.bool_], end: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How much farther along axis 1 ``end`` lies than ``start``, both (n, size, m): mean over the lines that
    have both, for each plane; NaN where there is none."""
    at = np.arange(start.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        step = np.subtract(*(np.einsum("nim,i->nm", mask, at) / mask.sum(axis=1) for mask in (end, start)))
        mean: NDArray[np.float64] = np.nansum(step, axis=1) / np.isfinite(step).sum(axis=1)
    return mean


# --- the split -------------------------------------------------------------------------------------------


def _split(
    sequences: Sequence[PlaneSequence], seed: int, share: float
) -> tuple[list[PlaneSequence], list[PlaneSequence], str]:
    """Whole stacks, or a stretch of each; single planes of one width are one stack by now."""
    rng = np.random.default_rng(seed)
    if len(sequences) >= _MANY:
        many = max(1, round(share * len(sequences)))
        held = set(rng.choice(len(sequences), many, replace=False).tolist())
        train = [s for i, s in enumerate(sequences) if i not in held]
        validation = [s for i, s in enumerate(sequences) if i in held]
        return train, validation, f"{many} of {len(sequences)} stacks held out for validation (seed {seed})"
    parts = [(s, *_stretch(len(s), share, rng)) for s in sequences]
    train = [s.take(kept) for s, kept, _ in parts if kept.size]
    validation = [s.take(held) for s, _, held in parts if held.size]
    of = " of each stack" if len(sequences) > 1 else ""
    return train, validation, f"neighbouring planes{of} held out for validation (seed {seed})"


def _stretch(n: int, share: float, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indexes to train on, and a contiguous stretch to validate on, no two of them neighbours.

    A long sequence is taken for a full turn, its last plane beside its first.
    """
    if n < 4:
        return np.arange(n), np.arange(0)
    count = min(max(1, round(share * n)), n // 2)
    start = int(rng.integers(n))
    if n < _LONG:  # too short to lose a plane at either end
        start = 0 if start % 2 else n - count
        beside = [start + count if start == 0 else start - 1]
    else:
        beside = [(start - 1) % n, (start + count) % n]
    held = (start + np.arange(count)) % n
    kept = np.setdiff1d(np.arange(n), np.append(held, beside))
    return kept, held
