"""``xctrules planes``: what it writes can be trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import run

from xctrules.campaigns.training.pairs import read_pairs
from xctrules.cylinder.phantom import draw, small
from xctrules.cylinder.surfaces import LABELS


def test_planes_of_a_scan_can_be_trained_on(tmp_path: Path) -> None:
    spec = small(turns=6.0, outer_diameter_mm=7.2, view="top", roll_in_view_mm=1.6, beyond_mm=1.4)
    draw(spec).write(tmp_path / "scan")
    asked = ("planes", tmp_path / "scan", "--spec", "21700", "--out", tmp_path / "data", "--count", 8)
    done = run(*asked)
    assert done.exit_code == 0, done.output
    pairs = read_pairs(tmp_path / "data")
    assert pairs.planes + pairs.validation_planes > 0
    labels = np.concatenate([s.labels.ravel() for s in (*pairs.train, *pairs.validation)])
    assert set(LABELS.values()) <= set(np.unique(labels).tolist())
    again = run(*asked)
    assert again.exit_code == 2 and "there already" in again.stderr


@pytest.mark.parametrize("count", [0, 3601])
def test_a_senseless_count_is_refused_before_any_work(tmp_path: Path, count: int) -> None:
    asked = ("planes", tmp_path / "no scan", "--spec", "21700", "--out", tmp_path / "data", "--count", count)
    done = run(*asked)
    assert done.exit_code == 2 and "--count" in done.stderr and "1 to 3600" in done.stderr
