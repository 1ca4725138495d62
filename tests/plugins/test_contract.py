"""The bundled plugins give the measurements that scripts and archives rely on, and say what each is."""

from __future__ import annotations

from xctrules.core.protocols import Describes, ForGeometry
from xctrules.engine.registry import load_plugins

MEASUREMENTS = {
    "mm": """
        canister.outer_diameter canister.inner_diameter canister.wall_thickness.mean
        canister.wall_thickness.min canister.wall_thickness.max canister.wall_thickness.std
        canister.ovality canister.roundness canister.dent_depth winding.pitch winding.max_abs_error
        winding.rms_error winding.spiral_rms_error winding.core_collapse winding.concentricity
        winding.can_gap.min winding.can_gap.mean winding.delamination.largest
        screening.resolution screening.axis_residual
        segmentation.threshold_sensitivity overhang.length.mean overhang.length.std
        overhang.length.min overhang.length.max overhang.base_height.std overhang.base_height.range
        contamination.largest
    """,
    "1": """
        canister.eccentricity winding.turns screening.snr screening.cnr screening.layer_separation
        screening.cupping screening.ring_index screening.cone_beam_index screening.saturation
        screening.truncation screening.voxel_scale segmentation.coverage segmentation.separability
        segmentation.agreement overhang.count overhang.negative_fraction contamination.count
    """,
    "deg": """
        canister.tilt overhang.deflection.mean overhang.deflection.std overhang.deflection.max_abs
    """,
}
"""By unit; the overhang's are there for each end as well."""


def wanted() -> dict[str, str]:
    units = {name: unit for unit, names in MEASUREMENTS.items() for name in names.split()}
    for end in ("top", "bottom"):
        units |= {
            name.replace("overhang.", f"overhang.{end}."): unit
            for name, unit in units.items()
            if name.startswith("overhang.") and name.count(f".{end}.") == 0 and ".top." not in name
        }
    return units


def test_every_measurement_is_there_in_its_unit() -> None:
    declared = load_plugins(third_party=False).measurements
    lacking = {name: unit for name, unit in wanted().items() if declared.get(name) != unit}
    assert not lacking


def test_every_measurement_is_described_for_its_reader() -> None:
    found = load_plugins(third_party=False)
    for provided in (*found.screens, *found.metrics):
        metric = provided.value
        assert isinstance(metric, Describes), metric.name
        assert isinstance(metric, ForGeometry) and metric.geometry == "cylindrical"
        for name, unit in metric.declares.items():
            said = metric.describes[name]
            assert said.unit == unit and said.title and said.meaning, name
            assert not said.meaning.endswith("."), name
