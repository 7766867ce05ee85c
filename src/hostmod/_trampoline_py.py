"""The trampoline in pure Python: a `Plan` becomes readable Python source, which is compiled and called through ctypes.

Host direction: wasmtime calls a ctypes callback with the address of the call's stack, an array of 16-byte slots that
holds the parameters and takes the results. `render_host` writes a function of four arguments for one plan:

    env     a tuple whose first item is the callable to run
    caller  the address of the wasmtime_caller_t
    stack   the address of the slots
    count   how many there are

Guest direction: `render_guest` writes a function of the plan's parameters that fills such slots and calls the guest.

What the generated code reads and writes slots through, and what it has learnt about the guest's memory, is kept in a
`Frame` for each stack address: calls that are under way at the same time are at different addresses, in every thread
and every depth of nesting, so a frame is never shared, and making one again for each call would cost more than the
call does.
"""

from __future__ import annotations

import contextlib
import ctypes
import dis
import functools
import gc
import operator
import struct
import sys
import threading
import traceback
import types
from collections.abc import Callable, Sequence
from typing import Any

from hostmod import _ffi
from hostmod._generated import compile_source
from hostmod.errors import (
    ConversionError,
    ErrnoError,
    InvalidStringError,
    MemoryAccessError,
    SegmentationFault,
    StaleMemoryError,
    StoreBusyError,
    ViewEscapedError,
    as_errno,
)
from hostmod.memory import Memory
from hostmod.plan import Plan, Slot
from hostmod.types.pointer import Pointer
from hostmod.types.reference import Caller
from hostmod.types.scalar import ERRNO, Duration

MAX_FRAMES = 256
"""Frames kept for one function: stack addresses repeat, but a hostile guest can vary its stack's depth."""

NAME: str = "py"

StructError = struct.error

_VIEWS = {"i": "i", "I": "I", "q": "q", "Q": "Q", "f": "f", "d": "d", "b": "b", "B": "B", "h": "h", "H": "H"}
_WORD = {"i32": "I", "i64": "Q", "f32": "f", "f64": "d"}
_SLOT = _ffi.RAW_SIZE
_WIDTH = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8, "d": 8}


NOTHING = -1
OTHER_STORE = -2


def no_memory(where: str, name: str, kind: int) -> MemoryAccessError:
    """Return the error for a guest whose memory cannot be reached: `kind` is what wasmtime found under its name."""
    if kind == OTHER_STORE:
        return MemoryAccessError(where, "the memory given when linking belongs to another store", name)
    found = {NOTHING: "nothing", _ffi.EXTERN_SHAREDMEMORY: "a shared memory"}.get(kind, "no memory")
    return MemoryAccessError(where, f"the guest exports {found} as {name!r}", name)


class Slots:
    """Typed views of an array of 16-byte slots; ``slots.i[4 * k]`` is core value k as a signed 32-bit integer."""

    __slots__ = ("B", "H", "I", "Q", "address", "b", "d", "f", "h", "i", "q", "raw")

    def __init__(self, address: int, words: int) -> None:
        self.address = address
        self.raw = raw = memoryview(_ffi.array_at(address, words * _SLOT)).cast("B")
        for name in _VIEWS:
            setattr(self, name, raw.cast(name))  # type: ignore[call-overload]  # a format character from the table


class Frame(Slots):
    """What the calls at one stack address use: the slots, and the guest memory that the last of them found.

    `whole` is a ctypes array over all of it, and what every view that is handed out belongs to; `window` is the
    trampoline's own view, never handed out. While nobody holds a view, two references to `whole` exist besides.
    """

    __slots__ = (
        "_extern",
        "context",
        "item",
        "item_address",
        "key",
        "memory_address",
        "outlived",
        "size",
        "whole",
        "window",
    )

    def __init__(self, address: int, words: int) -> None:
        super().__init__(address, words)
        self._extern = (ctypes.c_ubyte * _ffi.EXTERN_SIZE)()
        self.item = memoryview(self._extern).cast("B")
        self.item_address = ctypes.addressof(self._extern)
        self.memory_address = self.item_address + _ffi.EXTERN_OF
        self.key = b""
        self.context = 0
        self.size = -1
        self.whole: Any = None
        self.window = memoryview(b"")
        self.outlived: list[Any] = []

    def adopt(self, key: bytes, caller: int, where: str, name: str) -> None:
        """Take up a memory that is not the one found last, or has another size now."""
        kind = key[0]
        if kind != _ffi.EXTERN_MEMORY:
            if kind == _ffi.EXTERN_SHAREDMEMORY:
                _ffi.extern_delete(self.item_address)
            raise no_memory(where, name, kind)
        self.context = _ffi.caller_context(caller)
        size = _ffi.memory_data_size(self.context, self.memory_address)
        base = _ffi.memory_data(self.context, self.memory_address) or 0
        self.whole = _ffi.array_at(base, size) if size else (ctypes.c_ubyte * 0)()
        self.window = memoryview(self.whole).cast("B")
        self.size = size
        self.key = key

    def forget(self) -> None:
        """Let go of the memory found last; the next call finds it again. What showed it is `outlived`."""
        self.outlived.append(self.whole)
        self.key = b""
        self.size = -1
        self.whole = None
        self.window.release()
        self.window = memoryview(b"")

    def check_moved(self) -> None:
        """End what the call under way has lent, if the memory is no longer where it was."""
        if self.size <= 0 or self.whole is None:
            return
        base = _ffi.memory_data(self.context, self.memory_address)
        if base != ctypes.addressof(self.whole):
            self.forget()
            if _ffi.release_views(self.outlived.pop(), moved=True):
                raise ViewEscapedError("guest memory that moved")


