"""Where a cathode faces the foil: slabs in the gaps between neighbouring turns."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.surfaces import FoilTrace
from xctrules_segmentation.polar import Floats, Unrolled
from xctrules_segmentation.ridge import STEPS_PER_PITCH

BEYOND_END = 1.05
"""Pitches that a gap is wide where there is no turn beyond: a cathode that goes on lies a little farther
off."""

LOOKED_AT = 2.0
"""Pitches outward of a gap's inner foil that are read: buckles and tabs widen a gap to nearly that."""

ORDINARY = 0.15
"""Share of the pitch by which an ordinary gap's width may differ from it."""

PROFILE_ANGLES = 9
"""Angles over which the typical slab is a running mean."""

BETWEEN_FOILS, MIDDLE = (0.1, 0.9), (0.3, 0.7)
"""Parts of a pitch that are clear of the foils on both sides, and that hold the slab's middle."""

LEAST_SCALE = 1e-6
"""Grey levels between dark and slab; keeps a ratio finite where there is no slab."""

SHARES = (-0.5, 1.2)
"""Bounds of a grey between dark and slab: what is darker or brighter by more is no better or worse a slab."""

FOIL_CLEAR = 0.13
"""Share of the pitch next to a foil that its own blurred line takes up."""

ONE_SIDED = 0.5
"""Share of its thickness over which a cathode has to fill a gap: at its ends it may be coated on one side
only."""

AROUND = 0.8
"""Thicknesses to either side of the fullest place that belong to the same slab."""

LEAST_FILLED, LEAST_AREA = 0.6, 0.4
"""Share of the slab's grey, and of its thickness, from which on a gap holds a cathode."""

SPECK_ANGLES = 5
"""Angles over which the presence of a cathode is a running median: none is shorter, noise is."""


@dataclass(frozen=True)
class CathodeFaces:
    """Where a cathode faces the foil.

    Attributes
    ----------
    inner_mm, outer_mm : (nturns, nt)
        Radius of the centre of the cathode next to the foil on its inner and outer side; NaN where none is
        there.
    half_width_mm
        Half the cathode's thickness (median over the roll).
    """

    inner_mm: Floats
    outer_mm: Floats
    half_width_mm: float

    @classmethod
    def none(cls, turns: int, angles: int) -> CathodeFaces:
        """No cathode anywhere."""
        missing = np.full((turns, angles), np.nan)
        return cls(missing, missing, float("nan"))


@dataclass(frozen=True)
class _Gaps:
    """The gaps between turns, averaged over the heights; gap g lies between turns g - 1 and g.

    Attributes
    ----------
    low_mm, width_mm : (nturns + 1, nt)
        Radius of each gap's inner side, and its width.
    grey : (nturns + 1, nt, nx)
        At the offsets ``x_mm`` (nx,) from there.
    ordinary : (nturns + 1, nt) bool
        Gaps of ordinary width with foil on both sides.
    pitch_mm
    """

    low_mm: Floats
    width_mm: Floats
    x_mm: Floats
    grey: Floats
    ordinary: NDArray[np.bool_]
    pitch_mm: float

    @property
    def step_mm(self) -> float:
        return self.pitch_mm / STEPS_PER_PITCH


@dataclass(frozen=True)
class _Slab:
    """The typical slab: greys (nt, 1) of the dark beside it, and from there to its own; its thickness."""

    dark: Floats
    scale: Floats
    width_mm: float


def faces_in(unrolled: Unrolled, foil: FoilTrace) -> CathodeFaces:
    """Where a cathode lies next to the foil, on either side, at every turn and angle.

    A gap between neighbouring turns holds a cathode where a slab as wide and bright as the roll's typical one
    fits into it. At the core, at the outer end, and where a tab interrupts the coating, there is none.
    """
    turns, nt = foil.radius_mm.shape[1:]
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # places without any foil
        usual = np.nanmedian(foil.radius_mm, axis=0)
        pitch = float(np.nanmedian(np.diff(usual, axis=0)))
    if not np.isfinite(pitch) or pitch <= 0:
        return CathodeFaces.none(turns, nt)
    gaps = _gaps(unrolled, foil, usual, pitch)
    slab = _typical_slab(gaps)
    if slab is None:
        return CathodeFaces.none(turns, nt)
    centre, area = _slabs_in(gaps, slab)
    known = np.isfinite(usual)
    ordinary = np.isfinite(centre) & gaps.ordinary
    width = float(np.median(area[ordinary]) * gaps.step_mm) if ordinary.any() else slab.width_mm
    return CathodeFaces(
        inner_mm=np.where(known, centre[:-1], np.nan),
        outer_mm=np.where(known, centre[1:], np.nan),
        half_width_mm=0.5 * width,
    )


