"""Stores: their contexts, the thread that is inside, and what keeps one from running and closing."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi

from hostmod.errors import ViewEscapedError


class Guard:
    """Which thread is inside a store, and how many calls deep.

    Plain attributes: neither a signal nor another thread can come between a check and what follows from it, as
    they could with the calls of a lock.
    """

    __slots__ = ("context", "depth", "owner")

    def __init__(self, context: int = 0) -> None:
        self.context = context
        self.depth = 0
        self.owner = 0


opened: dict[int, weakref.ref[wasmtime.Store]] = {}
"""The guarded stores that are open, by the addresses of their contexts: wasmtime gives a callback no more than that.
Law 5 asks for no registries: this one owns nothing, and closing a store takes it out."""


def _guard_of(store: Any) -> Any:
    state: dict[str, Any] = store.__dict__
    guard = state.get("_hostmod_guard")
    if guard is not None:
        return guard
    pointer = state.get("_Store__context")
    if not pointer:
        return Guard()  # of a Caller, whose thread is inside already, or of what is closed
    context = ctypes.addressof(pointer.contents)
    guard = state.setdefault("_hostmod_guard", Guard(context))
    opened[context] = weakref.ref(store)
    return guard


make_guard: Callable[[Any], Any] = _guard_of
"""What does it; the C trampoline puts its own here, whose guards have the same attributes."""


def guard_of(store: Any) -> Any:
    """Return the `Guard` of a store, kept with the store, which is one of the `opened` from then on."""
    return make_guard(store)


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
    """Return the open store with a context of this address, or None for one that was never guarded."""
    reference = opened.get(context)
    return None if reference is None else reference()


def owns(store: Any, item: Any) -> bool:
    """Whether one of wasmtime's structures is of a store: given one of another's, wasmtime ends the process."""
    owner = store_of(context_address(store)) or store
    number = vars(owner).get("_hostmod_number")
    if number is None:
        # What is of a store has its number, and the store itself does not tell it.
        made = wasmtime.Global(store, wasmtime.GlobalType(wasmtime.ValType.i32(), False), wasmtime.Val.i32(0))
        number = vars(owner)["_hostmod_number"] = _number_in(made._global)
    return _number_in(item) == number


def _number_in(item: Any) -> int:
    return ctypes.c_uint64.from_buffer(item).value


def engine_of(store: Any) -> wasmtime.Engine | None:
    """Return the engine of a store, or of a Caller's store; None if that is not known."""
    owner = store if isinstance(store, wasmtime.Store) else store_of(context_address(store))
    return None if owner is None else owner.engine


escapes: dict[int, tuple[weakref.ref[Any], int, str, wasmtime.Store | None]] = {}
"""What shows a store's memory and could not be ended, with the store, which has to stay for as long. Law 5 asks for no
registries: this one is emptied by whoever kept the view, the moment they let it go."""


def hold_store(context: int, array: Any, where: str) -> None:
    """Keep a store alive, and from running and closing, for as long as `array`, which shows its memory, is alive."""
    store = store_of(context)

    def refuse(*_: object) -> Any:
        raise ViewEscapedError(where)

    def let_go(reference: weakref.ref[Any]) -> None:
        _, _, _, mine = escapes.pop(id(reference))
        if mine is not None and not any(other is mine for *_, other in list(escapes.values())):
            vars(mine).pop("_context", None)

    reference = weakref.ref(array, let_go)
    escapes[id(reference)] = reference, context, where, store
    if store is not None:
        vars(store)["_context"] = refuse


def refuse_held(context: int) -> None:
    """Raise ViewEscapedError if a store is held."""
    for _, other, where, _ in list(escapes.values()):
        if other == context:
            raise ViewEscapedError(where)
