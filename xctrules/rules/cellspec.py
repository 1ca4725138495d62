"""Cell-format specs: found by name or path, and resolved into a :class:`CellSpec`.

A spec says what a format is (nominal dimensions) and what is accepted (rules: a measurement against limits).
A spec may extend another one; ``CellSpec.resolved`` holds both merged, as plain JSON, and is all that
:mod:`xctrules.rules.judging` needs to judge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xctrules.core.cell import Tabs
from xctrules.core.errors import SpecError
from xctrules.core.shipped import shipped_folder
from xctrules.core.wording import did_you_mean
from xctrules.rules.merging import FindStudy, Known, merged
from xctrules.rules.spec_file import BudgetEntry, Document, Source, read_document
from xctrules.rules.study_files import Study, read_study, study_from_json

FindParent = Callable[[str, Source, str], Source]

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class SpecText:
    """The text of one spec file, as read: what a record embeds."""

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()


@dataclass(frozen=True)
class CellSpec:
    """A spec with its parents merged in.

    Attributes
    ----------
    resolved
        Plain JSON: ``name``, ``version``, ``title``, ``geometry``, ``scope``, ``segmenter``,
        ``decision_rule``, ``includes_sleeve``, ``nominal``, and ``rules``, each with ``min`` and ``max`` as
        ``{value, source, status, at}`` or ``None``. Where the spec names studies, also ``budgets``, each with
        ``measurement``, ``bias``, ``at``, ``file`` and the content of its ``study``.
    text, file
        The spec's own text and the name of its file.
    parents
        Texts of the specs that it extends, nearest first.
    path
        The file that it was read from; ``None`` for a spec that was parsed from text.
    """

    resolved: Mapping[str, Any]
    text: str
    file: str
    parents: tuple[SpecText, ...] = ()
    path: Path | None = None

    @property
    def name(self) -> str:
        return str(self.resolved["name"])

    @property
    def version(self) -> str:
        return str(self.resolved["version"])

    @property
    def title(self) -> str:
        return str(self.resolved["title"])

    @property
    def geometry(self) -> str:
        return str(self.resolved["geometry"])

    @property
    def scope(self) -> str:
        return str(self.resolved["scope"])

    @property
    def segmenter(self) -> str | None:
        """Name of the segmenter to use, ``NAME:MODEL`` with a model; the geometry's own where ``None``."""
        named: str | None = self.resolved["segmenter"]
        return named

    @property
    def rules(self) -> Sequence[Mapping[str, Any]]:
        rules: Sequence[Mapping[str, Any]] = self.resolved["rules"]
        return rules

    @property
    def budgets(self) -> Sequence[Mapping[str, Any]]:
        """Studies that take the place of measurements' own budgets; mostly there are none."""
        budgets: Sequence[Mapping[str, Any]] = self.resolved.get("budgets", ())
        return budgets

    @property
    def tabs(self) -> Tabs:
        """Tabs that may hide electrode edges at an end."""
        return Tabs(**self.resolved["tabs"]) if "tabs" in self.resolved else Tabs()

    @property
    def nominal_mm(self) -> dict[str, float]:
        """Nominal dimensions that are lengths, in mm."""
        return {key: e["value"] for key, e in self.resolved["nominal"].items() if e["unit"] == "mm"}

    @property
    def sha256(self) -> str:
        """SHA-256 of the spec's own file."""
        return SpecText(self.file, self.text).sha256


@dataclass(frozen=True)
class ListedSpec:
    """A spec that can be asked for by name; ``error`` says why it cannot be used."""

    name: str
    path: Path
    title: str
    version: str
    bundled: bool
    error: str | None = None


def bundled_folder() -> Path:
    """Folder of the bundled specs: inside the installed package, or beside it in a checkout."""
    return shipped_folder("specs")


def list_specs(folders: Iterable[Path] = ()) -> list[ListedSpec]:
    """All specs that can be asked for by name: the bundled ones, then those in plugins' ``folders``.

    A bundled name cannot be taken over by a plugin. A file that cannot be read is listed with its error.
    """
    found: dict[str, ListedSpec] = {}
    for folder in (bundled_folder(), *folders):
        bundled = folder == bundled_folder()
        for path in _spec_files(folder):
            if path.stem in found:
                continue
            try:
                own = read_document(Source.read(path)).entry
                found[path.stem] = ListedSpec(path.stem, path, own.title or own.name, own.version, bundled)
            except SpecError as error:
                found[path.stem] = ListedSpec(path.stem, path, "", "", bundled, str(error))
    return list(found.values())


