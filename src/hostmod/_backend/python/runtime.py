"""What generated code runs on: frames, the memory of a call, ending its views, and the contract of a backend.

One frame is kept for each stack address: calls that are under way at the same time are at different addresses, in every
thread and every depth of nesting, so a frame is never shared, and making one again for each call would cost more than
the call does.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import itertools
import operator
import threading
import weakref
from collections.abc import Callable, Sequence
from threading import get_ident
from types import MethodType
from typing import Any, NoReturn

from hostmod import _wasmtime
from hostmod._backend.conversions import (
    StructError,
    bad_none,
    bad_tuple,
    bad_value,
    checked_core_values,
    invalid_string,
    plain_tuple,
)
from hostmod._backend.python.codegen import FORMATS, render_guest, render_host
from hostmod._codegen import compile_source
from hostmod._wasmtime import capi, externref, store, views
from hostmod._wasmtime import store as stores
from hostmod._wasmtime.stack import here
from hostmod._wasmtime.store import uninterruptible_entry
from hostmod._wasmtime.views import ROUNDS, Views, Window, nested
from hostmod.errors import (
    ConversionError,
    ErrnoError,
    MemoryAccessError,
    SegmentationFault,
    StaleMemoryError,
    StoreBusyError,
    ViewEscapedError,
    as_errno,
    store_closed,
)
from hostmod.memory import Memory
from hostmod.plan import Plan, Slot
from hostmod.types.pointer import Pointer
from hostmod.types.references import Caller
from hostmod.types.scalar import Duration
from hostmod.types.text import decode

NOTHING = -1
OTHER_STORE = -2


def no_memory(where: str, name: str, kind: int) -> MemoryAccessError:
    """Return the error for a guest whose memory cannot be reached: `kind` is what wasmtime found under its name."""
    if kind == OTHER_STORE:
        return MemoryAccessError(where, "the memory given when linking belongs to another store", name)
    found = {NOTHING: "nothing", _wasmtime.EXTERN_SHAREDMEMORY: "a shared memory"}.get(kind, "no memory")
    return MemoryAccessError(where, f"the guest exports {found} as {name!r}", name)


class Slots:
    """Typed views of an array of 16-byte slots; ``slots.i[4 * k]`` is core value k as a signed 32-bit integer."""

    __slots__ = ("B", "H", "I", "Q", "address", "b", "d", "f", "h", "i", "q", "raw")

    def __init__(self, address: int, count: int) -> None:
        self.address = address
        self.raw = raw = memoryview(_wasmtime.array_at(address, count * _wasmtime.RAW_SIZE)).cast("B")
        for name in "iIqQfdbBhH":
            setattr(self, name, raw.cast(name))  # type: ignore[call-overload]  # a format character from the table


def put_core_values(slots: Slots, where: str, slot: Slot, core_values: Sequence[Any]) -> None:
    """Store the core values that a guest type made."""
    for index, (core, word) in enumerate(
        zip(slot.type.core, checked_core_values(where, slot, core_values), strict=True), slot.index
    ):
        view = getattr(slots, FORMATS[core])
        view[index * _wasmtime.RAW_SIZE // (4 if core in ("i32", "f32") else 8)] = word


class _NoWindow:
    """In the place of a window, while no memory has been found."""

    size = -1
    view = memoryview(b"")


_NO_WINDOW: Any = _NoWindow()


class Frame(Slots):
    """What the calls at one stack address use: the slots, and the window on the memory that the last of them found."""

    __slots__ = (
        "_extern",
        "caller",
        "caller_argument",
        "context_argument",
        "item",
        "item_address",
        "item_argument",
        "key",
        "length_argument",
        "locator",
        "memory_argument",
        "name_argument",
        "window",
    )

    def __init__(self, address: int, count: int, locator: Any) -> None:
        super().__init__(address, count)
        self.locator = locator
        self.name_argument = locator.name_argument
        self.length_argument = locator.length_argument
        self._extern = (ctypes.c_ubyte * _wasmtime.EXTERN_SIZE)()
        self.item = memoryview(self._extern).cast("B")
        self.item_address = ctypes.addressof(self._extern)
        self.item_argument = _wasmtime.address_argument(self.item_address)
        self.memory_argument = _wasmtime.address_argument(self.item_address + _wasmtime.EXTERN_OF)
        self.caller = 0
        self.caller_argument = self.context_argument = _wasmtime.address_argument(0)
        self.key = b""
        self.window: views.Window = _NO_WINDOW

    def called_by(self, caller: int) -> None:
        """Take up another caller than that of the last call.

        `caller` is set last: where a signal's exception comes in between, the next call does it again.
        """
        self.caller = 0
        self.caller_argument = _wasmtime.address_argument(caller)
        self.caller = caller

    def take_memory(self, key: bytes) -> views.Window:
        """Take up a memory that is not the one found last, or has another size now, and return the window on it."""
        kind = key[0]
        if kind != _wasmtime.EXTERN_MEMORY:
            if kind == _wasmtime.EXTERN_SHAREDMEMORY:
                _wasmtime.extern_delete(self.item_address)
            raise no_memory(self.locator.where, self.locator.name, kind)
        context = _wasmtime.caller_context(self.caller)
        guard = store.guard_at(context)
        window = views.window_on(guard, key[_wasmtime.EXTERN_OF :])
        argument = _wasmtime.address_argument(context)
        # `key` of another memory last: where an exception comes in between, the next call does it again.
        if key != self.key:
            self.key = b""
        self.window, self.context_argument = window, argument
        self.key = key
        return window

    def take_memory_again(self) -> tuple[views.Window, memoryview, int]:
        """Return the window on the same memory, which has ended just now, its view and its size in bytes."""
        for _ in range(ROUNDS):
            window = self.take_memory(self.key)
            data, size = window.view, window.size
            if size >= 0:
                return window, data, size
        raise nested()


class Locator:
    """Finds the memory that a function's calls see: an export of the caller, or one memory of one store."""

    __slots__ = ("length_argument", "name", "name_argument", "where")

    def __init__(self, where: str, name: str) -> None:
        self.where = where
        self.name = name
        data = name.encode()
        self.name_argument = _wasmtime.bytes_argument(data)
        self.length_argument = _wasmtime.address_argument(len(data))

    def locate(self, frame: Frame) -> Window:
        """Return the window on the memory, by which `frame` is up to date; MemoryAccessError if there is none."""
        if not _wasmtime.prepared_export_get(
            frame.caller_argument, self.name_argument, self.length_argument, frame.item_argument
        ):
            raise self.missing()
        key = frame.item.tobytes()
        window = frame.window
        if key == frame.key and window.size == _wasmtime.prepared_data_size(
            frame.context_argument, frame.memory_argument
        ):
            return window
        return frame.take_memory(key)

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
        self._item = ctypes.string_at(ctypes.addressof(extern), _wasmtime.EXTERN_SIZE)

    def locate(self, frame: Frame) -> Window:
        if _wasmtime.caller_context(frame.caller) != self._context():
            raise no_memory(self.where, self.name, OTHER_STORE)
        if frame.key != self._item:
            frame.item[:] = self._item
        elif frame.window.size == _wasmtime.prepared_data_size(frame.context_argument, frame.memory_argument):
            return frame.window
        return frame.take_memory(self._item)


