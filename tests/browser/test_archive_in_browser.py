"""An archive's pages as a browser shows them from a folder: found, sorted, told, and nothing hostile runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archive_examples import KEY, cell, filled, small_item

from xctrules.records.archive.collecting import read_item
from xctrules.records.archive.layout import record_folder
from xctrules.records.archive.log import Log
from xctrules.records.archive.site import write_site
from xctrules.records.archive.store import add_to_record, append
from xctrules.records.signing.keys import new_key
from xctrules.records.signing.making import signature_in

PHONE, DESKTOP = (390, 844), (1280, 900)
HOSTILE = (
    "</script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">'&{{7*7}}"
)
CELLS = 430
VERDICTS = ["PASS", "FAIL", "INCOMPLETE"]


def drawn_cells() -> list[dict[str, Any]]:
    """Cells of which the test knows all that can be asked for."""
    rng = np.random.default_rng(4)
    return [
        {
            "name": f"cell-{i}", "verdict": VERDICTS[int(rng.integers(3))], "lot": f"L{int(rng.integers(5))}",
            "day": f"2026-0{int(rng.integers(1, 10))}-15",
        }
        for i in range(CELLS)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("site")
    archive = filled(work, count=0)
    items = [
        small_item(
            each["name"], verdict=each["verdict"], acquisition={"lot": each["lot"]},
            run={"started": f"{each['day']}T08:00:00Z"},
        )
        for each in drawn_cells()
    ]  # fmt: skip
    append(archive, [*items, small_item(HOSTILE, acquisition={"lot": HOSTILE})], KEY)
    append(archive, [read_item(cell(work / "cells", "told-1", diameter=21.3))], KEY)
    append(archive, [small_item("told-1", verdict="PASS", rejudges={"record_sha256": "0" * 64})], KEY)
    log = Log.open(archive)
    sha256 = log.entry(log.head.size - 2)["record"]
    folder = archive / record_folder(sha256)
    name, envelope = signature_in(folder, new_key("<b>Reviewer"), "concession", reason=HOSTILE)
    add_to_record(archive, sha256, {name: envelope}, "signature", KEY)
    assert write_site(archive) == CELLS + 2
    return archive


@pytest.fixture
def show(browser: Any, site: Path) -> Iterator[Callable[..., Any]]:
    contexts = []

    def open_page(name: str = "index.html", size: tuple[int, int] = DESKTOP, scripts: bool = True) -> Any:
        width, height = size
        context = browser.new_context(
            viewport={"width": width, "height": height}, java_script_enabled=scripts
        )
        contexts.append(context)
        page = context.new_page()
        page.said = []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on(
            "request", lambda request: page.said.append(request.url) if request.url[:5] != "file:" else None
        )
        page.goto((site / name).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()


def listed(page: Any) -> list[str]:
    """Names of the cells, once all that fit are drawn."""
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    return [str(text) for text in page.locator("ol.cells > li h3").all_inner_texts()]


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_it_fits_is_quiet_and_shows_thumbnails(show, size):
    page = show(size=size)
    page.locator("ol.cells img").first.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('ol.cells img').naturalWidth === 144")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.said == []
    small = page.eval_on_selector_all(
        "form.wanted input, form.wanted select, form.wanted button",
        "all => all.filter(each => each.getBoundingClientRect().height < 44).length",
    )
    assert small == 0  # a finger finds them


def test_what_is_asked_for_is_found_and_sorted(show):
    page, truth = show(), drawn_cells()
    assert len(listed(page)) == CELLS + 2
    page.select_option("[name=verdict]", "FAIL")
    page.select_option("[name=lot]", "L2")
    page.fill("[name=since]", "2026-03-01")
    page.fill("[name=until]", "2026-07-20")
    page.select_option("[name=order]", "cell")
    expected = [
        each["name"] for each in truth
        if each["verdict"] == "FAIL" and each["lot"] == "L2" and "2026-03" <= each["day"][:7] <= "2026-07"
    ]  # fmt: skip
    assert len(expected) > 3 and listed(page) == expected
    page.locator("button[type=reset]").click()
    page.wait_for_function(f"document.querySelector('[role=status]').textContent.startsWith('{CELLS + 2} ')")
    page.select_option("[name=order]", "oldest")
    assert listed(page)[:3] == ["cell-0", "cell-1", "cell-2"]
    page.select_option("[name=order]", "worst")
    order = {each["name"]: each["verdict"] for each in truth}
    verdicts = [order[name] for name in listed(page) if name in order]
    assert verdicts == sorted(verdicts, key=["FAIL", "INCOMPLETE", "PASS"].index)


def test_rows_are_drawn_as_they_scroll(show):
    page = show()
    rows = page.locator("ol.cells > li")
    assert rows.count() < CELLS
    for _ in range(40):
        page.mouse.wheel(0, 4000)
        page.wait_for_timeout(30)
    page.wait_for_function(f"document.querySelectorAll('ol.cells > li').length === {CELLS + 2}")


def test_the_history_tells_the_newest_first_and_the_keyboard_opens_it(show):
    page = show()
    page.fill("[name=cell]", "told-1")
    page.locator("ol.cells h3 a").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    lines = page.locator(".history li")
    lines.first.wait_for()
    told = lines.all_inner_texts()
    assert "concession, signed as <b>Reviewer" in told[0] and HOSTILE[:20] in told[0]
    assert "judged again by mine 1: Pass" in told[1] and "measured and judged by mine 1: Fail" in told[2]
    page.select_option("[name=state]", "concession")  # of the older record: that one is shown then
    assert "concession" in page.locator("ol.cells > li .what").inner_text()
    page.locator("ol.cells h3 a").click()
    page.wait_for_url("**/report.html")
    assert "told-1" in page.content()


def test_no_hostile_text_runs_with_scripts_or_without(show):
    page = show()
    page.fill("[name=cell]", "onerror")
    assert page.locator("ol.cells h3").all_inner_texts() == [HOSTILE]
    page.locator("summary").first.click()
    assert page.title() != "run" and page.locator("ol.cells script, ol.cells h3 img").count() == 0
    assert page.said == []
    plain = show("pages/list-1.html")
    assert plain.title() != "run" and plain.locator("ol.cells script, ol.cells h3 img").count() == 0


def test_without_scripts_all_cells_are_there_and_read_the_same(show):
    with_script = show()
    with_script.fill("[name=cell]", "cell-77")
    row = with_script.locator("ol.cells > li")
    drawn = " ".join(row.locator("h3, .what, .who .sub").all_text_contents()).split()
    plain, names, found = show(scripts=False), [], None
    assert plain.locator("form.wanted").is_hidden()
    assert plain.locator("ol.cells > li").count() == 200
    for number in (1, 2, 3):
        page = show(f"pages/list-{number}.html", scripts=False)
        names += page.locator("ol.cells h3").all_inner_texts()
        same = page.locator("ol.cells > li").filter(has=page.get_by_role("link", name="cell-77", exact=True))
        if same.count():
            found = " ".join(same.locator("h3, .what, .who .sub").all_text_contents()).split()
    assert len(names) == len(set(names)) == CELLS + 2
    assert found == drawn


def test_on_paper_the_history_is_unfolded_and_the_form_left_out(show):
    page = show()
    page.fill("[name=cell]", "told-1")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".history li").first.is_visible() and page.locator("form.wanted").is_hidden()
