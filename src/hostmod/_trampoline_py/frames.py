"""Frames: what generated code reads and writes a call's slots through, and the memory that the last call found.

One is kept for each stack address: calls that are under way at the same time are at different addresses, in every
thread and every depth of nesting, so a frame is never shared, and making one again for each call would cost more than
the call does.
"""

from __future__ import annotations

import ctypes
from typing import Any

from hostmod import _wasmtime
from hostmod._wasmtime import store, views
from hostmod.errors import MemoryAccessError

NOTHING = -1
OTHER_STORE = -2


def no_memory(where: str, name: str, kind: int) -> MemoryAccessError:
    """Return the error for a guest whose memory cannot be reached: `kind` is what wasmtime found under its name."""
    if kind == OTHER_STORE:
        return MemoryAccessError(where, "the memory given when linking belongs to another store", name)
    found = {NOTHING: "nothing", _wasmtime.EXTERN_SHAREDMEMORY: "a shared memory"}.get(kind, "no memory")
    return MemoryAccessError(where, f"the guest exports {found} as {name!r}", name)


class Slots:
    """Typed views of an array of 16-byte slots; ``slots.i[4 * k]`` is core value k as a signed 32-bit integer."""

    __slots__ = ("B", "H", "I", "Q", "address", "b", "d", "f", "h", "i", "q", "raw")

    def __init__(self, address: int, words: int) -> None:
        self.address = address
        self.raw = raw = memoryview(_wasmtime.array_at(address, words * _wasmtime.RAW_SIZE)).cast("B")
        for name in "iIqQfdbBhH":
            setattr(self, name, raw.cast(name))  # type: ignore[call-overload]  # a format character from the table


class _NoWindow:
    """In the place of a window, while no memory has been found."""

    size = -1
    view = memoryview(b"")


_NO_WINDOW: Any = _NoWindow()


class Frame(Slots):
    """What the calls at one stack address use: the slots, and the window on the memory that the last of them found."""

    __slots__ = (
        "_extern",
        "caller",
        "caller_argument",
        "context_argument",
        "item",
        "item_address",
        "item_argument",
        "key",
        "length_argument",
        "locator",
        "memory_argument",
        "name_argument",
        "window",
    )

    def __init__(self, address: int, words: int, locator: Any) -> None:
        super().__init__(address, words)
        self.locator = locator
        self.name_argument = locator.name_argument
        self.length_argument = locator.length_argument
        self._extern = (ctypes.c_ubyte * _wasmtime.EXTERN_SIZE)()
        self.item = memoryview(self._extern).cast("B")
        self.item_address = ctypes.addressof(self._extern)
        self.item_argument = _wasmtime.address_argument(self.item_address)
        self.memory_argument = _wasmtime.address_argument(self.item_address + _wasmtime.EXTERN_OF)
        self.caller = 0
        self.caller_argument = self.context_argument = _wasmtime.address_argument(0)
        self.key = b""
        self.window: views.Window = _NO_WINDOW

    def called_by(self, caller: int) -> None:
        """Take up another caller than that of the last call."""
        self.caller = caller
        self.caller_argument = _wasmtime.address_argument(caller)

    def adopt(self, key: bytes) -> views.Window:
        """Take up a memory that is not the one found last, or has another size now, and return the window on it."""
        kind = key[0]
        if kind != _wasmtime.EXTERN_MEMORY:
            if kind == _wasmtime.EXTERN_SHAREDMEMORY:
                _wasmtime.extern_delete(self.item_address)
            raise no_memory(self.locator.where, self.locator.name, kind)
        context = _wasmtime.caller_context(self.caller)
        guard = store.guard_at(context)
        window = views.window_on(guard, key[_wasmtime.EXTERN_OF :])
        argument = _wasmtime.address_argument(context)
        # Without a call in between, so that no signal leaves half of one memory with half of another.
        self.window, self.key, self.context_argument = window, key, argument
        return window
