"""The roll: the anode's copper foil followed through it, and where a cathode faces the foil.

The roll is unrolled (height, angle, radius; :mod:`xctrules_segmentation.unrolling`).

1. The phase of the layers' radial wave gives pitch, handedness and one sound turn to start from
   (:mod:`xctrules_segmentation.layers`, :mod:`xctrules_segmentation.ridge`).
2. From that turn the foil is followed inward and outward (:mod:`xctrules_segmentation.following`).
3. At each height the radius is located below the voxel (:mod:`xctrules_segmentation.locating`).
4. The gaps between its turns are looked through for cathodes (:mod:`xctrules_segmentation.faces`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.robust import noise_along
from xctrules.core.slices import Slices, each_slice
from xctrules.cylinder.surfaces import CanSurface, CylinderCell, FoilTrace, Followed
from xctrules_segmentation.faces import CathodeFaces, faces_in
from xctrules_segmentation.following import find_seed, follow
from xctrules_segmentation.layers import handedness_of, pitch_of, wave_of
from xctrules_segmentation.locating import fit_area, fit_line, line_width, near, without_lost_ends
from xctrules_segmentation.polar import Floats, Image, Polar, Unrolled
from xctrules_segmentation.ridge import Ridge, evidence_of
from xctrules_segmentation.unrolling import calmed, unroll

REFERENCE_HEIGHT_MM = 3.0
"""Bands this near to the middle one are averaged for the first trace; farther ones are reached band by
band."""

FOLD_HEIGHT_MM = 0.5
"""Height over which a foil, which cannot bend both ways at once, keeps its folds."""

LOST = 0.15
"""Pitches by which the located radius may be off the line that was followed: farther off it is some other
layer's."""

LEAST_WEIGHT = 0.3
"""Share of the usual amplitude (or area) below which a place was not located."""

WEAK_COLUMNS = 5
"""Angles over which that is averaged: a tear is longer, a single weak one is noise."""


def trace_with_cathodes(cell: CylinderCell) -> tuple[FoilTrace, CathodeFaces]:
    """Follow the copper foil (or the masked electrode) from its inner to its outer end, and find the cathodes
    that face it, on one sampling of the roll, which costs the most.

    Parameters
    ----------
    cell
        Needs ``scan``, ``frame`` and ``settings`` only.

    Raises
    ------
    NotMeasurable
        When no layers, no spiral, or no separate copper foil is seen.
    """
    mask = cell.settings.mask_of == "electrode"
    unrolled = unroll(cell, None, two_valued=mask)
    foil = _traced(unrolled, mask)
    if mask:
        return foil, CathodeFaces.none(*foil.radius_mm.shape[1:])
    return foil, faces_in(unrolled, foil)


def trace_from_labels(
    cell: CylinderCell, labels: Slices, copper_value: int, can: CanSurface | None = None
) -> FoilTrace:
    """The foil in a label image in which voxels of the copper have the value ``copper_value``.

    Raises
    ------
    NotMeasurable
        When the image holds no copper, or as in :func:`trace_with_cathodes`.
    """
    if not any((labels[k] == copper_value).any() for k in range(len(labels))):
        raise NotMeasurable(f"the label image holds no copper (value {copper_value})")
    copper = each_slice(labels, lambda image: image == copper_value, np.uint8)
    labelled = replace(cell, scan=replace(cell.scan, slices=copper))
    foil = _traced(unroll(labelled, can, two_valued=True), mask=True)
    return replace(foil, followed=Followed.COPPER)


def trace_in_masks(
    z_mm: Floats, r_mm: Floats, foil: Image, cathode: Image, limit_mm: Floats
) -> tuple[FoilTrace, CathodeFaces]:
    """:func:`trace_with_cathodes` in two images (nz, nt, nr) of a roll unrolled already: 1 where the copper,
    or a cathode, is and 0 elsewhere, on equal angles over the whole turn; ``limit_mm`` (nt,) bounds the
    roll."""
    theta: Floats = np.arange(foil.shape[1], dtype=np.float64) * (360.0 / foil.shape[1])
    unrolled = Unrolled(z_mm, theta, r_mm, foil, foil, limit_mm)
    trace = replace(_traced(unrolled, mask=True), followed=Followed.COPPER)
    return trace, faces_in(replace(unrolled, raw=cathode), trace)


