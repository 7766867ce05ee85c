"""wasmtime's C API: functions of the library that wasmtime-py has loaded, structures, and core types.

Functions that a host callback calls back into keep the GIL (`ctypes.PyDLL`): releasing it there costs a thread switch
per call as soon as another thread is busy. Source: wasmtime's C API headers: extern.h, func.h, linker.h, memory.h,
trap.h, val.h.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi

from hostmod.errors import InternalError


@functools.cache
def wasmtime_version() -> str:
    """Return the version of the package wasmtime. Asked for when it is needed: the question takes 10 ms."""
    from importlib.metadata import version

    return version("wasmtime")


RAW_SIZE = 16
"""Bytes of a wasmtime_val_raw_t: a v128 is its largest member. Source: val.h."""

EXTERN_MEMORY = 3
EXTERN_SHAREDMEMORY = 4
"""Kinds of a wasmtime_extern_t. Source: extern.h."""

EXTERN_OF = ffi.wasmtime_extern_t.of.offset
EXTERN_SIZE = ctypes.sizeof(ffi.wasmtime_extern_t)


def size_of(name: str) -> int:
    """Size of one of wasmtime's structures as wasmtime-py defines it, or with a dot the offset of a member."""
    structure, _, member = name.partition(".")
    found = getattr(ffi, structure)
    return int(getattr(found, member).offset) if member else ctypes.sizeof(found)


def _members(structure: type[ctypes.Structure], start: int = 0) -> Iterator[tuple[int, int]]:
    """Go through the numbers in a structure, those of structures in it too: offset and size of each."""
    for name, kind, *_ in structure._fields_:
        offset = start + getattr(structure, name).offset
        if issubclass(kind, ctypes.Structure):
            yield from _members(kind, offset)
        else:
            yield offset, ctypes.sizeof(kind)


def _unpadded(structure: type[ctypes.Structure]) -> struct.Struct:
    """Make what reads the numbers of a structure, and nothing of what lies between them."""
    format, end = "=", 0
    for offset, size in _members(structure):
        format += f"{offset - end}x{'Q' if size == 8 else 'I'}"
        end = offset + size
    return struct.Struct(format)


memory_identity = _unpadded(ffi.wasmtime_memory_t).unpack_from
"""Returns what tells a wasmtime_memory_t from those of other memories. Its bytes do not: they hold padding, which
wasmtime leaves as it is, so that the structures of one memory differ."""


dll: Any = ffi.dll
"""The library as wasmtime-py uses it: its functions have the arguments that wasmtime-py has declared."""

_handle: int = dll._handle
_keeping = ctypes.PyDLL("wasmtime, GIL held", handle=_handle)
_releasing = ctypes.CDLL("wasmtime, GIL released", handle=_handle)

_pointer = ctypes.c_void_p
_size = ctypes.c_size_t
_word = ctypes.c_void_p  # a size_t argument: of the same width, and converted in a third of the time


missing: list[str] = []
"""Names of functions that this wasmtime has not: `selftest` says so when hostmod is first used."""

declared: dict[str, tuple[Any, ...]] = {}
"""What each function is called with, by its name: to be compared with what wasmtime-py declares."""


def _function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    try:
        function = library[name]
    except AttributeError:
        missing.append(name)
        return None
    function.restype = result
    if arguments:
        function.argtypes = arguments
        declared[name] = (result, *arguments)
    return function


caller_context = _function(_keeping, "wasmtime_caller_context", _pointer, _pointer)
caller_export_get = _function(
    _keeping, "wasmtime_caller_export_get", ctypes.c_bool, _pointer, ctypes.c_char_p, _word, _pointer
)
instance_export_get = _function(
    _keeping,
    "wasmtime_instance_export_get",
    ctypes.c_bool,
    _pointer,
    _pointer,
    ctypes.c_char_p,
    _word,
    _pointer,
)
instance_export_nth = _function(
    _keeping,
    "wasmtime_instance_export_nth",
    ctypes.c_bool,
    _pointer,
    _pointer,
    _word,
    _pointer,
    _pointer,
    _pointer,
)
memory_data = _function(_keeping, "wasmtime_memory_data", _pointer, _pointer, _pointer)
memory_data_size = _function(_keeping, "wasmtime_memory_data_size", _size, _pointer, _pointer)
memory_type = _function(_keeping, "wasmtime_memory_type", _pointer, _pointer, _pointer)

