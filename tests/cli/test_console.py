"""How a command speaks and ends, whichever it is: messages, streams, interrupts, progress."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import command, run

from xctrules.cli import console
from xctrules.core.errors import XctrulesError
from xctrules.engine import inspection

DRAWING = ("phantom", "--view=both", "--voxel-size=0.03")
"""Far more than can be drawn in the seconds that a test waits."""

# --- errors ----------------------------------------------------------------------------------------------


def test_unexpected_error_is_one_message(can: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr(inspection, "open_scan", broken)
    monkeypatch.delenv("XCTRULES_DEBUG", raising=False)
    result = run("inspect", can, "--spec", "21700", "--out", tmp_path)
    assert result.exit_code == 2
    assert "Traceback" not in result.stderr and result.stderr.count("\n") == 1
    assert "deep inside" in result.stderr and "XCTRULES_DEBUG" in result.stderr
    monkeypatch.setenv("XCTRULES_DEBUG", "1")
    assert isinstance(run("inspect", can, "--spec", "21700", "--out", tmp_path).exception, ZeroDivisionError)


# --- interrupts ------------------------------------------------------------------------------------------


def test_interrupt_ends_with_130(can: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(inspection, "open_scan", interrupted)
    result = run("inspect", can, "--spec", "21700")
    assert result.exit_code == 130 and "Traceback" not in result.stderr


def test_sigint_from_outside(tmp_path: Path) -> None:
    """The handler is set here, since a shell that started these tests in the background ignores SIGINT, and
    what it starts inherits that."""
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from xctrules.cli.main import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *DRAWING, tmp_path / "big"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=2.5)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error
    assert not (tmp_path / "big").exists()


@pytest.mark.skipif(os.name != "posix", reason="signals as a POSIX shell ignores them")
def test_a_command_that_was_told_to_ignore_sigint_goes_on(tmp_path: Path) -> None:
    """As under nohup, or in the background of a script: Ctrl-C is then meant for something else."""
    words = [sys.executable, "-m", "xctrules", *DRAWING, str(tmp_path / "big")]
    process = subprocess.Popen(["sh", "-c", 'trap "" INT; exec "$@"', "sh", *words], stderr=subprocess.PIPE)
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=2.5)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=1)
    finally:
        process.kill()
        process.communicate()


# --- stdout and stderr -----------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="pipes as a POSIX shell makes them")
def test_reader_that_goes_away(tmp_path: Path) -> None:
    script = f"{sys.executable} -m xctrules specs schema | head -c 1 >/dev/null; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.strip() == "0"


def test_terminal_that_cannot_show_a_character(tmp_path: Path) -> None:
    done = command(
        "specs", "show", "21700", env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr


@pytest.mark.parametrize("args", [("specs", "list", "--json"), ("plugins", "--json")], ids=" ".join)
def test_prints_of_plugins_do_not_reach_a_list(args: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "chatty.py").write_text("print('hello from a plugin')\n")
    result = run(*args, "--plugins-dir", tmp_path)
    assert "hello from a plugin" in result.stderr and "hello" not in result.stdout.replace("chatty", "")


def test_progress_in_a_log_is_a_line_for_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with console.working(log_as="validate") as progress:
        for done in range(1, 41):
            progress("measuring phantoms", done, 40)
            print("a library's own words")
    told = capsys.readouterr()
    lines = [line for line in told.err.splitlines() if line.startswith("xctrules: ")]
    assert lines[0] == "xctrules: validate: measuring phantoms, 1 of 40"
    assert lines[-1] == "xctrules: validate: measuring phantoms, 40 of 40"
    assert len(lines) == 11
    assert told.out == "" and "a library's own words" in told.err


def test_progress_in_a_log_is_nothing_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with console.working() as progress:
        progress("reading the scan", 1, 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.skipif(os.name != "posix", reason="a terminal as POSIX makes one")
def test_progress_on_a_terminal_names_the_stage_and_leaves_stdout_alone(tmp_path: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    code = (
        "import time\n"
        "from xctrules.cli.console import say, working\n"
        "with working() as progress:\n"
        "    for stage in ('reading the scan', 'segmenting'):\n"
        "        for done in range(3):\n"
        "            progress(stage, done, 3)\n"
        "            time.sleep(0.1)\n"  # rich draws ten times a second
        "say('the result')\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end was closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.communicate()[0] == b"the result\n"
    assert process.returncode == 0
    assert b"reading the scan" in shown and b"segmenting" in shown


# --- options ---------------------------------------------------------------------------------------------


def test_settings_and_named_options_are_one() -> None:
    found = console.geometry_options(["angles=72", "mask-of = canister", "note=a=b"], tilt=0.5, tab=None)
    assert found == {"tilt": 0.5, "angles": "72", "mask_of": "canister", "note": "a=b"}
    assert console.geometry_options(None, angles=None) == {}


@pytest.mark.parametrize(
    ("settings", "words"),
    [(["angles"], "no setting"), (["=72"], "no setting"), (["a b=1"], "no setting"),
     (["angles=72", "angles=72"], "angles is given twice"), (["tilt=1"], "tilt is given twice")],
)  # fmt: skip
def test_settings_that_mean_nothing_are_refused(settings: list[str], words: str) -> None:
    with pytest.raises(XctrulesError, match=words) as error:
        console.geometry_options(settings, tilt=0.5)
    assert error.value.where == "--set"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
@pytest.mark.parametrize("words", [["specs", "list"], ["specs", "show", "21700"], ["--version"], ["--help"]])
def test_a_full_disk_behind_stdout_is_told(words):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "xctrules", *words], stdout=full, stderr=subprocess.PIPE, text=True
        )
        assert done.returncode == 2
        assert done.stderr.startswith("xctrules: stdout: ") and "No space left" in done.stderr
        assert done.stderr.count("\n") == 1
        nobody = subprocess.run([sys.executable, "-m", "xctrules", *words], stdout=full, stderr=full)
        assert nobody.returncode == 2