class CallMemory(Memory):
    """The calling guest's memory, for the time of one call: `_frame` is None after it."""

    __slots__ = ("_caller", "_frame", "_lent", "_locator", "_wholes")

    def __init__(self, frame: Frame, caller: int, locator: Locator) -> None:
        self._frame: Frame | None = frame
        self._caller = caller
        self._locator = locator
        self._lent = False
        self._wholes: list[Any] = []

    def _window(self) -> memoryview:
        frame = self._frame
        if frame is None:
            raise StaleMemoryError(
                "it was used after its call ended", "copy what you keep, or use Guest.memory"
            )
        whole = frame.whole
        self._locator.locate(frame, self._caller)
        if self._lent and whole is not None and whole is not frame.whole:
            # It grew while views of it are out: they stay if it stayed where it was, or had nothing to show.
            if not len(whole) or ctypes.addressof(whole) == ctypes.addressof(frame.whole):
                self._wholes.append(whole)
            elif _ffi.release_views(whole, moved=True):
                raise ViewEscapedError(self._locator.where)
        return frame.window

    def view(self, offset: int, length: int) -> memoryview:
        end = self.end(offset, length)
        frame = self._frame
        assert frame is not None  # end() has looked
        with memoryview(frame.whole).cast("B") as root:
            found = root[offset:end]
        if not self._lent:
            self._lent = True
            _ffi.lent[frame.address] = frame
        return found


FREE = 3
"""References to `Frame.whole` while no view is out: the frame, its window's buffer, and the argument."""

FREE_VIEW = 4
"""References to a view that only the host function that raised has: its frame, and three in between."""


def end_call(
    frame: Frame,
    where: str,
    error: BaseException | None,
    memory: CallMemory | None,
    views: tuple[memoryview | None, ...],
    callers: tuple[Caller | None, ...],
) -> None:
    """End a call that raised (`error`), or one that something it lent has outlived. Can be called again if interrupted.

    Raises ViewEscapedError if a view cannot be ended and nothing else was raised.
    """
    for caller in callers:
        if caller is not None:
            caller._end()
    for view in views:
        # The frame in the traceback of what was raised has each of them. What else has one may have its address.
        if view is not None and sys.getrefcount(view) <= FREE_VIEW:
            with contextlib.suppress(BufferError):
                view.release()
    view = None  # a name of a call under way is a reference that nobody can account for
    if frame.whole is not None and sys.getrefcount(frame.whole) > FREE:
        frame.forget()
    if memory is not None:
        frame.outlived += memory._wholes
        memory._wholes = []
    escaped = False
    while frame.outlived:
        if _settle(frame.outlived[-1], frame.context, where, error):
            escaped = True
        frame.outlived.pop()
    if escaped and error is None:
        raise ViewEscapedError(where)


def end_again(interrupt: BaseException, frame: Frame, where: str, error: object, *lent: Any) -> None:
    """End a call once more, after a signal's exception has come in between: that is what is raised then."""
    traceback.clear_frames(interrupt.__traceback__)  # they refer to the views
    end_call(frame, where, interrupt, *lent)


def settle(whole: Any, context: int, where: str, error: BaseException | bool | None) -> None:
    """Deal with one view that outlived its call, for the C trampoline; ViewEscapedError as in `end_call`.

    `error` is True for a memory that has moved in the middle of the call.
    """
    try:
        held = _settle(whole, context, where, error)
    except BaseException as interrupt:
        traceback.clear_frames(interrupt.__traceback__)  # they refer to the views
        _settle(whole, context, where, interrupt)
        raise
    finally:
        del whole  # the traceback of what is raised here keeps what has a name
    if held and not isinstance(error, BaseException):
        raise ViewEscapedError(where)


def _settle(whole: Any, context: int, where: str, error: BaseException | bool | None) -> bool:
    """End the views of `whole`; if one cannot be ended, keep the store as it is, and return True.

    `error` is what the host function raised: the frames in its traceback keep their locals, and so their arrays.
    """
    if error is True:
        return _ffi.release_views(whole, moved=True)
    held = _still_shown(whole)
    if held and isinstance(error, BaseException):
        traceback.clear_frames(error.__traceback__)
        held = _still_shown(whole)
    if held:
        gc.collect()  # an array in a reference cycle is nobody's
        held = _still_shown(whole)
    if held:
        _ffi.hold_store(_ffi.store_of(context), whole, where)
        if isinstance(error, BaseException):
            error.add_note(str(ViewEscapedError(where)))
    return held


