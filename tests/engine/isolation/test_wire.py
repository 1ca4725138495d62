"""Values come over as what they were, and nothing that is written can make the reader do anything."""

from __future__ import annotations

import io
import json
import math
import pickle
import struct
import sys
from collections import OrderedDict, deque
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from xctrules.core.figures import Histogram, Table
from xctrules.core.measurement import Contribution, Measurement, MetricResult
from xctrules.engine.isolation import wire
from xctrules.engine.isolation.stand_ins import described, stand_in
from xctrules.engine.isolation.wire import Message, Reader, Vocabulary, WireError, Writer

KNOWN = Vocabulary(frozenset({"xctrules"}))


def no_foreign(*_: Any) -> Any:
    raise WireError("foreign")


def sent(value: Any) -> Any:
    """The value after it went through a pipe."""
    pipe = io.BytesIO()
    wire.write(wire.packed(Writer(KNOWN, no_foreign).message(value)), pipe)
    pipe.seek(0)
    message = wire.receive(pipe)
    assert message is not None and not pipe.read()
    return Reader(KNOWN, no_foreign).value(message)


def same(a: Any, b: Any) -> bool:
    """Equal, of the same type, NaN like NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(x, y) and same(a[x], b[y]) for x, y in zip(a, b, strict=True))
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and math.isnan(a):
        return math.isnan(b)
    return bool(a == b)


ARRAYS = st_numpy.arrays(
    st.sampled_from(
        ["<f4", "<f8", ">f8", "<f2", "u1", "<i4", ">u2", "<i8", "?", "<c16", "<U5", "S3", "<M8[s]"]
    ),
    st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)
FEW = (Path("a/b"), np.float32(1.5), np.dtype("<u2"), float)
NUMBERS = (st.booleans(), st.integers(), st.floats(), st.complex_numbers(allow_nan=False))
PLAIN = st.one_of(st.none(), *NUMBERS, st.text(), st.binary(), *map(st.just, FEW), ARRAYS)
VALUES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(st.one_of(st.text(), st.integers(), st.tuples(st.integers())), inner, max_size=4),
    ),
    max_leaves=12,
)


@given(VALUES)
def test_values_come_over_as_they_were(value: Any) -> None:
    assert same(sent(value), value)


def test_dataclasses_of_the_engines_come_over() -> None:
    budget = (Contribution("noise", 0.1, degrees_of_freedom=math.inf),)
    result = MetricResult(
        [Measurement("a.b", "mm", value=np.float64(1.25), budget=budget, worst_at={"z_mm": 1.0})],
        figures=[
            Histogram.of(np.arange(9.0), id="h", title="t", caption="c", alt="a", x_label="x", unit="mm"),
            Table("t", "t", "c", ("a",), ((1.0,), (None,), ("x",))),
        ],
        parameters={"of": {1: (2, 3)}},
    )
    back = sent(result)
    assert back.measurements == result.measurements and back.parameters == result.parameters
    np.testing.assert_array_equal(back.figures[0].counts, result.figures[0].counts)
    assert back.figures[1] == result.figures[1]


def test_a_path_is_told_so_that_it_can_be_found_from_another_folder() -> None:
    writer = Writer(KNOWN, no_foreign, absolute=True)
    assert Reader(KNOWN, no_foreign).value(writer.message([Path("scan")])) == [Path.cwd() / "scan"]


def test_other_containers_come_over_as_the_plain_ones() -> None:
    assert sent(OrderedDict(a=1)) == {"a": 1} and sent(MappingProxyType({"b": 2})) == {"b": 2}
    assert sent(range(3)) == [0, 1, 2]
    assert sent({3, 1}) == frozenset({1, 3})
    objects = sent(np.array([None, "a", 1.5], dtype=object))
    assert objects.tolist() == [None, "a", 1.5]


@dataclass(frozen=True)
class NotTheirs:
    size: int


@dataclass(frozen=True)
class Own(Measurement):
    extra: int = 0


@pytest.mark.parametrize(
    "value",
    [NotTheirs(1), Own("a.b", "mm"), lambda: 0, deque([1]), 3 + 2j and object(), np.zeros(2, "i4,f8"),
     np.ma.masked_array([1.0], [True])],
)  # fmt: skip
def test_objects_of_other_classes_are_foreign(value: Any) -> None:
    with pytest.raises(WireError, match="foreign"):
        sent(value)


def test_what_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(WireError, match="in one another"):
        sent(endless)


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(WireError):
        sent(10**5000)


# --- what a process may write ------------------------------------------------------------------------------


class _Bomb:
    def __reduce__(self) -> Any:
        return (sys.exit, ("a pickle was opened",))


def read(tree: Any, *buffers: bytes) -> Any:
    return Reader(KNOWN, no_foreign).value(Message(tree, buffers))


def test_pickles_stay_bytes() -> None:
    payload = pickle.dumps(_Bomb())
    assert read({"bytes": 0}, payload) == payload


@pytest.mark.parametrize(
    "tree",
    [
        {"data": ["os", "system", {"command": "true"}]},
        {"data": ["subprocess", "Popen", {"args": ["true"]}]},
        {"data": ["builtins", "eval", {}]},
        {"data": ["xctrules.__main__", "main", {}]},
        {"data": ["xctrules.core.measurement", "math", {}]},
        {"data": ["xctrules.core.measurement", "Measurement.absent", {}]},
        {"data": ["xctrules.core.measurement", "Metric", {}]},
        {"data": ["xctrules.core.slices", "ArraySlices", {"array": 0}]},
        {"data": ["xctrules.core.measurement", "Measurement", {"nothing": 1}]},
        {"data": ["xctrules.core.measurement", "np", {}]},
        {"type": "object"},
        {"type": "eval"},
        {"dtype": "O"},
        {"array": ["O", [1], 0]},
        {"array": ["|V8", [1], 0]},
        {"array": ["<f8", [10**15], 0]},
        {"array": ["<f8", [-1], 0]},
        {"array": ["<f8", ["x"], 0]},
        {"array": ["<f8", [1], 7]},
        {"scalar": ["<f8", [2, 2], 0]},
        {"objects": [[3], [1]]},
        {"complex": ["a", "b"]},
        {"dict": [[[1], 2]]},
        {"dict": [[1, 2, 3]]},
        {"pickled": 0},
        {"held": 3},
        {"a": 1, "b": 2},
        {},
    ],
)
def test_what_is_no_value_is_refused(tree: Any) -> None:
    with pytest.raises(WireError):
        read(tree, b"12345678")


def test_no_module_is_loaded_at_its_bidding() -> None:
    module = "xctrules.campaigns.training.model_page"
    assert module not in sys.modules, "choose another module: this one is loaded by the tests"
    with pytest.raises(WireError):
        read({"data": [module, "Anything", {}]})
    assert module not in sys.modules


@pytest.mark.parametrize(
    "written",
    [
        b"\x80\x04" + b"x" * 99,
        struct.pack("<QQ", 2**62, 0),
        struct.pack("<QQ", 4, 0) + b"nope",
        struct.pack("<QQ", 2, 0) + b"[]",
        struct.pack("<QQ", 8, 0) + b"[1, [9]]",
        struct.pack("<QQ", 9, 0) + b"[1, [-9]]",
        struct.pack("<QQ", 10, 0) + b'[1, ["x"]]',
        struct.pack("<QQ", 100_000, 0) + b"[" * 100_000,
    ],
)
def test_what_is_no_message_is_refused(written: bytes) -> None:
    with pytest.raises(WireError):
        wire.receive(io.BytesIO(written))


@pytest.mark.parametrize("written", [b"", b"\x01", struct.pack("<QQ", 9, 9) + b"[1,[9]]  "])
def test_a_pipe_that_ends_is_no_message(written: bytes) -> None:
    assert wire.receive(io.BytesIO(written)) is None


# --- stand-ins ---------------------------------------------------------------------------------------------

DESCRIPTION: dict[str, Any] = {
    "class": "Theirs", "text": "theirs", "base": None, "fields": None, "held": 0,
    "attributes": {"name": "theirs"}, "methods": ["measure"],
}  # fmt: skip


def standing_in(**changed: Any) -> Any:
    reader = Reader(KNOWN, no_foreign)
    description = json.loads(json.dumps({**DESCRIPTION, **changed}))
    return stand_in(description, reader.made, KNOWN, None, lambda name: lambda *_: f"called {name}")


def test_a_stand_in_has_what_the_protocols_name() -> None:
    value = standing_in()
    assert (value.name, value.measure(None), str(value)) == ("theirs", "called measure", "theirs")


@pytest.mark.parametrize(
    "changed",
    [
        {"methods": ["__class__"]},
        {"methods": ["__reduce__"]},
        {"attributes": {"__dict__": 1}},
        {"attributes": {"remote": 1}},
        {"fields": {"__init__": 1}},
        {"fields": {"remote": 1}},
        {"fields": {"class": 1}},
        {"base": ["builtins", "dict"]},
        {"base": ["xctrules.core.slices", "ArraySlices"]},
    ],
)
def test_a_stand_in_has_nothing_else(changed: dict[str, Any]) -> None:
    with pytest.raises(WireError):
        standing_in(**changed)


def test_an_object_of_a_class_that_derives_from_the_engines_is_one_of_these() -> None:
    own = Own("a.b", "mm", value=2.0, extra=5)
    writer = Writer(KNOWN, no_foreign)
    description = described(own, 3, KNOWN, writer, 0)
    value = stand_in(description, Reader(KNOWN, no_foreign).made, KNOWN, None, lambda name: print)
    assert isinstance(value, Measurement) and value.value == 2.0 and value.extra == 5  # type: ignore[attr-defined]
    assert type(value).__name__ == "Own"


class _Awkward:
    name = "awkward"

    @property
    def title(self) -> str:
        raise RuntimeError("not today")

    def __str__(self) -> str:
        raise RuntimeError("nor a text")


def test_an_object_whose_properties_raise_does_not_have_them() -> None:
    description = described(_Awkward(), 0, KNOWN, Writer(KNOWN, no_foreign), 0)
    assert description["attributes"] == {"name": "awkward"}
    assert description["text"] == "a _Awkward"


@dataclass(frozen=True)
class _Large:
    labels: np.ndarray
    few: np.ndarray


def test_a_volume_in_a_field_stays_where_it_is() -> None:
    large = _Large(np.zeros((65, 1024, 1024), np.uint8), np.zeros(3, np.uint8))
    writer = Writer(KNOWN, no_foreign)
    message = writer.message(None)
    fields = described(large, 0, KNOWN, writer, 0)["fields"]
    assert fields["labels"] == "65 x 1024 x 1024 uint8, in the plugin's process"
    assert [len(buffer) for buffer in message.buffers] == [3]
