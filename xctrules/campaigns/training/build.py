"""Make the shipped model: data, training, scores, card and report, with one command.

    python -m xctrules.campaigns.training.build --scan PATH --out models

What is done already is kept in the work folder, so that a run that was stopped goes on with the same command.
Without a scan the model is made of phantoms alone, and its card says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from xctrules.campaigns.training import phantom_planes
from xctrules.campaigns.training.evaluate import (
    Evaluation,
    common_error,
    evaluate,
    least_contrast,
    published_stack,
)
from xctrules.campaigns.training.phantom_planes import PhantomPlanes, PlaneStack
from xctrules.campaigns.training.scan_planes import (
    label_ends,
    open_cell,
    scan_sha256,
    split_by_angle,
    write_pair,
)
from xctrules.core.canonical import EXACT_DIGITS, canonical_bytes, plain
from xctrules.core.errors import OutputError, XctrulesError
from xctrules.core.files import write_file, write_files
from xctrules.cylinder.model_card import ModelCard, ModelScope, read_card, write_card
from xctrules.engine.registry import load_plugins

NAME = "overhang_unet"
LICENCE = "MIT"

SCOPE = ModelScope(voxel_mm=(0.012, 0.09), least_contrast=1.0, least_confidence=0.5)
"""Voxels of the training data, a fifth wider at the fine end, where planes are averaged anyway. The least
contrast is raised to what the model was found to stand; the least confidence bars the hopeless only."""

ATTRIBUTION = (
    "one third of the half-planes of the 21700 cell in MPJ-Imaging/battery_xct_workflows "
    "(doi 10.5281/zenodo.17625584, MIT licence, copyright 2025 University College London, Department of "
    "Chemical Engineering)"
)


@dataclass(frozen=True)
class Recipe:
    """How much of what the model is made from."""

    stacks: int = 640
    planes: int = 5
    validation_stacks: int = 40
    validation_planes: int = 4
    published: int = 6
    """Validation phantoms at a published scan's quality, drawn as volumes."""
    scored: int = 12
    """Phantoms at that quality for the scores, other ones."""
    epochs: int = 24
    crops: int = 2400
    channels: int = 8
    augmentation: float = 0.4
    """Strength: phantoms differ in noise, blur and contrast already."""
    seed: int = 1

    def identity(self, scan_sha: str | None) -> dict[str, Any]:
        """What must agree for a stopped build to go on."""
        return {"version": phantom_planes.VERSION, **self.__dict__, "scan": scan_sha}


Tell = Callable[[str], None]


def build(
    out: Path,
    *,
    work: Path,
    scan: Path | None = None,
    spec: str = "21700",
    recipe: Recipe | None = None,
    workers: int = 2,
    tell: Tell = print,
) -> ModelCard:
    """Make ``out/overhang_unet`` with the suffixes .keras, .tflite, .json and .html.

    Raises
    ------
    XctrulesError
        When the scan cannot be used, TensorFlow is not installed, or the work folder holds another build.
    """
    recipe = recipe or Recipe()
    data = work / "data"
    make_data(data, recipe, scan=scan, spec=spec, workers=workers, tell=tell)
    model = _trained(work, data, recipe, scan, tell)
    found = evaluate(model, work, scan=scan, spec=spec, phantoms=recipe.scored, tell=tell)
    return _publish(model, out, found)


# --- data ------------------------------------------------------------------------------------------------


def make_data(
    data: Path,
    recipe: Recipe,
    *,
    scan: Path | None = None,
    spec: str = "21700",
    workers: int = 1,
    tell: Tell = print,
) -> None:
    """Write all pairs that are not there yet."""
    registry = load_plugins(third_party=False)
    cell = None if scan is None else open_cell(scan, spec, angles=360, registry=registry)
    _own(data, recipe.identity(None if cell is None else scan_sha256(cell.scan)))
    other = recipe.seed + 1
    jobs = [
        *_missing(data, recipe.seed, recipe.planes, recipe.stacks),
        *_missing(data / "validation", other, recipe.validation_planes, recipe.validation_stacks),
    ]
    tell(f"{len(jobs)} stacks of phantom planes to draw")
    _draw(jobs, workers, tell)
    for index in range(recipe.published):
        if not _there(data / "validation", f"published_{index:03d}"):
            _write(data / "validation", published_stack(index))
    if cell is None:
        return
    tell("labelling the scan's planes")
    for found in label_ends(cell, count=360, registry=registry):
        for part, chosen in split_by_angle(found.planes.theta_deg).items():
            folder = {"train": data, "validation": data / "validation"}.get(part)
            if folder is not None:  # the test planes are sampled again when they are scored
                every = chosen[:: 2 if part == "validation" else 1]
                write_pair(
                    folder, f"scan_{found.end.name}_{part}", found.planes.grey[every], found.label[every]
                )


Job = tuple[Path, int, int, int]
"""Folder, seed, planes and index of a stack."""


def _missing(folder: Path, seed: int, planes: int, count: int) -> list[Job]:
    return [(folder, seed, planes, i) for i in range(count) if not _there(folder, f"phantom_{i:05d}")]


def _there(folder: Path, name: str) -> bool:
    """An image is written after its labels, and whole or not at all."""
    return (folder / "images" / f"{name}.tif").exists()


