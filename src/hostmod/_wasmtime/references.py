"""References from guests to Python objects: externref.

Objects are interned where wasmtime-py interns its own, so that a reference made by one side is read by the other, and
both are dropped by the store's collector. A raw reference, as it stands in a call's slots, is no root: another object
may take its place as soon as the store collects, which any Python code can bring about. So raws are rooted before
anything else is done, and made last.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import repeat
from typing import Any

from wasmtime import _ffi as ffi
from wasmtime import _value as wasmtime_value

from hostmod._wasmtime import library
from hostmod.errors import ConversionError, InternalError

ROOT_SIZE = ctypes.sizeof(ffi.wasmtime_externref_t)

_types: dict[int, Any] = {}


def _roots(count: int) -> tuple[Any, list[int]]:
    """Make room for some wasmtime_externref_t; returns what keeps it and their addresses."""
    type_ = _types.get(count)
    if type_ is None:
        type_ = _types[count] = (
            ffi.wasmtime_externref_t * count
        )  # one for each number of references in a signature
    array = type_()
    first = ctypes.addressof(array)
    return array, [first + index * ROOT_SIZE for index in range(count)]


def from_raws(context: int, raws: Sequence[int]) -> list[object]:
    """Return the objects behind raw references of a store, the last first; None for null.

    Raises:
        ConversionError: one is none of a host's making: what ``extern.convert_any`` makes of a number or a struct.
    """
    keep, addresses = _roots(len(raws))
    list(map(library.externref_from_raw, repeat(context), raws, addresses))
    try:
        found = [
            rooted_object(context, address) if raw else None
            for raw, address in zip(raws, addresses, strict=True)
        ]
    finally:
        for address in addresses:
            library.externref_unroot(context, address)
        del keep
    found.reverse()
    return found


def rooted_object(context: int, address: int) -> object:
    """Return the object behind a rooted reference that is not null."""
    handle = library.externref_data(context, address)
    if not handle:
        raise ConversionError(
            "ExternRef",
            "a reference that the guest made of a value of its own",
            "one to an object that the host gave it, or null",
        )
    return wasmtime_value._unintern(handle)


def externref_from_raw(context: int, raw: int) -> object:
    """Return the object behind one raw reference; errors as in `from_raws`."""
    return from_raws(context, (raw,))[0] if raw else None


def make_root(context: int, value: object, address: int) -> None:
    """Make a rooted reference to an object, in a wasmtime_externref_t that is all zeros; None leaves it null."""
    if value is None:
        return
    handle = wasmtime_value._intern(value)
    if not library.externref_new(context, handle, wasmtime_value._externref_finalizer, address):
        raise InternalError("wasmtime_externref_new made no reference: the store's GC heap is exhausted")


def make_roots(context: int, values: Sequence[object]) -> tuple[Any, list[int]]:
    """Make rooted references to objects; returns what keeps them, to be unrooted each, and their addresses."""
    keep, addresses = _roots(len(values))
    try:
        for value, address in zip(values, addresses, strict=True):
            make_root(context, value, address)
    except BaseException:
        for address in addresses:
            library.externref_unroot(context, address)
        raise
    return keep, addresses


held: dict[int, list[tuple[Any, list[int]]]] = {}
"""Roots of the references that calls under way have passed to the guest of a store, by its context: they stay until the
guest has returned, so that no Python code in between can bring about that they are collected. For the pure backend."""


def externrefs_to_raw(context: int, values: Sequence[object]) -> list[int]:
    """Make raw references of objects, 0 for None; they are `held` until `release`."""
    if not values:
        return []
    roots = make_roots(context, values)
    held.setdefault(context, []).append(roots)
    return [
        0 if value is None else int(library.externref_to_raw(context, address))
        for value, address in zip(values, roots[1], strict=True)
    ]


def release(context: int) -> None:
    """Let go of the roots that are held for a store's guest, which has returned."""
    for _, addresses in held.pop(context, ()):
        for address in addresses:
            library.externref_unroot(context, address)
