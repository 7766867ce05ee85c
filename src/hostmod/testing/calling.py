"""Calls a host function without a guest having been written for it.

`call` makes the smallest guest that can call the function, puts the arguments into its memory with guard bytes around
each, and goes through the same backend as any other guest::

        ... A5 A5 A5 A5 │ the argument's bytes │ A5 A5 A5 A5 ...
                        └ offset               └ offset + length
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import wasmtime

from hostmod import _wasmtime
from hostmod._backend import select as backend
from hostmod.declaration import Declaration, Function
from hostmod.errors import ErrnoError, show_value
from hostmod.guest import export_caller, new_engine
from hostmod.plan import Slot
from hostmod.testing.guards import GuardedMemory, GuardError
from hostmod.types.buffers import BytesType
from hostmod.types.pointer import List, Pointer


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
        thunk = backend.active.HostThunk(plan)
        type_ = _wasmtime.function_type(plan.param_types, plan.result_types)
        row = (thunk, b"host", b"function", _wasmtime.type_address(type_))
        backend.active.define_all(_wasmtime.linker_address(linker), (row,), (serve,), None, None)
        instance = linker.instantiate(store, wasmtime.Module(engine, _guest(found)))
        exports = instance.exports(store)
        memory = GuardedMemory(store, exports["memory"])  # type: ignore[arg-type]  # the guest is the one above
        core_values: list[Any] = []
        places: list[tuple[int, int] | None] = []
        for slot, value in zip(slots, arguments, strict=True):
            memory._what = f"{slot.name}"
            before = len(memory.allocations())
            core_values += slot.type.store_value(memory, value)
            made = memory.allocations()[before:]
            places.append(made[0][:2] if made else None)
        try:
            results = export_caller("call", store, exports["call"])(*core_values)  # type: ignore[arg-type]  # a Func
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
                f"testing.call: {show_value(function, '')} needs an instance, expected a bound method; "
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
        f"testing.call: {show_value(function, '')}, expected a method of a HostModule instance that has "
        "@function above it"
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
    core_values = [
        word & (2**32 - 1 if core == "i32" else 2**64 - 1) if core in ("i32", "i64") else word
        for core, word in zip(plan.result_types, results, strict=False)
    ]
    if plan.optional:
        number = results[plan.errno_index]
        if number != 0:
            raise ErrnoError(number)
    values = tuple(slot.type.load_value(memory, core_values[slot.index : slot.stop]) for slot in plan.results)
    return values if plan.is_tuple else values[0] if values else None
