"""References from guests to Python objects (externref): rooting them, and letting go of the objects.

Objects are interned where wasmtime-py interns its own, so that a reference made by one side is read by the other, and
both are dropped by the store's collector. A raw reference, as it stands in a call's slots, is no root: another object
may take its place as soon as the store collects, which any Python code can bring about. So raws are rooted before
anything else is done, and made last.

The store's collector runs finalizers in the midst of its work, when nothing may be asked of the store; and an object
that goes can have a `__del__` that does. So the finalizer only notes what is to go, and `drop` lets go of it.
"""

from __future__ import annotations

import ctypes
import sys
from collections import deque
from collections.abc import Sequence
from itertools import count, repeat, starmap
from types import FrameType
from typing import Any

from wasmtime import _ffi as ffi
from wasmtime import _value as wasmtime_value

from hostmod._wasmtime import capi
from hostmod._wasmtime.stack import here
from hostmod.errors import ConversionError

ROOT_SIZE = ctypes.sizeof(ffi.wasmtime_externref_t)

dropped: deque[int] = deque()
"""The handles of objects that no guest refers to any more, and that are still to go."""

finalizer = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(dropped.append)
"""What wasmtime calls with the handle of an object that its guest let go of. It runs no Python code: no signal, no
profiler and no collector comes in between."""

_free_theirs: Any = getattr(wasmtime_value, "_externref_finalizer", None)
_unintern_theirs: Any = getattr(wasmtime_value, "_unintern", None)
"""wasmtime-py's own, for objects that it had before hostmod was imported; `patches` checks that they are there."""

_objects: dict[int, Any] = {}
"""The objects that guests refer to, by handles that are never used twice.

wasmtime-py's own table is one like it since 49. Until then, an object whose `__del__` makes another reference, and a
second thread, leave its list of free handles (37 to 48) or its counts (36) wrong.
"""

_handles = count(
    1 << 40
)  # above all of wasmtime-py's; addresses, which 36 has in their place, are above that


def intern(obj: object) -> int:
    """Keep an object for guests; returns its handle. In the place of wasmtime-py's `_intern`."""
    handle = next(_handles)
    _objects[handle] = obj
    return handle


def unintern(idx: int) -> Any:
    """Return the object of a handle. In the place of wasmtime-py's `_unintern`."""
    try:
        return _objects[idx]
    except KeyError:
        return _unintern_theirs(idx)


def _free(handle: int) -> None:
    if handle in _objects:
        del _objects[handle]
    else:
        _free_theirs(handle)


def drop() -> None:
    """Let go of what is in `dropped`. What an object's own finalizer adds waits for the next time."""
    if here.dropping and _is_running():
        return
    here.dropping = True
    try:
        any(map(_free, starmap(dropped.popleft, repeat((), len(dropped)))))
    except IndexError:
        pass  # another thread was faster
    finally:
        here.dropping = False


def _is_running() -> bool:
    """Whether `drop` is under way in this thread: a tracer's exception can leave `here.dropping` as it was."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code is drop.__code__:
            return True
        frame = frame.f_back
    return False


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


Roots = tuple[Any, list[int]]
"""What keeps some wasmtime_externref_t, and the address of each."""


def new_roots(count: int) -> Roots:
    """Make room for some roots, all null."""
    return _roots(count)


def unroot(context: int, roots: Roots | None) -> None:
    """Let go of roots; of none if there are none."""
    if roots is not None:
        for address in roots[1]:
            capi.externref_unroot(context, address)


def from_raws(context: int, raws: Sequence[int]) -> list[object]:
    """Return the objects behind raw references of a store, the last first; None for null. Errors as in `objects_of`."""
    roots = _roots(len(raws))
    list(map(capi.externref_from_raw, repeat(context), raws, roots[1]))
    return objects_of(context, roots, raws)


def objects_of(context: int, roots: Roots, raws: Sequence[int]) -> list[object]:
    """Return the objects behind roots, which go; the last first, and None where the raw reference was null.

    Raises:
        ConversionError: one is none of a host's making: what ``extern.convert_any`` makes of a number or a struct.
    """
    try:
        found = [
            rooted_object(context, address) if raw else None
            for raw, address in zip(raws, roots[1], strict=True)
        ]
    finally:
        unroot(context, roots)
    found.reverse()
    return found


def rooted_object(context: int, address: int) -> object:
    """Return the object behind a rooted reference that is not null."""
    handle = capi.externref_data(context, address)
    if not handle:
        raise ConversionError(
            "ExternRef",
            "a reference that the guest made of a value of its own",
            "one to an object that the host gave it, or null",
        )
    return unintern(handle)


def externref_from_raw(context: int, raw: int) -> object:
    """Return the object behind one raw reference; errors as in `from_raws`."""
    return from_raws(context, (raw,))[0] if raw else None


def make_root(context: int, value: object, address: int) -> None:
    """Make a rooted reference to an object, in a wasmtime_externref_t that is all zeros; None leaves it null.

    Raises:
        MemoryError: the store's GC heap is exhausted.
    """
    if value is None:
        return
    if dropped:
        drop()
    handle = intern(value)
    if not capi.externref_new(context, handle, finalizer, address):
        raise MemoryError(
            "no externref could be made: the store's GC heap is exhausted, or this process may have no memory for one"
        )


def make_roots(context: int, values: Sequence[object]) -> Roots:
    """Make roots of objects."""
    roots = _roots(len(values))
    try:
        for value, address in zip(values, roots[1], strict=True):
            make_root(context, value, address)
    except BaseException:
        unroot(context, roots)
        raise
    return roots


def raws_of(context: int, roots: Roots, values: Sequence[object]) -> list[int]:
    """Return the raw references of the roots of these objects, 0 for None."""
    return [
        0 if value is None else int(capi.externref_to_raw(context, address))
        for value, address in zip(values, roots[1], strict=True)
    ]


def hold_raws(context: int, values: Sequence[object]) -> list[int]:
    """Return raw references of what a host function returns, for the pure backend.

    Their roots are held until the guest has returned, so that no Python code in between can bring about that they are
    collected: with the place on the stack of the call that returns them, which is below that of the guest's.
    """
    roots = make_roots(context, values)
    if here.held is None:
        here.held = []
    here.held.append((here.used, context, roots))
    return raws_of(context, roots, values)


def release(used: int) -> None:
    """Let go of the roots that are held for a guest which has returned to where the stack was used up to `used`."""
    held = here.held
    while held:
        try:
            entry = held.pop()
        except IndexError:  # or a call in between has let go of what is its own
            return
        if entry[0] >= used:
            held.append(entry)
            return
        unroot(entry[1], entry[2])
