"""Views of guest memory: making what they show, and ending them."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import types
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
    held = False
    for buffer in _buffers_of(array):
        for view in gc.get_referrers(buffer):
            if type(view) is not memoryview or _is_released(view):
                continue
            references = sys.getrefcount(view) - 2  # the name above, and the argument
            known = _known_references(view)
            if moved:
                held = held or known + _references_of_calls(view) == 1  # the list that is gone through here
            elif known != references:
                continue
            try:
                view.release()
            except BufferError:
                held = True
    return held or bool(_buffers_of(array))


def _known_references(view: memoryview) -> int:
    """How often objects that use a view as one refer to it."""
    return sum(map(_references, holders := gc.get_referrers(view), [view] * len(holders)))


def _buffers_of(array: Any) -> list[Any]:
    """What memoryviews of one origin share; it refers to `array` until the last of them is released."""
    return [holder for holder in gc.get_referrers(array) if type(holder).__name__ == "managedbuffer"]


def _is_released(view: memoryview) -> bool:
    try:
        view.nbytes  # noqa: B018  # asked for what it raises
    except ValueError:
        return True
    return False


_HOLD_ONE = (
    types.BuiltinMethodType,
    types.CellType,
    types.FrameType,
    types.GeneratorType,
    types.MethodType,
    type(iter(memoryview(b""))),
)
_CData = ctypes.c_int.__mro__[2]


def _references(holder: object, view: memoryview) -> int:
    """How often an object refers to a view, for a kind of object that uses it as a view; 0 for every other kind."""
    cls = type(holder)
    if cls is dict:
        return 0 if _is_of_ctypes(holder) else sum(each is view for each in holder.values())  # type: ignore[attr-defined]  # a dict
    if cls in (list, tuple):
        return sum(each is view for each in holder)  # type: ignore[attr-defined]  # one of those
    if cls in _HOLD_ONE:
        return 1
    if isinstance(holder, _CData):
        return 0
    found = sum(each is view for each in getattr(holder, "__dict__", {}).values())
    for base in cls.__mro__:
        if "__slots__" in vars(base):
            for member in vars(base).values():
                if isinstance(member, types.MemberDescriptorType):
                    with contextlib.suppress(AttributeError):
                        found += member.__get__(holder) is view
    return found


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
