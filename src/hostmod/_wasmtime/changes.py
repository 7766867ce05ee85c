"""wasmtime-py's ways to change a store from outside of a guest: closing it, and growing what it has.

Each is refused while another thread is inside, and what shows memory that goes or moves is ended first.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from threading import get_ident
from typing import Any

import wasmtime

from hostmod._wasmtime import moving, stores, windows
from hostmod.errors import StoreBusyError


def _close(store: wasmtime.Store, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
    if is_finalizing():
        return  # the process ends, and modules may be gone already: what shows memory then is not ended, but left alone
    state = vars(store)
    guard = state.get("_hostmod_guard")
    if guard is None:
        _original_close(store)  # no guest has run in it
        return
    pointer = state["_Store__context"]
    if not pointer:
        return  # it is closed, or another thread is closing it
    if guard.depth:
        raise StoreBusyError(
            "Store.close", "its guest is running", "a store that is not in use", "close it after the call"
        )
    # Closed for everyone else from here on: other threads run while wasmtime deletes it.
    state["_Store__context"] = None
    context = guard.context
    try:
        if "_hostmod_windows" in state:
            windows.end_windows(store, context)
        if stores.escapes:
            stores.refuse_held(context)
    except BaseException:
        state["_Store__context"] = pointer
        raise
    stores.opened.pop(context, None)
    _original_close(store)


_original_close = wasmtime.Store.close


def _grow(memory: wasmtime.Memory, store: Any, delta: int) -> int:
    context = stores.context_address(store)
    owner = stores.store_of(context)
    if owner is not None:
        windows.end_windows(owner, context)
    pages = _original_grow(memory, store, delta)
    if moving.lent or moving.native.lends():
        moving.moved(context)
    return pages


_original_grow = wasmtime.Memory.grow


def _one_at_a_time(owner: type, name: str, change: Callable[..., Any] | None = None) -> None:
    """Have a method of wasmtime-py's be inside its store, like a call of the guest, while it runs."""
    original: Callable[..., Any] = getattr(owner, name)
    change = change or original
    where = owner.__name__ if name == "__init__" else f"{owner.__name__}.{name}"

    @functools.wraps(original)
    def method(self: Any, *arguments: Any, **keywords: Any) -> Any:
        store = (
            self if isinstance(self, wasmtime.Store) else arguments[0] if arguments else keywords.get("store")
        )
        if not isinstance(store, wasmtime.Store):
            return change(self, *arguments, **keywords)  # a Caller's: its thread is inside already
        guard = stores.guard_of(store)
        me = get_ident()
        if guard.depth and guard.owner != me:
            raise StoreBusyError(where)
        guard.owner = me
        guard.depth += 1
        try:
            return change(self, *arguments, **keywords)
        finally:
            guard.depth -= 1

    setattr(owner, name, method)


wasmtime.Store.close = _close  # type: ignore[method-assign,assignment]  # does what it did, if that is safe
_one_at_a_time(wasmtime.Memory, "grow", _grow)
for _owner, _name in (
    (wasmtime.Store, "gc"),
    (wasmtime.Memory, "__init__"),
    (wasmtime.Table, "__init__"),
    (wasmtime.Table, "grow"),
    (wasmtime.Global, "__init__"),
):
    _one_at_a_time(_owner, _name)
