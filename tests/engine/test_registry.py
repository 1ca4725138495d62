"""Plugins: found through entry points and folders, and isolated from one another whatever one does."""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path
from typing import Any

import pytest

from xctrules.core import hookspecs
from xctrules.core.errors import PluginError
from xctrules.engine.loading import HOOKS
from xctrules.engine.registry import Registry, load_plugins

BUNDLED = ("segmentation", "overhang", "canister", "winding", "contamination")

METRIC = """
from xctrules import hookimpl
from xctrules import Measurement, MetricResult

class Metric:
    name = "{name}"
    title = "{name}"
    declares = {{"{measurement}": "mm"}}

    def measure(self, cell):
        return MetricResult([Measurement("{measurement}", "mm", value=1.0)])

@hookimpl
def xctrules_metrics():
    return [Metric()]
"""


def good(name: str = "good", measurement: str = "good.length") -> str:
    return METRIC.format(name=name, measurement=measurement)


def install(folder: Path, plugin: str, module: str, source: str, version: str = "2.5") -> None:
    """What pip leaves behind: a module and the metadata with its entry point."""
    folder.mkdir(exist_ok=True)
    (folder / f"{module}.py").write_text(textwrap.dedent(source))
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[xctrules]\n{plugin} = {module}\n")


def loaded(**options: Any) -> Registry:
    """All that plugins provide; then their processes are not needed any more."""
    with load_plugins(**options) as registry:
        registry.collect()
    return registry


def in_folder(folder: Path, **modules: str) -> Registry:
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source))
    return loaded(plugins_dir=folder)


def plugin(registry: Registry, name: str):
    return next(p for p in registry.plugins if p.name == name)


def problems(registry: Registry, name: str) -> str:
    return "\n".join(p.message for p in registry.problems if p.plugin == name)


def test_bundled_plugins_come_through_entry_points_and_are_sound() -> None:
    registry = load_plugins(third_party=False)
    registry.collect()
    names = [p.name for p in registry.plugins]
    assert set(BUNDLED) <= set(names)
    for name in BUNDLED:
        info = plugin(registry, name)
        assert info.source == "bundled" and info.load_error is None and info.version
        assert not info.problems
        assert info.hooks
    assert [p.value.name for p in registry.segmenters].count("classical") == 1


def test_entry_point_of_another_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path / "site", "my-good", "my_good_plugin", good())
    monkeypatch.syspath_prepend(tmp_path / "site")
    registry = loaded()
    info = plugin(registry, "my-good")
    assert (info.source, info.version) == ("entry point", "2.5")
    assert info.measurements == ("good.length",)
    digest = hashlib.sha256((tmp_path / "site" / "my_good_plugin.py").read_bytes()).hexdigest()
    expected = hashlib.sha256(f"{digest}  my_good_plugin.py\n".encode()).hexdigest()
    assert info.sha256 == expected
    assert "my-good" not in [p.name for p in load_plugins(third_party=False).plugins]


@pytest.mark.parametrize(
    "source", ["import no_such_module_anywhere", "1 / 0", "raise SystemExit(3)", "def broken(:"]
)
def test_plugin_that_cannot_be_imported_is_named_and_the_rest_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    module = f"broken_{hashlib.sha256(source.encode()).hexdigest()[:8]}"
    install(tmp_path / "site", "broken", module, source)
    monkeypatch.syspath_prepend(tmp_path / "site")
    registry = loaded()
    info = plugin(registry, "broken")
    assert info.load_error and "could not be imported" in info.load_error
    assert info.sha256
    assert registry.not_loaded == ("broken",)
    assert any(p.plugin == "broken" and p.traceback for p in registry.problems)
    assert {"canister", "overhang"} <= {p.plugin for p in registry.metrics}


def test_folder_with_module_and_package(tmp_path: Path) -> None:
    package = tmp_path / "packed"
    package.mkdir()
    (package / "__init__.py").write_text("from .inner import xctrules_metrics\n__version__ = '7'\n")
    (package / "inner.py").write_text(good("packed", "packed.length"))
    (tmp_path / "_private.py").write_text("raise RuntimeError('not a plugin')")
    (tmp_path / "notes.txt").write_text("not a plugin either")
    registry = in_folder(tmp_path, single=good("single", "single.length"))
    assert plugin(registry, "packed").version == "7"
    assert plugin(registry, "packed").measurements == ("packed.length",)
    assert plugin(registry, "single").measurements == ("single.length",)
    assert [p.name for p in registry.plugins if p.source == "folder"] == ["packed", "single"]
    assert not registry.not_loaded


def test_folder_is_read_anew_each_time(tmp_path: Path) -> None:
    first = in_folder(tmp_path, mine=good("mine", "mine.first"))
    second = in_folder(tmp_path, mine=good("mine", "mine.second_one"))
    assert plugin(first, "mine").measurements == ("mine.first",)
    assert plugin(second, "mine").measurements == ("mine.second_one",)
    assert plugin(first, "mine").sha256 != plugin(second, "mine").sha256


