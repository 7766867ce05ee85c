"""References from guests to Python objects: externref.

Objects are interned where wasmtime-py interns its own, so that a reference made by one side is read by the other, and
both are dropped by the store's collector.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from wasmtime import _ffi as ffi
from wasmtime import _value as wasmtime_value

from hostmod._wasmtime import library
from hostmod.errors import ConversionError, InternalError


def externref_from_raw(context: int, raw: int) -> object:
    """Return the object behind a raw externref of a store; None for null.

    Raises:
        ConversionError: it is none of a host's making: what ``extern.convert_any`` makes of a number or a struct.
    """
    if raw == 0:
        return None
    slot = ffi.wasmtime_externref_t()
    address = ctypes.addressof(slot)
    library.externref_from_raw(context, raw, address)
    try:
        handle = library.externref_data(context, address)
        if not handle:
            raise ConversionError(
                "ExternRef",
                "a reference that the guest made of a value of its own",
                "one to an object that the host gave it, or null",
            )
        return wasmtime_value._unintern(handle)
    finally:
        library.externref_unroot(context, address)


def externrefs_to_raw(context: int, values: Sequence[object]) -> list[int]:
    """Make raw externrefs of objects, 0 for None.

    All of them at once: each stays rooted until the last is made, since making one may collect what no root holds.
    """
    slots: list[int] = []
    keep = []
    try:
        for value in values:
            slot = ffi.wasmtime_externref_t()
            keep.append(slot)
            if value is None:
                slots.append(0)
                continue
            address = ctypes.addressof(slot)
            handle = wasmtime_value._intern(value)
            if not library.externref_new(context, handle, wasmtime_value._externref_finalizer, address):
                raise InternalError(
                    "wasmtime_externref_new made no reference: the store's GC heap is exhausted"
                )
            slots.append(address)
        return [int(library.externref_to_raw(context, address)) if address else 0 for address in slots]
    finally:
        for address in slots:
            if address:
                library.externref_unroot(context, address)
