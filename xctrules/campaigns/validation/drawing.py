"""One case written out, for whoever wants to look at it: its scan, its truth, and the spec it is judged by.

In: a campaign and an index. Out: a folder, and the command that inspects what is in it.
"""

from __future__ import annotations

from pathlib import Path

from xctrules.campaigns.validation.campaign import Campaign
from xctrules.campaigns.validation.case_spec import case_spec_text
from xctrules.core.errors import OutputError
from xctrules.core.files import write_file

SCAN_NAME, SPEC_NAME = "scan", "spec.yaml"


def write_case(campaign: Campaign, index: int, out: Path) -> str:
    """Draw case ``index`` into ``out``; gives the command that inspects it as the campaign does.

    Raises
    ------
    OutputError
        When there is something at ``out`` already, or it cannot be written.
    """
    if out.exists():
        raise OutputError("this exists already", where=out, todo="Name another folder with --out.")
    case = campaign.case(index)
    phantom = campaign.source.draw_case(case)
    phantom.write(out / SCAN_NAME)
    write_file(out / SPEC_NAME, case_spec_text(case, campaign.registry).encode())
    voxel = ",".join(f"{size:.9g}" for size in case.told_voxel_mm)
    return f"xctrules inspect {out / SCAN_NAME} --spec {out / SPEC_NAME} --voxel-size {voxel}"
