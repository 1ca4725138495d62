"""Training: from pairs to a model with its card.

A run that was stopped goes on with the same call: after every epoch all that it needs is in one file beside
the model to be, ``NAME.progress.npz``, replaced in one go. All draws follow from the seed and the epoch's
number, so that what a resumed run sees does not depend on when it was stopped.
"""

from __future__ import annotations

import csv
import io
import json
import math
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from dataclasses import replace as changed
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xctrules.campaigns.training import network
from xctrules.campaigns.training.augment import CROP_WIDTH, Augmentation, vary
from xctrules.campaigns.training.export import disagreement, to_tflite
from xctrules.campaigns.training.pairs import UNKNOWN, Pairs, PlaneSequence, named, read_pairs
from xctrules.campaigns.training.qc import draw
from xctrules.campaigns.training.scores import (
    FOREGROUND,
    counts_by_plane,
    dice_by_class,
    dice_of,
    gained,
    mean_dice,
    score_text,
)
from xctrules.core.errors import ModelError, OutputError, XctrulesError
from xctrules.core.files import write_file, write_files
from xctrules.core.progress import Progress, silent
from xctrules.core.version import __version__
from xctrules.core.wording import counted
from xctrules.cylinder.half_planes import ROWS
from xctrules.cylinder.model_card import (
    ASSUMED_ERROR,
    SCHEMA,
    CommonError,
    ModelCard,
    ModelScope,
    Training,
    models_folder,
    read_card,
    sha256_of,
    write_card,
)
from xctrules.cylinder.surfaces import LABELS

Losses = Literal["both", "ce", "dice"]

CHANNELS = 8
"""Of a network's first level, where nothing else is asked for."""

PROGRESS_SUFFIX = ".progress.npz"
OUTPUTS = (".keras", ".tflite", ".json", ".html", ".csv")

AGREEMENT = 1e-3
"""Largest difference in probability allowed between the model as trained and as exported."""

DEFAULT_SCOPE = ModelScope(voxel_mm=(0.01, 0.08), least_contrast=1.0, least_confidence=0.6)
"""Of a model that was not trained from another: from voxels that are averaged to ones twice as large as a
pixel, and where roll and void differ by the noise of a pixel at least."""

_SAMPLE = 160
"""Validation planes looked at after each epoch, at most; the scores of the finished model are of all."""


@dataclass(frozen=True)
class Options:
    """How to train. What is ``None`` depends on whether a model is fine-tuned.

    Attributes
    ----------
    epochs
        60 from scratch, 25 to fine-tune.
    minutes
        End after so many; the learning rate then falls with the time instead.
    crops
        Varied crops for each epoch; as many as there are planes, but 400 (to fine-tune: 128) at least.
    batch
        Crops for each step.
    rate
        Largest learning rate: 0.003 from scratch, 0.0005 to fine-tune.
    warm_up
        Share of the training over which the learning rate rises from zero. Then it falls as a cosine.
    loss
        Cross entropy, soft Dice, or the sum of both.
    patience
        End after so many epochs without a better mean Dice on the validation planes.
    channels
        Of the network's first level: 8 from scratch. A model that is fine-tuned has its own.
    seed
        Of everything that is drawn.
    start
        A ``.keras`` file to fine-tune, or the name of a bundled model.
    share
        Of the planes that are held out for validation, where they have no folder of their own.
    """

    epochs: int | None = None
    minutes: float | None = None
    crops: int | None = None
    batch: int = 16
    rate: float | None = None
    warm_up: float = 0.05
    loss: Losses = "both"
    patience: int = 15
    channels: int | None = None
    seed: int = 1
    start: Path | None = None
    share: float = 0.2
    augmentation: Augmentation = field(default_factory=Augmentation)

    def settled(self, planes: int) -> Options:
        """With everything decided that depends on the start and the number of planes."""
        tuning = self.start is not None
        return changed(
            self,
            epochs=self.epochs or (25 if tuning else 60),
            crops=self.crops or max(planes, 128 if tuning else 400),
            rate=self.rate or (5e-4 if tuning else 3e-3),
            channels=self.channels or CHANNELS,
        )


