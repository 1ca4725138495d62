"""Certificates: refused with a list, drawn the same twice, and held against the record beside them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from command_line import run
from record_examples import SPEC, example

from xctrules.records.binding import bound_report
from xctrules.records.certificates import required
from xctrules.records.certificates.laboratory import example_profile
from xctrules.records.folder import write_cell
from xctrules.records.signing.keys import SigningKey, new_key
from xctrules.records.signing.making import sign_folder

CALIBRATED = {
    "instrument": "scanner 3", "scanned_at": "2026-01-03", "temperature_c": 20.5,
    "voxel_scale_relative_uncertainty": 1e-4, "calibration_artefact": "ball bar 7",
    "calibration_certificate": "K-2025-118", "calibration_date": "2025-12-01",
}  # fmt: skip


def stored(folder: Path, acquisition=CALIBRATED, spec=SPEC, **kw) -> Path:
    """A cell's folder with a record of a calibrated scan, bound to its report."""
    import record_examples

    from xctrules.records import record as making

    build = making.build_record
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record_examples, "SPEC", spec)
        patch.setattr(
            record_examples, "build_record", lambda **given: build(**{**given, "acquisition": acquisition})
        )
        made, files = example(**kw)
    images = {name: data for name, data in files.items() if name.startswith("images/")}
    bound, page = bound_report(made, images)
    return write_cell(folder, bound, files, page)


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return new_key("Anna <b>Q</b>")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, key: SigningKey) -> Path:
    """The shipped example as a laboratory would fill it in, with its own key."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "anna.pub").write_bytes(key.public.file_bytes())
    path = folder / "lab.yaml"
    path.write_text(example_profile().read_text() + "\nkeys: [anna.pub]\n")
    return path


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, key: SigningKey) -> Path:
    cell = stored(tmp_path_factory.mktemp("signed"))
    sign_folder(cell, key, "measured")
    sign_folder(cell, key, "released")
    return cell


@pytest.fixture
def cell(signed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(signed, tmp_path / signed.name))


def without(lab: Path, folder: Path, dotted: str) -> Path:
    """The same profile without one key."""
    values = yaml.safe_load(lab.read_text())
    *above, last = dotted.split(".")
    inner = values
    for part in above:
        inner = inner[part]
    del inner[last]
    path = folder / "lab.yaml"
    path.write_text(yaml.safe_dump(values))
    shutil.copy(lab.parent / "anna.pub", folder)
    return path


def text_of(pdf: Path) -> str:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")
    done = subprocess.run(["pdftotext", "-layout", str(pdf), "-"], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("dotted", [key for key, _, _ in required.OF_THE_LABORATORY])
def test_each_missing_field_of_the_profile_refuses(
    cell: Path, lab: Path, tmp_path: Path, dotted: str
) -> None:
    result = run("certificate", cell, "--lab", without(lab, tmp_path, dotted))
    assert result.exit_code == 1
    assert f"the profile lacks {dotted}:" in result.stderr
    assert result.stderr.count("lacks") == 1, "the others are there"
    assert not (cell / "certificate.html").exists()


@pytest.mark.parametrize(
    ("dropped", "said"),
    [
        ("scanned_at", "the record lacks acquisition.scanned_at"),
        ("instrument", "the record lacks acquisition.instrument"),
        ("calibration_artefact", "its artefact is missing"),
        ("calibration_certificate", "its certificate is missing"),
        ("calibration_date", "its date is missing"),
    ],
)
def test_what_the_record_lacks_refuses(tmp_path: Path, lab: Path, dropped: str, said: str) -> None:
    folder = stored(tmp_path, {**CALIBRATED, dropped: None})
    result = run("certificate", folder, "--lab", lab)
    assert result.exit_code == 1 and said in result.stderr
    assert "lacks issued" in result.stderr, "all of it is told at once: nobody has released it either"


def test_an_assumed_scale_and_an_indicative_limit_refuse(tmp_path: Path, lab: Path) -> None:
    unstated = {**CALIBRATED, "voxel_scale_relative_uncertainty": None}
    soft = SPEC.replace("status: datasheet", "status: indicative")
    result = run("certificate", stored(tmp_path, unstated, soft, stated=False), "--lab", lab)
    assert result.exit_code == 1
    assert "the voxel scale's uncertainty is assumed" in result.stderr
    assert "is indicative (mine.yaml:5)" in result.stderr


def test_a_decision_rule_that_was_not_agreed_refuses(cell: Path, lab: Path, tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(
        re.sub(r"agreed: .*", "agreed: [simple]", lab.read_text()).replace("[anna", f"[{lab.parent}/anna")
    )
    result = run("certificate", cell, "--lab", path)
    assert result.exit_code == 1 and "guarded is not among those agreed" in result.stderr


def test_a_changed_record_refuses(cell: Path, lab: Path) -> None:
    path = cell / "record.json"
    path.write_bytes(path.read_bytes().replace(b"scanner 3", b"scanner 4"))
    result = run("certificate", cell, "--lab", lab)
    assert result.exit_code == 1 and "does not hold" in result.stderr


def test_certificate_states_the_record_and_holds(cell: Path, lab: Path) -> None:
    first = run("certificate", cell, "--lab", lab)
    assert first.exit_code == 0, first.output
    page, pdf = (cell / "certificate.html").read_bytes(), (cell / "certificate.pdf").read_bytes()
    assert run("certificate", cell, "--lab", lab).exit_code == 0
    assert (cell / "certificate.html").read_bytes() == page
    assert (cell / "certificate.pdf").read_bytes() == pdf
    verified = run("verify", cell)
    assert verified.exit_code == 0, verified.output
    assert "shows this record and its signatures" in verified.stdout


def test_paper_has_two_pages_with_numbers_and_an_end(cell: Path, lab: Path) -> None:
    assert run("certificate", cell, "--lab", lab).exit_code == 0
    pages = text_of(cell / "certificate.pdf").rstrip("\f").split("\f")
    assert len(pages) <= 2
    for number, page in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in page
    assert "End of certificate EXAMPLE-" in pages[-1]
    text = " ".join(" ".join(pages).split())
    for words in (
        "cell-1", "21.2000 mm", "at most 21.25 mm", "ball bar 7", "K-2025-118", "2025-12-01", "scanner 3",
        "2026-01-03", "Example Customer", "Anna <b>Q</b>", "guarded acceptance",
    ):  # fmt: skip
        assert words in text, words


def test_unsigned_is_said_before_the_verdict(tmp_path: Path, lab: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(example_profile().read_text() + "\nissued: 2026-02-01\n")
    folder = stored(tmp_path / "out")
    assert run("certificate", folder, "--lab", path).exit_code == 0
    page = (folder / "certificate.html").read_text()
    assert page.index("Not signed") < page.index('class="verdict-word"')


def test_the_newest_state_stands_on_top_and_a_withdrawn_record_has_none(
    cell: Path, lab: Path, key: SigningKey
) -> None:
    assert run("certificate", cell, "--lab", lab).exit_code == 0
    before = (cell / "certificate.html").read_text()
    sign_folder(cell, key, "concession", reason="for the test bench only")
    assert "does not show what was signed as concession" in run("verify", cell).stdout
    assert run("certificate", cell, "--lab", lab).exit_code == 0
    page = (cell / "certificate.html").read_text()
    assert page.index("for the test bench only") < page.index('class="verdict-word"')
    numbers = [re.search(r"End of certificate (\S+)<", each) for each in (before, page)]
    assert numbers[0] and numbers[1] and numbers[0][1] != numbers[1][1]
    sign_folder(cell, key, "withdrawal", reason="wrong cell")
    refused = run("certificate", cell, "--lab", lab)
    assert refused.exit_code == 1 and "withdrawn" in refused.stderr
    assert run("verify", cell).exit_code == 1, "the certificate that is there was issued before"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Example Customer", "Another"),
        ("Pass</p>", "Fail</p>"),
        ('"reason": null', '"reason": "x"'),
    ],
)
def test_a_changed_certificate_is_found(cell: Path, lab: Path, old: str, new: str) -> None:
    assert run("certificate", cell, "--lab", lab).exit_code == 0
    path = cell / "certificate.html"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    verified = run("verify", cell)
    assert verified.exit_code == 1 and "certificate.html" in verified.stdout


def test_a_certificate_of_another_record_is_found(cell: Path, lab: Path, tmp_path: Path) -> None:
    other = stored(tmp_path / "other", diameter=21.1)
    assert run("certificate", cell, "--lab", lab).exit_code == 0
    shutil.copy(cell / "certificate.html", other)
    verified = run("verify", other)
    assert verified.exit_code == 1 and "of another record" in verified.stdout


HOSTILE = "</script></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'{{ 7*7 }}"


def test_hostile_text_stays_text(tmp_path: Path, lab: Path, key: SigningKey) -> None:
    """In every field of the profile that is free text, and in those of the record."""

    def filled(value):
        if isinstance(value, dict):
            return {
                k: v if k in ("schema", "number_prefix", "agreed", "keys") else filled(v)
                for k, v in value.items()
            }
        return HOSTILE if isinstance(value, str) else value

    values = filled(yaml.safe_load(lab.read_text()))
    values["remarks"] = values["replaces"] = values["laboratory"]["accreditation"] = HOSTILE
    path = tmp_path / "lab.yaml"
    path.write_text(yaml.safe_dump(values))
    shutil.copy(lab.parent / "anna.pub", tmp_path)
    told = {k: HOSTILE if isinstance(v, str) else v for k, v in CALIBRATED.items()}
    folder = stored(
        tmp_path / "out", told, SPEC.replace("source: S", f"source: {HOSTILE!r}".replace("\\'", "''"))
    )
    sign_folder(folder, key, "released")
    result = run("certificate", folder, "--lab", path)
    assert result.exit_code == 0, result.output
    page = (folder / "certificate.html").read_text()
    assert page.count("<script") == 1 and '<script type="application/json" id="certificate">' in page
    assert "<img" not in page and "<b>Q" not in page and page.count("</style>") == 1
    assert page.count("{{ 7*7 }}") > 10
    assert run("verify", folder).exit_code == 0


def test_profile_complaints_name_the_line(cell: Path, tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text("schema: xctrules.laboratory/1\ncustomer: {nam: x}\nissued: soon\n")
    result = run("certificate", cell, "--lab", path)
    assert result.exit_code == 2
    assert "lab.yaml:2: unknown key 'customer.nam'; did you mean 'name'?" in result.stderr
    assert "lab.yaml:3: issued: 'soon' is not a day" in result.stderr


def test_validation_is_named_by_its_hash(cell: Path, lab: Path, tmp_path: Path) -> None:
    import hashlib

    (tmp_path / "validation.json").write_text("{}")
    shutil.copy(lab.parent / "anna.pub", tmp_path)
    path = tmp_path / "lab.yaml"
    path.write_text(lab.read_text() + "software_validation: {report: validation.json}\n")
    assert run("certificate", cell, "--lab", path).exit_code == 0
    assert hashlib.sha256(b"{}").hexdigest() in (cell / "certificate.html").read_text()
