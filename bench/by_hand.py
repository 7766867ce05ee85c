"""The yardsticks as a good user of wasmtime-py writes them by hand.

What a good user does: keep the `Func` of an export instead of looking it up for each call, read and write
memory through `Memory.read` and `Memory.write` (the documented way, which checks bounds), precompile `Struct`
formats, and write each `FuncType` where the function is defined, as in every example of wasmtime-py.
Other ways are in `OTHER_WAYS`, measured by `python -m bench.details`.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import TypeAlias

from wasmtime import Caller, Engine, Func, FuncType, Instance, Linker, Memory, Module, Store, ValType

from bench import guests
from bench.measure import Side

#: What `Memory.get_buffer_ptr` returns; wasmtime-py declares an array without saying of what.
Bytes: TypeAlias = "ctypes.Array[ctypes.c_ubyte]"


def memory_of(caller: Caller) -> Memory:
    """Look up the calling guest's memory."""
    memory = caller["memory"]
    assert isinstance(memory, Memory)
    return memory


def instantiate(wat: str) -> tuple[Store, Instance]:
    """Instantiate a guest that imports nothing."""
    engine = Engine()
    store = Store(engine)
    return store, Instance(store, Module(engine, wat), [])


def entering(wat: str, host_function: Callable[..., object], *, access_caller: bool) -> Side:
    """Link one host function and return the guest's `run`.

    Args:
        wat: a guest made by `guests.loop`.
        host_function: what its import is bound to.
        access_caller: whether that function's first parameter is the `Caller`.
    """
    engine = Engine()
    module = Module(engine, wat)
    (wanted,) = module.imports
    assert isinstance(wanted.type, FuncType)
    assert wanted.name is not None
    linker = Linker(engine)
    linker.define_func(wanted.module, wanted.name, wanted.type, host_function, access_caller=access_caller)
    store = Store(engine)
    run = linker.instantiate(store, module).exports(store)["run"]
    assert isinstance(run, Func)
    return lambda n: int(run(store, n))


def add() -> Side:
    """W1."""

    def add(a: int, b: int) -> int:
        return a + b

    return entering(guests.ADD, add, access_caller=False)


def length() -> Side:
    """W2."""

    def length(caller: Caller, offset: int, size: int) -> int:
        return len(memory_of(caller).read(caller, offset, offset + size).decode())

    return entering(guests.LENGTH, length, access_caller=True)


def touch() -> Side:
    """W3."""

    def touch(caller: Caller, offset: int, size: int) -> None:
        memory = memory_of(caller)
        memory.write(caller, b"\x01", offset)
        memory.write(caller, b"\x01", offset + size - 1)

    return entering(guests.TOUCH, touch, access_caller=True)


def touch_through_pointer() -> Side:
    """W3 through the raw pointer, with the bounds check that wasmtime-py leaves to its user."""

    def touch(caller: Caller, offset: int, size: int) -> None:
        memory = memory_of(caller)
        if not 0 <= offset <= offset + size <= memory.data_len(caller):
            raise IndexError("out of bounds")
        data: Bytes = memory.get_buffer_ptr(caller, size, offset)  # pyright: ignore[reportUnknownMemberType]
        data[0] = 1
        data[-1] = 1

    return entering(guests.TOUCH, touch, access_caller=True)


def touch_through_unchecked_pointer() -> Side:
    """W3 through the raw pointer, unchecked: a guest that passes a wild offset writes over the host."""

    def touch(caller: Caller, offset: int, size: int) -> None:
        memory = memory_of(caller)
        data: Bytes = memory.get_buffer_ptr(caller, size, offset)  # pyright: ignore[reportUnknownMemberType]
        data[0] = 1
        data[-1] = 1

    return entering(guests.TOUCH, touch, access_caller=True)


@dataclass(slots=True)
class Stat:
    """A record of 16 bytes in guest memory: two 32-bit integers and a 64-bit one."""

    inode: int
    kind: int
    size: int


STAT_FORMAT = struct.Struct("<IIQ")