def test_folder_cannot_shadow_an_installed_module(tmp_path: Path) -> None:
    import json

    in_folder(tmp_path, json=good("json", "json.length"))
    import json as again

    assert again is json and hasattr(again, "loads")


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no folder"):
        load_plugins(plugins_dir=tmp_path / "nowhere")


def test_third_party_switch_leaves_the_folder_out(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(good())
    assert "mine" not in [p.name for p in load_plugins(plugins_dir=tmp_path, third_party=False).plugins]


@pytest.mark.parametrize("mark", ["@hookimpl\n", ""])
@pytest.mark.parametrize("name", ["xctrules_metric", "xctrules_metrcis"])
def test_misspelt_hook_is_named_with_the_nearest(tmp_path: Path, name: str, mark: str) -> None:
    source = f"from xctrules.core.hookspecs import hookimpl\n{mark}def {name}():\n    return []\n"
    registry = in_folder(tmp_path, typo=source, fine=good())
    assert name in problems(registry, "typo") and "xctrules_metrics" in problems(registry, "typo")
    assert plugin(registry, "fine").measurements == ("good.length",)


def test_hook_without_its_mark_is_named(tmp_path: Path) -> None:
    registry = in_folder(tmp_path, bare="def xctrules_metrics():\n    return []\n")
    assert "@hookimpl" in problems(registry, "bare")


def test_every_misspelt_hook_is_named_not_only_the_first(tmp_path: Path) -> None:
    source = """
    from xctrules import hookimpl
    @hookimpl
    def xctrules_metrix(): return []
    @hookimpl
    def xctrules_screenz(): return []
    """
    text = problems(in_folder(tmp_path, two=source), "two")
    assert "xctrules_metrix" in text and "xctrules_screenz" in text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('boom')", "ValueError: boom"),
        ("raise SystemExit('bye')", "SystemExit"),
        ("return None", "must return a list"),
        ("return 'metric'", "must return a list"),
        ("return 3", "must return a list"),
        ("return [3]", "has no name"),
        ("return [Metric]", "is a class"),
        ("return [Metric(name='')]", "has no name"),
        ("return [Metric(measure=None)]", "has no method measure"),
        ("return [Metric(declares={})]", "declares no measurements"),
        ("return [Metric(declares={'Length': 'mm'})]", "no measurement's name"),
        ("return [Metric(declares={'a.b': ''})]", "without a unit"),
        ("return (m for m in [1 / 0])", "ZeroDivisionError"),
    ],
)
def test_hook_that_breaks_the_rules_costs_only_itself(tmp_path: Path, body: str, said: str) -> None:
    source = f"""
    from types import SimpleNamespace
    from xctrules import hookimpl

    class Metric(SimpleNamespace):
        def __init__(self, **given):
            whole = dict(name='m', title='M', declares={{'m.length': 'mm'}}, measure=print)
            super().__init__(**whole | given)

    @hookimpl
    def xctrules_metrics():
        {body}
    """
    registry = in_folder(tmp_path, bad=source, fine=good())
    assert said in problems(registry, "bad")
    assert plugin(registry, "bad").measurements == ()
    assert plugin(registry, "fine").measurements == ("good.length",)


def test_wrong_arguments_of_a_hook(tmp_path: Path) -> None:
    source = """
    from xctrules import hookimpl
    @hookimpl
    def xctrules_metrics(scan): return []
    """
    registry = in_folder(tmp_path, bad=source, fine=good())
    assert "could not be registered" in (plugin(registry, "bad").load_error or "")
    assert plugin(registry, "fine").measurements == ("good.length",)


def test_the_later_of_two_equal_names_is_left_out(tmp_path: Path) -> None:
    registry = in_folder(
        tmp_path,
        a=good("same", "a.length"),
        b=good("same", "b.length"),
        c=good("other", "a.length"),
        d=good("thief", "canister.outer_diameter"),
    )
    assert plugin(registry, "a").measurements == ("a.length",)
    for name, holder in (("b", "plugin a"), ("c", "plugin a"), ("d", "plugin canister")):
        assert plugin(registry, name).measurements == ()
        assert holder in problems(registry, name)


def test_two_runs_share_nothing(tmp_path: Path) -> None:
    with_folder = in_folder(tmp_path, mine=good())
    without = loaded()
    assert "mine" in [p.name for p in with_folder.plugins]
    assert "mine" not in [p.name for p in without.plugins]


def test_every_hook_says_when_it_is_called() -> None:
    assert HOOKS
    for name in HOOKS:
        assert "Called " in (getattr(hookspecs, name).__doc__ or ""), name
