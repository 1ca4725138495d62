"""One process of plugins, seen from the engine: started, asked, timed, ended in order, or killed."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from xctrules.engine.faults import PluginBroke
from xctrules.engine.isolation import wire
from xctrules.engine.isolation.limits import Limits
from xctrules.engine.isolation.shared import SharedArray
from xctrules.engine.isolation.wire import Message, WireError

MOST_OUTPUT = 16_384
"""Characters of what plugins print that are passed on to stderr, for each process."""

EOF_SECONDS = 1.0
"""In which the pipe of a process that has ended closes, unless something that escaped it holds it open."""

_BEGIN = "import json, sys; sys.path[:] = json.loads(sys.argv[1])['path']; "
_BEGIN += "from xctrules.engine.isolation.serving import main; main()"

_Parts = Sequence[bytes | memoryview]


class PluginProcess:
    """A process in which plugins run. It has begun when this has been made, and is killed with it.

    It has a folder of its own to work in, a process group of its own (so that no Ctrl-C of the terminal's
    reaches it, and whatever it starts is killed along with it), and nothing open but what leads to this side.
    Where the engine's process ends, or on Linux the thread that made this, so does the plugins'.

    Parameters
    ----------
    label
        Name of its plugins, for what they print.
    work
        What :mod:`~xctrules.engine.isolation.serving` is told over there, beside what is said here.

    Raises
    ------
    OSError
        When the system gives no process, or no folder.
    """

    def __init__(self, label: str, work: Mapping[str, Any], limits: Limits) -> None:
        self._limits = limits
        self._handed: weakref.WeakKeyDictionary[SharedArray, int] = weakref.WeakKeyDictionary()
        self._numbers = itertools.count()
        self._courier, theirs = socket.socketpair()
        folder = tempfile.mkdtemp(prefix="xctrules-plugin-")
        told = {
            "courier": theirs.fileno(),
            "path": [str(Path(entry).absolute()) for entry in sys.path],
            "parent": os.getpid(),
            "memory_bytes": limits.memory_bytes,
            **work,
        }
        try:
            self._process = subprocess.Popen(
                [sys.executable, *_interpreter_options(), "-c", _BEGIN, json.dumps(told)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                cwd=folder, start_new_session=True, pass_fds=_passed(theirs),
            )  # fmt: skip
        except OSError:
            self._courier.close()
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            theirs.close()
        self._outbox: queue.Queue[_Parts | None] = queue.Queue()
        self._inbox: queue.Queue[Message | WireError | None] = queue.Queue(maxsize=1)
        self._closed = False
        streams = self._process.stdin, self._process.stdout, self._process.stderr
        for work_of, arguments in (
            (_write, (self._outbox, streams[0])),
            (_read, (self._inbox, streams[1])),
            (_pass_on, (streams[2], label)),
        ):
            threading.Thread(target=work_of, args=arguments, daemon=True).start()
        leavings = self._process, folder, self._outbox, self._courier
        self._kill = weakref.finalize(self, _kill, *leavings, os.getpid())

    def post(self, parts: _Parts) -> None:
        """Ask something; :meth:`wait` for the answer before the next question."""
        self._outbox.put(parts)

    def hand(self, memory: SharedArray) -> int | str:
        """Let the process look at shared memory; returns what it finds it by."""
        if memory.name is not None:
            return memory.name
        if sys.platform != "win32" and memory not in self._handed:
            self._handed[memory] = next(self._numbers)
            with contextlib.suppress(OSError):  # it has ended, which whoever waits for its answer is told
                socket.send_fds(self._courier, [b"m"], [memory.descriptor])
        return self._handed[memory]

    def wait(self, plugin: str, answer: Callable[[Message], _Parts]) -> Message:
        """What comes back, ``[kind, value]``; while waiting, ``answer`` what the process asks meanwhile.

        Raises
        ------
        PluginBroke
            When the process ended, took too long, or wrote what is no answer. It is killed then.
        """
        until = time.monotonic() + self._limits.seconds
        while True:
            left = until - time.monotonic()
            try:
                if left <= 0:  # however quickly it asks, over and over
                    raise queue.Empty
                item = self._inbox.get(timeout=left)
            except queue.Empty:
                self.kill()
                allowed = f"the {self._limits.seconds:g} s that a plugin may take (--plugin-seconds)"
                raise PluginBroke(f"was ended: the plugin {plugin} took longer than {allowed}") from None
            if item is None:
                self._closed = True
                raise PluginBroke(f"{self._how_it_ended()} (plugin {plugin})")
            if isinstance(item, WireError):
                self.kill()
                raise PluginBroke(f"was ended: the plugin {plugin} wrote {item} to the engine")
            if item.tree[0] != "asks":
                return item
            self.post(answer(item))

    @property
    def gone(self) -> bool:
        """Whether it has ended while nobody asked it anything."""
        return list(self._inbox.queue) == [None]

    def kill(self) -> None:
        """End it at once, with all that it started."""
        self._kill()
        with contextlib.suppress(
            queue.Empty
        ):  # what it left in its pipe, so that its reader comes to the end
            while not self._closed:
                self._closed = self._inbox.get(timeout=EOF_SECONDS) is None

    def _how_it_ended(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):  # it may have closed its pipe, and live on
            self._process.wait(timeout=EOF_SECONDS)
        code = self._process.returncode
        self.kill()
        if code is None:
            return "closed its process's pipe to the engine"
        if code < 0:
            return f"ended its process by signal {_signal_name(-code)}"
        return f"ended its process with exit code {code}"


def _interpreter_options() -> list[str]:
    """Options with which an interpreter takes from environment and folder only what this one took."""
    options = ["-E", "-P"]
    if sys.flags.no_user_site:
        options.append("-s")
    if sys.dont_write_bytecode:
        options.append("-B")
    if sys.flags.utf8_mode:
        options += ["-X", "utf8"]
    return options


def _passed(end: socket.socket) -> tuple[int, ...]:
    """What the process has open beside its pipes: the end of a socket through which memory is handed."""
    return () if sys.platform == "win32" else (end.fileno(),)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _kill(
    process: subprocess.Popen[bytes],
    folder: str,
    outbox: queue.Queue[_Parts | None],
    courier: socket.socket,
    owner: int,
) -> None:
    if os.getpid() != owner:  # a copy that fork() made of the engine's process
        return
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()
    outbox.put(None)
    courier.close()
    shutil.rmtree(folder, ignore_errors=True)


# --- its pipes, each in a thread, so that neither side can keep the other waiting ---------------------------


def _write(outbox: queue.Queue[_Parts | None], stream: IO[bytes]) -> None:
    with contextlib.suppress(OSError, ValueError), stream:  # nobody reads any more; who waits is told so
        while (parts := outbox.get()) is not None:
            wire.write(parts, stream)


def _read(inbox: queue.Queue[Message | WireError | None], stream: IO[bytes]) -> None:
    with contextlib.suppress(OSError, ValueError), stream:
        try:
            while (message := wire.receive(stream)) is not None:
                if not _is_answer(message.tree):
                    raise WireError("what is no answer")
                inbox.put(message)
        except WireError as error:
            inbox.put(error)
    inbox.put(None)


def _is_answer(tree: Any) -> bool:
    """Whether it says of which kind it is."""
    return isinstance(tree, list) and len(tree) == 2 and isinstance(tree[0], str)


def _pass_on(stream: IO[bytes], label: str) -> None:
    """Pass on to stderr what plugins print, until it is too much; read on in any case."""
    left = MOST_OUTPUT
    with contextlib.suppress(OSError, ValueError), stream:
        while text := stream.read1(4096).decode(errors="replace"):  # type: ignore[attr-defined]
            if left > 0 and sys.stderr is not None:
                sys.stderr.write(text[:left])
                left -= len(text)
                if left <= 0:
                    sys.stderr.write(f"\n[{label}: what it prints beyond this is left out]\n")
                sys.stderr.flush()
