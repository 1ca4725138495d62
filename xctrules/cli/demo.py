"""``xctrules demo``: the whole way with nothing to download."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xctrules.cli.console import command, say, say_table, working
from xctrules.cli.inspection import show
from xctrules.core import wording

if TYPE_CHECKING:
    from xctrules.records.signing.keys import SigningKey

FORMAT = "21700"

DRAWN = {"voxel_size": "0.05,0.034,0.034", "roll_in_view": 2.5, "tilt": 0.4}
"""Voxels about those of the published scan of a 21700; coarser along the axis, to be done in seconds."""

KEY = "demo-key"
"""Name of the key that the demo makes and signs with."""
REMARK = "a demonstration on a drawn phantom, signed with a key made for it; it certifies nothing"

SHOWN = (
    "canister.outer_diameter",
    "canister.inner_diameter",
    "canister.wall_thickness.mean",
    "canister.dent_depth",
    "canister.tilt",
    "overhang.length.mean",
    "overhang.length.min",
    "overhang.deflection.mean",
    "winding.turns",
    "winding.pitch",
)


@command
def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for the phantom's scan and the results.", metavar="DIR")
    ] = Path("xctrules-demo"),
) -> int:
    """Draw a phantom cell, inspect it, sign and certify the record: the whole way with nothing to download.

    What was drawn is printed beside what was measured. A second run replaces the first one's files.
    """
    from xctrules.engine import inspection, phantoms
    from xctrules.engine.registry import load_plugins

    with working() as progress:
        progress(f"drawing a phantom of a {FORMAT} cell", 0, 0)
        drawn = phantoms.draw_phantom(load_plugins(third_party=False), FORMAT, DRAWN)
        scan = drawn.write(out / "phantom", force=True)
        result = inspection.inspect(scan, FORMAT, out=out, replace=True, third_party=False, progress=progress)
    say(f"Scan    {scan} (a phantom, drawn from its geometry)")
    code = show(result, as_json=False)
    _certify(out / str(result.record["cell_id"]), out)
    say()
    say_table(
        [
            ("Measurement", "Drawn", "Measured with its 95 % interval", "Interval covers the truth"),
            *(_beside_truth(name, drawn.truth["measurements"], result.record) for name in SHOWN),
        ]
    )
    return code


def _certify(folder: Path, out: Path) -> None:
    """Sign the record with a key made for the demo, and write its certificate; a refusal is told."""
    from xctrules.core.files import write_file
    from xctrules.records.certificates.issuing import Refused, issue_certificate, trust_of
    from xctrules.records.certificates.laboratory import example_profile, read_laboratory
    from xctrules.records.folder import CERTIFICATE_NAMES
    from xctrules.records.signing.making import sign_folder
    from xctrules.records.verify import verify_path

    key = _demo_key(out)
    profile = out / "laboratory.yaml"
    words = f"\nkeys: [{KEY}.pub]\nremarks: {REMARK}\n"
    write_file(profile, example_profile().read_bytes() + words.encode("utf-8"))
    sign_folder(folder, key, "released")
    say(f"Signed  by {key.name}, with a key made for this demo: it vouches for nothing")
    laboratory = read_laboratory(profile)
    try:
        drawn = issue_certificate(folder, laboratory, verify_path(folder, trust_of(laboratory)))
    except Refused as refused:
        say(f"No certificate: {refused.reasons[0]}")
    else:
        page = folder / CERTIFICATE_NAMES[0]
        write_file(page, drawn.html.encode("utf-8"))
        say(f"Certificate  {page}")
    say(f"To check all of it: xctrules verify {folder} --trust {out / KEY}.pub")


def _demo_key(out: Path) -> SigningKey:
    """The key of an earlier run, or a new one."""
    from xctrules.records.signing.keys import load_private_key, new_key, save_key

    path = out / f"{KEY}.key"
    if not path.exists():
        save_key(new_key(KEY), out)
    return load_private_key(path)


def _beside_truth(name: str, truth: Mapping[str, float], record: Mapping[str, Any]) -> tuple[str, ...]:
    """Name, truth, value with uncertainty, and whether the one lies within the other, as text."""
    true, found = truth.get(name), record["measurements"][name]
    shown = wording.quantity(true, None, found["unit"])
    if found["value"] is None:
        return name, shown, found["reason"], wording.NONE
    expanded = found["expanded_uncertainty"] or 0.0
    covered = wording.NONE if true is None else "yes" if abs(found["value"] - true) <= expanded else "no"
    return name, shown, wording.quantity(found["value"], expanded, found["unit"]), covered
