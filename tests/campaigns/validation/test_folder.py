"""The folder of a validation: what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from validation_examples import HEADER

from xctrules.campaigns.validation.folder import CASES_NAME, prepare
from xctrules.core.errors import OutputError

ANOTHER = {**HEADER, "software": {**HEADER["software"], "source_sha256": "1"}}


def test_cases_of_another_ensemble_or_software_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(out, HEADER)
    with pytest.raises(OutputError, match="another ensemble"):
        prepare(out, {**HEADER, "ensemble": {**HEADER["ensemble"], "seed": 2}})
    with pytest.raises(OutputError, match="other software"):
        prepare(out, ANOTHER)
    assert prepare(out, ANOTHER, replace=True) == {}
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not lose this")
    with pytest.raises(OutputError, match="something else"):
        prepare(tmp_path / "mine", HEADER, replace=True)


def test_a_line_that_is_no_case_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(out, HEADER)
    (out / CASES_NAME).write_text('{"index": 0}\n{"kind": "no index"}\n')
    with pytest.raises(OutputError, match="no case"):
        prepare(out, HEADER)
