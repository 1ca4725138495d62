"""Tables of single values."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from xctrules.core.figures import Samples
from xctrules.records.samples import samples_csv


def test_samples_are_plain_csv():
    data = samples_csv(
        Samples("s", {"turn": np.arange(2), "end": np.array(["top", 'a,"b']), "z": [0.1, np.nan]})
    )
    rows = list(csv.reader(data.decode().splitlines()))
    assert rows == [["turn", "end", "z"], ["0", "top", "0.1"], ["1", 'a,"b', ""]]
    with pytest.raises(ValueError, match="length"):
        samples_csv(Samples("s", {"a": np.arange(2), "b": np.arange(3)}))
