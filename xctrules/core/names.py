"""What measurements are called, what is said of them, and which named place of the cell they are about."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

LENGTH_UNIT = "mm"


@dataclass(frozen=True)
class Description:
    """What a metric says of one of its measurements (``describes``, by the measurement's name).

    Attributes
    ----------
    unit
        ``mm``, ``deg``, or ``1`` for counts and ratios.
    title
        A few words that can stand for the name, as in a heading: "Outer diameter".
    meaning
        One line on what the number is, without a full stop: "outer diameter of the can".
    better
        Which way is good: ``"smaller"``, ``"larger"``, ``"nominal"`` (near a nominal value, bad on both
        sides), or ``""`` where that depends on the cell or nothing is good or bad about it.
    nominal
        Name of the spec's nominal dimension where a good cell's value lies, such as ``outer_diameter``.
    identifies
        Whether the nominal dimension tells one cell format from another: where the two differ by more than
        the spec's ``identity``, this is another cell, or the voxel size is wrong.
    zero_when_good
        Whether a good cell's value is zero but for the measurement's own uncertainty.
    """

    unit: str
    title: str = ""
    meaning: str = ""
    better: Literal["smaller", "larger", "nominal", ""] = ""
    nominal: str = ""
    zero_when_good: bool = False
    identifies: bool = False


def is_length(unit: str) -> bool:
    """Whether a measurement in ``unit`` is a length, and so depends on the voxel scale."""
    return unit == LENGTH_UNIT


def place_of(name: str, places: Collection[str]) -> str | None:
    """The named place of the cell that a measurement is about: the one among its dotted words, but the first.

    ``None`` where it is about no single place: ``x.top.length`` is about the top, ``x.length`` is not.
    """
    return next((word for word in name.split(".")[1:] if word in places), None)


def joins_places(name: str, names: Collection[str], places: Collection[str]) -> bool:
    """Whether a measurement takes all places in view together: there is one for a single place beside it.

    ``x.length`` joins the ends where ``names`` hold ``x.top.length`` too.
    """
    if place_of(name, places) is not None:
        return False
    words = name.split(".")
    single = (".".join([*words[:i], place, *words[i:]]) for i in range(1, len(words) + 1) for place in places)
    return any(other in names for other in single)


def places_in_view(scope: Mapping[str, Any]) -> dict[str, bool | None]:
    """Named places of the cell, and whether each is in view (``None``: not known), from a record's scope.

    Empty where the scope does not speak of places. Records of the first version name the ends alone.
    """
    if "places" in scope:
        return dict(scope["places"])
    ends = scope.get("ends")
    return {} if ends is None else {end: end in ends for end in ("top", "bottom")}
