"""What all commands share: how they speak, how they end, and the options that mean the same in each.

Results go to stdout; progress, warnings and errors to stderr.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TextIO

import typer

from xctrules.core.errors import XctrulesError
from xctrules.core.progress import Progress, silent
from xctrules.core.redirection import redirected
from xctrules.core.version import __version__

if TYPE_CHECKING:
    from xctrules.engine.registry import Registry

# --- how a command ends ------------------------------------------------------------------------------------

FINE, DOES_NOT_HOLD, UNUSABLE, NO_DECISION, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes. Those of verdicts are in :data:`xctrules.rules.deciding.EXIT_CODES`."""

VERDICT_CODES = """\b
Exit codes: 0 PASS or CONDITIONAL_PASS; 1 FAIL or CONDITIONAL_FAIL;
2 wrong usage, or a spec or scan that cannot be read;
3 no decision: INCOMPLETE or SCAN_REJECTED."""

DEBUG = "XCTRULES_DEBUG"
"""Environment variable that shows an unexpected error's traceback in place of its message."""

P = ParamSpec("P")


def command(function: Callable[P, int]) -> Callable[P, None]:
    """End the command with the exit code that ``function`` returns, and never with a traceback."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = function(*args, **kwargs)
        except XctrulesError as error:
            complain(str(error))
            code = UNUSABLE
        except KeyboardInterrupt:
            complain("interrupted")
            code = INTERRUPTED
        except BrokenPipeError:
            silence(sys.stdout)
            code = UNUSABLE
        except MemoryError:
            complain("there is not enough memory for this. Crop the scan, or save it with 8 bits")
            code = UNUSABLE
        except Exception as error:
            if os.environ.get(DEBUG):
                raise
            what = " ".join(f"{type(error).__name__}: {error}".split())
            complain(
                f"something went wrong inside xctrules {__version__} ({what}). "
                f"Please report it with the output of the same command under {DEBUG}=1"
            )
            code = UNUSABLE
        raise typer.Exit(code)

    run.__annotations__["return"] = None
    return run


def group(help: str, epilog: str | None = None) -> typer.Typer:
    """A command that only has commands of its own."""
    return typer.Typer(
        help=help,
        epilog=epilog,
        rich_markup_mode=None,  # rich takes longer to load than everything else that help needs
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


# --- how it speaks -----------------------------------------------------------------------------------------


def say(text: str = "") -> None:
    """Print a result. When the reader has gone (``| head``), the exit code still tells the verdict.

    Raises
    ------
    XctrulesError
        When it cannot be written: the disk is full, perhaps.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        silence(sys.stdout)
    except OSError as error:
        silence(sys.stdout)
        raise XctrulesError(
            f"the results cannot be printed ({error.strerror or error})",
            where="stdout",
            todo="See to where they are sent; what was written to files is whole.",
        ) from error


def say_json(value: Any) -> None:
    """Print a result for programs."""
    from xctrules.core.canonical import canonical_text

    say(canonical_text(value))


def say_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text in columns."""
    for line in aligned(rows):
        say(line)


def complain(message: str) -> None:
    """Tell what keeps a command from its work, or what it is about, on stderr."""
    _to_stderr(f"xctrules: {message}")


def warn(message: str) -> None:
    """Tell what the reader of a result should know, on stderr."""
    _to_stderr(f"warning: {message}")


def _to_stderr(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:  # nobody can be told; the exit code still is
        silence(sys.stderr)


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of text in columns two spaces apart."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def silence(stream: TextIO) -> None:
    """Let all that is still written to ``stream`` vanish, the flush at the interpreter's end included."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextlib.contextmanager
def stdout_for_results() -> Iterator[None]:
    """Whatever plugins and libraries print meanwhile goes to stderr."""
    with redirected([1], to=2), contextlib.redirect_stdout(sys.stderr):
        yield


@contextlib.contextmanager
def working(log_as: str | None = None) -> Iterator[Progress]:
    """Long work, whose progress is shown on stderr while it lasts, and which leaves stdout alone.

    Parameters
    ----------
    log_as
        Where stderr is no terminal, nothing is shown; with a command's name, a line for every tenth of the
        way, which suits a log of hours.
    """
    with stdout_for_results():
        if not sys.stderr.isatty():
            yield _tenths(log_as) if log_as else silent
            return
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
        times = (TimeElapsedColumn(), TimeRemainingColumn())
        with Bar(*columns, *times, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("starting", total=None)

            def show(stage: str, done: int, of: int) -> None:
                if bar.tasks[0].description != stage:  # its own time, and its own speed
                    bar.reset(task, description=stage)
                bar.update(task, completed=done, total=of or None)

            yield show


def _tenths(name: str) -> Progress:
    told = ("", -1)

    def tell(stage: str, done: int, of: int) -> None:
        nonlocal told
        if of and told != (told := (stage, 10 * done // of)):
            complain(f"{name}: {stage}, {done} of {of}")

    return tell


# --- options that several commands share -------------------------------------------------------------------

ScanPath = Annotated[
    Path,
    typer.Argument(help="Folder of TIFF slices, TIFF file, Zarr array, or raw volume beside its header."),
]
SpecName = Annotated[
    str, typer.Option(help="Name of a cell-format spec, or its file.", metavar="NAME_OR_FILE")
]
Acquisition = Annotated[
    Path | None, typer.Option(help="An acquisition.yaml other than the scan's own.", metavar="FILE")
]
VoxelSize = Annotated[
    str | None, typer.Option(help="Voxel size in mm, z first; wins over all files.", metavar="Z,Y,X")
]
PluginsDir = Annotated[
    Path | None, typer.Option("--plugins-dir", metavar="DIR", help="Folder with further plugins.")
]
NoThirdParty = Annotated[bool, typer.Option("--no-third-party", help="Use the bundled plugins only.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Any option of the cell's geometry, with or without a name here.", metavar="NAME=VALUE"
    ),
]
PluginSeconds = Annotated[
    float | None,
    typer.Option(metavar="S", help="Time for each call of a third party's plugin; 300 by default."),
]
PluginMemory = Annotated[
    float | None,
    typer.Option(metavar="GB", help="Memory of a third party's process (Linux); 8 by default."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def geometry_options(settings: Sequence[str] | None, **named: Any) -> dict[str, Any]:
    """Options of a cell's geometry that were given: by ``--set``, and by a name of their own.

    Raises
    ------
    XctrulesError
        When a setting is no ``NAME=VALUE``, or something is given twice.
    """
    given = {name: value for name, value in named.items() if value is not None}
    for setting in settings or ():
        name, equals, text = setting.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name.isidentifier():
            raise XctrulesError(
                f"{setting!r} is no setting", where="--set", todo="Give NAME=VALUE, such as angles=720."
            )
        if name in given:
            raise XctrulesError(f"{name} is given twice", where="--set", todo="Give it once.")
        given[name] = text.strip()
    return given


def check_range(option: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside of ``low`` to ``high``.

    Raises
    ------
    XctrulesError
        With the option and the range.
    """
    if not low <= value <= high:
        raise XctrulesError(f"{value:g} is out of range", where=option, todo=f"Give {low:g} to {high:g}.")


def plugins_asked_for(plugins_dir: Path | None, no_third_party: bool) -> Registry:
    """All plugins that the options of these names let in, loaded; what they print goes to stderr."""
    from xctrules.engine.registry import load_plugins

    with (
        stdout_for_results(),
        load_plugins(plugins_dir=plugins_dir, third_party=not no_third_party) as registry,
    ):
        registry.collect()
    return registry