_export_get = _wasmtime.prepared_export_get
_data_size = _wasmtime.prepared_data_size


def not_copied(memory: Memory, protocol: object) -> NoReturn:
    """Refuse to copy or pickle the memory of a call: a copy would not end with it."""
    raise StaleMemoryError("a copy of it would outlive its call", "copy what you keep, or use Guest.memory")


class CallMemory(Memory):
    """The calling guest's memory, for the time of one call; generated code makes it.

    `_frame` is the call's, and None after it; `_found` says that this call has looked the memory up. Which memory that
    is cannot change in the middle of a call. Its size can, and its address with the size. `_owner` is the call's
    thread: in any other, the call may end between two lines of what follows. `_views` is what the call has handed out:
    one for each time that its guest ran again, or more, since Python code that runs while one is made may make another.
    """

    __slots__ = ("_found", "_frame", "_owner", "_views")

    _found: bool
    _frame: Frame | None
    _owner: int
    _views: list[Views]

    __reduce_ex__ = not_copied

    def _of_call(self) -> Frame:
        """Return the frame of the call; StaleMemoryError after it, StoreBusyError in another thread."""
        frame = self._frame
        if frame is None:
            raise StaleMemoryError(
                "it was used after its call ended", "copy what you keep, or use Guest.memory"
            )
        if self._owner != get_ident():
            raise StoreBusyError(
                "guest memory",
                "it was used in a thread that its call is not in",
                "the thread that the guest called on",
                "read there what another thread needs",
            )
        return frame

    def _through(self) -> Window:
        """Return the window on the memory at its present size."""
        # As _of_call says, without the cost of its call.
        frame = self._frame
        if frame is None or self._owner != get_ident():
            frame = self._of_call()
        if self._found:
            window = frame.window
            if window.size != _data_size(frame.context_argument, frame.memory_argument):
                window = frame.take_memory(frame.key)
            return window
        # What Locator.locate does, without the cost of its call.
        if not _export_get(
            frame.caller_argument, frame.name_argument, frame.length_argument, frame.item_argument
        ):
            raise frame.locator.missing()
        key = frame.item.tobytes()
        window = frame.window
        if key != frame.key or window.size != _data_size(frame.context_argument, frame.memory_argument):
            window = frame.take_memory(key)
        self._found = True
        return window

    def _window(self) -> memoryview:
        return self._through().view

    def view(self, offset: int, length: int) -> memoryview:
        return self._elements(offset, length, "B")

    def _elements(self, offset: int, length: int, format: str, /) -> memoryview:
        end = self.end(offset, length)
        made = self._views
        for _ in range(ROUNDS):
            view = made[-1].view(end - length, end, format) if made else None
            if view is not None:
                return view
            window = self._through()
            if window.moves and self._frame is not None and here.used != self._frame.address:
                raise nested()
            made.append(Views(window))
        raise nested()


