"""The best path through a table of evidence, by dynamic programming (Bellman 1957)."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Gain = TypeVar("Gain", NDArray[np.float32], NDArray[np.float64])


def squared_price(reach: int, cost: float) -> NDArray[np.float64]:
    """Price (2 reach + 1,) of steps from ``-reach`` to ``reach`` states: ``cost`` times their square."""
    return np.asarray(cost * np.arange(-reach, reach + 1, dtype=np.float64) ** 2)


def best_path(gain: Gain, price: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
    """States that maximise the summed gain less the price of each step, for many lines at once.

    Parameters
    ----------
    gain : (n, nlines, nstates)
        What each state is worth at each of n places along a line. Sums are kept in its precision.
    price : (2 reach + 1,)
        Of a step from one place to the next by ``-reach`` to ``reach`` states; there is no larger step.

    Returns
    -------
    (n, nlines) int
        Of several paths worth the same, the one with the lower states.
    """
    n, lines, states = gain.shape
    reach = price.size // 2
    # Forward only the best sums are kept; which step led to each is asked again on the way back, along the
    # one path that is wanted.
    padded = np.full((n, lines, states + 2 * reach), -np.inf, dtype=gain.dtype)
    total = padded[..., reach : reach + states]
    total[0] = gain[0]
    # Window k of a place holds the sums from which a step of k - reach leads to each state.
    windows = np.lib.stride_tricks.sliding_window_view(padded, states, axis=-1).transpose(0, 2, 1, 3)
    reached = np.empty((price.size, lines, states), dtype=gain.dtype)
    for i in range(1, n):
        np.subtract(windows[i - 1], price[:, None, None], out=reached)
        np.add(reached.max(axis=0), gain[i], out=total[i])
    path = np.empty((n, lines), dtype=np.intp)
    path[-1] = total[-1].argmax(axis=-1)
    each = np.arange(lines)
    for i in range(n - 1, 0, -1):
        came = (windows[i - 1][:, each, path[i]] - price[:, None]).argmax(axis=0)
        path[i - 1] = path[i] + came - reach
    return path
