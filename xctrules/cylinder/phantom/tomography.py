"""A phantom as a scanner makes it: X-rays through the drawn cell, detector, log, filtered back projection.

Beam hardening, streaks and rings come out of the physics here instead of being painted on. Each slice is
projected by parallel rays in its own plane, so there is no cone-beam effect. The detector adds up the energy
of the photons; scatter is left out, and so is what a ray does within one voxel.

Attenuation over energy is a sum of a few curves (Alvarez and Macovski, Phys. Med. Biol. 21, 1976, 733), found
here by singular values. The drawing is linear in its grey values, so that drawing it once for each curve,
with coefficients for greys, gives all that the beam sees at any energy.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, repeat
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import ScanError
from xctrules.cylinder.phantom.beam import MATERIALS, Spectrum, attenuation, spectrum
from xctrules.cylinder.phantom.drawing import Drawing
from xctrules.cylinder.phantom.imaging import Scanner, blur_plane, gaussian_kernel
from xctrules.cylinder.phantom.spec import Greys, PhantomSpec, Tomography

Image = NDArray[np.float32]

CURVES = 4
"""Curves over energy, and slices, that go through one call: OpenCV turns images of four channels fastest."""

_INTERPOLATION_VARIANCE = 1 / 6
"""Variance of linear interpolation, in pixels squared: once on the way in, once on the way back."""

_LEAST_SIGNAL = 1e-6
"""Share of the open beam below which a detector reads nothing."""


# --- geometry ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rays:
    """Parallel rays through an image, and back; the rotation axis is the image's middle.

    Attributes
    ----------
    shape : (ny, nx)
    pixel_mm : (dy, dx)
    detector : int
        Number of detector pixels.
    step_mm : float
        Width of a detector pixel, and step along the rays.
    angles_rad : (n,)
        Direction of the detector: a point x, y from the axis falls on x cos + y sin.
    """

    shape: tuple[int, int]
    pixel_mm: tuple[float, float]
    detector: int
    step_mm: float
    angles_rad: NDArray[np.float64]

    @cached_property
    def places_mm(self) -> NDArray[np.float64]:
        """Distance of each detector pixel's centre from the axis's shadow."""
        return np.asarray((np.arange(self.detector) - (self.detector - 1) / 2) * self.step_mm, dtype=float)

    def forward(self, image: Image) -> Image:
        """Line integrals (angle, detector, channel) of an image (y, x, channel): sums of it times mm."""
        (ny, nx), (dy, dx), n = self.shape, self.pixel_mm, self.detector
        middle, step = (n - 1) / 2, self.step_mm
        found = np.empty((self.angles_rad.size, n, image.shape[2]), np.float32)
        for k, angle in enumerate(self.angles_rad):
            c, s = math.cos(angle) * step, math.sin(angle) * step
            to_image = np.array(
                [
                    [c / dx, -s / dx, (nx - 1) / 2 - middle * (c - s) / dx],
                    [s / dy, c / dy, (ny - 1) / 2 - middle * (c + s) / dy],
                ]
            )
            turned = cv2.warpAffine(image, to_image, (n, n), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            found[k] = cv2.reduce(turned.reshape(n, -1), 0, cv2.REDUCE_SUM).reshape(n, -1)
        found *= np.float32(step)
        return found

    def back(self, filtered: Image) -> Image:
        """Sum over the angles of filtered projections (angle, detector, channel), as images (y, x, channel).

        0 beyond the circle that every view has seen.
        """
        (ny, nx), (dy, dx) = self.shape, self.pixel_mm
        total = np.zeros((ny, nx, filtered.shape[2]), np.float32)
        for angle, row in zip(self.angles_rad, filtered, strict=True):
            c, s = math.cos(angle) * dx / self.step_mm, math.sin(angle) * dy / self.step_mm
            first = (self.detector - 1) / 2 - c * (nx - 1) / 2 - s * (ny - 1) / 2
            to_row = np.array([[c, s, first], [0.0, 0.0, 1.0]])  # the middle of three equal rows
            smeared = cv2.warpAffine(
                np.repeat(row[None], 3, axis=0),
                to_row,
                (nx, ny),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )
            total += smeared.reshape(total.shape)
        total[~self.seen] = 0.0
        return total

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Pixels (ny, nx) that every view has seen; nothing is known of the corners beyond."""
        (ny, nx), (dy, dx) = self.shape, self.pixel_mm
        y, x = ((np.arange(ny) - (ny - 1) / 2) * dy)[:, None], (np.arange(nx) - (nx - 1) / 2) * dx
        return np.asarray(np.hypot(y, x) <= self.places_mm[-1])

    def reconstruct(self, integrals: Image) -> Image:
        """Filtered back projection (y, x, channel), 1/mm, of line integrals over half a turn.

        Ramp filter in its band-limited form (Kak and Slaney, Principles of Computerized Tomographic Imaging,
        1988, eq. 3.61), whose value at zero frequency is right for a finite detector.
        """
        from scipy import fft

        size = fft.next_fast_len(2 * self.detector, real=True)
        away = np.minimum(np.arange(size), size - np.arange(size))
        ramp = np.zeros(size)
        odd = away % 2 == 1
        ramp[odd] = -1 / (np.pi * away[odd]) ** 2
        ramp[0] = 0.25
        response = fft.rfft(ramp).real.astype(np.float32)[:, None]
        spread = fft.rfft(integrals, size, axis=1) * response
        filtered = fft.irfft(spread, size, axis=1)[:, : self.detector]
        filtered *= np.float32(np.pi / (self.angles_rad.size * self.step_mm))
        return self.back(np.ascontiguousarray(filtered, dtype=np.float32))