class FixedCallMemory(CallMemory):
    """The same, where the memory was given when linking."""

    __slots__ = ()

    def _through(self) -> Window:
        if not self._found:
            frame = self._of_call()
            frame.locator.locate(frame)
            self._found = True
        return super()._through()


def raw_caller(memory: CallMemory) -> Any:
    """Make wasmtime-py's Caller of the call that a memory is of; errors as in `CallMemory._of_call`."""
    return _wasmtime.raw_caller(memory._of_call().caller)


def view_of(frame: Frame, made: list[Views], start: int, stop: int, format: str) -> memoryview:
    """Hand out a view of memory that can move: of the views of the call, made again if its guest has run again."""
    for _ in range(ROUNDS):
        view = made[-1].view(start, stop, format) if made else None
        if view is not None:
            return view
        made.append(Views(frame.take_memory(frame.key)))
    raise nested()


def moved_text(errors: str, offset: int, length: int, frame: Frame) -> str:
    """Read text of a memory that has moved while it was read; `errors` is a policy of `codecs`."""
    for _ in range(ROUNDS):
        with contextlib.suppress(ValueError, TypeError):
            data = bytes(frame.take_memory(frame.key).view[offset : offset + length])
            break
    else:
        raise nested()
    return decode(data, offset, errors)


def end_all(made: Sequence[Views]) -> bool:
    """End all views of a call; False if something can still reach the memory."""
    left = [each for each in made if not each.end()]
    return not left


def end_call(views: Sequence[Views], callers: tuple[Caller | None, ...], where: str, raised: bool) -> None:
    """End what a call handed out. Can be called again if a signal's exception came in between.

    Raises ViewEscapedError if something can still reach the memory and nothing else was `raised`.
    """
    for caller in callers:
        if caller is not None:
            caller._end()
    if not end_all(views) and not raised:
        raise ViewEscapedError(where)


def end_raised(views: Sequence[Views], callers: tuple[Caller | None, ...], where: str) -> None:
    """End what a call handed out that raised: its own exception is what its caller gets."""
    try:
        end_call(views, callers, where, True)
    except BaseException:  # a signal's: that is what the caller gets then
        end_call(views, callers, where, True)
        raise