@dataclass(frozen=True)
class About:
    """What the card says in words."""

    title: str = "U-Net for the ends of cylindrical cells"
    version: str = "1.0"
    data: str | None = None
    licence: str = "not stated"
    scope: ModelScope | None = None


Tell = Callable[[str], None]


@dataclass(frozen=True)
class Trained:
    """A finished training: the model's files, its card, and the log by epoch."""

    out: Path
    card: ModelCard
    log: tuple[Mapping[str, Any], ...]
    dice: Mapping[str, float]
    agreement: float
    images_per_second: float

    @property
    def before(self) -> Mapping[str, float] | None:
        """Scores of the model that was fine-tuned; ``None`` from scratch."""
        first = self.log[0]
        if first["epoch"]:
            return None
        scores = {name: first[f"dice_{name}"] for name in FOREGROUND}
        return {name: math.nan if score is None else score for name, score in scores.items()}

    @property
    def gained(self) -> bool:
        """Whether any epoch scored better than the model that was fine-tuned; true from scratch."""
        return gained(self.log)


def train(
    data: Path,
    out: Path,
    options: Options | None = None,
    *,
    about: About | None = None,
    progress: Progress = silent,
    tell: Tell | None = None,
    replace: bool = False,
) -> Trained:
    """Train on the pairs in ``data`` and write ``out`` with the suffixes ``OUTPUTS``.

    Parameters
    ----------
    data
        See :mod:`xctrules.campaigns.training.pairs`.
    out
        Folder and name of the model, without suffix.
    progress
        Called after each step, with the steps that are done and those of all epochs.
    tell
        Called with what a person should know, line by line: of the data before it starts, of each epoch
        when it ends.
    replace
        Start afresh and replace what is there; else a stopped run of the same training goes on.

    Raises
    ------
    XctrulesError
        When data, options or the model to start from cannot be used, TensorFlow is not installed, the model
        is there already, or what a stopped run left is of another training.
    """
    options, about = options or Options(), about or About()
    if options.start is not None:
        options = changed(options, start=starting_model(options.start))
    out = _model_path(out)
    _check(options)
    _refuse_existing(out, replace)
    network.tensorflow()
    parent = _parent(options.start)
    pairs = read_pairs(data, seed=options.seed, share=options.share)
    options = options.settled(pairs.planes)
    identity = _identity(options, pairs, parent)
    run = _Run.resumed(out, identity, replace) or _Run.fresh(options, identity)
    tell = tell or (lambda line: None)
    for line in _of_data(pairs):
        tell(line)
    out.parent.mkdir(parents=True, exist_ok=True)  # not before: a refusal leaves nothing behind
    _fit(run, pairs, options, out, progress, tell)
    return _finish(run, pairs, options, about, out, parent)


def _of_data(pairs: Pairs) -> Iterator[str]:
    names = [name for sequence in pairs.validation for name in sequence.planes]
    yield f"{counted(pairs.planes, 'plane')} to train on, {len(names)} to validate on: {pairs.split}"
    yield f"not trained on, only scored: {named(names)}"
    yield from (f"warning: {warning}" for warning in pairs.warnings)


# --- before ----------------------------------------------------------------------------------------------


