"""One process of plugins, started whenever there is something to ask, and the objects that it holds."""

from __future__ import annotations

import dataclasses
import math
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from xctrules.core import errors
from xctrules.core.errors import NotMeasurable, XctrulesError
from xctrules.core.slices import Slices, SlicesOnDemand
from xctrules.engine.faults import PluginBroke, describe_exception
from xctrules.engine.isolation.limits import Limits
from xctrules.engine.isolation.process import PluginProcess
from xctrules.engine.isolation.shared import Place, SharedArray, open_place
from xctrules.engine.isolation.shown import ShownSlices
from xctrules.engine.isolation.stand_ins import StandIn, stand_in
from xctrules.engine.isolation.wire import Message, Reader, Vocabulary, WireError, Writer, packed
from xctrules.engine.plugin_files import PluginFiles

BLOCK_BYTES = 32 * 2**20
"""Of the memory through which a plugin's reader hands slices over, some of them at a time."""


class Remote:
    """By which a process finds an object of a plugin again.

    Parameters
    ----------
    run
        Which of the host's processes, one after the other, holds it; ``None`` for an object that a hook
        gave, which every one of them can get again.
    """

    def __init__(self, host: Host, plugin: str, held: Any, run: int | None) -> None:
        self.host, self.plugin, self.held, self.run = host, plugin, held, run
        self.shown_as: StandIn | None = None

    def check(self, kind: str) -> None:
        """Raise PluginBroke when the object is lost."""
        if self.run is not None and not self.host.holds(self.run):
            what = f"a {kind} of the plugin {self.plugin}, which has lost its process"
            raise PluginBroke(f"needs {what}")


class _Items:
    """An iterator of a plugin's, before anything is taken from it."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote


class HostedSlices(SlicesOnDemand):
    """Slices that a plugin's process holds."""

    def __init__(self, remote: Remote, shape: tuple[int, int, int], dtype: Any) -> None:
        super().__init__(partial(remote.host.call, remote, "__getitem__"), shape, dtype)
        self.remote = remote


