"""The cell as plugins see it, whatever its geometry: its scan, its own coordinates, and what was found in it.

A geometry brings a frame of its own, surfaces of its own, and settings of its own; the engine hands them from
one plugin to the next and looks at nothing but what stands here. Segmenters fill in the surfaces, metrics
read them; neither cares who the other is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, runtime_checkable

from numpy.typing import ArrayLike, NDArray

from xctrules.core.errors import NotMeasurable
from xctrules.core.measurement import Scale

if TYPE_CHECKING:
    from xctrules.core.slices import Scan, Slices


@runtime_checkable
class Frame(Protocol):
    """A cell's own coordinates: three numbers for each point, and where that point lies in the volume.

    A geometry's frame has much more, for its own plugins; the engine asks for nothing else.
    """

    @property
    def warnings(self) -> Sequence[str]:
        """What finding the cell left in doubt, one sentence each, for the report."""
        ...

    def to_voxel(self, a: ArrayLike, b: ArrayLike, c: ArrayLike, /) -> Sequence[NDArray[Any]]:
        """Voxel indices (z, y, x) of points in the cell's coordinates; the arguments broadcast."""
        ...

    def to_cell(self, z: ArrayLike, y: ArrayLike, x: ArrayLike, /) -> Sequence[NDArray[Any]]:
        """The cell's coordinates of points given as voxel indices (z, y, x); the arguments broadcast."""
        ...


@dataclass(frozen=True, kw_only=True)
class Surfaces:
    """What a segmenter found. A geometry adds its surfaces as fields of a class of its own."""

    segmenter: str
    missing: Mapping[str, str] = field(default_factory=dict)
    """Why a surface is not there, by the surface's name."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    waives: Mapping[str, str] = field(default_factory=dict)
    """Screening figures whose least quality this segmentation can do without, each with the reason: what a
    segmenter has shown that it tells apart need not show by itself in the greys."""


@dataclass(frozen=True)
class Settings:
    """What the user asked of this inspection. A geometry adds its options as fields of its own class."""

    segmenter: str = ""
    model: str | None = None
    """Name or path of a trained model, for a segmenter that takes one; its own choice otherwise."""


@dataclass(frozen=True)
class Tabs:
    """The tabs that a cell may have at one end. What they hide is explained; what is wider or more is no tab.

    Unless the spec says otherwise, tabs are taken for wider and more than in most cells: those of round cells
    are 3 to 8 mm wide, and large cells have two or three of them at an end.
    """

    width_mm: float = 10.0
    number: int = 3


FrameT = TypeVar("FrameT")
SurfacesT = TypeVar("SurfacesT")
SettingsT = TypeVar("SettingsT")


@dataclass(frozen=True)
class Cell(Generic[FrameT, SurfacesT, SettingsT]):
    """All that a segmenter, screen or metric may look at.

    Attributes
    ----------
    nominal
        The spec's nominal lengths in mm, by name.
    tabs
        Those that the spec allows at each end.
    segmentation
        What the segmenter found; ``None`` where it found nothing, and ``no_surfaces`` says why.
    labels
        A label image brought in by the user (``--segmentation``), with the volume's shape.
    """

    scan: Scan
    frame: FrameT
    scale: Scale
    settings: SettingsT
    nominal: Mapping[str, float]
    segmentation: SurfacesT | None = None
    labels: Slices | None = None
    no_surfaces: str = "the scan could not be segmented"
    tabs: Tabs = Tabs()

    @property
    def surfaces(self) -> SurfacesT:
        """The segmentation, for metrics; NotMeasurable where there is none."""
        if self.segmentation is None:
            raise NotMeasurable(self.no_surfaces)
        return self.segmentation
