"""A plugin's process, from inside: imports the plugins that it is told of, and does what the engine asks.

    load PLUGIN                        import it: Loaded
    give PLUGIN HOOK                   call a hook: Given
    call OBJECT METHOD ARGS OPTIONS    call a method of an object that is held here: what it returns
    next ITERATOR PLACE                what fits into shared memory: places, others, at its end its owner
    pickle OBJECT                      the object for another plugin's process, which the engine does not open
    end                                end, once all threads have

The answer is ``[kind, value]``: ``returned``, ``raised`` with the exception in words, or ``ended``. Before it
there may be ``asks``, for a slice of the scan; the engine gives it, or has a question of its own meanwhile.
"""

from __future__ import annotations

import atexit
import json
import os
import pickle
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from xctrules.core.errors import NotMeasurable, XctrulesError
from xctrules.core.slices import ArraySlices, Slices, SlicesOnDemand
from xctrules.engine.faults import describe_exception, happened, short_traceback
from xctrules.engine.isolation.limits import bind_to
from xctrules.engine.isolation.shared import Place, array_on, open_place
from xctrules.engine.isolation.shown import Shown
from xctrules.engine.isolation.stand_ins import described
from xctrules.engine.isolation.wire import (
    Message,
    Reader,
    Vocabulary,
    WireError,
    Writer,
    packed,
    receive,
    write,
)
from xctrules.engine.loading import Given, InsidePlugin, Loaded
from xctrules.engine.plugin_files import PluginFiles


def main() -> None:
    """Serve until there is nothing more to do, or nobody to do it for."""
    told = json.loads(sys.argv[1])
    del sys.argv[1:]
    questions, answers = _take_pipes()
    bind_to(told["parent"], told["memory_bytes"])
    courier = None if sys.platform == "win32" else socket.socket(fileno=told["courier"])
    Server(told["plugins"], told["packages"], questions, answers, courier).serve()