def end_plain(
    handed: tuple[memoryview | None, ...], root: memoryview | None, views: list[Views] | None
) -> None:
    """End what a call of plain views handed out that raised, as `end_raised` does.

    Args:
        handed: the views, as far as they were made.
        root: what they are slices of.
        views: the same, for a memory that can move.
    """
    try:
        _end_plain(handed, root, views)
    except BaseException:
        _end_plain(handed, root, views)
        raise


# A signal's exception at their entry would come before they try.
uninterruptible_entry(end_raised)  # type: ignore[arg-type]  # a function
uninterruptible_entry(end_plain)  # type: ignore[arg-type]  # a function


def _end_plain(
    handed: tuple[memoryview | None, ...], root: memoryview | None, views: list[Views] | None
) -> None:
    for view in (*handed, root):
        if view is not None:
            with contextlib.suppress(BufferError):
                view.release()
    if views is not None:
        end_all(views)


MAX_FRAMES = 256
"""Frames kept for one function: stack addresses repeat, but a hostile guest can vary its stack's depth."""


_HOST_NAMES: dict[str, Any] = {
    "__name__": __name__,
    "Caller": Caller,
    "ConversionError": ConversionError,
    "Duration": Duration,
    "Pointer": Pointer,
    "SPARES": _wasmtime.spares,
    "SPARE_TEXT": _wasmtime.SPARE_TEXT,
    "SegmentationFault": SegmentationFault,
    "StructError": StructError,
    "ViewEscapedError": ViewEscapedError,
    "as_errno": as_errno,
    "bad_none": bad_none,
    "bad_tuple": bad_tuple,
    "bad_value": bad_value,
    "caller_context": _wasmtime.caller_context,
    "data_size": _wasmtime.prepared_data_size,
    "moved_text": moved_text,
    "view_of": view_of,
    "end_all": end_all,
    "end_call": end_call,
    "end_plain": end_plain,
    "end_raised": end_raised,
    "export_get": _wasmtime.prepared_export_get,
    "hold_raws": externref.hold_raws,
    "here": _wasmtime.stack.here,
    "get_ident": threading.get_ident,
    "index": operator.index,
    "invalid_string": invalid_string,
    "new": object.__new__,
    "partial": functools.partial,
    "plain_tuple": plain_tuple,
    "put_core_values": put_core_values,
    "raised": _wasmtime.raised,
    "raw_caller": raw_caller,
    "ref": weakref.ref,
    "root_all": externref.from_raws,
    "trap": _wasmtime.trap,
}
"""What the generated code calls."""


class HostThunk:
    """A plan's callback, compiled, for `_wasmtime.define_callback`. Serves any number of linkers and instances."""

    __slots__ = ("__weakref__", "address", "callback", "source")

    def __init__(
        self, plan: Plan, memory: str = "memory", fixed: tuple[Any, Callable[[], int | None]] | None = None
    ) -> None:
        locator = FixedLocator(plan.where, *fixed) if fixed else Locator(plan.where, memory)
        text, names = render_host(plan, fixed is not None)
        frames: dict[int, Frame] = {}
        count = plan.slot_count

        def new_frame(address: int) -> Frame:
            if len(frames) >= MAX_FRAMES:
                frames.clear()
            frames[address] = frame = Frame(address, count, locator)
            return frame

        names.update(
            frames=frames,
            new_frame=new_frame,
            locator=locator,
            CallMemory=FixedCallMemory if fixed else CallMemory,
        )
        function = compile_source(text, _HOST_NAMES | names, f"trampoline {plan.where}")["trampoline"]
        uninterruptible_entry(function)
        self.source = text
        self.callback = _wasmtime.CALLBACK(function)
        self.address = ctypes.cast(self.callback, ctypes.c_void_p).value or 0


