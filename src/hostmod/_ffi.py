"""The one file that knows wasmtime-py's private C structures.

It reaches wasmtime's C API through the library that wasmtime-py has loaded. Functions that a host callback calls back
into keep the GIL (`ctypes.PyDLL`): releasing it there costs a thread switch per call as soon as another thread is busy.
Source: wasmtime's C API headers, val.h, func.h, linker.h, extern.h, trap.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import sys
import threading
import types
import weakref
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime import _func as wasmtime_func
from wasmtime import _value as wasmtime_value

from hostmod.errors import InternalError, ViewEscapedError

RAW_SIZE = 16
"""Bytes of a wasmtime_val_raw_t: a v128 is its largest member. Source: val.h."""

EXTERN_FUNC = 0
EXTERN_MEMORY = 3
EXTERN_SHAREDMEMORY = 4
"""Kinds of a wasmtime_extern_t. Source: extern.h."""

EXTERN_OF = ffi.wasmtime_extern_t.of.offset
EXTERN_SIZE = ctypes.sizeof(ffi.wasmtime_extern_t)
MEMORY_SIZE = ctypes.sizeof(ffi.wasmtime_memory_t)

logger = logging.getLogger("hostmod")

if ctypes.sizeof(ffi.wasmtime_val_raw_t) != RAW_SIZE:
    raise InternalError(
        f"wasmtime {version('wasmtime')}: wasmtime_val_raw_t has {ctypes.sizeof(ffi.wasmtime_val_raw_t)} bytes, "
        f"expected {RAW_SIZE}; use a version of wasmtime that hostmod names in its requirements"
    )

_handle: int = ffi.dll._handle  # pyright: ignore[reportAttributeAccessIssue]  # ctypes' CDLL has it, typeshed says so
_keeping = ctypes.PyDLL("wasmtime, GIL held", handle=_handle)
_releasing = ctypes.CDLL("wasmtime, GIL released", handle=_handle)

_pointer = ctypes.c_void_p
_size = ctypes.c_size_t


def _function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    function = library[name]
    function.restype = result
    function.argtypes = arguments
    return function


caller_context = _function(_keeping, "wasmtime_caller_context", _pointer, _pointer)
caller_export_get = _function(
    _keeping, "wasmtime_caller_export_get", ctypes.c_bool, _pointer, ctypes.c_char_p, _size, _pointer
)
memory_data = _function(_keeping, "wasmtime_memory_data", _pointer, _pointer, _pointer)
memory_data_size = _function(_keeping, "wasmtime_memory_data_size", _size, _pointer, _pointer)
extern_delete = _function(_keeping, "wasmtime_extern_delete", None, _pointer)
func_call_unchecked = _function(
    _releasing, "wasmtime_func_call_unchecked", _pointer, _pointer, _pointer, _pointer, _size, _pointer
)
func_call_unchecked_held = _function(
    _keeping, "wasmtime_func_call_unchecked", _pointer, _pointer, _pointer, _pointer, _size, _pointer
)
_trap_new = _function(_keeping, "wasmtime_trap_new", _pointer, ctypes.c_char_p, _size)
_linker_define = _function(
    _keeping,
    "wasmtime_linker_define_func_unchecked",
    _pointer,
    _pointer,
    ctypes.c_char_p,
    _size,
    ctypes.c_char_p,
    _size,
    _pointer,
    _pointer,
    ctypes.py_object,
    _pointer,
)
_externref_new = _function(
    _keeping, "wasmtime_externref_new", ctypes.c_bool, _pointer, _pointer, _pointer, _pointer
)
_externref_data = _function(_keeping, "wasmtime_externref_data", _pointer, _pointer, _pointer)
_externref_from_raw = _function(
    _keeping, "wasmtime_externref_from_raw", None, _pointer, ctypes.c_uint32, _pointer
)
_externref_to_raw = _function(_keeping, "wasmtime_externref_to_raw", ctypes.c_uint32, _pointer, _pointer)
_externref_unroot = _function(_keeping, "wasmtime_externref_unroot", None, _pointer)

CALLBACK = ctypes.CFUNCTYPE(_size, ctypes.py_object, _pointer, _pointer, _size)
"""wasmtime_func_unchecked_callback_t, with the environment taken as the Python object it is. Source: func.h."""


_incref = ctypes.pythonapi.Py_IncRef
_incref.argtypes = [ctypes.py_object]
_incref.restype = None
_decref = ctypes.pythonapi.Py_DecRef
_decref.argtypes = [_pointer]
_decref.restype = None


@ctypes.CFUNCTYPE(None, _pointer)  # type: ignore[untyped-decorator]  # what ctypes makes has no type to give
def _forget(address: int, decref: Callable[[int], None] = _decref) -> None:
    """Drop the reference that C held; wasmtime calls it when the last linker and store with a function are gone."""
    decref(address)


# Linkers and stores can outlive this module when the interpreter ends: what they call then has to be there still.
_incref(_forget)
_forget_address = ctypes.cast(_forget, _pointer)


# ------------------------------------------------------------------------------------ what the C trampoline is given

WASMTIME_VERSION: str = version("wasmtime")


def addresses() -> dict[str, int]:
    """Return the addresses of the functions of wasmtime's that the C trampoline calls."""
    names = (
        "wasmtime_caller_context",
        "wasmtime_caller_export_get",
        "wasmtime_memory_data",
        "wasmtime_memory_data_size",
        "wasmtime_extern_delete",
        "wasmtime_func_call_unchecked",
        "wasmtime_trap_new",
        "wasmtime_linker_define_func_unchecked",
    )
    return {name: ctypes.cast(_keeping[name], _pointer).value or 0 for name in names}


