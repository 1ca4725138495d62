"""Synthetic cylindrical cells with known truth.

``draw(preset("21700"))`` gives a volume as a scanner would deliver it, and what a perfect measurement of it
would find. The cell is drawn from its geometry by area, so the truth holds far below the voxel.
:func:`canister_mask` and :func:`electrode_mask` draw the two-valued images that some labs work from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.core.canonical import canonical_bytes
from xctrules.core.errors import OutputError
from xctrules.core.files import whole_folder
from xctrules.core.slices import ArraySlices, Scan
from xctrules.cylinder.frame import GEOMETRY
from xctrules.cylinder.phantom.drawing import Drawing
from xctrules.cylinder.phantom.geometry import turned
from xctrules.cylinder.phantom.imaging import Scanner, blur_height, blur_plane
from xctrules.cylinder.phantom.roll_faults import Crumple, Curl, EdgeFault, Gap, MissingFoil, Particle
from xctrules.cylinder.phantom.spec import (
    CHEMISTRIES,
    PRESETS,
    Buckle,
    CentrePin,
    Dent,
    Greys,
    Imaging,
    Layers,
    NegativeOverhang,
    PhantomSpec,
    Ring,
    Tab,
    Tomography,
    WallPatch,
    preset,
    small,
    spec_from_dict,
    spec_from_options,
)
from xctrules.cylinder.phantom.stack_faults import StackFault, spoil, told_voxel_size_mm
from xctrules.cylinder.phantom.truth import truth
from xctrules.scans.acquisition import found_in_image, merge
from xctrules.scans.companions import SIDECAR

__all__ = [
    "CHEMISTRIES",
    "PRESETS",
    "Buckle",
    "CentrePin",
    "Crumple",
    "Curl",
    "Dent",
    "EdgeFault",
    "Gap",
    "Greys",
    "Imaging",
    "Layers",
    "MissingFoil",
    "NegativeOverhang",
    "Particle",
    "Phantom",
    "PhantomSpec",
    "Ring",
    "StackFault",
    "Tab",
    "Tomography",
    "WallPatch",
    "canister_mask",
    "draw",
    "electrode_mask",
    "preset",
    "small",
    "spec_from_dict",
    "spec_from_options",
    "truth",
    "turned",
]


@dataclass(frozen=True)
class Phantom:
    """A drawn cell.

    Attributes
    ----------
    volume : (nz, ny, nx)
        As a scanner would store it.
    spec
        What was drawn.
    truth
        ``measurements``, ``samples``, ``frame``, ``definitions``; see
        :func:`xctrules.cylinder.phantom.truth.truth`.
    """

    volume: NDArray[Any]
    spec: PhantomSpec
    truth: dict[str, Any]

    @property
    def geometry(self) -> str:
        """The word for cylindrical cells in a spec."""
        return GEOMETRY

    def scan(self) -> Scan:
        """The volume as a scan that was just opened, with all that :meth:`write` says of its acquisition.

        No metric may change what the next one measures.
        """
        told = merge([found_in_image(SIDECAR, _acquisition(self.spec))])
        return Scan(
            Path("phantom"),
            ArraySlices(self.volume),
            told_voxel_size_mm(self.spec.voxel_size_mm, self.spec.stack_faults),
            told.values,
            sources=told.sources,
        )

    def truth_json(self) -> bytes:
        """Truth and spec as JSON."""
        return canonical_bytes({**self.truth, "spec": self.spec.to_dict()})

    def write(self, folder: str | Path, force: bool = False) -> Path:
        """Write TIFF slices, ``acquisition.yaml`` and ``truth.json`` into ``folder``; all of it or nothing.

        Raises
        ------
        OutputError
            When the folder exists and ``force`` is not given, or cannot be written.
        """
        import tifffile

        folder = Path(folder)
        if folder.exists() and not force:
            raise OutputError(
                "this folder exists already", where=folder, todo="Name another one, or use --force."
            )
        if folder.exists() and not _is_phantom(folder):
            raise OutputError(
                "this holds something that is no phantom", where=folder, todo="Name another folder."
            )
        digits = max(4, len(str(len(self.volume))))
        with whole_folder(folder, durable=False) as made:
            for k, image in enumerate(self.volume):
                tifffile.imwrite(made / f"slice_{k + 1:0{digits}d}.tif", image)
            (made / SIDECAR).write_text(_sidecar(self.spec), encoding="utf-8")
            (made / "truth.json").write_bytes(self.truth_json())
        return folder


def _is_phantom(folder: Path) -> bool:
    """Whether a folder may be replaced: empty, or one that :meth:`Phantom.write` made."""
    return folder.is_dir() and (not any(folder.iterdir()) or (folder / "truth.json").exists())


def _acquisition(spec: PhantomSpec) -> dict[str, Any]:
    """What is known of the scan, by the names of :class:`xctrules.scans.acquisition.Acquisition`."""
    view = {"top": "top", "bottom": "bottom", "both": "whole"}.get(spec.view, "middle")
    return {
        "cell_id": f"PHANTOM-{spec.format}-{spec.seed}",
        "format": spec.format,
        "field_of_view": view,
        "slice_order": spec.slice_order,
        "voxel_size_mm": told_voxel_size_mm(spec.voxel_size_mm, spec.stack_faults),
        "voxel_scale_relative_uncertainty": spec.voxel_scale_relative_uncertainty,
        **_slice_step(spec),
        **_calibration(spec),
        "sleeve": spec.sleeve_mm > 0,
        "scanned_at": "2026-01-02",  # any day: the same phantom is the same to the byte
        "instrument": "xctrules phantom",
        **_tube(spec),
        "notes": "Synthetic cell; its true dimensions are in truth.json.",
    }


def _slice_step(spec: PhantomSpec) -> dict[str, Any]:
    """How far apart the slices truly are in voxels, where these are no cubes."""
    z, y, x = spec.voxel_size_mm
    return {} if z == y == x else {"slice_step": z / math.sqrt(y * x)}


def _calibration(spec: PhantomSpec) -> dict[str, Any]:
    """By what the voxel size is known, where its uncertainty is stated: the drawing's own scale."""
    if spec.voxel_scale_relative_uncertainty is None:
        return {}
    return {
        "calibration_artefact": "the drawing",
        "calibration_certificate": "truth.json",
        "calibration_date": "2026-01-01",
    }


