"""Electrode edges at one end, all turns and angles alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xctrules.cylinder.surfaces import EndEdges


def edges(
    anode: float = 2.0,
    inner: float = 1.5,
    outer: float = 1.5,
    outward: int = 1,
    lean_deg: float = 0.0,
    *,
    state: NDArray[np.int8] | None = None,
    handedness: int = 1,
) -> EndEdges:
    """Three turns and 24 angles, or as many as ``state`` has; heights as outward of the volume's middle.

    The free foil is 0.6 mm long, at a radius of 5 mm, and leans by ``lean_deg``.
    """
    state = np.zeros((3, 24), dtype=np.int8) if state is None else state
    shape = state.shape
    reach = np.linspace(0.0, 1.0, 9)
    path_z = outward * max(inner, outer) + outward * reach * 0.6
    path_r = 5.0 + np.tan(np.radians(lean_deg)) * reach * 0.6
    return EndEdges(
        end="top",
        outward=outward,
        theta_deg=np.arange(shape[1]) * (360.0 / shape[1]),
        anode_z_mm=np.full(shape, outward * anode),
        cathode_z_mm=outward * np.stack([np.full(shape, inner), np.full(shape, outer)]),
        path_z_mm=np.broadcast_to(path_z, (*shape, 9)),
        path_r_mm=np.broadcast_to(path_r, (*shape, 9)),
        state=state,
        foil_mm=np.full(shape, 5.0),
        face=np.ones((2, *shape), dtype=bool),
        hidden=np.zeros((2, *shape), dtype=bool),
        anode_sigma_mm=0.0,
        cathode_sigma_mm=0.0,
        handedness=handedness,
    )