def _gaps(unrolled: Unrolled, foil: FoilTrace, usual: Floats, pitch: float) -> _Gaps:
    """Greys in every gap. Each height is read from the foil's place there, so that folds do not smear it."""
    x = np.arange(0.0, LOOKED_AT * pitch, pitch / STEPS_PER_PITCH)
    total = np.zeros((usual.shape[0] + 1, usual.shape[1], x.size))
    for band, traced in enumerate(foil.radius_mm):
        low, _ = _sides(np.where(np.isfinite(traced), traced, usual), pitch, unrolled.limit_mm)
        total += unrolled.polar(unrolled.raw[band]).at(np.nan_to_num(low)[..., None] + x)
    low, high = _sides(usual, pitch, unrolled.limit_mm)
    width = high - low
    known = np.isfinite(usual)
    ordinary = np.zeros(width.shape, dtype=bool)
    ordinary[1:-1] = known[1:] & known[:-1] & (np.abs(width[1:-1] - pitch) < ORDINARY * pitch)
    return _Gaps(low, width, x, total / foil.z_mm.size, ordinary, pitch)


def _sides(radius: Floats, pitch: float, limit_mm: Floats) -> tuple[Floats, Floats]:
    """Inner and outer side (nturns + 1, nt) of the gaps; beyond the foil's ends a gap reaches one pitch, or
    to the can."""
    edge = np.full((1, radius.shape[1]), np.nan)
    low, high = np.vstack([edge, radius]), np.vstack([radius, edge])
    low = np.where(np.isfinite(low), low, high - BEYOND_END * pitch)
    high = np.where(np.isfinite(high), high, np.minimum(low + BEYOND_END * pitch, limit_mm))
    return low, high


def _typical_slab(gaps: _Gaps) -> _Slab | None:
    """The slab at each angle, from ordinary gaps; None where there is no such gap."""
    from scipy.ndimage import uniform_filter1d

    one_pitch = gaps.x_mm <= gaps.pitch_mm
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # angles without any ordinary gap
        profile = np.nanmedian(np.where(gaps.ordinary[..., None], gaps.grey, np.nan)[..., one_pitch], axis=0)
    if not np.isfinite(profile).any():
        return None
    profile = np.where(np.isfinite(profile), profile, np.nanmedian(profile, axis=0))
    profile = uniform_filter1d(profile, PROFILE_ANGLES, axis=0, mode="wrap")
    x = gaps.x_mm[one_pitch]
    inner, middle = ((x > a * gaps.pitch_mm) & (x < b * gaps.pitch_mm) for a, b in (BETWEEN_FOILS, MIDDLE))
    dark = profile[:, inner].min(axis=1)[:, None]
    bright = profile[:, middle].max(axis=1)[:, None]
    scale = np.maximum(bright - dark, LEAST_SCALE)
    width = np.clip((profile[:, inner] - dark) / scale, 0, 1).sum(axis=1).mean() * gaps.step_mm
    return _Slab(dark, scale, float(width))


def _slabs_in(gaps: _Gaps, slab: _Slab) -> tuple[Floats, Floats]:
    """Centre of the slab in each gap (nturns + 1, nt), NaN where none fits, and its area in samples."""
    from scipy.ndimage import convolve1d, median_filter

    x, step = gaps.x_mm, gaps.step_mm
    share = np.clip((gaps.grey - slab.dark) / slab.scale, *SHARES)
    clear = FOIL_CLEAR * gaps.pitch_mm
    share[(x < clear) | (x > gaps.width_mm[..., None] - clear)] = 0.0
    kernel = np.ones(max(1, round(ONE_SIDED * slab.width_mm / step)))
    filled = convolve1d(share, kernel / kernel.size, axis=-1, mode="constant")
    at = filled.argmax(axis=-1)
    level = np.take_along_axis(filled, at[..., None], -1)[..., 0]
    near = np.abs(x - x[at][..., None]) <= AROUND * slab.width_mm
    weight = np.where(near, np.clip(share, 0, 1), 0.0)
    area = weight.sum(axis=-1)
    centre = gaps.low_mm + (weight * x).sum(axis=-1) / np.maximum(area, 1e-6)
    there = np.isfinite(gaps.width_mm)
    present = (level > LEAST_FILLED) & (area * step > LEAST_AREA * slab.width_mm) & there
    present = median_filter(present.astype(np.uint8), (1, SPECK_ANGLES), mode="wrap").astype(bool) & there
    return np.where(present, centre, np.nan), area
