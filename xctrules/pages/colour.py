"""Two colour maps for measured fields, made so that equal steps of the value look like equal steps.

Both are drawn in Oklab (B. Ottosson, 2020, https://bottosson.github.io/posts/oklab/), where lightness and hue
are close to what the eye sees. The diverging map darkens evenly and equally on both sides of a nearly white
zero, towards blue for negative and orange for positive values, a pair that red-green colour blindness leaves
apart; the sequential one brightens evenly from dark violet to pale yellow. In either, NaN becomes a mid grey
that the map itself does not contain.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

ColourMap = Literal["diverging", "sequential"]

NOT_FOUND = (128, 128, 128)
"""Grey of a place without a value."""

_ENTRIES = 255  # odd, so that zero of the diverging map has an entry of its own

# How each map runs, as (position 0 to 1, Oklab lightness, chroma, hue in degrees); straight lines between.
_COURSES: dict[str, tuple[tuple[float, float, float, float], ...]] = {
    "diverging": (
        (0.0, 0.42, 0.125, 255.0),
        (0.5, 0.97, 0.0, 255.0),
        (0.5, 0.97, 0.0, 50.0),
        (1.0, 0.42, 0.107, 50.0),
    ),
    "sequential": (
        (0.0, 0.20, 0.060, 290.0),
        (0.3, 0.425, 0.090, 250.0),
        (0.6, 0.65, 0.092, 180.0),
        (1.0, 0.95, 0.110, 105.0),
    ),
}


def _oklab_to_srgb(lightness: NDArray[Any], chroma: NDArray[Any], hue_deg: NDArray[Any]) -> NDArray[np.uint8]:
    hue = np.deg2rad(hue_deg)
    lab = np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=-1)
    to_lms = np.array(
        [
            [1.0, 0.3963377774, 0.2158037573],
            [1.0, -0.1055613458, -0.0638541728],
            [1.0, -0.0894841775, -1.2914855480],
        ]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip((lab @ to_lms.T) ** 3 @ to_rgb.T, 0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    colours: NDArray[np.uint8] = np.rint(encoded * 255).astype(np.uint8)
    return colours


@lru_cache(maxsize=2)
def _table(name: ColourMap) -> NDArray[np.uint8]:
    """The map's 255 colours, (255, 3)."""
    position, lightness, chroma, hue = np.array(_COURSES[name]).T
    t = np.linspace(0.0, 1.0, _ENTRIES)
    table = _oklab_to_srgb(*(np.interp(t, position, column) for column in (lightness, chroma, hue)))
    table.setflags(write=False)
    return table


def _look_up(name: ColourMap, position: NDArray[np.float64]) -> NDArray[np.uint8]:
    found = np.isfinite(position)
    index = np.rint(np.clip(np.where(found, position, 0.0), 0.0, 1.0) * (_ENTRIES - 1)).astype(np.intp)
    return np.where(found[..., np.newaxis], _table(name)[index], np.array(NOT_FOUND, dtype=np.uint8))


def diverging(values: NDArray[np.floating[Any]], limit: float) -> NDArray[np.uint8]:
    """Colours for signed values: blue below zero, orange above, nearly white at zero.

    Parameters
    ----------
    values : any shape
        NaN and infinities become :data:`NOT_FOUND`.
    limit
        Magnitude at which the colours end; larger values keep the end's colour. With a limit of zero every
        value sits at the middle.

    Returns
    -------
    uint8 array of shape ``values.shape + (3,)``, RGB.
    """
    signed = np.asarray(values, dtype=np.float64)
    middle = np.where(np.isfinite(signed), 0.5, np.nan)
    return _look_up("diverging", 0.5 + 0.5 * signed / limit if limit > 0 else middle)


def sequential(values: NDArray[np.floating[Any]], low: float, high: float) -> NDArray[np.uint8]:
    """Colours for values that only grow: dark violet at ``low``, pale yellow at ``high``.

    Parameters and result as for :func:`diverging`; values outside the range keep the end's colour.
    """
    plain = np.asarray(values, dtype=np.float64)
    bottom = np.where(np.isfinite(plain), 0.0, np.nan)
    return _look_up("sequential", (plain - low) / (high - low) if high > low else bottom)


def colour_bar(name: str, stops: int = 17) -> tuple[tuple[float, str], ...]:
    """The map as (offset 0 to 1, ``#rrggbb``) stops for an SVG gradient.

    Raises
    ------
    ValueError
        For a name that is neither ``diverging`` nor ``sequential``.
    """
    if name not in _COURSES:
        raise ValueError(f"no colour map {name!r}; there are {', '.join(_COURSES)}")
    colours = _look_up("diverging" if name == "diverging" else "sequential", np.linspace(0.0, 1.0, stops))
    return tuple((i / (stops - 1), "#" + bytes(colour).hex()) for i, colour in enumerate(colours))
