"""``xctrules train``: a network from planes and labels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xctrules.cli.console import FINE, command, complain, say, say_json, say_table, working
from xctrules.core.errors import XctrulesError

if TYPE_CHECKING:
    from xctrules.campaigns.training.augment import Augmentation
    from xctrules.campaigns.training.fit import Trained

EXIT_CODES = """\b
Exit codes: 0 the model is written; 2 data, options or model cannot be used."""


@command
def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder with images/ and labels/.")],
    out: Annotated[
        Path, typer.Option(help="Model to write: MODEL.keras, .tflite, .json, .html, .csv.", metavar="MODEL")
    ],
    start: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Fine-tune this .keras file, or the bundled model of this name.", metavar="MODEL"
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Rounds of training; 60, or 25 with --from.", metavar="N")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="End after so many.", metavar="M")] = None,
    crops: Annotated[
        int | None,
        typer.Option(help="Varied crops each epoch; one of each plane, but not few.", metavar="N"),
    ] = None,
    batch: Annotated[int, typer.Option(help="Crops in one step.", metavar="N")] = 16,
    rate: Annotated[
        float | None, typer.Option(help="Largest learning rate; 0.003, or 0.0005 with --from.", metavar="R")
    ] = None,
    warm_up: Annotated[
        float, typer.Option(help="Share of the training in which the rate rises.", metavar="S")
    ] = 0.05,
    loss: Annotated[
        str, typer.Option(help="ce (cross entropy), dice (soft Dice), or both.", metavar="NAME")
    ] = "both",
    patience: Annotated[
        int, typer.Option(help="End after so many epochs without a better score.", metavar="N")
    ] = 15,
    channels: Annotated[
        int | None,
        typer.Option(help="Of the first level: the network's size; 8. From scratch only.", metavar="N"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.", metavar="N")] = 1,
    share: Annotated[
        float, typer.Option("--validation-share", help="Share of the planes held out.", metavar="S")
    ] = 0.2,
    augment: Annotated[
        list[str] | None,
        typer.Option(
            help="How far planes are varied, such as noise=0.2 or strength=0.5; repeatable.",
            metavar="NAME=VALUE",
        ),
    ] = None,
    title: Annotated[str | None, typer.Option(help="Of the model, for its card.", metavar="TEXT")] = None,
    about: Annotated[
        str | None, typer.Option(help="What the data are, for the card.", metavar="TEXT")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Of the model, for its card.", metavar="TEXT")] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume/--replace", help="Go on with a stopped training, or start afresh."),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the model's card as JSON.")] = False,
) -> int:
    """Train the U-Net on pairs of images and labels, or fine-tune it with --from.

    A run that was stopped goes on after its last whole epoch, with the same command.
    """
    from xctrules.campaigns.training.fit import About, Options
    from xctrules.campaigns.training.fit import train as fit

    if loss not in ("both", "ce", "dice"):
        raise XctrulesError(f"{loss!r} is no loss", where="--loss", todo="Give both, ce or dice.")
    options = Options(
        epochs=epochs,
        minutes=minutes,
        crops=crops,
        batch=batch,
        rate=rate,
        warm_up=warm_up,
        loss=loss,  # type: ignore[arg-type]
        patience=patience,
        channels=channels,
        seed=seed,
        start=start,
        share=share,
        augmentation=_augmentation(augment or []),
    )
    words = {"title": title, "data": about, "licence": licence}
    told = About(**{name: text for name, text in words.items() if text is not None})  # type: ignore[arg-type]
    with working() as progress:
        done = fit(data, out, options, about=told, progress=progress, tell=_note, replace=not resume)
    if as_json:
        say_json(done.card.model_dump(by_alias=True, mode="json"))
    else:
        _tell(done)
    return FINE


def _augmentation(settings: list[str]) -> Augmentation:
    """``NAME=VALUE`` pairs over the defaults; ``strength`` scales what is not named."""
    from dataclasses import fields

    from xctrules.campaigns.training.augment import Augmentation

    names = [field.name for field in fields(Augmentation)]
    values: dict[str, float] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if name not in (*names, "strength") or not math.isfinite(value):
            raise XctrulesError(
                f"{setting!r} is no setting",
                where="--augment",
                todo=f"Give NAME=VALUE with one of strength, {', '.join(names)}.",
            )
        values[name] = value
    strength = values.pop("strength", 1.0)
    if not 0 <= strength <= 2:
        raise XctrulesError(f"{strength:g} is out of range", where="--augment strength", todo="Give 0 to 2.")
    scaled: Any = {**vars(Augmentation().scaled(strength)), **values}
    scaled["shift_px"] = round(scaled["shift_px"])
    return Augmentation(**scaled)


def _note(line: str) -> None:
    complain(f"train: {line}")


def _tell(done: Trained) -> None:
    """Scores and files on the terminal."""
    from xctrules.campaigns.training.qc import NO_GAIN, WHAT_TO_TRY
    from xctrules.campaigns.training.scores import score_text
    from xctrules.core.wording import counted

    before = done.before
    table = [("Class", "Validation Dice", *([] if before is None else ["Before fine-tuning"]))]
    for name, value in done.dice.items():
        scores = [value] if before is None else [value, before.get(name, math.nan)]
        table.append((name, *map(score_text, scores)))
    say_table(table)
    if not done.gained:
        say()
        say(NO_GAIN)
        say("What to try:")
        for line in WHAT_TO_TRY:
            say(f"- {line}")
    say()
    say(f"Exported model against trained: at most {done.agreement:.1g} in probability (0.001 allowed)")
    epochs, minutes = counted(done.log[-1]["epoch"], "epoch"), done.log[-1]["minutes"]
    say(f"{epochs} in {minutes:.1f} min, {done.images_per_second:.0f} crops a second")
    say(f"Model: {done.out}.tflite (to measure), {done.out}.keras (to train on), {done.out}.json (card)")
    say(f"What it gets wrong: {done.out}.html")