def _check(options: Options) -> None:
    limits: tuple[tuple[str, float | None, float, float], ...] = (
        ("--epochs", options.epochs, 1, 10_000),
        ("--minutes", options.minutes, 0.01, 10_000),
        ("--crops", options.crops, 1, 1_000_000),
        ("--batch", options.batch, 1, 256),
        ("--rate", options.rate, 1e-7, 1),
        ("--warm-up", options.warm_up, 0, 0.9),
        ("--patience", options.patience, 1, 10_000),
        ("--channels", options.channels, 2, 64),
        ("--seed", options.seed, 0, 2**31 - 1),
        ("--validation-share", options.share, 0.01, 0.5),
    )
    for name, value, low, high in limits:
        if value is not None and not low <= value <= high:
            raise XctrulesError(f"{value:g} is out of range", where=name, todo=f"Give {low:g} to {high:g}.")
    if options.start is not None and options.channels is not None:
        raise XctrulesError(
            "a model that is fine-tuned keeps its own size",
            where="--channels",
            todo="Leave out --channels, or --from to train another size from scratch.",
        )
    if options.loss not in ("both", "ce", "dice"):
        raise XctrulesError(f"{options.loss!r} is no loss", where="--loss", todo="Give both, ce or dice.")


def _model_path(out: Path) -> Path:
    """Without suffix, where one of the model's own was given."""
    return out.with_suffix("") if out.suffix in OUTPUTS else out


def _beside(out: Path, suffix: str) -> Path:
    return out.with_name(out.name + suffix)


def _refuse_existing(out: Path, replace: bool) -> None:
    import re

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", out.name):
        raise OutputError(
            f"{out.name!r} is no name for a model", where="--out", todo="Use letters, digits, dot, - and _."
        )
    folder = out.parent
    try:
        while not folder.exists():
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder):  # so that hours of work are not lost at the end
            pass
    except OSError as error:
        raise OutputError(
            f"nothing can be written here ({error.strerror})",
            where=folder,
            todo=f"Give an --out in a folder of your own; {out} is not possible.",
        ) from error
    there = [_beside(out, s) for s in OUTPUTS if s != ".csv" and _beside(out, s).exists()]
    begun = _beside(out, PROGRESS_SUFFIX).exists()  # which was allowed to replace them, or has half done so
    if there and not (replace or begun):
        raise OutputError("this model exists", where=there[0], todo="Name another --out, or give --replace.")


def starting_model(start: Path) -> Path:
    """The file to fine-tune: ``start`` itself, or where there is none, the bundled model of that name."""
    bundled = models_folder() / f"{start.name}.keras"
    return bundled if start == Path(start.name) and not start.exists() and bundled.is_file() else start


def _parent(start: Path | None) -> tuple[str, ModelCard | None] | None:
    """Name and hash of the model to start from, and its card where it has one, which must speak of it."""
    if start is None:
        return None
    network.refuse_foreign(start)
    digest, card_path = sha256_of(start), start.with_suffix(".json")
    card = read_card(card_path) if card_path.is_file() else None
    if card is not None and card.sha256.get(start.name) != digest:
        raise ModelError(
            "the model is not the one that its card speaks of: its SHA-256 differs",
            where=start,
            todo="The file was changed, or belongs to another card. Take both from where they were made.",
        )
    return f"{start.stem} ({digest})", card


def _identity(options: Options, pairs: Pairs, parent: tuple[str, ModelCard | None] | None) -> dict[str, Any]:
    """What must be the same for a stopped run to go on."""
    told = asdict(options)
    told["start"] = parent[0] if parent else None
    return {"options": told, "data": pairs.sha256, "xctrules": __version__}


# --- the state of a run ----------------------------------------------------------------------------------

Arrays = list[NDArray[np.generic]]