def _draw(jobs: Sequence[Job], workers: int, tell: Tell) -> None:
    if workers <= 1 or len(jobs) < 2:
        done = map(_draw_one, jobs)
        for _ in done:
            pass
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for count, _ in enumerate(pool.map(_draw_one, jobs, chunksize=4), start=1):
            if count % 100 == 0:
                tell(f"{count} of {len(jobs)} stacks drawn")


def _draw_one(job: Job) -> None:
    folder, seed, planes, index = job
    _write(folder, PhantomPlanes(seed, planes).stack(index))


def _write(folder: Path, stack: PlaneStack) -> None:
    write_pair(folder, stack.name, stack.grey, stack.label)


def _own(data: Path, identity: dict[str, Any]) -> None:
    """Claim the folder for this build, or refuse one that holds another's data."""
    path = data / "made_for.json"
    wanted = plain(identity, digits=EXACT_DIGITS)
    if path.exists():
        if json.loads(path.read_text(encoding="utf-8")) != wanted:
            raise OutputError(
                "data for another build lie here",
                where=data,
                todo="Name another --work, or remove this folder.",
            )
        return
    write_file(path, canonical_bytes(wanted))


# --- the model -------------------------------------------------------------------------------------------


def _trained(work: Path, data: Path, recipe: Recipe, scan: Path | None, tell: Tell) -> Path:
    """The trained model's ``.tflite``; trained now, or gone on with, where it is not there yet."""
    from xctrules.campaigns.training.augment import Augmentation
    from xctrules.campaigns.training.fit import About, Options, train

    model = work / "model" / NAME
    if not model.with_suffix(".json").exists():
        options = Options(
            epochs=recipe.epochs,
            crops=recipe.crops,
            channels=recipe.channels,
            patience=recipe.epochs,
            seed=recipe.seed,
            augmentation=Augmentation().scaled(recipe.augmentation),
        )
        about = About(
            title="U-Net for the electrode ends of cylindrical cells",
            data=_words(recipe, scan),
            licence=LICENCE,
            scope=SCOPE,
        )

        train(data, model, options, about=about, tell=tell)
    return model.with_suffix(".tflite")


def _words(recipe: Recipe, scan: Path | None) -> str:
    phantoms = (
        f"{recipe.stacks} synthetic cells of random geometry and image quality, {recipe.planes} half-planes "
        f"of each (phantom_planes, seed {recipe.seed}, version {phantom_planes.VERSION})"
    )
    if scan is None:
        return f"{phantoms}; no scan"
    return (
        f"{phantoms}; and {ATTRIBUTION}, with the classical segmenter's labels as corrected by hand. Another "
        "third was used for validation, and a third kept for testing only"
    )


def _publish(model: Path, out: Path, found: Evaluation) -> ModelCard:
    """Copy the model beside its final card and report; the card last, since without it nothing is used."""
    from xctrules.campaigns.training.model_page import render

    card = read_card(model.with_suffix(".json"))
    card = scored(card, found.scores)
    suffixes = (".keras", ".tflite")
    write_files({out / f"{NAME}{suffix}": model.with_suffix(suffix).read_bytes() for suffix in suffixes})
    write_card(card, out)
    card = read_card(out / f"{NAME}.json")
    write_file(out / f"{NAME}.html", render(card, found.disagreements).encode("utf-8"))
    return card


def scored(card: ModelCard, scores: Mapping[str, Any]) -> ModelCard:
    """The card with the evaluation's scores, and what follows from them for the scope and for lengths."""
    found = common_error(scores["ladder"]["rows"]) or card.common_error
    least = max(card.scope.least_contrast, least_contrast(scores.get("noise", [])) or 0.0)
    values = {
        **card.model_dump(by_alias=True),
        "scores": {**card.scores, **scores},
        "common_error": found.model_dump(),
        "scope": {**card.scope.model_dump(), "least_contrast": least},
    }
    return ModelCard.model_validate(values)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of this module."""
    parser = argparse.ArgumentParser(prog="python -m xctrules.campaigns.training.build", description=__doc__)
    parser.add_argument("--scan", type=Path, help="the 21700 cell's scan; without it, phantoms only")
    parser.add_argument("--spec", default="21700", help="cell-format spec of the scan")
    parser.add_argument("--out", type=Path, default=Path("models"), help="folder for the model")
    parser.add_argument("--work", type=Path, default=Path("xctrules-build"), help="folder for all else")
    parser.add_argument("--workers", type=int, default=2, help="processes that draw phantoms")
    given = parser.parse_args(arguments)
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"[{(time.monotonic() - began) / 60:5.1f} min] {text}", file=sys.stderr, flush=True)

    try:
        card = build(
            given.out, work=given.work, scan=given.scan, spec=given.spec, workers=given.workers, tell=tell
        )
    except XctrulesError as error:
        print(f"build: {error}", file=sys.stderr)
        return 2
    for line in card.scores["criteria"]:  # type: ignore[union-attr]
        mark = {True: "holds", False: "DOES NOT HOLD", None: "not looked at"}[line["holds"]]  # type: ignore[index,call-overload]
        print(f"{mark:14} {line['id']}: {line['found']} ({line['asked']})")  # type: ignore[index,call-overload]
    return 0


if __name__ == "__main__":
    sys.exit(main())
