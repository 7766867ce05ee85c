"""Defining callbacks in a linker, which owns what serves them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import wasmtime
from wasmtime import _ffi as ffi

from hostmod._wasmtime import library

_incref = ctypes.pythonapi.Py_IncRef
_incref.argtypes = [ctypes.py_object]
_incref.restype = None
_decref = ctypes.pythonapi.Py_DecRef
_decref.argtypes = [ctypes.c_void_p]
_decref.restype = None


@ctypes.CFUNCTYPE(None, ctypes.c_void_p)  # type: ignore[untyped-decorator]  # what ctypes makes has no type to give
def _forget(address: int, decref: Callable[[int], None] = _decref) -> None:
    """Drop the reference that C held; wasmtime calls it when the last linker and store with a function are gone."""
    decref(address)


# Linkers and stores can outlive this module when the interpreter ends: what they call then has to be there still.
_incref(_forget)
_forget_address = ctypes.cast(_forget, ctypes.c_void_p)


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
    error: int | None = library.linker_define(
        linker, module, len(module), name, len(name), type, callback, env, _forget_address if owned else None
    )
    return error


def linker_address(linker: wasmtime.Linker) -> int:
    """Return the address of a wasmtime_linker_t; ValueError if it is closed."""
    return ctypes.addressof(linker.ptr().contents)


def wasmtime_error(address: int) -> wasmtime.WasmtimeError:
    """Take over a wasmtime_error_t."""
    return wasmtime.WasmtimeError._from_ptr(ctypes.cast(address, ctypes.POINTER(ffi.wasmtime_error_t)))