def size_of(name: str) -> int:
    """Size of one of wasmtime's structures as wasmtime-py defines it, or with a dot the offset of a member."""
    structure, _, member = name.partition(".")
    found = getattr(ffi, structure)
    return int(getattr(found, member).offset) if member else ctypes.sizeof(found)


# ---------------------------------------------------------------------------------------------------- core types

_VALTYPES: dict[str, Callable[[], wasmtime.ValType]] = {
    "i32": wasmtime.ValType.i32,
    "i64": wasmtime.ValType.i64,
    "f32": wasmtime.ValType.f32,
    "f64": wasmtime.ValType.f64,
    "externref": wasmtime.ValType.externref,
}


def function_type(params: Sequence[str], results: Sequence[str]) -> wasmtime.FuncType:
    """Make a function type of core types; it owns its C memory and must outlive the calls it is passed to."""
    return wasmtime.FuncType([_VALTYPES[name]() for name in params], [_VALTYPES[name]() for name in results])


# ------------------------------------------------------------------------------------------------------- linking


def define_callback(
    linker: int, module: bytes, name: bytes, type: int, callback: int, env: object
) -> int | None:
    """Define a ctypes callback in a linker; returns the address of an error, or None."""
    _incref(env)
    # From here on wasmtime owns that reference: on an error too, it runs the finalizer.
    error: int | None = _linker_define(
        linker, module, len(module), name, len(name), type, callback, env, _forget_address
    )
    return error


def linker_address(linker: wasmtime.Linker) -> int:
    """Return the address of a wasmtime_linker_t; ValueError if it is closed."""
    return ctypes.addressof(linker.ptr().contents)


def type_address(type: wasmtime.FuncType) -> int:
    """Return the address of a wasm_functype_t, which lives as long as its FuncType."""
    return ctypes.addressof(type.ptr().contents)


def wasmtime_error(address: int) -> wasmtime.WasmtimeError:
    """Take over a wasmtime_error_t."""
    return wasmtime.WasmtimeError._from_ptr(ctypes.cast(address, ctypes.POINTER(ffi.wasmtime_error_t)))


# ----------------------------------------------------------------------------------------------------- externref
#
# Objects are interned where wasmtime-py interns its own, so that a reference made by one side is read by the other, and
# both are dropped by the store's collector.


