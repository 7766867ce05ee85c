"""Instances: making one, and asking it for an export by its name."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from itertools import count
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime._extern import wrap_extern

from hostmod._wasmtime import library

_FUNCTION: Any = ffi.WASMTIME_EXTERN_FUNC.value
_function = wasmtime.Func._from_raw


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
