"""The laboratory's profile: what a certificate states that no scan shows, as it stands in a YAML file.

Each key may be left out here: what a certificate cannot do without is listed in
:mod:`xctrules.records.certificates.required`, so that all of it can be told at once, with what the record
lacks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from xctrules.core.errors import RecordError
from xctrules.core.files import is_pipe_or_device
from xctrules.core.shipped import shipped_folder
from xctrules.core.wording import did_you_mean, joined
from xctrules.core.yaml_lines import Location, Yaml, read_yaml
from xctrules.records.signing.keys import PublicKey, load_public_key
from xctrules.rules.deciding import DecisionRule

SCHEMA = "xctrules.laboratory/1"
EXAMPLE = "example"
"""What stands for the profile that ships with the program."""

_MOST_CHARACTERS = 600
"""Of one field: a certificate has two pages."""

Text = Annotated[str, Field(max_length=_MOST_CHARACTERS)]
Day = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Laboratory(_Model):
    """Who issues the certificate."""

    name: Text | None = None
    address: Text | None = None
    contact: Text | None = None
    location: Text | None = Field(None, description="Where the cell was scanned and the scan inspected.")
    accreditation: Text | None = Field(None, description="By whom, and under which number; if there is one.")


class Customer(_Model):
    """For whom."""

    name: Text | None = None
    contact: Text | None = None
    supplied: Text | None = Field(None, description="What the customer said, and the laboratory took over.")


class Item(_Model):
    """The cell, as far as its record does not say it."""

    description: Text | None = None
    condition: Text | None = None
    received: Text | None = Field(None, description="Date of receipt, or that it does not matter.")


class Method(_Model):
    """How it was inspected."""

    description: Text | None = None
    environment: Text | None = Field(None, description="Temperature and whatever else bears on the result.")
    sampling: Text | None = Field(None, description="Plan and method; 'none' where there was none.")
    deviations: Text | None = Field(None, description="From the method; 'none' where there are none.")
    external: Text | None = Field(None, description="Results by others; 'none' where there are none.")


class Decisions(_Model):
    """What was agreed on how uncertainty bears on a verdict (ISO/IEC 17025, 7.1.3 and 7.8.6)."""

    agreed: tuple[DecisionRule, ...] | None = Field(None, description="Rules that a verdict may stand on.")
    statement: Text | None = Field(None, description="Where it was agreed, and what risk it leaves to whom.")


class Person(_Model):
    """Who answers for the certificate."""

    name: Text | None = None
    role: Text | None = None


class Validation(_Model):
    """How the software was validated (ISO/IEC 17025, 7.11)."""

    report: Text = Field(description="File that `xctrules validate` wrote; relative to the profile.")
    sha256: Digest | None = Field(None, description="Of that file: pins the profile to it.")


class Profile(_Model):
    """A laboratory's profile as it stands in its file."""

    schema_: Literal["xctrules.laboratory/1"] = Field(alias="schema")
    title: Text = "Certificate of inspection"
    number_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", max_length=30)] | None = (
        Field(None, description="The number is this, and twelve characters of a SHA-256 of all it says.")
    )
    issued: Day | None = Field(None, description="Day of issue; else that of the newest release signature.")
    laboratory: Laboratory = Field(default_factory=lambda: Laboratory.model_validate({}))
    customer: Customer = Field(default_factory=lambda: Customer.model_validate({}))
    item: Item = Field(default_factory=lambda: Item.model_validate({}))
    method: Method = Field(default_factory=lambda: Method.model_validate({}))
    decision_rule: Decisions = Field(default_factory=lambda: Decisions.model_validate({}))
    authorised_by: Person = Field(default_factory=lambda: Person.model_validate({}))
    keys: tuple[Text, ...] = Field((), description="Public keys of who signs here; relative to the profile.")
    software_validation: Validation | None = None
    replaces: Text | None = Field(None, description="Number of the certificate that this one replaces.")
    remarks: Text | None = None


@dataclass(frozen=True)
class LaboratoryFile:
    """A profile with what it refers to.

    Attributes
    ----------
    values
        The profile as plain JSON, as a certificate carries it.
    where
        The file as the user knows it.
    keys
        Public keys whose signatures count on a certificate.
    validation
        ``name`` and ``sha256`` of the file that tells how the software was validated; ``None`` without one.
    """

    values: dict[str, Any]
    where: str
    keys: tuple[PublicKey, ...] = ()
    validation: dict[str, str] | None = None


def example_profile() -> Path:
    """The profile that ships with the program, to be copied and filled in."""
    return shipped_folder("templates") / "laboratory.yaml"


