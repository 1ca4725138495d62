"""What uncertainty a scan of a cylindrical cell can give, predicted before anything is measured.

In: the frame, and what the screening found of the scan. Out: one simple formula for each kind of quantity
(``docs/screening.md``), from voxel size, blur, noise and length scale alone. The budget of the measurement
itself has the last word.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from xctrules.core.measurement import Measurement, Scale
from xctrules.core.protocols import Prediction
from xctrules.cylinder.surfaces import CylinderCell

GAUSSIAN_10_90 = 2.5631031310892007
"""10-90 % width of a Gaussian edge over its standard deviation: twice the normal quantile of 0.9."""

USUAL_OVERHANG_MM = 0.7
"""A usual overhang: the size of a quantity where neither nominal value nor limit tells one."""

USUAL_PITCH_MM = 0.4
PITCH_RANGE_MM = (0.1, 1.0)
"""Distance between turns of a usual cell, taken where the one that was seen lies outside this range."""


@dataclass(frozen=True)
class ScanQuality:
    """What the uncertainty of a measurement depends on.

    Attributes
    ----------
    voxel_mm
        (z, in the slice).
    blur_mm
        Standard deviation of the edge spread.
    noise
        Noise of single voxels over the contrast of cathode and gap.
    can_noise
        The same over the contrast of the can's wall.
    diameter_mm, height_mm, pitch_mm
        Of the can; straight height of it in view; distance between turns.
    angles
        Half-planes looked at.
    scale
    """

    voxel_mm: tuple[float, float]
    blur_mm: float
    noise: float
    can_noise: float
    diameter_mm: float
    height_mm: float
    pitch_mm: float
    angles: int
    scale: Scale

    @property
    def turns(self) -> float:
        """Turns of a roll that fills the can out to a core of a fifth of it."""
        return max(1.0, 0.4 * self.diameter_mm / self.pitch_mm)

    def edge(self, along_axis: bool = False, can: bool = False) -> float:
        """Standard uncertainty of one located edge from noise, in mm.

        Cramer-Rao bound of a step blurred by a Gaussian of standard deviation b, sampled every d, in white
        noise s on a contrast A: ``s / A * sqrt(2 sqrt(pi) b d)``.
        """
        spacing = self.voxel_mm[0] if along_axis else self.voxel_mm[1]
        blur = max(self.blur_mm, 0.5 * spacing)
        return (self.can_noise if can else self.noise) * math.sqrt(2 * math.sqrt(math.pi) * blur * spacing)

    # --- as the engine asks for them -------------------------------------------------------------------

    @property
    def voxel_um(self) -> Sequence[tuple[str, float]]:
        """The voxel's sizes, with the direction of each in words."""
        z, across = (1000 * v for v in self.voxel_mm)
        if math.isclose(z, across, rel_tol=0.01):
            return (("", min(z, across)),)
        return (("along the axis", z), ("across", across))

    @property
    def usual_mm(self) -> float:
        """Size of a quantity where nothing else tells one."""
        return USUAL_OVERHANG_MM

    def predict(self, measurement: str, size: float) -> Prediction | None:
        """Uncertainty of a measurement of about ``size``; ``None`` without a formula."""
        for start, end, formula in _FORMULAS:
            if measurement.startswith(start) and measurement.endswith(end):
                return formula(self, abs(size))
        return None


_Formula = Callable[[ScanQuality, float], Prediction]
"""From the scan's quality and the size of the quantity."""


def _diameter(q: ScanQuality, size: float) -> Prediction:
    rays = max(1.0, q.angles * q.height_mm / q.voxel_mm[0])
    return Prediction(
        size * q.scale.relative_uncertainty, 0.05 * q.voxel_mm[1], 2 * q.edge(can=True) / math.sqrt(rays)
    )


def _wall_mean(q: ScanQuality, size: float) -> Prediction:
    rays = max(1.0, q.angles * q.height_mm / q.voxel_mm[0])
    noise = math.sqrt(2) * q.edge(can=True) / math.sqrt(rays)
    return Prediction(size * q.scale.relative_uncertainty, 0.1 * q.voxel_mm[1], noise)


def _can_place(q: ScanQuality, size: float) -> Prediction:
    """One place of the can, averaged over a few voxels each way: least wall, dent, ovality, roundness."""
    noise = math.sqrt(2) * q.edge(can=True) / 3
    return Prediction(size * q.scale.relative_uncertainty, 0.15 * q.voxel_mm[1], noise)


