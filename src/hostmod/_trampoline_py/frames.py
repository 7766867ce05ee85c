"""Frames: what generated code reads and writes a call's slots through, and what it has learnt about the memory.

One is kept for each stack address: calls that are under way at the same time are at different addresses, in every
thread and every depth of nesting, so a frame is never shared, and making one again for each call would cost more than
the call does.
"""

from __future__ import annotations

import ctypes
from typing import Any

from hostmod import _ffi
from hostmod.errors import MemoryAccessError, ViewEscapedError

NOTHING = -1
OTHER_STORE = -2


def no_memory(where: str, name: str, kind: int) -> MemoryAccessError:
    """Return the error for a guest whose memory cannot be reached: `kind` is what wasmtime found under its name."""
    if kind == OTHER_STORE:
        return MemoryAccessError(where, "the memory given when linking belongs to another store", name)
    found = {NOTHING: "nothing", _ffi.EXTERN_SHAREDMEMORY: "a shared memory"}.get(kind, "no memory")
    return MemoryAccessError(where, f"the guest exports {found} as {name!r}", name)


class Slots:
    """Typed views of an array of 16-byte slots; ``slots.i[4 * k]`` is core value k as a signed 32-bit integer."""

    __slots__ = ("B", "H", "I", "Q", "address", "b", "d", "f", "h", "i", "q", "raw")

    def __init__(self, address: int, words: int) -> None:
        self.address = address
        self.raw = raw = memoryview(_ffi.array_at(address, words * _ffi.RAW_SIZE)).cast("B")
        for name in "iIqQfdbBhH":
            setattr(self, name, raw.cast(name))  # type: ignore[call-overload]  # a format character from the table


class Frame(Slots):
    """What the calls at one stack address use: the slots, and the guest memory that the last of them found.

    `whole` is a ctypes array over all of it, and what every view that is handed out belongs to; `window` is the
    trampoline's own view, never handed out. While nobody holds a view, two references to `whole` exist besides.
    """

    __slots__ = (
        "_extern",
        "context",
        "item",
        "item_address",
        "key",
        "memory_address",
        "outlived",
        "size",
        "whole",
        "window",
    )

    def __init__(self, address: int, words: int) -> None:
        super().__init__(address, words)
        self._extern = (ctypes.c_ubyte * _ffi.EXTERN_SIZE)()
        self.item = memoryview(self._extern).cast("B")
        self.item_address = ctypes.addressof(self._extern)
        self.memory_address = self.item_address + _ffi.EXTERN_OF
        self.key = b""
        self.context = 0
        self.size = -1
        self.whole: Any = None
        self.window = memoryview(b"")
        self.outlived: list[Any] = []

    def adopt(self, key: bytes, caller: int, where: str, name: str) -> None:
        """Take up a memory that is not the one found last, or has another size now."""
        kind = key[0]
        if kind != _ffi.EXTERN_MEMORY:
            if kind == _ffi.EXTERN_SHAREDMEMORY:
                _ffi.extern_delete(self.item_address)
            raise no_memory(where, name, kind)
        self.context = _ffi.caller_context(caller)
        size = _ffi.memory_data_size(self.context, self.memory_address)
        base = _ffi.memory_data(self.context, self.memory_address) or 0
        self.whole = _ffi.array_at(base, size) if size else (ctypes.c_ubyte * 0)()
        self.window = memoryview(self.whole).cast("B")
        self.size = size
        self.key = key

    def forget(self) -> None:
        """Let go of the memory found last; the next call finds it again. What showed it is `outlived`."""
        self.outlived.append(self.whole)
        self.key = b""
        self.size = -1
        self.whole = None
        self.window.release()
        self.window = memoryview(b"")

    def check_moved(self) -> None:
        """End what the call under way has lent, if the memory is no longer where it was."""
        if self.size <= 0 or self.whole is None:
            return
        base = _ffi.memory_data(self.context, self.memory_address)
        if base != ctypes.addressof(self.whole):
            self.forget()
            if _ffi.release_views(self.outlived.pop(), moved=True):
                raise ViewEscapedError("guest memory that moved")
