"""``xctrules planes``: a scan's half-planes with draft labels, for users to correct and train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xctrules.cli.console import (
    FINE,
    Acquisition,
    ScanPath,
    SpecName,
    VoxelSize,
    check_range,
    command,
    say,
    working,
)
from xctrules.core.voxel_size import parse_voxel_size

EXIT_CODES = """\b
Exit codes: 0 the planes are written; 2 scan or spec cannot be used, or the folder holds such planes."""

MOST_PLANES = 3600


@command
def planes(
    scan: ScanPath,
    spec: SpecName,
    out: Annotated[Path, typer.Option(help="Folder for images/ and labels/.", metavar="DATA")],
    count: Annotated[int, typer.Option(help="Half-planes around each end in view.", metavar="N")] = 24,
    acquisition: Acquisition = None,
    voxel_size: VoxelSize = None,
) -> int:
    """Write half-planes of a scan as images with draft labels: correct them, then `xctrules train`.

    Pixels are 0.04 mm, outward is at the top and the axis on the left. Labels are 0 background, 1 can,
    2 cathode, 3 copper, 4 overhang, 255 not known; the foil is labelled 0.10 mm wide.
    """
    from xctrules.campaigns.training.scan_planes import write_planes
    from xctrules.core.wording import counted

    check_range("--count", count, 1, MOST_PLANES)
    with working() as progress:
        written = write_planes(
            scan,
            spec,
            out,
            count=count,
            acquisition=acquisition,
            voxel_size_mm=parse_voxel_size(voxel_size),
            progress=progress,
        )
    say(f"{counted(len(written), 'plane')} with draft labels in {out}")
    say(f"Correct the labels, then train: xctrules train {out} --out MODEL")
    return FINE
