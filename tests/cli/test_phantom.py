"""``xctrules phantom``: what was asked for is what the truth says."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import run


def test_phantom_and_its_truth(tmp_path: Path) -> None:
    result = run(
        *("phantom", tmp_path / "p", "--format", "small", "--view", "slice", "--voxel-size", "0.05"),
        *("--dent", "0.2", "--seed", "4"),
    )
    assert result.exit_code == 0, result.output
    truth = json.loads((tmp_path / "p" / "truth.json").read_text())
    assert truth["spec"]["seed"] == 4 and truth["spec"]["voxel_size_mm"] == [0.05, 0.05, 0.05]
    assert run("phantom", tmp_path / "p", "--format", "small").exit_code == 2
