"""Linking, compiling, binding and checking, from the linker's side."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from wat import passing

import hostmod
from hostmod import (
    DeclarationError,
    HostModule,
    LinkError,
    UnboundError,
    bind,
    configure,
    function,
    option,
)
from hostmod.types import Error, Float32, Int32, Int64, String, Uint32


class Greeter(HostModule, name="greeter"):
    """Greets by number, since numbers need no memory."""

    def __init__(self, greeting: int = 1) -> None:
        self.greeting = greeting
        self.closed = 0

    @function
    def greet(self) -> Int32:
        return self.greeting

    def close(self) -> None:
        self.closed += 1


class Farewell(HostModule, name="farewell"):
    """Another module."""

    def __init__(self, word: int) -> None:
        self.word = word

    @function
    def leave(self) -> Int32:
        return self.word


@option
def greeting(module: Greeter, value: int) -> None:
    module.greeting = value


def linked(
    *hosts: Any, text: str | None = None
) -> tuple[wasmtime.Store, Any, list[hostmod.CompiledModule[Any]]]:
    """Compile classes into one linker and instantiate a guest of all their functions."""
    engine = wasmtime.Engine()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    compiled = [host.compile(linker) for host in hosts]
    instance = linker.instantiate(store, wasmtime.Module(engine, text or passing(*hosts)))
    return store, instance.exports(store), compiled


def test_the_functions_of_an_instance_are_linked() -> None:
    engine = wasmtime.Engine()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    Greeter(5).link(linker)
    instance = linker.instantiate(store, wasmtime.Module(engine, passing(Greeter)))
    assert instance.exports(store)["greet"](store) == 5  # type: ignore[operator]  # a Func


def test_one_instance_can_be_linked_into_many_linkers_and_engines() -> None:
    greeter = Greeter(6)
    for engine in (wasmtime.Engine(), wasmtime.Engine()):
        for _ in range(3):
            linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
            greeter.link(linker)
            instance = linker.instantiate(store, wasmtime.Module(engine, passing(Greeter)))
            assert instance.exports(store)["greet"](store) == 6  # type: ignore[operator]


def test_engines_can_alternate() -> None:
    engines = [wasmtime.Engine() for _ in range(3)]
    for _ in range(3):
        for at, engine in enumerate(engines):
            with hostmod.instantiate(passing(Greeter), Greeter(at), engine=engine) as guest:
                assert guest.exports.greet() == at


def test_a_name_that_is_taken_is_refused_with_what_to_do() -> None:
    linker = wasmtime.Linker(wasmtime.Engine())
    Greeter().link(linker)
    with pytest.raises(LinkError, match=r"greeter\.greet.*allow_shadowing") as caught:
        Greeter().link(linker)
    assert isinstance(caught.value.__cause__, wasmtime.WasmtimeError)
    linker.allow_shadowing = True
    Greeter(9).link(linker)
    store = wasmtime.Store(linker.engine)
    found: Any = linker.get(store, "greeter", "greet")
    assert found(store) == 9


@pytest.mark.parametrize("wrong", [None, "linker", wasmtime.Engine()], ids=["None", "a str", "an engine"])
def test_only_a_linker_is_linked_into(wrong: Any) -> None:
    with pytest.raises(LinkError, match=r"expected a wasmtime\.Linker"):
        Greeter().link(wrong)
    with pytest.raises(LinkError, match=r"expected a wasmtime\.Linker"):
        Greeter.compile(wrong)


def test_a_linker_that_is_closed_is_refused() -> None:
    linker = wasmtime.Linker(wasmtime.Engine())
    linker.close()
    with pytest.raises(ValueError, match="already closed"):
        Greeter().link(linker)


# ------------------------------------------------------------------------------------------ one linker, many instances


def test_the_bound_instance_serves() -> None:
    store, exports, (compiled,) = linked(Greeter)
    one, two = compiled.instantiate(1), compiled.instantiate(greeting=2)
    with bind(one):
        assert exports["greet"](store) == 1
    with bind(two):
        assert exports["greet"](store) == 2
        with bind(one):
            assert exports["greet"](store) == 1
        assert exports["greet"](store) == 2


def test_several_modules_are_bound_at_once() -> None:
    store, exports, (greeter, farewell) = linked(Greeter, Farewell)
    with bind(greeter.instantiate(3), farewell.instantiate(4)):
        assert (exports["greet"](store), exports["leave"](store)) == (3, 4)
    with bind(Greeter(5)), bind(Farewell(6)):
        assert (exports["greet"](store), exports["leave"](store)) == (5, 6)


def test_a_call_with_nothing_bound_says_what_to_bind() -> None:
    store, exports, (compiled,) = linked(Greeter)
    with pytest.raises(UnboundError, match=r"greeter: called with no instance bound.*Greeter.*hostmod\.bind"):
        exports["greet"](store)
    with bind(compiled.instantiate(1)):
        exports["greet"](store)
    with pytest.raises(UnboundError) as caught:
        exports["greet"](store)
    assert (caught.value.module, caught.value.cls) == ("greeter", "Greeter")


def test_another_module_s_instance_does_not_serve() -> None:
    store, exports, _ = linked(Greeter, Farewell)
    with bind(Farewell(1)), pytest.raises(UnboundError, match="greeter"):
        exports["greet"](store)


def test_only_instances_are_bound() -> None:
    for wrong in (Greeter, None, 3, wasmtime.Engine()):
        with pytest.raises(LinkError, match="expected a module instance"):
            bind(wrong)  # type: ignore[arg-type]  # that is the point


def test_a_binding_ends_with_an_exception() -> None:
    store, exports, (compiled,) = linked(Greeter)
    with pytest.raises(KeyError), bind(compiled.instantiate(1)):
        raise KeyError
    with pytest.raises(UnboundError):
        exports["greet"](store)


def test_one_binding_can_be_entered_again_inside_itself() -> None:
    store, exports, (compiled,) = linked(Greeter)
    both = bind(compiled.instantiate(1))
    with both:
        with both:
            assert exports["greet"](store) == 1
        assert exports["greet"](store) == 1
    with pytest.raises(UnboundError):
        exports["greet"](store)


def test_threads_start_with_nothing_bound_and_bind_their_own() -> None:
    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    compiled = Greeter.compile(linker)
    module = wasmtime.Module(engine, passing(Greeter))
    found: dict[int, Any] = {}

    def work(number: int) -> None:
        store = wasmtime.Store(engine)
        greet: Any = linker.instantiate(store, module).exports(store)["greet"]
        try:
            greet(store)
        except UnboundError as error:
            with bind(compiled.instantiate(number)):
                found[number] = (type(error), [greet(store) for _ in range(100)])

    with bind(compiled.instantiate(99)):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert found == {number: (UnboundError, [number] * 100) for number in range(6)}


def test_tasks_inherit_a_binding_and_keep_their_own() -> None:
    store, exports, (compiled,) = linked(Greeter)

    async def work(number: int) -> list[int]:
        found = [exports["greet"](store)]
        with bind(compiled.instantiate(number)):
            for _ in range(10):
                found.append(exports["greet"](store))
                await asyncio.sleep(0)
        found.append(exports["greet"](store))
        return found

    async def run() -> list[list[int]]:
        with bind(compiled.instantiate(100)):
            return await asyncio.gather(*(work(number) for number in range(5)))

    assert asyncio.run(run()) == [[100, *[number] * 10, 100] for number in range(5)]


def test_instances_close_once() -> None:
    _, _, (compiled,) = linked(Greeter)
    with compiled.instantiate(1) as instance:
        assert instance.module.closed == 0
    assert instance.module.closed == 1
    instance.close()
    with instance:
        pass
    assert instance.module.closed == 1
    with Greeter() as greeter:
        pass
    assert greeter.closed == 1


def test_what_close_raises_is_raised_and_it_is_not_called_again() -> None:
    class Bad(HostModule, name="bad"):
        calls = 0

        def close(self) -> None:
            self.calls += 1
            raise OSError(5, "cannot close")

    bad = Bad()
    with pytest.raises(OSError, match="cannot close"), bad:
        pass
    with bad:
        pass
    assert bad.calls == 1
    instance = hostmod.ModuleInstance(Bad.compile(wasmtime.Linker(wasmtime.Engine())), Bad())
    with pytest.raises(OSError, match="cannot close") as caught, instance:
        raise KeyError("first")
    assert isinstance(caught.value.__context__, KeyError)


def test_options_configure_what_is_instantiated() -> None:
    _, _, (compiled,) = linked(Greeter)
    assert compiled.instantiate(1, greeting(7)).module.greeting == 7
    assert configure(Greeter(), greeting(1), greeting(2)).greeting == 2
    assert repr(greeting(7)) == "<option greeting(7)>"


def test_an_option_that_fails_closes_what_it_was_for() -> None:
    made: list[Greeter] = []

    @option
    def failing(module: Greeter) -> None:
        made.append(module)
        raise ValueError("no such option")

    _, _, (compiled,) = linked(Greeter)
    with pytest.raises(ValueError, match="no such option"):
        compiled.instantiate(failing())
    assert made[0].closed == 1


def test_an_exported_function_binds_its_instance() -> None:
    store, _, (compiled,) = linked(Greeter)
    one, two = compiled.instantiate(1), compiled.instantiate(2)
    calls: list[Callable[..., Any]] = [each.exported_function(store, "greet") for each in (one, two)]
    assert [call() for call in calls] == [1, 2]
    with pytest.raises(KeyError, match="greeter has no function 'hello', it has greet"):
        one.exported_function(store, "hello")


def test_compiled_modules_and_instances_say_what_they_are() -> None:
    _, _, (compiled,) = linked(Greeter)
    assert (compiled.name, compiled.instantiate().name) == ("greeter", "greeter")
    assert repr(compiled) == "<compiled module 'greeter'>"
    assert "module instance 'greeter'" in repr(compiled.instantiate())
    assert compiled.host_module is Greeter


# ------------------------------------------------------------------------------------------------- modules of functions


def test_plain_functions_make_a_module() -> None:
    env = hostmod.module("env", errors={KeyError: 7})

    @env.function
    def add(a: Int32, b: Int32) -> Int32:
        return a + b

    @env.function("lookup")
    def find(key: Int32) -> Error:
        raise KeyError(key)

    assert add(1, 2) == 3
    assert list(env.functions) == ["add", "lookup"]
    with hostmod.instantiate(passing(env), env) as guest:
        assert guest.exports.add(40, 2) == 42
        assert guest.exports.lookup(1) == 7
    linker = wasmtime.Linker(wasmtime.Engine())
    env.link(linker)
    store = wasmtime.Store(linker.engine)
    found: Any = linker.get(store, "env", "add")
    assert found(store, 1, 2) == 3
    assert repr(env) == "<host module 'env' of 2 functions>"


def test_a_function_added_later_is_linked_later() -> None:
    env = hostmod.module("env")

    @env.function
    def one() -> Int32:
        return 1

    engine = wasmtime.Engine()
    with hostmod.instantiate(passing(env), env, engine=engine) as guest:
        assert list(guest.exports)[:1] == ["memory"]

    @env.function
    def two() -> Int32:
        return 2

    with hostmod.instantiate(passing(env), env, engine=engine) as guest:
        assert (guest.exports.one(), guest.exports.two()) == (1, 2)


def test_a_module_of_functions_has_a_name_and_no_name_twice() -> None:
    for wrong in ("", None, 3):
        with pytest.raises(DeclarationError, match="a module name"):
            hostmod.module(wrong)  # type: ignore[arg-type]
    env = hostmod.module("env")

    @env.function
    def f() -> None: ...

    with pytest.raises(DeclarationError, match=r"env\.f: a second function of that name"):
        env.function(f)


# ------------------------------------------------------------------------------------------------------------- checking


class Wanted(HostModule, name="wanted"):
    """What guests below import, or believe they do."""

    @function
    def text(self, value: String) -> Uint32:
        return len(value)

    @function
    def number(self, value: Int64) -> Float32:
        return value

    @function
    def do_it(self) -> None: ...


def test_every_mismatch_is_reported_at_once_with_both_signatures() -> None:
    module = wasmtime.Module(
        wasmtime.Engine(),
        """(module
        (import "wanted" "text" (func (param i32) (result i32)))
        (import "wanted" "number" (func (param i64) (result f64)))
        (import "wanted" "doIt" (func))
        (import "wanted" "gone" (func (param f32 f64) (result i32 i32)))
        (import "wanted" "do_it" (memory 1))
        (import "elsewhere" "other" (func)))""",
    )
    checks: list[Callable[[], None]] = [
        lambda: Wanted.check(module),
        lambda: hostmod.check(module, Wanted),
        lambda: hostmod.check(module, Wanted()),
    ]
    for check in checks:
        with pytest.raises(LinkError) as caught:
            check()
        text = str(caught.value)
        assert len(caught.value.mismatches) == 5
        assert "elsewhere" not in text
        for line in (
            "wanted::text: guest wants (i32) -> i32, host has (i32, i32) -> i32; declared (value: String) -> Uint32",
            "wanted::number: guest wants (i64) -> f64, host has (i64) -> f32; declared (value: Int64) -> Float32",
            'wanted::doIt: guest wants () -> (), missing; write @function("doIt") above do_it',
            "wanted::gone: guest wants (f32, f64) -> (i32, i32), missing",
            "wanted::do_it: guest wants a memory, host has () -> ()",
        ):
            assert line in text, text


def test_what_fits_is_not_reported() -> None:
    module = wasmtime.Module(wasmtime.Engine(), passing(Wanted))
    Wanted.check(module)
    hostmod.check(module, Wanted, Greeter)
    env = hostmod.module("env")
    env.check(module)


def test_imports_that_nothing_serves_are_reported_with_the_mismatches() -> None:
    text = """(module
      (import "wanted" "text" (func (param i32)))
      (import "nobody" "first" (func (param i32)))
      (import "nobody" "second" (global i32))
      (import "wanted" "nothing" (func)))"""
    with pytest.raises(LinkError) as caught:
        hostmod.instantiate(text, Wanted())
    assert "disagree in 4 places" in str(caught.value)
    for line in (
        "wanted::text: guest wants (i32) -> (), host has (i32, i32) -> i32",
        "nobody::first: guest wants (i32) -> (), missing; no host module named 'nobody' was given (given: wanted)",
        "nobody::second: guest wants a global",
        "wanted::nothing: guest wants () -> (), missing",
    ):
        assert line in str(caught.value)


def test_a_guest_that_wants_nothing_needs_no_host(tmp_path: Path) -> None:
    path = tmp_path / "empty.wat"
    path.write_text("(module)")
    with hostmod.instantiate(path) as guest:
        assert list(guest.exports) == []


def test_a_memory_of_a_name_that_no_guest_can_export_is_refused() -> None:
    with pytest.raises(LinkError) as caught:
        Greeter().link(wasmtime.Linker(wasmtime.Engine()), memory="\ud800")
    assert str(caught.value) == (
        "link: memory='\\ud800' (surrogates not allowed), expected a name that UTF-8 can encode"
    )


def test_a_function_of_a_name_with_a_nul_is_served() -> None:
    class Odd(HostModule, name="o\0dd"):
        @function("a\0b")
        def serve(self) -> Int32:
            return 5

    source = '(module (import "o\\00dd" "a\\00b" (func $f (result i32))) (export "a\\00b" (func $f)))'
    with hostmod.instantiate(source, Odd()) as guest:
        assert guest.exports["a\0b"]() == 5


class Derived(Greeter, name="greeter"):
    """Of the same functions, though what it is compiled to is its own."""


def compiled_run(cls: type[Greeter]) -> tuple[Any, Callable[[], Any]]:
    engine = wasmtime.Engine()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    compiled = cls.compile(linker)
    instance = linker.instantiate(store, wasmtime.Module(engine, passing(cls)))
    run = instance.exports(store)["greet"]
    assert isinstance(run, wasmtime.Func)
    return compiled, lambda: run(store)


@pytest.mark.parametrize(
    ("bound", "cls"),
    [
        pytest.param(Derived, Greeter, id="a derived class's"),
        pytest.param(Greeter, Derived, id="a base class's"),
    ],
)
def test_an_instance_of_a_relative_that_is_bound_is_named(bound: type[Greeter], cls: type[Greeter]) -> None:
    _, run = compiled_run(cls)
    with bind(bound()), pytest.raises(UnboundError) as caught:
        run()
    assert caught.value.bound == bound.__name__
    assert str(caught.value).startswith(f"greeter: called with an instance of {bound.__name__} bound")
    with pytest.raises(UnboundError, match="called with no instance bound"):
        run()


def bound_generator(compiled: Any, run: Callable[[], Any]) -> Generator[Any, None, None]:
    with bind(compiled.instantiate(3)):
        yield run()


def test_leaving_a_binding_in_another_context_says_so() -> None:
    compiled, run = compiled_run(Greeter)
    made = contextvars.copy_context().run(lambda: (each := bound_generator(compiled, run), next(each)))
    assert made[1] == 3
    with pytest.raises(LinkError, match=r"^bind: left in another context than it was entered in"):
        next(made[0])
    made = contextvars.copy_context().run(lambda: (each := bound_generator(compiled, run), next(each)))
    with pytest.raises(LinkError, match=r"^bind: left in another context"):
        made[0].close()


def test_an_exception_that_leaves_a_binding_in_another_context_stays_the_one_raised() -> None:
    compiled, run = compiled_run(Greeter)
    generator, _ = contextvars.copy_context().run(
        lambda: (each := bound_generator(compiled, run), next(each))
    )
    raised = RuntimeError("mine")
    with pytest.raises(RuntimeError) as caught:
        generator.throw(raised)
    assert caught.value is raised
    assert raised.__notes__[0].startswith("bind: left in another context")


def test_one_import_is_one_import() -> None:
    module = wasmtime.Module(wasmtime.Engine(), '(module (import "greeter" "leave" (func)))')
    with pytest.raises(LinkError, match="disagree about 1 import:"):
        Greeter.check(module)


# ------------------------------------------------------------------------------------------ what does not go together


def test_a_memory_of_another_store_is_refused_when_linking() -> None:
    engine = wasmtime.Engine()
    ours, theirs = wasmtime.Store(engine), wasmtime.Store(engine)
    limits = wasmtime.MemoryType(wasmtime.Limits(1, 2))
    memory = wasmtime.Memory(theirs, limits)
    linker = wasmtime.Linker(engine)
    with pytest.raises(LinkError, match="link: memory= is of another store than store="):
        Greeter().link(linker, memory=memory, store=ours)
    with pytest.raises(LinkError, match="link: store= is of another engine"):
        Greeter().link(wasmtime.Linker(wasmtime.Engine()), memory=memory, store=theirs)
    Greeter().link(linker, memory=memory, store=theirs)  # nothing had been defined


def test_an_exported_function_is_of_a_store_of_the_linker_s_engine() -> None:
    instance = Greeter.compile(wasmtime.Linker(wasmtime.Engine())).instantiate()
    with pytest.raises(LinkError, match=r"greeter.exported_function: a store of another engine"):
        instance.exported_function(wasmtime.Store(), "greet")
    store = wasmtime.Store(instance.compiled.linker.engine)
    assert instance.exported_function(store, "greet")() == 1


class Shop(HostModule, name="shop"):
    """Keeps what it sells in attributes that a host module has a use for."""

    def __init__(self) -> None:
        # Through vars: a type checker refuses most of these, and authors who have none write them.
        vars(self).update(name="Corner shop", functions=["sells"], errors=[], link="https://shop.example")
        vars(self).update(close="18:00", check=0, compile=None, exports=1, module=2, memory=3)
        self._closed = True  # on Sundays
        self.seen: list[str] = []

    @function
    def sell(self) -> Int32:
        return 3


class Open(Shop, name="shop"):
    """Has a method `close` besides."""

    def close(self) -> None:
        self.seen.append("closed")


SELLS = """(module (import "shop" "sell" (func $sell (result i32)))
  (func (export "run") (result i32) (call $sell)))"""


@pytest.mark.parametrize("cls", [Shop, Open])
def test_an_instance_s_own_attributes_do_not_stand_in_for_the_class_s(cls: type[Shop]) -> None:
    shop = cls()
    with hostmod.instantiate(SELLS, shop) as guest:
        assert guest.exports.run() == 3
    hostmod.check(guest.module, shop)
    with shop:
        pass
    assert shop.seen == (["closed"] if cls is Open else [])


def test_an_instance_s_own_name_is_not_in_messages() -> None:
    wrong = '(module (import "shop" "sell" (func (param i32))))'
    with pytest.raises(LinkError) as caught:
        hostmod.instantiate(wrong, Shop())
    assert "shop::sell: guest wants (i32) -> (), host has () -> i32" in str(caught.value)
    with pytest.raises(LinkError, match="Shop and Open both have a function shop::sell"):
        hostmod.instantiate(SELLS, Shop(), Open())


def test_instances_with_such_attributes_are_bound_and_closed_once() -> None:
    linker = wasmtime.Linker(wasmtime.Engine())
    compiled = Open.compile(linker)
    store = wasmtime.Store(linker.engine)
    instance = linker.instantiate(store, hostmod.load(SELLS, linker.engine))
    with compiled.instantiate() as one:
        with bind(one):
            assert instance.exports(store)["run"](store) == 3  # type: ignore[operator]  # a Func
        assert one.name == "shop"
        one.close()
    assert one.module.seen == ["closed"]


def test_a_callable_that_an_instance_keeps_as_close_is_called_where_the_class_has_none() -> None:
    class Connection(HostModule, name="connection"):
        def __init__(self) -> None:
            self.log: list[str] = []
            self.close = lambda: self.log.append("closed")

        @function
        def f(self) -> None: ...

    with Connection() as connection:
        assert connection.log == []
    assert connection.log == ["closed"]


def test_a_guest_module_s_instance_may_keep_exports_of_its_own() -> None:
    class Typed(hostmod.GuestModule):
        def __init__(self, guest: hostmod.Guest) -> None:
            vars(self).update(exports=None, _names=None)
            super().__init__(guest.store, guest.instance)

        @hostmod.export
        def run(self) -> Int32: ...

    with hostmod.instantiate(SELLS, Shop()) as guest:
        assert Typed(guest).run() == 3
