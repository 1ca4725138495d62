# ruff: noqa: E501  the captions and rows read better unbroken
"""Records to draw reports from: built by hand in the contract's shape, with figures drawn here from geometry.

The numbers are made up; what matters is that every part of a record is there and that no two parts look alike.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

from xctrules.core.canonical import plain
from xctrules.core.figures import Histogram, ImageFigure, LineChart, Polyline, Table
from xctrules.core.measurement import coverage_factor_95
from xctrules.pages import colour
from xctrules.pages.figures import figure_to_json

VERDICT_CODES = ("PASS", "CONDITIONAL_PASS", "CONDITIONAL_FAIL", "FAIL")
DECISION_RULES = ("simple", "guarded", "iso14253", "four_state")


def measured(
    value: float,
    unit: str,
    *sources: tuple[str, float, str, bool],
    n: int = 30,
    dof: float | None = 40,
    **more: Any,
) -> dict[str, Any]:
    """A measurement as the record holds it, from its budget of (source, contribution, type, shared)."""
    u = math.sqrt(sum(contribution**2 for _, contribution, _, _ in sources))
    k = coverage_factor_95(math.inf if dof is None else dof)
    return {
        "status": "measured", "value": value, "unit": unit, "standard_uncertainty": u,
        "expanded_uncertainty": k * u, "coverage_factor": k, "degrees_of_freedom": dof, "n": n,
        "worst_at": None, "reason": None,
        "budget": [
            {"source": s, "contribution": c, "type": t, "shared": shared, "degrees_of_freedom": None if t == "B" else dof}
            for s, c, t, shared in sources
        ],
        **more,
    }  # fmt: skip


def absent(unit: str, reason: str, status: str = "not_measured") -> dict[str, Any]:
    return {
        "status": status, "value": None, "unit": unit, "standard_uncertainty": None, "expanded_uncertainty": None,
        "coverage_factor": None, "degrees_of_freedom": None, "n": None, "worst_at": None, "reason": reason, "budget": [],
    }  # fmt: skip


def check(title: str, measurement: str, outcome: str, **more: Any) -> dict[str, Any]:
    return {
        "rule": title.lower().replace(" ", "-"), "title": title, "measurement": measurement, "min": None, "max": None, "unit": "mm", "at": "21700.yaml:14",
        "status": "datasheet", "source": "", "decision_rule": "guarded", "severity": "major", "outcome": outcome,
        "guard_band": None, "margin": None, "probability_of_conformity": None, "tur": None,
        "under_other_rules": dict.fromkeys(DECISION_RULES, outcome), **more,
    }  # fmt: skip


def _drawn_volume() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A small can with rings inside, (20, 120, 120)."""
    y, x = np.mgrid[:120, :120] - 59.5
    r = np.hypot(x, y)
    section = np.where(r < 50, 60 + 40 * np.cos(2 * math.pi * r / 6), 0) + np.where(abs(r - 54) < 3, 180, 0)
    return np.repeat(np.clip(section, 0, 255).astype(np.uint8)[None], 20, axis=0)


