"""YAML with line numbers: values as they were meant, and every complaint with its line."""

from __future__ import annotations

import pytest

from xctrules.core.errors import ScanError
from xctrules.core.yaml_lines import read_yaml


def test_every_key_and_item_knows_its_line():
    yaml = read_yaml("a: 1\n\nb:\n  - x\n  - {c: 2,\n     d: 3}\n", "f.yaml", ScanError)
    assert yaml.value == {"a": 1, "b": ["x", {"c": 2, "d": 3}]}
    assert [yaml.line(*at) for at in (("a",), ("b",), ("b", 0), ("b", 1), ("b", 1, "d"))] == [1, 3, 4, 5, 6]
    assert yaml.where("b", 1, "no such key") == "f.yaml:5"  # the nearest thing around it


def test_scalars_are_yaml_or_the_text_that_stands_there():
    text = "a: 012\nb: no\nc: 2026-03-01\nd: 1e-3\ne: null\nf:\ng: '1e-3'\n"
    as_text = read_yaml(text, "f", ScanError, as_text=lambda location: True).value
    assert as_text == {
        "a": "012",
        "b": "no",
        "c": "2026-03-01",
        "d": "1e-3",
        "e": None,
        "f": None,
        "g": "1e-3",
    }
    value = read_yaml(text, "f", ScanError, as_text=lambda location: location == ("c",)).value
    assert value == {"a": 10, "b": False, "c": "2026-03-01", "d": 0.001, "e": None, "f": None, "g": "1e-3"}
    assert read_yaml("# nothing\n", "f", ScanError).value is None


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, r"'a' is given twice \(first in line 1\)"),
        ("a:\n  b: 1\n  b: 2\n", 3, r"'b' is given twice \(first in line 2\)"),
        ("a: [1\n", 2, "not valid YAML"),
        ("[1]: 2\n", 1, "plain text"),
        ("a: &x [*x]\n", 1, "aliases"),
        ("d: 2026-13-45\n", 1, "cannot be read"),
        ("[" * 5000, None, "not valid YAML"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text, line, what):
    with pytest.raises(ScanError, match=what) as caught:
        read_yaml(text, "f.yaml", ScanError)
    assert line is None or str(caught.value).startswith(f"f.yaml:{line}: ")


def test_aliases_that_multiply_are_refused():
    rows = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    rows += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 8)]
    with pytest.raises(ScanError, match="aliases nest too deeply"):
        read_yaml("\n".join(rows), "f.yaml", ScanError)