def stat() -> Side:
    """W4."""

    def stat(caller: Caller, offset: int) -> int:
        answer = Stat(1, 2, 3)
        data = STAT_FORMAT.pack(answer.inode, answer.kind, answer.size)
        memory_of(caller).write(caller, data, offset)
        return 0

    return entering(guests.STAT, stat, access_caller=True)


def guest_add() -> Side:
    """W5."""
    store, instance = instantiate(guests.CALCULATOR)
    add = instance.exports(store)["add"]
    assert isinstance(add, Func)

    def side(n: int) -> int:
        result = 0
        for _ in repeat(None, n):
            result = add(store, 2, 40)
        return result

    return side


def guest_spin() -> Side:
    """Calls of about a millisecond each."""
    store, instance = instantiate(guests.CALCULATOR)
    spin = instance.exports(store)["spin"]
    assert isinstance(spin, Func)

    def side(n: int) -> int:
        result = 0
        for _ in repeat(None, n):
            result = spin(store, guests.SPINS)
        return result

    return side


def guest_add_looked_up() -> Side:
    """W5 with the export looked up for each call."""
    store, instance = instantiate(guests.CALCULATOR)

    def side(n: int) -> int:
        result = 0
        for _ in repeat(None, n):
            add = instance.exports(store)["add"]
            assert isinstance(add, Func)
            result = add(store, 2, 40)
        return result

    return side


def _twenty_functions() -> list[Callable[[int, int], int]]:
    def function(number: int) -> Callable[[int, int], int]:
        return lambda a, b: a + b + number

    return [function(number) for number in range(guests.TWENTY)]


def linked(engine: Engine, module: Module) -> Callable[[], object]:
    """Return a function that links and instantiates anew, and returns what must be kept alive."""
    functions = _twenty_functions()

    def make() -> object:
        store = Store(engine)
        linker = Linker(engine)
        for number, function in enumerate(functions):
            signature = FuncType([ValType.i32(), ValType.i32()], [ValType.i32()])
            linker.define_func(guests.HOST, f"f{number}", signature, function)
        return store, linker, linker.instantiate(store, module)

    return make


def repeating(make: Callable[[], object]) -> Side:
    """Call a function again and again, dropping what it returns."""

    def side(n: int) -> int:
        for _ in repeat(None, n):
            make()
        return n

    return side


def link() -> Side:
    """W6."""
    engine = Engine()
    return repeating(linked(engine, Module(engine, guests.IMPORTER)))


def fresh() -> Side:
    """W7."""
    engine = Engine()
    module = Module(engine, guests.ADD)

    def add(a: int, b: int) -> int:
        return a + b

    def side(n: int) -> int:
        result = 0
        for _ in repeat(None, n):
            with Store(engine) as store, Linker(engine) as linker:
                signature = FuncType([ValType.i32(), ValType.i32()], [ValType.i32()])
                linker.define_func(guests.HOST, "add", signature, add)
                run = linker.instantiate(store, module).exports(store)["run"]
                assert isinstance(run, Func)
                result = run(store, 1)
        return result

    return side


def link_with_kept_signatures() -> Side:
    """W6 with each `FuncType` made once and kept."""
    engine = Engine()
    module = Module(engine, guests.IMPORTER)
    signature = FuncType([ValType.i32(), ValType.i32()], [ValType.i32()])
    functions = [(f"f{number}", function) for number, function in enumerate(_twenty_functions())]

    def make() -> object:
        store = Store(engine)
        linker = Linker(engine)
        for name, function in functions:
            linker.define_func(guests.HOST, name, signature, function)
        return store, linker, linker.instantiate(store, module)

    return repeating(make)


#: Each yardstick, and for some a faster or slower way to do the same by hand.
YARDSTICKS: Mapping[str, Callable[[], Side]] = {
    "W1": add,
    "W2": length,
    "W3": touch,
    "W4": stat,
    "W5": guest_add,
    "W6": link,
    "W7": fresh,
}
OTHER_WAYS: Mapping[str, tuple[str, Callable[[], Side]]] = {
    "raw pointer, bounds checked": ("W3", touch_through_pointer),
    "raw pointer, unchecked": ("W3", touch_through_unchecked_pointer),
    "export looked up for each call": ("W5", guest_add_looked_up),
    "signatures made once": ("W6", link_with_kept_signatures),
}
