"""What is known of a module, worked out once and kept with it; its exports, looked up when they are asked for."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import Counter
from typing import Any

import pytest
import wasmtime
from wat import passing

import hostmod
from hostmod import (
    GuestModule,
    HostModule,
    LinkError,
    StaleMemoryError,
    StoreBusyError,
    _wasmtime,
    export,
    function,
)
from hostmod._backend import python as pure
from hostmod._backend import select as backend
from hostmod._wasmtime import capi
from hostmod.declaration import find_function
from hostmod.guest import GuestMemory, interface_of
from hostmod.types import Int32, Uint32

MANY = 32_000
"""Exports of a module of 214 KiB. To list them takes wasmtime 13 s: each takes the longer the more there are."""


class Adder(HostModule, name="adder"):
    @function
    def add(self, a: Int32, b: Int32) -> Int32:
        return a + b


class Asked(Counter[str]):
    """What wasmtime is asked for: exports by name, and by number."""

    @property
    def names(self) -> set[str]:
        return {name for name in self if name != "by number"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What wasmtime is asked for from here on. Listing all exports of an instance is an error."""
    _wasmtime.verify()  # once in a process: it tries what is counted here
    found = Asked()
    get, nth = capi.instance_export_get, capi.instance_export_nth

    def export_get(context: Any, instance: int, name: bytes, *rest: Any) -> bool:
        found[name.decode()] += 1
        return bool(get(context, instance, name, *rest))

    def export_nth(*arguments: Any) -> bool:
        found["by number"] += 1
        return bool(nth(*arguments))

    def exports(self: wasmtime.Instance, store: Any) -> Any:
        raise AssertionError("every export of an instance was listed")

    monkeypatch.setattr(capi, "instance_export_get", export_get)
    monkeypatch.setattr(capi, "instance_export_nth", export_nth)
    monkeypatch.setattr(wasmtime.Instance, "exports", exports)
    return found


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a module's imports and exports are read from here on."""
    _wasmtime.verify()  # once in a process: it tries what is counted here
    found: Counter[str] = Counter()
    for name in ("imports", "exports"):
        original: Any = vars(wasmtime.Module)[name]

        def read(self: wasmtime.Module, name: str = name, original: Any = original) -> Any:
            found[name] += 1
            return original.fget(self)

        monkeypatch.setattr(wasmtime.Module, name, property(read))
    return found


@pytest.fixture(scope="module")
def many() -> tuple[wasmtime.Module, wasmtime.Engine]:
    """A module with as many exports as a hostile guest has."""
    names = "".join(f'(export "e{number}" (func $f))' for number in range(MANY))
    engine = wasmtime.Engine()
    return (
        wasmtime.Module(
            engine,
            f'(module (func $f (result i32) (i32.const 7)) {names} (memory (export "memory") 1)'
            ' (func (export "_start")))',
        ),
        engine,
    )


# ------------------------------------------------------------------------------------------------------------- exports


def test_a_guest_of_many_exports_is_asked_for_none_of_them(
    many: tuple[wasmtime.Module, wasmtime.Engine], asked: Asked
) -> None:
    module, engine = many
    with hostmod.instantiate(module, engine=engine) as guest:
        assert len(guest.exports) == MANY + 2
        assert list(guest.exports)[-3:] == [f"e{MANY - 1}", "memory", "_start"]
        assert "e5" in guest.exports
        assert "f" not in guest.exports
        assert "e31999" in dir(guest.exports)
        assert (
            "e0, e1, e2, e3, e4, e5, e6, e7, e8, e9, e10, e11, e12, e13, e14, e15, e16, e17, e18, e19 and "
            in repr(guest)
        )
        with pytest.raises(
            AttributeError, match=r"does not export 'f', it exports e0, .*, e19 and 31,982 more names"
        ):
            guest.exports.f  # noqa: B018  # asked for what it raises
        assert not asked


def test_an_export_is_looked_up_once_when_it_is_asked_for(
    many: tuple[wasmtime.Module, wasmtime.Engine], asked: Asked
) -> None:
    module, engine = many
    with hostmod.instantiate(module, engine=engine) as guest:
        for _ in range(3):
            assert guest.exports.e31999() == guest.exports["e31999"]() == 7
        assert guest.memory.size == 65536
        assert asked == {"e31999": 1, "memory": 1}
        assert guest.run() == 0
        assert asked == {"e31999": 1, "memory": 1, "_start": 1}


def test_a_guest_module_asks_for_what_it_declares_and_for_an_allocator(
    many: tuple[wasmtime.Module, wasmtime.Engine], asked: Asked
) -> None:
    class Typed(GuestModule):
        @export
        def e4(self) -> Int32: ...

        @export("e5")
        def five(self) -> Uint32: ...

    module, engine = many
    with hostmod.instantiate(module, engine=engine) as guest:
        typed = Typed(guest.store, guest.instance)
        assert typed.e4() == typed.five() == 7
    assert asked == dict.fromkeys(("e4", "e5", "memory", "malloc", "free"), 1)


