"""Stores: their contexts, the thread that is inside, and what keeps one from running and closing."""

from __future__ import annotations

import ctypes
import gc
import sys
import weakref
from collections.abc import Callable
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi

from hostmod.errors import ViewEscapedError


class Guard:
    """Which thread is inside a store, and how many calls deep.

    Two plain attributes: neither a signal nor another thread can come between a check and what follows from it, as
    they could with the calls of a lock.
    """

    __slots__ = ("depth", "owner")

    def __init__(self) -> None:
        self.depth = 0
        self.owner = 0


new_guard: Callable[[], Any] = Guard
"""Makes what guards a store; the C trampoline puts its own here, which has the same attributes."""


def guard_of(store: Any) -> Any:
    """Return the `Guard` of a store, kept with the store."""
    state: dict[str, Any] = store.__dict__
    guard = state.get("_hostmod_guard")
    if guard is not None:
        return guard
    if "_Store__context" not in state:
        return new_guard()  # a Caller's: its thread is inside already
    return state.setdefault("_hostmod_guard", new_guard())


def raw_caller(address: int) -> wasmtime.Caller:
    """Make wasmtime-py's Caller of a callback's caller; end it with `_invalidate`."""
    return wasmtime.Caller(ctypes.cast(address, ctypes.POINTER(ffi.wasmtime_caller_t)))


def context_address(store: Any) -> int:
    """Return the address of a store's context; ValueError if it is closed."""
    return ctypes.addressof(store._context().contents)


def open_context(store: Any) -> int:
    """Return the address of a store's context, held or not; ValueError if it is closed."""
    return ctypes.addressof(type(store)._context(store).contents)


def store_of(context: int) -> wasmtime.Store | None:
    """Find the Python object of a store by the address of its context, or None if there is none."""
    for found in gc.get_objects():
        if isinstance(found, wasmtime.Store):
            pointer = getattr(found, "_Store__context", None)
            if pointer and ctypes.addressof(pointer.contents) == context:
                return found
    return None


_escapes: dict[int, tuple[weakref.ref[Any], wasmtime.Store]] = {}
"""What shows a store's memory and could not be ended, with the store, which has to stay for as long. Law 5 asks for no
registries: this one is emptied by whoever kept the view, the moment they let it go."""


def hold_store(store: wasmtime.Store | None, array: Any, where: str) -> None:
    """Keep a store alive, and from running and closing, for as long as `array`, which shows its memory, is alive."""
    if store is None:
        return
    attributes = vars(store)

    def refuse(*_: object) -> Any:
        raise ViewEscapedError(where)

    def keep(_: object) -> None:
        if not sys.is_finalizing():
            raise ViewEscapedError(where)

    def let_go(reference: weakref.ref[Any]) -> None:
        _, mine = _escapes.pop(id(reference))
        if not any(other is mine for _, other in list(_escapes.values())):
            vars(mine).pop("_context", None)
            vars(mine).pop("_delete", None)

    reference = weakref.ref(array, let_go)
    _escapes[id(reference)] = reference, store
    attributes["_context"] = refuse
    attributes["_delete"] = keep