def _take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """The pipes from and to the engine, out of reach of what a plugin reads and prints."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return questions, answers


@dataclass(frozen=True, eq=False)
class _Plugin:
    inside: InsidePlugin
    loaded: Loaded


class Server:
    """Holds plugins and their objects, and answers the engine's questions one by one."""

    def __init__(
        self,
        plugins: list[Mapping[str, Any]],
        packages: list[str],
        questions: IO[bytes],
        answers: IO[bytes],
        courier: socket.socket | None,
    ) -> None:
        self._files = {files["name"]: PluginFiles(**files) for files in plugins}
        self._plugins: dict[str, _Plugin] = {}
        self._given: dict[tuple[str, str], Given] = {}
        self._held: list[Any] = []
        self._addresses: dict[int, Any] = {}
        self._slices: dict[int, Slices] = {}
        self._courier = courier
        self._descriptors: list[int] = []
        self._vocabulary = Vocabulary(frozenset(packages), importing=True)
        self._owners: dict[int, Any] = {}
        self._broken: dict[int, BaseException] = {}
        self._stream = answers
        self._writing, self._asking = threading.Lock(), threading.Lock()
        self._ending = False
        # Registered before anything of a plugin's, so run after all of it, when the interpreter has waited
        # for its threads: a process that gets there has ended in order.
        atexit.register(self._say_ended)
        self._questions: queue.Queue[Message] = queue.Queue()
        self._replies: queue.Queue[Message] = queue.Queue()
        self._deeds: Mapping[str, Callable[..., Any]] = {
            "load": lambda plugin: self._plugin(plugin).loaded,
            "give": self._give,
            "call": self._call,
            "next": self._next,
            "pickle": pickle.dumps,
        }
        threading.Thread(target=self._listen, args=(questions,), daemon=True).start()

    # --- questions and answers ----------------------------------------------------------------------------

    def _listen(self, stream: IO[bytes]) -> NoReturn:
        while (message := receive(stream)) is not None:
            kind = message.tree[0]
            (self._replies if kind in ("answer", "meanwhile") else self._questions).put(message)
        # The engine has ended: so does this, and whatever a plugin started.
        if sys.platform != "win32":
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    def serve(self) -> None:
        """Answer questions until the last one, which is to end."""
        while (message := self._questions.get()).tree[0] != "end":
            self._say(self._answer(message))
        self._ending = True

    def _answer(self, message: Message) -> list[bytes | memoryview]:
        try:
            do, *arguments = self._reader().value(message)
        except WireError as error:
            return self._written("raised", ("", (), f"cannot be given what it needs: {error}", None))
        try:
            return self._written("returned", self._deeds[do](*arguments))
        except BaseException as error:  # a plugin may raise what it likes
            return self._written("raised", _in_words(error))

    def _say(self, parts: list[bytes | memoryview]) -> None:
        with self._writing:
            write(parts, self._stream)

    def _say_ended(self) -> None:
        if self._ending:
            self._say(self._written("ended", None))

    def _written(self, kind: str, value: Any) -> list[bytes | memoryview]:
        try:
            message = self._writer().message(value)
            return packed(Message([kind, message.tree], message.buffers))
        except WireError as error:
            what = f"returned what cannot be handed over: {error}"
            return self._written("raised", ("", (), what, None))

    def _ask(self, key: int, index: int) -> Any:
        """A slice that only the engine can read. May be called from any thread of a plugin's."""
        with self._asking:
            self._say(packed(Message(["asks", [key, index]], [])))
            message = self._replies.get()
            while message.tree[0] == "meanwhile":  # what the engine needs of a plugin here, to read the slice
                self._say(self._answer(Message(message.tree[1:], message.buffers)))
                message = self._replies.get()
            _, image = self._reader().value(message)
        if isinstance(image, str):
            raise OSError(f"slice {index + 1} cannot be read ({image})")
        return image

    # --- what it can do -----------------------------------------------------------------------------------

    def _plugin(self, name: str) -> _Plugin:
        if name not in self._plugins:
            inside = InsidePlugin(self._files[name])
            self._plugins[name] = _Plugin(inside, inside.load())
        return self._plugins[name]

    def _give(self, plugin: str, hook: str) -> Given:
        if (plugin, hook) not in self._given:
            given = self._plugin(plugin).inside.give(hook)
            self._given[plugin, hook] = given
            for index, value in enumerate(given.objects):
                if not isinstance(value, str | os.PathLike):
                    self._addresses.setdefault(id(value), [plugin, hook, index])
        return self._given[plugin, hook]

    def _call(self, owner: Any, method: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        returned = getattr(owner, method)(*arguments, **options)
        if isinstance(returned, Iterator):
            self._owners[id(returned)] = owner
        return returned

    def _next(self, iterator: Iterator[Any], memory: NDArray[Any]) -> tuple[list[Place], list[Any], Any]:
        """Arrays go into shared memory while they fit; the first thing that does not is handed over.

        The last of it is whose iterator it was, once that has ended: it may look otherwise now.
        """
        if id(iterator) in self._broken:
            raise self._broken.pop(id(iterator))
        places: list[Place] = []
        used = 0
        try:
            for item in iterator:
                array = np.asarray(item)
                if array.dtype.hasobject or used + array.nbytes > memory.size:
                    return places, [item], None
                memory[used : used + array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
                places.append(Place("", used, array.dtype.str, array.shape))
                used += array.nbytes
        except BaseException as error:
            if not places:
                raise
            self._broken[id(iterator)] = error  # told when what came before it has been taken
            return places, [], None
        return places, [], self._owners[id(iterator)]

    # --- objects that stay here ---------------------------------------------------------------------------

    def _writer(self) -> Writer:
        return Writer(self._vocabulary, self._foreign_out, self._addresses)

    def _reader(self) -> Reader:
        return Reader(self._vocabulary, self._foreign_in)

    def _foreign_out(self, writer: Writer, value: Any, level: int) -> Any:
        held = self._addresses.get(id(value))
        if held is None:
            self._held.append(value)
            held = self._addresses[id(value)] = len(self._held) - 1
        if isinstance(value, Slices) and len(value.shape) == 3:
            shape, dtype = list(value.shape), writer.tree(value.dtype, level)
            return {"slices": {"held": held, "shape": shape, "dtype": dtype}}
        if isinstance(value, Iterator):
            return {"iterator": {"held": held}}
        return {"foreign": described(value, held, self._vocabulary, writer, level)}

    def _foreign_in(self, reader: Reader, tree: Any) -> Any:
        ((tag, body),) = tree.items()
        if tag == "held":
            if isinstance(body, list):
                plugin, hook, index = body
                return self._give(plugin, hook).objects[index]
            return self._held[body]
        if tag == "pickled":
            try:
                return pickle.loads(reader.made(body))
            except Exception as error:
                what = f"an object of another plugin's, which cannot be made ({describe_exception(error)})"
                raise WireError(what) from error
        if tag == "memory":
            return self._handed(*body)
        return self._slices_of(reader.made(body))

    def _handed(self, by: int | str, dtype: str, shape: list[int], writable: bool) -> NDArray[Any]:
        """The shared memory that the engine hands over: by its number, or as a file where that cannot be."""
        if isinstance(by, str):
            with Path(by).open("r+b" if writable else "rb") as file:
                return array_on(file.fileno(), dtype, tuple(shape), writable=writable)
        while sys.platform != "win32" and self._courier is not None and len(self._descriptors) <= by:
            self._descriptors += socket.recv_fds(self._courier, 1, 1)[1]
        return array_on(self._descriptors[by], dtype, tuple(shape), writable=writable)

    def _slices_of(self, shown: Shown) -> Slices:
        if shown.key not in self._slices:
            place = shown.place
            self._slices[shown.key] = (
                SlicesOnDemand(partial(self._ask, shown.key), shown.shape, shown.dtype)
                if place is None
                else ArraySlices(open_place(place) if isinstance(place, Place) else np.asarray(place))
            )
        return self._slices[shown.key]


def _in_words(error: BaseException) -> tuple[str, tuple[Any, ...], str, str | None]:
    """An exception as the engine is told of it: its class, what it was made of, what happened, traceback."""
    if isinstance(error, NotMeasurable):
        return "NotMeasurable", (str(error.reason),), "", None
    told = happened(error), short_traceback(error)
    if isinstance(error, XctrulesError):
        return type(error).__name__, (error.what, error.where, error.todo), *told
    return "MemoryError" if isinstance(error, MemoryError) else "", (), *told
