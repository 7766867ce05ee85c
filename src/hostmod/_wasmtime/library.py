"""wasmtime's C functions, from the library that wasmtime-py has loaded.

Functions that a host callback calls back into keep the GIL (`ctypes.PyDLL`): releasing it there costs a thread switch
per call as soon as another thread is busy. Source: wasmtime's C API headers, func.h, linker.h, memory.h, trap.h, val.h.
"""

from __future__ import annotations

import ctypes
from typing import Any

from wasmtime import _ffi as ffi

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
    """Return the addresses of the functions of wasmtime's that the C trampoline calls."""
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
