"""The plugins that come with the program, by their entry points, in the order of the report's sections.

They come through the same door as any other; entry points by themselves have no order that lasts.
"""

from __future__ import annotations

BUNDLED = ("cylinder", "screening", "segmentation", "overhang", "canister", "winding", "contamination")
