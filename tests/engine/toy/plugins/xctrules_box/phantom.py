"""Boxes with plates that are drawn: what a scanner would write of them, and the truth."""

import json
from pathlib import Path

import numpy as np
import tifffile
from scipy.special import erf

from xctrules import ArraySlices, Option, OutputError, Scan

VOXEL, BLUR, LENGTH, WIDTH, WALL, PLATE, SPACING, AIR = 0.05, 0.04, 10.0, 4.0, 0.4, 0.5, 1.5, 0.8
"""All in mm; the walls' length and width are outer ones, and air surrounds the box."""


def between(x, first, last):
    """1 between two edges and 0 beside them, blurred."""
    return 0.5 * (erf((x - first) / BLUR) - erf((x - last) / BLUR))


class DrawnBox:
    geometry = "box"

    def __init__(self, plates=5, left_gap=0.8, tilt=2.0, view="whole", noise=4.0):
        height, width = int((WIDTH + 2 * AIR) / VOXEL), int((LENGTH + 2 * AIR) / VOXEL)
        y, x = VOXEL * np.mgrid[:height, :width]
        own = (x - AIR + 1j * (y - AIR)) * np.exp(-1j * np.radians(tilt))
        x, y, starts = own.real, own.imag, WALL + left_gap + SPACING * np.arange(plates)
        inside = between(x, WALL, LENGTH - WALL) * between(y, WALL, WIDTH - WALL)
        gas = inside * (1 - sum(between(x, start, start + PLATE) for start in starts))
        metal = between(x, 0, LENGTH) * between(y, 0, WIDTH) - gas
        half = int((AIR + starts[len(starts) // 2] - 0.5 * (SPACING - PLATE)) / VOXEL)  # amid the gas
        shown = {"whole": slice(None), "left": slice(half), "right": slice(half, None)}[view]
        noise = noise * np.random.default_rng(0).standard_normal((8, *metal[:, shown].shape))
        self.volume = np.clip(np.rint(30 + 170 * metal[:, shown] + noise), 0, 255).astype(np.uint8)
        gaps = {"left": left_gap, "right": LENGTH - WALL - starts[-1] - PLATE}
        gaps = {side: gap for side, gap in gaps.items() if view in ("whole", side)}
        truth = {"box.plates": plates} if view == "whole" else {}
        truth |= {"box.spacing": SPACING, "box.gap": min(gaps.values())}
        self.truth = {"measurements": truth | {f"box.{side}.gap": gap for side, gap in gaps.items()}}

    def scan(self):
        return Scan(Path("box"), ArraySlices(self.volume), (VOXEL,) * 3, {})

    def write(self, folder, force=False):
        folder = Path(folder)
        if folder.exists() and not force:
            raise OutputError("this folder exists already", where=folder, todo="Name another one.")
        folder.mkdir(parents=True, exist_ok=True)
        for k, image in enumerate(self.volume):
            tifffile.imwrite(folder / f"slice_{k}.tif", image)
        known = {"voxel_size_mm": [VOXEL] * 3, "voxel_scale_relative_uncertainty": 0.0005}
        (folder / "acquisition.yaml").write_text(json.dumps(known))
        (folder / "truth.json").write_text(json.dumps(self.truth))
        return folder


class BoxPhantoms:
    geometry, formats = "box", ("box",)
    options = (
        Option("plates", int, "plates in the box", low=1, high=5),
        Option("left_gap", float, "room between the left wall and the first plate", unit="mm"),
        Option("tilt", float, "turn of the box in the scan", low=-5, high=5, unit="deg"),
        Option("view", str, "part that is scanned", choices=("whole", "left", "right")),
        Option("noise", float, "noise, in grey values", low=0),
    )

    def draw(self, format, values):
        return DrawnBox(**values)
