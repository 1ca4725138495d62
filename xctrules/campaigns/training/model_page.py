"""The shipped model's page: what was asked of it, what came out, where it and the labels differ. All from its
card and the pictures of the evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xctrules.campaigns.training.evaluate import CLASSES, SEGMENTERS, STEPS, Disagreement
from xctrules.campaigns.training.phantom_planes import UNKNOWN
from xctrules.core.wording import counted, fixed, share, signed
from xctrules.cylinder.model_card import ModelCard
from xctrules.cylinder.surfaces import LABELS
from xctrules.pages import charts
from xctrules.pages.embedding import data_uri
from xctrules.pages.environment import environment
from xctrules.pages.figure_views import FigureView, table_view
from xctrules.pages.typography import typeset

Json = Mapping[str, Any]

_COLOURS = {
    "can": (255, 150, 40),
    "cathode": (70, 190, 70),
    "copper": (40, 170, 250),
    "overhang": (60, 60, 235),
}
"""Blue, green, red, as OpenCV writes them."""
_NOT_KNOWN = (190, 60, 190)
_DARK, _BRIGHT = -0.3, 2.0
_ENLARGED = 3

_MARKS = {True: ("✓", "holds"), False: ("✕", "does not hold"), None: ("○", "not looked at")}
_CSS = {True: "is-pass", False: "is-fail", None: "is-incomplete"}
_STYLES = {"classical": "role-can", "unet": "role-anode"}
_NAMES = {"classical": "classical segmenter", "unet": "U-Net"}

ATTRIBUTION = (
    "Scan: MPJ-Imaging/battery_xct_workflows (doi 10.5281/zenodo.17625584), MIT licence, copyright 2025 "
    "University College London, Department of Chemical Engineering."
)


@dataclass(frozen=True)
class Picture:
    """One place where model and labels differ: grey, labelled and found side by side."""

    title: str
    caption: str
    source: str
    width: int
    height: int


def render(card: ModelCard, places: Sequence[Disagreement]) -> str:
    """The page as HTML, complete in itself."""
    return environment().get_template("model.html.j2").render(page=page(card, places))


def page(card: ModelCard, places: Sequence[Disagreement]) -> dict[str, Any]:
    """Everything that the template shows, as text and positions."""
    scores: Any = card.scores
    criteria = scores["criteria"]
    failing = [c for c in criteria if c["holds"] is False]
    return {
        "card": card,
        "holds": not failing,
        "title": _title(len(failing)),
        "summary": _summary(scores, failing),
        "criteria": [
            (c["id"], c["asked"], _with_unit(c), _MARKS[c["holds"]], _CSS[c["holds"]]) for c in criteria
        ],
        "ladder": _ladder_table(scores["ladder"]["table"]),
        "ladder_rows": _ladder_rows(scores["ladder"]["rows"]),
        "charts": [_share_chart(scores["ladder"]["table"]), _error_chart(scores["ladder"]["table"])],
        "noise": _noise_table(scores.get("noise", [])),
        "dice": _dice_table(scores),
        "lengths": _length_table(scores.get("scan", {})),
        "voxels": _voxel_table(scores["voxel_sizes"]),
        "pictures": [_picture(i + 1, place) for i, place in enumerate(places)],
        "scanned": "scan" in scores,
        "attribution": ATTRIBUTION,
        "facts": _facts(card),
    }


def _with_unit(criterion: Json) -> str:
    """What was found, in the unit in which it was asked for; Dice scores have none."""
    found, asked = typeset(str(criterion["found"])), str(criterion["asked"])
    if not found[-1].isdigit():
        return found
    if "z voxel" in asked:
        return f"{found} z voxels"
    if "%" in asked:
        return f"{found} %"
    return f"{found} more" if " more than " in asked else found


def _title(failing: int) -> str:
    if not failing:
        return "All requirements are met"
    return "1 requirement is not met" if failing == 1 else f"{failing} requirements are not met"


def _summary(scores: Json, failing: Sequence[Json]) -> list[str]:
    lines = [f"Not met: {c['id']} is {c['found']}, asked is {c['asked']}." for c in failing]
    table = {line["step"]: line for line in scores["ladder"]["table"]}
    worst = table["all three"]
    lines.append(
        "Where noise is tripled, blur raised to 1.5 voxels and contrast halved together, the classical "
        f"segmenter measures {share(worst['classical']['share'])} of the overhangs and the U-Net "
        f"{share(worst['unet']['share'])}."
    )
    if "scan" not in scores:
        lines.append("No real scan had a part in training or scores.")
    return lines


# --- tables ----------------------------------------------------------------------------------------------


def _ladder_table(table: Sequence[Json]) -> dict[str, Any]:
    """With a heading over each segmenter's columns."""
    rows = []
    for line in table:
        row = [line["step"]]
        for name in SEGMENTERS:
            own = line[name]
            cells = f"{own['measured_cells']} of {line['cells']}"
            row += [
                cells,
                share(own["share"]),
                share(own.get("within_one")),
                typeset(signed(own["worst_error"], 2)),
            ]
        rows.append(row)
    own_columns = ("cells measured", "places measured", "to within a z voxel", "worst mean error, z voxels")
    columns = ["Scan", *own_columns * len(SEGMENTERS)]
    shown = table_view("Both segmenters over the degradation ladder", columns, rows)
    return {**vars(shown), "groups": [(_NAMES[name], len(own_columns)) for name in SEGMENTERS]}


