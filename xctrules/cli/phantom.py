"""``xctrules phantom``: a synthetic cell with chosen faults, and its truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from xctrules.cli.console import command, parse_voxel_size, say, working


@command
def phantom(
    out: Annotated[
        Path, typer.Argument(help="Folder to write slices, acquisition.yaml and truth.json into.")
    ],
    format: Annotated[str, typer.Option("--format", help="Cell format.")] = "21700",
    view: Annotated[
        Literal["top", "bottom", "both", "roll", "slice"] | None,
        typer.Option(help="Part of the cell that is scanned."),
    ] = None,
    voxel_size: Annotated[
        str | None, typer.Option(help="Voxel size in mm, z first.", metavar="Z,Y,X")
    ] = None,
    turns: Annotated[float | None, typer.Option(help="Turns of the copper foil.")] = None,
    overhang: Annotated[float | None, typer.Option(help="Mean overhang, mm.", metavar="MM")] = None,
    negative_overhang: Annotated[
        float | None,
        typer.Option(help="One overhang that is negative by so much, over 20 degrees.", metavar="MM"),
    ] = None,
    dent: Annotated[float | None, typer.Option(help="Depth of one dent in the can.", metavar="MM")] = None,
    tilt: Annotated[float | None, typer.Option(help="Tilt of the cell in the scan.", metavar="DEG")] = None,
    buckle: Annotated[
        float | None, typer.Option(help="Depth of a collapse of the core.", metavar="MM")
    ] = None,
    ovality: Annotated[
        float | None, typer.Option(help="Major minus minor axis of the can.", metavar="MM")
    ] = None,
    tab: Annotated[bool, typer.Option("--tab", help="Weld a tab to the cathode.")] = False,
    pin: Annotated[bool, typer.Option("--pin", help="Put a centre pin into the core.")] = False,
    noise: Annotated[float | None, typer.Option(help="Noise, as a share of the cathode's grey.")] = None,
    blur: Annotated[
        float | None, typer.Option(help="Standard deviation of the blur, voxels.", metavar="PX")
    ] = None,
    bits: Annotated[int | None, typer.Option(help="8, 16, or 32 for floating point.")] = None,
    formation: Annotated[
        Literal["painted", "projected"],
        typer.Option(help="Paint the image, or project X-rays through the cell and reconstruct (minutes)."),
    ] = "painted",
    seed: Annotated[int | None, typer.Option(help="Seed of noise and variation.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a phantom that is there.")] = False,
) -> int:
    """Draw a synthetic cell with chosen faults, and write its truth as JSON."""
    from xctrules.cylinder.phantom import draw, spec_from_options

    spec = spec_from_options(
        format,
        view=view,
        voxel_size_mm=parse_voxel_size(voxel_size),
        turns=turns,
        overhang_mm=overhang,
        negative_overhang_mm=negative_overhang,
        dent_mm=dent,
        tilt_deg=tilt,
        buckle_mm=buckle,
        ovality_mm=ovality,
        tab=tab,
        pin=pin,
        noise=noise,
        blur_px=blur,
        bits=bits,
        formation=formation,
        seed=seed,
    )
    with working() as progress:
        progress("drawing" if formation == "painted" else "projecting", 0, 0)
        folder = draw(spec).write(out, force=force)
    say(f"Scan   {folder}")
    say(f"Truth  {folder / 'truth.json'}")
    return 0
