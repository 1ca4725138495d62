"""``xctrules phantom``: a synthetic cell with chosen faults, and its truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from xctrules.cli.console import FINE, NoThirdParty, PluginsDir, Set, command, geometry_options, say, working


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
    tab: Annotated[bool | None, typer.Option("--tab", help="Weld a tab to the cathode.")] = None,
    pin: Annotated[bool | None, typer.Option("--pin", help="Put a centre pin into the core.")] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help="A fault, as NAME:SIZE,KEY=VALUE; may be given again. docs/phantoms.md lists them all.",
            metavar="FAULT",
        ),
    ] = None,
    noise: Annotated[float | None, typer.Option(help="Noise, as a share of the cathode's grey.")] = None,
    blur: Annotated[
        float | None, typer.Option(help="Standard deviation of the blur, voxels.", metavar="PX")
    ] = None,
    bits: Annotated[int | None, typer.Option(help="8, 16, or 32 for floating point.")] = None,
    formation: Annotated[
        Literal["painted", "projected"] | None,
        typer.Option(help="Paint the image, or project X-rays through the cell and reconstruct (minutes)."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of noise and variation.")] = None,
    settings: Set = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a phantom that is there.")] = False,
    plugins_dir: PluginsDir = None,
    no_third_party: NoThirdParty = False,
) -> int:
    """Draw a synthetic cell with chosen faults, and write its truth as JSON."""
    from xctrules.engine.phantoms import draw_phantom
    from xctrules.engine.registry import load_plugins

    given = geometry_options(
        settings,
        view=view,
        voxel_size=voxel_size,
        turns=turns,
        overhang=overhang,
        negative_overhang=negative_overhang,
        dent=dent,
        tilt=tilt,
        buckle=buckle,
        ovality=ovality,
        tab=tab,
        pin=pin,
        fault=None if fault is None else ";".join(fault),
        noise=noise,
        blur=blur,
        bits=bits,
        formation=formation,
        seed=seed,
    )
    with (
        working() as progress,
        load_plugins(plugins_dir=plugins_dir, third_party=not no_third_party) as registry,
    ):
        progress("drawing", 0, 0)
        folder = draw_phantom(registry, format, given).write(out, force=force)
    say(f"Scan   {folder}")
    say(f"Truth  {folder / 'truth.json'}")
    return FINE
