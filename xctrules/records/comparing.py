"""Two records of one scan compared: number by number, outcome by outcome, and which software differs.

In: the record as it was written, and one of the same scan measured again. Out: a :class:`Comparison`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from xctrules.core.canonical import canonical_bytes, plain

Json = Mapping[str, Any]

IDENTICAL, WITHIN, DIFFERENT = "identical", "within uncertainty", "DIFFERENT"
ABSENT, NEW = "not measured", "new"

_RUN = "run"
_SOFTWARE = ("software", "plugins")


@dataclass(frozen=True)
class Number:
    """One measurement, then and now.

    Attributes
    ----------
    state
        ``identical``: value, uncertainty and everything that is said of it are the same to the last digit.
        ``within uncertainty``: the values are no further apart than the smaller one of their expanded
        uncertainties. ``DIFFERENT``: further apart, or there is a value on one side only. ``not measured``:
        neither then nor now. ``new``: the record knows nothing of it.
    then, now
        As the records hold it; ``None`` where one does not.
    """

    name: str
    state: str
    then: Json | None
    now: Json | None


@dataclass(frozen=True)
class Difference:
    """Something by name that is not as it was; ``None`` where it was not, or is not any more."""

    name: str
    then: str | None
    now: str | None


@dataclass(frozen=True)
class Comparison:
    """What came of measuring again.

    Attributes
    ----------
    numbers
        One for each measurement of either record, in the order of the first.
    software
        xctrules, plugins, libraries, Python and the kind of processor, where they are not the same.
    outcomes
        Verdict and rules that came out otherwise.
    parts
        Names of the record's other parts that are not the same, such as ``parameters`` or ``warnings``.
    files
        Names of pictures and tables of single values that are not the same to the byte.
    """

    numbers: tuple[Number, ...]
    software: tuple[Difference, ...]
    outcomes: tuple[Difference, ...]
    parts: tuple[str, ...]
    files: tuple[str, ...]

    def count(self, state: str) -> int:
        """How many numbers are in a state."""
        return sum(number.state == state for number in self.numbers)

    @property
    def holds(self) -> bool:
        """Whether no number is different, and verdict and rules came out as they did."""
        return not self.outcomes and not self.count(DIFFERENT)

    @property
    def same_to_the_byte(self) -> bool:
        """Whether the records are the same outside ``run`` and what they say of software, files included."""
        unchanged = all(number.state in (IDENTICAL, ABSENT) for number in self.numbers)
        return self.holds and unchanged and not self.parts and not self.files

    @property
    def answer(self) -> str:
        """``identical``, ``within uncertainty`` or ``DIFFERENT``."""
        if not self.holds:
            return DIFFERENT
        return WITHIN if self.count(WITHIN) else IDENTICAL


def compare(then: Json, now: Json) -> Comparison:
    """Compare a record with one of the same scan, measured again by the same spec and options.

    Parameters
    ----------
    then, now
        Records. Where ``then`` was rejudged, its software is that which measured, not that which judged.

    Raises
    ------
    KeyError, TypeError, AttributeError
        When parts of a record are missing or malformed.
    """
    old, new = then["measurements"], now["measurements"]
    numbers = tuple(_number(name, old.get(name), new.get(name)) for name in {**old, **new})
    return Comparison(
        numbers=numbers,
        software=tuple(_software(then, now)),
        outcomes=tuple(_outcomes(then, now)),
        parts=tuple(_parts(then, now)),
        files=tuple(_files(then, now)),
    )


def measuring_software(record: Json) -> Json:
    """The software that measured a record's values."""
    rejudged = record.get("rejudges")
    software: Json = rejudged["software"] if rejudged else record["software"]
    return software


def _number(name: str, then: Json | None, now: Json | None) -> Number:
    if not all(entry is None or isinstance(entry, Mapping) for entry in (then, now)):
        raise TypeError(f"{name} is no measurement")
    if then is None:
        return Number(name, NEW, None, now)
    return Number(name, DIFFERENT if now is None else _state(then, now), then, now)


def _state(then: Json, now: Json) -> str:
    value, again = then.get("value"), now.get("value")
    if value is None and again is None:
        return ABSENT if then["status"] == now["status"] else DIFFERENT
    if value is None or again is None:
        return DIFFERENT
    if dict(then) == dict(now):
        return IDENTICAL
    reach = min(then.get("expanded_uncertainty") or 0.0, now.get("expanded_uncertainty") or 0.0)
    return WITHIN if abs(again - value) <= reach else DIFFERENT


def _software(then: Json, now: Json) -> Iterator[Difference]:
    yield from _differences("", measuring_software(then), now["software"])
    old, new = ({each["name"]: each for each in record["plugins"]} for record in (then, now))
    for name in sorted(old.keys() | new.keys()):
        was, is_ = (_plugin(plugins.get(name)) for plugins in (old, new))
        if was != is_:
            yield Difference(f"plugin {name}", was, is_)


def _plugin(entry: Json | None) -> str | None:
    """A plugin's version and hash in words."""
    if entry is None:
        return None
    digest = entry.get("sha256")
    said = f"{entry.get('version') or 'without a version'}"
    said += f" (sha256 {digest[:12]})" if digest else " (no sha256)"
    return f"{said}, not loaded" if entry.get("load_error") else said


def _differences(prefix: str, then: Json, now: Json) -> Iterator[Difference]:
    for key in {**then, **now}:
        was, is_ = (None if each.get(key) is None else str(each[key]) for each in (then, now))
        if was != is_:
            yield Difference(prefix + str(key), was, is_)


def _outcomes(then: Json, now: Json) -> Iterator[Difference]:
    if then["verdict"] != now["verdict"]:
        yield Difference("verdict", then["verdict"], now["verdict"])
    old, new = ({each["rule"]: each["outcome"] for each in record["checks"]} for record in (then, now))
    yield from _differences("rule ", old, new)


def _parts(then: Json, now: Json) -> Iterator[str]:
    """Top-level parts that differ beside those that are compared by themselves."""
    apart = {_RUN, *_SOFTWARE, "measurements", "checks", "verdict", "files", "rejudges"}
    if then.get("rejudges"):
        apart |= {"fitness", "sections", "warnings"}  # a rejudged record leaves these to the first one
    for key in {**then, **now}:
        if key not in apart and _digest(then.get(key)) != _digest(now.get(key)):
            yield str(key)


def _files(then: Json, now: Json) -> Iterator[str]:
    new = {each["name"]: each["sha256"] for each in now["files"]}
    for each in then["files"]:
        if new.get(each["name"]) != each["sha256"]:
            yield str(each["name"])


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical_bytes(plain(value))).hexdigest()
