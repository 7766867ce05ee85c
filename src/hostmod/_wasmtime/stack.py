"""Measures how much native stack a thread has left.

wasmtime lets a guest use a fixed number of bytes of it (`Config.max_wasm_stack`), and does not look whether the thread
has as many: on one that has fewer, a guest that recurses ends the process. So each entry looks first.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from typing import Any

MARGIN = 128 * 1024
"""Bytes that have to be left below what a guest may use, for the host functions that it calls."""

NESTED = 64 * 1024
"""Bytes that have to be left to enter a store again that this thread is in: its guest's limit stays where it was."""


_UNKNOWN = 1 << 62
"""An address above all, where the system does not tell."""


class _Thread(threading.local):
    """Where the stack of a thread ends, and the lowest place of it that is known to be in use.

    `used` is set by the callbacks of host functions to the address of their parameters, which are on the stack, and set
    back by the calls of guests that they returned to.

    Python's collector can run in `__init__`, and finalizers in it enter stores: they get what is said here.
    """

    low = 0
    used = _UNKNOWN
    held: list[Any] | None = None
    """Roots of references that host functions have returned: see `externref.hold_raws`."""
    dropping = False
    """Whether objects that guests let go of are going: see `externref.drop`."""

    def __init__(self) -> None:
        low, size = _bounds()
        if low:
            self.low, self.used = low, low + size


def _posix(library: Any) -> tuple[int, int]:
    """Source: pthread_getattr_np(3), pthread_attr_getstack(3)."""
    library.pthread_self.restype = ctypes.c_ulong
    attributes = (ctypes.c_ubyte * 256)()  # a pthread_attr_t has at most 64
    address, size = ctypes.c_void_p(), ctypes.c_size_t()
    if library.pthread_getattr_np(ctypes.c_ulong(library.pthread_self()), attributes) != 0:
        return 0, 0
    try:
        if library.pthread_attr_getstack(attributes, ctypes.byref(address), ctypes.byref(size)) != 0:
            return 0, 0
    finally:
        library.pthread_attr_destroy(attributes)
    return address.value or 0, size.value


def _darwin(library: Any) -> tuple[int, int]:
    """Source: pthread_get_stackaddr_np(3), which gives the highest address."""
    library.pthread_self.restype = ctypes.c_void_p
    library.pthread_get_stackaddr_np.restype = ctypes.c_void_p
    library.pthread_get_stacksize_np.restype = ctypes.c_size_t
    me = ctypes.c_void_p(library.pthread_self())
    size = int(library.pthread_get_stacksize_np(me))
    return int(library.pthread_get_stackaddr_np(me)) - size, size


def _windows(library: Any) -> tuple[int, int]:
    """Source: GetCurrentThreadStackLimits, processthreadsapi.h."""
    low, high = ctypes.c_void_p(), ctypes.c_void_p()
    library.GetCurrentThreadStackLimits(ctypes.byref(low), ctypes.byref(high))
    return low.value or 0, (high.value or 0) - (low.value or 0)


def _bounds() -> tuple[int, int]:
    """Return the lowest address of this thread's stack and its size; zeros where the system does not tell."""
    try:
        if sys.platform == "win32":
            return _windows(ctypes.windll.kernel32)
        library = ctypes.CDLL(None)
        return _darwin(library) if sys.platform == "darwin" else _posix(library)
    except (AttributeError, OSError):
        return 0, 0


here = _Thread()


def remaining() -> int:
    """Return how many bytes the thread has left, as far as is known; a very large number where nothing is."""
    return here.used - here.low


def refuse(where: str, left: int, need: int) -> RecursionError:
    """Return the error for a thread with too little stack left."""
    return RecursionError(
        f"{where}: the thread has {left // 1024} KiB of stack left, expected {need // 1024} KiB, which is what the "
        "engine lets a guest use and what host functions need; recurse less, call threading.stack_size(2**20) before "
        "the thread is started, or give the engine a Config with a smaller max_wasm_stack"
    )
