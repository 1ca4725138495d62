"""The report as a browser shows it: nothing fetched or cut off, true to scale, legible in either theme."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_examples import bare_record, full_record, hostile_texts, with_verdict

from xctrules.core.figures import ImageFigure, Polyline
from xctrules.pages.figures import figure_to_json
from xctrules.pages.report import notebook_html, render_report

PHONE, DESKTOP = (390, 844), (1280, 900)


@dataclass
class Shown:
    """A page with what it said and asked for while it was shown."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Any]:
    pages = []

    def open_page(html: str, size: tuple[int, int] = DESKTOP, theme: str = "light") -> Shown:
        file = tmp_path / "report.html"
        file.write_text(html, encoding="utf-8")
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=theme)
        pages.append(page)
        shown = Shown(page)
        page.on("console", lambda message: shown.said.append(message.text))
        page.on("pageerror", lambda error: shown.said.append(str(error)))
        page.on("request", lambda request: shown.asked.append(request.url))
        page.goto(file.as_uri())
        return shown

    yield open_page
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def report() -> str:
    record, images = full_record()
    return render_report(record, images)


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_quiet_and_self_contained(show: Any, report: str, size: tuple[int, int], theme: str) -> None:
    shown = show(report, size, theme)
    assert shown.said == []
    fetched = [url for url in shown.asked if not url.startswith("data:")]
    assert fetched == [shown.page.url]
    broken = "[...document.images].filter(i => !i.complete || i.naturalWidth === 0).length"
    assert shown.page.evaluate(broken) == 0


@pytest.mark.parametrize("size", [PHONE, DESKTOP, (768, 1024), (320, 640)])
def test_page_never_scrolls_sideways(show: Any, size: tuple[int, int]) -> None:
    """Tables may scroll in their own box; the page may not. Long names without a space included."""
    record, images = full_record()
    hostile_texts(record, "x" * 90)
    page = show(render_report(record, images), size).page
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_rules_can_be_read_without_scrolling(show: Any, report: str, size: tuple[int, int]) -> None:
    page = show(report, size).page
    hidden = "(box => box.scrollWidth - box.clientWidth)(document.querySelector('#rules .scroll'))"
    assert page.evaluate(hidden) <= 0


