"""YAML with line numbers: values as they were meant, and every complaint with its line."""

from __future__ import annotations

import math

import pytest

from xctrules.core.errors import ScanError
from xctrules.core.yaml_lines import read_yaml


def test_every_key_and_item_knows_its_line():
    yaml = read_yaml("a: 1\n\nb:\n  - x\n  - {c: 2,\n     d: 3}\n", "f.yaml", ScanError)
    assert yaml.value == {"a": 1, "b": ["x", {"c": 2, "d": 3}]}
    assert [yaml.line(*at) for at in (("a",), ("b",), ("b", 0), ("b", 1), ("b", 1, "d"))] == [1, 3, 4, 5, 6]
    assert yaml.where("b", 1, "no such key") == "f.yaml:5"  # the nearest thing around it


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10), ("-007", -7), ("0o17", 15), ("0x1F", 31), ("0_05", "0_05"),
        ("1:30", "1:30"), ("1_000", "1_000"),
        ("021.25", 21.25), ("1e-3", 0.001), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0),
        ("+.inf", math.inf),
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"),
        ("true", True), ("FALSE", False),
        ("2026-03-01", "2026-03-01"), ("21,25", "21,25"), ("'010'", "010"),
        ('"1e-3"', "1e-3"), ("!!str 010", "010"),
        ("~", None), ("Null", None), ("0b11", "0b11"), ("1.2.3", "1.2.3"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text, value):
    read = read_yaml(f"a: {text}\n", "f", ScanError).value["a"]
    assert (read, type(read)) == (value, type(value))


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
    assert value == {"a": 12, "b": "no", "c": "2026-03-01", "d": 0.001, "e": None, "f": None, "g": "1e-3"}
    assert read_yaml("# nothing\n", "f", ScanError).value is None


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, r"'a' is given twice \(first in line 1\)"),
        ("a:\n  b: 1\n  b: 2\n", 3, r"'b' is given twice \(first in line 2\)"),
        ("a: [1\n", 2, "not valid YAML"),
        ("[1]: 2\n", 1, "plain text"),
        ("a: &x [*x]\n", 1, "aliases"),
        ("d: 1\ne: !!int 1_0\n", 2, "'1_0' cannot be read"),
        ("d: !!python/object:os.system x\n", 1, "tag"),
        ("d: {z: 0,068, y: 1}\n", 1, "'068' stands by itself. Write decimals with a point"),
        ("a: 1\nb: " + "[" * 21 + "]" * 21, 2, "nested more than 20 deep"),
        ("[" * 5000, 1, "nested more than 20 deep"),
        ("- x\n" * 30_000, 20_000, "more than 20000 values"),
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
