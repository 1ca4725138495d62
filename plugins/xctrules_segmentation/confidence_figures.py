"""What the report shows of a trained segmenter's confidence."""

from __future__ import annotations

import numpy as np

from xctrules.core.figures import ImageFigure, Polyline
from xctrules.cylinder.frame import End
from xctrules.cylinder.surfaces import LABELS, ConfidenceMap
from xctrules.pages.colour import sequential

_ENLARGED = 4
"""Drawn pixels for each pixel of an example: outlines of foils two pixels wide need the room."""

_USUAL_AGREEMENT, _LOW_AGREEMENT = 0.93, 0.85
"""Of the bundled model on a real scan, and the least that was asked of it there; see docs/unet.md."""

_ROLES = {"can": "can", "cathode": "cathode", "copper": "fit", "overhang": "anode"}


def draw_confidence(end: End, confidence: ConfidenceMap) -> ImageFigure:
    """Confidence over turn and angle as colour."""
    values = confidence.confidence
    known = values[np.isfinite(values)]
    low = min(float(known.min()) if known.size else 1.0, confidence.least)
    high = max(float(known.max()) if known.size else 1.0, low + 1e-3)
    rows = np.repeat(values[::-1], max(1, 240 // max(values.shape[0], 1)), axis=0)
    doubtful = int((known < confidence.least).sum())
    told = (
        f"{doubtful} of {known.size} lie below the {confidence.least:.2f} that the model's card asks for; "
        "they were not measured."
        if doubtful
        else f"None of the {known.size} lies below the {confidence.least:.2f} that its card asks for."
    )
    return ImageFigure(
        id=f"segmentation-confidence-{end}",
        title=f"Confidence of the model, {end} end",
        caption="Mean of the largest class probability around each overhang's edges. Turn 0 is the "
        "innermost. Look for dark patches: there the scan shows what the model has not learnt, such as a "
        "tab, a crease or debris, and the lengths deserve a look by eye. "
        f"{told} Grey places had no edge to look at.",
        alt=f"Colour map of the model's confidence at the {end} end over turn and angle",
        image=sequential(np.repeat(rows, max(1, 720 // values.shape[1]), axis=1), low, high),
        value_range=(low, high),
        value_label="confidence",
        colour_map="sequential",
        x_axis=("angle (deg)", 0.0, 360.0),
        y_axis=("turn", float(values.shape[0]), 0.0),
    )


def draw_example(end: End, confidence: ConfidenceMap, agreement: float | None = None) -> ImageFigure:
    """The half-plane of least confidence with the outlines of the classes.

    ``agreement`` is the mean Dice score between this segmenter and the classical one, where there is one.
    """
    import cv2

    height, width = confidence.grey.shape
    size = (width * _ENLARGED, height * _ENLARGED)
    grey = np.clip(255 * (confidence.grey + 0.1) / 1.8, 0, 255).astype(np.uint8)
    labels = cv2.resize(confidence.labels, size, interpolation=cv2.INTER_NEAREST)
    overlays = []
    for name, role in _ROLES.items():
        found, _ = cv2.findContours(
            (labels == LABELS[name]).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE
        )
        lines = [np.vstack([line[:, 0], line[:1, 0], [[np.nan, np.nan]]]).astype(float) for line in found]
        if lines:
            overlays.append(Polyline(np.concatenate(lines), role, name))
    pixel = confidence.pixel_mm
    compared = (
        ""
        if agreement is None
        else f" The agreement with the classical segmenter is {agreement:.2f}; a good scan gives "
        f"{_USUAL_AGREEMENT:.2f} or so. Below {_LOW_AGREEMENT:.2f} one of the two is wrong in places: "
        "compare their half-planes before a length of either is used."
    )
    return ImageFigure(
        id=f"segmentation-example-{end}",
        title=f"What the model sees at {confidence.example_deg:.0f} degrees, {end} end",
        caption="The half-plane of least mean confidence, on the standard grey scale, with the outlines of "
        "the model's classes; the axis is on the left, the end's outside on top. Each free foil should be "
        "one closed outline that ends at its tip, and each cathode one block with a level top; foils that "
        "are cut short, joined, or missing mean that the model must not be trusted with this scan."
        + compared,
        alt=f"Half-plane at {confidence.example_deg:.0f} degrees with outlines of can, cathode, copper and "
        "overhang",
        image=cv2.resize(grey, size, interpolation=cv2.INTER_CUBIC),
        pixel_mm=(pixel / _ENLARGED, pixel / _ENLARGED),
        overlays=tuple(overlays),
        x_axis=("distance from the axis (mm)", 0.0, width * pixel),
    )
