"""What was not seen of the overhangs at an end, in words for the reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.surfaces import ACROSS, STATE_NAMES, TAB, UNCLEAR, EndEdges

LISTED_TURNS = 4
"""Turns that a remark lists one by one."""


def nothing_measured(edges: EndEdges | None) -> str:
    """Why an end has no overhang at all."""
    if edges is None:
        return "this end is not in view"
    counts = np.bincount(edges.state.ravel(), minlength=len(STATE_NAMES))
    worst = int(np.argmax(counts))
    return f"no overhang could be measured: {STATE_NAMES[worst]} at most turns and angles"


def hidden_places(ends: Sequence[EndEdges]) -> str | None:
    """A remark for the reader on places that a tab hides: nothing is known of the overhang there."""
    parts = []
    for edges in ends:
        hidden = edges.state == TAB
        for turn in np.flatnonzero(hidden.any(axis=1)):
            count = int(np.count_nonzero(hidden[turn]))
            parts.append(f"{edges.end} end, turn {turn}: {count} of {hidden.shape[1]} angles")
    if not parts:
        return None
    left = len(parts) - LISTED_TURNS
    shown = "; ".join(parts[:LISTED_TURNS]) + (f"; and {left} more turns" if left > 0 else "")
    return f"not seen behind a tab or other metal, and not judged there: {shown}"


def longest_unclear(ends: Sequence[EndEdges], length_mm: float) -> str | None:
    """A sentence about the longest stretch whose edge is not clear, if it is longer than ``length_mm`` of
    foil: it could hide a short overhang."""
    longest, text = length_mm, None
    for edges in ends:
        angles = edges.theta_deg.size
        # Along the foil, so that a stretch goes on into the next turn.
        order = slice(None, None, edges.handedness)
        step_mm = (np.nan_to_num(edges.foil_mm) * (2 * np.pi / angles))[:, order].ravel()
        for first, stop in runs(np.isin(edges.state, (UNCLEAR, ACROSS))[:, order].ravel()):
            size_mm = float(step_mm[first:stop].sum())
            if size_mm <= longest:
                continue
            longest = size_mm
            turn, angle = divmod(first, angles)
            text = (
                f"at the {edges.end} end the edges are not clear over {size_mm:.1f} mm of foil "
                f"({(stop - first) * 360.0 / angles:.0f} degrees) from turn {turn}, "
                f"{edges.theta_deg[order][angle]:.0f} degrees on, where a short overhang could not be seen; "
                "a scan with less noise or smaller voxels would show it"
            )
    return text


def runs(where: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First index and one past the last of each run of ``where`` (n,)."""
    edge = np.flatnonzero(np.diff(np.concatenate([[False], where, [False]]).astype(np.int8)))
    yield from zip(edge[::2].tolist(), edge[1::2].tolist(), strict=True)