def rays(spec: PhantomSpec, tube: Tomography) -> Rays:
    """Detector wide enough for the whole can, and the angles of half a turn.

    Raises
    ------
    ScanError
        When the volume does not hold the whole can: what lies beyond would be missing from the projections.
    """
    place = Drawing(spec).place
    (nz, ny, nx), (dz, dy, dx) = place.shape, spec.voxel_size_mm
    radius = spec.outer_diameter_mm / 2 + spec.ovality_mm / 4 + spec.sleeve_mm
    lean = (nz - 1) * dz * np.array(place.axis[:2]) / place.axis[2]
    centres = np.array([place.origin_mm, place.origin_mm + lean])
    middle = np.array([(nx - 1) / 2 * dx, (ny - 1) / 2 * dy])
    half = middle + np.array([dx, dy]) / 2
    if np.any(np.abs(centres - middle) + radius > half):
        raise ScanError(
            "the field of view cuts the can, and a projected phantom needs all of it",
            where="phantom",
            todo="Make the field of view wider, or paint the phantom.",
        )
    step = min(dy, dx)
    reach = float(np.hypot(*(centres - middle).T).max()) + radius
    reach = max(reach + 4 * step, *middle)
    detector = 2 * math.ceil(reach / step) + 1
    asked = tube.projections or math.ceil(np.pi * detector)
    views = math.ceil(asked / 2)
    return Rays((ny, nx), (dy, dx), detector, step, np.arange(views) * (np.pi / views))


# --- what the beam sees -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Curves:
    """The materials' attenuation as sums of few curves: mu(E) = sum of coefficient times curve(E).

    Attributes
    ----------
    coefficients
        Material -> (CURVES,), in 1/mm.
    curves : (CURVES, n energies)
    """

    coefficients: dict[str, NDArray[np.float64]]
    curves: NDArray[np.float64]


def curves(beam: Spectrum) -> Curves:
    """Curves that hold the attenuation of every material, by singular values."""
    table = np.array([attenuation(name, beam.energy_kev) for name in MATERIALS])
    # every material and every energy counts alike, however strong it attenuates
    largest = np.maximum(table.max(axis=1, keepdims=True), 1e-12)
    common = (table / largest).mean(axis=0)
    left, strength, right = np.linalg.svd(table / largest / common, full_matrices=False)
    kept = min(CURVES, strength.size)
    coefficients = np.zeros((len(MATERIALS), CURVES))
    coefficients[:, :kept] = left[:, :kept] * strength[:kept] * largest
    basis = np.zeros((CURVES, beam.energy_kev.size))
    basis[:kept] = right[:kept] * common
    return Curves(dict(zip(MATERIALS, coefficients, strict=True)), basis)