def externref_from_raw(context: int, raw: int) -> object:
    """Return the object behind a raw externref of a store; None for null."""
    if raw == 0:
        return None
    slot = ffi.wasmtime_externref_t()
    address = ctypes.addressof(slot)
    _externref_from_raw(context, raw, address)
    try:
        handle = _externref_data(context, address)
        return wasmtime_value._unintern(handle) if handle else None
    finally:
        _externref_unroot(address)


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
            if not _externref_new(context, handle, wasmtime_value._externref_finalizer, address):
                raise InternalError(
                    "wasmtime_externref_new made no reference: the store's GC heap is exhausted"
                )
            slots.append(address)
        return [int(_externref_to_raw(context, address)) if address else 0 for address in slots]
    finally:
        for address in slots:
            if address:
                _externref_unroot(address)


# --------------------------------------------------------------------------------------------------------- traps


class _Raised(threading.local):
    """What the last failed host callback of this thread raised, until the entry beneath it picks it up.

    A callback runs on the thread that entered the guest, and its trap unwinds to that entry before anything else runs
    on the thread, so one slot a thread is exact. `message` is what the trap says, so that a trap of the guest's own is
    never taken for it.
    """

    error: BaseException | None = None
    message: str = ""


_raised = _Raised()


def trap(where: str, error: BaseException) -> int:
    """Make the trap that a callback returns for an exception, and leave the exception for the entry to raise."""
    try:
        text = str(error).partition("\n")[0]
    except Exception:  # an exception of the user's whose __str__ fails is still reported by its class
        text = ""
    message = (
        f"{where} raised {type(error).__name__}: {text}" if text else f"{where} raised {type(error).__name__}"
    )
    _raised.error = error
    _raised.message = message
    data = message.encode("utf-8", "replace").replace(b"\0", b"\\0")
    return int(_trap_new(data, len(data)))


SPARE_MESSAGE = b"host function failed, and so did the report of it"


def spare_trap() -> int:
    """Make a trap for the case that not even `trap` can run."""
    return int(_trap_new(SPARE_MESSAGE, len(SPARE_MESSAGE)))


def take_raised(trap: BaseException | None) -> BaseException | None:
    """Take the exception that ended a guest call as `trap`, noting the guest's backtrace on it; None if the guest
    trapped by itself."""
    error = _raised.error
    if error is None:
        return None
    message = _raised.message
    _raised.error = None
    _raised.message = ""
    if trap is None:
        return error
    report = str(trap)
    if message.replace("\0", "\\0") not in report:
        return None
    backtrace = report.partition("\n\nCaused by:")[0].strip()
    if "backtrace" in backtrace:
        lines = [line.strip() for line in backtrace.splitlines()[1:] if line.strip()]
        note = "guest backtrace:\n" + "\n".join("    " + line for line in lines)
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)
    return error


def reraise(error: BaseException) -> None:
    """Raise an exception object as it is: its cause and context stay what they were."""
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
        del error, context


def failure(error_address: int | None, trap_address: int | None) -> BaseException:
    """Return what a failed call of a guest raises: the host's own exception, or wasmtime's Trap or WasmtimeError."""
    found: BaseException
    if error_address:
        found = wasmtime.WasmtimeError._from_ptr(
            ctypes.cast(error_address, ctypes.POINTER(ffi.wasmtime_error_t))
        )
    else:
        found = wasmtime.Trap._from_ptr(ctypes.cast(trap_address, ctypes.POINTER(ffi.wasm_trap_t)))  # type: ignore[arg-type]  # not None here
    mine = take_raised(found)
    return found if mine is None else mine


# wasmtime-py's own entries (Func.__call__, Linker.instantiate, Instance) raise what one process-wide variable holds.
# All of them ask this one function for it, so this is the one place to hand them the thread's own exception.
_original_maybe_raise = wasmtime_func.maybe_raise_last_exn


def _maybe_raise_last_exn() -> None:
    if _raised.error is not None:
        frame = sys._getframe(1)
        found = frame.f_locals.get("trap_obj")
        if not isinstance(found, BaseException):
            found = sys.exc_info()[1]
        del frame
        mine = take_raised(found)
        if mine is not None:
            reraise(mine)
    _original_maybe_raise()


