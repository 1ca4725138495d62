"""The file that measures: LiteRT with weights of 16 bits, checked against the model that it was made from."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xctrules.errors import ModelError
from xctrules.training import network

THREADS = 2


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


def run_tflite(data: bytes, grey: NDArray[np.float32], *, threads: int = THREADS) -> NDArray[np.float32]:
    """Probabilities (n, h, w, classes) of planes (n, h, w), as LiteRT computes them."""
    with network.quiet():
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_content=data, num_threads=threads)
        put, get = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
        interpreter.resize_tensor_input(put, (*grey.shape, 1))
        interpreter.allocate_tensors()
        interpreter.set_tensor(put, np.ascontiguousarray(grey[..., None]))
        interpreter.invoke()
        found: NDArray[np.float32] = interpreter.get_tensor(get)
    return found


def disagreement(model: Any, data: bytes, grey: NDArray[np.float32]) -> float:
    """Largest difference in probability between a model and its exported form on some planes."""
    expected = np.asarray(model(grey[..., None], training=False))
    return float(np.abs(expected - run_tflite(data, grey)).max())
