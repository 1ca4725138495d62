"""Voxel sizes as a user writes them."""

from __future__ import annotations

from xctrules.core.errors import XctrulesError


def parse_voxel_size(text: str | None) -> tuple[float, float, float] | None:
    """``Z,Y,X`` in mm; one number stands for all three.

    Raises
    ------
    XctrulesError
        When it is neither.
    """
    if text is None:
        return None
    try:
        numbers = [float(part.replace("_", "?")) for part in text.replace("x", ",").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) in (2, 6) and numbers[::2] == [0] * (len(numbers) // 2):
        raise XctrulesError(
            f"{text!r} is no voxel size", where="--voxel-size", todo="Write decimals with a point."
        )
    if len(numbers) == 1:
        numbers *= 3
    if len(numbers) != 3:
        raise XctrulesError(
            f"{text!r} is no voxel size",
            where="--voxel-size",
            todo="Give Z,Y,X in mm, such as 0.068,0.034,0.034, or one number for cubes.",
        )
    return numbers[0], numbers[1], numbers[2]
