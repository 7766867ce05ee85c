"""Every change that hostmod makes to wasmtime-py, each with its reason and its check.

- `Store._context`, `Caller._context`, `StoreContext._context`: what each method of wasmtime-py that takes a store asks
  it for. What they return claims the store for as long as the method's call into wasmtime lasts.
- `Store.close`: refused while the guest runs; what a view still shows stays mapped. `Store.set_limits` takes the
  store's own pointer and not its context.
- `enter_wasm`, where each module imports it: raises the host's own exception, of this thread, and not what one
  process-wide variable holds.
- `Trap` as `_func` looks it up: wasmtime-py's callback makes one of what a host function raised, which is noted here.
- `Linker.define_module`: it instantiates, and has no `enter_wasm`.
- `Caller.get`: asks wasmtime with the caller and not a context, so another thread was not refused.
- `Caller.__init__`: tells where the stack of the thread is.
- `_externref_finalizer`, as `_value` looks it up: an object that goes while the guest's collector is at work could call
  into the store. `Store.gc` lets go of the objects afterwards, as each call does. `_intern` and `_unintern`: in older
  versions, their table is not safe against what objects do that go, nor against a second thread.
- `Config.max_wasm_stack`, `memory_reservation`, `memory_may_move` and `Engine.__init__`: what an engine cannot be asked
  for later.

tests/test_patches.py looks through wasmtime-py for importers, entry points and uses of a context that this list lacks.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import inspect
import sys
import types
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime import _func as wasmtime_func
from wasmtime import _store as wasmtime_store
from wasmtime import _value as wasmtime_value

from hostmod._wasmtime import engine, externref, stack, store, traps
from hostmod._wasmtime.capi import wasmtime_version
from hostmod._wasmtime.store import uninterruptible_entry
from hostmod.errors import InternalError

_TrapPointer = ctypes.POINTER(ffi.wasm_trap_t)


def differs(what: str, expected: str) -> InternalError:
    """Return the error for a wasmtime-py that is not as it has to be for a change to be right."""
    return InternalError(
        f"wasmtime {wasmtime_version()}: {what}, expected {expected}; use a version of wasmtime that hostmod's "
        "documentation names, or a newer hostmod"
    )


# ------------------------------------------------------------------------------------------------ contexts of stores


def _store_context(self: wasmtime.Store) -> Any:
    pointer = self.__dict__["_Store__context"]
    if pointer is None:
        raise ValueError("already closed")
    guard = self.__dict__.get("_hostmod_guard")
    if guard is None:
        guard = store.guard_of(self)
    return pointer if guard.inside else store.parts.hand(guard, "wasmtime")


def _caller_context(self: wasmtime.Caller) -> Any:
    pointer = self.__dict__["_Caller__context"]
    if pointer is None:
        raise ValueError("caller is no longer valid")
    return _of_call(self.__dict__, pointer)


def _component_context(self: Any) -> Any:
    pointer = self.__dict__["_StoreContext__ptr"]
    if pointer is None:
        raise ValueError("caller is no longer valid")
    return _of_call(self.__dict__, pointer)


def _of_call(state: dict[str, Any], pointer: Any) -> Any:
    """Return the context of a call under way to the call's own thread, which is inside."""
    guard = state.get("_hostmod_guard")
    if guard is None:
        guard = store.guard_at(ctypes.addressof(pointer.contents))
        if guard is None:
            return pointer
        state["_hostmod_guard"] = guard
    return pointer if guard.inside else store.parts.hand(guard, "wasmtime.Caller")


def _caller_init(self: wasmtime.Caller, ptr: Any) -> None:
    stack.here.used = ctypes.addressof(ptr.contents)  # wasmtime keeps it on the stack
    _original_caller_init(self, ptr)


_original_caller_init = wasmtime.Caller.__init__


def leave_callers() -> None:
    """Take back the change of `Caller.__init__`: the backend in C sees for itself where the stack is."""
    wasmtime.Caller.__init__ = _original_caller_init  # type: ignore[method-assign]  # as it was


