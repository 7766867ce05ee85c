"""The yardsticks as a user of hostmod writes them."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import cast

from wasmtime import Engine, Func, Instance, Linker, Module, Store

import hostmod
from bench import by_hand, guests
from bench.measure import Side
from hostmod import FunctionModule, GuestModule, HostModule, export, function
from hostmod.types import Bytes, Error, Int32, Pointer, String, Uint32, Uint64, struct


@struct
class Stat:
    """A record of 16 bytes in guest memory."""

    inode: Uint32
    kind: Uint32
    size: Uint64


class Work(HostModule, name=guests.HOST):
    """What the guests of W1 to W4, and of W7, import."""

    @function
    def add(self, a: Int32, b: Int32) -> Int32:
        """W1."""
        return a + b

    @function
    def length(self, text: String) -> Uint32:
        """W2."""
        return len(text)

    @function
    def touch(self, data: Bytes) -> None:
        """W3."""
        data[0] = 1
        data[-1] = 1

    @function
    def stat(self, out: Pointer[Stat]) -> Error:
        """W4."""
        out.store(Stat(1, 2, 3))


class Calculator(GuestModule):
    """What W5 calls."""

    @export
    def add(self, a: Int32, b: Int32) -> Int32: ...

    @export
    def spin(self, n: Int32) -> Int32: ...


def _twenty() -> type[HostModule]:
    def numbered(number: int) -> object:
        def work(self: HostModule, a: Int32, b: Int32) -> Int32:
            return a + b + number

        return function(f"f{number}")(work)

    body = {f"f{number}": numbered(number) for number in range(guests.TWENTY)}
    made = types.new_class("Twenty", (HostModule,), {"name": guests.HOST}, lambda names: names.update(body))
    return cast(type[HostModule], made)  # new_class is declared to return a plain type


def instantiate(wat: str, host: HostModule | FunctionModule) -> tuple[Store, Instance]:
    """Instantiate a guest, in a store of its own, that imports what a host module offers."""
    engine = Engine()
    linker = Linker(engine)
    host.link(linker)
    store = Store(engine)
    return store, linker.instantiate(store, Module(engine, wat))


def entering(wat: str, host: HostModule | FunctionModule) -> Side:
    """Link a host module's functions and return the guest's `run`, which is entered as by hand.

    Args:
        wat: a guest made by `guests.loop`.
        host: what its import is bound to.
    """
    store, instance = instantiate(wat, host)
    run = instance.exports(store)["run"]
    assert isinstance(run, Func)
    return lambda n: int(run(store, n))


class Loop(GuestModule):
    """A guest made by `guests.loop`, entered through hostmod."""

    @export
    def run(self, n: Int32) -> Int32: ...


def calculator() -> Calculator:
    """A guest that imports nothing, in a store of its own."""
    store, instance = by_hand.instantiate(guests.CALCULATOR)
    return Calculator(store, instance)


def guest_add() -> Side:
    """W5."""
    calc = calculator()

    def side(n: int) -> int:
        result = 0
        for _ in repeat(None, n):
            result = calc.add(2, 40)
        return result

    return side


def guest_spin() -> Side:
    """Calls of about a millisecond each."""
    calc = calculator()

    def side(n: int) -> int:
        result = 0
        for _ in repeat(None, n):
            result = calc.spin(guests.SPINS)
        return result

    return side


def linked(engine: Engine, module: Module) -> Callable[[], object]:
    """Return a function that links and instantiates anew, and returns what must be kept alive."""
    host = _twenty()()

    def make() -> object:
        store = Store(engine)
        linker = Linker(engine)
        host.link(linker)
        return store, linker, linker.instantiate(store, module)

    return make


def link() -> Side:
    """W6."""
    engine = Engine()
    return by_hand.repeating(linked(engine, Module(engine, guests.IMPORTER)))


def fresh() -> Side:
    """W7."""
    engine = Engine()
    module = Module(engine, guests.ADD)
    host = Work()

    def side(n: int) -> int:
        result = 0
        for _ in repeat(None, n):
            with hostmod.instantiate(module, host, engine=engine) as guest:
                result = guest.exports.run(1)
        return result

    return side


YARDSTICKS: Mapping[str, Callable[[], Side]] = {
    "W1": lambda: entering(guests.ADD, Work()),
    "W2": lambda: entering(guests.LENGTH, Work()),
    "W3": lambda: entering(guests.TOUCH, Work()),
    "W4": lambda: entering(guests.STAT, Work()),
    "W5": guest_add,
    "W6": link,
    "W7": fresh,
}

#: How the GIL is treated while a guest runs: W1 for each way, entered through hostmod.
GIL_WAYS: Mapping[str, Callable[[], Side]] = {
    "GIL released": lambda: Loop(*instantiate(guests.ADD, Work())).run,
    "GIL held": lambda: Loop(*instantiate(guests.ADD, Work()), hold_gil=True).run,
}
