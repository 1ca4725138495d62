"""The toy geometry's package, and a scan of a box with plates."""

from __future__ import annotations

from pathlib import Path

import pytest

from xctrules.engine.registry import load_plugins

PLUGINS = Path(__file__).parent / "plugins"


@pytest.fixture(scope="session")
def plugins_dir() -> Path:
    """The folder with the package ``xctrules_box``, which measures boxes with plates in them."""
    return PLUGINS


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Boxes that the package drew, through its hook: ``whole``, and ``left`` and ``right`` sides alone."""
    folder = tmp_path_factory.mktemp("boxes")
    with load_plugins(plugins_dir=PLUGINS) as registry:
        sources = registry.phantom_sources
        (boxes,) = (provided.value for provided in sources if provided.value.geometry == "box")
        for view in ("whole", "left", "right"):
            boxes.draw("box", {"view": view, "tilt": 2.0}).write(folder / view)
    return folder
