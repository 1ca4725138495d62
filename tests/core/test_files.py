"""Writing whole or not at all. Stops at any moment are tested on a cell's folder (records/test_folder.py)."""

from __future__ import annotations

import pytest

from xctrules.core.errors import OutputError
from xctrules.core.files import safe_file_stem, whole_file, whole_folder, write_file, write_files


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "new" / "a.json"
    write_file(path, b"1")
    write_file(path, b"2")
    assert path.read_bytes() == b"2"
    assert list(path.parent.iterdir()) == [path]


def test_what_fails_half_way_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.json"
    write_file(path, b"old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as temporary:
        temporary.write_bytes(b"ne")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_fails_half_way_leaves_the_old_folder(tmp_path):
    folder = tmp_path / "cell"
    with whole_folder(folder) as temporary:
        (temporary / "a").write_bytes(b"old")
    with pytest.raises(OutputError, match="no space left"), whole_folder(folder) as temporary:
        (temporary / "b").write_bytes(b"new")
        raise OSError(28, "no space left")
    assert [(p.name, p.read_bytes()) for p in folder.iterdir()] == [("a", b"old")]
    assert list(tmp_path.iterdir()) == [folder]


def test_of_several_files_none_is_replaced_when_one_cannot_be_written(tmp_path):
    first, last = tmp_path / "a", tmp_path / "file" / "b"
    write_file(first, b"old")
    write_file(tmp_path / "file", b"no folder")
    with pytest.raises(OutputError, match=r"cannot be written .*Check the path"):
        write_files({first: b"new", last: b"new"})
    assert first.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "file"]


def test_several_files_take_their_places_in_order(tmp_path, monkeypatch):
    placed = []
    rename = type(tmp_path).replace
    monkeypatch.setattr(
        type(tmp_path), "replace", lambda path, target: (placed.append(target.name), rename(path, target))[1]
    )
    write_files({tmp_path / name: b"" for name in "cab"})
    assert placed == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("text", "stem"),
    [
        ("overhang, top", "overhang--top"),
        ("../x", "x"),
        ("Größe", "Gr--e"),
        ("", "unnamed"),
        ("..", "unnamed"),
    ],
)
def test_any_text_gives_a_file_name(text, stem):
    assert safe_file_stem(text) == stem
