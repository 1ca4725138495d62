"""``xctrules inspect``: one cell, scan in, verdict out."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Annotated, Literal

import typer

from xctrules.cli.console import (
    Acquisition,
    NoThirdParty,
    PluginMemory,
    PluginsDir,
    PluginSeconds,
    ScanPath,
    Set,
    SpecName,
    VoxelSize,
    command,
    geometry_options,
    working,
)
from xctrules.cli.inspection import show
from xctrules.cli.keys import signing_key
from xctrules.core.errors import XctrulesError
from xctrules.core.voxel_size import parse_voxel_size


@command
def inspect(
    scan: ScanPath,
    spec: SpecName,
    out: Annotated[
        Path, typer.Option(help="Folder in which a folder for the cell is made.", metavar="DIR")
    ] = Path("xctrules-out"),
    acquisition: Acquisition = None,
    voxel_size: VoxelSize = None,
    cell_id: Annotated[
        str | None, typer.Option(help="The cell's name in record and report.", metavar="ID")
    ] = None,
    segmenter: Annotated[
        str | None,
        typer.Option(
            help="Segmenter to use instead of the spec's; unet:MODEL for a model of your own.", metavar="NAME"
        ),
    ] = None,
    segmentation: Annotated[
        Path | None, typer.Option(help="Label image to use instead of segmenting.", metavar="FILE")
    ] = None,
    export_labels: Annotated[
        Path | None, typer.Option(help="Write what was found as a label image (TIFF).", metavar="FILE")
    ] = None,
    angles: Annotated[
        int | None,
        typer.Option(
            help="Cylindrical cells: number of half-planes around the axis; 360 by default.", metavar="N"
        ),
    ] = None,
    mask_of: Annotated[
        Literal["canister", "electrode"] | None,
        typer.Option(
            help="Cylindrical cells: the scan (or the --segmentation given) is a two-valued image of this."
        ),
    ] = None,
    settings: Set = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the cell's record in DIR.")] = False,
    sign_key: Annotated[
        Path | None,
        typer.Option(help="Private key that signs the result as measured.", metavar="FILE.key"),
    ] = None,
    plugins_dir: PluginsDir = None,
    no_third_party: NoThirdParty = False,
    plugin_seconds: PluginSeconds = None,
    plugin_memory: PluginMemory = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the record on stdout, and nothing else.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Any warning or plugin error ends with 2.")
    ] = False,
    full_paths: Annotated[
        bool,
        typer.Option(
            "--full-paths", help="Name this machine and the scan's whole path in record and report."
        ),
    ] = False,
) -> int:
    """Inspect one cell: scan in, verdict out."""
    from xctrules.engine import inspection

    options = geometry_options(settings, angles=angles, mask_of=mask_of)
    own = options.keys() & signature(inspection.inspect).parameters.keys()
    if own:
        raise XctrulesError(f"{', '.join(own)} is no option of a geometry", where="--set", todo="See --help.")
    key = None if sign_key is None else signing_key(sign_key)  # before the long part, not after it
    with working() as progress:
        result = inspection.inspect(
            scan,
            spec,
            out=out,
            acquisition=acquisition,
            voxel_size_mm=parse_voxel_size(voxel_size),
            cell_id=cell_id,
            segmenter=segmenter,
            segmentation=segmentation,
            export_labels=export_labels,
            plugins_dir=plugins_dir,
            third_party=not no_third_party,
            plugin_seconds=plugin_seconds,
            plugin_memory_gb=plugin_memory,
            replace=replace,
            sign_key=key,
            strict=strict,
            full_paths=full_paths,
            progress=progress,
            **options,
        )
    return show(result, as_json)
