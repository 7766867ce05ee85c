"""wasmtime's C structures: their sizes, and the kinds of what they hold.

Source: wasmtime's C API headers, val.h, extern.h.
"""

from __future__ import annotations

import ctypes
from importlib.metadata import version

from wasmtime import _ffi as ffi

WASMTIME_VERSION: str = version("wasmtime")

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