def test_a_guest_module_that_misses_exports_looks_at_the_first_of_many(
    many: tuple[wasmtime.Module, wasmtime.Engine], asked: Asked
) -> None:
    class Typed(GuestModule):
        @export
        def one(self) -> None: ...

        @export
        def two(self) -> None: ...

    module, engine = many
    with (
        hostmod.instantiate(module, engine=engine) as guest,
        pytest.raises(LinkError, match="disagree about 2 exports") as caught,
    ):
        Typed(guest.store, guest.instance)
    assert "it exports e0, e1, " in str(caught.value)
    assert "e19, ..." in str(caught.value)
    assert "e20" not in str(caught.value)
    assert asked["by number"] <= 21


def test_a_name_is_among_the_exports_whether_or_not_it_has_a_form_in_python() -> None:
    with hostmod.instantiate(
        '(module (func (export "vector") (param v128)) (global (export "g") i32 (i32.const 1)))'
    ) as guest:
        assert "vector" in guest.exports
        assert "g" in guest.exports
        assert [*guest.exports] == ["vector", "g"]
        with pytest.raises(LinkError, match="v128 has no form in Python"):
            guest.exports["vector"]


def test_an_export_that_was_not_asked_for_is_stale_once_the_guest_is_closed() -> None:
    with hostmod.instantiate('(module (memory (export "memory") 1) (func (export "f")))') as guest:
        pass
    with pytest.raises(StaleMemoryError, match="f was used, but its store is closed"):
        guest.exports.f  # noqa: B018  # asked for what it raises
    with pytest.raises(StaleMemoryError, match="its store is closed"):
        guest.memory  # noqa: B018  # asked for what it raises


class Waits(HostModule, name="waits"):
    def __init__(self) -> None:
        self.inside, self.leave = threading.Event(), threading.Event()

    @function
    def wait(self) -> None:
        self.inside.set()
        assert self.leave.wait(30)


def test_no_other_thread_looks_up_an_export_while_the_guest_runs() -> None:
    host = Waits()
    with hostmod.instantiate(passing(Waits, more='(func (export "other"))'), host) as guest:
        thread = threading.Thread(target=guest.exports.wait)
        thread.start()
        try:
            assert host.inside.wait(30)
            with pytest.raises(StoreBusyError):
                guest.exports.other  # noqa: B018  # asked for what it raises
        finally:
            host.leave.set()
            thread.join()
        assert guest.exports.other() is None


def test_threads_that_ask_for_an_export_at_once_get_the_same() -> None:
    with hostmod.instantiate('(module (func (export "f")))') as guest:
        barrier, found = threading.Barrier(4), []

        def ask() -> None:
            barrier.wait()
            while True:
                try:
                    found.append(guest.exports.f)
                except StoreBusyError:  # one of the others was looking it up
                    continue
                return

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({id(each) for each in found}) == 1
    assert len(found) == 4


# ----------------------------------------------------------------------------------------------------- once per module


def test_a_module_is_read_once_for_any_number_of_guests(reads: Counter[str]) -> None:
    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, passing(Adder))
    host = Adder()
    for number in range(3):
        with hostmod.instantiate(module, host, engine=engine) as guest:
            assert guest.exports.add(number, 1) == number + 1
    assert reads == {"imports": 1, "exports": 1}


def test_the_plan_of_an_export_is_made_ready_once_for_any_number_of_guests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[str] = []
    original = backend.active.GuestThunk

    def thunk(plan: Any, *rest: Any) -> Any:
        made.append(plan.name)
        return original(plan, *rest)

    monkeypatch.setattr(backend.active, "GuestThunk", thunk)
    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, passing(Adder))
    for _ in range(3):
        with hostmod.instantiate(module, Adder, engine=engine) as guest:
            assert guest.exports.add(1, 1) == 2
    assert made == ["add"]


def test_another_backend_makes_plans_ready_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, '(module (func (export "f") (result i32) (i32.const 5)))')
    with hostmod.instantiate(module, engine=engine) as guest:
        assert guest.exports.f() == 5
    monkeypatch.setattr(backend, "active", pure)
    with hostmod.instantiate(module, engine=engine) as guest:
        assert guest.exports.f() == 5
    assert interface_of(module).signature("f").backend is pure


