"""wasmtime's C structures: their sizes, and the kinds of what they hold.

Source: wasmtime's C API headers, val.h, extern.h.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator
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
