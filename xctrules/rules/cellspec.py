"""Cell-format specs: YAML in, :class:`CellSpec` out, every complaint with its file and line.

A spec says what a format is (nominal dimensions) and what is accepted (rules: a measurement against limits).
A spec may extend another one; ``CellSpec.resolved`` holds both merged, as plain JSON, and is all that
:mod:`xctrules.rules.judging` needs to judge.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, ValidationError, model_validator
from pydantic_core import CoreSchema

from xctrules.core.errors import SpecError
from xctrules.core.names import known_units
from xctrules.rules.deciding import GUARDED_RULES, DecisionRule, Severity

if TYPE_CHECKING:
    from xctrules.rules.stated_budgets import Study

SCHEMA = "xctrules.spec/1"

LimitStatus = Literal["drawing", "datasheet", "standard", "indicative"]
ScopeName = Literal["in_view", "whole"]

_MAX_NODES = 20_000
_SUFFIXES = (".yaml", ".yml")

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
Text = Annotated[str, Field(min_length=1)]


# --- what a spec file may hold ---------------------------------------------------------------------------


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
        return {"value": data} if isinstance(data, int | float) and not isinstance(data, bool) else data

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "number"}, handler.resolve_ref_schema(handler(core))]}


class NominalEntry(_Model):
    """A nominal dimension: for orientation and warnings, never a limit."""

    value: Number
    unit: Text
    source: Text | None = None
    status: LimitStatus = "indicative"


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


# --- what the engine gets --------------------------------------------------------------------------------


@dataclass(frozen=True)
class SpecText:
    """The text of one spec file, as read: what a record embeds."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()


@dataclass(frozen=True)
class CellSpec:
    """A spec with its parents merged in.

    Attributes
    ----------
    resolved
        Plain JSON: ``name``, ``version``, ``title``, ``geometry``, ``scope``, ``segmenter``,
        ``decision_rule``, ``includes_sleeve``, ``nominal``, and ``rules``, each with ``min`` and ``max`` as
        ``{value, source, status, at}`` or ``None``. Where the spec names studies, also ``budgets``, each with
        ``measurement``, ``bias``, ``at``, ``file`` and the content of its ``study``.
    text, file
        The spec's own text and the name of its file.
    parents
        Texts of the specs that it extends, nearest first.
    path
        The file that it was read from; ``None`` for a spec that was parsed from text.
    """

    resolved: Mapping[str, Any]
    text: str
    file: str
    parents: tuple[SpecText, ...] = ()
    path: Path | None = None

    @property
    def name(self) -> str:
        return str(self.resolved["name"])

    @property
    def version(self) -> str:
        return str(self.resolved["version"])

    @property
    def title(self) -> str:
        return str(self.resolved["title"])

    @property
    def geometry(self) -> str:
        return str(self.resolved["geometry"])

    @property
    def scope(self) -> str:
        return str(self.resolved["scope"])

    @property
    def segmenter(self) -> str:
        return str(self.resolved["segmenter"])

    @property
    def rules(self) -> Sequence[Mapping[str, Any]]:
        rules: Sequence[Mapping[str, Any]] = self.resolved["rules"]
        return rules

    @property
    def budgets(self) -> Sequence[Mapping[str, Any]]:
        """Studies that take the place of measurements' own budgets; mostly there are none."""
        budgets: Sequence[Mapping[str, Any]] = self.resolved.get("budgets", ())
        return budgets

    @property
    def nominal_mm(self) -> dict[str, float]:
        """Nominal dimensions that are lengths, in mm."""
        return {key: e["value"] for key, e in self.resolved["nominal"].items() if e["unit"] == "mm"}

    @property
    def sha256(self) -> str:
        """SHA-256 of the spec's own file."""
        return SpecText(self.file, self.text).sha256


@dataclass(frozen=True)
class ListedSpec:
    """A spec that can be asked for by name; ``error`` says why it cannot be used."""

    name: str
    path: Path
    title: str
    version: str
    bundled: bool
    error: str | None = None


