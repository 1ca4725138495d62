"""Voxel sizes as a user writes them."""

from __future__ import annotations

import pytest

from xctrules.core.errors import XctrulesError
from xctrules.core.voxel_size import parse_voxel_size


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.03", (0.03,) * 3), ("0.07,0.03,0.03", (0.07, 0.03, 0.03)), ("1x2x3", (1.0, 2.0, 3.0)), (None, None)],
)
def test_voxel_size(text: str | None, expected: tuple[float, ...] | None) -> None:
    assert parse_voxel_size(text) == expected


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3,4", "wide"])
def test_what_is_no_voxel_size_is_refused(text: str) -> None:
    with pytest.raises(XctrulesError, match="no voxel size"):
        parse_voxel_size(text)
