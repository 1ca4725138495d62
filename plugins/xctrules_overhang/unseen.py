"""What was not seen of the overhangs at an end, in words for the reader."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from xctrules.core.robust import longest_run
from xctrules.cylinder.surfaces import STATE_NAMES, TAB, UNCLEAR, EndEdges

LONGEST_UNCLEAR_DEG = 5.0
"""A longer stretch of a turn whose edge is not clear could hide a fault: then no smallest overhang is
stated."""

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


def longest_unclear(ends: Sequence[EndEdges]) -> str | None:
    """A sentence about the longest stretch whose edge is not clear, if it is longer than
    ``LONGEST_UNCLEAR_DEG``."""
    longest, text = LONGEST_UNCLEAR_DEG, None
    for edges in ends:
        angles = edges.theta_deg.size
        # Along the foil, so that a stretch goes on into the next turn.
        first, stop = longest_run((edges.state == UNCLEAR)[:, :: edges.handedness].ravel())
        length_deg = (stop - first) * 360.0 / angles
        if length_deg > longest:
            longest = length_deg
            turn, angle = divmod(first, angles)
            begins = edges.theta_deg[:: edges.handedness][angle]
            text = (
                f"at the {edges.end} end the edges are not clear over {longest:.0f} degrees from turn "
                f"{turn}, {begins:.0f} degrees on, where a short overhang could not be seen; a scan with "
                "less noise or smaller voxels would show it"
            )
    return text
