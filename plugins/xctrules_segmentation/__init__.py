"""Bundled segmentation: the can, the roll's foil and the electrode edges, from grey values or from a label
image."""

from __future__ import annotations

from xctrules.core.hookspecs import hookimpl
from xctrules.core.protocols import Metric, Segmenter


@hookimpl
def xctrules_segmenters() -> list[Segmenter]:
    """The classical segmenter and the trained one; imported only when an inspection asks for them."""
    from xctrules_segmentation.classical import ClassicalSegmenter
    from xctrules_segmentation.unet import UnetSegmenter

    return [ClassicalSegmenter(), UnetSegmenter()]


@hookimpl
def xctrules_metrics() -> list[Metric]:
    """How far the segmentation can be relied on."""
    from xctrules_segmentation.quality import SegmentationQuality

    return [SegmentationQuality()]
