"""Seeing that wasmtime's signal handler has been replaced: a guest's trap then ends the process.

A guest that reads outside of its memory raises SIGSEGV, which wasmtime's handler makes a trap of. wasmtime installs it
with the first engine, and once in a process. What installs another one later, as faulthandler.enable() does, gets the
signal first.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import warnings

from hostmod._wasmtime import library


class _Info(ctypes.Structure):
    """A Dl_info. Source: dlfcn.h."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


_Action = ctypes.c_void_p * 64
"""Room for a struct sigaction: it has 152 bytes, of which the handler is the first word."""

_known = 0
"""The address of wasmtime's handler, once it was seen in its place."""

_said: set[int] = set()
"""Handlers that a warning was given about."""


def _file_of(address: int) -> str:
    """Return the file of the program or library that holds an address; empty if there is none."""
    info = _Info()
    if not _dladdr(address, ctypes.byref(info)) or not info.file:
        return ""
    return bytes(info.file).decode("utf-8", "replace")


def handler() -> int:
    """Return the address of what handles SIGSEGV; 0 and 1 stand for the default and for nothing."""
    action = _Action()
    _sigaction(signal.SIGSEGV, None, action)
    return int(action[0] or 0)


def check(own: bool) -> None:
    """Warn once if wasmtime's handler has been replaced.

    Args:
        own: whether an engine is in use that hostmod has made, which does rely on the handler. Others may be made
            without; for those it is told by the handler having been there before.
    """
    global _known  # noqa: PLW0603  # of the process
    if sys.platform != "linux":
        return  # macOS: wasmtime uses Mach ports, which come before signals; Windows: a vectored handler
    found = handler()
    if found == _known or found in _said:
        return
    file = _file_of(found) if found > 1 else ""
    if file == library.dll._name:
        _known = found
        return
    if not own and not _known:
        return
    _said.add(found)
    warnings.warn(
        f"SIGSEGV goes to {file or 'nobody'}, expected wasmtime's own handler: a guest that reads outside of its "
        "memory ends the process; call faulthandler.enable() before the first wasmtime.Engine is made (python -X "
        "faulthandler does), or make engines with signals_based_traps = False in their wasmtime.Config",
        RuntimeWarning,
        stacklevel=3,
    )


if sys.platform == "linux":
    _process = ctypes.PyDLL(None)
    _sigaction = _process.sigaction
    _sigaction.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    _dladdr = _process.dladdr
    _dladdr.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
