"""The ``xctrules`` command: where its commands are mounted."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated

import typer

from xctrules.cli import (
    archive,
    certificate,
    demo,
    inspect,
    keys,
    phantom,
    planes,
    plugins,
    rejudge,
    replay,
    sign,
    specs,
    study,
    train,
    validate,
    verify,
)
from xctrules.cli.console import INTERRUPTED, UNUSABLE, VERDICT_CODES, complain, group, say, silence
from xctrules.core.errors import XctrulesError
from xctrules.core.version import __version__

app = group(
    "Pass/fail certificates for lithium-ion cells from X-ray CT scans.",
    epilog="Start with `xctrules demo`: it needs no scan.",
)
app.command(epilog=VERDICT_CODES)(inspect.inspect)
app.command(epilog=VERDICT_CODES)(demo.demo)
app.command(epilog=verify.EXIT_CODES)(verify.verify)
app.command(epilog=replay.EXIT_CODES)(replay.replay)
app.command(epilog=rejudge.EXIT_CODES)(rejudge.rejudge)
app.command(epilog=sign.EXIT_CODES)(sign.sign)
app.command(epilog=certificate.EXIT_CODES)(certificate.certificate)
app.add_typer(archive.app, name="archive")
app.add_typer(keys.app, name="keys")
app.add_typer(specs.app, name="specs")
app.command()(plugins.plugins)
app.command()(phantom.phantom)
app.command(epilog=validate.EXIT_CODES)(validate.validate)
app.add_typer(study.app, name="study")
app.command(epilog=planes.EXIT_CODES)(planes.planes)
app.command(epilog=train.EXIT_CODES)(train.train)


def _tell_version(asked: bool) -> None:
    if asked:
        say(f"xctrules {__version__}")
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_tell_version, is_eager=True)
    ] = False,
) -> None:
    """Hold the options that need no command."""


def main() -> None:
    """Entry point of the ``xctrules`` command."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(
            AttributeError, ValueError
        ):  # a terminal that cannot show a character shows "?"
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except XctrulesError as error:  # help and version, which are no command's
        complain(str(error))
        sys.exit(UNUSABLE)
    except OSError as error:
        complain(f"stdout: the text cannot be printed ({error.strerror or error})")
        silence(sys.stdout)
        sys.exit(UNUSABLE)
