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
from wasmtime import _instance as wasmtime_instance
from wasmtime import _linker as wasmtime_linker
from wasmtime import _value as wasmtime_value

from hostmod.errors import InternalError, StoreBusyError, ViewEscapedError

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
_word = ctypes.c_void_p  # a size_t argument: of the same width, and converted in a third of the time


def _function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    function = library[name]
    function.restype = result
    function.argtypes = arguments
    return function


caller_context = _function(_keeping, "wasmtime_caller_context", _pointer, _pointer)
caller_export_get = _function(
    _keeping, "wasmtime_caller_export_get", ctypes.c_bool, _pointer, ctypes.c_char_p, _word, _pointer
)
memory_data = _function(_keeping, "wasmtime_memory_data", _pointer, _pointer, _pointer)
memory_data_size = _function(_keeping, "wasmtime_memory_data_size", _size, _pointer, _pointer)
extern_delete = _function(_keeping, "wasmtime_extern_delete", None, _pointer)
func_call_unchecked = _function(
    _releasing, "wasmtime_func_call_unchecked", _pointer, _pointer, _pointer, _pointer, _word, _pointer
)
func_call_unchecked_held = _function(
    _keeping, "wasmtime_func_call_unchecked", _pointer, _pointer, _pointer, _pointer, _word, _pointer
)
_trap_new = _function(_keeping, "wasmtime_trap_new", _pointer, ctypes.c_char_p, _word)
_linker_define = _function(
    _keeping,
    "wasmtime_linker_define_func_unchecked",
    _pointer,
    _pointer,
    ctypes.c_char_p,
    _word,
    ctypes.c_char_p,
    _word,
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


_KNOWN = [
    *((name, make()) for name, make in _VALTYPES.items()),
    ("funcref", wasmtime.ValType.funcref()),
    ("v128", wasmtime.ValType._from_ptr(ffi.wasmtime_wasm_valtype_v128(), None)),
]


def core_name(type: wasmtime.ValType) -> str:
    """Spell a value type as the text format does; "a reference" for those that wasmtime-py does not know.

    Not by wasmtime-py's ``str``: it asks wasm_valtype_kind, which ends the process for v128 and for most references.
    """
    pointer = type.ptr()
    for name, known in _KNOWN:
        if ffi.wasmtime_wasm_valtype_equal(pointer, known.ptr()):
            return name
    return "a reference"


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
    data = message.encode("utf-8", "replace").replace(b"\0", b"\\0")
    made = int(_trap_new(data, len(data)))
    raised.error = error
    raised.message = data.decode()
    return made


SPARE_MESSAGE = b"host function failed, and so did the report of it"
SPARE_TEXT: str = SPARE_MESSAGE.decode()

spares: list[int] = []
"""Traps for callbacks that cannot make one: calls are what fails then, at the end of Python's stack for one."""


def refill() -> None:
    """Make spare traps, for as many threads as may need one before the next comes back to Python."""
    while len(spares) < 32:
        spares.append(int(_trap_new(SPARE_MESSAGE, len(SPARE_MESSAGE))))


refill()


def take_raised(trap: BaseException | None) -> BaseException | None:
    """Take the exception that ended a guest call as `trap`, noting the guest's backtrace on it; None if the guest
    trapped by itself."""
    left = raised.error
    if left is None:
        return None
    error: BaseException = left
    message = raised.message
    raised.error = None
    raised.message = ""
    refill()
    if wasmtime_func.LAST_EXCEPTION is error:
        wasmtime_func.LAST_EXCEPTION = None
    if trap is None:
        return error
    report = str(trap)
    if message not in report:
        return None
    backtrace = report.partition("\n\nCaused by:")[0].strip()
    if "backtrace" in backtrace:
        lines = [line.strip() for line in backtrace.splitlines()[1:] if line.strip()]
        note = "guest backtrace:\n" + "\n".join("    " + line for line in lines)
        # An exception of the user's that takes no notes is raised without one.
        with contextlib.suppress(Exception):
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


# ------------------------------------------------------------------------------------------------- one thread a store


class Guard:
    """Which thread is inside a store, and how many calls deep.

    Two plain attributes: neither a signal nor another thread can come between a check and what follows from it, as
    they could with the calls of a lock.
    """

    __slots__ = ("depth", "owner")

    def __init__(self) -> None:
        self.depth = 0
        self.owner = 0


new_guard: Callable[[], Any] = Guard
"""Makes what guards a store; the C trampoline puts its own here, which has the same attributes."""


def guard_of(store: Any) -> Any:
    """Return the `Guard` of a store, kept with the store."""
    state = getattr(store, "__dict__", {})
    if "_Store__context" not in state:
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


def store_of(context: int) -> wasmtime.Store | None:
    """Find the Python object of a store by the address of its context, or None if there is none."""
    for found in gc.get_objects():
        if isinstance(found, wasmtime.Store):
            pointer = getattr(found, "_Store__context", None)
            if pointer and ctypes.addressof(pointer.contents) == context:
                return found
    return None


_escapes: dict[int, tuple[weakref.ref[Any], wasmtime.Store]] = {}
"""What shows a store's memory and could not be ended, with the store, which has to stay for as long. Law 5 asks for no
registries: this one is emptied by whoever kept the view, the moment they let it go."""


def hold_store(store: wasmtime.Store | None, array: Any, where: str) -> None:
    """Keep a store alive, and from running and closing, for as long as `array`, which shows its memory, is alive."""
    if store is None:
        return
    attributes = vars(store)

    def refuse(*_: object) -> Any:
        raise ViewEscapedError(where)

    def keep(_: object) -> None:
        if not sys.is_finalizing():
            raise ViewEscapedError(where)

    def let_go(reference: weakref.ref[Any]) -> None:
        _, mine = _escapes.pop(id(reference))
        if not any(other is mine for _, other in list(_escapes.values())):
            vars(mine).pop("_context", None)
            vars(mine).pop("_delete", None)

    reference = weakref.ref(array, let_go)
    _escapes[id(reference)] = reference, store
    attributes["_context"] = refuse
    attributes["_delete"] = keep


def open_context(store: Any) -> int:
    """Return the address of a store's context, held or not; ValueError if it is closed."""
    return ctypes.addressof(type(store)._context(store).contents)


# ---------------------------------------------------------------------------------------------- memory that moves
#
# Wasmtime moves a memory that grows past what was reserved for it (for a 32-bit memory, only with a Config that
# reserves less than 4 GiB). Views that a call under way has lent are ended before Python code gets to see them again:
# when the guest comes back to it, by returning or by a host call.

lent: dict[int, Any] = {}
"""The pure-Python trampoline's calls under way that have lent views: a `Frame` by the address of its slots."""

watched: list[int] = []
"""Contexts of stores that run again while a call has lent views of their memory."""

native_moved: Callable[[int], None] | None = None
"""What the C trampoline does of `moved`; set by it."""


def watch(context: int) -> bool:
    """Note that a store is about to run, if views of its memory are lent; returns whether to `unwatch` it."""
    if any(frame.context == context for frame in list(lent.values())):
        watched.append(context)
        return True
    return False


def unwatch(context: int) -> None:
    """A store that was watched has come back."""
    watched.remove(context)
    moved(context)


def moved(context: int) -> None:
    """End the views of a store's memory if it has moved. Raises ViewEscapedError if one cannot be ended."""
    for frame in list(lent.values()):
        if frame.context == context:
            frame.check_moved()
    if native_moved is not None:
        native_moved(context)


# -------------------------------------------------------------------------------------------- wasmtime-py's own entries
#
# Func.__call__, Linker.instantiate and Instance enter a guest by one context manager, which raises what one
# process-wide variable holds. It is replaced by one that does what hostmod's own calls do: the thread's own exception,
# one thread a store, and an eye on views. What a function made by `Linker.define_func` raises is taken from
# wasmtime-py's callback, where it makes its trap.


class _Entry:
    """A call of a guest by wasmtime-py."""

    __slots__ = ("_context", "_guard", "_trap", "_watched")

    def __init__(self, store: Any) -> None:
        self._guard = guard_of(store)
        self._context = context_address(store)
        self._trap = ctypes.POINTER(ffi.wasm_trap_t)()
        self._watched = False

    def __enter__(self) -> Any:
        guard = self._guard
        me = threading.get_ident()
        if guard.depth and guard.owner != me:
            raise StoreBusyError("wasmtime")
        if lent:
            self._watched = watch(self._context)
        guard.owner = me
        guard.depth += 1
        return ctypes.byref(self._trap)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._guard.depth -= 1
        found = error
        if error is None and bool(self._trap):  # null is false
            found = wasmtime.Trap._from_ptr(self._trap)
        moved_error = self._look()
        if found is None:
            if moved_error is not None:
                raise moved_error
            return
        mine = take_raised(found) if isinstance(found, wasmtime.Trap | wasmtime.WasmtimeError) else None
        if mine is not None:
            reraise(mine)
        if error is None:
            raise found

    def _look(self) -> BaseException | None:
        """End views of memory that has moved, and return the error if one cannot be."""
        try:
            if self._watched:
                unwatch(self._context)
            elif native_moved is not None:
                native_moved(self._context)
        except ViewEscapedError as error:
            return error
        return None


class _CallbackTrap(wasmtime.Trap):
    """The trap that wasmtime-py's callback makes for what it has caught."""

    def __init__(self, message: str) -> None:
        error = sys.exc_info()[1]
        super().__init__(message)
        if error is not None:
            raised.error = error
            raised.message = message


def _install_entry() -> bool:
    """Put `_Entry` in the place of wasmtime-py's context manager, if that is as expected."""
    original = wasmtime_func.enter_wasm
    code = getattr(getattr(original, "__wrapped__", None), "__code__", None)
    expected = {
        "POINTER",
        "ffi",
        "wasm_trap_t",
        "byref",
        "Trap",
        "_from_ptr",
        "maybe_raise_last_exn",
        "WasmtimeError",
    }
    modules = (wasmtime_func, wasmtime_instance, wasmtime_linker)
    if (
        not isinstance(code, types.CodeType)
        or set(code.co_names) != expected
        or any(getattr(module, "enter_wasm", None) is not original for module in modules)
        or getattr(wasmtime_func, "Trap", None) is not wasmtime.Trap
    ):
        logger.warning(
            "wasmtime %s: enter_wasm is not as expected; "
            "calls of wasmtime's own Func raise Trap in place of the host's exception",
            version("wasmtime"),
        )
        return False
    for module in modules:
        module.enter_wasm = _Entry  # type: ignore[attr-defined]  # their name for it
    wasmtime_func.Trap = _CallbackTrap  # type: ignore[attr-defined]  # what its callback looks up
    return True


entries_raise_original = _install_entry()
"""Whether wasmtime-py's own entries raise the host's exception (else: a Trap that says what was raised where)."""


def _close(store: wasmtime.Store) -> None:
    guard = vars(store).get("_hostmod_guard")
    if guard is not None and guard.depth:
        raise StoreBusyError(
            "Store.close", "its guest is running", "a store that is not in use", "close it after the call"
        )
    _original_close(store)


_original_close = wasmtime.Store.close


def _grow(memory: wasmtime.Memory, store: Any, delta: int) -> int:
    pages = _original_grow(memory, store, delta)
    if lent or native_moved is not None:
        moved(context_address(store))
    return pages


_original_grow = wasmtime.Memory.grow


# A store that closes under its guest, and a memory that moves under a view, are freed memory in use.
wasmtime.Store.close = _close  # type: ignore[method-assign,assignment]  # does what it did, if that is safe
wasmtime.Memory.grow = _grow  # type: ignore[method-assign,assignment]  # and then ends views
