"""Core types, and function types made of them."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import wasmtime
from wasmtime import _ffi as ffi

from hostmod._wasmtime.structures import WASMTIME_VERSION
from hostmod.errors import InternalError

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
]


def core_name(type: wasmtime.ValType) -> str:
    """Spell a value type as the text format does; "a reference" for those that wasmtime-py does not know.

    Not by wasmtime-py's ``str``: it asks wasm_valtype_kind, which ends the process for v128 and for most references.
    """
    return _name_of(type)


def _compared() -> Callable[[wasmtime.ValType], str]:
    """Name value types by wasmtime's own comparison: wasmtime 45 and later."""
    equal = ffi.wasmtime_wasm_valtype_equal
    known = [*_KNOWN, ("v128", wasmtime.ValType._from_ptr(ffi.wasmtime_wasm_valtype_v128(), None))]

    def name_of(type: wasmtime.ValType) -> str:
        pointer = type.ptr()
        for name, each in known:
            if equal(pointer, each.ptr()):
                return name
        return "a reference"

    return name_of


def _looked_up() -> Callable[[wasmtime.ValType], str]:
    """Name value types by what wasmtime 36 to 44 keep in a wasm_valtype_t: those have nothing to compare them by.

    It is a Rust enum. Up to 42 its discriminant is a number of 8 bytes at its start; in 43 and 44 it is the byte at 96,
    and that of a reference's heap type the byte at 84. Those versions are not changed any more, and it is tried here:
    the number types that wasmtime makes when asked have numbers in a row, and v128 is the next. Their wasmtime-py has
    no setting for typed references, so a reference is an externref, a funcref, or of neither number.
    """

    for key in (_up_to_42, _of_43_and_44):
        keys = [key(each) for _, each in _KNOWN]
        i32 = keys[0]
        if (
            isinstance(i32, int)
            and keys[:4] == [i32, i32 + 1, i32 + 2, i32 + 3]
            and len({*keys}) == len(keys)
        ):
            names = dict(zip(keys, (name for name, _ in _KNOWN), strict=True))
            if names.setdefault(i32 + 4, "v128") == "v128":
                return lambda type, key=key: names.get(key(type), "a reference")  # type: ignore[misc]  # a default
    raise InternalError(
        f"wasmtime {WASMTIME_VERSION}: wasm_valtype_t is laid out in a way that hostmod does not know; use wasmtime 45 "
        "or later"
    )


def _up_to_42(type: wasmtime.ValType) -> int | tuple[int, int]:
    return ctypes.c_uint64.from_address(ctypes.addressof(type.ptr().contents)).value


def _of_43_and_44(type: wasmtime.ValType) -> int | tuple[int, int]:
    address = ctypes.addressof(type.ptr().contents)
    tag = ctypes.c_uint8.from_address(address + 96).value
    return tag if tag > 1 else (tag, ctypes.c_uint8.from_address(address + 84).value)


_name_of = _compared() if hasattr(ffi, "wasmtime_wasm_valtype_equal") else _looked_up()


def function_type(params: Sequence[str], results: Sequence[str]) -> wasmtime.FuncType:
    """Make a function type of core types; it owns its C memory and must outlive the calls it is passed to."""
    return wasmtime.FuncType([_VALTYPES[name]() for name in params], [_VALTYPES[name]() for name in results])


def type_address(type: wasmtime.FuncType) -> int:
    """Return the address of a wasm_functype_t, which lives as long as its FuncType."""
    return ctypes.addressof(type.ptr().contents)
