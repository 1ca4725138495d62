"""A spec's own file: what it may hold, and every complaint about it with its file and line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

from xctrules.core.errors import SpecError
from xctrules.core.files import is_pipe_or_device
from xctrules.core.wording import did_you_mean, joined, nearest
from xctrules.core.yaml_lines import Location, Yaml, read_yaml
from xctrules.rules.deciding import DecisionRule, Severity

SCHEMA = "xctrules.spec/1"

LimitStatus = Literal["drawing", "datasheet", "standard", "indicative"]
ScopeName = Literal["in_view", "whole"]

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
Text = Annotated[str, Field(min_length=1)]

#: Keys whose value is text even where YAML would read a number (``name: 18650``, ``unit: 1``).
_TEXT_KEYS = {"name", "version", "extends", "title", "id", "source", "remove", "unit", "study", "sha256"}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LimitEntry(_Model):
    """A limit: a number, or a number with its own source and status."""

    value: Number
    source: Text | None = None
    status: LimitStatus | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, data: Any) -> Any:
        if isinstance(data, str | bool):
            raise PydanticCustomError("number_or_mapping", "not a number")
        return {"value": data} if isinstance(data, int | float) else data

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "number"}, handler.resolve_ref_schema(handler(core))]}


class NominalEntry(_Model):
    """A nominal dimension: for orientation and warnings, never a limit."""

    value: Number
    unit: Text
    source: Text | None = None
    status: LimitStatus = "indicative"


class AllowedEntry(_Model):
    """The largest place of a part of the cell that may remain neither measured nor explained."""

    value: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0)]
    unit: Literal["mm", "mm2"]


class TabsEntry(_Model):
    """The tabs at one end of the cell: electrode edges that they hide are explained."""

    width_mm: Annotated[float, Field(strict=True, gt=0, le=100)] = Field(description="Of the widest one.")
    number: Annotated[int, Field(strict=True, ge=0, le=100)] = Field(description="At one end, at most.")


class RuleEntry(_Model):
    """One acceptance rule. In a spec that extends another, only what differs has to be given."""

    id: Identifier
    title: Text | None = None
    measurement: Text | None = None
    min: LimitEntry | None = None
    max: LimitEntry | None = None
    unit: Text | None = None
    severity: Severity | None = None
    decision_rule: DecisionRule | None = None
    guard_band: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=0)] | None = Field(
        None,
        description="Width w of the guard band in the rule's unit; the expanded uncertainty unless given.",
    )
    source: Text | None = Field(
        None, description="Where the limits come from, unless a limit says so itself."
    )
    status: LimitStatus | None = None


class BudgetEntry(_Model):
    """A repeat study whose result takes the place of a measurement's own uncertainty budget."""

    measurement: Text
    study: Text = Field(description="File that `xctrules study` wrote; a path relative to this file.")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None, description="The study's own sha256: pins the spec to that very study."
    )
    bias: Literal["add", "correct"] = Field(
        "add",
        description="Of a calibrated part: add |bias| to U, or correct the value by it.",
    )


class SpecFile(_Model):
    """A cell-format spec as it stands in its file."""

    schema_: Literal["xctrules.spec/1"] = Field(alias="schema")
    name: Identifier
    version: Text
    title: Text | None = None
    extends: Text | None = Field(None, description="Name of a spec, or a path relative to this file.")
    geometry: Text | None = Field(None, description="cylindrical unless given; plugins may know others.")
    scope: ScopeName | None = None
    segmenter: Text | None = None
    decision_rule: DecisionRule | None = Field(None, description="For rules that name none; else guarded.")
    includes_sleeve: bool | None = Field(
        None, description="Whether the limits on the outer diameter include the insulating sleeve."
    )
    nominal: dict[Identifier, NominalEntry] = Field(default_factory=dict)
    identity: Annotated[float, Field(strict=True, gt=0, le=0.5)] | None = Field(
        None,
        description="Relative departure from the nominal size that makes it another cell; else 0.03.",
    )
    tabs: TabsEntry | None = Field(
        None, description="Tabs that may hide electrode edges; else up to three at an end, 10 mm wide."
    )
    completeness: dict[Text, AllowedEntry] = Field(
        default_factory=dict,
        description="By part of the cell, the largest unexplained place with which it may still pass.",
    )
    remove: tuple[Identifier, ...] = Field((), description="Ids of the parent's rules to leave out.")
    budgets: tuple[BudgetEntry, ...] = Field(
        (), description="Studies to take uncertainties from; for the same measurement, the child's counts."
    )
    rules: tuple[RuleEntry, ...] = ()


def spec_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a spec file, for editors that complete and check YAML."""
    schema = SpecFile.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "xctrules cell-format spec",
    }


# --- reading ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A spec's text, its file's name for the record (``at``), and the path as the user knows it."""

    text: str
    file: str
    shown: str
    path: Path | None

    @classmethod
    def read(cls, path: Path) -> Source:
        """The text of a file; SpecError where it cannot be read."""
        if is_pipe_or_device(path):
            raise SpecError("is a pipe or device", where=path, todo="Give an ordinary file.")
        try:
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise SpecError("the file is not UTF-8 text", where=path, todo="Save it as UTF-8.") from error
        except OSError as error:
            raise SpecError(f"the file cannot be read ({error.strerror or error})", where=path) from error
        return cls(text, path.name, str(path), path)

    def is_same_as(self, other: Source) -> bool:
        if self.path is None or other.path is None:
            return self.file == other.file and self.text == other.text
        return self.path.resolve() == other.path.resolve()