class Maps:
    """Slices of the cell as coefficients of the curves, (ny, nx, CURVES)."""

    def __init__(self, spec: PhantomSpec, found: Curves) -> None:
        names = [name for name in MATERIALS if name != "nickel_tab"]
        used = [c for c in range(CURVES) if found.curves[c].any()]
        self._drawings = []
        for c in used:
            value = {name: float(found.coefficients[name][c]) for name in MATERIALS}
            metal = {"anode": value["nickel_tab"], "cathode": value["tab"]}
            tabs = tuple(replace(tab, grey=metal[tab.electrode]) for tab in spec.tabs)
            greys = Greys(**{name: value[name] for name in names})
            balls = tuple(replace(ball, grey=value["can"]) for ball in spec.particles)  # of iron
            self._drawings.append(Drawing(replace(spec, greys=greys, tabs=tabs, particles=balls)))
        self.place = self._drawings[0].place
        self._last: tuple[Image, Image] | None = None

    def slice(self, k: int) -> Image:
        """Slice ``k``; the same object as before where nothing has changed."""
        drawn = [drawing.slice(k) for drawing in self._drawings]
        if self._last is None or self._last[0] is not drawn[0]:
            maps = np.zeros((*drawn[0].shape, CURVES), np.float32)
            for c, image in enumerate(drawn):
                maps[..., c] = image
            self._last = (drawn[0], maps)
        return self._last[1]


@dataclass(frozen=True)
class Views:
    """One slice's projections over the whole turn, (2, half the angles, detector).

    The second half of the turn sees the first half's rays from behind: its rows are the mirrored ones.
    """

    signal: Image
    """Energy on the detector as a share of that of the open beam."""
    quanta: Image
    """Photons' worth of noise in it, for each photon in the open beam."""


