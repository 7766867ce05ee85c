"""Views of guest memory: making what they show, and ending them."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import types
from collections import Counter
from collections.abc import Iterable
from typing import Any


def array_at(address: int, size: int) -> Any:
    """Make a ctypes array over `size` bytes at `address`.

    Its type is not ``c_ubyte * size``: ctypes keeps those for ever, one for each size a guest chose.
    """
    cls = type("GuestMemory", (ctypes.Array,), {"_type_": ctypes.c_ubyte, "_length_": size})
    return cls.from_address(address)  # type: ignore[attr-defined]  # an Array subclass has it


def release_views(array: Any, moved: bool = False) -> bool:
    """End the memoryviews of `array` that Python code holds, and return whether anything else still shows it.

    A numpy array keeps an address, and for its sake a memoryview that can be released like any other: so a view is
    ended only if everything that refers to it is known to use it as a view. With `moved`, the memory has gone already
    and nothing is left to keep: every view ends, and what had an address is told by having a view that no Python code
    refers to. It looks through everything that the garbage collector knows, so it is for views that someone kept.
    """
    # What the views of one origin share. It refers to the origin until the last of them is released.
    buffers = [each for each in gc.get_referrers(array) if type(each).__name__ == "managedbuffer"]
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


_PLAIN = (
    list,
    tuple,
    types.BuiltinMethodType,
    types.CellType,
    types.FrameType,
    types.GeneratorType,
    types.MethodType,
    type(iter(memoryview(b""))),
)
_CData = ctypes.c_int.__mro__[2]


def _used_by(holder: object) -> Iterable[object]:
    """What an object refers to, once for each reference, and uses as Python code does; of other kinds, nothing."""
    cls = type(holder)
    if cls in _PLAIN or (cls is dict and not _is_of_ctypes(holder)):
        return gc.get_referents(holder)
    if cls is dict or isinstance(holder, _CData):
        return ()
    used = list(getattr(holder, "__dict__", {}).values())
    for base in cls.__mro__:
        if "__slots__" in vars(base):
            for member in vars(base).values():
                if isinstance(member, types.MemberDescriptorType):
                    with contextlib.suppress(AttributeError):
                        used.append(member.__get__(holder))
    return used


def _is_of_ctypes(found: object) -> bool:
    """Whether a dict is where a ctypes object, made by from_buffer, keeps the view that it has the address from."""
    return any(
        isinstance(each, _CData) and getattr(each, "_objects", None) is found
        for each in gc.get_referrers(found)
    )


def _references_of_calls(view: memoryview) -> int:
    """How often calls under way in this thread refer to a view by name, which the garbage collector does not know."""
    found = 0
    frame = sys._getframe(2)
    while frame is not None:
        found += sum(each is view for each in frame.f_locals.values())
        frame = frame.f_back  # type: ignore[assignment]  # None ends the loop
    return found
