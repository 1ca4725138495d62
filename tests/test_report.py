"""The report: everything from the record, nothing from elsewhere, safe with hostile text."""

from __future__ import annotations

from report_examples import full_record

from xctrules.record import record_bytes
from xctrules.report import embedded_images, embedded_record, render_report


def test_record_and_images_come_back_byte_for_byte() -> None:
    record, images = full_record()
    report = render_report(record, images)
    assert embedded_record(report)[0] == record_bytes(record)
    assert embedded_images(report) == images