def _caller_get(self: wasmtime.Caller, name: str) -> Any:
    if self.__dict__["_Caller__ptr"] is not None:
        self._context()  # for its error in any other thread than the call's
    return _original_caller_get(self, name)


_original_caller_get = wasmtime.Caller.get


def _define_module(self: wasmtime.Linker, store: Any, name: str, module: wasmtime.Module) -> None:
    with Entry(store):  # it runs a start function
        _original_define_module(self, store, name, module)


_original_define_module = wasmtime.Linker.define_module
_define_module.__doc__ = _original_define_module.__doc__


def _set_limits(self: wasmtime.Store, *arguments: Any, **keywords: Any) -> None:
    entered = store.parts.Entered(store.guard_of(self), "Store.set_limits", False)
    try:
        _original_set_limits(self, *arguments, **keywords)
    finally:
        del entered


_original_set_limits = wasmtime.Store.set_limits


def _gc(self: wasmtime.Store) -> None:
    _original_gc(self)
    externref.drop()


_original_gc = wasmtime.Store.gc
_gc.__doc__ = _original_gc.__doc__


# -------------------------------------------------------------------------------------------- what a call has raised


class Entry:
    """A call of a guest by wasmtime-py: raises what ended it. Its store is entered by what `_context` returns."""

    __slots__ = ("_reference", "_trap", "_used")

    def __init__(self, store: Any) -> None:
        self._trap: Any = _TrapPointer()
        self._reference = ctypes.byref(self._trap)
        self._used = stack.here.used  # the pure backend's callbacks set it

    def __enter__(self) -> Any:
        return self._reference

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        here = stack.here
        here.used = self._used
        if here.held:
            externref.release(self._used)
        if externref.dropped:
            externref.drop()
        if error is None and not self._trap:  # null is false
            return
        _raise_failure(self._trap, error)


uninterruptible_entry(Entry.__exit__)  # type: ignore[arg-type]  # a function


def _raise_failure(trap: Any, error: BaseException | None) -> None:
    """Raise what ended a call of a guest: the host's own exception, if there was one."""
    given = wasmtime.Trap._from_ptr(trap) if trap else None  # null is false
    found = given if error is None else error
    mine = traps.take_raised(found) if isinstance(found, wasmtime.Trap | wasmtime.WasmtimeError) else None
    if mine is not None:
        traps.reraise(mine)
    if error is None and given is not None:
        raise given


class _CallbackTrap(wasmtime.Trap):
    """The trap that wasmtime-py's callback makes for what it has caught."""

    def __init__(self, message: str) -> None:
        error = sys.exc_info()[1]
        super().__init__(message)
        if error is not None:
            traps.raised.add(message, error)


_ENTERS = {
    "POINTER",
    "ffi",
    "wasm_trap_t",
    "byref",
    "Trap",
    "_from_ptr",
    "maybe_raise_last_exn",
    "WasmtimeError",
}
"""Names that wasmtime-py's `enter_wasm` uses: another one may do more than is done here in its place."""


def importers() -> list[types.ModuleType]:
    """Find wasmtime-py's modules that enter guests by `enter_wasm` of `_func`."""
    names = ("_func", "_instance", "_linker", "_instance_pre")
    found = []
    for name in names:
        try:
            module = importlib.import_module(f"wasmtime.{name}")
        except ModuleNotFoundError:  # _instance_pre is there since wasmtime 48
            continue
        if hasattr(module, "enter_wasm"):
            found.append(module)
    return found


# ------------------------------------------------------------------------------------------------- settings of engines


def _set_stack(self: wasmtime.Config, size: int) -> None:
    assert _original_stack.fset is not None  # checked below
    _original_stack.fset(self, size)
    engine.note_stack(self, size)


def _noting(name: str) -> property:
    """Return a property of Config that notes what it is set to."""
    original: property = inspect.getattr_static(wasmtime.Config, name)
    fset = original.fset
    assert fset is not None  # checked below

    def set_value(self: wasmtime.Config, value: Any) -> None:
        fset(self, value)
        engine.note_memory(self, name, value)

    return property(None, set_value, None, original.__doc__)