def _sidecar(spec: PhantomSpec) -> str:
    """The same as the text of the file that inspect reads beside a scan."""
    import yaml

    values = {k: v for k, v in _acquisition(spec).items() if not k.startswith("calibration_")}
    if calibration := _calibration(spec):
        values["calibration"] = {k.removeprefix("calibration_"): v for k, v in calibration.items()}
    values["voxel_size_mm"] = dict(zip("zyx", values["voxel_size_mm"], strict=True))
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _tube(spec: PhantomSpec) -> dict[str, Any]:
    """What the sidecar says of a projected phantom's beam; nothing for a painted one."""
    tube = spec.tomography
    if tube is None:
        return {}
    from xctrules.cylinder.phantom.tomography import rays

    filtered = None if tube.filter_material is None else f"{tube.filter_mm:g} mm {tube.filter_material}"
    through = rays(spec, tube)
    return {
        "tube_voltage_kv": tube.tube_voltage_kv if tube.energy_kev is None else tube.energy_kev,
        "filter": None if tube.energy_kev is not None else filtered,
        "projections": 2 * through.angles_rad.size,
        "full_turn": True,
        "detector_pixels_x": through.detector,
    }


def draw(spec: PhantomSpec, noise_seed: int | None = None) -> Phantom:
    """Draw a cell: its geometry by area, then blur, artefacts, noise and grey scale.

    Where the spec has a ``tomography``, the drawn cell is projected and reconstructed instead; see
    :func:`xctrules.cylinder.phantom.tomography.tomogram`.

    Memory is that of the volume in float32 and in its own dtype. The same spec gives the same bytes.
    ``noise_seed`` draws other noise over the same cell and the same rings: the cell scanned once more.
    """
    if spec.tomography is not None:
        from xctrules.cylinder.phantom.tomography import tomogram

        return _spoilt(tomogram(spec, noise_seed), spec)
    drawing = Drawing(spec)
    place = drawing.place
    _, dy, dx = spec.voxel_size_mm
    im = spec.imaging
    blur_mm = im.blur_px * dx
    blurred = np.empty(place.shape, np.float32)
    last: tuple[Any, Any] = (None, None)
    for k in range(place.shape[0]):
        image = drawing.slice(k)
        if image is not last[0]:  # the same slice again needs no second blur
            last = (image, blur_plane(image, (blur_mm / dy, im.blur_px)))
        blurred[k] = last[1]
    blur_height(blurred, blur_mm / spec.voxel_size_mm[0] if im.blur_z_px is None else im.blur_z_px)
    scanner = Scanner(spec, place, noise_seed)
    volume = np.empty(place.shape, scanner.dtype)
    for k in range(place.shape[0]):
        volume[k] = scanner.expose(k, blurred[k])
    return _spoilt(volume, spec)


def _spoilt(volume: NDArray[Any], spec: PhantomSpec) -> Phantom:
    """A sound stack with the faults that the spec asks for."""
    return Phantom(spoil(volume, spec.voxel_size_mm, spec.stack_faults), spec, truth(spec))


def canister_mask(spec: PhantomSpec) -> Phantom:
    """Two-valued image (0, 255) of the can's sheet: 255 where it fills at least half of a voxel."""
    g = {name: 0.0 for name in spec.to_dict()["greys"]} | {"can": 1.0}
    return _mask(replace(spec, greys=Greys(**g)))


def electrode_mask(spec: PhantomSpec) -> Phantom:
    """Two-valued image (0, 255) of the anode (copper with its coating), the electrode that winds outermost.

    ``winding`` truth is that of the copper, which lies in the anode's middle.
    """
    g = {name: 0.0 for name in spec.to_dict()["greys"]} | {"copper": 1.0, "anode_coating": 1.0}
    return _mask(replace(spec, greys=Greys(**g)))


def _mask(spec: PhantomSpec) -> Phantom:
    drawing = Drawing(spec)
    volume = np.empty(drawing.place.shape, np.uint8)
    for k in range(volume.shape[0]):
        np.multiply(drawing.slice(k) >= 0.5, 255, out=volume[k], casting="unsafe")
    return Phantom(volume, spec, truth(spec))
