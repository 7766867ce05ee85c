"""Views of guest memory: making what they show, and ending them."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import inspect
import sys
import types
from collections import Counter
from typing import Any


def array_at(address: int, size: int) -> Any:
    """Make a ctypes array over `size` bytes at `address`.

    Its type is not ``c_ubyte * size``: ctypes keeps those for ever, one for each size a guest chose.
    """
    cls = type("GuestMemory", (ctypes.Array,), {"_type_": ctypes.c_ubyte, "_length_": size})
    return cls.from_address(address)  # type: ignore[attr-defined]  # an Array subclass has it


_ManagedBuffer = type(*gc.get_referents(memoryview(b"")))


def release_views(array: Any, moved: bool = False) -> bool:
    """End the memoryviews of `array` that Python code holds, and return whether anything else still shows it.

    A numpy array keeps an address, and for its sake a memoryview that can be released like any other: so a view is
    ended only if everything that refers to it is known to use it as a view. With `moved`, the memory has gone already
    and nothing is left to keep: every view ends, and what had an address is told by having a view that no Python code
    refers to. It looks through everything that the garbage collector knows, so it is for views that someone kept.
    """
    # What the views of one origin share. It refers to the origin until the last of them is released.
    buffers = [each for each in gc.get_referrers(array) if type(each) is _ManagedBuffer]
    views = [
        each for each in gc.get_referrers(*buffers) if type(each) is memoryview and not _is_released(each)
    ]
    holders = [each for each in gc.get_referrers(*views) if each is not views]
    known = Counter(id(used) for holder in holders for used in _used_by(holder))
    held = False
    for view in views:
        if moved:
            held = held or known[id(view)] + _references_of_calls(view) == 0
        elif known[id(view)] != sys.getrefcount(view) - 3:  # its name, the list, and the argument
            continue
        with contextlib.suppress(BufferError):
            view.release()
    return held or any(map(gc.get_referents, buffers))


def _is_released(view: memoryview) -> bool:
    try:
        view.nbytes  # noqa: B018  # asked for what it raises
    except ValueError:
        return True
    return False


_PLAIN = {
    id(each)
    for each in (
        list,
        tuple,
        types.BuiltinMethodType,
        types.CellType,
        types.FrameType,
        types.GeneratorType,
        types.MethodType,
        type(iter(memoryview(b""))),
    )
}
_ORIGINS = {id(each) for each in (object, dict, list, tuple)}
_CData = ctypes.c_int.__mro__[2]
_objects = vars(_CData)["_objects"].__get__
_base = vars(type)["__base__"].__get__
_size = vars(type)["__basicsize__"].__get__
_namespace = vars(type)["__dict__"].__get__


def _used_by(holder: object) -> list[Any]:
    """What an object refers to, once for each reference, and uses as Python code does; of other kinds, nothing.

    Nothing here asks the object or its class, which may answer what they like: only what CPython says of them.
    """
    cls = type(holder)
    if id(cls) in _PLAIN or (not _is_of_ctypes(holder) if cls is dict else _is_python(cls)):
        return gc.get_referents(holder)
    return []


def _is_python(cls: type) -> bool:
    """Whether a class and those it is derived from are made by class statements, down to `object` or a container.

    One written in C that keeps an address has room for it, which no ``__slots__`` account for.
    """
    while id(cls) not in _ORIGINS:
        base = _base(cls)
        if _size(cls) > _size(base) + _WEAKREFS and "__slots__" not in _namespace(cls):
            return False
        cls = base
    return True


_WEAKREFS = 8
"""Bytes that a class statement may add to what an instance takes, for weak references. Its dict is not in there."""


def _is_of_ctypes(found: object) -> bool:
    """Whether a dict is where a ctypes object, made by from_buffer, keeps the view that it has the address from."""
    return any(issubclass(type(each), _CData) and _objects(each) is found for each in gc.get_referrers(found))


def _references_of_calls(view: memoryview) -> int:
    """How often calls under way in this thread refer to a view by name, which the garbage collector does not know."""
    found = 0
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_flags & inspect.CO_OPTIMIZED:  # a function's: the names of others are in a dict
            found += sum(each is view for each in frame.f_locals.values())
        frame = frame.f_back  # type: ignore[assignment]  # None ends the loop
    return found