class Host:
    """A process that plugins share, started again when one of them has ended it.

    Parameters
    ----------
    plugins
        Those of one distribution, or one of a folder: nobody else's results go with them.
    vocabulary
        What both sides know.
    shown
        The slices that all hosts look at.
    """

    def __init__(
        self, plugins: Sequence[PluginFiles], vocabulary: Vocabulary, shown: ShownSlices, limits: Limits
    ) -> None:
        self.plugins = tuple(plugins)
        self._vocabulary = vocabulary
        self._shown = shown
        self._limits = limits
        self._process: PluginProcess | None = None
        self._run = 0
        self._begun = ""
        self._unasked: str | None = None
        self._lock = threading.RLock()  # slices may be asked for from several threads
        self._answering = 0

    # --- its process --------------------------------------------------------------------------------------

    def start(self, plugin: str) -> None:
        """Start the process, and have it import a plugin, without waiting for either.

        Raises
        ------
        PluginBroke
            When the system gives no process.
        """
        names = ", ".join(files.name for files in self.plugins)
        work = {
            "packages": sorted(self._vocabulary.packages),
            "plugins": [dataclasses.asdict(files) for files in self.plugins],
        }
        try:
            self._process = PluginProcess(names, work, self._limits)
        except OSError as error:
            raise PluginBroke(f"cannot be given a process of its own ({error})") from error
        self._run += 1
        self._begun = plugin
        self._process.post(self._question("load", plugin))

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
        self._process, self._begun = None, ""

    def end(self) -> str | None:
        """Have the process end in order, its threads with it.

        Returns
        -------
        unasked
            How it, or one before it, ended while nobody asked it anything, in words that follow a plugin's
            name; ``None`` when none did.
        """
        if self._process is not None and not self._begun and not self._found_gone():
            try:
                self._ask(self.plugins[0].name, "end")
            except PluginBroke as error:
                self._unasked = error.happened
        self.kill()
        unasked, self._unasked = self._unasked, None
        return unasked

    def _found_gone(self) -> bool:
        """Whether the process has ended since it was last asked; then how is noted."""
        if self._process is None or not self._process.gone:
            return False
        try:
            self._process.wait(self.plugins[0].name, self._answer)
        except PluginBroke as error:
            self._unasked = error.happened
        self._process = None
        return True

    # --- asking it ----------------------------------------------------------------------------------------

    def ask(self, plugin: str, *question: Any) -> Any:
        """What the process gives back to a question; :mod:`.serving` lists those that it answers.

        Raises
        ------
        PluginBroke
            When the plugin raised, ended the process, took more than the limits allow, or returned what
            cannot be handed over.
        NotMeasurable, XctrulesError
            When the plugin raised one.
        """
        with self._lock:
            if self._begun not in ("", plugin):
                self.kill()  # it is at another plugin, which nobody waits for
            if self._process is None or self._found_gone():
                self.start(plugin)
            return self._ask(plugin, *question)

    def holds(self, run: int) -> bool:
        """Whether the process is still that one of those that were started one after the other."""
        return self._process is not None and self._run == run

    def _ask(self, plugin: str, *question: Any) -> Any:
        process, run = self._process, self._run
        assert process is not None
        parts = self._question(*(("meanwhile",) if self._answering else ()), *question)
        try:
            if self._begun:
                self._begun = ""
                process.wait(plugin, self._answer)
            process.post(parts)
            kind, body = self._read(process.wait(plugin, self._answer), plugin, run)
            raised = self._raised(plugin, body) if kind == "raised" else None
        except PluginBroke:
            self._process = None  # which has killed it
            raise
        except (WireError, TypeError, ValueError) as error:  # the latter two: an answer of another form
            self.kill()
            raise PluginBroke(f"was ended: the plugin {plugin} wrote {error} to the engine") from None
        if raised is not None:
            raise raised
        return body

    def _raised(self, plugin: str, body: Any) -> Exception:
        """The exception that stands here for a plugin's own."""
        name, arguments, happened, traceback = body
        broke = PluginBroke(str(happened), traceback)
        if name == "NotMeasurable":
            return NotMeasurable(*map(str, arguments))
        if name == "MemoryError":
            self.kill()
            allowed = f"the {self._limits.memory_gb:g} GB of memory that a plugin may take (--plugin-memory)"
            return PluginBroke(f"was ended: the plugin {plugin} needed more than {allowed}", traceback)
        kind = getattr(errors, name, None)
        if isinstance(kind, type) and issubclass(kind, XctrulesError):
            what, where, todo = arguments
            error = kind(str(what), where=where, todo=todo)
            error.__cause__ = broke
            return error
        return broke

    def _answer(self, message: Message) -> list[bytes | memoryview]:
        """A slice that the process asks for."""
        self._answering += 1
        try:
            _, (key, index) = message.tree
            image = self._shown.read(key, index)
        except Exception as error:  # whatever the scan's reader does, or the plugin's process asks for
            return self._question("answer", describe_exception(error))
        finally:
            self._answering -= 1
        return self._question("answer", image)

    # --- objects that stay over there ---------------------------------------------------------------------

    def call(self, remote: Remote, method: str, *arguments: Any, **options: Any) -> Any:
        """What a method of a plugin's object returns."""
        returned = self.ask(remote.plugin, "call", remote, method, arguments, options)
        return self._each(returned.remote, remote) if isinstance(returned, _Items) else returned

    def _each(self, items: Remote, owner: Remote) -> Iterator[Any]:
        """What an iterator of a plugin's gives, one after the other; arrays through shared memory."""
        memory = SharedArray((BLOCK_BYTES,), np.uint8)
        now = None
        try:
            while now is None:
                places, others, now = self.ask(items.plugin, "next", items, memory)
                if now is None and not places and not others:
                    raise ValueError("neither slices nor their end")
                for place in places:
                    yield _copied(memory, place)
                yield from others
        except (TypeError, ValueError) as error:
            raise PluginBroke(f"handed over what are no slices ({error})") from None
        finally:
            memory.close()
        if isinstance(owner.shown_as, StandIn) and isinstance(now, StandIn):
            vars(owner.shown_as).update(vars(now))

    def _question(self, *question: Any) -> list[bytes | memoryview]:
        try:
            writer = Writer(self._vocabulary, self._foreign_out, absolute=True)
            return packed(writer.message(list(question)))
        except WireError as error:
            raise PluginBroke(f"cannot be given what it needs: {error}") from None

    def _read(self, message: Message, plugin: str, run: int) -> tuple[str, Any]:
        reader = Reader(self._vocabulary, partial(self._foreign_in, plugin, run))
        kind, tree = message.tree
        return str(kind), reader.value(Message(tree, message.buffers))

    def _foreign_out(self, writer: Writer, value: Any, level: int) -> Any:
        """What is written of an object that is neither plain nor a dataclass of the engine's."""
        if isinstance(value, Remote | StandIn | HostedSlices):
            remote = value if isinstance(value, Remote) else value.remote
            remote.check(type(value).__name__)
            if remote.host is self:
                return {"held": remote.held}
            if isinstance(value, StandIn):
                return {"pickled": writer.tree(_pickled(remote), level)}
        if isinstance(value, SharedArray):
            assert self._process is not None
            array, by = value.array, self._process.hand(value)
            return {"memory": [by, array.dtype.str, list(array.shape), not value.sealed]}
        if isinstance(value, Slices):
            return {"slices": writer.tree(self._shown.show(value), level)}
        raise WireError(f"a {type(value).__name__} cannot be sent to another process")

    def _foreign_in(self, plugin: str, run: int, reader: Reader, tree: Any) -> Any:
        """What stands for an object of a plugin's own."""
        ((tag, body),) = tree.items()
        if tag == "mapped":
            return open_place(reader.made(body))
        held = body["held"]
        remote = Remote(self, plugin, held, None if isinstance(held, list) else run)
        if tag == "foreign":
            method = partial(partial, self.call, remote)
            remote.shown_as = stand_in(body, reader.made, self._vocabulary, remote, method)
            return remote.shown_as
        if tag == "iterator":
            return _Items(remote)
        if tag == "slices":
            nz, ny, nx = body["shape"]
            return HostedSlices(remote, (nz, ny, nx), reader.made(body["dtype"]))
        raise WireError(f"a {tag!r}, which there is not")


def _pickled(remote: Remote) -> Any:
    """An object for another plugin's process, in a form that is opened there alone."""
    try:
        return remote.host.ask(remote.plugin, "pickle", remote)
    except PluginBroke as error:
        what = f"an object of the plugin {remote.plugin}, which cannot be handed on ({error.happened})"
        raise PluginBroke(f"needs {what}") from None


def _copied(memory: SharedArray, place: Place) -> Any:
    """The array that a plugin's process put into shared memory."""
    dtype = np.dtype(place.dtype)
    if dtype.hasobject:
        raise ValueError("an array of objects")
    array = np.frombuffer(memory.array.data, dtype, math.prod(place.shape), place.offset)
    return array.reshape(place.shape).copy()
