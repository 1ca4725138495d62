"""A plugin as a stranger would write it: boxes with plates in them, for xctrules.

It brings a geometry of its own, from the frame to the phantoms, and imports public names only.
"""

from pathlib import Path

from xctrules import hookimpl

from .geometry import Box
from .phantom import BoxPhantoms
from .plates import BoxImage, BoxPlates, HalfHeight

__version__ = "1.0"


@hookimpl
def xctrules_phantoms():
    return [BoxPhantoms()]


@hookimpl
def xctrules_spec_folders():
    return [Path(__file__).parent / "specs"]


@hookimpl
def xctrules_frames():
    return [Box()]


@hookimpl
def xctrules_segmenters():
    return [HalfHeight()]


@hookimpl
def xctrules_screens():
    return [BoxImage()]


@hookimpl
def xctrules_metrics():
    return [BoxPlates()]
