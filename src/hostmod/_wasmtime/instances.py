"""Instances: a store for one, making one, and asking it for an export by its name."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from itertools import count
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime._extern import wrap_extern

from hostmod._wasmtime import library

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
    if not library.instance_export_get(
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
        if not library.instance_export_nth(
            store._context(),
            ctypes.addressof(instance._instance),
            index,
            ctypes.addressof(name),
            ctypes.addressof(length),
            ctypes.addressof(item),
        ):
            return
        yield ctypes.string_at(name.value or 0, length.value).decode(), wrap_extern(item)
