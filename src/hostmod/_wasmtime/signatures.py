"""Core types, and function types made of them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import wasmtime
from wasmtime import _ffi as ffi

_VALTYPES: dict[str, Callable[[], wasmtime.ValType]] = {
    "i32": wasmtime.ValType.i32,
    "i64": wasmtime.ValType.i64,
    "f32": wasmtime.ValType.f32,
    "f64": wasmtime.ValType.f64,
    "externref": wasmtime.ValType.externref,
}


_KNOWN = [
    *((name, make()) for name, make in _VALTYPES.items()),
    ("funcref", wasmtime.ValType.funcref()),
    ("v128", wasmtime.ValType._from_ptr(ffi.wasmtime_wasm_valtype_v128(), None)),
]


def core_name(type: wasmtime.ValType) -> str:
    """Spell a value type as the text format does; "a reference" for those that wasmtime-py does not know.

    Not by wasmtime-py's ``str``: it asks wasm_valtype_kind, which ends the process for v128 and for most references.
    """
    pointer = type.ptr()
    for name, known in _KNOWN:
        if ffi.wasmtime_wasm_valtype_equal(pointer, known.ptr()):
            return name
    return "a reference"


def function_type(params: Sequence[str], results: Sequence[str]) -> wasmtime.FuncType:
    """Make a function type of core types; it owns its C memory and must outlive the calls it is passed to."""
    return wasmtime.FuncType([_VALTYPES[name]() for name in params], [_VALTYPES[name]() for name in results])


def type_address(type: wasmtime.FuncType) -> int:
    """Return the address of a wasm_functype_t, which lives as long as its FuncType."""
    return ctypes.addressof(type.ptr().contents)
