"""A page as PDF, by WeasyPrint, which is an extra: the same page gives the same bytes on the same machine."""

from __future__ import annotations

import logging

from xctrules.core.errors import XctrulesError

VARIANT = "pdf/a-3u"
"""ISO 19005-3, level U: fonts and colours inside, text that can be searched."""
TODO = "Install the extra: pip install 'xctrules[pdf]'."


class NoPdf(XctrulesError):
    """No PDF can be written here."""


def pdf_bytes(html_text: str) -> bytes:
    """The page as PDF/A: no date but the page's own, nothing fetched.

    Raises
    ------
    NoPdf
        Without WeasyPrint, or where it cannot load the libraries that it draws with.
    """
    try:
        import weasyprint
    except (ImportError, OSError) as error:
        raise NoPdf(f"no PDF can be written ({error})", todo=TODO) from error
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    inside = weasyprint.URLFetcher(allowed_protocols=("data",))  # images stand in the page
    return bytes(weasyprint.HTML(string=html_text, url_fetcher=inside).write_pdf(pdf_variant=VARIANT))
