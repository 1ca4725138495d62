"""A record and its images inside a report, and how to take them out again.

The bytes of ``record.json`` are the content of the element ``<script type="application/json" id="record"
data-sha256="…">``, with every ``<`` written as the escape ``\\u003c``, so that no text in them can end
it. The content is therefore JSON of the same value as it stands, and :func:`embedded_record` gives back the
exact bytes.

**What a page is bound by.** A record cannot hold the hash of a page that holds the record. Three places of a
page follow from the record's bytes: the content of that element, its ``data-sha256``, and the same SHA-256
where the reader sees it (``<code … id="record-sha256">``). :func:`without_record` empties these three and no
other; the SHA-256 of what is left, every visible word and every image, stands in the record as
``run.page_sha256``. So record and page hold each other, and neither a later version nor a reader without
xctrules has to draw the page again to see that it is the one that was written.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xctrules.core.canonical import canonical_bytes
from xctrules.core.errors import RecordError

_RECORD = re.compile(
    r'<script type="application/json" id="record" data-sha256="([0-9a-f]{64})">(.*?)</script>', re.S
)


_SHOWN = re.compile(r'(<code class="hash" id="record-sha256">)([0-9a-f]{64})?(</code>)')


_ELEMENT = re.compile(
    r'(<script type="application/json" id="record" data-sha256=")([0-9a-f]{64})?(">)(.*?)(</script>)', re.S
)


_IMAGE = re.compile(
    r'<img [^<>]*?data-name="([^"]*)"[^<>]*? src="data:image/(?:png|jpeg);base64,([A-Za-z0-9+/=]*)"'
)


# An escaped "<" is "\u003c" behind an even number of backslashes: behind an odd one the first of its own is
# itself escaped and belongs to the text.
_ESCAPED = re.compile(r"(?<!\\)((?:\\\\)*)\\u003c")


@dataclass(frozen=True)
class Embedded:
    """A record as the report carries it: escaped text, and the SHA-256 of the bytes it stands for."""

    text: str
    sha256: str

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Embedded:
        return cls.of_bytes(canonical_bytes(record))

    @classmethod
    def of_bytes(cls, data: bytes) -> Embedded:
        """From a record's canonical bytes."""
        text = data.decode("utf-8").replace("<", "\\u003c")
        return cls(text, hashlib.sha256(data).hexdigest())


NOTHING = Embedded("", "")
"""What a page carries before its record is put in: see :func:`without_record`."""


def embedded_record(html_text: str) -> tuple[bytes, str]:
    """The bytes of the record inside a report, and the SHA-256 that the report states for them.

    Whether the two agree is for the caller to check.

    Raises
    ------
    RecordError
        When there is no record in it, or more than one.
    """
    found = _RECORD.findall(html_text)
    if len(found) != 1:
        what = "holds no record" if not found else f"holds {len(found)} records, where one is allowed"
        raise RecordError(f"the report {what}", todo="It was not written by xctrules, or it was changed.")
    stated, text = found[0]
    return _ESCAPED.sub(r"\1<", text).encode("utf-8"), stated


def without_record(html_text: str) -> str:
    """A report with the record, and the two places that state its SHA-256, left empty (see the module).

    Raises
    ------
    RecordError
        When one of these places is missing or doubled, or the two SHA-256 differ.
    """
    inside, shown = _ELEMENT.findall(html_text), _SHOWN.findall(html_text)
    if len(inside) != 1 or len(shown) != 1:
        raise RecordError("the report does not state its record's SHA-256 once inside and once to the reader")
    if inside[0][1] != shown[0][1]:
        raise RecordError("the SHA-256 that the reader sees is not the one stated for the record inside")
    return _ELEMENT.sub(r"\1\3\5", _SHOWN.sub(r"\1\3", html_text))


def with_record(emptied: str, inside: Embedded) -> str:
    """A report as :func:`without_record` leaves it, with a record put in: the inverse."""
    shown = _SHOWN.sub(lambda m: f"{m[1]}{inside.sha256}{m[3]}", emptied)
    return _ELEMENT.sub(lambda m: f"{m[1]}{inside.sha256}{m[3]}{inside.text}{m[5]}", shown)


def embedded_images(html_text: str) -> dict[str, bytes]:
    """The images inside a report by name.

    Raises
    ------
    RecordError
        When an image cannot be decoded, or a name stands for two different ones.
    """
    images: dict[str, bytes] = {}
    for name, text in _IMAGE.findall(html_text):
        name = html.unescape(name)
        try:
            data = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise RecordError(
                "the image cannot be decoded", where=name, todo="The report was changed."
            ) from error
        if images.setdefault(name, data) != data:
            raise RecordError(
                "two different images have this name", where=name, todo="The report was changed."
            )
    return images


def data_uri(data: bytes) -> str:
    """An image (PNG or JPEG bytes) as the source of an ``img`` element."""
    kind = "image/jpeg" if data[:3] == b"\xff\xd8\xff" else "image/png"
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
