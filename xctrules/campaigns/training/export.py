"""The file that measures: LiteRT with weights of 16 bits, checked against the model that it was made from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.campaigns.training import network
from xctrules.core.errors import ModelError
from xctrules.cylinder.litert import probabilities_of


def to_tflite(model: Any) -> bytes:
    """Convert a Keras model; number and width of planes stay open (``resize_tensor_input``).

    Raises
    ------
    ModelError
        When TensorFlow cannot convert it.
    """
    tf = network.tensorflow()
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    try:
        with network.quiet():
            data: bytes = converter.convert()
    except Exception as error:  # the converter raises types of its own, and of its C++ parts
        raise ModelError(
            f"the model cannot be exported ({type(error).__name__})", todo="Train it anew."
        ) from error
    return data


def disagreement(model: Any, data: bytes, grey: NDArray[np.float32]) -> float:
    """Largest difference in probability between a model and its exported form on some planes."""
    expected = np.asarray(model(grey[..., None], training=False))
    return float(np.abs(expected - probabilities_of(data, grey)).max())
