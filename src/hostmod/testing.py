"""Calling a host function without writing a guest for it.

`call` makes the smallest guest that can call the function, puts the arguments into its memory with guard bytes around
each, and goes through the same trampoline as any other guest::

        ... A5 A5 A5 A5 │ the argument's bytes │ A5 A5 A5 A5 ...
                        └ offset               └ offset + length
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import wasmtime

from hostmod import _wasmtime, trampoline
from hostmod.errors import ErrnoError, HostmodError, shown
from hostmod.guest import GuestMemory, export_caller, new_engine
from hostmod.memory import PAGE_SIZE
from hostmod.module import Declaration, Function
from hostmod.plan import Slot
from hostmod.recorder import Call, Recorder
from hostmod.types.pointer import List, Pointer
from hostmod.types.view import BytesType

__all__ = ["GUARD", "GUARD_LENGTH", "Call", "GuardError", "GuardedMemory", "Recorder", "call"]

GUARD = 0xA5
"""What the bytes around arguments hold. Source: wazero's tests draw guards the same way."""

GUARD_LENGTH = 64
"""Guard bytes on each side of an argument."""


class GuardError(HostmodError, AssertionError):
    """A host function wrote outside of what its arguments allow: `offset` is the first such byte's address, `distance`
    how far it lies before the start (negative) or after the end of the argument `near`, which is empty if none lies in
    memory."""

    def __init__(self, where: str, near: str, offset: int, distance: int, found: int) -> None:
        super().__init__(where, near, offset, distance, found)
        self.where = where
        self.near = near
        self.offset = offset
        self.distance = distance
        self.found = found

    def __str__(self) -> str:
        written = f"was written (0x{self.found:02x} at offset 0x{self.offset:x})"
        if not self.near:
            return f"{self.where}: a byte {written}, expected no writes: none of its arguments lies in memory"
        place = (
            f"{-self.distance} before the start"
            if self.distance < 0
            else f"{self.distance + 1} after the end"
        )
        return (
            f"{self.where}: byte {place} of {self.near} {written}, expected writes inside the argument only"
        )