# --- finding and loading ---------------------------------------------------------------------------------


def bundled_folder() -> Path:
    """Folder of the bundled specs: inside the installed package, or beside it in a checkout."""
    inside = Path(str(files("xctrules"))) / "specs"
    return inside if inside.is_dir() else Path(str(files("xctrules"))).parent / "specs"


def list_specs(folders: Iterable[Path] = ()) -> list[ListedSpec]:
    """All specs that can be asked for by name: the bundled ones, then those in plugins' ``folders``.

    A bundled name cannot be taken over by a plugin. A file that cannot be read is listed with its error.
    """
    found: dict[str, ListedSpec] = {}
    for folder in (bundled_folder(), *folders):
        bundled = folder == bundled_folder()
        for path in _spec_files(folder):
            if path.stem in found:
                continue
            try:
                own = _read_document(_read(path)).entry
                found[path.stem] = ListedSpec(path.stem, path, own.title or own.name, own.version, bundled)
            except SpecError as error:
                found[path.stem] = ListedSpec(path.stem, path, "", "", bundled, str(error))
    return list(found.values())


def load_spec(
    name_or_path: str | Path,
    *,
    folders: Iterable[Path] = (),
    known: Mapping[str, str] | None = None,
    open_ended: bool = False,
) -> CellSpec:
    """Read a spec by name (``21700``) or by path (``my/21700.yaml``), with all that it extends.

    Parameters
    ----------
    folders
        Spec folders that plugins bring along, searched after the bundled one.
    known
        Measurements that the loaded plugins declare, name to unit, beside those of the contract.
    open_ended
        Whether ``known`` may be incomplete because a plugin could not be loaded. A measurement whose first
        word no known one has is then taken to be that plugin's.

    Raises
    ------
    SpecError
        With ``file:line`` of whatever is wrong.
    """
    searched = tuple(folders)
    start = _locate(str(name_or_path), None, searched, where=None)
    source = _read(start)

    def parent(reference: str, child: _Source, where: str) -> _Source:
        base = child.path.parent if child.path is not None else None
        return _read(_locate(reference, base, searched, where=where), shown_from=child)

    return _resolve(source, parent, _study_beside, known, open_ended)


def parse_spec(
    text: str,
    *,
    file: str = "spec.yaml",
    parents: Sequence[SpecText] = (),
    known: Mapping[str, str] | None = None,
    open_ended: bool = False,
    studies: Mapping[str, Any] | None = None,
) -> CellSpec:
    """Resolve a spec from its text and its parents' texts (nearest first), as a record embeds them.

    ``studies`` holds the contents of the studies that it names, by measurement.
    """
    remaining = iter(parents)

    def parent(reference: str, child: _Source, where: str) -> _Source:
        try:
            found = next(remaining)
        except StopIteration:
            raise SpecError(
                f"the text of the spec {reference!r} that it extends is missing", where=where
            ) from None
        return _Source(found.text, found.name, found.name, None)

    def study(entry: BudgetEntry, source: _Source, where: str) -> Study:
        from xctrules.rules.stated_budgets import study_from_json

        if entry.measurement not in (studies or {}):
            raise SpecError(f"the content of the study {entry.study} is missing", where=where)
        return study_from_json((studies or {})[entry.measurement], where)

    return _resolve(_Source(text, file, file, None), parent, study, known, open_ended)


@dataclass(frozen=True)
class _Source:
    """A spec's text, its file's name for the record (``at``), and the path as the user knows it."""

    text: str
    file: str
    shown: str
    path: Path | None


def _spec_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.is_file())


