"""Times the parts of an inspection, and direct sampling of half-planes against turning the volume.

    python benchmarks/bench_parts.py [SCAN] [--planes 72] [--repeat 3]

SCAN is the published 21700 scan beside the checkout where it is there, else a drawn cell. The least of the
repeats counts: it has the least of what else the machine was doing. Both ways of getting the half-planes run
in this one process, on the same volume, with the same cubic interpolation.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PUBLISHED = Path(__file__).resolve().parents[2] / "shared" / "data" / "cell_21700_top"


def least(function: Callable[[], Any], repeat: int) -> tuple[float, Any]:
    """Seconds of the fastest of ``repeat`` runs, and what the last one returned."""
    seconds, result = [], None
    for _ in range(repeat):
        began = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - began)
    return min(seconds), result


def turned_planes(scan: Any, frame: Any, theta_deg: Any, r_mm: Any) -> Any:
    """Half-planes by turning every slice of the volume for each of them: (nz, nt, nr)."""
    import cv2
    import numpy as np

    nz, ny, nx = scan.shape
    _, dy, dx = frame.voxel_mm
    x0, y0 = frame.origin_mm[0] / dx, frame.origin_mm[1] / dy
    columns = np.clip(np.rint(x0 + r_mm / dx).astype(int), 0, nx - 1)
    planes = np.empty((nz, theta_deg.size, r_mm.size), np.float32)
    for j, theta in enumerate(theta_deg):
        turn = cv2.getRotationMatrix2D((x0, y0), float(theta), 1.0)
        for k in range(nz):
            image = cv2.warpAffine(scan.slices[k].astype(np.float32), turn, (nx, ny), flags=cv2.INTER_CUBIC)
            planes[k, j] = image[round(y0), columns]
    return planes


def cold_command(scan: Path) -> tuple[float, float]:
    """Seconds and peak memory (MB) of the whole command in a process of its own."""
    with tempfile.TemporaryDirectory() as out:
        args = [sys.executable, "-m", "xctrules", "inspect", str(scan), "--spec", "21700", "--out", out]
        began = time.perf_counter()
        process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
        return time.perf_counter() - began, usage.ru_maxrss / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scan", nargs="?", type=Path)
    parser.add_argument("--planes", type=int, default=72)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    path = options.scan or (PUBLISHED if PUBLISHED.exists() else None)
    rows: list[tuple[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        if path is None:
            from xctrules.cylinder.phantom import draw, preset

            spec = preset("21700", voxel_size_mm=(0.068, 0.034, 0.034))
            path = draw(spec).write(Path(folder) / "phantom")
        # Before anything is imported here: a child's peak counts what its parent had.
        seconds, peak = min(cold_command(path) for _ in range(options.repeat))
        rows.append(("whole command, cold, 360 half-planes", seconds))
        shape = time_parts(path, options, rows)
    width = max(len(name) for name, _ in rows)
    print(f"{path.name}, {' x '.join(map(str, shape))} voxels, {os.cpu_count()} cores, {platform.machine()}")
    for name, seconds in rows:
        print(f"{name:<{width}}  {seconds:8.3f} s")
    print(f"{'peak memory of the whole command':<{width}}  {peak:8.0f} MB")
    by_name = dict(rows)
    direct, turning = (by_name[f"{options.planes} half-planes, {how}"] for how in ("direct", "by turning"))
    print(f"{'direct sampling is faster by a factor of':<{width}}  {turning / direct:8.0f}")


def time_parts(path: Path, options: argparse.Namespace, rows: list[tuple[str, float]]) -> tuple[int, ...]:
    """Append a row for each part; returns the volume's shape."""
    import numpy as np

    from xctrules.cylinder.finding import CylinderFinder
    from xctrules.cylinder.surfaces import CylinderCell, CylinderSettings
    from xctrules.engine.inspection import inspect
    from xctrules.engine.registry import load_plugins
    from xctrules.engine.run_metric import run_metric
    from xctrules.pages.report import render_report
    from xctrules.scans.opening import open_scan

    def part(name: str, function: Callable[[], Any]) -> Any:
        seconds, result = least(function, options.repeat)
        rows.append((name, seconds))
        return result

    registry = part("loading the bundled plugins", lambda: load_plugins(third_party=False))
    scan = part("reading and hashing the scan", lambda: open_scan(path))
    frame = part("finding the cell", lambda: CylinderFinder().find(scan, {}))
    cell = CylinderCell(scan, frame, scan.scale, CylinderSettings(), {})
    segmenter = next(p.value for p in registry.segmenters if p.value.name == cell.settings.segmenter)
    found = part("segmenting", lambda: segmenter.segment(cell))
    cell = dataclasses.replace(cell, segmentation=found)
    for provided in (*registry.screens, *registry.metrics):
        part(f"measuring: {provided.value.name}", lambda provided=provided: run_metric(provided, cell))  # type: ignore[misc]
    done = inspect(path, "21700", third_party=False)
    part("drawing the report", lambda: render_report(done.record, done.images))

    theta = np.arange(options.planes) * (360.0 / options.planes)
    r = np.arange(0.0, frame.outer_radius_mm + 0.2, min(frame.voxel_mm[1:]))
    planes = f"{options.planes} half-planes"
    direct = part(f"{planes}, direct", lambda: frame.cylinder(scan, frame.z_grid_mm(), theta, r))
    turned = part(f"{planes}, by turning", lambda: turned_planes(scan, frame, theta, r))
    # The same planes, but for the tilt and the part of a pixel that a whole column is off.
    both = np.isfinite(direct)
    agreement = np.corrcoef(direct[both], turned[both])[0, 1]
    assert agreement > 0.9, f"the two ways give different planes (correlation {agreement:.2f})"
    return tuple(scan.shape)


if __name__ == "__main__":
    main()