@dataclass
class _Run:
    """A model, its optimiser, and where the training stands."""

    model: Any
    optimizer: Any
    identity: dict[str, Any]
    best: Arrays
    epoch: int = 0
    stale: int = 0
    best_dice: float = -1.0
    minutes: float = 0.0
    log: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def fresh(cls, options: Options, identity: dict[str, Any]) -> _Run:
        import keras

        keras.utils.set_random_seed(options.seed)
        model = network.load(options.start) if options.start else network.build(options.channels or CHANNELS)
        return cls._of(model, identity)

    @classmethod
    def _of(cls, model: Any, identity: dict[str, Any]) -> _Run:
        import keras

        _freeze(model, identity["options"]["start"] is not None)
        optimizer = keras.optimizers.Adam(1e-3, clipnorm=1.0)
        optimizer.build(model.trainable_variables)
        return cls(model, optimizer, identity, model.get_weights())

    @classmethod
    def resumed(cls, out: Path, identity: dict[str, Any], replace: bool) -> _Run | None:
        """What a stopped run left, or ``None`` where there is nothing."""
        path = _beside(out, PROGRESS_SUFFIX)
        if replace or not path.exists():
            return None
        todo = "Name another --out, or start afresh with --replace."
        try:
            with np.load(path, allow_pickle=False) as held:
                state = json.loads(str(held["state"]))
                parts = {k: [held[f"{k}_{i}"] for i in range(state["counts"][k])] for k in state["counts"]}
        except Exception as error:  # a damaged archive can make numpy raise anything
            raise OutputError(
                "what a stopped training left here cannot be read", where=path, todo=todo
            ) from error
        if state["identity"] != json.loads(json.dumps(identity, default=str)):
            raise OutputError(
                f"a stopped training lies here that differs in {_differences(state['identity'], identity)}",
                where=path,
                todo=todo,
            )
        run = cls._of(_rebuilt(identity, parts["weights"]), identity)
        run.best = parts["best"]
        for variable, value in zip(run.optimizer.variables, parts["optimizer"], strict=True):
            variable.assign(value)
        run.epoch, run.stale, run.best_dice = state["epoch"], state["stale"], state["best_dice"]
        run.minutes, run.log = state["minutes"], state["log"]
        return run

    def save(self, out: Path) -> None:
        """Keep everything in one file, replaced in one go."""
        parts = {
            "weights": self.model.get_weights(),
            "best": self.best,
            "optimizer": [np.asarray(v) for v in self.optimizer.variables],
        }
        state = {
            "identity": self.identity,
            "counts": {name: len(values) for name, values in parts.items()},
            "epoch": self.epoch, "stale": self.stale, "best_dice": self.best_dice,
            "minutes": self.minutes, "log": self.log,
        }  # fmt: skip
        arrays = {f"{name}_{i}": value for name, values in parts.items() for i, value in enumerate(values)}
        buffer = io.BytesIO()
        np.savez(buffer, state=np.array(json.dumps(state, default=str)), **arrays)
        write_file(_beside(out, PROGRESS_SUFFIX), buffer.getvalue())
        write_file(_beside(out, ".csv"), _as_csv(self.log).encode())


def _rebuilt(identity: Mapping[str, Any], weights: Arrays) -> Any:
    """A network of the shape that the weights have, which for a fine-tuned one is the first model's."""
    model = network.build(int(weights[0].shape[-1]))
    if [w.shape for w in model.get_weights()] != [w.shape for w in weights]:
        raise OutputError(
            "the model that is fine-tuned is built in another way than this version builds it",
            where=identity["options"]["start"],
            todo="A stopped training of it cannot go on: start afresh with --replace.",
        )
    model.set_weights(weights)
    return model


