"""The one template environment of all pages."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from xctrules.core.shipped import shipped_folder
from xctrules.pages import charts
from xctrules.pages.typography import typeset

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates, filled with text alone: whatever stands in a record is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(shipped_folder("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["px"] = charts.number
    made.filters["breakable"] = _breakable
    made.filters["typeset"] = typeset
    return made


def _breakable(name: str) -> Markup:
    """A dotted name that may be broken behind its dots and underscores."""
    from markupsafe import Markup

    return Markup("<wbr>").join(re.split(r"(?<=[._])", name))


def prepare() -> None:
    """Compile the templates, so that the first report is drawn as fast as the next ones."""
    for name in ("report.css", "figures.html.j2", "report.html.j2"):
        environment().get_template(name)
