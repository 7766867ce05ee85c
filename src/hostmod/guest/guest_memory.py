"""`GuestMemory`: a guest's memory outside of calls, for as long as its store is open."""

from __future__ import annotations

import sys
from threading import get_ident
from typing import Any

import wasmtime

from hostmod import _wasmtime
from hostmod._wasmtime import views
from hostmod._wasmtime.store import parts
from hostmod.errors import StaleMemoryError, StoreBusyError, store_closed
from hostmod.memory import Memory

_GIL = getattr(sys, "_is_gil_enabled", lambda: True)()
"""Whether this process has a GIL. Source: CPython's documentation of sys._is_gil_enabled, 3.13 and later."""


class GuestMemory(Memory):
    """The memory of a guest, for as long as its store is open. Growth is seen at once.

    Another thread than the one inside the store gets StoreBusyError.
    """

    __slots__ = ("_entries", "_guard", "_key", "_memory", "_seen", "_store")

    def __init__(self, store: Any, memory: wasmtime.Memory) -> None:
        self._store = store
        self._memory = memory._memory
        self._key = bytes(memory._memory)
        self._guard = _wasmtime.guard_of(store)
        self._seen: views.Window | None = None
        self._entries = -1

    def _through(self) -> views.Window:
        """Return the window on the memory at its present size."""
        guard = self._guard
        seen = self._seen
        # Outside of its guest's calls a memory is as it was when the store was entered last.
        if seen is not None and not guard.depth and guard.entries == self._entries and seen.size >= 0:
            return seen
        if not guard.context:
            raise store_closed()
        inside = guard.depth
        if inside and guard.owner != get_ident():
            raise StoreBusyError("Guest.memory")
        entered = parts.Entered(guard, "Guest.memory", False)
        try:
            if not guard.context:
                raise store_closed()
            # In a call, what was found holds for this use only: the guest goes on without entering anew.
            entries = -1 if inside else guard.entries
            seen = views.window_on(guard, self._key)
            self._seen, self._entries = seen, entries
            return seen
        finally:
            del entered

    def _window(self) -> memoryview:
        seen = self._through()
        if _GIL:
            return seen.view
        # Without it, threads must not use one memoryview at once (CPython gh-127716).
        try:
            return memoryview(seen.export()).cast("B")
        except ValueError:
            raise store_closed() from None

    def find(self, byte: int, offset: int, limit: int | None = None) -> int:
        view = self._window()
        try:
            return super().find(byte, offset, limit)
        except ValueError:
            if self._window() is view:
                raise
            return self.find(byte, offset, limit)  # the memory has moved meanwhile, by a signal's handler

    def view(self, offset: int, length: int) -> memoryview:
        """Show `length` bytes at `offset` without a copy.

        The view, its slices, and a numpy array made of it may stay: the memory is there for as long as they are, even
        after the guest was closed. A view of a memory that can move (a 64-bit one, or one of an engine that reserves
        less than 4 GiB) ends before the guest runs again.

        Raises:
            SegmentationFault: the range is not wholly inside the memory.
            StaleMemoryError: the guest is closed.
            StoreBusyError: the guest is running; `Caller.memory` has views that end with the call.
        """
        if self._guard.depth:
            raise StoreBusyError(
                "Guest.memory.view",
                "its guest is running",
                "a view that ends with the call",
                "write Caller.memory.view in a host function",
            )
        end = self.end(offset, length)
        for _ in range(views.ROUNDS):
            shown = views.show(self._through(), end - length, end)
            if shown is not None:
                return shown
        raise views.nested()

    def grow(self, pages: int) -> int:
        """Grow by a number of 64 KiB pages; returns how many there were. wasmtime.WasmtimeError past its maximum."""
        memory = wasmtime.Memory._from_raw(self._memory)
        try:
            return memory.grow(self._store, pages)
        except ValueError:
            raise store_closed() from None

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