def _install() -> bool:
    """Make wasmtime-py's entries raise the thread's own exception, if they look as expected."""
    generator = getattr(wasmtime_func.enter_wasm, "__wrapped__", None)
    code = getattr(generator, "__code__", None)
    if not isinstance(code, types.CodeType) or "maybe_raise_last_exn" not in code.co_names:
        logger.warning(
            "wasmtime %s: enter_wasm is not as expected; "
            "calls of wasmtime's own Func raise Trap in place of the host's exception",
            version("wasmtime"),
        )
        return False
    wasmtime_func.maybe_raise_last_exn = _maybe_raise_last_exn
    return True


entries_raise_original = _install()
"""Whether wasmtime-py's own entries raise the host's exception (else: a Trap that says what was raised where)."""


# ------------------------------------------------------------------------------------------------- one thread a store

new_guard: Callable[[], Any] = threading.RLock
"""Makes what guards a store; the C trampoline puts its own here."""


def guard_of(store: Any) -> Any:
    """Return what a thread holds while it is inside a store: an RLock, or something like it, kept with the store."""
    state = getattr(store, "__dict__", None)
    if state is None:
        return new_guard()  # a Caller's: its thread is inside already
    guard = state.get("_hostmod_guard")
    if guard is None:
        guard = state.setdefault("_hostmod_guard", new_guard())
    return guard


# --------------------------------------------------------------------------------------------------------- views


def raw_caller(address: int) -> wasmtime.Caller:
    """Make wasmtime-py's Caller of a callback's caller; end it with `_invalidate`."""
    return wasmtime.Caller(ctypes.cast(address, ctypes.POINTER(ffi.wasmtime_caller_t)))


def context_address(store: Any) -> int:
    """Return the address of a store's context; ValueError if it is closed."""
    return ctypes.addressof(store._context().contents)


def array_at(address: int, size: int) -> Any:
    """Make a ctypes array over `size` bytes at `address`.

    Its type is not ``c_ubyte * size``: ctypes keeps those for ever, one for each size a guest chose.
    """
    cls = type("GuestMemory", (ctypes.Array,), {"_type_": ctypes.c_ubyte, "_length_": size})
    return cls.from_address(address)  # type: ignore[attr-defined]  # an Array subclass has it


def release_views(array: Any) -> bool:
    """Release every memoryview of `array`, and return whether any other object (a numpy array) still shows it.

    Only for views that someone kept: it looks through everything that the garbage collector knows.
    """
    for holder in gc.get_referrers(array):
        if type(holder).__name__ == "managedbuffer":
            for view in gc.get_referrers(holder):
                if isinstance(view, memoryview):
                    with contextlib.suppress(BufferError):
                        view.release()
        elif isinstance(holder, memoryview):
            with contextlib.suppress(BufferError):
                holder.release()
    return any(type(holder).__name__ == "managedbuffer" for holder in gc.get_referrers(array))


def store_of(context: int) -> wasmtime.Store | None:
    """Find the Python object of a store by the address of its context, or None if there is none."""
    for found in gc.get_objects():
        if isinstance(found, wasmtime.Store):
            pointer = getattr(found, "_Store__context", None)
            if pointer and ctypes.addressof(pointer.contents) == context:
                return found
    return None


def hold_store(context: int, array: Any, where: str) -> None:
    """Keep a store from running and closing for as long as `array`, which shows its memory, is alive."""
    store = store_of(context)
    if store is None:
        return
    alive = weakref.ref(array)
    attributes = vars(store)

    def refuse() -> Any:
        if alive() is not None:
            raise ViewEscapedError(where)
        attributes.pop("_context", None)
        attributes.pop("_delete", None)
        return store_again()

    reference = weakref.ref(store)

    def store_again() -> Any:
        again = reference()
        return None if again is None else again._context()

    def delete(pointer: Any) -> None:
        if alive() is not None:
            raise ViewEscapedError(where)
        ffi.wasmtime_store_delete(pointer)

    attributes["_context"] = refuse
    attributes["_delete"] = delete
