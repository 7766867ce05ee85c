"""Reads the imports and exports of modules, defines host functions in linkers, and instantiates."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime._extern import wrap_extern

from hostmod._wasmtime import capi
from hostmod._wasmtime.capi import core_name

CoreTypes = tuple[tuple[str, ...], tuple[str, ...]]
"""The core types of a function's parameters, and of its results."""


_one_at_a_time = threading.RLock()
"""wasmtime works a function type's parameters out when they are first asked for: two threads must not do so at once."""


class Extern:
    """An import or export of a module: its name, and its kind and type, which are asked for when they are needed."""

    __slots__ = ("_core_types", "_raw", "_type", "name")

    def __init__(self, raw: Any) -> None:
        self.name: str = raw.name or ""
        self._raw = raw
        self._type: Any = None
        self._core_types: CoreTypes | None = None

    @property
    def type(self) -> Any:
        """wasmtime-py's type of it."""
        found = self._type
        if found is None:
            with _one_at_a_time:
                found = self._type = self._raw.type
        return found

    @property
    def kind(self) -> str:
        """The text format's word: func, memory, table, global or tag."""
        return type(self.type).__name__.removesuffix("Type").lower()

    @property
    def core_types(self) -> CoreTypes:
        """The core types of a function."""
        found = self._core_types
        if found is None:
            with _one_at_a_time:
                found = self._core_types = core_names(self.type.params), core_names(self.type.results)
        return found


class Import(Extern):
    """An import: `module` is the name of the module that it is to come from."""

    __slots__ = ("module",)

    def __init__(self, raw: wasmtime.ImportType) -> None:
        super().__init__(raw)
        self.module = raw.module


def core_names(types: Iterable[wasmtime.ValType]) -> tuple[str, ...]:
    """Spell value types as the text format does."""
    return tuple(core_name(each) for each in types)


def imports_of(module: wasmtime.Module) -> tuple[Import, ...]:
    """Return the imports of a module, in its order; some may have the same name."""
    state = vars(module)
    found: tuple[Import, ...] | None = state.get("_hostmod_imports")
    if found is None:
        found = state["_hostmod_imports"] = tuple(map(Import, module.imports))
    return found


def exports_of(module: wasmtime.Module) -> Mapping[str, Extern]:
    """Return the exports of a module by name, in its order."""
    state = vars(module)
    found: dict[str, Extern] | None = state.get("_hostmod_exports")
    if found is None:
        found = state["_hostmod_exports"] = {each.name: each for each in map(Extern, module.exports)}
    return found


_incref = ctypes.pythonapi.Py_IncRef
_incref.argtypes = [ctypes.py_object]
_incref.restype = None
_decref = ctypes.pythonapi.Py_DecRef
_decref.argtypes = [ctypes.c_void_p]
_decref.restype = None


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)  # type: ignore[untyped-decorator]  # what ctypes makes has no type to give
def _release(address: int, decref: Callable[[int], None] = _decref) -> None:
    """Drop the reference that C held; wasmtime calls it when the last linker and store with a function are gone."""
    decref(address)


# Linkers and stores can outlive this module when the interpreter ends: what they call then has to be there still.
_incref(_release)
_release_address = ctypes.cast(_release, ctypes.c_void_p)


def define_callback(
    linker: int, module: bytes, name: bytes, type: int, callback: int, env: object, owned: bool = True
) -> int | None:
    """Define a ctypes callback in a linker; returns the address of an error, or None.

    `env` is wasmtime's if it is to be `owned`; else the caller keeps it for as long as the linker and all stores that
    it instantiates in.
    """
    if owned:
        _incref(env)
    # From here on wasmtime owns that reference: on an error too, it runs the finalizer.
    error: int | None = capi.linker_define(
        linker, module, len(module), name, len(name), type, callback, env, _release_address if owned else None
    )
    return error


def linker_address(linker: wasmtime.Linker) -> int:
    """Return the address of a wasmtime_linker_t; ValueError if it is closed."""
    return ctypes.addressof(linker.ptr().contents)


