"""Law 5: state has an owner, objects can be dropped in any order, and what nobody has is freed."""

from __future__ import annotations

import gc
import itertools
import weakref
from typing import Any

import pytest
import wasmtime
from wat import passing, run_apart

import hostmod
from hostmod import HostModule, function
from hostmod._wasmtime import stack
from hostmod._wasmtime.store import Orphan
from hostmod.guest import export_caller
from hostmod.types import Bytes, Caller, ExternRef, Int32, Pointer, String, Uint32


class Host(HostModule, name="host"):
    """A host module with something to free."""

    def __init__(self) -> None:
        self.payload = Payload()

    @function
    def length(self, text: String, data: Bytes, at: Pointer[Uint32], caller: Caller) -> Int32:
        at.store(len(text))
        return len(data)

    @function
    def same(self, thing: ExternRef) -> ExternRef:
        return thing


class Payload:
    """Something that can be watched."""


def whole() -> dict[str, Any]:
    """Everything there is around one guest, each under its name."""
    host = Host()
    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    host.link(linker)
    module = wasmtime.Module(engine, passing(Host))
    store = wasmtime.Store(engine)
    instance = linker.instantiate(store, module)
    raw: Any = instance.exports(store)["length"]
    return {
        "host": host,
        "linker": linker,
        "module": module,
        "store": store,
        "instance": instance,
        "call": export_caller("length", store, raw),
    }


NAMES = ("host", "linker", "module", "store", "instance", "call")


@pytest.mark.parametrize("first", NAMES)
def test_objects_can_be_dropped_in_every_order(first: str) -> None:
    for order in itertools.permutations([name for name in NAMES if name != first]):
        parts = whole()
        payload = weakref.ref(parts["host"].payload)
        assert parts["call"](0, 2, 0, 5, 8) == 5
        for name in (first, *order):
            del parts[name]
            if "call" in parts:
                assert parts["call"](0, 2, 0, 5, 8) == 5
        gc.collect(1)
        if payload() is not None:
            gc.collect()
        assert payload() is None


@pytest.mark.parametrize("order", list(itertools.permutations(["store", "linker", "module"])), ids="-".join)
def test_objects_can_be_closed_in_every_order(order: tuple[str, ...]) -> None:
    parts = whole()
    payload = weakref.ref(parts["host"].payload)
    closed = False
    for name in order:
        parts[name].close()
        closed = closed or name == "store"
        if closed:
            with pytest.raises(hostmod.StaleMemoryError, match="its store is closed"):
                parts["call"](0, 2, 0, 5, 8)
        else:
            assert parts["call"](0, 2, 0, 5, 8) == 5
    parts.clear()
    gc.collect()
    assert payload() is None


def test_a_linker_keeps_what_it_was_given() -> None:
    host = Host()
    payload = weakref.ref(host.payload)
    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    host.link(linker)
    del host
    gc.collect()
    assert payload() is not None
    store = wasmtime.Store(engine)
    instance = linker.instantiate(store, wasmtime.Module(engine, passing(Host)))
    linker.close()
    gc.collect()
    assert payload() is not None  # the store needs it
    assert instance.exports(store)["length"](store, 0, 0, 0, 0, 0) == 0  # type: ignore[operator]  # a Func
    store.close()
    gc.collect()
    assert payload() is None


def test_a_linker_that_refuses_keeps_nothing() -> None:
    linker = wasmtime.Linker(wasmtime.Engine())
    Host().link(linker)
    refused = Host()
    payload = weakref.ref(refused.payload)
    with pytest.raises(hostmod.LinkError, match=r"host\.length: the linker did not take it"):
        refused.link(linker)
    del refused
    gc.collect()
    assert payload() is None


HOLDS: dict[str, Any] = {
    "nothing": lambda guest: None,
    "the guest": lambda guest: guest,
    "an export": lambda guest: guest.exports.f,
    "an export of wasmtime-py's": lambda guest: (guest.store, guest.exports["f"]),
    "the memory": lambda guest: guest.memory,
    "the store": lambda guest: guest.store,
    "the instance": lambda guest: (guest.instance, guest.store),
    "a GuestModule": lambda guest: Calls(guest.store, guest.instance),
}


class Calls(hostmod.GuestModule):
    @hostmod.export
    def f(self) -> Int32: ...


class Cyclic(HostModule, name="cyclic"):
    held: Any = None

    @function
    def f(self) -> Int32:
        return 1


@pytest.mark.parametrize("what", HOLDS)
@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_the_collector_finds_a_host_that_holds(what: str, closed: bool) -> None:
    host = Cyclic()
    guest = hostmod.instantiate(passing(Cyclic), host)
    host.held = HOLDS[what](guest)
    assert guest.exports.f() == 1
    gone = weakref.ref(host), weakref.ref(guest.store)
    if closed:
        guest.close()
    del host, guest
    gc.collect()
    assert [each() for each in gone] == [None, None]