class GuardedMemory(GuestMemory):
    """A guest's memory that hands out room with guard bytes on both sides, and can tell if one was written."""

    __slots__ = ("_allocated", "_next", "_what")

    def __init__(self, store: wasmtime.Store, memory: wasmtime.Memory) -> None:
        super().__init__(store, memory)
        self._allocated: list[tuple[int, int, str]] = []
        self._what = "an argument"
        self._next = 0
        self._fill(0, len(self))

    def _fill(self, start: int, stop: int) -> None:
        self.write(start, bytes((GUARD,)) * (stop - start))

    def allocate(self, size: int, align: int = 1) -> int:
        offset = -(-(self._next + GUARD_LENGTH) // align) * align
        self._next = offset + size
        missing = self._next + GUARD_LENGTH - len(self)
        if missing > 0:
            old = len(self)
            self.grow(-(-missing // PAGE_SIZE))
            self._fill(old, len(self))
        self.write(offset, bytes(size))
        self._allocated.append((offset, size, self._what))
        return offset

    def allocations(self) -> list[tuple[int, int, str]]:
        """Offset, size in bytes and name of everything that was allocated."""
        return list(self._allocated)

    def check(self, where: str) -> None:
        """Raise GuardError for the first guard byte that is not as it was."""
        data = self.read(0, len(self))
        edges = [(0, 0, ""), *self._allocated, (len(self), 0, "")]
        for (before, size, near), (after, _, following) in itertools.pairwise(edges):
            gap = data[before + size : after]
            if gap.count(GUARD) != len(gap):
                at = next(index for index, byte in enumerate(gap) if byte != GUARD)
                offset = before + size + at
                if near or not following:
                    raise GuardError(where, near, offset, at, gap[at])
                raise GuardError(where, following, offset, offset - after, gap[at])


def call(function: Callable[..., Any] | Function, /, *arguments: Any) -> Any:
    """Call a host function as a guest would, and return what the guest gets.

    Args:
        function: a bound method of a `HostModule` instance, or a `Function` of `hostmod.module(...)`.
        arguments: one for each parameter but `Caller`. Strings as str; Bytes and Array as bytes or, to see what was
            written, as a bytearray or another writable buffer; lists as a `List` or a sequence; pointers by
            `Pointer.new`, which holds what was stored afterwards.

    Raises:
        ErrnoError: the function's errno was not 0.
        GuardError: it wrote outside of its arguments.
        Whatever else it raised.

    >>> from hostmod import HostModule, function
    >>> from hostmod.types import Bytes, String, Uint32
    >>> class Shout(HostModule, name="shout"):
    ...     @function
    ...     def upper(self, text: String, out: Bytes) -> Uint32:
    ...         data = text.upper().encode()
    ...         out[:len(data)] = data
    ...         return len(data)
    >>> room = bytearray(8)
    >>> call(Shout().upper, "ada", room), room
    (3, bytearray(b'ADA\\x00\\x00\\x00\\x00\\x00'))
    """
    found, serve = _find(function)
    plan = found.plan
    slots = [slot for slot in plan.params if slot.type.core]
    if len(arguments) != len(slots):
        names = ", ".join(slot.name for slot in slots)
        count = f"{len(slots)} argument{'' if len(slots) == 1 else 's'}"
        raise TypeError(f"{plan.where}({names}) takes {count}, {len(arguments)} given")
    engine = new_engine()
    with wasmtime.Store(engine) as store:
        linker = wasmtime.Linker(engine)
        thunk = trampoline.active.HostThunk(plan)
        type_ = _wasmtime.function_type(plan.param_types, plan.result_types)
        row = (thunk, b"host", b"function", _wasmtime.type_address(type_))
        trampoline.active.define_all(_wasmtime.linker_address(linker), (row,), (serve,), None, None)
        instance = linker.instantiate(store, wasmtime.Module(engine, _guest(found)))
        exports = instance.exports(store)
        memory = GuardedMemory(store, exports["memory"])  # type: ignore[arg-type]  # the guest is the one above
        words: list[Any] = []
        places: list[tuple[int, int] | None] = []
        for slot, value in zip(slots, arguments, strict=True):
            memory._what = f"{slot.name}"
            before = len(memory.allocations())
            words += slot.type.store_value(memory, value)
            made = memory.allocations()[before:]
            places.append(made[0][:2] if made else None)
        try:
            results = export_caller("call", store, exports["call"])(*words)  # type: ignore[arg-type]  # a Func
        except BaseException as error:
            try:
                memory.check(plan.where)
            except GuardError as overrun:
                error.add_note(f"and {overrun}")
            raise
        finally:
            for slot, value, place in zip(slots, arguments, places, strict=True):
                if place is not None:
                    _copy_back(slot, value, memory.read(*place))
        memory.check(plan.where)
        return _result(found, memory, results if len(plan.result_types) > 1 else (results,))


def _find(function: Callable[..., Any] | Function) -> tuple[Function, Callable[..., Any]]:
    if isinstance(function, Function):
        if function.has_self:
            raise TypeError(
                f"testing.call: {shown(function, '')} needs an instance, expected a bound method; "
                "write call(Module().method, ...)"
            )
        return function, function.func
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__hostmod_function__", None)
    if name is None and isinstance(owner, Declaration):  # it may override one that has
        plain = getattr(function, "__func__", None)
        name = next((each.name for each in type(owner).functions.values() if each.func is plain), None)
    if isinstance(owner, Declaration) and isinstance(name, str) and name in type(owner).functions:
        found = type(owner).functions[name]
        return found, found.func.__get__(owner)
    if isinstance(name, str) and owner is None:
        plain_name = getattr(function, "__qualname__", "Module.method").split(".<locals>.")[-1]
        cls, _, method = plain_name.rpartition(".")
        raise TypeError(
            f"testing.call: {plain_name} needs an instance, expected a bound method; "
            f"write call({cls or 'Module'}(...).{method}, ...)"
        )
    raise TypeError(
        f"testing.call: {shown(function, '')}, expected a method of a HostModule instance that has @function above it"
    )


def _guest(function: Function) -> str:
    params = "".join(f" {core}" for core in function.param_types)
    results = "".join(f" {core}" for core in function.result_types)
    type_ = f"{f'(param{params})' if params else ''} {f'(result{results})' if results else ''}"
    gets = " ".join(f"(local.get {index})" for index in range(len(function.param_types)))
    return (
        f'(module (import "host" "function" (func $function {type_})) (memory (export "memory") 1)'
        f' (func (export "call") {type_} {gets} (call $function)))'
    )


def _copy_back(slot: Slot, value: Any, data: bytes) -> None:
    """Show the caller's own buffers, pointers and lists what the function wrote."""
    if isinstance(value, Pointer):
        value.memory.write(value.offset, data)
    elif isinstance(value, List):
        value.pointer.memory.write(value.pointer.offset, data)
    elif isinstance(slot.type, BytesType):
        with memoryview(value) as view:
            if not view.readonly:
                view.cast("B")[:] = data


def _result(function: Function, memory: GuardedMemory, results: Any) -> Any:
    plan = function.plan
    words = [
        word & (2**32 - 1 if core == "i32" else 2**64 - 1) if core in ("i32", "i64") else word
        for core, word in zip(plan.result_types, results, strict=False)
    ]
    if plan.optional:
        number = results[plan.errno_index]
        if number != 0:
            raise ErrnoError(number)
    values = tuple(slot.type.load_value(memory, words[slot.index : slot.stop]) for slot in plan.results)
    return values if plan.is_tuple else values[0] if values else None
