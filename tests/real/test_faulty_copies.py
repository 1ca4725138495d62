"""Copies of a real scan into which one fault is drawn: what a verdict may say of each.

Most have a fault that bars a pass; others are sound, or may pass with a word of what is odd.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from xctrules import Inspection, inspect

SCRIPT = Path(__file__).resolve().parents[3] / "shared" / "cases" / "faulty_copies.py"

pytestmark = pytest.mark.skipif(not SCRIPT.exists(), reason=f"the script of faulty copies is not at {SCRIPT}")


@pytest.fixture(scope="module")
def copies() -> ModuleType:
    spec = importlib.util.spec_from_file_location("faulty_copies", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_sound_copy_passes(copies: ModuleType, tmp_path: Path) -> None:
    copies.write(tmp_path / "sound", "sound")
    found = inspect(tmp_path / "sound", "21700", third_party=False)
    assert found.verdict == "PASS", found.record["reasons"]
    for part, account in found.record["completeness"].items():
        assert account["largest"] <= account["allowed"], part
        assert account["measured"] > 0.9 * account["expected"] > 0, part
    assert found.record["measurements"]["contamination.count"]["value"] == 0
    assert not [warning for warning in found.record["warnings"] if "particle" in warning]


def test_a_particle_that_no_rule_judges_is_named_with_size_and_place(
    copies: ModuleType, tmp_path: Path
) -> None:
    """Drawn 0.3 mm across at z 5.6 mm and 130 degrees, outside turn 11; the scan's pixels are 0.034 mm."""
    copies.write(tmp_path / "particle", "particle_03mm")
    found = inspect(tmp_path / "particle", "21700", third_party=False)
    measured = found.record["measurements"]
    assert measured["contamination.count"]["value"] == 1
    largest = measured["contamination.largest"]
    assert largest["value"] == pytest.approx(0.3, abs=0.5 * 0.034)  # the layers behind it are not known
    assert abs(largest["value"] - 0.3) < largest["expanded_uncertainty"]
    at = largest["worst_at"]
    assert at["z_mm"] == pytest.approx(5.6, abs=0.034)
    assert at["theta_deg"] == pytest.approx(130.0, abs=0.3)  # 0.03 mm
    assert at["turn"] == 11
    (warning,) = [warning for warning in found.record["warnings"] if "particle" in warning]
    assert "0.30 mm" in warning and "z 5.60 mm" in warning and "theta 130" in warning and "turn 11" in warning


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cathode_6_raised_30deg", ("electrode edges", "turn 7", "theta 5")),
        ("cathode_12_raised_all_round", ("electrode edges", "turn 13")),
        ("anode_8_lowered_6deg", ("overhang", "turn 8", "theta 25")),
        ("anode_15_lowered_20deg", ("overhang", "turn 15")),
        ("anode_14_missing_60deg", ("foil is missing", "turn 14", "theta 19")),
        ("anode_9_missing", ("roll cross-section", "layers")),
        ("core_crumpled", ("roll cross-section", "layers")),
        ("wall_open_8deg", ("can wall", "no wall", "theta 2")),
        ("wall_hole_1mm", ("can wall", "no wall", "theta 30")),
        ("voxel_7_percent_small", ("another cell", "voxel size")),
        ("slice_repeated", ("slices 62 to 66 repeat",)),
        ("slices_missing", ("between slices 61 and 62", "missing")),
        ("moved_from_slice_70", ("from slice 71 on", "shifted by 0.23 mm")),
        ("turned_from_slice_62", ("from slice 63 on", "turned by 8")),
        ("z_spacing_halved", ("are the slices 0.06", "not 0.034")),
    ],
)
def test_a_faulty_copy_does_not_pass_and_the_first_reason_names_the_fault(
    copies: ModuleType, tmp_path: Path, name: str, words: tuple[str, ...]
) -> None:
    copies.write(tmp_path / name, name)
    found = inspect(tmp_path / name, "21700", third_party=False)
    assert found.verdict in ("FAIL", "CONDITIONAL_FAIL", "INCOMPLETE", "SCAN_REJECTED")
    first = found.record["reasons"][0]
    assert all(word in first for word in words), first


def test_a_network_passes_no_faulty_copy_either(copies: ModuleType, tmp_path: Path) -> None:
    """It was never shown such cells, and draws the sound one that it knows."""
    name = "cathode_6_raised_30deg"
    copies.write(tmp_path / name, name)
    found = inspect(tmp_path / name, "21700", segmenter="unet", third_party=False)
    assert found.verdict in ("FAIL", "CONDITIONAL_FAIL", "INCOMPLETE", "SCAN_REJECTED")
    assert "electrode edges" in found.record["reasons"][0]


@pytest.fixture(scope="module")
def taller(copies: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    folder = tmp_path_factory.mktemp("copies") / "tall"
    copies.write(folder, "anode_5_raised_all_round")
    return inspect(folder, "21700", third_party=False)


def test_a_taller_anode_passes(taller: Inspection) -> None:
    assert taller.verdict == "PASS", taller.record["reasons"]


def test_a_taller_anode_is_no_fault_and_is_told(taller: Inspection) -> None:
    found = taller
    assert not [check for check in found.record["checks"] if "FAIL" in check["outcome"]]
    largest = found.measurements["overhang.length.max"].value
    assert largest == pytest.approx(1.15, abs=0.07)  # 0.5 mm taller than 0.6 to 0.7; a voxel is 0.068 mm high