_MEMORY_SETTINGS = ("memory_reservation", "memory_may_move")
"""Settings of memories that engines do not tell; wasmtime-py has them since 45."""


_original_stack: property = inspect.getattr_static(wasmtime.Config, "max_wasm_stack", property())


@functools.wraps(wasmtime.Engine.__init__)
def _engine_init(self: wasmtime.Engine, config: wasmtime.Config | None = None) -> None:
    _original_engine_init(self, config)
    engine.note_engine(self, config)


_original_engine_init = wasmtime.Engine.__init__


# --------------------------------------------------------------------------------------------------------- installing


def _install() -> None:
    """Check that wasmtime-py is as expected, and make the changes; InternalError, and none made, if it is not."""
    kinds = {
        "Store": (wasmtime.Store, "_Store__context", _store_context),
        "Caller": (wasmtime.Caller, "_Caller__context", _caller_context),
        "StoreContext": (
            getattr(wasmtime_store, "StoreContext", None),
            "_StoreContext__ptr",
            _component_context,
        ),
    }
    for name, (cls, attribute, _) in kinds.items():
        code = None if cls is None else getattr(vars(cls).get("_context"), "__code__", None)
        if cls is None and name == "StoreContext":
            continue  # there since wasmtime 37
        if code is None or attribute not in code.co_names:
            raise differs(f"{name}._context does not use {attribute}", "a method that returns it")
    original = wasmtime_func.enter_wasm
    code = getattr(getattr(original, "__wrapped__", None), "__code__", None)
    if code is None or set(code.co_names) != _ENTERS:
        raise differs("_func.enter_wasm is another function", "the one that hostmod replaces")
    if getattr(wasmtime_func, "Trap", None) is not wasmtime.Trap:
        raise differs("_func has no Trap of its own", "wasmtime.Trap, of which its callback makes one")
    if "_context" in vars(wasmtime.Store).get("set_limits", _install).__code__.co_names:
        raise differs("Store.set_limits uses a context", "the store's pointer")
    if not isinstance(getattr(wasmtime_value, "_externref_finalizer", None), type(externref.finalizer)):
        raise differs("_value has no _externref_finalizer", "a C function that takes the handle of an object")
    modules = importers()
    for module in modules:
        if module.enter_wasm is not original:
            raise differs(f"{module.__name__}.enter_wasm is another function", "that of _func")
    # Nothing is changed before everything was looked at.
    for cls, _, method in kinds.values():
        if cls is not None:
            cls._context = method  # type: ignore[union-attr]  # as was checked
    wasmtime.Store.close = store.close  # type: ignore[assignment,method-assign]  # does what it did, and more
    wasmtime.Store.set_limits = _set_limits  # type: ignore[method-assign]  # the same, inside
    wasmtime.Store.gc = _gc  # type: ignore[method-assign]  # the same, and what the objects' finalizers do afterwards
    wasmtime_value._externref_finalizer = externref.finalizer  # as was checked
    wasmtime_value._intern, wasmtime_value._unintern = externref.intern, externref.unintern
    wasmtime.Caller.__init__ = _caller_init  # type: ignore[method-assign]  # the same, and notes the stack
    wasmtime.Caller.get = _caller_get  # type: ignore[method-assign]  # the same, on the call's own thread
    wasmtime.Linker.define_module = _define_module  # type: ignore[method-assign]  # the same, with the host's exception
    for module in modules:
        module.enter_wasm = Entry  # type: ignore[attr-defined]  # their name for it
    wasmtime_func.Trap = _CallbackTrap  # type: ignore[attr-defined]  # what its callback looks up
    if _original_stack.fset is not None:
        wasmtime.Config.max_wasm_stack = property(  # type: ignore[method-assign]  # a property like it
            None, _set_stack, None, _original_stack.__doc__
        )
    for name in _MEMORY_SETTINGS:
        if getattr(inspect.getattr_static(wasmtime.Config, name, None), "fset", None) is not None:
            setattr(wasmtime.Config, name, _noting(name))
    wasmtime.Engine.__init__ = _engine_init  # type: ignore[method-assign]  # the same, and notes the Config


_install()
