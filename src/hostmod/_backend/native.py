"""The native backend: packs Plans for the C code in `_native.c`, and does in Python what that code asks for.

The C code knows the common guest types. For every other value it calls a function of this file, which does what the
pure-Python backend does, so that results, errors and messages are the same.
"""

from __future__ import annotations

import contextlib
import ctypes
import inspect
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

from hostmod import _wasmtime
from hostmod._backend import _native as native
from hostmod._backend import python
from hostmod._backend.python import bad_none, bad_tuple, bad_value, not_copied
from hostmod._wasmtime import externref, patches, stack, views
from hostmod._wasmtime import store as stores
from hostmod.errors import (
    ConversionError,
    ErrnoError,
    InternalError,
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
from hostmod.types.base import GuestType
from hostmod.types.pointer import List, Pointer
from hostmod.types.references import Caller
from hostmod.types.scalar import ERRNO
from hostmod.types.structs import StructType

NAME: str = "native"

_OPCODES: dict[str, int] = native.opcodes()
"""The operations of the C code by their names, which guest types use."""

_CORES = {"i32": "i", "i64": "l", "f32": "f", "f64": "d", "externref": "e"}


# ----------------------------------------------------------------------------------------------------------- packing


def pack(slot: Slot) -> tuple[Any, ...]:
    """Pack a slot as the C code takes it: (op, base op, index, step, format, cores, errors, slot, extra, cls)."""
    packed = slot.type.packed()
    extra = packed.extra
    if packed.element is not None:
        extra = packed.element
        codec_of(packed.element)
    return (
        *(_OPCODES[packed.opcode], _OPCODES[packed.base], slot.index, packed.step, packed.format),
        "".join(_CORES[core] for core in slot.type.core),
        *(packed.errors, slot, extra, packed.cls),
    )


def codec_of(type_: GuestType[Any]) -> native.Codec | None:
    """Make what reads and writes a type in memory in C, or None for one that Python does; kept on the guest type."""
    try:
        return vars(type_)["_native"]  # type: ignore[no-any-return]  # only set below
    except KeyError:
        pass
    found: native.Codec | None = None
    if isinstance(type_, StructType):
        found = _struct_codec(type_) if type_.facts.known else None
    else:
        field = _field(type_)
        if field is not None:
            found = native.Codec(None, type_.size, ((field[0], 0, "", *field[1:]),))
    vars(type_)["_native"] = found
    return found


_SLOTS_ONLY = ("__new__", "__setattr__", "__getattribute__")
"""What a struct inherits from object if its instances are nothing but their slots."""


def _field(type_: Any) -> tuple[int, Any, Any, Any] | None:
    """(op, extra, enum class, codec) for a type of which an object's bytes are a number, or a struct."""
    packed = type_.packed_field()
    if packed is None:
        return None
    codec = None
    if isinstance(type_, StructType):
        codec = codec_of(type_)
        if codec is None:
            return None
    return _OPCODES[packed.opcode], packed.extra, packed.cls, codec


def _struct_codec(type_: StructType) -> native.Codec | None:
    """A codec for a struct of plain fields whose instances are nothing but their slots."""
    cls: Any = type_.cls
    if type_.inline() is None:
        return None  # a large one, stored field by field: what is between its fields stays as it is
    if hasattr(cls, "__post_init__") or cls.__init__ is not type_.initializer:
        return None  # made by code of the author's, not by the dataclass's
    if type(cls).__call__ is not type.__call__ or inspect.isabstract(cls):
        return None  # the class has a say in it, or refuses
    if any(getattr(cls, name) is not getattr(object, name) for name in _SLOTS_ONLY):
        return None
    fields = []
    for field in type_.fields:
        found = _field(field.type)
        if found is None:
            return None
        fields.append((found[0], field.offset, field.name, *found[1:]))
    try:
        return native.Codec(cls, type_.size, tuple(fields))
    except (TypeError, AttributeError):
        return None  # a field that is no plain slot


# ----------------------------------------------------------------------------------------------- what the C code asks


def _load(where: str, slot: Slot, memory: Memory, core_values: Sequence[Any]) -> Any:
    try:
        return slot.type.load_value(memory, core_values)
    except ConversionError as error:
        raise bad_value(where, slot, None, error) from error


def _store(where: str, slot: Slot, memory: Memory, value: Any) -> Sequence[Any]:
    try:
        core_values = slot.type.store_value(memory, value)
    except (TypeError, ValueError, OverflowError, python.StructError) as error:
        raise bad_value(where, slot, value, error) from error
    return python.checked_core_values(where, slot, core_values)


def _fault(offset: int, length: int, size: int) -> None:
    raise SegmentationFault(offset, length, size)


def _invalid_string(offset: int, data: bytes, errors: str) -> str:
    try:
        return str(data, "utf-8", errors)
    except UnicodeDecodeError as error:
        raise InvalidStringError(offset, data, f"{error.reason} at byte {error.start}") from None


def _missing(where: str, name: bytes, kind: int) -> None:
    raise python.no_memory(where, name.decode(), kind)


def _stale() -> None:
    raise StaleMemoryError("it was used after its call ended", "copy what you keep, or use Guest.memory")


def _elsewhere() -> None:
    raise StoreBusyError(
        "guest memory",
        "it was used in a thread that its call is not in",
        "the thread that the guest called on",
        "read there what another thread needs",
    )


def _bad_none(where: str, value: object) -> None:
    raise bad_none(where, value)


def _bad_tuple(where: str, value: object, length: int) -> None:
    raise bad_tuple(where, value, length)


def _caller(memory: Memory, address: int) -> Caller:
    return Caller(memory, partial(_raw_caller, memory, address))


def _raw_caller(memory: Memory, address: int) -> Any:
    with contextlib.suppress(MemoryAccessError):  # a guest without a memory can call all the same
        memory.size  # noqa: B018  # asked for what it raises once the call has ended
    return _wasmtime.raw_caller(address)


def _fail(error: int, trap: int) -> None:
    _wasmtime.reraise(_wasmtime.failure(error, trap))


def _busy(where: str) -> None:
    raise StoreBusyError(where)


def _escaped(where: str, count: int) -> None:
    raise ViewEscapedError(where, count)


def _watch(context: int, view: Any) -> None:
    guard = stores.guard_at(context)
    if guard is not None:
        guard.moving.add(views.Kept(weakref.ref(view)))


def _nested() -> None:
    raise views.nested()


def _stack(where: str, left: int, need: int) -> None:
    raise stack.refuse(where, left, need)


def _raise_errno(number: int) -> None:
    raise ErrnoError(number)


_HELPERS: dict[str, Any] = {
    "load": _load,
    "store": _store,
    "fault": _fault,
    "invalid_string": _invalid_string,
    "missing": _missing,
    "stale": _stale,
    "elsewhere": _elsewhere,
    "bad_none": _bad_none,
    "bad_tuple": _bad_tuple,
    "errno": as_errno,
    "trap": _wasmtime.trap,
    "raised": _wasmtime.raised,
    "escaped": _escaped,
    "moves": views.moves,
    "end_moving": stores.end_moving,
    "guard": stores.guard_at,
    "watch": _watch,
    "nested": _nested,
    "stack": _stack,
    "caller": _caller,
    "reference": externref.rooted_object,
    "make_root": externref.make_root,
    "drop": externref.drop,
    "dropped": externref.dropped,
    "fail": _fail,
    "busy": _busy,
    "raise_errno": _raise_errno,
}


class CallMemory(native.CallMemory, Memory):
    """The calling guest's memory, for the time of one call."""

    __slots__ = ()
    __reduce_ex__ = not_copied


class NativePointer(native.PointerMethods, Pointer[Any]):
    """A `Pointer` whose `load` and `store` are in C."""

    __slots__ = ()


class NativeList(native.ListMethods, List[Any]):
    """A `List` whose items are read in C."""

    __slots__ = ()


# Messages name what they found by its class, and the backends say the same.
NativePointer.__name__ = NativePointer.__qualname__ = "Pointer"
NativeList.__name__ = NativeList.__qualname__ = "List"


def _start() -> None:
    """Introduce the C code to wasmtime and to Python; InternalError if wasmtime's structures are others."""
    for name, size in native.sizes().items():
        known = _wasmtime.size_of(name)
        if size != known and not (name == "wasmtime_externref_t" and known < size):  # room for one
            raise InternalError(
                f"{name} is {size} in the native backend, {known} in wasmtime {_wasmtime.wasmtime_version()}"
            )
    native.setup(_wasmtime.addresses(), _HELPERS, _wasmtime.SPARE_MESSAGE, stores.Keeper, stores.Context)
    stores.parts.Guard = native.Guard
    stores.parts.Entered = native.Entered
    stores.parts.hand = native.hand
    patches.leave_callers()
    native.classes(
        CallMemory, NativePointer, NativeList, Pointer.load, Pointer.store, List.__getitem__, Memory
    )


_start()


# --------------------------------------------------------------------------------------------------------- the contract


class HostThunk(native.Thunk):
    """A plan, packed for C. Serves any number of linkers and instances."""

    __slots__ = ()

    def __new__(
        cls, plan: Plan, memory: str = "memory", fixed: tuple[Any, Callable[[], int | None]] | None = None
    ) -> Self:
        """Pack `plan`; `memory` and `fixed` say which memory its calls see."""
        place: object = None
        if fixed is not None:
            extern = fixed[0]._as_extern()
            place = (ctypes.string_at(ctypes.addressof(extern), _wasmtime.EXTERN_SIZE), fixed[1])
        return super().__new__(
            cls,
            plan.where,
            memory.encode(),
            tuple(map(pack, plan.params)),
            tuple(map(pack, plan.results)),
            plan.optional,
            plan.is_tuple,
            dict(plan.errors),
            plan.errno_index,
            Slot("errno", ERRNO, plan.errno_index),
            place,
        )


define_all = native.define_all
"""Define functions in a linker, as `python.define_all` does."""

_IN_GUEST_CALLS = {"I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64", "F32", "F64", "BOOL", "EXTERNREF"}
"""The operations that the C code does for calls of guests."""


class GuestThunk(python.GuestThunk):
    """A plan made ready for calls of guests: in C where it is of numbers, else in Python."""

    __slots__ = ("_packed", "_where")

    def __init__(
        self, plan: Plan, lenient: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
    ) -> None:
        """Pack `plan`; `lenient` wraps the calls that are made in Python, those that C does not take among them."""
        super().__init__(plan, lenient)
        self._where = plan.where
        self._packed: tuple[tuple[Any, ...], tuple[Any, ...], bool, bool, int, int] | None = None
        if all(slot.type.packed().opcode in _IN_GUEST_CALLS for slot in (*plan.params, *plan.results)):
            self._packed = (
                tuple(map(pack, plan.params)),
                tuple(map(pack, plan.results)),
                plan.optional,
                plan.is_tuple,
                plan.errno_index,
                plan.slot_count,
            )

    def caller(
        self, store: Any, function: Any, new_memory: Callable[[], Any] | None = None, hold: bool = False
    ) -> Callable[..., Any]:
        """Make a callable of the plan's parameters, as `python.GuestThunk.caller` does."""
        if self._packed is None or "_Store__context" not in vars(store):
            return super().caller(store, function, new_memory, hold)
        guard = _wasmtime.guard_of(store)
        return native.GuestCall(
            self._where,
            PythonCall(self, store, function, new_memory, hold),
            None,
            guard,
            *self._packed,
            guard.context,
            bytes(function._func),
            hold,
        )


class PythonCall:
    """The same call in Python, for what C does not take. It is made when it is first needed: most are never."""

    __slots__ = ("_arguments", "_call", "_thunk")

    def __init__(self, thunk: GuestThunk, *arguments: Any) -> None:
        """Take the arguments of `GuestThunk.caller`."""
        self._thunk = thunk
        self._arguments = arguments
        self._call: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call the guest."""
        call = self._call
        if call is None:
            call = self._call = python.GuestThunk.caller(self._thunk, *self._arguments)
        return call(*arguments, **keywords)