class Tomograph:
    """Scans one phantom.

    Raises
    ------
    ScanError
        When artefacts are asked for that can only be painted, or the field of view cuts the can.
    """

    def __init__(self, spec: PhantomSpec, tube: Tomography) -> None:
        im = spec.imaging
        if im.cupping or im.rings or im.streaks:
            raise ScanError(
                "cupping, rings and streaks can be painted only on a painted phantom",
                where="phantom",
                todo="Set them to 0: a projected phantom has those that its beam and detector make.",
            )
        self.spec, self.tube = spec, tube
        self.beam = spectrum(tube)
        self.curves = curves(self.beam)
        self.maps = Maps(spec, self.curves)
        self.rays = rays(spec, tube)
        dz, _, dx = spec.voxel_size_mm
        blur_px = im.blur_px * dx / self.rays.step_mm
        # interpolation blurs by itself, so the detector blurs by what is left of the asked amount
        self.blur_px = math.sqrt(max(0.0, blur_px**2 - 2 * _INTERPOLATION_VARIANCE))
        self.blur_z_px = im.blur_px * dx / dz if im.blur_z_px is None else im.blur_z_px

    def views(self, maps: Image) -> Views:
        """What reaches the detector through one slice, before noise and blur."""
        integrals = self.rays.forward(maps)
        shape = integrals.shape[:2]
        energy, photons = self.beam.energy_kev, self.beam.photons
        depth = integrals.reshape(-1, CURVES) @ self.curves.curves.astype(np.float32)
        passed = np.exp(-depth)
        mean = passed @ (photons * energy / (photons @ energy)).astype(np.float32)
        variance = passed @ (photons * energy**2 / (photons @ energy) ** 2).astype(np.float32)
        half = (a.reshape(shape) for a in (mean, mean * mean / np.maximum(variance, np.float32(1e-30))))
        return Views(*(np.stack([a, a[:, ::-1]]) for a in half))

    def expose(self, views: Views, photons: float, rng: np.random.Generator) -> Image:
        """One slice's signal, (2, half the angles, detector), with noise and the scintillator's spread.

        Noise is that of as many equal quanta as vary as much as the photons of all energies together. Light
        spreads after the photons are caught, so noise is blurred with the signal.
        """
        signal = views.signal
        if math.isfinite(photons):
            expected = views.quanta * np.float32(photons)
            counted = rng.poisson(expected).astype(np.float32)
            signal = signal * counted / np.maximum(expected, np.float32(1e-12))
        flat = blur_plane(signal.reshape(-1, signal.shape[-1]), (0.0, self.blur_px))
        return np.asarray(flat.reshape(signal.shape), dtype=np.float32)

    def integrals(self, signal: Image) -> Image:
        """Line integrals over half a turn, (half the angles, detector), from the signal over a whole one."""
        p = -np.log(np.maximum(signal, np.float32(_LEAST_SIGNAL)))
        if self.tube.linearised:
            straight = np.zeros_like(p)
            for coefficient in reversed(self.polynomial):
                straight = (straight + np.float32(coefficient)) * p
            p = straight
        return np.asarray((p[0] + p[1][:, ::-1]) / 2, dtype=np.float32)

    @cached_property
    def polynomial(self) -> NDArray[np.float64]:
        """Coefficients of p, p^2, ... after which a slab of the roll's mean material attenuates evenly.

        p is the logarithm of the signal; this is the usual correction of scanners, calibrated as well as can
        be: the can's steel is what it gets wrong.
        """
        spec = plain_slice(self.spec)
        maps, place = Maps(spec, self.curves).slice(0), Drawing(spec).place
        (_, ny, nx), (_, dy, dx) = place.shape, spec.voxel_size_mm
        x, y = np.arange(nx) * dx - place.origin_mm[0], np.arange(ny) * dy - place.origin_mm[1]
        inside = np.hypot(x[None, :], y[:, None]) < spec.outer_diameter_mm / 2 - spec.wall_mm
        mu = maps[inside].mean(axis=0, dtype=float) @ self.curves.curves

        reach = 1.5 * spec.outer_diameter_mm
        thickness = np.linspace(0.0, reach, 201)[1:]
        weights = self.beam.photons * self.beam.energy_kev
        p = -np.log(np.exp(-thickness[:, None] * mu) @ (weights / weights.sum()))
        powers = np.stack([p**i for i in range(1, 5)], axis=1)
        return np.asarray(np.linalg.lstsq(powers, thickness * (p[-1] / reach), rcond=None)[0])

    def gains(self) -> Image:
        """Gain of each detector pixel, (slice, detector), that the flat field has not taken out."""
        n = self.rays.detector
        rng = np.random.default_rng((self.spec.seed, 22))
        gain = 1 + self.tube.gain_sd * rng.standard_normal((self.maps.place.shape[0], n))
        middle = (n - 1) // 2
        for column, error in self.tube.bad_columns:
            if abs(column) > middle:
                raise ScanError(
                    f"no detector column {column} from the middle of {n}",
                    where="phantom",
                    todo=f"Use -{middle} to {middle}.",
                )
            gain[:, middle + int(column)] *= 1 + error
        return gain.astype(np.float32)

    def exposures(self, photons: float, noise_seed: int | None = None) -> Iterator[Image]:
        """Each slice's signal, in slice order, blurred along the detector's rows but not yet across them."""
        rng = np.random.default_rng((self.spec.seed if noise_seed is None else noise_seed, 21))
        last: tuple[Image, Views] | None = None
        for k in range(self.maps.place.shape[0]):
            maps = self.maps.slice(k)
            if last is None or last[0] is not maps:  # the same slice again needs no second projection
                last = (maps, self.views(maps))
            yield self.expose(last[1], photons, rng)

    def attenuation(self, photons: float = math.inf, noise_seed: int | None = None) -> Iterator[Image]:
        """Reconstructed slices in slice order, (ny, nx), 1/mm.

        ``photons`` is the number of photons in the open beam for each detector pixel and view.
        """
        gains = self.gains()
        signals = blurred_along(self.exposures(photons, noise_seed), self.blur_z_px)
        ready = (self.integrals(signal * gain) for signal, gain in zip(signals, gains, strict=True))
        while batch := list(islice(ready, CURVES)):
            done = self.rays.reconstruct(np.stack(batch, axis=-1))
            yield from (done[..., c] for c in range(len(batch)))


def plain_slice(spec: PhantomSpec) -> PhantomSpec:
    """One upright slice of the roll far from the ends and without dents, to set greys and noise by."""
    return replace(spec, view="slice", tilt_deg=0.0, taper_deg=0.0, dents=(), rings=(), wall_patches=())