def _locate(reference: str, base: Path | None, folders: Sequence[Path], *, where: str | None) -> Path:
    """The file meant by a name or path; a path in ``extends`` is relative to the file that says so."""
    if reference.endswith(_SUFFIXES) or "/" in reference or "\\" in reference:
        path = Path(reference).expanduser()
        path = base / path if base is not None else path
        if path.is_file():
            return path
        raise SpecError(
            f"there is no spec file {reference}",
            where=where,
            todo="Check the path, or see `xctrules specs list` for the specs known by name.",
        )
    by_name: dict[str, Path] = {}
    for folder in (bundled_folder(), *folders):
        for path in _spec_files(folder):
            by_name.setdefault(path.stem, path)
    if reference in by_name:
        return by_name[reference]
    near = suggest(reference, by_name)
    raise SpecError(
        f"there is no spec named {reference!r}{near}",
        where=where,
        todo=f"Known specs: {', '.join(by_name) or 'none'}. For a file of your own, give its path.",
    )


def _read(path: Path, shown_from: _Source | None = None) -> _Source:
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError("the file is not UTF-8 text", where=path, todo="Save it as UTF-8.") from error
    except OSError as error:
        raise SpecError(f"the file cannot be read ({error.strerror or error})", where=path) from error
    return _Source(text, path.name, str(path), path)


# --- YAML with line numbers ------------------------------------------------------------------------------

Location = tuple[str | int, ...]

#: Keys whose value is text even where YAML would read a number (``name: 18650``, ``unit: 1``).
_TEXT_KEYS = {"name", "version", "extends", "title", "id", "source", "remove", "unit", "study", "sha256"}
_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class _Document:
    """A parsed file: the entry, and the line of every key."""

    source: _Source
    entry: SpecFile
    lines: Mapping[Location, int]

    def line(self, *location: str | int) -> int:
        return _line_at(self.lines, location)

    def where(self, *location: str | int) -> str:
        return f"{self.source.shown}:{self.line(*location)}"

    def at(self, *location: str | int) -> str:
        return f"{self.source.file}:{self.line(*location)}"


def _line_at(lines: Mapping[Location, int], location: Location) -> int:
    """Line of a location, or of the nearest thing around it that has one."""
    for stop in range(len(location), -1, -1):
        if location[:stop] in lines:
            return lines[location[:stop]]
    return 1


