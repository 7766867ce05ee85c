"""Windows on a store's memory for code outside of calls: they end when the store closes or its memory is grown."""

from __future__ import annotations

import ctypes
import gc
import sys
import weakref
from threading import get_ident
from typing import Any

from hostmod._wasmtime import library, stores, views
from hostmod._wasmtime.signals import uninterruptible_entry
from hostmod.errors import StoreBusyError

_CONTEXTS = "_Store__context", "_Caller__context", "_StoreContext__ptr"
"""Where wasmtime-py's kinds of stores keep their contexts; None once they are closed."""

_FREE = 3
"""References to what a view and its slices share while there are no slices: the name, the view, the argument."""


class Window:
    """Shows a memory of a store, at its present size.

    Signals are handled, and threads take turns, in between any two of the calls below, and what runs then may close
    the store. So the context is an argument that looks for itself: wasmtime is called with what was true just before.
    And what shows the memory has an end that is told apart, by `look` and by whoever uses what it returned.
    """

    __slots__ = ("__weakref__", "_guard", "_key", "_memory", "_seen", "_state")

    def __init__(self, store: Any, memory: Any) -> None:
        self._state = vars(store)
        self._key = next(key for key in _CONTEXTS if key in self._state)
        self._memory = memory
        self._seen: tuple[int, int, memoryview, Any, Any] = (-1, -1, memoryview(b""), None, None)
        self._guard = stores.guard_of(store)
        context = self._state[self._key]
        owner = stores.store_of(ctypes.addressof(context.contents)) if context else None  # null is closed
        if owner is not None:
            self._guard = stores.guard_of(owner)
            vars(owner).setdefault("_hostmod_windows", weakref.WeakSet()).add(self)

    def _as_parameter_(self) -> Any:
        """What ctypes passes for this as an argument, and asks for last: the context."""
        context = self._state[self._key]
        if context is None:
            raise ValueError
        return context

    uninterruptible_entry(_as_parameter_)  # type: ignore[arg-type]  # a function
    _as_parameter_ = property(_as_parameter_)  # type: ignore[assignment]  # as ctypes has it

    def place(self) -> tuple[int, int]:
        """Return where the memory is and its size; ValueError if the store is closed, StoreBusyError if another thread
        is inside."""
        guard = self._guard
        if guard.depth and guard.owner != get_ident():
            raise StoreBusyError("Guest.memory")
        address = ctypes.addressof(self._memory)
        try:
            size = library.memory_data_size(self, address)
            return library.memory_data(self, address) or 0, size
        except ctypes.ArgumentError:
            raise ValueError("already closed") from None

    def look(self) -> memoryview:
        """Return a view of the whole memory, for use before anything else runs; errors as of `place`."""
        while True:
            base, size = self.place()
            seen = self._seen
            if seen[0] == base and seen[1] == size:
                return seen[2]
            array = views.array_at(base, size) if size else (ctypes.c_ubyte * 0)()
            view = memoryview(array).cast("B")
            self._seen = (base, size, view, array, *gc.get_referents(view))

    def end(self, context: int) -> None:
        """End what shows the memory; what cannot be ended, since it is in use at this very moment, holds the store."""
        _, _, view, array, buffer = self._seen
        if array is None:
            return
        self._seen = (-1, -1, view, None, None)
        try:
            view.release()
            shown = sys.getrefcount(buffer) > _FREE
        except BufferError:
            shown = True
        if shown and views.release_views(array):
            stores.hold_store(context, array, "Guest.memory")


def end_windows(store: Any, context: int) -> None:
    """End the windows on a store's memories."""
    for each in list(vars(store).get("_hostmod_windows", ())):
        each.end(context)
