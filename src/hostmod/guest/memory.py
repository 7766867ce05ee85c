"""The memory of a guest, for as long as its store is open."""

from __future__ import annotations

from typing import Any

import wasmtime

from hostmod import _wasmtime
from hostmod.errors import StaleMemoryError, StoreBusyError
from hostmod.memory import Memory


def closed() -> StaleMemoryError:
    """Return the error for memory of a store that is closed."""
    return StaleMemoryError("its store is closed", "use it before closing the guest")


class GuestMemory(Memory):
    """The memory of a guest, for as long as its store is open. Growth is seen at once."""

    __slots__ = ("_memory", "_store", "_through")

    def __init__(self, store: Any, memory: wasmtime.Memory) -> None:
        self._store = store
        self._memory = memory._memory
        self._through = _wasmtime.Window(store, self._memory)

    def _window(self) -> memoryview:
        try:
            return self._through.look()
        except ValueError:
            raise closed() from None

    def find(self, byte: int, offset: int, limit: int | None = None) -> int:
        window = self._window()
        try:
            return super().find(byte, offset, limit)
        except ValueError:
            if self._window() is window:
                raise
            return self.find(byte, offset, limit)  # the memory was grown meanwhile, by a signal's handler

    def view(self, offset: int, length: int) -> memoryview:
        """Lend `length` bytes at `offset` without a copy.

        While the view (or a numpy array made of it) is alive, the store neither runs nor closes: release it first, or
        write ``with memory.view(0, 16) as data:``.
        """
        if _wasmtime.guard_of(self._store).depth:
            raise StoreBusyError(
                "Guest.memory.view",
                "its guest is running",
                "a view that ends with the call",
                "write Caller.memory.view in a host function",
            )
        end = self.end(offset, length)
        try:
            base, size = self._through.place()
            if not size:
                return memoryview(bytearray())
            array = _wasmtime.array_at(base, size)
            _wasmtime.hold_store(_wasmtime.open_context(self._store), array, "Guest.memory.view")
            if self._through.place() != (base, size):  # before the store was held
                return self.view(offset, length)
        except ValueError:
            raise closed() from None
        with memoryview(array) as root, root.cast("B") as flat:
            return flat[offset:end]

    def grow(self, pages: int) -> int:
        """Grow by a number of 64 KiB pages; returns how many there were. wasmtime.WasmtimeError past its maximum."""
        memory = wasmtime.Memory._from_raw(self._memory)
        try:
            return memory.grow(self._store, pages)
        except ValueError:
            raise closed() from None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GuestMemory):
            return NotImplemented
        identity = _wasmtime.memory_identity
        return self._store is other._store and identity(self._memory) == identity(other._memory)

    def __hash__(self) -> int:
        return hash((id(self._store), _wasmtime.memory_identity(self._memory)))

    def __repr__(self) -> str:
        try:
            return f"<guest memory of {len(self._window())} bytes>"
        except StaleMemoryError:
            return "<guest memory, closed>"