def load_spec(
    name_or_path: str | Path,
    *,
    folders: Iterable[Path] = (),
    known: Mapping[str, str] | None = None,
    open_ended: bool = False,
) -> CellSpec:
    """Read a spec by name (``21700``) or by path (``my/21700.yaml``), with all that it extends.

    Parameters
    ----------
    folders
        Spec folders that plugins bring along, searched after the bundled one.
    known
        Measurements that the loaded plugins declare, name to unit. Without it any measurement may be asked
        for, in any unit: whether somebody measures it shows in the inspection.
    open_ended
        Whether ``known`` may be incomplete because a plugin could not be loaded. A measurement whose first
        word no known one has is then taken to be that plugin's.

    Raises
    ------
    SpecError
        With ``file:line`` of whatever is wrong.
    """
    searched = tuple(folders)
    start = _locate(str(name_or_path), None, searched, where=None)
    source = Source.read(start)

    def parent(reference: str, child: Source, where: str) -> Source:
        base = child.path.parent if child.path is not None else None
        return Source.read(_locate(reference, base, searched, where=where))

    return _resolve(source, parent, _study_beside, Known.of(known, open_ended))


def parse_spec(
    text: str,
    *,
    file: str = "spec.yaml",
    parents: Sequence[SpecText] = (),
    known: Mapping[str, str] | None = None,
    open_ended: bool = False,
    studies: Mapping[str, Any] | None = None,
) -> CellSpec:
    """Resolve a spec from its text and its parents' texts (nearest first), as a record embeds them.

    ``studies`` holds the contents of the studies that it names, by measurement.
    """
    remaining = iter(parents)

    def parent(reference: str, child: Source, where: str) -> Source:
        try:
            found = next(remaining)
        except StopIteration:
            raise SpecError(
                f"the text of the spec {reference!r} that it extends is missing", where=where
            ) from None
        return Source(found.text, found.name, found.name, None)

    def study(entry: BudgetEntry, source: Source, where: str) -> Study:
        if entry.measurement not in (studies or {}):
            raise SpecError(f"the content of the study {entry.study} is missing", where=where)
        return study_from_json((studies or {})[entry.measurement], where)

    own = Source(text, file, file, None)
    return _resolve(own, parent, study, Known.of(known, open_ended))


def _resolve(source: Source, parent: FindParent, study: FindStudy, known: Known) -> CellSpec:
    chain = _chain(source, parent)
    texts = tuple(SpecText(document.source.file, document.source.text) for document in chain[1:])
    return CellSpec(merged(chain, study, known), source.text, source.file, texts, source.path)


def _chain(source: Source, parent: FindParent) -> list[Document]:
    """A spec's file and those that it extends, nearest first."""
    chain = [read_document(source)]
    while (reference := chain[-1].entry.extends) is not None:
        where = chain[-1].where("extends")
        found = parent(reference, chain[-1].source, where)
        if any(found.is_same_as(document.source) for document in chain):
            raise SpecError(
                f"extending {reference!r} leads back to {found.file}", where=where, todo="Break the circle."
            )
        chain.append(read_document(found))
    return chain


def _locate(reference: str, base: Path | None, folders: Sequence[Path], *, where: str | None) -> Path:
    """The file meant by a name or path; a path in ``extends`` is relative to the file that says so."""
    if reference.endswith(_SUFFIXES) or "/" in reference or "\\" in reference:
        path = Path(reference).expanduser()
        path = base / path if base is not None else path
        if path.is_file():
            return path
        raise SpecError(
            f"there is no spec file {reference}",
            where=where,
            todo="Check the path, or see `xctrules specs list` for the specs known by name.",
        )
    by_name: dict[str, Path] = {}
    for folder in (bundled_folder(), *folders):
        for path in _spec_files(folder):
            by_name.setdefault(path.stem, path)
    if reference in by_name:
        return by_name[reference]
    near = did_you_mean(reference, by_name)
    raise SpecError(
        f"there is no spec named {reference!r}{near}",
        where=where,
        todo=f"Known specs: {', '.join(by_name) or 'none'}. For a file of your own, give its path.",
    )


def _spec_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and path.is_file())


def _study_beside(entry: BudgetEntry, source: Source, where: str) -> Study:
    """Read a study whose path is relative to the spec file that names it."""
    path = (source.path.parent if source.path is not None else Path()) / Path(entry.study).expanduser()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SpecError(
            f"the study {entry.study} cannot be read ({error.strerror or error})",
            where=where,
            todo="Its path is relative to the spec file.",
        ) from error
    return read_study(data, path)
