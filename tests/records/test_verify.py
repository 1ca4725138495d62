"""Every kind of tampering is found; what is sound holds; what cannot be read is refused."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path

import pytest
from record_examples import example

from xctrules.core.canonical import canonical_bytes
from xctrules.core.errors import RecordError
from xctrules.core.shipped import source_sha256
from xctrules.core.version import __version__
from xctrules.pages.embedding import Embedded, with_record, without_record
from xctrules.pages.report import render_report
from xctrules.records.binding import bound_report
from xctrules.records.folder import write_cell
from xctrules.records.folders import verify_all
from xctrules.records.record import sealed
from xctrules.records.verify import verify_path


def cell(folder: Path, record=None, files=None) -> Path:
    made, made_files = example()
    record, files = record or made, files or made_files
    record, page = bound_report(record, files)
    return write_cell(folder, record, files, page)


def failures(path: Path) -> str:
    return "\n".join(str(finding) for finding in verify_path(path).failures)


def test_what_was_written_holds(tmp_path):
    folder = cell(tmp_path)
    for path in (folder, folder / "record.json", folder / "report.html"):
        result = verify_path(path)
        assert result.ok, failures(path)
        assert (result.cell_id, result.verdict) == ("cell-1", "PASS")
        assert any(finding.holds for finding in result.findings)


@pytest.mark.parametrize("name", ["record.json", "report.html"])
def test_one_file_alone_holds(tmp_path, name):
    data = (cell(tmp_path) / name).read_bytes()
    alone = tmp_path / f"sent-{name}"
    alone.write_bytes(data)
    assert verify_path(alone).ok


def test_a_folder_of_cells(tmp_path):
    cell(tmp_path)
    other, files = example("cell-2", diameter=21.3)
    cell(tmp_path, other, files)
    results = verify_all(tmp_path)
    assert [(r.cell_id, r.verdict, r.ok) for r in results] == [
        ("cell-1", "PASS", True),
        ("cell-2", "FAIL", True),
    ]


def set_in(record, value, *path):
    for key in path[:-1]:
        record = record[key]
    assert record[path[-1]] != value
    record[path[-1]] = value


TAMPERINGS = {
    "verdict": lambda r: set_in(r, "CONDITIONAL_PASS", "verdict"),
    "outcome": lambda r: set_in(r, "FAIL", "checks", 0, "outcome"),
    "reason": lambda r: r["reasons"].append("All is well."),
    "probability": lambda r: set_in(r, 0.5, "probability_of_conformity"),
    "rule probability": lambda r: set_in(r, 0.5, "checks", 1, "probability_of_conformity"),
    "margin": lambda r: set_in(r, 0.051, "checks", 0, "margin"),
    "tur": lambda r: set_in(r, 7.0, "checks", 0, "tur"),
    "other rules": lambda r: set_in(r, "FAIL", "verdict_under_other_rules", "simple"),
    "limit in a check": lambda r: set_in(r, 21.5, "checks", 0, "max"),
    "limit in the spec": lambda r: set_in(r, 21.5, "spec", "resolved", "rules", 0, "max", "value"),
    "status of a limit": lambda r: set_in(r, "drawing", "spec", "resolved", "rules", 0, "max", "status"),
    "decision rule": lambda r: set_in(r, "simple", "spec", "resolved", "rules", 0, "decision_rule"),
    "rule removed from checks": lambda r: r["checks"].pop(),
    "rule removed from the spec": lambda r: (r["checks"].pop(), r["spec"]["resolved"]["rules"].pop()),
    "all rules removed": lambda r: (r["checks"].clear(), r["spec"]["resolved"]["rules"].clear()),
    "spec text": lambda r: set_in(r, r["spec"]["text"].replace("21.25", "21.35"), "spec", "text"),
    "spec hash": lambda r: set_in(r, "0" * 64, "spec", "sha256"),
    "spec name": lambda r: set_in(r, "other", "spec", "name"),
    "judged value": lambda r: set_in(r, 21.19, "measurements", "canister.outer_diameter", "value"),
    "unit": lambda r: set_in(r, "um", "measurements", "canister.outer_diameter", "unit"),
    "standard u": lambda r: set_in(r, 0.0011, "measurements", "winding.pitch", "standard_uncertainty"),
    "expanded u": lambda r: set_in(r, 0.0011, "measurements", "winding.pitch", "expanded_uncertainty"),
    "budget": lambda r: set_in(r, 0.002, "measurements", "winding.pitch", "budget", 0, "contribution"),
    "correlation": lambda r: set_in(r, False, "measurements", "overhang.length.min", "budget", 1, "shared"),
    "absent value": lambda r: set_in(r, 0.4, "measurements", "overhang.bottom.length.min", "value"),
    "scale": lambda r: set_in(r, False, "scale", "stated"),
    "scale unstated": lambda r: set_in(r, None, "acquisition", "voxel_scale_relative_uncertainty"),
    "scan hash": lambda r: set_in(r, "0" * 64, "scan", "sha256"),
    "image hash": lambda r: set_in(r, "0" * 64, "sections", 0, "figures", 0, "image", "sha256"),
    "rejection": lambda r: r["rejections"].append("too noisy"),
    "a failed screen": lambda r: r["unscreened"].append("screening"),
    "measurements gone": lambda r: r.pop("measurements"),
    "budget malformed": lambda r: set_in(r, 3, "measurements", "winding.pitch", "budget"),
    "absurd number": lambda r: set_in(r, 1e300, "measurements", "winding.pitch", "budget", 0, "contribution"),
    "absurd whole number": lambda r: set_in(r, 10**400, "measurements", "canister.outer_diameter", "value"),
    "text for a number": lambda r: set_in(r, "0.003", "measurements", "canister.outer_diameter", "value"),
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in TAMPERINGS if name != "correlation"])
def test_tampering_is_found_even_under_a_renewed_checksum(tmp_path, name):
    record, _ = copy.deepcopy(example())
    TAMPERINGS[name](record)
    path = tmp_path / "record.json"
    path.write_bytes(canonical_bytes(sealed(record)))
    assert not verify_path(path).ok


UNJUDGED = {
    "an unjudged value": lambda r: set_in(r, 0.385, "measurements", "winding.pitch", "value"),
    "scope": lambda r: set_in(r, ["top", "bottom"], "scope", "ends"),
    "operator": lambda r: set_in(r, "someone else", "run", "operator"),
    "cell id": lambda r: set_in(r, "cell-9", "cell_id"),
    "plugin": lambda r: r["plugins"].append({"name": "x"}),
    "checksum gone": lambda r: r["run"].pop("integrity_sha256"),
}


@pytest.mark.parametrize("name", [*TAMPERINGS, *UNJUDGED])
def test_any_edit_breaks_the_checksum(tmp_path, name):
    record, _ = copy.deepcopy(example())
    {**TAMPERINGS, **UNJUDGED}[name](record)
    path = tmp_path / "record.json"
    path.write_bytes(canonical_bytes(record))
    assert "checksum" in failures(path)


def test_formatting_and_doubled_keys(tmp_path):
    record, _ = example()
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record))
    assert "bytes" in failures(path)
    path.write_bytes(canonical_bytes(record).replace(b'"cell_id"', b'"cell_id": "x",\n "cell_id"'))
    with pytest.raises(RecordError, match="twice"):
        verify_path(path)


def test_changed_files_beside_the_record_are_named(tmp_path):
    folder = cell(tmp_path)
    table = folder / "samples" / "overhang.csv"
    table.write_bytes(table.read_bytes().replace(b"2", b"3", 1))
    assert "samples/overhang.csv" in failures(folder)
    assert "samples/overhang.csv" in failures(folder / "record.json")
    table.unlink()
    assert "missing" in failures(folder)
    image = cell(tmp_path / "b") / "images" / "slice.png"
    image.write_bytes(image.read_bytes()[:-1] + b"\x00")
    assert "images/slice.png" in failures(image.parents[1])


def with_samples(folder: Path, change, replaced: tuple[bytes, bytes] = (b"", b"")) -> Path:
    """A cell's folder whose record and table were changed, every hash renewed."""
    record, files = copy.deepcopy(example())
    name = "samples/overhang.csv"
    files[name] = files[name].replace(*replaced)
    next(f for f in record["files"] if f["name"] == name)["sha256"] = hashlib.sha256(files[name]).hexdigest()
    change(record["measurements"]["overhang.length.min"])
    return cell(folder, sealed(record), files)