def _ladder_rows(rows: Sequence[Json]) -> FigureView:
    return table_view(
        "Each cell, errors and their standard deviation in z voxels",
        ["Cell", "Scan"]
        + [f"{_NAMES[n]}: {w}" for n in SEGMENTERS for w in ("places measured", "mean error", "scatter")],
        [
            [row["cell"], row["step"]]
            + [
                text
                for n in SEGMENTERS
                for text in (
                    share(row[n]["share"]),
                    typeset(signed(row[n]["error"], 2)),
                    fixed(row[n].get("scatter"), 2),
                )
            ]
            for row in rows
        ],
        text_columns=2,
    )


def _noise_table(rows: Sequence[Json]) -> FigureView | None:
    if not rows:
        return None
    shown = [
        [
            row["cell"],
            f"{row['noise']:g} times",
            f"{row['contrast']:.1f}",
            share(row["unet"]["share"]),
            share(row["unet"].get("within_one")),
            typeset(signed(row["unet"]["error"], 2)),
            fixed(row["unet"].get("confidence"), 2),
        ]
        for row in rows
    ]
    columns = [
        "Cell",
        "Noise",
        "Contrast",
        "Places measured",
        "To within a z voxel",
        "Mean error, z voxels",
        "Median confidence",
    ]
    return table_view("The U-Net in ever more noise", columns, shown)


def _dice_table(scores: Json) -> FigureView:
    rows = [["phantoms at published noise", str(scores["phantoms"]["planes"]), scores["phantoms"]["dice"]]]
    for end, own in scores.get("scan", {}).items():
        rows.append([f"scan, {end}: test third", str(own["planes"]), own["dice"]])
        rows += [
            [f"scan, {end}: {part} third", str(other["planes"]), other["dice"]]
            for part, other in own["other_parts"].items()
        ]
    shown = [[name, planes, *(fixed(dice[c], 3) for c in CLASSES)] for name, planes, dice in rows]
    return table_view("Dice by class", ["Planes of", "Planes", *CLASSES], shown)


def _length_table(ends: Json) -> FigureView | None:
    rows = []
    for end, own in ends.items():
        found = own["lengths"]
        for name, label in (("classical", "labels"), ("unet", "U-Net")):
            mean = found[name]["mean_mm"]
            rows.append([f"{end}, {label}", str(found[name]["count"]), fixed(mean, 4)])
    if not rows:
        return None
    return table_view("Overhangs in the test third", ["End", "Number", "Mean length, mm"], rows)


def _voxel_table(rows: Sequence[Json]) -> FigureView:
    return table_view(
        "One cell, three voxel sizes",
        ["Voxel, µm", "Mean overhang, mm", "Off the truth, z voxels", "Share of places"],
        [
            [
                f"{1000 * row['voxel_mm']:.0f}",
                fixed(row.get("length_mm") or None, 4),
                typeset(signed(row["error"], 2)),
                share(row["share"]),
            ]
            for row in rows
        ],
    )