def _figures(volume: Any, voxel: tuple[float, float, float]) -> dict[str, list[Any]]:
    rng = np.random.default_rng(7)
    nz, ny, nx = volume.shape
    theta = np.linspace(0, 2 * np.pi, 181)
    centre, radius = ((nx - 1) / 2 + 2, (ny - 1) / 2 + 14), 0.4285 * nx
    circle = np.column_stack([centre[0] + radius * np.cos(theta), centre[1] + radius * np.sin(theta)])
    plane = np.repeat(volume[:, ny // 2, nx // 2 :], 1, axis=0)
    width = plane.shape[1]
    foils = np.arange(0.12 * width, 0.8 * width, 0.031 * width)
    anode = np.concatenate([[(x - 4, 0.6 * nz), (x, 0.72 * nz), (math.nan, math.nan)] for x in foils])
    cathode = np.column_stack([foils + 5, 0.72 * nz + rng.normal(0, 0.4, foils.size)])
    angle = np.linspace(0, 360, 360, endpoint=False)
    height = np.linspace(0, 1, 40)
    bump = np.exp(-(((angle[None] - 218) / 14) ** 2) - ((height[:, None] - 0.6) / 0.2) ** 2)
    deviation = 0.010 * np.cos(np.deg2rad(2 * angle))[None] - 0.024 * bump + rng.normal(0, 0.0015, (40, 360))
    deviation[:3, 90:120] = np.nan
    error = np.abs(rng.normal(0, 0.012, (26, 360))).cumsum(axis=1) % 0.09
    turns = np.arange(26)
    lengths = np.concatenate([rng.normal(0.66, 0.06, 1300), rng.normal(0.45, 0.05, 60)])
    can = [
        ImageFigure(
            "canister-deviation", "Deviation of the outer surface from the fitted ellipse",
            "The can rolled out: angle across, height down. Blue is a dent, orange a bulge. A sound can shows two or four faint "
            "even bands (ovality) and no island; a dent is a compact blue island with a steep rim.",
            "Map of the can's radial deviation over angle and height with its deepest place marked",
            colour.diverging(deviation, 0.03),
            overlays=(Polyline(np.array([[218.0, 24.0]]), "worst", "deepest place", marker=True),),
            value_range=(-0.03, 0.03), value_label="deviation / mm", colour_map="diverging",
            x_axis=("θ / deg", 0.0, 359.0), y_axis=("z / mm", 4.2, 6.8),
        ),
        ImageFigure(
            "canister-slice", "Slice with the largest ovality, z = 6.10 mm",
            "The dashed ellipse should lie inside the bright rim's outer edge all the way round. Where it parts from the "
            "surface line, the can is dented or the fit was misled.",
            "Axial slice of the can with the located surface and the fitted ellipse", volume[int(0.9 * nz)],
            pixel_mm=(voxel[1], voxel[2]),
            overlays=(
                Polyline(circle, "can", "outer surface", closed=True),
                Polyline(circle * [1.004, 0.996], "fit", "robust ellipse", closed=True),
                Polyline(circle[110:111], "worst", "deepest place", marker=True),
            ),
        ),
        LineChart(
            "canister-radius", "Mean radius along the height",
            "Flat in the straight part; the bead and the crimp leave it to the left. A slope is a tilt or a taper.",
            "Line of the mean outer and inner radius against height",
            (
                ("outer surface", "can", np.linspace(4.2, 6.8, 40), 10.605 + rng.normal(0, 0.002, 40)),
                ("inner surface", "note", np.linspace(4.2, 6.8, 40), 10.385 + rng.normal(0, 0.002, 40)),
            ),
            "z / mm", "radius / mm",
        ),
    ]  # fmt: skip
    overhang = [
        ImageFigure(
            "overhang-plane-040", "Half-plane at θ = 40°: the shortest overhang",
            "Axis to the left, can to the right, outside of the cell above. Each orange line is the free copper foil from the cathode's edge to its "
            "own tip; blue dots are cathode edges. A tip below its dots is a negative overhang.",
            "Half-plane through the axis with anode edges and cathode edges", plane, pixel_mm=(voxel[0], voxel[2]),
            overlays=(
                Polyline(anode, "anode", "anode (copper foil)"),
                Polyline(cathode, "cathode", "cathode edge", marker=True),
                Polyline(anode[9:11], "worst", "shortest overhang"),
            ),
        ),
        Histogram.of(
            lengths, id="overhang-length", title="Overhang length", x_label="length", unit="mm",
            caption="One hump, well right of zero. A tail towards zero or a second hump means that part of the roll is shifted.",
            alt="Histogram of overhang lengths with the limit at zero", marks=(("limit 0", 0.0), ("mean", float(lengths.mean()))),
        ),
        Histogram.of(
            rng.normal(-3.5, 4.1, 1360), id="overhang-deflection", title="Deflection of the free foil", x_label="deflection", unit="deg",
            caption="Narrow and near zero when the foil stands straight; wide or lopsided when it is bent over.",
            alt="Histogram of deflection angles",
        ),
        Table(
            "overhang-per-turn", "Overhang by turn",
            "Look for a turn whose shortest length stands out from its neighbours.",
            ("turn", "n", "mean length / mm", "min / mm", "θ of min / deg", "mean deflection / deg", "remark"),
            tuple(
                (int(t), 56, 0.66 + 0.004 * float(rng.normal()), 0.41 + 0.05 * float(rng.random()), 40.0 + float(t),
                 -3.5 + 0.2 * float(rng.normal()), "tab here" if t == 10 else None)
                for t in turns
            ),
        ),
    ]  # fmt: skip
    winding = [
        ImageFigure(
            "winding-map", "Distance from the ideal path, turn by turn",
            "The roll rolled out: angle across, turns down from the core. A buckled core shows as a dark-to-bright patch in the "
            "first rows that fades outward; the tab as a narrow column.",
            "Map of winding error over angle and turn", colour.sequential(error, 0.0, 0.09),
            value_range=(0.0, 0.09), value_label="|error| / mm", colour_map="sequential",
            x_axis=("θ / deg", 0.0, 359.0), y_axis=("turn", 0.0, 25.0),
        ),
        LineChart(
            "winding-rms", "Error of each turn", "Innermost turns bend most. A peak in the middle is the tab.", "RMS error by turn",
            (
                ("largest", "worst", turns.astype(float), 0.07 * np.exp(-turns / 6) + 0.03),
                ("RMS", "fit", turns.astype(float), np.where(turns == 12, np.nan, 0.03 * np.exp(-turns / 6) + 0.012)),
            ),
            "turn", "error / mm",
        ),
    ]  # fmt: skip
    return {"canister": can, "overhang": overhang, "winding": winding}


def full_record(
    volume: Any = None, voxel: tuple[float, float, float] = (0.06794, 0.03397, 0.03397)
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """A record with something in every part, and its images."""
    volume = _drawn_volume() if volume is None else volume
    images: dict[str, bytes] = {}
    sections = []
    for metric, title in (("canister", "Can"), ("overhang", "Overhang"), ("winding", "Winding")):
        listed = []
        for figure in _figures(volume, voxel)[metric]:
            data, files = figure_to_json(figure)
            listed.append(data)
            images.update(files)
        sections.append(
            {"metric": metric, "title": title, "figures": listed, "about_the_scan": metric == "screening"}
        )
    sections.append({"metric": "centre_pin", "title": "Centre pin", "figures": []})
    sections.append({"metric": "screening", "title": "Screening", "figures": [], "about_the_scan": True})

    def scale(length: float) -> tuple[str, float, str, bool]:
        return ("voxel scale", 0.001 * length, "B", True)

    measurements = {
        "canister.outer_diameter": measured(
            21.2098, "mm", scale(21.21), ("edge noise", 0.0009, "A", False), ("sampling of angle and height", 0.0021, "A", False), n=38,
        ),
        "canister.wall_thickness.mean": measured(0.2213, "mm", scale(0.2213), ("blur model", 0.004, "B", False), n=13680),
        "canister.dent_depth": measured(
            0.0214, "mm", scale(0.0214), ("edge noise", 0.0019, "A", False), n=13680, worst_at={"z_mm": 5.93, "theta_deg": 218.0},
        ),
        "canister.eccentricity": measured(0.0461, "1", ("fit", 0.0042, "A", False), n=38, dof=37, worst_at={"z_mm": 6.1}),
        "canister.tilt": measured(0.214, "deg", ("line fit", 0.011, "A", False), n=38, dof=36),
        "overhang.length.mean": measured(0.6594, "mm", scale(0.6594), ("edge location", 0.0071, "B", False), n=1360),
        "overhang.length.min": measured(
            0.412, "mm", scale(0.412), ("edge location", 0.024, "B", False), ("order statistic", 0.018, "A", False), n=1360,
            dof=22, worst_at={"turn": 3, "theta_deg": 40.0, "z_mm": 4.61},
        ),
        "overhang.negative_fraction": measured(0.0, "1", ("counting", 0.0007, "A", False), n=1360),
        "overhang.count": measured(1360, "1", n=1360, dof=None),
        "overhang.bottom.length.min": absent("mm", "the lower end is not in view", "not_applicable"),
        "winding.turns": measured(26.4, "1", ("ends of the foil", 0.03, "B", False), n=30),
        "winding.pitch": measured(0.3838, "mm", scale(0.3838), ("line fit", 0.00021, "A", False), n=26),
        "winding.core_collapse": absent("mm", "the two innermost turns could not be followed at any height"),
        "centre_pin.diameter": absent("mm", "plugin centre_pin failed: division by zero", "failed"),
        "screening.snr": measured(18.2, "1", ("repeat over slices", 0.6, "A", False), n=30),
        "screening.resolution": measured(0.0812, "mm", scale(0.0812), ("edge fit", 0.0031, "A", False), n=360),
        "screening.cone_beam_index": absent("1", "less than 10 mm of height in view"),
    }  # fmt: skip

    def firm(name: str) -> dict[str, Any]:
        return {
            "tur": 3.4,
            "at": "21700.yaml:14",
            "margin": 0.003,
            "probability_of_conformity": 0.9999,
            "measurement": name,
        }

    cautious = {
        "simple": "PASS",
        "guarded": "CONDITIONAL_FAIL",
        "iso14253": "CONDITIONAL_PASS",
        "four_state": "CONDITIONAL_PASS",
    }
    checks = [
        check("Outer diameter", "canister.outer_diameter", "CONDITIONAL_FAIL", max=21.25, severity="critical",
              source="Samsung INR21700-50S", guard_band=measurements["canister.outer_diameter"]["expanded_uncertainty"], margin=0.0402, probability_of_conformity=0.9706, tur=None, at="21700.yaml:14", under_other_rules=cautious),
        check("No negative overhang", "overhang.length.min", "CONDITIONAL_PASS", min=0.0, severity="critical", status="standard",
              margin=0.412, probability_of_conformity=0.99999, at="21700.yaml:31"),
        check("Wall thickness", "canister.wall_thickness.mean", "CONDITIONAL_PASS", min=0.1, max=0.34, status="indicative", source="batterydesign.net",
              margin=0.1187, probability_of_conformity=1.0, tur=14.8, at="21700.yaml:22"),
        check("Dent depth", "canister.dent_depth", "CONDITIONAL_PASS", max=0.15, status="indicative", severity="minor", margin=0.1286,
              probability_of_conformity=1.0, at="21700.yaml:26", decision_rule="iso14253"),
        check("Core collapse", "winding.core_collapse", "INCOMPLETE", max=0.2, status="indicative", at="21700.yaml:40"),
        check("Tilt in the scanner", "canister.tilt", "PASS", max=1.0, unit="deg", status="drawing", severity="minor", margin=0.786,
              probability_of_conformity=1.0, at="21700.yaml:44", decision_rule="simple"),
        check("No negative overhang, lower end", "overhang.bottom.length.min", "NOT_APPLICABLE", min=0.0, status="standard",
              at="21700.yaml:34", severity="critical"),
    ]  # fmt: skip
    record = {
        "schema": "xctrules.record/1",
        "cell_id": "UCL-21700-A",
        "verdict": "CONDITIONAL_FAIL",
        "reasons": [
            "Outer diameter: 21.210 ± 0.043 mm lies below the limit of 21.25 mm by less than its guard band of 0.043 mm.",
            "Core collapse: not measured, because the two innermost turns could not be followed at any height.",
        ],
        "probability_of_conformity": 0.9705,
        "verdict_under_other_rules": cautious,
        "scope": {
            "ends": ["top"], "height_seen_mm": 6.79, "straight_can_mm": 2.58, "nominal_height_mm": 70.0,
            "places": {"top": True, "bottom": False}, "place_noun": "end",
            "text": "for the top end, 6.8 of 70.0 mm seen, 2.6 mm of it straight can",
        },
        "descriptions": {"canister.outer_diameter": {"unit": "mm", "meaning": "outer diameter of the can"}},
        "spec": {
            "name": "21700", "version": "1.0", "sha256": "5f" * 32, "text": "name: 21700\nnominal:\n  height_mm: 70.0  # <mm>\n",
            "resolved": {"name": "21700", "nominal": {"height": {"value": 70.0, "unit": "mm", "source": "made up"}}},
        },
        "scan": {
            "shape": [100, 728, 728], "dtype": "uint8", "voxel_size_mm": list(voxel), "files": 100, "sha256": "c3" * 32,
        },
        "acquisition": {
            "instrument": None, "tube_voltage_kv": None, "projections": None, "voxel_scale_relative_uncertainty": None,
            "slice_order": "top_to_bottom", "field_of_view": "top",
        },
        "acquisition_sources": {"slice_order": "acquisition.yaml", "field_of_view": "acquisition.yaml"},
        "warnings": ["No uncertainty of the voxel size is stated: 0.1 % of each length is assumed."],
        "failures": [
            {"plugin": "centre_pin", "metric": "centre_pin", "message": "ZeroDivisionError: division by zero",
             "traceback": "Traceback (most recent call last):\n  File \"pin.py\", line 12, in measure\nZeroDivisionError: division by zero\n"},
        ],
        "measurements": measurements,
        "checks": checks,
        "sections": sections,
        "plugins": [
            {"name": name, "version": "0.1.0", "sha256": f"{i:02x}" * 32}
            for i, name in enumerate(("canister", "overhang", "winding", "screening", "segmentation", "centre_pin"), 17)
        ],
        "software": {"xctrules": "0.1.0", "python": "3.11.2", "numpy": "2.1.0"},
        "parameters": {"angles": 360, "segmenter": "classical", "segmentation": {"edge_level": 0.5, "heights_mm": [4.2, 6.8]}},
        "files": [{"name": "samples/overhang.csv", "sha256": "aa" * 32}, {"name": "samples/can.csv", "sha256": "bb" * 32}],
        "run": {
            "started": "2026-11-22T15:10:00Z", "seconds": 3.92, "host": "lab-ct-3", "operator": None,
            "steps": {"read": 0.41, "frame": 0.38, "segment": 1.22, "measure": 0.9},
        },
    }  # fmt: skip
    return plain(record), images


def with_verdict(record: dict[str, Any], code: str) -> dict[str, Any]:
    """The record with another verdict."""
    changed = copy.deepcopy(record)
    changed["verdict"] = code
    return changed


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</script><script>",
    "<!--",
    "{{ 7 * 7 }}",
    "a\\u003cb",
    "\\\\u003c<",
    "'\"&amp;&lt;",
    "]]>\u2028\u00e9",
)
"""Texts that would break a page that did not escape them."""


def hostile_texts(record: dict[str, Any], text: str) -> None:
    """Put ``text`` wherever a scan, a spec, a plugin or a user can put text of their own."""
    record["cell_id"] = text
    record["reasons"] = [text]
    record["warnings"] = [text]
    record["spec"]["text"] = text * 3
    record["plugins"][0]["name"] = text
    record["failures"][0].update(plugin=text, message=text, traceback=text)
    record["parameters"][text] = text
    record["acquisition"][text] = text
    record["checks"][0].update(title=text, source=text, at=text, unit=text, decision_rule=text, severity=text)
    record["measurements"][text] = absent(text, text)
    for section in record["sections"]:
        section["title"] = text
        for figure in section["figures"]:
            for key in ("title", "caption", "alt", "x_label", "y_label", "value_label"):
                if key in figure:
                    figure[key] = text
            for line in figure.get("overlays", ()):
                line.update(label=text, role=text)
            for axis in ("x_axis", "y_axis"):
                if figure.get(axis):
                    figure[axis][0] = text


def bare_record() -> dict[str, Any]:
    """Only what the contract asks for, with nothing measured."""
    record, _ = full_record()
    bare = {
        key: record[key]
        for key in (
            "schema",
            "cell_id",
            "spec",
            "scan",
            "acquisition",
            "plugins",
            "software",
            "parameters",
            "run",
            "scope",
        )
    }
    measurements = {
        name: absent(m["unit"], "the can was not found in the scan")
        for name, m in record["measurements"].items()
    }
    checks = [
        {
            **c,
            "outcome": "INCOMPLETE",
            "margin": None,
            "probability_of_conformity": None,
            "tur": None,
            "under_other_rules": {},
        }
        for c in record["checks"]
    ]
    return plain(
        {**bare, "verdict": "INCOMPLETE", "reasons": ["Nothing was measured."], "probability_of_conformity": None,
         "measurements": measurements, "checks": checks, "sections": []}
    )  # fmt: skip


def hostile_record(text: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    record, images = full_record()
    hostile_texts(record, text)
    return record, images
