"""Type: minus signs, and numbers that stay with their units."""

from __future__ import annotations

import pytest

from xctrules.pages.typography import typeset


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("21.210 ± 0.043 mm", "21.210~±~0.043~mm"),
        ("(-3.5 ± 1.3)°", "(−3.5~±~1.3)°"),
        ("at least -0.1 mm", "at least −0.1~mm"),
        ("z 6.10 mm, phi -4.5°", "z 6.10~mm, phi −4.5°"),
        ("> 99.9 %", ">~99.9~%"),
        ("ISO 14253-1, 2017-05-03, cell-7, x-1", "ISO 14253-1, 2017-05-03, cell-7, x-1"),  # no minus here
    ],
)
def test_numbers_are_set_in_type(text: str, shown: str) -> None:
    assert typeset(text).replace("\u00a0", "~") == shown