address_argument = _pointer.from_param
bytes_argument = ctypes.c_char_p.from_param
"""Arguments of the `prepared` functions: converted once, where they are the same for many calls."""


def _prepared(name: str, result: Any) -> Any:
    """A function that takes no arguments but those: one that converts for itself takes half as long again."""
    return _function(ctypes.PyDLL("wasmtime, prepared", handle=_handle), name, result)


prepared_export_get = _prepared("wasmtime_caller_export_get", ctypes.c_bool)
prepared_data_size = _prepared("wasmtime_memory_data_size", _size)
extern_delete = _function(_keeping, "wasmtime_extern_delete", None, _pointer)
func_call_unchecked = _function(
    _releasing, "wasmtime_func_call_unchecked", _pointer, _pointer, _pointer, _pointer, _word, _pointer
)
func_call_unchecked_held = _function(
    _keeping, "wasmtime_func_call_unchecked", _pointer, _pointer, _pointer, _pointer, _word, _pointer
)
trap_new = _function(_keeping, "wasmtime_trap_new", _pointer, ctypes.c_char_p, _word)
linker_define = _function(
    _keeping,
    "wasmtime_linker_define_func_unchecked",
    _pointer,
    _pointer,
    ctypes.c_char_p,
    _word,
    ctypes.c_char_p,
    _word,
    _pointer,
    _pointer,
    ctypes.py_object,
    _pointer,
)
externref_new = _function(
    _keeping, "wasmtime_externref_new", ctypes.c_bool, _pointer, _pointer, _pointer, _pointer
)
externref_data = _function(_keeping, "wasmtime_externref_data", _pointer, _pointer, _pointer)
externref_from_raw = _function(
    _keeping, "wasmtime_externref_from_raw", None, _pointer, ctypes.c_uint32, _pointer
)
externref_to_raw = _function(_keeping, "wasmtime_externref_to_raw", ctypes.c_uint32, _pointer, _pointer)
if len(dll.wasmtime_externref_unroot.argtypes or ()) == 2:  # as wasmtime-py has declared it
    UNROOTS_IN_CONTEXT = True
    externref_unroot = _function(_keeping, "wasmtime_externref_unroot", None, _pointer, _pointer)
else:  # 38 and later
    UNROOTS_IN_CONTEXT = False
    _unroot = _function(_keeping, "wasmtime_externref_unroot", None, _pointer)

    def externref_unroot(context: int, address: int) -> None:
        """Let go of a wasmtime_externref_t."""
        _unroot(address)


CALLBACK = ctypes.CFUNCTYPE(_size, ctypes.py_object, _pointer, _pointer, _size)
"""wasmtime_func_unchecked_callback_t, with the environment taken as the Python object it is. Source: func.h."""


def addresses() -> dict[str, int]:
    """Return the addresses of the functions of wasmtime's that the native backend calls."""
    names = (
        "wasmtime_caller_context",
        "wasmtime_caller_export_get",
        "wasmtime_memory_data",
        "wasmtime_memory_data_size",
        "wasmtime_extern_delete",
        "wasmtime_func_call_unchecked",
        "wasmtime_trap_new",
        "wasmtime_externref_from_raw",
        "wasmtime_externref_to_raw",
        "wasmtime_externref_unroot",
        "wasmtime_linker_define_func_unchecked",
    )
    found = {name: ctypes.cast(_keeping[name], _pointer).value or 0 for name in names}
    if UNROOTS_IN_CONTEXT:
        found["wasmtime_externref_unroot in a context"] = found["wasmtime_externref_unroot"]
    return found


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
        f"wasmtime {wasmtime_version()}: wasm_valtype_t is laid out in a way that hostmod does not know; "
        "use wasmtime 45 or later"
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