_clone: Any = getattr(ffi, "wasmtime_linker_clone", None)
_linker: Any = functools.partial(object.__new__, wasmtime.Linker)


def copy_linker(linker: wasmtime.Linker) -> wasmtime.Linker | None:
    """Return a linker of the same definitions, which gains others without this one; None if wasmtime has no way."""
    if _clone is None:
        return None
    made = _linker()
    made._set_ptr(_clone(linker.ptr()))
    made.engine = linker.engine
    return made  # type: ignore[no-any-return]  # made of the class above


def wasmtime_error(address: int) -> wasmtime.WasmtimeError:
    """Take over a wasmtime_error_t."""
    return wasmtime.WasmtimeError._from_ptr(ctypes.cast(address, ctypes.POINTER(ffi.wasmtime_error_t)))


_FUNCTION: Any = ffi.WASMTIME_EXTERN_FUNC.value
_function = wasmtime.Func._from_raw
_store: Any = functools.partial(object.__new__, wasmtime.Store)
_NO_FINALIZER = ctypes.cast(0, ctypes.CFUNCTYPE(None, ctypes.c_void_p))

_store_as_known = {*wasmtime.Store.__init__.__code__.co_names} - {"c_void_p"} == {
    "Engine", "isinstance", "TypeError", "cast", "CFUNCTYPE", "value", "_intern", "_externref_finalizer", "_set_ptr",
    "ffi", "wasmtime_store_new", "ptr", "wasmtime_store_context", "_Store__context", "engine",
}  # fmt: skip
"""Whether `wasmtime.Store()` does what `new_store` does, and no more."""


def new_store(engine: wasmtime.Engine) -> wasmtime.Store:
    """Make a store, as `wasmtime.Store(engine)` does in half as long again.

    That makes a function type for ctypes each time, to say that there is nothing to finalize.
    """
    if not _store_as_known:
        return wasmtime.Store(engine)
    store = _store()
    store._set_ptr(ffi.wasmtime_store_new(engine.ptr(), None, _NO_FINALIZER))
    store._Store__context = ffi.wasmtime_store_context(store.ptr())
    store.engine = engine
    return store  # type: ignore[no-any-return]  # made of the class above


def instantiate(linker: wasmtime.Linker, store: wasmtime.Store, module: wasmtime.Module) -> wasmtime.Instance:
    """Instantiate a module, as `wasmtime.Linker.instantiate` does; its store's number is noted for `owns`."""
    made = linker.instantiate(store, module)
    vars(store).setdefault("_hostmod_number", made._instance.store_id)
    return made


def export_of(store: Any, instance: wasmtime.Instance, name: str) -> Any:
    """Return an export of an instance as wasmtime-py's object, or None.

    `Instance.exports` asks for every export there is, and wasmtime takes the longer for each the more there are.

    Raises:
        ValueError: the store is closed.
        StoreBusyError: another thread is inside of it.
    """
    data = name.encode()
    item = ffi.wasmtime_extern_t()
    if not capi.instance_export_get(
        store._context(), ctypes.addressof(instance._instance), data, len(data), ctypes.addressof(item)
    ):
        return None
    return _function(item.of.func) if item.kind == _FUNCTION else wrap_extern(item)


def exports_in_order(store: Any, instance: wasmtime.Instance) -> Iterator[tuple[str, Any]]:
    """Go through the exports of an instance whose module is not known; errors as of `export_of`.

    Each takes wasmtime the longer the further back it is: look at few.
    """
    name, length = ctypes.c_void_p(), ctypes.c_size_t()
    for index in count():
        item = ffi.wasmtime_extern_t()
        if not capi.instance_export_nth(
            store._context(),
            ctypes.addressof(instance._instance),
            index,
            ctypes.addressof(name),
            ctypes.addressof(length),
            ctypes.addressof(item),
        ):
            return
        yield ctypes.string_at(name.value or 0, length.value).decode(), wrap_extern(item)