def _overhang_mean(q: ScanQuality, size: float) -> Prediction:
    count = q.turns * q.angles / 10  # neighbouring half-planes share voxels
    noise = math.sqrt(2) * q.edge(along_axis=True) / math.sqrt(max(count, 1.0))
    return Prediction(size * q.scale.relative_uncertainty, 0.15 * q.voxel_mm[0], noise)


def _overhang_place(q: ScanQuality, size: float) -> Prediction:
    """One overhang, the least or the largest: two edges, neither of them averaged over many."""
    noise = math.sqrt(2) * q.edge(along_axis=True)
    return Prediction(size * q.scale.relative_uncertainty, 0.25 * q.voxel_mm[0], noise)


def _deflection(q: ScanQuality, size: float) -> Prediction:
    """Angle of a foil of 0.6 mm free length, from its sideways place at both ends."""
    degrees = math.degrees(1 / 0.6)
    return Prediction(0.0, 0.1 * q.voxel_mm[1] * degrees, math.sqrt(2) * q.edge() * degrees)


def _pitch(q: ScanQuality, size: float) -> Prediction:
    noise = math.sqrt(2) * q.edge() / q.turns / math.sqrt(max(q.angles / 10, 1.0))
    return Prediction(size * q.scale.relative_uncertainty, 0.05 * q.voxel_mm[1] / q.turns, noise)


def _foil_place(q: ScanQuality, size: float) -> Prediction:
    """One place of the foil against a fitted line: winding errors, core collapse, gap to the can."""
    return Prediction(size * q.scale.relative_uncertainty, 0.1 * q.voxel_mm[1], q.edge())


_FORMULAS: Sequence[tuple[str, str, _Formula]] = (
    ("canister.", "diameter", _diameter),
    ("canister.wall_thickness", ".mean", _wall_mean),
    ("canister.wall_thickness", "", _can_place),
    ("canister.dent_depth", "", _can_place),
    ("canister.ovality", "", _can_place),
    ("canister.roundness", "", _can_place),
    ("overhang.", "deflection.mean", _deflection),
    ("overhang.", "deflection.std", _deflection),
    ("overhang.", "deflection.max_abs", _deflection),
    ("overhang.", "length.mean", _overhang_mean),
    ("overhang.", "length.std", _overhang_mean),
    ("overhang.", "length.min", _overhang_place),
    ("overhang.", "length.max", _overhang_place),
    ("overhang.", "base_height.std", _overhang_mean),
    ("overhang.", "base_height.range", _overhang_place),
    ("winding.pitch", "", _pitch),
    ("winding.", "error", _foil_place),
    ("winding.core_collapse", "", _foil_place),
    ("winding.delamination", "", _foil_place),
    ("winding.concentricity", "", _foil_place),
    ("winding.can_gap", "", _foil_place),
)  # fmt: skip
"""(beginning of the name, its end, formula); the first that fits."""


def quality_of(cell: CylinderCell, found: Mapping[str, Measurement]) -> ScanQuality | str:
    """What the screening says of the scan, as the predictions need it; or why they cannot be made."""
    if cell.settings.mask_of is not None:
        return "the scan is a mask: its edges' noise and blur are not known"

    def value(name: str) -> float | None:
        m = found.get(name)
        return None if m is None or m.status != "measured" else m.value

    radius, resolution = cell.frame.outer_radius_mm, value("screening.resolution")
    contrast, signal = value("screening.cnr"), value("screening.snr")
    if radius is None or resolution is None:
        return "the sharpness of the can's edge was not measured"
    if not contrast or contrast <= 0 or not signal or signal <= 0:
        return "the noise inside the roll was not measured"
    dz, dy, dx = cell.frame.voxel_mm
    low, high = cell.frame.straight_mm or (0.0, dz)
    pitch = cell.frame.roll_pitch_mm
    return ScanQuality(
        voxel_mm=(dz, max(dy, dx)),
        blur_mm=resolution / GAUSSIAN_10_90,
        noise=1 / contrast,
        can_noise=1 / signal,  # of the cathode: the brighter can does better
        diameter_mm=2 * radius,
        height_mm=max(high - low, dz),
        pitch_mm=pitch if PITCH_RANGE_MM[0] < pitch < PITCH_RANGE_MM[1] else USUAL_PITCH_MM,
        angles=cell.settings.angles,
        scale=cell.scale,
    )
