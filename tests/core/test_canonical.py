"""Canonical JSON: what becomes of numbers, and that the bytes are always the same."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from record_examples import example

from xctrules.core.canonical import bytes_of_parts, canonical_bytes, canonical_parts, canonical_text, plain


def test_numbers_have_nine_significant_digits_and_none_is_nan():
    assert plain(1 / 3) == 0.333333333
    assert plain(np.float32(0.1)) == 0.100000001
    assert plain([np.nan, math.inf, -0.0, np.int64(3), np.bool_(True)]) == [None, None, 0.0, 3, True]
    assert math.copysign(1, plain(-0.0)) == 1.0
    record, _ = example()
    assert record["measurements"]["overhang.length.min"]["value"] == 0.333333333
    text = canonical_bytes(record).decode()
    assert "NaN" not in text
    assert "Infinity" not in text


def test_bytes_are_canonical_and_repeatable():
    record, _ = example()
    data = canonical_bytes(record)
    assert canonical_bytes(json.loads(data)) == data
    assert data.endswith(b"}\n")
    assert canonical_bytes(example()[0]) == data


def test_a_mapping_written_in_parts_has_the_same_bytes() -> None:
    for value in (example()[0], {}, {"a": {}, "b\n": [], "c": [[1.5, None]], "d": {"e": [{"f": True}]}}):
        assert bytes_of_parts(canonical_parts(value)) == canonical_bytes(value)


def test_each_kind_of_value_is_written_as_the_json_library_writes_it() -> None:
    """Alone, in a list and in a mapping; what is no JSON is refused wherever it stands."""
    for value in (
        "",
        'a"b\\c\n\x00é\u2028',
        1.0,
        -0.5,
        1e22,
        1.5e-7,
        0,
        -3,
        True,
        False,
        None,
        [],
        {},
        [1, 2.5],
    ):
        told = json.dumps(value, ensure_ascii=False)
        assert canonical_text(value) == told
        assert canonical_text({"k": value, "é": "x"}) == f'{{\n "k": {told},\n "é": "x"\n}}'
        assert canonical_text(["x", value]) == f'[\n "x",\n {told}\n]'
    for wrong in (float("nan"), float("inf"), -float("inf")):
        for value in (wrong, {"k": wrong}, ["x", wrong], [1.0, wrong]):
            with pytest.raises(ValueError):
                canonical_text(value)
