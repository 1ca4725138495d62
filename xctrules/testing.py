"""The public door to the kit for authors of plugins; see :mod:`xctrules.engine.testing`."""

from __future__ import annotations

from xctrules.engine.testing import assert_metric_conforms, phantom_cell

__all__ = ["assert_metric_conforms", "phantom_cell"]
