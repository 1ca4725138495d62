"""The network: a small two-dimensional U-Net of stock Keras layers, and its safe loading.

After Ronneberger, Fischer and Brox, U-Net (2015, doi:10.1007/978-3-319-24574-4_28), with zero-padded
convolutions and batch normalisation. Being fully convolutional, it takes any number of planes of any width
that is a multiple of eight.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xctrules.core.errors import ModelError, XctrulesError
from xctrules.core.redirection import redirected
from xctrules.cylinder.surfaces import LABELS

HALVINGS = 3
MULTIPLE = 2**HALVINGS
"""Rows and columns of a plane must be whole multiples of this."""

LAYERS = frozenset(
    {"Activation", "BatchNormalization", "Concatenate", "Conv2D", "Conv2DTranspose", "InputLayer",
     "MaxPooling2D", "ReLU", "UpSampling2D"}
)  # fmt: skip
"""The layers that a model may consist of. None of them holds code of its own."""

_OTHER_CLASSES = frozenset(
    {"Functional", "__tuple__", "__keras_tensor__", "DTypePolicy", "Zeros", "Ones", "GlorotUniform",
     "HeNormal", "slice"}
)  # fmt: skip

_MOST_BYTES = 100_000_000
_MOMENTUM = 0.95
"""Of batch normalisation's running means. Keras' own 0.99 lags behind in a training of some hundred steps."""


def tensorflow() -> Any:
    """TensorFlow, imported without its chatter.

    Raises
    ------
    XctrulesError
        Where it is not installed.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    try:
        with quiet():
            import tensorflow as tf
    except ImportError as error:
        raise XctrulesError(
            "training needs TensorFlow, which is not installed",
            where="train",
            todo='Install it with: python -m pip install "xctrules[train]"',
        ) from error
    import logging

    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    return tf


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what TensorFlow's C++ parts write away from the terminal.

    Its log lines bypass Python, so the file descriptors themselves are turned away for the while.
    """
    with redirected([1, 2]):
        yield


def build(channels: int = 8) -> Any:
    """An untrained ``keras.Model``: (n, h, w, 1) grey to (n, h, w, classes) probabilities.

    Parameters
    ----------
    channels
        Of the first level; they double with each halving. Time grows with their square.
    """
    tensorflow()
    import keras
    from keras import layers

    def convolve(x: Any, width: int) -> Any:
        for _ in range(2):
            x = layers.Conv2D(width, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
            x = layers.BatchNormalization(momentum=_MOMENTUM)(x)
            x = layers.ReLU()(x)
        return x

    inputs = layers.Input((None, None, 1), name="planes")
    x, skips = inputs, []
    for level in range(HALVINGS):
        x = convolve(x, channels * 2**level)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = convolve(x, channels * 2**HALVINGS)
    for level in reversed(range(HALVINGS)):
        x = layers.Conv2DTranspose(channels * 2**level, 2, strides=2)(x)
        x = convolve(layers.Concatenate()([skips[level], x]), channels * 2**level)
    outputs = layers.Conv2D(len(LABELS), 1, activation="softmax", name="classes")(x)
    return keras.Model(inputs, outputs, name="overhang_unet")


def settle(model: Any) -> None:
    """Round the weights to what 16 bits hold, batch normalisation folded into them as an export folds it.

    The model's answers stay as they were but for the rounding, and its exported form then gives the same
    ones: each kernel becomes the folded one, and its batch normalisation a mere shift.
    """
    import numpy as np

    for layer, following in zip(model.layers, [*model.layers[1:], None], strict=True):
        if type(layer).__name__ not in ("Conv2D", "Conv2DTranspose"):
            continue
        weights = layer.get_weights()
        if type(following).__name__ == "BatchNormalization":
            gamma, beta, mean, variance = (w.astype(np.float64) for w in following.get_weights())
            spread = np.sqrt(variance + following.epsilon)
            shift = _half(beta - mean * gamma / spread)
            weights[0] = weights[0] * (gamma / spread)  # the last axis is the output's, as gamma's
            following.set_weights([spread, shift, np.zeros_like(mean), variance])
        layer.set_weights([_half(w) for w in weights])


def _half(values: Any) -> Any:
    return values.astype("float16").astype("float32")


def load(path: Path) -> Any:
    """Read a ``.keras`` file of stock layers; nothing in it can run code.

    Raises
    ------
    ModelError
        When the file is no such model: of another kind, with a Lambda or unknown layer, or other classes.
    """
    refuse_foreign(path)
    tensorflow()
    import keras

    try:
        with quiet():
            model = keras.models.load_model(path, safe_mode=True, compile=False)
    except Exception as error:  # Keras raises whatever the damaged part makes it raise
        raise ModelError(
            f"the model cannot be loaded ({type(error).__name__})", where=path, todo="Is the file complete?"
        ) from error
    classes, sizes = len(LABELS), (tuple(model.input_shape), tuple(model.output_shape))
    if sizes != ((None, None, None, 1), (None, None, None, classes)):
        raise ModelError(
            f"the model is no segmenter of planes into {classes} classes",
            where=path,
            todo="Start from a model that `xctrules train` has made, or without --from.",
        )
    return model


def refuse_foreign(path: Path) -> None:
    """Look through the configuration before Keras does."""
    todo = "Start from a .keras file that `xctrules train` has made."
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
                raise ModelError("the model is far too large to be one of ours", where=path, todo=todo)
            config = json.loads(archive.read("config.json"))
    except FileNotFoundError:
        raise ModelError("there is no such model", where=path, todo="Check the path.") from None
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise ModelError("this is no Keras model (.keras)", where=path, todo=todo) from error
    for name, module, registered in _classes(config):
        stock = module is None or str(module).split(".")[0] in ("keras", "builtins")
        if name not in LAYERS | _OTHER_CLASSES or not stock or registered not in (None, name):
            what = "a Lambda layer, which can run any code," if name == "Lambda" else f"“{name}”"
            raise ModelError(f"the model holds {what} and is not loaded", where=path, todo=todo)


def _classes(config: Any) -> Iterator[tuple[str, Any, Any]]:
    """Name, module and registered name of every object that a configuration would make."""
    if isinstance(config, Mapping):
        if "class_name" in config:
            yield str(config["class_name"]), config.get("module"), config.get("registered_name")
        for value in config.values():
            yield from _classes(value)
    elif isinstance(config, list):
        for value in config:
            yield from _classes(value)
