"""A trained model's card: what the model is, what it was trained on, how well it does, and where it may be
used.

The card ``NAME.json`` lies beside ``NAME.tflite`` (which measures) and ``NAME.keras`` (from which training
goes on) and holds their SHA-256. A model is only ever used by its card: one that is missing, malformed, or
made for other files is refused, since nobody could say afterwards what measured.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from xctrules.core.errors import ModelError, OutputError
from xctrules.core.files import write_file
from xctrules.core.shipped import shipped_folder
from xctrules.cylinder.half_planes import COLUMNS_MULTIPLE_OF, ROWS, STANDARD_MM
from xctrules.cylinder.surfaces import FOIL_MM, LABELS

SCHEMA: Literal["xctrules.model/1"] = "xctrules.model/1"
SUFFIXES = (".tflite", ".keras")

_MOST_CARD_BYTES = 4_000_000

_FORM = ("pixel_mm", "rows", "columns_multiple_of", "classes", "foil_mm")
"""What a network takes and gives. Every card must say it: assumed, it could not be held against ours."""

_COPY_AGAIN = "Take the model and its card from where they were made, again."

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Training(_Model):
    """What a model was trained on, and how."""

    data: Text = Field(description="In words: which phantoms and scans, how many planes, how split.")
    seed: int
    planes: Annotated[int, Field(ge=0)] | None = None
    started_from: Text | None = Field(None, description="Name and sha256 of the model that was fine-tuned.")
    options: dict[str, JsonValue] = Field(default_factory=dict)


class ModelScope(_Model):
    """For which scans a model may be used. Beyond it, it does not measure."""

    voxel_mm: tuple[Positive, Positive] = Field(description="Smallest and largest voxel side.")
    least_contrast: Positive = Field(
        description="Grey of the roll less that of the void, over the noise of one standard pixel "
        "(`xctrules.cylinder.half_planes.contrast`)."
    )
    least_confidence: Share = Field(
        description="Mean of the largest class probability around an edge, below which it is not measured."
    )

    @model_validator(mode="after")
    def _in_order(self) -> ModelScope:
        if self.voxel_mm[0] > self.voxel_mm[1]:
            raise ValueError("voxel_mm: the smallest is larger than the largest")
        return self


class CommonError(_Model):
    """What the model itself adds to the uncertainty of a length between two edges in its answer.

    It is common to all edges of a scan: averaging over them does not make it smaller, and their scatter does
    not show it.
    """

    sigma_mm: NotNegative = Field(description="Its standard uncertainty.")
    source: Text = Field(description="In words: the errors that it was found from, or why it is assumed.")


ASSUMED_ERROR = CommonError(
    sigma_mm=0.5 * STANDARD_MM,
    source="assumed: half a pixel, since the model was not evaluated on lengths that are known",
)
"""Of a model of whose lengths nothing is known. Labels are whole pixels: a network that takes all borders for
half a pixel too far out or in agrees with them no worse."""


class ModelCard(_Model):
    """The card of one model; see the module."""

    schema_: Literal["xctrules.model/1"] = Field(SCHEMA, alias="schema")
    name: Name
    title: Text
    version: Text
    sha256: dict[Name, Sha256] = Field(default_factory=dict, description="By file name.")
    pixel_mm: Positive = STANDARD_MM
    rows: Annotated[int, Field(gt=0)] = ROWS
    columns_multiple_of: Annotated[int, Field(gt=0)] = COLUMNS_MULTIPLE_OF
    classes: tuple[Text, ...] = tuple(LABELS)
    foil_mm: Positive = FOIL_MM
    training: Training
    scores: dict[str, JsonValue] = Field(
        default_factory=dict, description="Tables of results, each with a name; see docs/unet.md."
    )
    scope: ModelScope
    common_error: CommonError = Field(ASSUMED_ERROR, description="Older cards have none: it is assumed.")
    licence: Text
    versions: dict[str, Text] = Field(default_factory=dict, description="Of the software that made it.")


@dataclass(frozen=True)
class FoundModel:
    """A model whose files are those that its card speaks of."""

    card: ModelCard
    tflite: Path
    data: bytes
    """What ``tflite`` holds: the very bytes whose hash was compared."""

    @property
    def sha256(self) -> str:
        return self.card.sha256[self.tflite.name]


def models_folder() -> Path:
    """Folder of the bundled models: inside the installed package, or beside it in a checkout."""
    return shipped_folder("models")


def find_model(name_or_path: str | Path) -> FoundModel:
    """The model of that name among the bundled ones, or at that path (of any of its files).

    Raises
    ------
    ModelError
        When the model or its card is missing, the card is malformed, a file is not the one that the card
        speaks of, or the model's input is not what this version makes.
    """
    card_path = _card_path(name_or_path)
    card = read_card(card_path)
    made = tuple(getattr(card, name) for name in _FORM)
    ours = (STANDARD_MM, ROWS, COLUMNS_MULTIPLE_OF, tuple(LABELS), FOIL_MM)
    if made != ours:
        raise ModelError(
            f"the model wants planes of {card.rows} rows and {card.columns_multiple_of}n columns of "
            f"{card.pixel_mm:g} mm, and gives "
            f"{', '.join(card.classes)}, with a foil of {card.foil_mm:g} mm; this version does not",
            where=card_path,
            todo="Use the model that came with this version, or train one with `xctrules train`.",
        )
    data = {name: _checked(card_path.with_name(name), card) for name in card.sha256}
    tflite = card_path.with_suffix(".tflite")
    if tflite.name not in data:
        raise ModelError(f"the card names no {tflite.name}", where=card_path, todo="Export the model again.")
    return FoundModel(card, tflite, data[tflite.name])


def read_card(path: Path) -> ModelCard:
    """Read a card by itself; its files are not looked at.

    Raises
    ------
    ModelError
        When it cannot be read, or does not say what a card must say.
    """
    try:
        if path.stat().st_size > _MOST_CARD_BYTES:
            raise ModelError("this is no model card: it is far too large", where=path, todo=_COPY_AGAIN)
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ModelError(
            "the model has no card",
            where=path,
            todo=f"Copy {path.name}, which was written with the model, beside it: none is used without.",
        ) from None
    except UnicodeDecodeError:
        raise ModelError(
            "the model's card cannot be read: it is no text", where=path, todo=_COPY_AGAIN
        ) from None
    except OSError as error:
        raise ModelError(
            f"the model's card cannot be read: {error.strerror}", where=path, todo="See to its permissions."
        ) from error
    try:
        card = ModelCard.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise ModelError(
            f"the model's card is malformed{f' at {at}' if at else ''}: {first['msg']}",
            where=path,
            todo=_COPY_AGAIN,
        ) from None
    absent = [name for name in _FORM if name not in card.model_fields_set]
    if absent:
        raise ModelError(
            f"the model's card is malformed: it does not say {absent[0]}", where=path, todo=_COPY_AGAIN
        )
    if card.name != path.stem:
        raise ModelError(
            f"the card is that of the model {card.name}, its file's name says {path.stem}",
            where=path,
            todo=f"Name all of the model's files {card.name}, as when they were made.",
        )
    stray = [name for name in card.sha256 if name not in {card.name + suffix for suffix in SUFFIXES}]
    if stray:
        raise ModelError(
            f"the card speaks of a file that is not the model's own: {stray[0]}", where=path, todo=_COPY_AGAIN
        )
    return card


def write_card(card: ModelCard, folder: Path) -> Path:
    """Write ``NAME.json`` into ``folder``, with the hashes of the model's files as they lie there.

    Raises
    ------
    OutputError
        When there is no ``NAME.tflite`` in it, or it cannot be written to.
    """
    path = folder / f"{card.name}.json"
    present = [folder / (card.name + suffix) for suffix in SUFFIXES]
    hashes = {file.name: sha256_of(file) for file in present if file.is_file()}
    if f"{card.name}.tflite" not in hashes:
        raise OutputError(f"there is no {card.name}.tflite for the card to speak of", where=folder)
    whole = ModelCard.model_validate({**card.model_dump(by_alias=True), "sha256": hashes})
    write_file(path, (whole.model_dump_json(by_alias=True, indent=2) + "\n").encode("utf-8"))
    return path


def sha256_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _card_path(name_or_path: str | Path) -> Path:
    """Where the card lies, or ought to."""
    text = str(name_or_path)
    given = Path(text)
    if given.suffix in (*SUFFIXES, ".json"):
        card = given.with_suffix(".json")
        if not given.exists() and not card.exists():
            raise _no_such_model(text)
        return card
    bundled = models_folder() / f"{text}.json"
    if given.name == text and bundled.is_file():
        return bundled
    beside = given.with_name(f"{given.name}.json")
    if beside.is_file():
        return beside
    raise _no_such_model(text)


def _no_such_model(text: str) -> ModelError:
    return ModelError(
        "no such model",
        where=text,
        todo=f"Known models: {', '.join(known_models()) or 'none'}. "
        "For one of your own, give the path of its .tflite file.",
    )


def known_models() -> list[str]:
    """Names of the bundled models."""
    return sorted(
        path.stem for path in models_folder().glob("*.json") if path.with_suffix(".tflite").is_file()
    )


def _checked(path: Path, card: ModelCard) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(
            "the model's card speaks of this file, and it is missing",
            where=path,
            todo="Install xctrules again, or copy all of the model's files.",
        ) from None
    except OSError as error:
        raise ModelError(
            f"the model cannot be read: {error.strerror}", where=path, todo="See to its permissions."
        ) from error
    if hashlib.sha256(data).hexdigest() != card.sha256[path.name]:
        raise ModelError(
            "the model is not the one that its card speaks of: its SHA-256 differs",
            where=path,
            todo="The file was changed, or belongs to another card. Install xctrules again, or train anew.",
        )
    return data