@dataclass(frozen=True)
class Exposure:
    """How attenuation becomes grey, grey = nought + scale * mu, and the photons that give the asked noise."""

    scale: float
    nought: float
    photons: float


def exposure(spec: PhantomSpec, tube: Tomography) -> Exposure:
    """Greys at which can and cathode are as bright as painted with the same blur, and noise as asked.

    Noise is the standard deviation within the roll, as a fraction of the cathode's grey.
    """
    clean_tube = replace(tube, gain_sd=0.0, bad_columns=())
    plain = Tomograph(plain_slice(spec), clean_tube)
    views = plain.views(plain.maps.slice(0))

    def found(photons: float) -> Image:
        signal = plain.expose(views, photons, np.random.default_rng((spec.seed, 23)))
        return plain.rays.reconstruct(plain.integrals(signal)[..., None])[..., 0]

    clean = found(math.inf)
    wanted = _painted(plain.spec, spec.greys)
    nothing = dict.fromkeys(vars(Greys()), 0.0)
    shares = [_painted(plain.spec, Greys(**nothing | {name: 1.0})) for name in ("can", "cathode_coating")]
    if min(share.max() for share in shares) <= 0:
        raise ScanError(
            "no can or no cathode to set the greys by", where="phantom", todo="Paint this phantom."
        )
    can, cathode = (share > 0.9 * share.max() for share in shares)
    scale = float((wanted[can].mean() - wanted[cathode].mean()) / (clean[can].mean() - clean[cathode].mean()))
    nought = float(wanted[cathode].mean() - scale * clean[cathode].mean())
    if not spec.imaging.noise:
        return Exposure(scale, nought, math.inf)
    trial = 1e6
    across = float(np.std((found(trial) - clean)[cathode]))
    # in a volume the detector's rows are blurred into each other, which this one slice lacks
    along = math.sqrt(float(np.sum(gaussian_kernel(plain.blur_z_px) ** 2)))
    asked = spec.imaging.noise * spec.greys.cathode_coating
    return Exposure(scale, nought, trial * (scale * across * along / asked) ** 2)


def _painted(spec: PhantomSpec, greys: Greys) -> Image:
    _, dy, dx = spec.voxel_size_mm
    tabs = tuple(replace(tab, grey=None) for tab in spec.tabs)
    image = Drawing(replace(spec, greys=greys, tabs=tabs, particles=())).slice(0)
    return blur_plane(image, (spec.imaging.blur_px * dx / dy, spec.imaging.blur_px))


def tomogram(spec: PhantomSpec, noise_seed: int | None = None) -> NDArray[Any]:
    """The volume (nz, ny, nx) of a spec with a ``tomography``, as its scanner would store it.

    The same spec gives the same bytes. ``noise_seed`` gives other noise on the same cell and detector. Memory
    is that of the volume in its own dtype and of about ten slices' projections.
    """
    assert spec.tomography is not None
    levels = exposure(spec, spec.tomography)
    scan = Tomograph(spec, spec.tomography)
    place = scan.maps.place
    store = Scanner(replace(spec, imaging=replace(spec.imaging, noise=0.0)), place)
    volume = np.empty(place.shape, store.dtype)
    for k, mu in enumerate(scan.attenuation(levels.photons, noise_seed)):
        volume[k] = store.expose(k, mu * np.float32(levels.scale) + np.float32(levels.nought))
    return volume


def blurred_along(slices: Iterator[Image], sigma_px: float) -> Iterator[Image]:
    """Each of a run of arrays blurred with its neighbours; the first and the last go on beyond the ends."""
    weights = gaussian_kernel(sigma_px).astype(np.float32)
    reach = weights.size // 2

    def continued() -> Iterator[Image]:
        image: Image | None = None
        for k, image in enumerate(slices):
            yield from repeat(image, reach + 1 if k == 0 else 1)
        if image is not None:
            yield from repeat(image, reach)

    window: deque[Image] = deque(maxlen=weights.size)
    for image in continued():
        window.append(image)
        if len(window) == weights.size:
            yield np.asarray(sum(w * a for w, a in zip(weights, window, strict=True)), dtype=np.float32)