CONTRASTS = """() => {
  const linear = v => v <= .04045 * 255 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4;
  const light = c => .2126 * linear(c[0]) + .7152 * linear(c[1]) + .0722 * linear(c[2]);
  const rgba = text => text.match(/[\\d.]+/g).map(Number);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = rgba(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > .99) return c;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const text = walk.currentNode.data.trim(), e = walk.currentNode.parentElement;
    if (!text || ['SCRIPT', 'STYLE'].includes(e.tagName) || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    const ink = rgba(e.namespaceURI.endsWith('svg') ? style.fill : style.color);
    const [a, b] = [light(ink), light(ground(e))].sort((x, y) => y - x);
    found.push([(a + .05) / (b + .05), text.slice(0, 40)]);
  }
  return found;
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("verdict", ["PASS", "CONDITIONAL_PASS", "INCOMPLETE", "FAIL", "SCAN_REJECTED"])
def test_all_text_has_contrast(show: Any, theme: str, verdict: str) -> None:
    """WCAG 2.2, 1.4.3: at least 4.5 to 1."""
    record, images = full_record()
    page = show(render_report(with_verdict(record, verdict), images), DESKTOP, theme).page
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    found = page.evaluate(CONTRASTS)
    assert len(found) > 100
    assert [entry for entry in found if entry[0] < 4.5] == []


def test_themes_differ(show: Any, report: str) -> None:
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    assert show(report, theme="light").page.evaluate(ground) != show(report, theme="dark").page.evaluate(
        ground
    )


@pytest.fixture
def marked_image() -> tuple[dict[str, Any], dict[str, bytes]]:
    """A record with one image of 60 x 40 pixels, each twice as high as wide, and an overlay on known ones."""
    figure = ImageFigure(
        "grid", "Grid", "Look here.", "A grid", np.zeros((40, 60), dtype=np.uint8), pixel_mm=(0.2, 0.1),
        overlays=(
            Polyline(np.array([[10, 5], [50, 5], [50, 35], [10, 35]], float), "can", "box", closed=True),
        ),
        x_axis=("x / px", 0.0, 59.0), y_axis=("y / px", 0.0, 39.0),
    )  # fmt: skip
    data, images = figure_to_json(figure)
    record = bare_record()
    record["sections"] = [{"metric": "canister", "title": "Can", "figures": [data]}]
    return record, images


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_images_overlays_and_scale_bars_are_true(
    show: Any, marked_image: tuple[dict[str, Any], dict[str, bytes]], size: tuple[int, int]
) -> None:
    page = show(render_report(*marked_image), size).page
    found = {
        name: page.evaluate(
            "s => (b => [b.x, b.y, b.width, b.height])(document.querySelector(s).getBoundingClientRect())",
            f"figure {selector}",
        )
        for name, selector in (("image", "img"), ("line", "use:last-of-type"), ("bar", ".scale .bar"))
    }
    x, y, width, height = found["image"]
    # 60 x 0.1 mm wide and 40 x 0.2 mm high, to a pixel of the screen.
    assert width / height == pytest.approx(6.0 / 8.0, rel=2 / height)
    left, top, line_width, line_height = found["line"]
    # Pixel centres at whole numbers: pixel 10 is centred 10.5 pixels from the image's left edge.
    assert (left + line_width / 2 - x) / width * 60 == pytest.approx(30.5, abs=0.2)
    assert (top + line_height / 2 - y) / height * 40 == pytest.approx(20.5, abs=0.2)
    assert line_width / width * 60 == pytest.approx(40, abs=1.0)  # a stroke may or may not count
    assert line_height / height * 40 == pytest.approx(30, abs=1.0)
    length_mm = float(page.locator("figure .scale .length").text_content().removesuffix(" mm"))
    assert found["bar"][2] / width * 6.0 == pytest.approx(length_mm, rel=0.02)


def test_an_image_grows_when_it_is_followed(
    show: Any, marked_image: tuple[dict[str, Any], dict[str, bytes]]
) -> None:
    page = show(render_report(*marked_image)).page
    before = page.locator("figure img").bounding_box()["width"]
    page.locator("figure a.view").click()
    assert page.locator("figure img").bounding_box()["width"] > before
    page.get_by_text("Make it small again").click()
    assert page.locator("figure img").bounding_box()["width"] == pytest.approx(before, abs=1)


def test_prints_as_pdf_light_and_with_its_budgets(show: Any, report: str) -> None:
    page = show(report, theme="dark").page
    pdf = page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 20_000
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()


def test_works_without_javascript(browser: Any, report: str, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(report, encoding="utf-8")
    page = browser.new_page(java_script_enabled=False)
    page.goto(file.as_uri())
    assert page.get_by_role("heading", name="Cell UCL-21700-A").is_visible()
    page.get_by_text("Uncertainty budgets").first.click()
    assert page.get_by_text("edge noise", exact=True).first.is_visible()
    page.close()


def test_notebook_frame_shows_the_report(show: Any, report: str) -> None:
    shown = show(f"<!doctype html><title>n</title><body>{notebook_html(report)}")
    frame = shown.page.frame_locator("iframe")
    assert frame.get_by_role("heading", name="Cell UCL-21700-A").is_visible()
    assert [url for url in shown.asked if url.startswith("http")] == []


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_certificate_is_quiet_and_as_wide_as_the_screen(show: Any, size: tuple[int, int]) -> None:
    """With text in each field of its record that would be a script, and names that have no space."""
    from xctrules.pages.certificate import render_certificate

    record, images = full_record()
    hostile_texts(record, "<script>document.title='run'</script>" + "x" * 60)
    words = "<img src=x onerror=\"document.title='run'\">"
    profile = {
        "laboratory": {"name": words, "address": words, "contact": words, "accreditation": None},
        "authorised_by": {"name": words, "role": words},
        "customer": {"name": words},
    }
    issue = {
        "record_sha256": "0" * 64, "number": "A-1", "issued": "2026-01-01", "signatures": [],
        "validation": None, "laboratory": profile,
    }  # fmt: skip
    shown = show(render_certificate(record, images, issue), size)
    assert shown.said == []
    assert [url for url in shown.asked if not url.startswith("data:")] == [shown.page.url]
    assert shown.page.title() != "run"
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= size[0]
