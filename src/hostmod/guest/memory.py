"""The memory of a guest, for as long as its store is open."""

from __future__ import annotations

import ctypes
from typing import Any

import wasmtime

from hostmod import _ffi
from hostmod.errors import StaleMemoryError, StoreBusyError
from hostmod.memory import Memory


class GuestMemory(Memory):
    """The memory of a guest, for as long as its store is open. Growth is seen at once."""

    __slots__ = ("_address", "_base", "_lent", "_memory", "_size", "_store", "_view", "_whole")

    def __init__(self, store: Any, memory: wasmtime.Memory) -> None:
        self._store = store
        self._memory = memory._memory
        self._address = ctypes.addressof(self._memory)
        self._size = self._base = -1
        self._whole: Any = None
        self._view = memoryview(b"")

    def _window(self) -> memoryview:
        try:
            context = _ffi.open_context(self._store)
        except ValueError:
            raise StaleMemoryError("its store is closed", "use it before closing the guest") from None
        size = _ffi.memory_data_size(context, self._address)
        base = _ffi.memory_data(context, self._address) or 0
        if size != self._size or base != self._base:
            self._whole = _ffi.array_at(base, size) if size else (ctypes.c_ubyte * 0)()
            self._view = memoryview(self._whole).cast("B")
            self._size, self._base = size, base
        return self._view

    def view(self, offset: int, length: int) -> memoryview:
        """Lend `length` bytes at `offset` without a copy.

        While the view (or a numpy array made of it) is alive, the store neither runs nor closes: release it first, or
        write ``with memory.view(0, 16) as data:``.
        """
        if _ffi.guard_of(self._store).depth:
            raise StoreBusyError(
                "Guest.memory.view",
                "its guest is running",
                "a view that ends with the call",
                "write Caller.memory.view in a host function",
            )
        end = self.end(offset, length)
        if not self._size:
            return memoryview(bytearray())
        array = _ffi.array_at(self._base, self._size)
        _ffi.hold_store(self._store, array, "Guest.memory.view")
        with memoryview(array) as root, root.cast("B") as flat:
            return flat[offset:end]

    def grow(self, pages: int) -> int:
        """Grow by a number of 64 KiB pages; returns how many there were. wasmtime.WasmtimeError past its maximum."""
        memory = wasmtime.Memory._from_raw(self._memory)
        return memory.grow(self._store, pages)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GuestMemory):
            return NotImplemented
        return self._store is other._store and bytes(self._memory) == bytes(other._memory)

    def __hash__(self) -> int:
        return hash((id(self._store), bytes(self._memory)))

    def __repr__(self) -> str:
        return f"<guest memory of {len(self._window())} bytes>"
