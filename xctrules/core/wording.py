"""Numbers in words, said once: reasons, terminal, report, study and validation pages all take them from here.

Plain characters only (``-``, an ordinary space), so that any terminal shows and any search finds them; pages
set them in type (:func:`xctrules.pages.typography.typeset`).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NONE = "–"
"""Stands where there is no number."""

_SYMBOLS = {"deg": "°", "1": ""}


# --- numbers ---------------------------------------------------------------------------------------------


def decimals_for(uncertainty: float | None, value: float | None = None) -> int:
    """Decimals that show the second significant digit of the uncertainty (JCGM 100, 7.2.6).

    Without an uncertainty, none for a whole value, and else those that show four significant digits of it.
    """
    digits, guide = (2, uncertainty) if uncertainty else (4, value)
    if guide is None or not math.isfinite(guide):
        return 3
    if not uncertainty and guide == round(guide):
        return 0
    rounded = float(f"{abs(guide):.{digits - 1}e}")
    return min(max(digits - 1 - math.floor(math.log10(rounded) + 1e-12), 0), 9)


def fixed(value: float | None, decimals: int) -> str:
    """A number with so many decimals, and no minus before zero."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def signed(value: float | None, decimals: int) -> str:
    """A number with so many decimals and its sign, ``+`` too: for what differs from something."""
    return NONE if value is None or not math.isfinite(value) else f"{value:+.{decimals}f}"


def rounded(value: Any) -> str:
    """Any JSON scalar as the reader expects it: whole numbers whole, others with four significant digits."""
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.0f}" if value == round(value) and abs(value) < 1e6 else f"{value:.4g}"
    return exact(value)


def exact(value: Any) -> str:
    """A JSON scalar without rounding: limits, parameters, what was stated."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def significant(value: float | None, digits: int = 4) -> str:
    """A number with so many significant digits, for results that have no uncertainty of their own."""
    return NONE if value is None or not math.isfinite(value) else f"{value:.{digits}g}"


def share(value: float | None) -> str:
    """A share in per cent, as it was counted."""
    return NONE if value is None or not math.isfinite(value) else f"{100 * value:.1f} %"


def percent(probability: float | None) -> str:
    """A probability in per cent, never rounded to certainty."""
    if probability is None:
        return NONE
    if probability > 0.9995:
        return "> 99.9 %"
    if probability < 0.0005:
        return "< 0.1 %"
    return share(probability)


# --- quantities ------------------------------------------------------------------------------------------


def with_unit(text: str, unit: str) -> str:
    """A number's text with its unit behind it: ``21.2 mm``, ``40°``, ``26``."""
    shown = _SYMBOLS.get(unit, unit)
    if not shown or text == NONE:
        return text
    return f"{text}{shown}" if shown == "°" else f"{text} {shown}"


def quantity(value: float | None, expanded_uncertainty: float | None, unit: str) -> str:
    """A value with its uncertainty to two digits: ``21.210 ± 0.037 mm``, ``(3.5 ± 1.3)°``.

    Without an uncertainty the value alone, whole where it is whole and else to four digits.
    """
    if value is None:
        return NONE
    places = decimals_for(expanded_uncertainty, value)
    if not expanded_uncertainty:
        return with_unit(fixed(value, places), unit)
    pair = f"{fixed(value, places)} ± {fixed(expanded_uncertainty, places)}"
    return with_unit(f"({pair})" if unit == "deg" else pair, unit)


def uncertainty(width: float, unit: str) -> str:
    """An uncertainty, or a width made from one, to two digits: ``0.037 mm``."""
    return with_unit(fixed(width, decimals_for(width)), unit)


def guard_band(width: float, expanded_uncertainty: float | None, unit: str) -> str:
    """The width of a guard band: to two digits where it is the expanded uncertainty, else as stated."""
    is_uncertainty = width == expanded_uncertainty
    return uncertainty(width, unit) if is_uncertainty else with_unit(exact(width), unit)


def margin(distance: float | None, expanded_uncertainty: float | None, unit: str) -> str:
    """The distance of a value to its limit, with as many decimals as the value is shown with."""
    return with_unit(fixed(distance, decimals_for(expanded_uncertainty, distance)), unit)


def limits(low: float | None, high: float | None, unit: str) -> str:
    """Limits in words: ``at most 21.25 mm``, ``at least 0 mm``, ``26 to 26.4 mm``."""
    if low is not None and high is not None:
        return f"{exact(low)} to {with_unit(exact(high), unit)}"
    if high is not None:
        return f"at most {with_unit(exact(high), unit)}"
    return f"at least {with_unit(exact(low), unit)}" if low is not None else NONE


def place(coordinates: Mapping[str, Any] | None) -> str:
    """Where something is, from names that carry their unit: ``z 6.10 mm, phi 40°, layer 3``.

    ``*_mm`` to a hundredth, ``*_deg`` to a tenth; what has neither ending is a count or a text. Empty for no
    place.
    """
    return ", ".join(
        _coordinate(name, value) for name, value in (coordinates or {}).items() if value is not None
    )


def _coordinate(name: str, value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    for ending, decimals, unit in (("_mm", 2, "mm"), ("_deg", 1, "deg")):
        if number and name.endswith(ending):
            text = fixed(float(value), decimals)
            shown = text.removesuffix(".0") if unit == "deg" else text
            return f"{name.removesuffix(ending).replace('_', ' ')} {with_unit(shown, unit)}"
    return f"{name.replace('_', ' ')} {rounded(value)}"


# --- words -----------------------------------------------------------------------------------------------


def counted(count: int, noun: str) -> str:
    """``1 part``, ``2 parts``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def joined(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def nearest(name: str, candidates: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The candidate whose spelling is nearest to ``name``; ``None`` where none is near."""
    near = difflib.get_close_matches(name, list(candidates), n=1, cutoff=cutoff)
    return near[0] if near else None


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest of ``candidates``, or nothing.

    Where none is spelt alike, it is the one that has all of ``name`` among its words: ``dent`` of
    ``canister.dent_depth``.
    """
    known = list(candidates)
    # Below 0.6 every word has something in common with another ("tolerance" with "source").
    near = nearest(name, known, cutoff=0.6) or next(
        (known_one for known_one in known if name and name in known_one.replace("_", ".").split(".")), None
    )
    return f"; did you mean {near!r}?" if near else ""


# --- what a hash and what a signature is worth -----------------------------------------------------------

UNSIGNED = "unchanged by accident only: nothing in it keeps anybody from making it anew"
"""What may be said of something whose hashes fit and that nobody whom the reader trusts has signed."""

SIGNED = "unchanged by anyone since"
"""What may be said of something that somebody has signed whom the reader trusts."""


def visible(text: str) -> str:
    """``text`` with an escape for each character that a terminal would obey, or show as something else."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
