"""Frames: what generated code reads and writes a call's slots through, and what it has learnt about the memory.

One is kept for each stack address: calls that are under way at the same time are at different addresses, in every
thread and every depth of nesting, so a frame is never shared, and making one again for each call would cost more than
the call does.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Any

from hostmod import _wasmtime
from hostmod.errors import MemoryAccessError, ViewEscapedError

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


_NOTHING_SEEN = memoryview(b"")

FREE = 3
"""References to `Frame.whole`, and to `Frame.buffer`, while nobody has a view: the frame, its window, the argument."""


class Frame(Slots):
    """What the calls at one stack address use: the slots, and the guest memory that the last of them found.

    `whole` is a ctypes array over all of it, and `window` the trampoline's own view, of which each view that is handed
    out is a slice. `buffer` is what a view and its slices share: as long as one of them is alive, it is referred to.
    """

    __slots__ = (
        "_extern",
        "buffer",
        "caller",
        "caller_argument",
        "context",
        "context_argument",
        "item",
        "item_address",
        "item_argument",
        "key",
        "length_argument",
        "locator",
        "memory_address",
        "memory_argument",
        "name_argument",
        "outlived",
        "size",
        "whole",
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
        self.memory_address = self.item_address + _wasmtime.EXTERN_OF
        self.memory_argument = _wasmtime.address_argument(self.memory_address)
        self.caller = self.context = 0
        self.caller_argument = self.context_argument = _wasmtime.address_argument(0)
        self.key = b""
        self.size = -1
        self.whole: Any = None
        self.window = _NOTHING_SEEN
        self.buffer: Any = None
        self.outlived: list[Any] = []

    def called_by(self, caller: int) -> None:
        """Take up another caller than that of the last call."""
        self.caller = caller
        self.caller_argument = _wasmtime.address_argument(caller)

    def adopt(self, key: bytes) -> None:
        """Take up a memory that is not the one found last, or has another size now.

        Raises ViewEscapedError if it has moved, and a view of it cannot be ended.
        """
        kind = key[0]
        if kind != _wasmtime.EXTERN_MEMORY:
            if kind == _wasmtime.EXTERN_SHAREDMEMORY:
                _wasmtime.extern_delete(self.item_address)
            raise no_memory(self.locator.where, self.locator.name, kind)
        context = _wasmtime.caller_context(self.caller)
        context_argument = _wasmtime.address_argument(context)
        size = _wasmtime.memory_data_size(context, self.memory_address)
        base = _wasmtime.memory_data(context, self.memory_address) or 0
        if self.whole is not None and self.is_shown():
            # It grew while views of it are out: they stay if it stayed where it was, or had nothing to show.
            moved = self.size > 0 and ctypes.addressof(self.whole) != base
            self.forget()
            if moved and _wasmtime.release_views(self.outlived.pop(), moved=True):
                raise ViewEscapedError(self.locator.where)
        whole = _wasmtime.array_at(base, size) if size else (ctypes.c_ubyte * 0)()
        window = memoryview(whole).cast("B")
        (buffer,) = gc.get_referents(window)
        # Without a call in between, so that no signal leaves half of one memory with half of another.
        self.context, self.context_argument = context, context_argument
        self.whole, self.window, self.buffer = whole, window, buffer
        self.size, self.key = size, key

    def is_shown(self) -> bool:
        """Whether anyone has a view of the memory, or the array that it is of."""
        return sys.getrefcount(self.buffer) > FREE or sys.getrefcount(self.whole) > FREE

    def renew(self) -> None:
        """Look at the memory through a buffer of its own: one that no view shares, not even one that has ended."""
        window = memoryview(self.whole).cast("B")
        (buffer,) = gc.get_referents(window)
        self.window, self.buffer = window, buffer

    def forget(self) -> None:
        """Let go of the memory found last; it is found again when it is needed. What showed it is `outlived`."""
        whole, window = self.whole, self.window
        self.whole = self.buffer = None
        self.window, self.size = _NOTHING_SEEN, -1
        self.outlived.append(whole)
        window.release()

    def check_moved(self) -> None:
        """End what the call under way has lent, if the memory is no longer where it was."""
        if self.size <= 0 or self.whole is None:
            return
        base = _wasmtime.memory_data(self.context, self.memory_address)
        if base != ctypes.addressof(self.whole):
            self.forget()
            if _wasmtime.release_views(self.outlived.pop(), moved=True):
                raise ViewEscapedError("guest memory that moved")