def read_laboratory(path: str | Path) -> LaboratoryFile:
    """A laboratory's profile from its file; ``example`` stands for the one that ships with the program.

    Raises
    ------
    RecordError
        With ``file:line``, for what cannot be read, unknown keys and values of the wrong kind.
    KeyFileError
        When a key that it names is none.
    """
    shown = Path(path)
    path = example_profile() if str(path) == EXAMPLE and not shown.exists() else shown
    yaml = read_yaml(_text(path), str(shown), RecordError, as_text=_is_text)
    profile = _profile(yaml)
    beside = path.parent
    return LaboratoryFile(
        profile.model_dump(mode="json", by_alias=True),
        str(shown),
        tuple(load_public_key(beside / name) for name in profile.keys),
        _validation(profile.software_validation, beside, yaml),
    )


def _text(path: Path) -> str:
    if is_pipe_or_device(path):
        raise RecordError("is a pipe or device", where=path, todo="Give an ordinary file.")
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecordError("the file is not UTF-8 text", where=path, todo="Save it as UTF-8.") from error
    except OSError as error:
        what = f"the laboratory's profile cannot be read ({error.strerror or error})"
        todo = "xctrules certificate --example-lab prints one to fill in."
        raise RecordError(what, where=path, todo=todo) from error


def _is_text(location: Location) -> bool:
    """Each scalar is the text that stands there: a telephone number is no number."""
    return bool(location)


def _profile(yaml: Yaml) -> Profile:
    if not isinstance(yaml.value, dict) or yaml.value.get("schema") != SCHEMA:
        raise RecordError(
            "the file is no laboratory's profile",
            where=yaml.where("schema"),
            todo=f"Begin it with `schema: {SCHEMA}`; xctrules certificate --example-lab prints one.",
        )
    emptied = {key: value for key, value in yaml.value.items() if value is not None}
    try:
        return Profile.model_validate(emptied)
    except ValidationError as error:
        items = error.errors(include_url=False)
        lines = sorted((yaml.line(*item["loc"]), _complaint(item)) for item in items)
        (line, what), *others = lines
        rest = "".join(f"\n{yaml.file}:{number}: {more}" for number, more in others)
        raise RecordError(what + rest, where=f"{yaml.file}:{line}") from error


def _complaint(item: Any) -> str:
    location = [str(part) for part in item["loc"]]
    dotted, kind = ".".join(location), item["type"]
    if kind == "extra_forbidden":
        known = _keys_beside(location)
        near = did_you_mean(location[-1], known) or f"; known are {joined(known)}"
        return f"unknown key {dotted!r}{near}"
    if kind == "missing":
        return f"the key {dotted!r} is missing"
    if kind == "string_too_long":
        return f"{dotted}: longer than {item['ctx']['max_length']} characters"
    if kind == "string_pattern_mismatch":
        return f"{dotted}: {item['input']!r} is not {_WANTED.get(location[-1], 'of the right form')}"
    if kind == "literal_error":
        return f"{dotted}: {item['input']!r} is not one of {item['ctx']['expected']}"
    if kind in ("model_type", "model_attributes_type"):
        return f"{dotted}: this is a mapping of keys to values"
    if kind in ("tuple_type", "list_type"):
        return f"{dotted}: this is a list"
    return f"{dotted}: this is a text" if kind == "string_type" else f"{dotted}: {item['msg']}"


_WANTED = {
    "issued": "a day, such as 2026-03-31",
    "sha256": "a SHA-256 in lower-case hexadecimal",
    "number_prefix": "of letters, digits, dot, dash, slash and underscore",
}


def _keys_beside(location: list[str]) -> list[str]:
    model: type[BaseModel] = Profile
    for part in location[:-1]:
        found = Profile.model_fields.get(part)
        inner = Validation if part == "software_validation" else getattr(found, "annotation", None)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return [field.alias or name for name, field in model.model_fields.items()]


def _validation(told: Validation | None, beside: Path, yaml: Yaml) -> dict[str, str] | None:
    """Name and SHA-256 of the validation's file, which must be there."""
    if told is None:
        return None
    where = yaml.where("software_validation", "report")
    try:
        data = (beside / told.report).read_bytes()
    except OSError as error:
        what = f"the validation report {told.report!r} cannot be read ({error.strerror or error})"
        raise RecordError(what, where=where, todo="xctrules validate writes one.") from error
    digest = hashlib.sha256(data).hexdigest()
    if told.sha256 is not None and told.sha256 != digest:
        what = f"the validation report {told.report!r} has another SHA-256, {digest}"
        raise RecordError(what, where=yaml.where("software_validation", "sha256"))
    return {"name": Path(told.report).name, "sha256": digest}
