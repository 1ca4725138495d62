"""What an acquisition.yaml may say of a scan, and what happens where it and other sources disagree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import shared_data
from hypothesis import given
from hypothesis import strategies as st
from scanner_files import NIKON, PHOENIX, SKYSCAN, scanner, sidecar

from xctrules.core.errors import ScanError
from xctrules.scans.acquisition import LAYOUT_KEYS, Acquisition, Found, merge, read_sidecar
from xctrules.scans.companions import gather, read_scanner_file

# --- acquisition.yaml ------------------------------------------------------------------------------------


def test_real_sidecar() -> None:
    values = read_sidecar(shared_data("cell_21700_top") / "acquisition.yaml").values
    assert values["voxel_size_mm"] == (0.06794, 0.03397, 0.03397)
    assert values["cell_id"] == "UCL-21700-A"
    assert values["field_of_view"] == "top"
    assert values["slice_order"] == "top_to_bottom"
    assert values["sleeve"] is False
    assert "voxel_scale_relative_uncertainty" not in values  # null: not known


@pytest.mark.parametrize(
    "text", ["", "# nothing known\n", "---\n", "cell_id:\nvoxel_size_mm: null\ncalibration: ~\n"]
)
def test_empty_is_allowed(tmp_path: Path, text: str) -> None:
    assert read_sidecar(sidecar(tmp_path, text)).values == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("voxel_size_mm: 0.034", (0.034, 0.034, 0.034)),
        ("voxel_size_mm: 34e-3", (0.034, 0.034, 0.034)),  # YAML 1.1 would read this as text
        ("voxel_size_mm: [0.06, 0.05, 0.04]", (0.06, 0.05, 0.04)),
        ("voxel_size_mm: {x: 0.04, y: 0.05, z: 0.06}", (0.06, 0.05, 0.04)),
    ],
)
def test_forms_of_voxel_size(tmp_path: Path, text: str, expected: tuple[float, ...]) -> None:
    assert read_sidecar(sidecar(tmp_path, text)).values["voxel_size_mm"] == pytest.approx(expected)


def test_values_are_the_text_that_stands_there(tmp_path: Path) -> None:
    """An id of digits stays an id, a date stays as written, units stay numbers."""
    values = read_sidecar(
        sidecar(
            tmp_path,
            "cell_id: 0123\nformat: 21700\nscanned_at: 2026-03-01\n"
            "calibration: {artefact: ball bar, date: 2025-11-02}\n"
            "tube_voltage_kv: 190\nprojections: 3142\nsleeve: yes\noperator: Zoë\n",
        )
    ).values
    assert values == {
        "cell_id": "0123",
        "format": "21700",
        "scanned_at": "2026-03-01",
        "calibration_artefact": "ball bar",
        "calibration_date": "2025-11-02",
        "tube_voltage_kv": 190.0,
        "projections": 3142,
        "sleeve": True,
        "operator": "Zoë",
    }


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("cell_id: A\ntube_voltge_kv: 100\n", 2, "tube_voltage_kv"),
        ("voxel_size: 0.034\n", 1, "voxel_size_mm"),
        ("\nvoxel_size_mm:\n  z: 0.06\n  y: 0.05\n  w: 0.04\n", 5, "voxel_size_mm.w"),
        ("voxel_size_mm:\n  z: 0.06\n  y: 0.05\n", 1, "no x"),
        ("voxel_size_mm: [0.03, 0.03]\n", 1, "voxel_size_mm"),
        ("voxel_size_mm:\n  z: 0.06\n  y: -1\n  x: 0.05\n", 3, r"voxel_size_mm\.y: .*greater than 0"),
        ("voxel_size_mm:\n  z: 0.06\n  y: nan\n  x: 0.05\n", 3, "voxel_size_mm.y"),
        ("voxel_size_mm: 0,034\n", 1, "decimals with a point"),
        ("voxel_size_mm: [0,068, 0,034, 0,034]\n", 1, "decimals with a point"),
        ("voxel_size_mm: {z: 0,068, y: 0,034, x: 0,034}\n", 1, "decimals with a point"),
        ("cell_id: A\nvoxel_size_mm: 0_05\n", 2, "plain number .*'0_05'"),
        ("voxel_size_mm: 1:30\n", 1, "valid number"),
        ("projections: 1_000\n", 1, "plain number"),
        ("calibration:\n  date: 2026-02-30\n", 2, "no such day .*YYYY-MM-DD"),
        ("calibration: {date: 31.11.2025}\n", 1, "no such day"),
        ("calibration: {date: 2925-11-02}\n", 1, "not come yet"),
        ("calibration: {date: 0025-11-02}\n", 1, "before X-rays"),
        ("scanned_at: 2026-13-01 10:00\n", 1, "no such day"),
        ("calibration:\n  artefact: a\n  certificat: b\n", 3, "'certificate'"),
        ("cell_id: A\noperator: x\ncell_id: B\n", 3, "twice .*line 1"),
        ("field_of_view: upper\n", 1, "'top'"),
        ("projections: 12.5\n", 1, "projections"),
        ("sleeve: perhaps\n", 1, "sleeve"),
        ("tube_voltage_kv: {value: 3}\n", 1, "mapping"),
        ("cell_id: [unclosed\n", 2, "YAML"),
        ("shape: [[1, 2], 3]\n", 1, "nested"),
        ("calibration: last year\n", 1, "artefact, certificate, date"),
        ("- a list\n", 1, "key: value"),
        ("state_of_charge_percent: 130\n", 1, "100"),
        ("cycle_count: -1\n", 1, "cycle_count"),
    ],
)
def test_wrong_sidecar_names_file_and_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(ScanError, match=message) as caught:
        read_sidecar(sidecar(tmp_path, text))
    assert f"acquisition.yaml:{line}:" in str(caught.value)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("top", "top"),
        ("Bottom", "bottom"),
        ("whole", "whole"),
        ("both", "whole"),
        ("full", "whole"),
        ("none", "middle"),
    ],
)
def test_words_for_the_field_of_view(tmp_path: Path, word: str, meant: str) -> None:
    assert read_sidecar(sidecar(tmp_path, f"field_of_view: {word}\n")).values["field_of_view"] == meant


def test_phantoms_sidecar_is_read_back(tmp_path: Path) -> None:
    from xctrules.cylinder.phantom import PhantomSpec, draw

    spec = PhantomSpec(view="top", voxel_size_mm=(0.2, 0.2, 0.2), seed=5)
    folder = draw(spec).write(tmp_path / "p")
    scans = [gather(p).sidecar for p in (folder, *(q for q in folder.iterdir() if q.is_dir()))]
    told = next(found[0] for found in scans if found)
    assert told.values["voxel_size_mm"] == (0.2, 0.2, 0.2)
    assert told.values["field_of_view"] == "top"


@pytest.mark.parametrize(
    "day",
    ["2025-11-02", "2025-11-02T10:30:00", "02.11.2025", "11/30/2025", "30/11/2025", "12 Dec 2017", "2025"],
)
def test_days_as_people_write_them(tmp_path: Path, day: str) -> None:
    assert read_sidecar(sidecar(tmp_path, f"scanned_at: {day}\n")).values == {"scanned_at": day}


@pytest.mark.parametrize("value", ["0", "-0.001", "0.06", "2", "nan", "0.1 %"])
def test_scale_uncertainty_must_be_a_small_fraction(tmp_path: Path, value: str) -> None:
    with pytest.raises(ScanError, match=r"acquisition\.yaml:1: voxel_scale_relative_uncertainty: .*fraction"):
        read_sidecar(sidecar(tmp_path, f"voxel_scale_relative_uncertainty: {value}\n"))


@pytest.mark.parametrize("value", [1e-6, 0.001, 0.05])
def test_scale_uncertainty_in_range(tmp_path: Path, value: float) -> None:
    values = read_sidecar(sidecar(tmp_path, f"voxel_scale_relative_uncertainty: {value}\n")).values
    assert values["voxel_scale_relative_uncertainty"] == value


def test_sidecar_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "acquisition.yaml").write_bytes(b"\xff\xfe\x00c")
    with pytest.raises(ScanError, match="UTF-8"):
        read_sidecar(tmp_path / "acquisition.yaml")
    with pytest.raises(ScanError, match="cannot be read"):
        read_sidecar(tmp_path / "absent.yaml")


# --- merging ---------------------------------------------------------------------------------------------


def voxel(origin: str, *zyx: float | None, **others: Any) -> Found:
    return Found(origin, {"voxel_size_mm": zyx, **others})


def test_later_sources_win_key_by_key() -> None:
    merged = merge(
        [
            Found("a.xtekct", {"tube_voltage_kv": 200.0, "projections": 100}),
            Found("acquisition.yaml", {"tube_voltage_kv": 210.0, "operator": "N. N."}),
        ]
    )
    assert merged.values["tube_voltage_kv"] == 210.0
    assert merged.values["projections"] == 100
    assert merged.sources == {
        "tube_voltage_kv": "acquisition.yaml",
        "operator": "acquisition.yaml",
        "projections": "a.xtekct",
    }
    assert set(merged.values) == set(Acquisition.model_fields) - {"voxel_size_mm", *LAYOUT_KEYS}
    assert merged.values["filter"] is None


@given(
    base=st.floats(0.001, 0.4),
    relative=st.floats(-0.05, 0.05).filter(lambda r: abs(abs(r) - 0.005) > 1e-4),
    axis=st.integers(0, 2),
)
def test_voxel_sizes_half_a_per_cent_apart_are_said(base: float, relative: float, axis: int) -> None:
    other = [base] * 3
    other[axis] *= 1 + relative
    merged = merge([voxel("a.pca", *other), voxel("acquisition.yaml", base, base, base)])
    assert merged.voxel_size_mm == (base, base, base)
    if abs(relative) < 0.005:
        assert merged.warnings == ()
    else:
        (warning,) = merged.warnings
        assert "a.pca" in warning
        assert "acquisition.yaml" in warning
        assert f"{'zyx'[axis]} " in warning


@pytest.mark.parametrize(("other", "kept"), [(0.0401, True), (0.042, False)])
def test_scale_uncertainty_goes_with_its_voxel_size(other: float, kept: bool) -> None:
    """A calibration speaks of one voxel size; it says nothing of another that overrules it."""
    stated = voxel("acquisition.yaml", 0.04, 0.04, 0.04, voxel_scale_relative_uncertainty=0.0003)
    merged = merge([stated, voxel("command line", other, other, other)])
    assert (merged.values["voxel_scale_relative_uncertainty"] == 0.0003) is kept
    assert ("voxel_scale_relative_uncertainty" in merged.sources) is kept
    assert any("scale uncertainty" in w for w in merged.warnings) is not kept


def test_an_axis_not_given_is_taken_from_the_source_before() -> None:
    merged = merge([voxel("a.xtekct", 0.06, 0.04, 0.04), voxel("v.tif", None, 0.04, 0.04)])
    assert merged.voxel_size_mm == (0.06, 0.04, 0.04)
    assert merged.warnings == ()


def test_geometry_that_contradicts_the_voxel_size(tmp_path: Path) -> None:
    nikon = read_scanner_file(scanner(tmp_path, "a.xtekct", NIKON))
    assert merge([nikon]).warnings == ()  # 0.2 * 183.012 / 735.7075 = 0.049751
    phoenix = read_scanner_file(scanner(tmp_path, "a.pca", PHOENIX))
    assert merge([phoenix]).warnings == ()
    (warning,) = merge([Found("a.xtekct", {**nikon.values, "source_to_object_mm": 190.0})]).warnings
    assert "0.0516" in warning
    assert "a.xtekct" in warning
    # Both the overruled voxel size and the geometry speak against a wrong one in the sidecar.
    warnings = merge([nikon, voxel("acquisition.yaml", 0.05, 0.0512, 0.0512)]).warnings
    assert len(warnings) == 2
    # A coarser spacing of slices is no contradiction: geometry speaks of the slice alone.
    only_z = merge([nikon, voxel("acquisition.yaml", 0.0995, 0.04975, 0.04975)]).warnings
    assert len(only_z) == 1
    assert "z 0.049751 against 0.0995" in only_z[0]


def test_skyscan_distances_are_nominal(tmp_path: Path) -> None:
    """75 um * 24.755 / 286 is 6.49 um in this published log, whose scanner says 7.00: no warning is due."""
    assert merge([read_scanner_file(scanner(tmp_path, "a.log", SKYSCAN))]).warnings == ()


@pytest.mark.parametrize(
    ("step", "count", "due"),
    [
        (0.144, 2500, False),
        (0.144, 2501, False),
        (0.144, 2499, False),
        (0.144, 2400, True),
        (0.2, 2500, True),
    ],
)
def test_full_turn(step: float, count: int, due: bool) -> None:
    warnings = merge([Found("a.xtekct", {"angular_step_deg": step, "projections": count})]).warnings
    assert bool(warnings) is due
    if due:
        assert f"{count} projections" in warnings[0]


def test_half_turn_of_a_skyscan_is_as_it_should_be(tmp_path: Path) -> None:
    text = SKYSCAN.replace("Number Of Files=  601", "Number Of Files=  315").replace("=YES", "=NO")
    assert merge([read_scanner_file(scanner(tmp_path, "a.log", text))]).warnings == ()
    (warning,) = merge([read_scanner_file(scanner(tmp_path, "b.log", text.replace("=NO", "=YES")))]).warnings
    assert "360" in warning