def _still_shown(whole: Any) -> bool:
    # Whoever has the ctypes array itself (from memoryview.obj) has an address too. The C trampoline's is empty once its
    # call has ended.
    return _ffi.release_views(whole) or (isinstance(whole, ctypes.Array) and sys.getrefcount(whole) > UNSHOWN)


UNSHOWN = 4
"""References to an array that nothing shows: `Frame.outlived`, the name in `_settle`, that here, and the argument."""


class Locator:
    """Finds the memory that a function's calls see: an export of the caller, or one memory of one store."""

    __slots__ = ("name", "name_bytes", "where")

    def __init__(self, where: str, name: str) -> None:
        self.where = where
        self.name = name
        self.name_bytes = name.encode()

    def locate(self, frame: Frame, caller: int) -> None:
        """Bring `frame` up to date; MemoryAccessError if there is no such memory."""
        if not _ffi.caller_export_get(caller, self.name_bytes, len(self.name_bytes), frame.item_address):
            raise self.missing()
        key = frame.item.tobytes()
        if key != frame.key or frame.size != _ffi.memory_data_size(frame.context, frame.memory_address):
            frame.adopt(key, caller, self.where, self.name)

    def missing(self) -> MemoryAccessError:
        """The error for a guest that exports no such thing."""
        return no_memory(self.where, self.name, NOTHING)


class FixedLocator(Locator):
    """Finds one memory, in one store: for guests that import theirs."""

    __slots__ = ("_context", "_item")

    def __init__(self, where: str, memory: Any, context: Callable[[], int | None]) -> None:
        super().__init__(where, "memory")
        self._context = context
        extern = memory._as_extern()
        self._item = ctypes.string_at(ctypes.addressof(extern), _ffi.EXTERN_SIZE)

    def locate(self, frame: Frame, caller: int) -> None:
        if _ffi.caller_context(caller) != self._context():
            raise MemoryAccessError(
                self.where, "the memory given when linking belongs to another store", self.name
            )
        if frame.key != self._item:
            frame.item[:] = self._item
        elif frame.size == _ffi.memory_data_size(frame.context, frame.memory_address):
            return
        frame.adopt(self._item, caller, self.where, self.name)


# ------------------------------------------------------------------------------------------- what generated code calls


def bad_value(where: str, slot: Slot, value: object, cause: BaseException) -> ConversionError:
    """Return the error for a value that its guest type does not take."""
    at = f"{where} {slot.name}" if slot.name.startswith("result") else f"{where}({slot.name})"
    if isinstance(cause, ConversionError):
        return ConversionError(at + cause.where, cause.found, cause.expected, cause.write)
    refuse = getattr(slot.type, "refuse", None)
    if refuse is not None:
        return refuse(value, at)  # type: ignore[no-any-return]  # ScalarType.refuse
    return ConversionError(at, f"{value!r} ({cause})", str(slot.type))


def bad_none(where: str, value: object) -> ConversionError:
    """Return the error for a function without results that returned one."""
    return ConversionError(
        f"{where} result", f"{value!r} ({type(value).__name__})", "None", "annotate what it returns"
    )


def bad_tuple(where: str, value: object, length: int) -> ConversionError:
    """Return the error for a function of several results that returned something else."""
    return ConversionError(
        f"{where} result", f"{value!r} ({type(value).__name__})", f"a tuple of {length} values"
    )


def unpack_words(where: str, slot: Slot, words: Sequence[Any]) -> Sequence[Any]:
    """Check that a guest type of the user's made as many core values as it says."""
    if len(words) != len(slot.type.core):
        raise ConversionError(
            f"{where} {slot.name}",
            f"{len(words)} core values from {slot.type}.store_value",
            f"{len(slot.type.core)}",
        )
    return words


def checked_words(where: str, slot: Slot, words: Sequence[Any]) -> list[Any]:
    """Check the core values that a guest type made; integers may be signed or unsigned, and become unsigned."""
    found: list[Any] = []
    for core, word in zip(slot.type.core, unpack_words(where, slot, words), strict=True):
        try:
            if core in ("i32", "i64"):
                bits = 32 if core == "i32" else 64
                number = operator.index(word)
                if not -(1 << (bits - 1)) <= number < 1 << bits:
                    raise OverflowError(f"{number} does not fit {core}")
                found.append(number & ((1 << bits) - 1))
            else:
                # What struct refuses as a float, or as a float of 32 bits, is refused.
                _CORE_FLOATS[core].pack(word)
                found.append(float(word))
        except (TypeError, ValueError, OverflowError, StructError) as error:
            raise ConversionError(
                f"{where} {slot.name}", f"{word!r} from {slot.type}.store_value", core
            ) from error
    return found


