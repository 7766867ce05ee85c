"""Finding the memory that a function's calls see."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from hostmod import _wasmtime
from hostmod._trampoline_py.frames import NOTHING, OTHER_STORE, Frame, no_memory
from hostmod._wasmtime.views import Window
from hostmod.errors import MemoryAccessError


class Locator:
    """Finds the memory that a function's calls see: an export of the caller, or one memory of one store."""

    __slots__ = ("length_argument", "name", "name_argument", "where")

    def __init__(self, where: str, name: str) -> None:
        self.where = where
        self.name = name
        data = name.encode()
        self.name_argument = _wasmtime.bytes_argument(data)
        self.length_argument = _wasmtime.address_argument(len(data))

    def locate(self, frame: Frame) -> Window:
        """Return the window on the memory, by which `frame` is up to date; MemoryAccessError if there is none."""
        if not _wasmtime.prepared_export_get(
            frame.caller_argument, self.name_argument, self.length_argument, frame.item_argument
        ):
            raise self.missing()
        key = frame.item.tobytes()
        window = frame.window
        if key == frame.key and window.size == _wasmtime.prepared_data_size(
            frame.context_argument, frame.memory_argument
        ):
            return window
        return frame.adopt(key)

    def missing(self) -> MemoryAccessError:
        """The error for a guest that exports no such thing."""
        return no_memory(self.where, self.name, NOTHING)


class FixedLocator(Locator):
    """Finds one memory, in one store: for guests that import theirs."""

    __slots__ = ("_context", "_item")

    def __init__(self, where: str, memory: Any, context: Callable[[], int | None]) -> None:
        super().__init__(where, "memory")
        self._context = context
        extern = memory._as_extern()
        self._item = ctypes.string_at(ctypes.addressof(extern), _wasmtime.EXTERN_SIZE)

    def locate(self, frame: Frame) -> Window:
        if _wasmtime.caller_context(frame.caller) != self._context():
            raise no_memory(self.where, self.name, OTHER_STORE)
        if frame.key != self._item:
            frame.item[:] = self._item
        elif frame.window.size == _wasmtime.prepared_data_size(frame.context_argument, frame.memory_argument):
            return frame.window
        return frame.adopt(self._item)
