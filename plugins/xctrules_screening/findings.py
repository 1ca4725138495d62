"""Figures of the scan, each held against its level, and what that says of the scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xctrules.core.figures import Figure
from xctrules.core.measurement import Measurement
from xctrules.core.wording import significant, with_unit
from xctrules_screening.descriptions import DESCRIPTIONS
from xctrules_screening.levels import LEVELS, Level


@dataclass(frozen=True)
class Judged:
    """A figure and its level; none where it was not measured.

    ``away`` is what the level judges where that is not the figure itself, such as its distance from 1.
    """

    measurement: Measurement
    level: Level | None
    away: float | None = None

    @property
    def value(self) -> float | None:
        """What the level judges."""
        return self.measurement.value if self.away is None else self.away

    @property
    def judgement(self) -> str:
        """``good``, ``warning``, ``rejected`` or ``not measured``."""
        if self.value is None or self.level is None:
            return "not measured"
        return self.level.judgement(self.value)

    @property
    def complaint(self) -> str | None:
        """One sentence on what is bad about the figure and what would cure it; ``None`` where it is good."""
        value, level, judgement = self.value, self.level, self.judgement
        if value is None or level is None or judgement == "good":
            return None
        limit = level.reject if judgement == "rejected" else level.warn
        word = "below" if level.bad == "low" else "above"
        name, unit = self.measurement.name, self.measurement.unit
        is_shown, limit_shown = (with_unit(significant(number, 3), unit) for number in (value, limit))
        off = "" if self.away is None else "off by "
        return f"{level.meaning} ({name} is {off}{is_shown}, {word} {limit_shown}); cure: {level.cure}"


def judged(measurement: Measurement, level: Level | None = None, away: float | None = None) -> Judged:
    """A measured figure held against ``level``, or against its usual one."""
    return Judged(measurement, LEVELS[measurement.name] if level is None else level, away)


def absent(names: Sequence[str], reason: str) -> tuple[Judged, ...]:
    """Figures that could not be measured, all for one reason."""
    return tuple(Judged(Measurement.absent(name, DESCRIPTIONS[name].unit, reason), None) for name in names)


@dataclass(frozen=True)
class Findings:
    """What one part of the screening found; ``rejections`` are reasons beside its figures' levels."""

    judged: tuple[Judged, ...]
    figures: tuple[Figure, ...] = ()
    rejections: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conclusion:
    """What all figures together say of the scan."""

    rejections: tuple[str, ...]
    warnings: tuple[str, ...]


def conclude(parts: Sequence[Findings], waived: Mapping[str, str]) -> Conclusion:
    """Rejections and warnings in the order of the parts.

    Parameters
    ----------
    waived
        Figures that reject no scan, by name, with the reason: they warn.
    """
    rejections: list[str] = []
    warnings: list[str] = []
    for part in parts:
        rejections += part.rejections
        for figure in part.judged:
            text, waiver = figure.complaint, waived.get(figure.measurement.name)
            if text is None:
                continue
            if waiver is not None:
                warnings.append(f"{text}; not held against the scan: {waiver}")
            elif figure.judgement == "rejected":
                rejections.append(text)
            else:
                warnings.append(text)
    return Conclusion(tuple(rejections), tuple(warnings))
