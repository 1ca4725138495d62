"""The report: one HTML file drawn from the record and its images, and from nothing else.

The file needs no network, no JavaScript and no second file. It carries the record's bytes and every image,
so that ``xctrules verify`` can check it, and draw it again, from the file alone. What is shown is worked out
here and in the modules beside it as plain text and numbers; ``templates/report.html.j2`` only arranges it.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xctrules.core import wording
from xctrules.pages import provenance
from xctrules.pages.anchors import Anchors
from xctrules.pages.caveats import caveats
from xctrules.pages.embedding import Embedded
from xctrules.pages.environment import environment
from xctrules.pages.outcomes import Outcome
from xctrules.pages.rows import DECISION_RULES, RuleRow, rule_row
from xctrules.pages.sections import Failure, SectionView, failures, sections
from xctrules.pages.typography import typeset

Json = Mapping[str, Any]


_NOT_SHOWN = ("steps", "integrity_sha256", "page_sha256")
"""Of ``run``: steps have a table of their own, and checksums that cover the page cannot stand on it."""


@dataclass(frozen=True)
class Plugin:
    """A plugin that took part."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Page:
    """Everything that the template shows, already as text."""

    cell_id: str
    verdict: Outcome
    verdict_code: str
    scope: str
    reasons: tuple[str, ...]
    caveats: tuple[str, ...]
    probability: str
    headline: tuple[tuple[str, str], ...]
    rules: tuple[RuleRow, ...]
    other_rules: tuple[tuple[str, str, Outcome, bool], ...]
    sections: tuple[SectionView, ...]
    quality: tuple[SectionView, ...]
    place_noun: str
    warnings: tuple[str, ...]
    failures: tuple[Failure, ...]
    acquisition: tuple[tuple[str, str, str], ...]
    not_stated: tuple[str, ...]
    scan: tuple[tuple[str, str], ...]
    scan_sha256: str
    spec_text: str
    spec_sha256: str
    parameters: tuple[tuple[str, str], ...]
    plugins: tuple[Plugin, ...]
    software: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]
    run: tuple[tuple[str, str], ...]
    steps: tuple[tuple[str, str], ...]
    record_text: str
    record_sha256: str
    decision_rules: Mapping[str, str] = field(default_factory=lambda: DECISION_RULES)


def page(record: Json, images: Mapping[str, bytes], inside: Embedded | None = None) -> Page:
    """All that the report says about a record, as text: the template adds nothing of its own.

    Parameters
    ----------
    inside
        The record as the page carries it, where that is known already.

    Raises
    ------
    RecordError
        Where a figure's image is missing or of an unknown kind.
    """
    anchors = Anchors()
    measurements: Mapping[str, Json] = record.get("measurements") or {}
    rows = [rule_row(check, measurements) for check in record.get("checks") or ()]
    rows.sort(key=lambda row: row.outcome.code == "NOT_APPLICABLE")  # stable: the others keep their order
    views = sections({**record, "measurements": _of_this_page(record)}, images, anchors)
    quality = tuple(v for v in views if v.about_the_scan)
    shown = tuple(v for v in views if v not in quality)
    in_sections = {failure for view in views for failure in view.failures}
    inside = inside or Embedded.of(record)
    known, unknown = provenance.acquisition(record)
    run = record.get("run") or {}
    spec = record.get("spec") or {}
    verdict = Outcome.of(record.get("verdict"))
    return Page(
        cell_id=str(record.get("cell_id", "")),
        verdict=verdict,
        verdict_code=str(record.get("verdict", "")),
        scope=typeset(str((record.get("scope") or {}).get("text") or ""))
        or "for an unknown part of the cell",
        reasons=tuple(typeset(str(reason)) for reason in record.get("reasons") or ()),
        caveats=caveats(record),
        probability=_probability(record.get("probability_of_conformity")),
        headline=provenance.headline(record),
        rules=tuple(rows),
        other_rules=_verdicts_under_other_rules(record),
        sections=shown,
        quality=quality,
        place_noun=str((record.get("scope") or {}).get("place_noun") or "place"),
        warnings=tuple(map(str, record.get("warnings") or ())),
        failures=tuple(failure for failure in failures(record) if failure not in in_sections),
        acquisition=known,
        not_stated=unknown,
        scan=provenance.scan(record),
        scan_sha256=str((record.get("scan") or {}).get("sha256") or ""),
        spec_text=str(spec.get("text") or ""),
        spec_sha256=str(spec.get("sha256") or ""),
        parameters=tuple(provenance.flat(record.get("parameters") or {})),
        plugins=tuple(
            Plugin(*(str(p.get(key) or wording.NONE) for key in ("name", "version", "sha256")))
            for p in record.get("plugins") or ()
        ),
        software=tuple(provenance.flat(record.get("software") or {})),
        files=provenance.files(record),
        run=tuple(
            (name.replace("_", " "), text)
            for name, text in provenance.flat({k: v for k, v in run.items() if k not in _NOT_SHOWN})
        ),
        steps=provenance.steps(run),
        record_text=inside.text,
        record_sha256=inside.sha256,
    )


def _of_this_page(record: Json) -> Mapping[str, Json]:
    """The measurements to show: all; of a record judged again, those that were judged.

    The others stand unchanged on the page of the record that it judges again, and in the record itself.
    """
    measurements: Mapping[str, Json] = record.get("measurements") or {}
    if not record.get("rejudges"):
        return measurements
    judged = {str(check.get("measurement")) for check in record.get("checks") or ()}
    return {name: entry for name, entry in measurements.items() if name in judged}


def _probability(probability: float | None) -> str:
    return "cannot be given" if probability is None else typeset(wording.percent(probability))


def _verdicts_under_other_rules(record: Json) -> tuple[tuple[str, str, Outcome, bool], ...]:
    """(rule, its words, the cell's verdict, whether every rule of the spec uses it already)."""
    used = {str(check.get("decision_rule")) for check in record.get("checks", ())}
    stated = record.get("verdict_under_other_rules") or {}
    return tuple(
        (rule, words, Outcome.of(stated[rule]), used == {rule})
        for rule, words in DECISION_RULES.items()
        if stated.get(rule)
    )


def render_report(record: Json, images: Mapping[str, bytes], inside: Embedded | None = None) -> str:
    """The report as one HTML document.

    Parameters
    ----------
    record
        The record, ``record.json`` as a dict, with ``sections`` holding the figures.
    images
        PNG or JPEG bytes by the name under which a figure refers to them.
    inside
        As :func:`page` takes it.

    Returns
    -------
    HTML
        A pure function of both arguments: the same record and images give the same text.

    Raises
    ------
    RecordError
        Where a figure's image is missing or its kind unknown.
    """
    return environment().get_template("report.html.j2").render(page=page(record, images, inside))


def notebook_html(report_html: str, height_px: int = 900) -> str:
    """The report in a frame of its own, for ``_repr_html_``: its styles cannot touch the notebook's."""
    return (
        f'<iframe title="Inspection report" sandbox="" width="100%" height="{height_px:d}" '
        f'style="border:1px solid #8888" srcdoc="{html.escape(report_html, quote=True)}"></iframe>'
    )
