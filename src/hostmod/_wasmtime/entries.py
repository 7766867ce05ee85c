"""wasmtime-py's own ways into a guest, which do what hostmod's do.

Func.__call__, Linker.instantiate and Instance enter a guest by one context manager, which raises what one
process-wide variable holds. It is replaced by one that does what hostmod's own calls do: the thread's own exception,
one thread a store, and an eye on views. What a function made by `Linker.define_func` raises is taken from
wasmtime-py's callback, where it makes its trap.
"""

from __future__ import annotations

import ctypes
import logging
import sys
import types
from threading import get_ident
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime import _func as wasmtime_func
from wasmtime import _instance as wasmtime_instance
from wasmtime import _linker as wasmtime_linker

from hostmod._wasmtime import moving, stores, traps
from hostmod._wasmtime.moving import lent
from hostmod._wasmtime.signals import uninterruptible_entry
from hostmod._wasmtime.structures import WASMTIME_VERSION
from hostmod.errors import StoreBusyError, ViewEscapedError

logger = logging.getLogger("hostmod")

_TrapPointer = ctypes.POINTER(ffi.wasm_trap_t)


class Entry:
    """A call of a guest by wasmtime-py."""

    __slots__ = ("_guard", "_reference", "_store", "_trap", "_watched")

    def __init__(self, store: Any) -> None:
        self._guard = stores.guard_of(store)
        self._store = store
        self._trap = _TrapPointer()
        self._reference = ctypes.byref(self._trap)
        self._watched = 0

    def __enter__(self) -> Any:
        guard = self._guard
        context = stores.context_address(self._store) if lent else 0
        watch = context != 0 and moving.lends(context)
        me = get_ident()
        if guard.depth and guard.owner != me:
            raise StoreBusyError("wasmtime")
        # From the check on no other thread has a turn and no signal is handled: __exit__ gives back all of it.
        guard.owner = me
        guard.depth += 1
        if watch:
            self._watched = context
            moving.watched += (context,)
        return self._reference

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._guard.depth -= 1
        if self._watched:
            moving.watched.remove(self._watched)
        if error is not None or bool(self._trap) or self._watched or moving.native.lends():
            left(self._store, self._trap, error)


uninterruptible_entry(Entry.__exit__)  # type: ignore[arg-type]  # a function


def left(store: Any, trap: Any, error: BaseException | None) -> None:
    """Raise what ended a call of a guest, if anything did, when there is no hostmod call in between.

    Args:
        store: whose guest it was.
        trap: a pointer to the trap that wasmtime gave, null for none.
        error: what wasmtime-py has raised.
    """
    found = wasmtime.Trap._from_ptr(trap) if error is None and bool(trap) else error  # null is false
    moved_error: BaseException | None = None
    try:
        if lent or moving.native.lends():
            moving.moved(stores.open_context(store))
    except ViewEscapedError as raised:
        moved_error = raised
    if found is None:
        if moved_error is not None:
            raise moved_error
        return
    mine = traps.take_raised(found) if isinstance(found, wasmtime.Trap | wasmtime.WasmtimeError) else None
    if mine is not None:
        traps.reraise(mine)
    if error is None:
        raise found


class _CallbackTrap(wasmtime.Trap):
    """The trap that wasmtime-py's callback makes for what it has caught."""

    def __init__(self, message: str) -> None:
        error = sys.exc_info()[1]
        super().__init__(message)
        if error is not None:
            traps.raised.error = error
            traps.raised.message = message


PARTS = Entry, left, lent, _TrapPointer, ctypes.byref, stores.opened
"""What the C trampoline's Entry is made of, which does the same for a call that there is nothing to say about."""

_MODULES = (wasmtime_func, wasmtime_instance, wasmtime_linker)


def _install() -> bool:
    """Put `Entry` in the place of wasmtime-py's context manager, if that is as expected."""
    original = wasmtime_func.enter_wasm
    code = getattr(getattr(original, "__wrapped__", None), "__code__", None)
    expected = {
        "POINTER",
        "ffi",
        "wasm_trap_t",
        "byref",
        "Trap",
        "_from_ptr",
        "maybe_raise_last_exn",
        "WasmtimeError",
    }
    if (
        not isinstance(code, types.CodeType)
        or set(code.co_names) != expected
        or any(getattr(module, "enter_wasm", None) is not original for module in _MODULES)
        or getattr(wasmtime_func, "Trap", None) is not wasmtime.Trap
    ):
        logger.warning(
            "wasmtime %s: enter_wasm is not as expected; "
            "calls of wasmtime's own Func raise Trap in place of the host's exception",
            WASMTIME_VERSION,
        )
        return False
    enter_by(Entry)
    wasmtime_func.Trap = _CallbackTrap  # type: ignore[attr-defined]  # what its callback looks up
    return True


def enter_by(entry: type) -> None:
    """Have wasmtime-py enter guests by `Entry`, or by what does the same."""
    for module in _MODULES:
        module.enter_wasm = entry  # type: ignore[attr-defined]  # their name for it


entries_raise_original = _install()
"""Whether wasmtime-py's own entries raise the host's exception (else: a Trap that says what was raised where)."""
