"""Traps, and the host exceptions that they stand for.

A guest that reads outside of its memory raises SIGSEGV, which wasmtime's signal handler turns into a trap. wasmtime
installs it once in a process, with the first engine. A handler that something installs later, such as
faulthandler.enable(), gets the signal first, and the guest's trap ends the process: `check_handlers` warns of that.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import warnings

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime import _func as wasmtime_func
from wasmtime import _trap as wasmtime_trap

from hostmod._wasmtime import capi
from hostmod.errors import Trap, TrapFrame, escape_controls, trap_frames, trap_report

MOST_PENDING = 16
"""Exceptions that are kept for the entries beneath them: more are only there if something else took their traps."""


class _Raised(threading.local):
    """What failed host callbacks of this thread have raised, until the entries beneath them pick it up.

    `pending` holds each with what its trap says, so that a trap of the guest's own is never taken for it. There can be
    several: a signal's handler may call a guest while the trap of another is on its way. `error` and `message` are set
    without a call, for a callback that could not make a trap of its own. There is no `__init__`: Python's collector can
    run in one, and finalizers in it call guests.
    """

    error: BaseException | None = None
    message: str = ""
    pending: list[tuple[str, BaseException]] | None = None

    def add(self, message: str, error: BaseException) -> None:
        """Note what a trap with this message stands for."""
        if self.pending is None:
            self.pending = []
        pending = self.pending
        pending.append((message, error))
        if len(pending) > MOST_PENDING:
            del pending[0]

    def take(self, report: str | None) -> BaseException | None:
        """Take what the trap stands for that reads like this, the last of several; None if it is the guest's own."""
        pending = self.pending or []
        present = pending[:]  # a call in between adds to it, and takes out what is its own
        for index in range(len(present) - 1, -1, -1):
            message, error = present[index]
            if report is None or message in report:
                gone = set(map(id, present[index:]))  # with those whose traps something else took
                pending[:] = [each for each in pending if id(each) not in gone]
                return error
        error_, self.error = self.error, None
        return error_ if report is None or self.message in report else None


raised = _Raised()


def trap(where: str, error: BaseException) -> int:
    """Make the trap that a callback returns for an exception, and leave the exception for the entry to raise."""
    try:
        text = str(error).partition("\n")[0]
    except Exception:  # an exception of the user's whose __str__ fails is still reported by its class
        text = ""
    message = (
        f"{where} raised {type(error).__name__}: {text}" if text else f"{where} raised {type(error).__name__}"
    )
    data = escape_controls(message).encode(
        "utf-8", "replace"
    )  # one line, with no NUL: a module may have any name
    made = int(capi.trap_new(data, len(data)))
    raised.add(data.decode(), error)
    raised.error = None
    return made


SPARE_MESSAGE = b"host function failed, and so did the report of it"
SPARE_TEXT: str = SPARE_MESSAGE.decode()

spares: list[int] = []
"""Traps for callbacks that cannot make one: calls are what fails then, at the end of Python's stack for one."""


def refill() -> None:
    """Make spare traps, for as many threads as may need one before the next comes back to Python."""
    while len(spares) < 32:
        spares.append(int(capi.trap_new(SPARE_MESSAGE, len(SPARE_MESSAGE))))


def _refill_without_host_backtraces() -> None:
    """Make the first spare traps, with RUST_LIB_BACKTRACE=0 while wasmtime reads that variable, unless it is set.

    Where RUST_BACKTRACE is set, wasmtime up to 41 captures the host's own stack for each error and trap. 37 to 41 also
    look up the names on it, in Python's debug information too, which takes 50 ms under a lock: threads that raise at
    once seem to hang. RUST_LIB_BACKTRACE takes precedence for errors, and leaves panics alone; Rust reads it once in a
    process, for the first error. Source: the documentation of std::backtrace.
    """
    if "RUST_BACKTRACE" not in os.environ or "RUST_LIB_BACKTRACE" in os.environ:
        refill()
        return
    os.environ["RUST_LIB_BACKTRACE"] = "0"
    try:
        refill()
    finally:
        del os.environ["RUST_LIB_BACKTRACE"]


if not capi.missing:  # else hostmod refuses to run, when it is first used
    _refill_without_host_backtraces()


def take_raised(trap: BaseException | None) -> BaseException | None:
    """Take the exception that ended a guest call as `trap`, noting the guest's backtrace on it; None if the guest
    trapped by itself."""
    if raised.error is None and not raised.pending:
        return None
    refill()
    report = None if trap is None else str(trap)
    error = raised.take(report)
    if error is not None and wasmtime_func.LAST_EXCEPTION is error:
        wasmtime_func.LAST_EXCEPTION = None
    if error is None or report is None:
        return error
    # An exception of the user's that takes no notes is raised without one, and so is any at the end of Python's stack.
    with contextlib.suppress(Exception):
        assert trap is not None  # it has a report
        backtrace = trap_report(report, frames_of(trap)).partition("\n\nCaused by:")[0].strip()
        if "backtrace" in backtrace:
            lines = [line.strip() for line in backtrace.splitlines()[1:] if line.strip()]
            note = "guest backtrace:\n" + "\n".join("    " + line for line in lines)
            if note not in getattr(error, "__notes__", ()):
                error.add_note(note)
    return error


def frames_of(error: BaseException) -> tuple[TrapFrame, ...]:
    """Return the guest's stack, as a Trap or a WasmtimeError of wasmtime's has it: a host's trap arrives as either."""
    if isinstance(error, wasmtime.Trap):
        return trap_frames(error.frames)
    if not isinstance(error, wasmtime.WasmtimeError):
        return ()
    frames = wasmtime_trap.FrameList(error)
    try:
        ffi.wasmtime_error_wasm_trace(error.ptr(), ctypes.byref(frames.vec))
    except ValueError:
        return ()  # made by wasmtime-py, of a text
    found = [wasmtime.Frame._from_ptr(frames.vec.data[at], frames) for at in range(frames.vec.size)]
    return trap_frames(found)


def reraise(error: BaseException) -> None:
    """Raise an exception object as it is: its cause and context stay what they were."""
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
        del error, context


def failure(error_address: int | None, trap_address: int | None) -> BaseException:
    """Return what a failed call of a guest raises: the host's own exception, a `hostmod.Trap`, or wasmtime's error."""
    found: BaseException
    if error_address:
        found = wasmtime.WasmtimeError._from_ptr(
            ctypes.cast(error_address, ctypes.POINTER(ffi.wasmtime_error_t))
        )
    else:
        found = wasmtime.Trap._from_ptr(ctypes.cast(trap_address, ctypes.POINTER(ffi.wasm_trap_t)))  # type: ignore[arg-type]  # not None here
    mine = take_raised(found)
    if mine is not None:
        return mine
    return Trap.of(found) if isinstance(found, wasmtime.Trap) else found


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
    if file == capi.dll._name:
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