def _compose(source: _Source) -> tuple[Any, dict[Location, int]]:
    """Plain values of a YAML document, and the line of each key and list item."""
    try:
        node = yaml.compose(source.text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = error.problem or error.context or "not valid YAML"
        raise SpecError(f"not valid YAML: {problem}", where=f"{source.shown}:{line}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise SpecError(f"not valid YAML: {error}", where=f"{source.shown}:1") from error
    if node is None:
        raise SpecError(
            "the file is empty", where=f"{source.shown}:1", todo="See `xctrules specs show 21700`."
        )
    lines: dict[Location, int] = {}
    count = 0

    def build(node: yaml.Node, location: Location, around: tuple[int, ...]) -> Any:
        nonlocal count
        count += 1
        where = f"{source.shown}:{node.start_mark.line + 1}"
        if id(node) in around or count > _MAX_NODES:  # an alias may contain itself, or multiply without end
            raise SpecError("aliases nest too deeply", where=where, todo="Write the values out.")
        lines.setdefault(location, node.start_mark.line + 1)
        inside = (*around, id(node))
        if isinstance(node, yaml.MappingNode):
            values: dict[str, Any] = {}
            for key_node, value_node in node.value:
                line = key_node.start_mark.line + 1
                if not isinstance(key_node, yaml.ScalarNode):
                    raise SpecError("a key must be plain text", where=f"{source.shown}:{line}")
                key = key_node.value
                if key in values:
                    first = lines[(*location, key)]
                    raise SpecError(
                        f"the key {key!r} is given twice (first in line {first})",
                        where=f"{source.shown}:{line}",
                        todo="Keep one of the two.",
                    )
                lines[(*location, key)] = line
                values[key] = build(value_node, (*location, key), inside)
            return values
        if isinstance(node, yaml.SequenceNode):
            return [build(item, (*location, i), inside) for i, item in enumerate(node.value)]
        return _scalar(node, location, where)

    return build(node, (), ()), lines


def _scalar(node: yaml.Node, location: Location, where: str) -> Any:
    keys = [part for part in location if isinstance(part, str)]
    if keys and keys[-1] in _TEXT_KEYS and node.tag != "tag:yaml.org,2002:null":
        return node.value
    if node.tag == "tag:yaml.org,2002:str":
        # YAML 1.1 takes 1e-3 for text, since it has no dot.
        plain = getattr(node, "style", None) is None and _FLOAT.fullmatch(node.value)
        return float(node.value) if plain else node.value
    try:
        return yaml.SafeLoader("").construct_object(node, deep=True)
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError(f"the value {node.value!r} cannot be read", where=where) from error


def _read_document(source: _Source) -> _Document:
    values, lines = _compose(source)
    if not isinstance(values, dict):
        raise SpecError(
            "a spec is a mapping of keys to values",
            where=f"{source.shown}:1",
            todo="See `xctrules specs show 21700` for one.",
        )
    if values.get("schema") != SCHEMA:
        raise SpecError(
            f"the schema is {values.get('schema')!r}, this version reads {SCHEMA!r}"
            if "schema" in values
            else f"the key 'schema' is missing{_nearest_key('schema', values)}",
            where=f"{source.shown}:{_line_at(lines, ('schema',))}",
            todo=f"Begin the file with `schema: {SCHEMA}`.",
        )
    try:
        entry = SpecFile.model_validate(values)
    except ValidationError as error:
        raise _spec_error(error, source, lines) from error
    return _Document(source, entry, lines)


# --- errors ----------------------------------------------------------------------------------------------


def suggest(name: str, candidates: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest of ``candidates``, or nothing."""
    near = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _nearest_key(wanted: str, present: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(wanted, [str(key) for key in present], n=1, cutoff=0.6)
    return f" (is {near[0]!r} meant for it?)" if near else ""


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


def _spec_error(error: ValidationError, source: _Source, lines: Mapping[Location, int]) -> SpecError:
    """All complaints of pydantic in plain words, in the order of their lines."""
    complaints = []
    for item in error.errors(include_url=False):
        location = tuple(part for part in item["loc"] if part != "[key]")
        if item["type"] == "missing":
            what = f"the key {location[-1]!r} is missing"
        elif item["type"] == "extra_forbidden":
            what = f"unknown key {location[-1]!r}{suggest(str(location[-1]), _fields_at(location))}"
        else:
            what = f"{_dotted(location)}: {_in_words(item)}"
        complaints.append((_line_at(lines, location), what))
    complaints.sort()
    return _collect(source, complaints)


def _collect(source: _Source, complaints: Sequence[tuple[int, str]]) -> SpecError:
    (line, what), *others = complaints
    rest = "".join(f"\n{source.shown}:{other_line}: {other}" for other_line, other in others)
    return SpecError(what + rest, where=f"{source.shown}:{line}")


def _in_words(item: Any) -> str:
    given, context = item.get("input"), item.get("ctx") or {}
    kind = item["type"]
    if kind == "literal_error":
        near = suggest(str(given), re.findall(r"'([^']*)'", str(context.get("expected", ""))))
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
        return f"{given!r} is neither true nor false"
    return f"{item['msg']} (given: {given!r})"


def _dotted(location: Location) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else str(part))
    return text or "the spec"


# --- merging parents -------------------------------------------------------------------------------------

FindParent = Callable[[str, _Source, str], _Source]
FindStudy = Callable[[BudgetEntry, _Source, str], "Study"]


def _resolve(
    source: _Source,
    parent: FindParent,
    study: FindStudy,
    known: Mapping[str, str] | None,
    open_ended: bool = False,
) -> CellSpec:
    chain = [_read_document(source)]
    while (reference := chain[-1].entry.extends) is not None:
        where = chain[-1].where("extends")
        found = parent(reference, chain[-1].source, where)
        if any(_same_file(found, document.source) for document in chain):
            raise SpecError(
                f"extending {reference!r} leads back to {found.file}", where=where, todo="Break the circle."
            )
        chain.append(_read_document(found))
    rules: dict[str, _Rule] = {}
    for document in reversed(chain):
        _merge_rules(rules, document, has_parent=document.entry.extends is not None)
    own = chain[0].entry
    settings = _first_given(chain)
    default_rule = settings["decision_rule"]
    resolved: dict[str, Any] = {
        "name": own.name,
        "version": own.version,
        "title": own.title or own.name,
        "geometry": settings["geometry"],
        "scope": settings["scope"],
        "segmenter": settings["segmenter"],
        "decision_rule": default_rule,
        "includes_sleeve": settings["includes_sleeve"],
        "nominal": _merge_nominal(chain),
        "rules": [rule.checked(known_units(known), default_rule, open_ended) for rule in rules.values()],
    }
    if budgets := _merge_budgets(chain, study, known_units(known), open_ended):
        resolved["budgets"] = budgets
    texts = tuple(SpecText(document.source.file, document.source.text) for document in chain[1:])
    return CellSpec(resolved, source.text, source.file, texts, source.path)


def _same_file(a: _Source, b: _Source) -> bool:
    if a.path is None or b.path is None:
        return a.file == b.file and a.text == b.text
    return a.path.resolve() == b.path.resolve()


_DEFAULTS = {
    "geometry": "cylindrical",
    "scope": "in_view",
    "segmenter": "classical",
    "decision_rule": "guarded",
    "includes_sleeve": None,
}


def _first_given(chain: Sequence[_Document]) -> dict[str, Any]:
    """Each setting from the nearest spec that gives it."""
    settings: dict[str, Any] = {}
    for key, default in _DEFAULTS.items():
        given = (getattr(document.entry, key) for document in chain)
        settings[key] = next((value for value in given if value is not None), default)
    return settings


def _merge_nominal(chain: Sequence[_Document]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for document in reversed(chain):
        for key, entry in document.entry.nominal.items():
            if entry.source is None and entry.status != "indicative":
                raise SpecError(
                    f"nominal {key!r} has status {entry.status!r} but no source",
                    where=document.where("nominal", key),
                    todo="Add `source:`, or make its status indicative.",
                )
            merged[key] = entry.model_dump()
    return merged


def _merge_budgets(
    chain: Sequence[_Document], find_study: FindStudy, known: Mapping[str, str], open_ended: bool
) -> list[dict[str, Any]]:
    """The studies that a spec and its parents name, each with its whole content."""
    nearest: dict[str, tuple[_Document, int, BudgetEntry]] = {}
    for document in reversed(chain):
        seen: dict[str, int] = {}
        for index, entry in enumerate(document.entry.budgets):
            if entry.measurement in seen:
                raise SpecError(
                    f"two studies are named for {entry.measurement} "
                    f"(first in line {seen[entry.measurement]})",
                    where=document.where("budgets", index),
                    todo="Keep one of the two.",
                )
            seen[entry.measurement] = document.line("budgets", index)
            nearest[entry.measurement] = document, index, entry
    merged = []
    for name, (document, index, entry) in nearest.items():
        if name not in known and not (open_ended and not _family_known(name, known)):
            raise SpecError(
                f"unknown measurement {name!r}{suggest(name, known)}",
                where=document.where("budgets", index, "measurement"),
                todo="See `xctrules plugins` for what the installed plugins measure.",
            )
        where = document.where("budgets", index, "study")
        study = _found_study(find_study, entry, document, where)
        _check_study(study, entry, known.get(name, study.unit), where)
        at = document.at("budgets", index)
        merged.append(
            {"measurement": name, "bias": entry.bias, "at": at, "file": entry.study, "study": study.content}
        )
    return merged


def _found_study(find_study: FindStudy, entry: BudgetEntry, document: _Document, where: str) -> Study:
    """The study, or an error with the line of the spec that names it."""
    from xctrules.core.errors import StudyError

    try:
        return find_study(entry, document.source, where)
    except StudyError as error:
        what = error.what if error.where in (None, where) else f"{error.where}: {error.what}"
        raise SpecError(what, where=where, todo=error.todo) from error


def _study_beside(entry: BudgetEntry, source: _Source, where: str) -> Study:
    """Read a study whose path is relative to the spec file that names it."""
    from xctrules.rules.stated_budgets import read_study

    path = (source.path.parent if source.path is not None else Path()) / Path(entry.study).expanduser()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SpecError(
            f"the study {entry.study} cannot be read ({error.strerror or error})",
            where=where,
            todo="Its path is relative to the spec file.",
        ) from error
    return read_study(data, path)


def _check_study(study: Study, entry: BudgetEntry, unit: str, where: str) -> None:
    """Refuse a study of something else, or one that does not say for which scans it holds."""
    what, todo = None, None
    if study.measurement != entry.measurement:
        what = f"the study {study.name} is of {study.measurement}, not of {entry.measurement}"
    elif study.unit != unit:
        what = f"the study {study.name} is in {study.unit!r}, {entry.measurement} in {unit!r}"
    elif entry.sha256 is not None and entry.sha256 != study.sha256:
        what = f"the study {study.name} has another sha256 ({study.sha256}) than this spec asks for"
        todo = "Find the study that the spec was written for, or approve this one by its sha256."
    elif study.file.valid.voxel_size_mm is None:
        what = f"the study {study.name} does not say at which voxel size it was made"
        todo = "Make it anew with --voxel-size: its result does not hold at any voxel size."
    elif entry.bias == "correct" and study.file.kind != "calibrated":
        what = f"the study {study.name} is of no calibrated part and knows no bias to correct"
        todo = "Remove `bias:`."
    if what is not None:
        raise SpecError(what, where=where, todo=todo)


@dataclass
class _Rule:
    """A rule while it is put together from parent and child."""

    id: str
    where: str
    values: dict[str, Any]
    limits: dict[str, dict[str, Any] | None]
    limit_where: dict[str, str]
    places: dict[str, str]

    def checked(self, known: Mapping[str, str], default_rule: str, open_ended: bool) -> dict[str, Any]:
        """The rule as the record holds it, once it is known to make sense."""
        name, unit = self.values.get("measurement"), self.values.get("unit")
        if name is None:
            raise SpecError(
                f"rule {self.id!r} names no measurement",
                where=self.where,
                todo="Add `measurement:`; in a spec that extends another, check the rule's id.",
            )
        if open_ended and unit is not None and not _family_known(name, known):
            known = {**known, name: unit}
        if name not in known:
            raise SpecError(
                f"unknown measurement {name!r}{suggest(name, known)}",
                where=self.places["measurement"],
                todo="See `xctrules plugins` for what the installed plugins measure.",
            )
        if unit is None:
            raise SpecError(
                f"rule {self.id!r} has no unit", where=self.where, todo=f"Add `unit: {known[name]}`."
            )
        if unit != known[name]:
            raise SpecError(
                f"rule {self.id!r}: {name} is measured in {known[name]!r}, not in {unit!r}",
                where=self.places["unit"],
                todo=f"Write the limits in {known[name]!r}.",
            )
        low, high = self.limits["min"], self.limits["max"]
        if low is None and high is None:
            raise SpecError(f"rule {self.id!r} has no limit", where=self.where, todo="Add `min:` or `max:`.")
        if low is not None and high is not None and low["value"] > high["value"]:
            raise SpecError(
                f"rule {self.id!r}: min {low['value']:g} is above max {high['value']:g}",
                where=self.limit_where["min"],
                todo="Swap or correct them.",
            )
        decision_rule = self.values.get("decision_rule") or default_rule
        guard_band = self.values.get("guard_band")
        if guard_band is not None and decision_rule not in GUARDED_RULES:
            raise SpecError(
                f"rule {self.id!r}: a guard band has no effect under the decision rule {decision_rule!r}",
                where=self.places["guard_band"],
                todo=f"Remove it, or use {' or '.join(GUARDED_RULES)}.",
            )
        return {
            "id": self.id,
            "title": self.values.get("title") or self.id.replace("-", " ").replace("_", " "),
            "measurement": name,
            "unit": unit,
            "min": low,
            "max": high,
            "severity": self.values.get("severity") or "major",
            "decision_rule": decision_rule,
            "guard_band": guard_band,
        }


def _family_known(name: str, known: Iterable[str]) -> bool:
    """Whether any known measurement begins with the same word as ``name``."""
    return name.partition(".")[0] in {other.partition(".")[0] for other in known}


def _merge_rules(rules: dict[str, _Rule], document: _Document, *, has_parent: bool) -> None:
    """Lay a file's rules over those of its parent (``rules`` is changed)."""
    for index, identifier in enumerate(document.entry.remove):
        if identifier not in rules:
            hint = suggest(identifier, rules) if has_parent else "; this spec extends no other"
            raise SpecError(
                f"there is no rule {identifier!r} to remove{hint}", where=document.where("remove", index)
            )
        del rules[identifier]
    seen: dict[str, int] = {}
    for index, entry in enumerate(document.entry.rules):
        line = document.line("rules", index)
        if entry.id in seen:
            raise SpecError(
                f"the rule {entry.id!r} is given twice (first in line {seen[entry.id]})",
                where=document.where("rules", index, "id"),
                todo="Give each rule its own id; one rule may have both min and max.",
            )
        seen[entry.id] = line
        where = document.where("rules", index)
        rule = rules.setdefault(entry.id, _Rule(entry.id, where, {}, {"min": None, "max": None}, {}, {}))
        rule.where = where
        for key in ("title", "measurement", "unit", "severity", "decision_rule", "guard_band"):
            if key in entry.model_fields_set:
                rule.values[key] = getattr(entry, key)
                rule.places[key] = document.where("rules", index, key)
        if "measurement" in entry.model_fields_set and "unit" not in entry.model_fields_set:
            rule.values.pop("unit", None)  # another quantity: its unit must be said
        for key in ("min", "max"):
            if key in entry.model_fields_set:
                rule.limits[key] = _limit(entry, key, document, index)
                rule.limit_where[key] = document.where("rules", index, key)
        _refuse_idle_source(entry, document, index)


def _refuse_idle_source(entry: RuleEntry, document: _Document, index: int) -> None:
    """A child that changes a source but no limit would seem to re-source a number that it does not show."""
    if {"source", "status"} & entry.model_fields_set and not {"min", "max"} & entry.model_fields_set:
        raise SpecError(
            f"rule {entry.id!r} gives a source or status but no limit that it belongs to",
            where=document.where("rules", index),
            todo="Repeat the limit (`min:` or `max:`) beside its source.",
        )


def _limit(entry: RuleEntry, key: str, document: _Document, index: int) -> dict[str, Any] | None:
    given: LimitEntry | None = getattr(entry, key)
    if given is None:
        return None
    source = given.source or entry.source
    status = given.status or entry.status or "indicative"
    if source is None and status != "indicative":
        raise SpecError(
            f"rule {entry.id!r}: the limit {key} {given.value:g} has status {status!r} but no source",
            where=document.where("rules", index, key),
            todo="Add `source:` (the drawing's number, the datasheet), or make its status indicative.",
        )
    # No limit is taken over silently from a place that the reader cannot find.
    return {
        "value": _float(given.value),
        "source": source,
        "status": status,
        "at": document.at("rules", index, key),
    }


def _float(value: float) -> float:
    number = float(value)
    assert math.isfinite(number)
    return number
