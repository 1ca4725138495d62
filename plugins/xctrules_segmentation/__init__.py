"""Bundled segmentation: the can, the roll's foil and the electrode edges, from grey values or from a label
image."""

from __future__ import annotations

from typing import Any

from xctrules.core.hookspecs import hookimpl


@hookimpl
def xctrules_segmenters() -> list[Any]:
    from xctrules_segmentation.classical import ClassicalSegmenter
    from xctrules_segmentation.unet import UnetSegmenter

    return [ClassicalSegmenter(), UnetSegmenter()]


@hookimpl
def xctrules_metrics() -> list[Any]:
    from xctrules_segmentation.quality import SegmentationQuality

    return [SegmentationQuality()]