def _facts(card: ModelCard) -> list[tuple[str, str]]:
    t, s = card.training, card.scope
    low, high = (1000 * v for v in s.voxel_mm)
    return [
        ("Data", t.data),
        ("Seed", str(t.seed)),
        ("Scope: voxels", f"{low:g} to {high:g} µm"),
        ("Scope: least contrast", f"{s.least_contrast:g} times the noise of a pixel"),
        ("Scope: least confidence", f"{s.least_confidence:g}"),
        (
            "Standard uncertainty common to all lengths",
            f"{1000 * card.common_error.sigma_mm:.0f} µm: {card.common_error.source}",
        ),
        ("Foil", f"labelled {card.foil_mm:g} mm wide"),
        ("Licence", card.licence),
        *((f"SHA-256 of {name}", digest) for name, digest in card.sha256.items()),
        ("Made with", ", ".join(f"{name} {version}" for name, version in card.versions.items())),
    ]


# --- charts and pictures ---------------------------------------------------------------------------------


def _share_chart(table: Sequence[Json]) -> FigureView:
    return _chart(
        table,
        "Share of the overhangs that is measured",
        "ladder-share",
        "share, %",
        lambda own: None if own["share"] is None else 100 * own["share"],
    )


def _error_chart(table: Sequence[Json]) -> FigureView:
    return _chart(
        table,
        "Worst mean error over the cells",
        "ladder-error",
        "mean error, z voxels",
        lambda own: own["worst_error"],
    )


def _chart(table: Sequence[Json], title: str, anchor: str, y_label: str, value: Any) -> FigureView:
    steps = np.arange(1, len(table) + 1, dtype=float)
    series = []
    for name in SEGMENTERS:
        y = np.array([np.nan if (v := value(line[name])) is None else v for line in table], dtype=float)
        series.append((_NAMES[name], _STYLES[name], steps, y))
    order = "; ".join(f"{i + 1} {step}" for i, (step, *_) in enumerate(STEPS))
    said = "; ".join(f"{label}: {', '.join(f'{v:.2f}' for v in y)}" for label, _, _, y in series)
    return FigureView(
        kind="lines",
        title=title,
        caption=f"Scans: {order}.",
        alt=f"{title}. {said}",
        chart=charts.line_chart(series),
        x_label="scan",
        y_label=y_label,
        legend=tuple((style, label, False) for label, style, _, _ in series),
        anchor=anchor,
    )


def _picture(number: int, place: Disagreement) -> Picture:
    import cv2

    level = np.clip((place.grey - _DARK) / (_BRIGHT - _DARK) * 255, 0, 255).astype(np.uint8)
    grey = np.repeat(level[..., None], 3, axis=2)
    panes = [_enlarged(grey), *(_outlined(grey, labels) for labels in (place.label, place.found))]
    gap = np.full((panes[0].shape[0], 2, 3), 128, np.uint8)
    picture = np.hstack([panes[0], gap, panes[1], gap, panes[2]])
    data = cv2.imencode(".png", _few_colours(picture), [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
    stretch = (
        f"{place.theta_deg:.0f}°"
        if place.planes == 1
        else f"{place.first_deg:.0f}° to {place.last_deg:.0f}°, shown at {place.theta_deg:.0f}°"
    )
    return Picture(
        title=f"{number}. {place.said} where {place.labelled} is labelled",
        caption=typeset(
            f"{stretch}; r {place.r_mm:.2f} mm, {place.height_mm:+.2f} mm from the edge; "
            f"{counted(place.pixels, 'pixel')} in {counted(place.planes, 'plane')}"
        ),
        source=data_uri(data),
        width=picture.shape[1],
        height=picture.shape[0],
    )


def _enlarged(image: Any) -> Any:
    import cv2

    return cv2.resize(image, None, fx=_ENLARGED, fy=_ENLARGED, interpolation=cv2.INTER_NEAREST)


def _outlined(grey: Any, labels: Any) -> Any:
    """The grey picture with the inner outline of each class."""
    import cv2

    picture, marks = _enlarged(grey).copy(), _enlarged(labels)
    for value, colour in [(LABELS[n], c) for n, c in _COLOURS.items()] + [(UNKNOWN, _NOT_KNOWN)]:
        mask = (marks == value).astype(np.uint8)
        picture[(mask - cv2.erode(mask, np.ones((3, 3), np.uint8))) > 0] = colour
    return picture


def _few_colours(picture: Any) -> Any:
    """Greys in 16 steps, which a PNG packs well."""
    return (picture // 16 * 17).astype(np.uint8)