def test_values_are_worked_out_from_the_samples(tmp_path):
    result = verify_path(cell(tmp_path))
    right = [f.what for f in result.findings if f.holds]
    assert "1 values follow from their samples: overhang.length.min" in right
    (left,) = [f.what for f in result.findings if f.holds is None]
    assert "canister.outer_diameter" in left and "winding.pitch" in left  # nothing was said of these
    assert "overhang" not in left


CONTRADICTIONS = {
    "the value": (lambda m: set_in(m, 0.334, "value"), (b"", b"")),
    "the table": (lambda m: None, (b"0.333333333", b"0.334333333")),
    "a value more": (lambda m: None, (b"\n1,", b"\n1,0.4")),
    "the number": (lambda m: set_in(m, 3, "n"), (b"", b"")),
    "no number": (lambda m: None, (b"0.333333333", b"a third")),
    "the column": (lambda m: set_in(m, "turn", "from_samples", "column"), (b"", b"")),
    "the statistic": (lambda m: set_in(m, "mode", "from_samples", "statistic"), (b"", b"")),
    "an unknown word": (lambda m: m["from_samples"].update(lucky=1), (b"", b"")),
    "malformed": (lambda m: set_in(m, 3, "from_samples"), (b"", b"")),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_value_that_its_own_samples_contradict_does_not_hold(tmp_path, name):
    folder = with_samples(tmp_path, *CONTRADICTIONS[name])
    assert "overhang.length.min" in failures(folder)
    assert "overhang.length.min" in failures(folder / "record.json")


def test_without_samples_a_value_is_not_checked(tmp_path):
    alone = tmp_path / "sent.html"
    alone.write_bytes((cell(tmp_path) / "report.html").read_bytes())
    result = verify_path(alone)
    assert result.ok
    assert any("overhang.length.min" in f.what and "not beside" in f.what for f in result.unchecked)


def test_a_list_of_files_cannot_lead_out_of_the_folder(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    folder = cell(tmp_path)
    record = json.loads((folder / "record.json").read_text())
    record["files"].append({"name": "../secret", "sha256": hashlib.sha256(b"x").hexdigest()})
    (folder / "record.json").write_bytes(canonical_bytes(sealed(record)))
    assert "outside" in failures(folder)


def test_extra_files_are_mentioned(tmp_path):
    folder = cell(tmp_path)
    (folder / "note.txt").write_text("x")
    result = verify_path(folder)
    assert result.ok
    assert any(f.where == "note.txt" and f.holds is None for f in result.findings)


@pytest.mark.parametrize(
    ("old", "new"),
    [("od", "ox"), ("cell-1", "cell-2"), ("</body>", "<p>ok</p></body>"), ("Demo", ""), ("21.2", "21.1")],
)
def test_a_changed_word_in_the_report_is_found(tmp_path, old, new):
    folder = cell(tmp_path)
    path = folder / "report.html"
    text = path.read_text(encoding="utf-8")
    before, mark, after = text.partition('<script type="application/json"')
    script, end, rest = after.partition("</script>")
    # Outside the embedded record: what the reader sees.
    part, other = (before, rest) if old in before else (rest, before)
    assert old in part
    part = new.join(part.rsplit(old, 1))
    head, foot = (part, other) if old in before else (other, part)
    path.write_bytes((head + mark + script + end + foot).encode())
    assert not verify_path(path).ok
    assert not verify_path(folder).ok


def test_one_changed_pixel_in_the_report_is_found(tmp_path):
    import base64

    import cv2
    import numpy as np

    folder = cell(tmp_path)
    png = (folder / "images" / "slice.png").read_bytes()
    pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    pixels[2, 3] += 1
    other = cv2.imencode(".png", pixels)[1].tobytes()
    path = folder / "report.html"
    text = path.read_text(encoding="utf-8")
    was, now = (base64.b64encode(data).decode() for data in (png, other))
    assert was in text
    path.write_bytes(text.replace(was, now).encode())
    assert "slice.png" in failures(path)
    path.write_bytes(text.replace(was, "").encode())
    assert not verify_path(path).ok


def test_a_report_of_another_cell_in_the_folder_is_found(tmp_path):
    folder = cell(tmp_path)
    record, files = example(diameter=21.3)
    (folder / "report.html").write_bytes(render_report(record, files).encode())
    assert "record inside it is not" in failures(folder)
    (folder / "report.html").unlink()
    assert "missing" in failures(folder)
    (folder / "report.html").write_text("<html></html>")
    assert "no record" in failures(folder)


def test_another_version_says_what_was_not_checked(tmp_path):
    record, files = copy.deepcopy(example())
    record["software"] |= {"xctrules": f"{__version__}.other", "source_sha256": "0" * 64}
    record["reasons"] = [reason.upper() for reason in record["reasons"]]
    folder = cell(tmp_path, sealed(record), files)
    result = verify_path(folder)
    assert result.ok, failures(folder)
    notes = " ".join(f.what for f in result.findings if f.holds is None)
    assert "other" in notes
    assert __version__ in notes
    record["verdict"] = "FAIL"
    (folder / "record.json").write_bytes(canonical_bytes(sealed(record)))
    assert not verify_path(folder).ok


def by_another(version: str = f"{__version__}.other"):
    """A record as another version wrote it: (record, files)."""
    record, files = copy.deepcopy(example())
    assert record["software"]["source_sha256"] == source_sha256()
    record["software"] |= {"xctrules": version, "source_sha256": "0" * 64}
    return sealed(record), files


def test_other_source_of_the_same_version_does_not_draw_the_page_again(tmp_path):
    folder = cell(tmp_path, *by_another(__version__))
    result = verify_path(folder)
    notes = " ".join(f.what for f in result.findings if f.holds is None)
    assert result.ok and "would draw the same page" in notes and "other source" in notes


def replaced_in_page(path: Path, old: str, new: str) -> None:
    """Change a word that the reader sees; the record inside stays."""
    before, mark, after = path.read_text(encoding="utf-8").partition('<script type="application/json"')
    assert old in before
    path.write_bytes((before.replace(old, new, 1) + mark + after).encode())


CHANGES = [
    ("Pass", "Fail"), ("</main>", "<p>ok</p></main>"), ("21.2", "21.1"), ("base64,", "base64,AAAA"),
    ('class="verdict', 'class=" verdict'), ("<!doctype html>", "<!doctype html> "),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_a_page_changed_by_hand_is_found_by_a_version_that_cannot_draw_it(tmp_path, old, new):
    folder = cell(tmp_path, *by_another())
    replaced_in_page(folder / "report.html", old, new)
    for path in (folder, folder / "report.html"):
        assert not verify_path(path).ok
        assert verify_path(path).answer == "DOES NOT HOLD"


def test_every_byte_of_a_page_is_bound_whatever_version_looks(tmp_path):
    folder = cell(tmp_path, *by_another())
    path = folder / "report.html"
    data = path.read_bytes()
    for place in range(0, len(data), 211):  # a prime, so that no line or column is always missed
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            found = not verify_path(path).ok
        except RecordError:
            found = True
        assert found, data[place - 30 : place + 30]


def test_a_page_that_an_older_version_worded_otherwise_holds(tmp_path):
    """What that version drew is bound by hash; that this one would word it otherwise is no fault."""
    record, files = by_another()
    page = render_report(record, files).replace("</h1>", "</h1><p>older wording</p>", 1)
    record = sealed({**record, "run": {**record["run"], "page_sha256": digest_of(without_record(page))}})
    page = with_record(without_record(page), Embedded.of(record))
    folder = write_cell(tmp_path, record, files, page)
    assert verify_path(folder).ok, failures(folder)
    assert "older wording" in (folder / "report.html").read_text(encoding="utf-8")


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("changed", [True, False])
def test_a_page_that_its_record_does_not_bind_is_never_said_to_hold(tmp_path, changed):
    """Records written before pages were bound: what the reader sees cannot be checked by another version."""
    record, files = by_another()
    folder = write_cell(tmp_path, record, files, render_report(record, files))
    if changed:
        replaced_in_page(folder / "report.html", "Pass", "Fail")
    for path in (folder, folder / "report.html"):
        result = verify_path(path)
        assert not result.ok and result.answer == "NOT CHECKED" and not result.failures
    assert verify_path(folder / "record.json").ok


def test_the_sha256_that_the_reader_sees_is_the_records(tmp_path):
    folder = cell(tmp_path, *by_another())
    stated = digest_of((folder / "record.json").read_text(encoding="utf-8"))
    for other in ("0" * 64, ""):
        copied = tmp_path / f"report{len(other)}.html"
        copied.write_bytes((folder / "report.html").read_bytes())
        replaced_in_page(copied, stated, other)
        assert not verify_path(copied).ok


def test_a_bound_page_is_what_the_record_draws():
    record, files = example()
    bound, page = bound_report(record, files)
    assert page == render_report(bound, files)
    assert sealed(bound) == bound
    assert {k: v for k, v in bound.items() if k != "run"} == {k: v for k, v in record.items() if k != "run"}


def test_a_spec_with_parents_is_resolved_again(tmp_path):
    from record_examples import SPEC

    from xctrules.rules.cellspec import SpecText, parse_spec

    child = (
        'schema: xctrules.spec/1\nname: child\nversion: "1"\nextends: mine\nrules: [{id: od, max: 21.3}]\n'
    )
    record, _ = copy.deepcopy(example())
    spec = parse_spec(child, file="child.yaml", parents=[SpecText("mine.yaml", SPEC)])
    record["spec"] = {
        "name": spec.name, "version": spec.version, "file": spec.file, "sha256": spec.sha256,
        "text": spec.text, "resolved": spec.resolved,
        "parents": [{"name": "mine.yaml", "sha256": spec.parents[0].sha256, "text": SPEC}],
    }  # fmt: skip
    path = tmp_path / "record.json"
    path.write_bytes(canonical_bytes(sealed(record)))
    assert "resolved spec" not in failures(path)
    assert "SHA-256" not in failures(path)
    assert "rule od: max" in failures(path)  # the checks are still those of the parent
    record["spec"]["parents"] = []
    path.write_bytes(canonical_bytes(sealed(record)))
    assert "is missing" in failures(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"schema": "xctrules.record/99"}', b'{"a": NaN}', b"\xff\xfe",
     b"<html></html>", b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_record_cannot_be_read(tmp_path, content):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(RecordError):
        verify_path(path)


def test_paths_that_are_not_there(tmp_path):
    with pytest.raises(RecordError, match="no such file"):
        verify_path(tmp_path / "nothing")
    with pytest.raises(RecordError, match=r"record\.json"):
        verify_path(tmp_path)