_CORE_FLOATS = {"f32": struct.Struct("<f"), "f64": struct.Struct("<d")}


def put_words(slots: Slots, where: str, slot: Slot, words: Sequence[Any]) -> None:
    """Store the core values that a guest type made."""
    for index, (core, word) in enumerate(
        zip(slot.type.core, checked_words(where, slot, words), strict=True), slot.index
    ):
        view = getattr(slots, _WORD[core])
        view[index * _SLOT // (4 if core in ("i32", "f32") else 8)] = word


def invalid_string(offset: int, data: Any, error: UnicodeDecodeError) -> InvalidStringError:
    """Return the error for bytes that are no UTF-8."""
    return InvalidStringError(offset, bytes(data), f"{error.reason} at byte {error.start}")


def closed(where: str) -> StaleMemoryError:
    """Return the error for a call into a store that is closed."""
    return StaleMemoryError(f"{where} was called, but its store is closed", "call it before closing")


def headroom() -> None:
    """Raise RecursionError now, if the callback's own frames would not fit any more.

    An exception before a ctypes callback has begun to run is printed and lost, and wasmtime reads an arbitrary number
    as its result.
    """
    _headroom_1()


def _headroom_1() -> None:
    _headroom_2()


def _headroom_2() -> None:
    _headroom_3()


def _headroom_3() -> None:
    pass


_NAMESPACE: dict[str, Any] = {
    "new": object.__new__,
    "__name__": __name__,
    "FREE": FREE,
    "ConversionError": ConversionError,
    "SegmentationFault": SegmentationFault,
    "StoreBusyError": StoreBusyError,
    "ErrnoError": ErrnoError,
    "CallMemory": CallMemory,
    "Caller": Caller,
    "Pointer": Pointer,
    "Duration": Duration,
    "SPARES": _ffi.spares,
    "SPARE_TEXT": _ffi.SPARE_TEXT,
    "StructError": StructError,
    "as_errno": as_errno,
    "bad_none": bad_none,
    "bad_tuple": bad_tuple,
    "bad_value": bad_value,
    "closed": closed,
    "caller_context": _ffi.caller_context,
    "data_size": _ffi.memory_data_size,
    "end_again": end_again,
    "end_call": end_call,
    "get_ident": threading.get_ident,
    "lent": _ffi.lent,
    "moved": _ffi.moved,
    "unwatch": _ffi.unwatch,
    "watch": _ffi.watch,
    "watched": _ffi.watched,
    "ViewEscapedError": ViewEscapedError,
    "export_get": _ffi.caller_export_get,
    "externref_from_raw": _ffi.externref_from_raw,
    "externrefs_to_raw": _ffi.externrefs_to_raw,
    "failure": _ffi.failure,
    "headroom": headroom,
    "index": operator.index,
    "invalid_string": invalid_string,
    "put_words": put_words,
    "partial": functools.partial,
    "raw_caller": _ffi.raw_caller,
    "refcount": sys.getrefcount,
    "raised": _ffi.raised,
    "reraise": _ffi.reraise,
    "trap": _ffi.trap,
}


# -------------------------------------------------------------------------------------------------------- generating


class _Source:
    """Lines of generated code, and the objects that they name."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}
        self.depth = 0

    def add(self, *lines: str) -> None:
        self.lines += ["    " * self.depth + line for line in lines]

    def name(self, prefix: str, value: object) -> str:
        found = f"{prefix}{len(self.names)}"
        self.names[found] = value
        return found

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def _at(index: int, format: str) -> str:
    """The expression of core value `index` in a view of one format."""
    return f"{format}[{index * _SLOT // _WIDTH[format]}]"


def _words(slot: Slot, frame: str) -> str:
    """A tuple of the slot's core values, as GuestType.load_value takes them."""
    items = "".join(
        f"{frame}.{_at(slot.index + at, _WORD[core])}, " for at, core in enumerate(slot.type.core)
    )
    return f"({items})"


def _reads_memory(slot: Slot) -> bool:
    return slot.type.code in ("string", "bytes", "array")


def _uses_call_memory(slot: Slot) -> bool:
    return slot.type.code in ("pointer", "pointer?", "list", "cstring", "caller", "")


def render_host(plan: Plan, fixed_memory: bool = False) -> tuple[str, dict[str, Any]]:
    """Write the source of a plan's callback, and the names it refers to."""
    source = _Source()
    where = repr(plan.where)
    reads = any(_reads_memory(slot) for slot in plan.params)
    caller_slots = [slot for slot in plan.params if slot.type.code == "caller"]
    memory = any(_uses_call_memory(slot) for slot in (*plan.params, *plan.results))
    references = any(slot.type.code == "externref" for slot in (*plan.params, *plan.results))
    # Where a CallMemory exists it keeps account of the views; where none does, the generated code does so itself.
    views = [] if memory else [slot for slot in plan.params if slot.type.code in ("bytes", "array")]

    source.add("def trampoline(env, caller, stack, count):", "    try:")
    source.depth = 2
    source.add("if watched:", "    moved(caller_context(caller))")
    source.add("try:", "    f = frames[stack]", "except KeyError:", "    f = new_frame(stack)")
    if references:
        source.add("context = caller_context(caller)")
    if reads:
        if fixed_memory:
            source.add("locator.locate(f, caller)")
        else:
            source.add(
                "if not export_get(caller, MEMORY, MEMORY_LENGTH, f.item_address):",
                "    raise locator.missing()",
                "key = f.item.tobytes()",
                "if key != f.key or f.size != data_size(f.context, f.memory_address):",
                f"    f.adopt(key, caller, {where}, locator.name)",
            )
        source.add("size = f.size")
    if memory:
        source.add("memory = CallMemory(f, caller, locator)")
    if views:
        source.add("root = None")
    source.add(
        *(
            f"p{position} = None"
            for position, slot in enumerate(plan.params)
            if slot.type.code in ("bytes", "array", "caller")
        )
    )
    cleanup = bool(memory or views or caller_slots)
    if cleanup:
        source.add("try:")
        source.depth += 1
    if views:
        source.add("root = memoryview(f.whole).cast('B')", "lent[stack] = f")
    users = False
    for position, slot in enumerate(plan.params):
        if users and _reads_memory(slot):
            # Code of the user's has run since the memory was looked at: it may have let the guest grow it.
            source.add("locator.locate(f, caller)", "size = f.size")
        _load_param(source, position, slot, where, memory)
        users = users or slot.type.code == ""
    arguments = ", ".join(f"p{position}" for position in range(len(plan.params)))
    if plan.optional:
        source.add("try:", f"    result = env[0]({arguments})", "except BaseException as error:")
        source.depth += 1
        source.add(f"number = as_errno(error, {source.name('errors', dict(plan.errors))})")
        source.add("if number is None:", "    raise")
        source.add("result = None")
        source.depth -= 1
        source.add("else:", "    number = 0")
        source.add("if number == 0:")
        source.depth += 1
        _store_results(source, plan, "f")
        source.depth -= 1
        source.add("else:")
        source.depth += 1
        for slot in plan.results:
            for at in range(len(slot.type.core)):
                source.add(f"f.{_at(slot.index + at, 'Q')} = 0")
        errno = source.name("slot", Slot("errno", ERRNO, plan.errno_index))
        _guarded(source, [f"f.{_at(plan.errno_index, 'i')} = number"], where, errno, "number")
        source.depth -= 1
        source.add("if number == 0:", f"    f.{_at(plan.errno_index, 'i')} = 0")
    else:
        source.add(f"result = env[0]({arguments})")
        _store_results(source, plan, "f")
    if cleanup:
        source.depth -= 1
        ends = _ending(plan, memory, views, where)
        source.add("except BaseException as error:")
        source.add(*("    " + line for line in ends("error")), "    raise")
        source.add("else:")
        source.add(*("    " + line for line in ends("None")))
    source.add("return 0")
    source.depth = 1
    source.add(
        # Without a call, first: at the end of Python's stack none works.
        "except BaseException as error:",
        "    raised.error = error",
        "    raised.message = SPARE_TEXT",
        "    try:",
        f"        return trap({where}, error)",
        "    except Exception:",
        "        pass",
        "    except BaseException as interrupt:",
        "        raised.error = interrupt",
        "        raised.message = SPARE_TEXT",
        "    pointer = SPARES[-1]",
        "    del SPARES[-1]",
        "    return pointer",
    )
    return source.text, source.names


def _ending(plan: Plan, memory: bool, views: list[Slot], where: str) -> Callable[[str], list[str]]:
    """Lines that end what a call lent; `error` is the name of what it raised, or None.

    First what ends it for good, which no signal can come in between, since nothing is called; then the slow part, if
    there is one, and again if a signal does come in between.
    """
    callers = [f"p{at}" for at, slot in enumerate(plan.params) if slot.type.code == "caller"]
    lent = [f"p{at}" for at, slot in enumerate(plan.params) if slot.type.code in ("bytes", "array")]

    def lines(error: str) -> list[str]:
        raised = error != "None"
        found: list[str] = []
        if memory:
            found.append("memory._frame = None")
        for name in callers:
            found += [f"if {name} is not None:", f"    {name}._make = None"]
        if memory or views:
            found += ["if stack in lent:", "    del lent[stack]"]
        conditions: list[str] = []
        if views:
            conditions.append("True" if raised else "refcount(f.whole) > FREE")
        elif memory:
            conditions.append(
                "memory._lent" if raised else "memory._lent and (memory._wholes or refcount(f.whole) > FREE)"
            )
        conditions += [
            f"{name} is not None and {name}._made is not None" if raised else f"{name}._made is not None"
            for name in callers
        ]
        given = [*lent, *(["root"] if views else [])]
        if raised and given:
            found.append(f"views = ({', '.join(given)},)")
        if given:
            found.append(f"{' = '.join(given)} = None")
        arguments = ", ".join(
            (
                "f",
                where,
                error,
                "memory" if memory else "None",
                "views" if raised and given else "()",
                f"({', '.join(callers)},)" if callers else "()",
            )
        )
        found += [
            f"if {' or '.join(conditions)}:",
            "    try:",
            f"        end_call({arguments})",
            "    except ViewEscapedError:",
            "        raise",
            "    except BaseException as interrupt:",
            f"        end_again(interrupt, {arguments})",
            "        raise",
        ]
        return found

    return lines


_WIDENED: dict[str, str] = {"b": "i", "h": "i", "B": "I", "H": "I"}
"""The `struct` character of the core value that a narrower integer is returned as."""


def _load_param(source: _Source, position: int, slot: Slot, where: str, memory: bool) -> None:
    """Add the lines that turn a parameter's core values into its Python value."""
    type_: Any = slot.type  # its code says which class it is of, and so what attributes it has
    code, name = type_.code, f"p{position}"
    if code in ("int", "float"):
        source.add(f"{name} = f.{_at(slot.index, type_.format)}")
    elif code == "bool":
        source.add(f"{name} = f.{_at(slot.index, 'I')} != 0")
    elif code == "duration":
        source.add(f"{name} = Duration(f.{_at(slot.index, 'q')})")
    elif code == "enum":
        _load_guarded(
            source,
            f"{name} = {source.name('member', type_.member)}(f.{_at(slot.index, type_.base.format)})",
            where,
            slot,
        )
    elif code == "pointer":
        # What Pointer(memory, offset, type) does, without the cost of its call.
        source.add(
            f"{name} = new(Pointer)",
            f"{name}.memory = memory",
            f"{name}.offset = f.{_at(slot.index, 'I')}",
            f"{name}.type = {source.name('type', type_.element)}",
        )
    elif code == "externref":
        source.add(f"{name} = externref_from_raw(context, f.{_at(slot.index, 'I')})")
    elif code == "caller":
        source.add(f"{name} = Caller(memory, partial(raw_caller, caller))")
    elif code in ("string", "bytes", "array"):
        step = type_.step if code != "string" else 1
        source.add(
            f"o = f.{_at(slot.index, 'I')}",
            f"n = f.{_at(slot.index + 1, 'I')}" + (f" * {step}" if step != 1 else ""),
            "if o + n > size:",
            "    raise SegmentationFault(o, n, size)",
        )
        if code == "string":
            policy = "" if type_.errors == "strict" else f", {type_.errors!r}"
            source.add(
                "try:",
                f"    {name} = str(f.window[o : o + n], 'utf-8'{policy})",
                "except UnicodeDecodeError as error:",
                "    raise invalid_string(o, f.window[o : o + n], error) from None",
            )
        else:
            cast = f".cast({type_.format!r})" if type_.format != "B" else ""
            source.add(f"{name} = {'memory.view(o, n)' if memory else 'root[o : o + n]'}{cast}")
    else:
        _load_guarded(
            source,
            f"{name} = {source.name('load', type_.load_value)}(memory, {_words(slot, 'f')})",
            where,
            slot,
        )


def _load_guarded(source: _Source, line: str, where: str, slot: Slot) -> None:
    here = source.name("slot", slot)
    source.add(
        "try:",
        "    " + line,
        "except ConversionError as error:",
        f"    raise bad_value({where}, {here}, None, error) from error",
    )


def _store_results(source: _Source, plan: Plan, frame: str) -> None:
    """Add the lines that check what a function returned and store it."""
    where = repr(plan.where)
    if not plan.results:
        if plan.is_tuple:
            source.add("if result != ():", f"    raise bad_tuple({where}, result, 0)")
        else:
            source.add("if result is not None:", f"    raise bad_none({where}, result)")
        return
    if plan.is_tuple:
        names = [f"r{position}" for position in range(len(plan.results))]
        source.add(
            f"if not isinstance(result, tuple) or len(result) != {len(names)}:",
            f"    raise bad_tuple({where}, result, {len(names)})",
            f"{', '.join(names)}, = result",
        )
    else:
        names = ["result"]
    _store_values(source, plan.results, names, where, frame)


def _store_values(
    source: _Source, slots: Sequence[Slot], names: Sequence[str], where: str, frame: str
) -> None:
    """Add the lines that turn Python values into core values."""
    references: list[tuple[Slot, str]] = []
    for slot, name in zip(slots, names, strict=True):
        type_: Any = slot.type  # as in _load_param
        code = type_.code
        here = source.name("slot", slot)
        if code in ("int", "duration"):
            format: str = type_.format
            view = _WIDENED.get(format, format)
            if type_.size < 4:
                lines = [
                    f"narrow = {name} if type({name}) is int else index({name})",
                    f"if not {type_.low} <= narrow <= {type_.high}:",
                    "    raise OverflowError",
                    f"{frame}.{_at(slot.index, view)} = narrow",
                ]
            else:
                lines = [f"{frame}.{_at(slot.index, view)} = {name}"]
            _guarded(source, lines, where, here, name)
        elif code == "float":
            pack = source.name("pack", type_.layout.pack_into)
            _guarded(source, [f"{pack}({frame}.raw, {slot.index * _SLOT}, {name})"], where, here, name)
        elif code == "bool":
            check = source.name("check", type_.check)
            _guarded(
                source,
                [f"{frame}.{_at(slot.index, 'I')} = {name} if {name} is True else {check}({name})"],
                where,
                here,
                name,
            )
        elif code == "enum":
            number = source.name("number", type_.number)
            format = type_.base.format
            view = _WIDENED.get(format, format)
            _guarded(source, [f"{frame}.{_at(slot.index, view)} = {number}({name})"], where, here, name)
        elif code == "externref":
            references.append((slot, name))
        else:
            store = source.name("store", type_.store_value)
            passing = "memory.failed" if frame == "s" else ""
            _guarded(source, [f"words = {store}(memory, {name})"], where, here, name, passing)
            source.add(f"put_words({frame}, {where}, {here}, words)")
    if references:
        # Made last and together: making a reference may collect those that nothing holds yet.
        values = "".join(f"{name}, " for _, name in references)
        source.add(f"raws = externrefs_to_raw(context, ({values}))")
        for position, (slot, _) in enumerate(references):
            source.add(f"{frame}.{_at(slot.index, 'I')} = raws[{position}]")


def _guarded(
    source: _Source, lines: Sequence[str], where: str, slot: str, value: str, passing: str = ""
) -> None:
    """Add lines whose errors are about a value; all but the one that `passing` names, if it does."""
    source.add(
        "try:",
        *("    " + line for line in lines),
        "except (TypeError, ValueError, OverflowError, StructError) as error:",
        *((f"    if error is {passing}:", "        raise") if passing else ()),
        f"    raise bad_value({where}, {slot}, {value}, error) from error",
    )


def render_guest(plan: Plan) -> tuple[str, dict[str, Any]]:
    """Write the source of a function that calls a guest's export, and the names it refers to."""
    source = _Source()
    where = repr(plan.where)
    names = [f"p{position}" for position in range(len(plan.params))]
    references = any(slot.type.code == "externref" for slot in (*plan.params, *plan.results))
    memory = any(
        slot.type.code not in ("int", "float", "bool", "duration", "enum", "externref")
        for slot in (*plan.params, *plan.results)
    )
    source.add(f"def call({', '.join(names)}):")
    source.depth = 1
    source.add("try:", "    s = pool.pop()", "except IndexError:", "    s = new_slots()")
    if references:
        source.add("context = context_of()")
    if memory:
        source.add("context_of()", "memory = new_memory()", "try:")
        source.depth += 1
    _store_values(source, plan.params, names, where, "s")
    source.add(
        "headroom()",
        "me = get_ident()",
        "if guard.depth and guard.owner != me:",
        f"    raise StoreBusyError({where})",
        "guard.owner = me",
        "guard.depth += 1",
        "watching = False",
        "try:",
        "    if lent:",
        "        watching = watch(context_of())",
        "    error = invoke(store._context(), function, s.address, WORDS, s.trap_address)",
        "except ValueError:",
        f"    raise closed({where}) from None",
        "finally:",
        "    guard.depth -= 1",
        "if watching:",
        "    unwatch(context_of())",
        "if error is not None or s.trap[0]:",
        "    pointer = s.trap[0]",
        "    s.trap[0] = 0",
        "    reraise(failure(error, pointer))",
    )
    if plan.optional:
        source.add(f"number = s.{_at(plan.errno_index, 'i')}", "if number:", "    raise ErrnoError(number)")
    for position, slot in enumerate(plan.results):
        _load_result(source, position, slot)
    if memory:
        source.depth -= 1
        source.add("finally:", "    memory.free()")
    source.add("pool.append(s)")
    results = [f"r{position}" for position in range(len(plan.results))]
    source.add(
        f"return ({', '.join(results)},)"
        if plan.is_tuple and results
        else f"return {results[0] if results else ('()' if plan.is_tuple else 'None')}"
    )
    return source.text, source.names


def _load_result(source: _Source, position: int, slot: Slot) -> None:
    type_: Any = slot.type  # as in _load_param
    code, name = type_.code, f"r{position}"
    if code in ("int", "float"):
        source.add(f"{name} = s.{_at(slot.index, type_.format)}")
    elif code == "bool":
        source.add(f"{name} = s.{_at(slot.index, 'I')} != 0")
    elif code == "externref":
        source.add(f"{name} = externref_from_raw(context, s.{_at(slot.index, 'I')})")
    else:
        memory = "None" if code in ("duration", "enum") else "memory"
        source.add(f"{name} = {source.name('load', type_.load_value)}({memory}, {_words(slot, 's')})")


def uninterruptible_entry(function: types.FunctionType) -> None:
    """Make a callback's first instruction look for no signals.

    A signal that arrives while the guest runs is handled by the first Python code after it, which is the callback's
    entry; what its handler raises there (KeyboardInterrupt) is outside every try, and ctypes prints it and returns an
    arbitrary number to wasmtime. RESUME with an argument of 2 or more skips the look, and the next one is inside the
    try. Source: CPython, Python/bytecodes.c, RESUME.
    """
    code = function.__code__
    raw = bytearray(code.co_code)
    for at in range(0, len(raw), 2):
        if raw[at] == dis.opmap["RESUME"]:
            raw[at + 1] |= 2
            break
    function.__code__ = code.replace(co_code=bytes(raw))


uninterruptible_entry(settle)  # type: ignore[arg-type]  # a function


class HostThunk:
    """A plan's callback, compiled: what `_ffi.define` registers. Serves any number of linkers and instances."""

    __slots__ = ("__weakref__", "address", "callback", "source")

    def __init__(
        self, plan: Plan, memory: str = "memory", fixed: tuple[Any, Callable[[], int | None]] | None = None
    ) -> None:
        locator = FixedLocator(plan.where, *fixed) if fixed else Locator(plan.where, memory)
        text, names = render_host(plan, fixed is not None)
        frames: dict[int, Frame] = {}
        words = plan.words

        def new_frame(address: int) -> Frame:
            if len(frames) >= MAX_FRAMES:
                frames.clear()
            frames[address] = frame = Frame(address, words)
            return frame

        names.update(
            frames=frames,
            new_frame=new_frame,
            locator=locator,
            MEMORY=locator.name_bytes,
            MEMORY_LENGTH=len(locator.name_bytes),
        )
        function = compile_source(text, _NAMESPACE | names, f"trampoline {plan.where}")["trampoline"]
        uninterruptible_entry(function)
        self.source = text
        self.callback = _ffi.CALLBACK(function)
        self.address = ctypes.cast(self.callback, ctypes.c_void_p).value or 0


def define_all(
    linker: int,
    rows: tuple[tuple[Any, bytes, bytes, int], ...],
    functions: tuple[Callable[..., Any], ...],
    receiver: object,
) -> tuple[int, int] | None:
    """Define functions in a linker: (thunk, module, name, type's address) and what serves it, for each.

    With a `receiver` that is not None, the functions are its methods. Returns the index of the first that the linker
    refuses and the address of its error, or None.
    """
    served = functions if receiver is None else [types.MethodType(each, receiver) for each in functions]
    for index, ((thunk, module, name, type_), callable_) in enumerate(zip(rows, served, strict=True)):
        error = _ffi.define_callback(linker, module, name, type_, thunk.address, (callable_, thunk))
        if error:
            return index, error
    return None


class GuestSlots(Slots):
    """The slots of one call of a guest, and the place where it leaves its trap."""

    __slots__ = ("_array", "trap", "trap_address")

    def __init__(self, words: int) -> None:
        self._array = (ctypes.c_ubyte * ((words + 1) * _SLOT))()
        address = ctypes.addressof(self._array)
        super().__init__(address, words)
        self.trap_address = address + words * _SLOT
        self.trap = memoryview(self._array).cast("B")[words * _SLOT :].cast("Q")


def guest_caller(
    plan: Plan,
    store: Any,
    function: Any,
    new_memory: Callable[[], Any] | None,
    hold: bool = False,
    lenient: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None,
) -> Callable[..., Any]:
    """Compile a function that calls `function`, a wasmtime.Func of `store`, by a plan.

    `hold` keeps the GIL while the guest runs. `new_memory` makes the memory that arguments are copied into. `lenient`
    wraps the call in one that takes more than the plan does.
    """
    text, names = render_guest(plan)
    words = plan.words
    structure = function._func

    def context_of() -> int:
        try:
            return _ffi.open_context(store)
        except ValueError:
            raise closed(plan.where) from None

    names.update(
        pool=[],
        new_slots=lambda: GuestSlots(words),
        new_memory=new_memory,
        store=store,
        context_of=context_of,
        function=ctypes.addressof(structure),
        keep=(store, function, structure),
        guard=_ffi.guard_of(store),
        WORDS=words,
        invoke=_ffi.func_call_unchecked_held if hold else _ffi.func_call_unchecked,
    )
    found: Callable[..., Any] = compile_source(text, _NAMESPACE | names, f"call {plan.where}")["call"]
    return found if lenient is None else lenient(found)