def _differences(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    plain = json.loads(json.dumps(wanted, default=str))
    names = [name for name in ("data", "xctrules") if held.get(name) != plain[name]]
    old, new = held.get("options", {}), plain["options"]
    return ", ".join(names + [name for name in new if old.get(name) != new[name]]) or "its options"


def _freeze(model: Any, frozen: bool) -> None:
    """Fine-tuning keeps the running means: a few planes would only spoil them."""
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.trainable = not frozen


def _as_csv(log: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    if log:
        writer = csv.DictWriter(text, fieldnames=list(log[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(log)
    return text.getvalue()


# --- the work --------------------------------------------------------------------------------------------


def _fit(run: _Run, pairs: Pairs, options: Options, out: Path, progress: Progress, tell: Tell) -> None:
    assert options.epochs and options.crops and options.rate
    step = _step(run, options, class_weights(pairs.train))
    steps = max(1, math.ceil(options.crops / options.batch))
    sample = _thinned(pairs.validation, _SAMPLE)
    began, before = time.monotonic(), run.minutes
    if options.start is not None and not run.log:
        _score(run, sample, None)  # what fine-tuning starts from, and must be better than
    while run.epoch < options.epochs and run.stale < options.patience and _time_left(run, options):
        losses = []
        for i, (grey, labels) in enumerate(batches(pairs.train, options, run.epoch, steps)):
            run.minutes = before + (time.monotonic() - began) / 60
            done = (run.epoch * steps + i) / (options.epochs * steps)
            if options.minutes:
                done = max(done, min(run.minutes / options.minutes, 1.0))
            run.optimizer.learning_rate.assign(options.rate * schedule(done, options.warm_up))
            losses.append(float(step(grey, labels)))
            if not math.isfinite(losses[-1]):
                raise XctrulesError("the training has diverged", where="train", todo="Give a smaller --rate.")
            progress("training", run.epoch * steps + i + 1, options.epochs * steps)
            if not _time_left(run, options):
                break
        _end_epoch(run, sample, losses)
        run.minutes = before + (time.monotonic() - began) / 60
        run.log[-1]["minutes"] = round(run.minutes, 3)
        run.save(out)
        tell(_of_epoch(run, options.epochs))


def _of_epoch(run: _Run, epochs: int) -> str:
    row = run.log[-1]
    scores = ", ".join(f"{name} {score_text(row[f'dice_{name}'])}" for name in FOREGROUND)
    best = " (best so far)" if run.stale == 0 else ""
    return (
        f"epoch {run.epoch} of {epochs}, loss {row['loss']:.3f}, validation Dice {scores}{best}, "
        f"{run.minutes:.1f} min"
    )


def _time_left(run: _Run, options: Options) -> bool:
    return not options.minutes or run.minutes < options.minutes


def _end_epoch(run: _Run, sample: Sequence[PlaneSequence], losses: Sequence[float]) -> None:
    run.epoch += 1
    if _score(run, sample, float(np.mean(losses)), len(losses)):
        run.stale = 0
    else:
        run.stale += 1


def _score(run: _Run, sample: Sequence[PlaneSequence], loss: float | None, steps: int = 0) -> bool:
    """Validate and log; keep the weights where they are the best so far, and say whether they are."""
    dice = dice_by_class(run.model, sample)
    mean = mean_dice(dice)
    better = mean > run.best_dice
    if better:
        run.best_dice, run.best = mean, run.model.get_weights()
    run.log.append(
        {
            "epoch": run.epoch,
            "loss": None if loss is None else _number(loss),
            "dice": round(mean, 6),
            **{f"dice_{name}": _number(dice[name]) for name in FOREGROUND},
            "rate": _number(float(np.asarray(run.optimizer.learning_rate))) if steps else None,
            "crops": steps * run.identity["options"]["batch"],
            "minutes": round(run.minutes, 3),
        }
    )
    return better


def _number(value: float) -> float | None:
    """For a file: a class that is nowhere has no score."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def schedule(done: float, warm_up: float) -> float:
    """Learning rate as a share of the largest: a straight rise, then half a cosine down to a hundredth."""
    if done < warm_up:
        return max(done / warm_up, 0.02)
    turn = (done - warm_up) / (1 - warm_up)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(turn, 1.0)))


def class_weights(sequences: Sequence[PlaneSequence]) -> NDArray[np.float32]:
    """Weight of each class in the cross entropy: one over the root of its share, mean 1 over the pixels.

    Rare classes count for more, but less than in proportion: a foil of equal weight would be drawn too wide.
    """
    counts = np.zeros(len(LABELS))
    for sequence in sequences:
        counts += np.bincount(sequence.labels.ravel(), minlength=UNKNOWN + 1)[: len(LABELS)]
    share = np.maximum(counts / counts.sum(), 1e-3)
    weights = 1 / np.sqrt(share)
    weights *= counts.sum() / (weights * counts).sum()
    return np.asarray(weights, dtype=np.float32)


def _step(run: _Run, options: Options, weights: NDArray[np.float32]) -> Callable[..., Any]:
    """One step of the optimiser, compiled."""
    tf = network.tensorflow()
    classes = len(LABELS)

    @tf.function(  # type: ignore[untyped-decorator, unused-ignore]
        input_signature=(
            tf.TensorSpec((options.batch, ROWS, CROP_WIDTH, 1), tf.float32),
            tf.TensorSpec((options.batch, ROWS, CROP_WIDTH), tf.uint8),
        )
    )
    def step(grey: Any, labels: Any) -> Any:
        known = tf.cast(labels != UNKNOWN, tf.float32)
        truth = tf.one_hot(tf.cast(labels, tf.int32), classes)  # all zero where unknown
        with tf.GradientTape() as tape:
            probability = run.model(grey, training=True)
            loss = 0.0
            if options.loss in ("both", "ce"):
                picked = tf.reduce_sum(truth * tf.math.log(probability + 1e-7) * weights, axis=-1)
                loss -= tf.reduce_sum(picked) / (tf.reduce_sum(known) + 1.0)
            if options.loss in ("both", "dice"):
                guess = probability * known[..., None]
                overlap = tf.reduce_sum(truth * guess, axis=(0, 1, 2))
                size = tf.reduce_sum(truth + guess, axis=(0, 1, 2))
                # One pixel row is added to both: a class that is absent should cost nothing much.
                loss += 1.0 - tf.reduce_mean((2 * overlap + 100.0) / (size + 100.0))
        variables = run.model.trainable_variables
        run.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    compiled: Callable[..., Any] = step
    return compiled


def batches(
    sequences: Sequence[PlaneSequence], options: Options, epoch: int, steps: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
    """Varied crops, made in a thread while the step before is taken."""
    every = [(sequence, index) for sequence in sequences for index in range(len(sequence))]
    need = steps * options.batch
    order = np.random.default_rng((options.seed, epoch))
    rounds = [order.permutation(len(every)) for _ in range(-(-need // len(every)))]
    chosen = np.concatenate(rounds)[:need]
    ready: queue.Queue[Any] = queue.Queue(maxsize=4)
    stop = threading.Event()

    def make(number: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        sequence, index = every[chosen[number]]
        rng = np.random.default_rng((options.seed, epoch, number))
        return vary(sequence.grey[index], sequence.labels[index], options.augmentation, rng)

    def work() -> None:
        try:
            for first in range(0, need, options.batch):
                made = [make(number) for number in range(first, first + options.batch)]
                batch = np.stack([m[0] for m in made])[..., None], np.stack([m[1] for m in made])
                while not stop.is_set():
                    try:
                        ready.put(batch, timeout=0.2)
                        break
                    except queue.Full:
                        continue
                if stop.is_set():
                    return
        except BaseException as error:  # goes on in the thread that waits
            ready.put(error)

    thread = threading.Thread(target=work, name="augmentation", daemon=True)
    thread.start()
    try:
        for _ in range(steps):
            batch = ready.get()
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        stop.set()
        thread.join()


def _thinned(sequences: Sequence[PlaneSequence], most: int) -> list[PlaneSequence]:
    """Every k-th plane, so that no more than about ``most`` are left, and one of each sequence at least."""
    every = max(1, -(-sum(map(len, sequences)) // most))
    return [s.take(np.arange(0, len(s), every)) for s in sequences]


# --- after -----------------------------------------------------------------------------------------------


def _finish(
    run: _Run,
    pairs: Pairs,
    options: Options,
    about: About,
    out: Path,
    parent: tuple[str, ModelCard | None] | None,
) -> Trained:
    run.model.set_weights(run.best)
    _freeze(run.model, False)
    network.settle(run.model)
    data = to_tflite(run.model)
    sample = _thinned(pairs.validation, 8)
    agreement = max(disagreement(run.model, data, s.grey) for s in sample)
    if not agreement <= AGREEMENT:
        raise ModelError(
            f"the exported model differs from the trained one by {agreement:.2g} in probability",
            where=out,
            todo="Its weights are too large for 16 bits: train with a smaller --rate.",
        )
    looked = [(s, *counts_by_plane(run.model, s)) for s in pairs.validation]
    scores = dice_of(np.asarray(sum(counts.sum(axis=0) for _, counts, _ in looked)))
    dice = {name: float(scores[value]) for name, value in LABELS.items()}
    crops_seen = sum(row["crops"] for row in run.log)
    speed = crops_seen / max(60 * run.minutes, 1e-9)
    card = _card(run, pairs, options, about, out, parent, dice, agreement)
    page = draw(card, run.log, looked)
    with tempfile.TemporaryDirectory(prefix="xctrules-train-") as name:
        made = Path(name) / out.name
        with network.quiet():
            run.model.save(_beside(made, ".keras"))
        _beside(made, ".tflite").write_bytes(data)
        write_card(card, made.parent)
        _beside(made, ".html").write_text(page, encoding="utf-8")
        card = read_card(_beside(made, ".json"))
        # The card last: without it nothing is used.
        suffixes = (".keras", ".tflite", ".html", ".json")
        write_files({_beside(out, suffix): _beside(made, suffix).read_bytes() for suffix in suffixes})
    _beside(out, PROGRESS_SUFFIX).unlink(missing_ok=True)
    return Trained(out, card, tuple(run.log), dice, agreement, speed)


def _before(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"dice_before": {name: row[f"dice_{name}"] for name in FOREGROUND}}


def _common_error(parent: ModelCard | None) -> CommonError:
    """Of a model that was not evaluated: its parent's, if that was."""
    if parent is None or parent.common_error == ASSUMED_ERROR:
        return ASSUMED_ERROR
    before = parent.common_error
    return CommonError(
        sigma_mm=before.sigma_mm, source=f"not evaluated; taken over from {parent.name}: {before.source}"
    )


def _card(
    run: _Run,
    pairs: Pairs,
    options: Options,
    about: About,
    out: Path,
    parent: tuple[str, ModelCard | None] | None,
    dice: Mapping[str, float],
    agreement: float,
) -> ModelCard:
    import keras
    import tensorflow as tf

    elsewhere = {"start", "seed"} | ({"channels"} if options.start else set())  # a parent's size is its own
    told = {name: value for name, value in asdict(options).items() if name not in elsewhere}
    words = f"{about.data.rstrip('.')}. " if about.data else ""
    scope = about.scope or (parent[1].scope if parent and parent[1] else DEFAULT_SCOPE)
    return ModelCard(
        schema=SCHEMA,
        name=out.name,
        title=about.title,
        version=about.version,
        training=Training(
            data=f"{words}{counted(pairs.planes, 'plane')} to train on and "
            f"{pairs.validation_planes} to validate on, {pairs.split}; sha256 of the data {pairs.sha256}.",
            seed=options.seed,
            planes=pairs.planes,
            started_from=parent[0] if parent else None,
            options=told,
        ),
        scores={
            "validation": {
                "planes": pairs.validation_planes,
                "dice": {name: _number(value) for name, value in dice.items()},
                **(_before(run.log[0]) if options.start else {}),
                "epochs": run.epoch,
                "minutes": round(run.minutes, 1),
            },
            "export": {"largest_difference_in_probability": float(f"{agreement:.2g}"), "allowed": AGREEMENT},
        },
        scope=scope,
        common_error=_common_error(parent[1] if parent else None),
        licence=about.licence,
        versions={
            "xctrules": __version__, "keras": keras.__version__, "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
    )  # fmt: skip