def facing_cathodes(cell: CylinderCell, foil: FoilTrace, can: CanSurface | None = None) -> CathodeFaces:
    """The cathodes that face a foil that was followed already.

    Parameters
    ----------
    foil
        Traced at the same angles as :func:`trace_with_cathodes` uses.
    can
        Bounds the outermost gap; found coarsely otherwise.
    """
    if foil.followed is not Followed.COPPER:
        return CathodeFaces.none(*foil.radius_mm.shape[1:])
    return faces_in(unroll(cell, can, sharpen=False), foil)


# --- the foil in an unrolled roll --------------------------------------------------------------------------


def _traced(unrolled: Unrolled, mask: bool) -> FoilTrace:
    """Follow the foil where the roll's middle heights agree on it, then locate it at each height."""
    reference = _reference_bands(unrolled.z_mm)
    raw = unrolled.polar(unrolled.raw[reference].mean(axis=0))
    pitch = pitch_of(raw)
    wave = wave_of(raw, pitch)
    handedness = handedness_of(wave, raw, pitch)
    # Seen from the other end the foil runs outward with the angle.
    seen, wave = (unrolled, wave) if handedness > 0 else (unrolled.mirrored(), wave[::-1])
    mean = seen.polar(seen.grey[reference].mean(axis=0))
    mean = mean if mask else calmed(mean)
    seed = find_seed(mean, wave, pitch, mask)
    turns = follow(mean, seed, pitch)
    sigma = 0.0 if mask else line_width(mean, turns, seed.ridge.half_mm)
    radius = without_lost_ends(_Heights(seen, pitch, seed.ridge, sigma, mask).located(turns, reference))
    radius = radius if handedness > 0 else radius[..., ::-1]
    return FoilTrace(
        z_mm=unrolled.z_mm,
        theta_deg=unrolled.theta_deg,
        radius_mm=radius,
        handedness=handedness,
        sigma_mm=noise_along(radius),
        followed=Followed.ELECTRODE_MASK if mask else Followed.COPPER,
    )


def _reference_bands(z_mm: Floats) -> NDArray[np.bool_]:
    """Bands near the middle one."""
    away = np.abs(z_mm - np.median(z_mm))
    close = away <= 0.5 * REFERENCE_HEIGHT_MM
    if not close.any():
        close[np.argmin(away)] = True
    return np.asarray(close)


@dataclass(frozen=True)
class _Heights:
    """The roll's bands of height, in which the foil is located one by one; ``sigma_mm`` is the width of its
    blurred line."""

    unrolled: Unrolled
    pitch: float
    ridge: Ridge
    sigma_mm: float
    mask: bool

    def located(self, turns: Floats, reference: NDArray[np.bool_]) -> Floats:
        """Radius (nz, nturns, nt) at each height, NaN where it was not located, reached from the middle band
        by band; ``turns`` are those in the ``reference`` bands."""
        z = self.unrolled.z_mm
        radius = np.empty((z.size, *turns.shape))
        centre = int(np.argmin(np.abs(z - np.median(z))))
        for order in (range(centre, z.size), range(centre - 1, -1, -1)):
            close = turns
            for band in order:
                close = self._sought(band, turns if reference[band] else close)
                radius[band] = self._fitted(band, close)
        return radius

    def _sought(self, band: int, close: Floats) -> Floats:
        """The foil's way at one height, in what shows the same folds."""
        return near(self._evidence(band), close, self.pitch)

    def _evidence(self, band: int) -> Polar:
        unrolled = self.unrolled
        if self.mask:
            seen = unrolled.polar(unrolled.grey[band])
        else:
            alike = np.abs(unrolled.z_mm - unrolled.z_mm[band]) <= 0.5 * FOLD_HEIGHT_MM
            seen = calmed(unrolled.polar(unrolled.grey[alike].mean(axis=0)))
        return seen.showing(evidence_of(seen, self.ridge)[0])

    def _fitted(self, band: int, way: Floats) -> Floats:
        """The foil's radius in this band alone."""
        from scipy.ndimage import uniform_filter1d

        seen = self.unrolled.polar(self.unrolled.grey[band])
        if self.mask:
            fitted, weight = fit_area(seen, way, self.pitch)
        else:
            fitted, weight = fit_line(seen, way, self.sigma_mm, self.ridge.half_mm)
        weight = uniform_filter1d(np.nan_to_num(weight).ravel(), WEAK_COLUMNS).reshape(weight.shape)
        usual = np.median(weight[weight > 0])
        lost = (np.abs(fitted - way) > LOST * self.pitch) | ~(weight > LEAST_WEIGHT * usual)
        return np.where(lost, np.nan, fitted)
