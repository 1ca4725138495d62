"""Record and page bound to each other: the record holds the SHA-256 of the page that is drawn from it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from xctrules.core.errors import RecordError
from xctrules.pages.embedding import NOTHING, Embedded, with_record, without_record
from xctrules.pages.report import render_report
from xctrules.records.record import sealed_bytes

Json = Mapping[str, Any]


def bound_report(record: Json, images: Mapping[str, bytes]) -> tuple[dict[str, Any], str]:
    """Draw a record's page, and bind both to each other.

    Parameters
    ----------
    record
        As :func:`xctrules.records.record.build_record` makes it.
    images
        PNG or JPEG bytes by name.

    Returns
    -------
    record, HTML
        The record with ``run.page_sha256``, sealed anew; its page, the same to the byte as
        :func:`xctrules.pages.report.render_report` draws it from that record.

    Raises
    ------
    RecordError
        As :func:`xctrules.pages.report.render_report`.
    """
    bound, _, page = bound_bytes(record, images)
    return bound, page


def bound_bytes(record: Json, images: Mapping[str, bytes]) -> tuple[dict[str, Any], bytes, str]:
    """As :func:`bound_report`, with the record's canonical bytes between record and page."""
    emptied = render_report(record, images, NOTHING)
    run = {**record["run"], "page_sha256": _sha256(emptied)}
    bound, data = sealed_bytes({**record, "run": run})
    return bound, data, with_record(emptied, Embedded.of_bytes(data))


def stated_page(record: Json) -> str | None:
    """The SHA-256 that a record states for its page; ``None`` where it states none, as older ones do not."""
    run = record.get("run")
    stated = run.get("page_sha256") if isinstance(run, Mapping) else None
    return None if stated is None else str(stated)


def what_differs(html_text: str, stated: str) -> str | None:
    """Why a page is not the one that a record states, in words; ``None`` where it is."""
    try:
        found = _sha256(without_record(html_text))
    except RecordError as error:
        return str(error)
    if found == stated:
        return None
    return "what it shows was changed: it is not the page whose SHA-256 the record states (run.page_sha256)"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