@dataclass(frozen=True)
class Document:
    """A parsed file: what it says, and the line of every key."""

    source: Source
    entry: SpecFile
    yaml: Yaml

    def line(self, *location: str | int) -> int:
        return self.yaml.line(*location)

    def where(self, *location: str | int) -> str:
        """``file:line`` for errors, with the path as the user knows it."""
        return self.yaml.where(*location)

    def at(self, *location: str | int) -> str:
        """``file:line`` for the record, with the file's name alone."""
        return f"{self.source.file}:{self.line(*location)}"


def read_document(source: Source) -> Document:
    """Parse a spec's text.

    Raises
    ------
    SpecError
        With ``file:line``, and all complaints of the models at once.
    """
    yaml = read_yaml(source.text, source.shown, SpecError, as_text=_is_text)
    values = yaml.value
    if values is None:
        raise SpecError("the file is empty", where=yaml.where(), todo="See `xctrules specs show 21700`.")
    if not isinstance(values, dict):
        raise SpecError(
            "a spec is a mapping of keys to values",
            where=yaml.where(),
            todo="See `xctrules specs show 21700` for one.",
        )
    if values.get("schema") != SCHEMA:
        raise SpecError(
            f"the schema is {values.get('schema')!r}, this version reads {SCHEMA!r}"
            if "schema" in values
            else f"the key 'schema' is missing{_nearest_key('schema', values)}",
            where=yaml.where("schema"),
            todo=f"Begin the file with `schema: {SCHEMA}`.",
        )
    try:
        entry = SpecFile.model_validate(values)
    except ValidationError as error:
        raise _spec_error(error, yaml) from error
    return Document(source, entry, yaml)


def _is_text(location: Location) -> bool:
    keys = [part for part in location if isinstance(part, str)]
    return bool(keys) and keys[-1] in _TEXT_KEYS


# --- errors ----------------------------------------------------------------------------------------------

_WORDS_FOR_LIMITS = {
    "tolerance", "tol", "limit", "limits", "lower", "upper", "minimum", "maximum", "threshold", "target",
    "range", "value", "low", "high",
}  # fmt: skip
"""What people write for ``min`` and ``max``."""

_NUMBER_WANTED = ("float_type", "int_type", "finite_number", "number_or_mapping")


def _nearest_key(wanted: str, present: Iterable[object]) -> str:
    near = nearest(wanted, map(str, present), cutoff=0.6)
    return f" (is {near!r} meant for it?)" if near else ""


def _fields_at(location: Location) -> list[str]:
    """Names that are allowed beside the key at ``location``."""
    model: type[BaseModel] = SpecFile
    if len(location) > 1:
        if location[0] == "nominal":
            model = NominalEntry
        elif location[0] == "rules":
            model = LimitEntry if len(location) > 3 else RuleEntry
        elif location[0] == "budgets":
            model = BudgetEntry
    return [field.alias or name for name, field in model.model_fields.items()]


def _spec_error(error: ValidationError, yaml: Yaml) -> SpecError:
    """All complaints of pydantic in plain words, in the order of their lines."""
    complaints = []
    for item in error.errors(include_url=False):
        location = tuple(part for part in item["loc"] if part != "[key]")
        complaints.append((yaml.line(*location), _complaint(item, location)))
    (line, what), *others = sorted(complaints)
    rest = "".join(f"\n{yaml.file}:{other_line}: {other}" for other_line, other in others)
    return SpecError(what + rest, where=f"{yaml.file}:{line}")


def _complaint(item: Any, location: Location) -> str:
    if item["type"] == "missing":
        return f"the key {location[-1]!r} is missing"
    if item["type"] == "extra_forbidden":
        return _unknown_key(str(location[-1]), location)
    return f"{_dotted(location)}: {_in_words(item)}"


def _unknown_key(key: str, location: Location) -> str:
    fields = _fields_at(location)
    if key.lower() in _WORDS_FOR_LIMITS and {"min", "max"} <= set(fields):
        return f"unknown key {key!r}; limits are `min:` and `max:`"
    return f"unknown key {key!r}{did_you_mean(key, fields) or f'; known are {joined(fields)}'}"


def _in_words(item: Any) -> str:
    given, context = item.get("input"), item.get("ctx") or {}
    kind = item["type"]
    if kind in _NUMBER_WANTED and isinstance(given, str | bool):
        given = str(given).lower() if isinstance(given, bool) else given
        comma = re.fullmatch(r"\s*[-+]?\d+,\d+\s*", given)
        return f"{given!r} is not a number" + ("; write decimals with a point" if comma else "")
    if kind == "literal_error":
        near = did_you_mean(str(given), re.findall(r"'([^']*)'", str(context.get("expected", ""))))
        return f"{given!r} is not one of {context.get('expected')}{near}"
    if kind in ("float_type", "int_type", "finite_number"):
        return f"{given!r} is not a finite number"
    if kind == "string_pattern_mismatch":
        return f"{given!r} may hold letters, digits, dot, dash and underscore only"
    if kind == "greater_than_equal":
        return f"{given!r} must not be below {context.get('ge')}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{given!r} is not a mapping of keys to values"
    if kind in ("tuple_type", "list_type"):
        return f"{given!r} is not a list"
    if kind in ("string_type", "string_too_short"):
        return f"{given!r} is not a text"
    if kind in ("bool_type", "bool_parsing"):
        return f"{given!r} is neither `true` nor `false`"
    return f"{item['msg']} (given: {given!r})"


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else str(part))
    return text or "the spec"