def define_all(
    linker: int,
    rows: tuple[tuple[Any, bytes, bytes, int], ...],
    functions: tuple[Callable[..., Any], ...],
    receiver: object,
    keep: list[object] | None,
) -> tuple[int, int] | None:
    """Define functions in a linker: (thunk, module, name, type's address) and what serves it, for each.

    With a `receiver` that is not None, the functions are its methods. What has to live as long as they do is added to
    `keep`; without one, wasmtime keeps it. Returns the index of the first that the linker
    refuses and the address of its error, or None.
    """
    served = functions if receiver is None else [MethodType(each, receiver) for each in functions]
    for index, ((thunk, module, name, type_), callable_) in enumerate(zip(rows, served, strict=True)):
        env = (callable_, thunk)
        if keep is not None:
            keep.append(env)
        error = _wasmtime.define_callback(linker, module, name, type_, thunk.address, env, keep is None)
        if error:
            return index, error
    return None


class GuestSlots(Slots):
    """The slots of one call of a guest, and the place where it leaves its trap."""

    __slots__ = ("_array", "trap", "trap_address")

    def __init__(self, count: int) -> None:
        self._array = (ctypes.c_ubyte * ((count + 1) * _wasmtime.RAW_SIZE))()
        address = ctypes.addressof(self._array)
        super().__init__(address, count)
        self.trap_address = address + count * _wasmtime.RAW_SIZE
        self.trap = memoryview(self._array).cast("B")[count * _wasmtime.RAW_SIZE :].cast("Q")


_GUEST_NAMES: dict[str, Any] = {
    "__name__": __name__,
    "ErrnoError": ErrnoError,
    "StructError": StructError,
    "bad_value": bad_value,
    "store_closed": store_closed,
    "enter": stores.enter,
    "failure": _wasmtime.failure,
    "here": _wasmtime.stack.here,
    "index": operator.index,
    "put_core_values": put_core_values,
    "from_raw": capi.externref_from_raw,
    "drop": externref.drop,
    "dropped": externref.dropped,
    "make_roots": externref.make_roots,
    "new_roots": externref.new_roots,
    "objects_of": externref.objects_of,
    "raws_of": externref.raws_of,
    "release": externref.release,
    "repeat": itertools.repeat,
    "unroot": externref.unroot,
    "reraise": _wasmtime.reraise,
}
"""What the generated code calls."""


class GuestThunk:
    """A plan made ready for calls of guests. Serves any number of stores; its source is written when first needed."""

    __slots__ = ("_lenient", "_native_guard", "_rendered", "plan")

    def __init__(
        self, plan: Plan, lenient: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
    ) -> None:
        """Take a plan; `lenient` wraps its calls in ones that take more than the plan does."""
        self.plan = plan
        self._lenient = lenient
        self._rendered: tuple[str, dict[str, Any], str] | None = None
        self._native_guard = False

    def caller(
        self, store: Any, function: Any, new_memory: Callable[[], Any] | None = None, hold: bool = False
    ) -> Callable[..., Any]:
        """Make a callable of the plan's parameters that calls `function`, a wasmtime.Func of `store`.

        `hold` keeps the GIL while the guest runs. `new_memory` makes the memory that arguments are copied into.
        """
        plan = self.plan
        rendered = self._rendered
        guard = _wasmtime.guard_of(store)
        native_guard = not isinstance(guard, stores.Guard)
        if rendered is None or self._native_guard is not native_guard:
            self._native_guard = native_guard
            text, names = render_guest(plan, native_guard)
            rendered = self._rendered = text, _GUEST_NAMES | names, f"call of {plan.signature}"
        text, known, what = rendered
        count = plan.slot_count
        structure = function._func

        def context_of() -> int:
            try:
                return _wasmtime.context_of(store)
            except ValueError:
                raise store_closed(plan.where) from None

        names = {
            **known,
            "pool": [],
            "new_slots": lambda: GuestSlots(count),
            "new_memory": new_memory,
            "store": store,
            "context_of": context_of,
            "function": ctypes.addressof(structure),
            "keep": (store, function, structure),
            "guard": guard,
            "Entered": stores.parts.Entered,
            "claim": None if native_guard else guard.claim,
            "WHERE": plan.where,
            "COUNT": count,
            "invoke": _wasmtime.func_call_unchecked_held if hold else _wasmtime.func_call_unchecked,
        }
        # Out of its own globals: the store goes with the last reference to the call, not with the next collection.
        call: Callable[..., Any] = compile_source(text, names, what).pop("call")
        return call if self._lenient is None else self._lenient(call)