def functions_that_hold_their_guest() -> weakref.ref[wasmtime.Store]:
    env = hostmod.module("env")
    held: list[Any] = []

    @env.function
    def f() -> Int32:
        return len(held)

    guest = hostmod.instantiate(passing(env), env)
    held.append(guest)
    assert guest.exports.f() == 1
    return weakref.ref(guest.store)


def test_the_collector_finds_functions_that_hold_their_guest() -> None:
    gone = functions_that_hold_their_guest()
    gc.collect()
    assert gone() is None


def test_several_guests_of_one_store_keep_their_hosts_until_it_is_closed() -> None:
    store = wasmtime.Store()
    hosts = [Cyclic() for _ in range(3)]
    guests = [hostmod.instantiate(passing(Cyclic), host, store=store) for host in hosts]
    gone = [weakref.ref(host) for host in hosts]
    calls = [guest.exports.f for guest in guests]
    del hosts, guests
    gc.collect()
    assert [call() for call in calls] == [1, 1, 1]
    store.close()
    gc.collect()
    assert [each() for each in gone] == [None] * 3
    for call in calls:
        with pytest.raises(hostmod.StaleMemoryError):
            call()


def test_a_host_that_keeps_the_linker_may_use_it_for_other_stores() -> None:
    class Keeps(HostModule, name="keeps"):
        @function
        def f(self) -> Int32:
            return 7

        def link(self, linker: wasmtime.Linker, **where: Any) -> None:
            super().link(linker, **where)
            kept.append(linker)

    kept: list[wasmtime.Linker] = []
    guest = hostmod.instantiate(passing(Keeps), Keeps())
    module, engine = guest.module, guest.store.engine
    guest.close()
    del guest
    gc.collect()
    store = wasmtime.Store(engine)
    instance = kept.pop().instantiate(store, module)
    gc.collect()
    f: Any = instance.exports(store)["f"]
    assert export_caller("f", store, f)() == 7


def test_a_view_that_outlives_its_store_outlives_the_hosts_too() -> None:
    host = Cyclic()
    guest = hostmod.instantiate(passing(Cyclic), host)
    view = guest.memory.view(0, 4)
    gone = weakref.ref(host)
    guest.close()
    del host, guest
    gc.collect()
    assert gone() is None
    assert bytes(view) == bytes(4)


def test_classes_are_freed_with_their_modules() -> None:
    def make() -> weakref.ref[type]:
        class Local(HostModule, name="local"):
            @function
            def f(self, text: String) -> Int32:
                return len(text)

        with hostmod.instantiate(passing(Local), Local()) as guest:
            assert guest.exports.f(0, 3) == 3
        return weakref.ref(Local)

    watched = make()
    gc.collect()
    gc.collect()
    assert watched() is None


def test_a_host_function_may_drop_everything_that_it_runs_in() -> None:
    class Drops(HostModule, name="drops"):
        parts: dict[str, Any]

        @function
        def f(self) -> Int32:
            self.parts.clear()
            gc.collect()
            return 5

    drops = Drops()
    engine = wasmtime.Engine()
    for way in ("hostmod", "wasmtime"):
        linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
        drops.link(linker)
        instance = linker.instantiate(store, wasmtime.Module(engine, passing(Drops)))
        raw: Any = instance.exports(store)["f"]
        call = export_caller("f", store, raw)
        drops.parts = {"linker": linker, "store": store, "instance": instance, "raw": raw, "call": call}
        del linker, instance
        if way == "hostmod":
            del raw, store
            assert call() == 5
        else:
            assert raw(store) == 5
            del raw, store
        del call
        gc.collect()


def test_external_references_are_let_go_by_the_store_s_collector() -> None:
    with hostmod.instantiate(passing(Host), Host()) as guest:
        guest.exports.same(None)
        watched = []
        for _ in range(50):
            thing: Payload | None = Payload()
            watched.append(weakref.ref(thing))
            assert guest.exports.same(thing) is thing
        thing = None
        guest.store.gc()
        assert [each for each in watched if each() is not None] == []


def test_external_references_are_let_go_though_an_exception_came_where_that_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stack.here, "dropping", True)  # as a tracer that raises in `drop` leaves it
    test_external_references_are_let_go_by_the_store_s_collector()


def test_external_references_are_let_go_with_their_store() -> None:
    guest = hostmod.instantiate(passing(Host), Host())
    thing = Payload()
    guest.exports.same(thing)
    watched = weakref.ref(thing)
    del thing
    assert watched() is not None
    guest.close()
    gc.collect()
    assert watched() is None