def test_hosts_that_agree_with_a_module_are_compared_with_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []

    def serve(functions: Any, name: str) -> Any:
        compared.append(name)
        return find_function(functions, name)

    monkeypatch.setattr("hostmod.checks.find_function", serve)
    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, passing(Adder))
    for host in (Adder, Adder(), Adder()):
        hostmod.instantiate(module, host, engine=engine).close()
    Adder.check(module)
    assert compared == ["add"]

    class Derived(Adder):
        @function
        def add(self, a: Int32, b: Int32) -> Int32:
            return a - b

    hostmod.instantiate(module, Derived, engine=engine).close()
    assert compared == ["add", "add"]


def test_a_host_that_disagrees_is_told_each_time() -> None:
    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, '(module (import "adder" "subtract" (func)))')
    for _ in range(2):
        with pytest.raises(LinkError, match="adder::subtract: guest wants"):
            hostmod.instantiate(module, Adder, engine=engine)


def test_functions_that_are_added_to_a_module_are_compared_anew() -> None:
    env = hostmod.module("env")

    @env.function
    def f() -> None: ...

    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, '(module (import "env" "f" (func)))')
    hostmod.instantiate(module, env, engine=engine).close()
    assert module in env._agreed

    @env.function
    def g() -> None: ...

    assert module not in env._agreed
    hostmod.instantiate(module, env, engine=engine).close()


def test_what_is_known_of_a_module_goes_with_it_and_keeps_nothing() -> None:
    class Local(HostModule, name="local"):
        @function
        def f(self) -> Int32:
            return 1

    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, passing(Local))
    host = Local()
    guest = hostmod.instantiate(module, host, engine=engine)
    assert guest.exports.f() == 1
    gone = [weakref.ref(each) for each in (guest, guest.store, guest.instance, host, Local)]
    gc.collect()
    gc.disable()
    try:
        del guest
        assert [reference() for reference in gone[:3]] == [None, None, None]
    finally:
        gc.enable()
    agreed = Local._agreed
    assert module in agreed
    del host, Local
    gc.collect()
    assert [reference() for reference in gone] == [None] * 5
    known = weakref.ref(module)
    del module
    assert known() is None
    assert len(agreed) == 0


def test_a_module_without_an_engine_is_copied_once(monkeypatch: pytest.MonkeyPatch) -> None:
    copies: list[wasmtime.Engine] = []
    deserialize = wasmtime.Module.deserialize

    def copy(engine: wasmtime.Engine, data: bytes) -> wasmtime.Module:
        copies.append(engine)
        return deserialize(engine, data)

    monkeypatch.setattr(wasmtime.Module, "deserialize", copy)
    module = wasmtime.Module(wasmtime.Engine(), '(module (func (export "f") (result i32) (i32.const 5)))')
    for _ in range(3):
        with hostmod.instantiate(module) as guest:
            assert guest.exports.f() == 5
            assert guest.store.engine is copies[0]
    assert len(copies) == 1
    given = wasmtime.Engine()
    for _ in range(3):
        with hostmod.instantiate(module, store=wasmtime.Store(given)) as guest:
            assert guest.exports.f() == 5
    assert copies[1:] == [given]
    copies.clear()
    own, copy_of = (weakref.ref(each) for each in (module, hostmod.instantiate(module).module))
    del module
    gc.collect()
    assert own() is None
    assert copy_of() is None


# ------------------------------------------------------------------------------------------------- stores and memories


def test_a_store_of_hostmod_s_is_as_wasmtime_py_makes_them() -> None:
    engine = wasmtime.Engine()
    ours, theirs = _wasmtime.new_store(engine), wasmtime.Store(engine)
    assert type(ours) is type(theirs)
    assert vars(ours).keys() == vars(theirs).keys()
    assert {name: type(value) for name, value in vars(ours).items()} == {
        name: type(value) for name, value in vars(theirs).items()
    }
    assert ours.engine is engine
    ours.set_limits(memory_size=65536)
    ours.close()
    with pytest.raises(ValueError, match="already closed"):
        ours._context()


def test_a_memory_is_the_same_however_it_was_looked_up() -> None:
    text = '(module (memory (export "memory") 1) (memory (export "other") 1))'
    with hostmod.instantiate(text) as guest:
        raw: Any = guest.instance.exports(guest.store)
        again = GuestMemory(guest.store, raw["memory"])
        assert again == guest.memory
        assert hash(again) == hash(guest.memory)
        assert GuestMemory(guest.store, raw["other"]) != guest.memory


def test_a_store_s_number_is_learnt_from_the_instance_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(*arguments: Any) -> None:
        raise AssertionError("a global was made to learn a store's number")

    _wasmtime.verify()  # once in a process: it tries what is refused here
    monkeypatch.setattr(wasmtime, "Global", make)

    class Typed(GuestModule):
        @export
        def f(self) -> None: ...

    with hostmod.instantiate('(module (func (export "f")))') as guest:
        Typed(guest.store, guest.instance).f()
