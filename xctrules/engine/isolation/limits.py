"""What a plugin's process may take, and what it takes on itself before anything of the plugin runs."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from xctrules.core.errors import XctrulesError

SECONDS = 300.0
"""Time for one call, a hook or one metric; bundled metrics take a few seconds on a volume of a gigabyte."""

MEMORY_GB = 8.0
"""A network's runtime reserves two to four gigabytes before it has done anything."""

_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
_LANDLOCK_SCOPE_SIGNAL = 2


@dataclass(frozen=True)
class Limits:
    """What each process of others' plugins may take.

    Attributes
    ----------
    seconds
        Time by the clock for one call: importing a plugin, one hook, one metric.
    memory_gb
        Memory that the process takes for itself, in 10^9 bytes; the scan, which is shared, does not count.
        It is held on Linux alone (``RLIMIT_DATA``): macOS does not heed such a limit, Windows has none.
    """

    seconds: float = SECONDS
    memory_gb: float = MEMORY_GB

    def __post_init__(self) -> None:
        for value, option in ((self.seconds, "--plugin-seconds"), (self.memory_gb, "--plugin-memory")):
            if not 0 < value < float("inf"):
                raise XctrulesError(f"{value:g} is no limit", where=option, todo="Give a number above zero.")

    @classmethod
    def asked(cls, seconds: float | None, memory_gb: float | None) -> Limits:
        """The limits that were asked for; the usual ones for what was not."""
        return cls(SECONDS if seconds is None else seconds, MEMORY_GB if memory_gb is None else memory_gb)

    @property
    def memory_bytes(self) -> int:
        """The memory in bytes."""
        return int(self.memory_gb * 1e9)


def bind_to(parent: int, memory_bytes: int) -> None:
    """Take the limits on, and end when the process ``parent`` ends. Called in the plugin's process."""
    with contextlib.suppress(RuntimeError, OSError, AttributeError):
        faulthandler.enable()  # a crash in compiled code then says where, on stderr
    if sys.platform != "linux":
        return
    import ctypes
    import resource

    system = ctypes.CDLL(None)
    system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before it could be asked to tell
        os._exit(1)
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # where memory runs out all the same, this process goes before others
        Path("/proc/self/oom_score_adj").write_text("1000")
    # From Linux 6.12 on, signals to processes other than this and those that it starts are refused: a plugin
    # cannot kill the engine. An older one refuses the rule, and nothing changes.
    rules = (ctypes.c_uint64 * 3)(0, 0, _LANDLOCK_SCOPE_SIGNAL)
    number = system.syscall(_LANDLOCK_CREATE, rules, ctypes.sizeof(rules), 0)
    if number >= 0:
        system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        system.syscall(_LANDLOCK_RESTRICT, number, 0)
        os.close(number)
