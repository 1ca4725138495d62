"""Where the plates of a box begin and end, how many there are, and how much room there is beside them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import map_coordinates

from xctrules import Contribution, Description, LineChart, Measurement, MetricResult, NotMeasurable, Surfaces

from .geometry import EDGE_VOXELS


@dataclass(frozen=True, kw_only=True)
class BoxSurfaces(Surfaces):
    """``plates_mm`` (n, 2): where each begins and ends; ``gaps_mm``: between wall and plates, where seen."""

    plates_mm: np.ndarray
    gaps_mm: dict[str, float]
    x_mm: np.ndarray
    grey: np.ndarray


class HalfHeight:
    name, geometry = "half_height", "box"

    def segment(self, cell):
        """Crossings of the half-way grey in the mean profile along the middle of the box."""
        frame, slices = cell.frame, cell.scan.slices
        (length, width), step = frame.size_mm, 0.25 * frame.voxel_mm[2]
        x, y = np.arange(-0.5, length + 0.5, step), np.linspace(0.3, 0.7, 40)[:, None] * width
        places = frame.to_voxel(x, y, 0.0)[1:]
        images = (slices[k] for k in range(len(slices)))
        grey = np.mean([map_coordinates(i, places, float, order=1, mode="nearest") for i in images], (0, 1))
        level = np.percentile(grey, [5, 95]).mean()
        before = np.flatnonzero(np.diff(grey > level))
        edges = x[before] + step * (level - grey[before]) / (grey[before + 1] - grey[before])
        left, right = frame.sides["left"], frame.sides["right"]
        plates = edges.reshape(-1, 2)[int(left) : -1 if right else None]
        if not plates.size:
            raise NotMeasurable("the box holds no plate")
        gaps = {"left": plates[0, 0] - edges[1]} if left else {}
        gaps |= {"right": edges[-2] - plates[-1, 1]} if right else {}
        return BoxSurfaces(segmenter=self.name, plates_mm=plates, gaps_mm=gaps, x_mm=x, grey=grey)


class BoxImage:
    """Screen: contrast over noise, which is taken from the difference of the first two slices."""

    name, title, geometry, about_the_scan = "box_image", "Image of the box", "box", True
    declares: Mapping[str, str] = {"box_image.contrast": "1"}
    describes: Mapping[str, Description] = {
        "box_image.contrast": Description("1", "Contrast", "plates against gas, over noise", "larger")
    }

    def measure(self, cell):
        first, second = cell.scan.slices[:2].astype(float)
        noise = max(np.std(second - first) / 2**0.5, 0.01)
        contrast = np.ptp(np.percentile(cell.surfaces.grey, [5, 95])) / noise
        poor = [f"the plates stand out only {contrast:.1f} times over the noise"] if contrast < 3 else []
        return MetricResult([Measurement("box_image.contrast", "1", value=contrast)], rejections=poor)


class BoxPlates:
    name, title, geometry = "box", "Plates in the box", "box"
    describes: Mapping[str, Description] = {
        "box.plates": Description("1", "Plates", "number of plates"),
        "box.spacing": Description("mm", "Spacing", "mean distance of plates", "nominal", "spacing"),
        "box.gap": Description("mm", "Smallest gap", "smallest room beside the plates", "larger"),
        "box.left.gap": Description("mm", "Left gap", "room left of the plates", "larger"),
        "box.right.gap": Description("mm", "Right gap", "room right of the plates", "larger"),
    }
    declares: Mapping[str, str] = {name: description.unit for name, description in describes.items()}

    def measure(self, cell):
        plates, gaps, asked = cell.surfaces.plates_mm, cell.surfaces.gaps_mm, cell.settings.plates
        values = {
            "box.plates": len(plates) if len(gaps) == 2 else None,
            "box.spacing": np.diff(plates.mean(axis=1)).mean() if len(plates) > 1 else None,
            "box.gap": min(gaps.values(), default=None),
            **{f"box.{side}.gap": gaps.get(side) for side in cell.frame.sides},
        }
        measured = [self._measurement(cell, name, value) for name, value in values.items()]
        warnings = [] if asked in (None, len(plates)) else [f"{len(plates)} plates are in view, not {asked}"]
        return MetricResult(measured, [self._profile(cell.surfaces)], warnings=warnings)

    def _measurement(self, cell, name, value):
        unit = self.declares[name]
        if value is None:
            return Measurement.absent(name, unit, "what is in view does not show it")
        edges = 2**0.5 * EDGE_VOXELS * cell.frame.voxel_mm[2]
        budget = Contribution("edges at half height", edges, "B"), cell.scale.contribution(value)
        return Measurement(name, unit, value=value, budget=budget if unit == "mm" else ())

    def _profile(self, found):
        return LineChart(
            "box-profile", "Along the box", "Each plate is one peak: look for one that is missing or bent.",
            f"Grey value along the box, with {len(found.plates_mm)} peaks for plates.",
            (("mean grey", "fit", found.x_mm, found.grey),), "x in mm", "grey value",
        )  # fmt: skip