MEMORY = """
import gc, resource, sys
import wasmtime, hostmod
from hostmod import HostModule, function
from hostmod.guest import export_caller
from hostmod.types import Bytes, Int32, String
from wat import passing

class Host(HostModule, name="host"):
    def __init__(self) -> None:
        self.payload = bytearray(4096)

    @function
    def f(self, text: String, data: Bytes) -> Int32:
        return len(text)

    @function
    def g(self) -> None:
        raise KeyError("g")

engine = wasmtime.Engine()
module = wasmtime.Module(engine, passing(Host))

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def once(call):
    linker = wasmtime.Linker(engine)
    Host().link(linker)
    with wasmtime.Store(engine) as store:
        instance = linker.instantiate(store, module)
        if call:
            exports = instance.exports(store)
            f = export_caller("f", store, exports["f"])
            assert f(0, 3, 0, 3) == 3
            g = export_caller("g", store, exports["g"])
            try:
                g()
            except KeyError:
                pass

def work(rounds):
    for at in range(rounds):
        once(call=at % 50 == 0)

rounds = int(sys.argv[1])
work(2000)
gc.collect()
before, objects = resident(), len(gc.get_objects())
work(rounds)
gc.collect()
print(resident() - before, len(gc.get_objects()) - objects)
"""

INSTANCES = 100_000
"""Instances made and dropped by the test below: a forgotten one of a few bytes would show."""


@pytest.mark.slow
def test_instances_that_come_and_go_leave_nothing_behind() -> None:
    grown, objects = map(int, run_apart(MEMORY, str(INSTANCES)).split())
    assert grown < 4 << 20, f"{grown / INSTANCES:.0f} bytes an instance"
    assert objects < 200


CALLS = """
import gc, resource, sys
import wasmtime, hostmod
from hostmod import ErrnoError, HostModule, function
from hostmod.types import Array, Bytes, Caller, ExternRef, Int32, List, Optional, Pointer, String, Uint32, struct
from wat import passing

@struct
class Pair:
    a: Uint32
    b: Int32

class Host(HostModule, name="host"):
    @function
    def all(
        self, text: String, data: Bytes, array: Array[Uint32], at: Pointer[Pair], items: List[Pair], caller: Caller
    ) -> Int32:
        at.store(Pair(at.load().a, len(items[0:1])))
        caller.memory.view(0, 1)
        caller.raw
        KEPT[:] = [data if at.offset == 40 else len(data), at, caller]
        return len(array)

    @function
    def raises(self, data: Bytes) -> None:
        raise KeyError("x")

    @function
    def errno(self, data: Bytes) -> Optional[Int32]:
        raise OSError(5, "x")

    @function
    def refs(self, thing: ExternRef) -> tuple[ExternRef, ExternRef]:
        return thing, [thing]

    @function
    def wrong(self) -> Int32:
        return "x"

KEPT = []
guest = hostmod.instantiate(passing(Host), Host())

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def work(rounds):
    for at in range(rounds):
        guest.exports.all(0, 4, 0, 8, 0, 2, 40 if at % 100 == 0 else 16, 32, 2)
        for name, arguments, error in (
            ("raises", (0, 8), KeyError),
            ("wrong", (), hostmod.ConversionError),
            ("all", (0, 99999, 0, 0, 0, 0, 0, 0, 0), hostmod.SegmentationFault),
        ):
            try:
                guest.exports[name](*arguments)
            except error:
                pass
        assert guest.exports.errno(0, 8) == (0, 5)
        guest.exports.refs([at])
        if at % 100 == 0:
            guest.store.gc()

work(400)
gc.collect()
before, objects = resident(), len(gc.get_objects())
work(int(sys.argv[1]))
guest.store.gc()
gc.collect()
print(resident() - before, len(gc.get_objects()) - objects)
"""


def test_calls_of_every_kind_leave_nothing_behind() -> None:
    rounds = 1000
    grown, objects = map(int, run_apart(CALLS, str(rounds)).split())
    assert grown < 2 << 20, f"{grown / rounds:.0f} bytes a round"
    assert objects < 200


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("first", ["the reader", "the guest"])
def test_a_finalizer_in_the_same_cycle_may_read_a_view_that_is_still_there(first: str, closed: bool) -> None:
    host = f"""
    import gc, hostmod

    class Reader:
        def __del__(self):
            seen.append(bytes(self.view))

    seen = []
    gc.disable()
    for _ in range(3):
        reader = Reader() if {first!r} == "the reader" else None
        guest = hostmod.instantiate('(module (memory (export "memory") 1) (data (i32.const 8) "abcdefgh"))')
        view = guest.memory.view(8, 8)
        reader = reader or Reader()
        reader.guest, reader.view, guest.store.reader = guest, view, reader
        if {closed}:
            guest.close()
            guest.store.reader = reader
        del guest, view, reader
        gc.collect()
    print(seen == [b"abcdefgh"] * 3)
    """
    assert run_apart(host) == "True\n"


def test_what_deletes_a_closed_store_is_none_of_the_collector_s_business() -> None:
    # Its finalizer runs when it is deallocated then, after those of all that is collected with it.
    class Last(Orphan):
        __slots__ = ()

        def __del__(self) -> None:  # type: ignore[override]  # it deletes nothing
            gone.append(int(self))

    gone: list[int] = []
    assert not gc.is_tracked(Last(1 << 40))

    class First:
        last: Any
        me: Any

        def __del__(self) -> None:
            gone.append(0)

    last = Last(1 << 41)
    gone.clear()
    first = First()
    first.last, first.me = last, first
    del last
    del first
    gc.collect()
    assert gone == [0, 1 << 41]
