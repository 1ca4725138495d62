"""What the tests of several commands inspect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from xctrules.cylinder.phantom import canister_mask, small

TUBE = """\
schema: xctrules.spec/1
name: tube
version: "1"
rules:
  - {{id: diameter, measurement: canister.outer_diameter, min: {low}, max: {high}, unit: mm,
     source: drawing 1, status: drawing}}
"""


@pytest.fixture(scope="session")
def can(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mask of a can 8 mm wide, quick to inspect."""
    folder = tmp_path_factory.mktemp("can") / "can"
    return canister_mask(small(view="roll", roll_in_view_mm=0.4)).write(folder)


@pytest.fixture
def tube(can: Path, tmp_path: Path) -> Callable[..., tuple[object, ...]]:
    """Arguments that inspect that can into ``tmp_path / "out"``, by limits of its diameter that it meets."""

    def arguments(low: float = 7.5, high: float = 8.5) -> tuple[object, ...]:
        spec = tmp_path / "tube.yaml"
        spec.write_text(TUBE.format(low=low, high=high))
        return ("inspect", can, "--spec", spec, "--mask-of", "canister", "--out", tmp_path / "out")

    return arguments
