"""How a scan was acquired, taken from a record in the place of the files that stood beside the scan then."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xctrules.core.canonical import plain
from xctrules.core.errors import RecordError
from xctrules.core.wording import joined
from xctrules.scans.acquisition import Merged


@dataclass(frozen=True)
class Recorded:
    """What a record says of the acquisition.

    Attributes
    ----------
    values, sources
        ``acquisition`` and ``acquisition_sources`` of the record.
    voxel_size_mm
        (z, y, x), rounded as records are.
    """

    values: Mapping[str, Any]
    sources: Mapping[str, str]
    voxel_size_mm: tuple[float, float, float]

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Recorded:
        """From a record.

        Raises
        ------
        RecordError
            When these parts of it are missing or malformed.
        """
        try:
            z, y, x = (float(size) for size in record["scan"]["voxel_size_mm"])
            return cls(dict(record["acquisition"]), dict(record["acquisition_sources"]), (z, y, x))
        except (KeyError, TypeError, ValueError) as error:
            raise RecordError(f"it does not say how the scan was acquired ({error!r})") from error

    def over(self, found: Merged) -> Merged:
        """The record's values over those that the scan's files give today.

        A number in a file that rounds to the record's is the one that was used then, and is taken with all
        its digits. Where a file says something else today, a warning names it, and the record wins.
        """
        values = {
            key: _as_then(self.values.get(key), found.values.get(key))
            for key in {**found.values, **self.values}
        }
        pairs = list(zip(self.voxel_size_mm, found.voxel_size_mm, strict=True))
        z, y, x = (float(_as_then(then, now)) for then, now in pairs)
        others = [
            key for key, now in found.values.items() if now is not None and plain(now) != self.values.get(key)
        ]
        if any(now is not None and plain(now) != then for then, now in pairs):
            others.append("voxel_size_mm")
        warnings = [
            f"the files with the scan say otherwise than the record of {joined(sorted(others))}; "
            "the record's are used"
        ]
        return dataclasses.replace(
            found,
            values=values,
            sources=self.sources,
            voxel_size_mm=(z, y, x),
            warnings=(*found.warnings, *(warnings if others else [])),
        )


def _as_then(then: Any, now: Any) -> Any:
    """What a record holds rounded, with all digits where it is known."""
    return now if now is not None and plain(now) == then else then
