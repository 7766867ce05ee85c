"""Imports of every kind, through `instantiate`: functions of several hosts, memories, tables, globals, other guests."""

from __future__ import annotations

from typing import Any, Literal

import pytest
import wasmtime
from wasmtime import FuncType, Limits, MemoryType, TableType, ValType

import hostmod
from hostmod import HostModule, LinkError, Memory, StaleMemoryError, function
from hostmod.types import Int32, String


class Console(HostModule, name="env"):
    """One half of `env`."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @function
    def print(self, text: String) -> None:
        self.lines.append(text)


class Numbers(HostModule, name="env"):
    """The other half."""

    @function
    def double(self, value: Int32) -> Int32:
        return 2 * value


ENV = """(module
  (import "env" "memory" (memory 1))
  (import "env" "print" (func $print (param i32 i32)))
  (import "env" "double" (func $double (param i32) (result i32)))
  (import "env" "__memory_base" (global $base i32))
  (import "env" "table" (table $table 1 funcref))
  (data (i32.const 64) "hello")
  (func (export "run") (result i32)
    (call $print (i32.const 64) (i32.const 5))
    (call $double (global.get $base)))
  (func (export "tables") (result i32) (table.size $table)))"""


def test_functions_of_several_hosts_and_a_memory_and_a_global_of_one_module_name() -> None:
    console = Console()
    with hostmod.instantiate(ENV, console, Numbers, imports={"env": {"__memory_base": 21}}) as guest:
        assert guest.exports.run() == 42
        assert console.lines == ["hello"]
        assert guest.memory.read(64, 5) == b"hello"
        assert guest.exports.tables() == 1


def test_the_memory_that_is_given_is_the_memory_of_the_guest_and_its_host_functions() -> None:
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    memory = wasmtime.Memory(store, MemoryType(Limits(3, None)))
    console = Console()
    imports = {"env": {"__memory_base": 1, "memory": memory}}
    with hostmod.instantiate(ENV, console, Numbers, store=store, imports=imports) as guest:
        guest.exports.run()
        assert console.lines == ["hello"]
        assert guest.memory.size == 3 * 65536
        assert bytes(memory.read(store, 64, 69)) == b"hello"


def test_a_memory_is_made_as_it_is_asked_for() -> None:
    wanted = Memory(pages=2, maximum=5)
    imports = {"env": {"__memory_base": 1, "memory": wanted}}
    with hostmod.instantiate(ENV, Console(), Numbers, imports=imports) as one:
        assert one.memory.size == 2 * 65536
        one.memory.grow(3)
        with pytest.raises(wasmtime.WasmtimeError):
            one.memory.grow(1)
    with hostmod.instantiate(ENV, Console(), Numbers, imports=imports) as other:
        assert other.memory.size == 2 * 65536
    assert repr(wanted) == "Memory(pages=2, maximum=5)"
    with pytest.raises(StaleMemoryError, match="made when a guest is instantiated"):
        wanted.read(0, 1)
    with pytest.raises(ValueError, match="0 <= pages <= maximum"):
        Memory(pages=3, maximum=2)


def test_a_memory_larger_than_the_guest_allows_is_refused() -> None:
    text = '(module (import "env" "memory" (memory 1 2)))'
    with pytest.raises(LinkError, match="at most 2 pages"):
        hostmod.instantiate(text, imports={"env": {"memory": Memory(pages=3)}})


@pytest.mark.parametrize(
    ("core", "value", "read"),
    [("i32", 5, 5), ("i32", -1, -1), ("i32", 2**32 - 1, -1), ("i64", 2**63, -(2**63)), ("f32", 0.5, 0.5),
     ("f64", 3, 3.0)],
)  # fmt: skip
def test_a_number_is_enough_for_a_global(core: str, value: float, read: float) -> None:
    text = f"""(module (import "env" "base" (global $g {core}))
      (func (export "get") (result {core}) (global.get $g)))"""
    with hostmod.instantiate(text, imports={"env": {"base": value}}) as guest:
        assert guest.exports["get"]() == read


@pytest.mark.parametrize(
    ("core", "value"),
    [("i32", 2**32), ("i32", 1.0), ("i64", -(2**63) - 1), ("f32", 1e39), ("f64", "1"), ("i32", None)],
)
def test_a_number_that_does_not_fit_a_global_is_refused(core: str, value: object) -> None:
    text = f'(module (import "env" "base" (global {core})))'
    with pytest.raises(LinkError, match=r"env::base|base.*global"):
        hostmod.instantiate(text, imports={"env": {"base": value}})


def test_a_mutable_global_is_shared_with_whoever_gave_it() -> None:
    store = wasmtime.Store(wasmtime.Engine())
    type_ = wasmtime.GlobalType(ValType.i32(), True)
    value = wasmtime.Global(store, type_, wasmtime.Val.i32(7))
    text = """(module (import "env" "g" (global $g (mut i32)))
      (func (export "set") (global.set $g (i32.const 9))))"""
    with hostmod.instantiate(text, store=store, imports={"env": {"g": value}}) as guest:
        guest.exports.set()
        assert value.value(store) == 9


def test_a_callable_serves_a_function_with_the_guest_s_own_signature() -> None:
    text = """(module (import "env" "f" (func $f (param i32 i64 f64) (result i64 i32)))
      (func (export "run") (result i64 i32) (call $f (i32.const -1) (i64.const -2) (f64.const 0.5))))"""
    seen: list[Any] = []

    def serve(*values: Any) -> tuple[int, int]:
        seen.append(values)
        return 2**63, 2**32 - 1

    with hostmod.instantiate(text, imports={"env": {"f": serve}}) as guest:
        assert guest.exports.run() == (-(2**63), -1)
        assert seen == [(-1, -2, 0.5)]


def test_a_callable_s_exception_reaches_the_caller() -> None:
    text = """(module (import "env" "f" (func $f (result i32)))
      (func (export "run") (result i32) (call $f)))"""
    error = KeyError("boom")

    def serve() -> int:
        raise error

    with hostmod.instantiate(text, imports={"env": {"f": serve}}) as guest:
        with pytest.raises(KeyError) as caught:
            guest.exports.run()
        assert caught.value is error


KERNEL = """(module (memory (export "memory") 1) (global $n (mut i32) (i32.const 0))
  (func (export "next") (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"""
PLUGIN = """(module (import "kernel" "next" (func $next (result i32)))
  (import "kernel" "memory" (memory 1))
  (func (export "run") (result i32) (i32.store (i32.const 8) (call $next)) (i32.load (i32.const 8))))"""


@pytest.mark.parametrize("form", ["a guest", "its exports", "its instance"])
def test_another_guest_s_exports_are_imported(form: str) -> None:
    with hostmod.instantiate(KERNEL) as kernel:
        provider: Any = {"a guest": kernel, "its exports": kernel.exports, "its instance": kernel.instance}[
            form
        ]
        store = kernel.store if form == "its instance" else None
        plugin = hostmod.instantiate(PLUGIN, store=store, imports={"kernel": provider})
        assert (plugin.exports.run(), plugin.exports.run()) == (1, 2)
        assert kernel.memory.read_int32(8) == 2
        assert plugin.memory == kernel.memory
        if form != "its instance":
            plugin.close()
            assert kernel.exports.next() == 3


def test_a_guest_s_callable_serves_another_guest_in_a_store_of_its_own() -> None:
    with hostmod.instantiate(KERNEL) as kernel:
        text = (
            '(module (import "k" "next" (func $f (result i32))) (func (export "run") (result i32) (call $f)))'
        )
        with hostmod.instantiate(text, imports={"k": {"next": kernel.exports.next}}) as plugin:
            assert plugin.exports.run() == 1


def test_objects_of_another_store_are_refused() -> None:
    other = wasmtime.Store(wasmtime.Engine())
    memory = wasmtime.Memory(other, MemoryType(Limits(1, None)))
    with pytest.raises(LinkError, match=r"imports\['kernel'\]\['memory'\] is of another store"):
        hostmod.instantiate(PLUGIN, imports={"kernel": {"memory": memory}})
    with hostmod.instantiate(KERNEL) as kernel:
        with pytest.raises(LinkError, match="another store"):
            hostmod.instantiate(PLUGIN, store=other, imports={"kernel": kernel})
        with pytest.raises(LinkError, match="another store"):
            hostmod.instantiate(PLUGIN, imports={"kernel": kernel.instance})


def test_the_kind_of_what_is_missing_is_said_with_what_to_write() -> None:
    text = """(module (import "env" "g" (global i32)) (import "env" "f" (func)) (import "other" "h" (func))
      (import "env" "t" (table 1 (ref null extern))))"""
    with pytest.raises(LinkError) as caught:
        hostmod.instantiate(text, Console())
    said = str(caught.value)
    assert "env::g: guest wants a global, missing; write imports={'env': {'g': 0}}" in said
    assert 'env::f: guest wants () -> (), missing; write @function("f")' in said
    assert "no host module named 'other' was given (given: env)" in said
    assert '@function("g")' not in said


def test_a_kind_that_is_another_is_said() -> None:
    store = wasmtime.Store(wasmtime.Engine())
    memory = wasmtime.Memory(store, MemoryType(Limits(1, None)))
    text = '(module (import "env" "g" (global i32)) (import "env" "f" (func (param i32))))'
    func = wasmtime.Func(store, FuncType([], []), lambda: None)
    with pytest.raises(LinkError) as caught:
        hostmod.instantiate(text, store=store, imports={"env": {"g": memory, "f": func}})
    assert "env::g: guest wants a global, host has a memory" in str(caught.value)
    assert "env::f: guest wants (i32) -> (), host has () -> ()" in str(caught.value)
    with pytest.raises(LinkError, match="host has 5"):
        hostmod.instantiate(text, imports={"env": {"f": 5, "g": 0}})


def test_a_function_that_two_serve_is_refused() -> None:
    class Again(HostModule, name="env"):
        @function
        def double(self, value: Int32) -> Int32:
            return value

    with pytest.raises(LinkError, match=r"Numbers and Again both have a function env::double"):
        hostmod.instantiate(ENV, Console(), Numbers, Again)
    with pytest.raises(LinkError, match=r"imports= has env::double, and so has the host module 'env'"):
        hostmod.instantiate(ENV, Console(), Numbers, imports={"env": {"double": abs, "__memory_base": 0}})


def test_missing_functions_trap_when_they_are_called() -> None:
    text = """(module (import "env" "gone" (func $gone (param i32) (result i32)))
      (import "env" "print" (func (param i32 i32))) (memory (export "memory") 1)
      (func (export "fine") (result i32) (i32.const 1))
      (func (export "run") (result i32) (call $gone (i32.const 1))))"""
    with hostmod.instantiate(text, Console(), missing="trap") as guest:
        assert guest.exports.fine() == 1
        with pytest.raises(LinkError, match=r"env::gone: called, but nothing serves it.*\(i32\) -> i32"):
            guest.exports.run()
    with pytest.raises(LinkError, match="gone"):
        hostmod.instantiate(text, Console())
    with pytest.raises(LinkError, match='expected "error" or "trap"'):
        hostmod.instantiate(text, Console(), missing="ignore")  # type: ignore[arg-type]  # what is refused


def test_a_mismatch_is_an_error_even_where_missing_functions_trap() -> None:
    text = '(module (import "env" "double" (func (param i64))))'
    with pytest.raises(LinkError, match=r"guest wants \(i64\) -> \(\), host has \(i32\) -> i32"):
        hostmod.instantiate(text, Numbers, missing="trap")


@pytest.mark.parametrize("times", [1, 2])
def test_a_linker_that_was_passed_is_asked_and_stays_as_it_is(times: int) -> None:
    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    linker.define_func("env", "double", FuncType([ValType.i32()], [ValType.i32()]), lambda value: value + 1)
    for _ in range(times):
        console = Console()
        guest = hostmod.instantiate(ENV, console, linker=linker, imports={"env": {"__memory_base": 3}})
        with guest:
            assert guest.exports.run() == 4
            assert console.lines == ["hello"]
            with pytest.raises(wasmtime.WasmtimeError):
                linker.get(guest.store, "env", "print")


def test_the_memory_of_a_linker_is_the_memory_of_the_guest() -> None:
    engine = wasmtime.Engine()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    memory = wasmtime.Memory(store, MemoryType(Limits(4, None)))
    linker.define(store, "env", "memory", memory)
    console = Console()
    imports = {"env": {"__memory_base": 0}}
    with hostmod.instantiate(ENV, console, Numbers, linker=linker, store=store, imports=imports) as guest:
        guest.exports.run()
        assert console.lines == ["hello"]
        assert guest.memory.size == 4 * 65536


def test_a_shared_memory_is_refused() -> None:
    text = '(module (import "env" "memory" (memory 1 2 shared)))'
    for imports in (None, {"env": {"memory": Memory(pages=1)}}):
        with pytest.raises(LinkError, match="shared memory"):
            hostmod.instantiate(text, imports=imports)


@pytest.mark.parametrize("what", ["a memory that is too small", "a constant for a variable"])
def test_what_wasmtime_refuses_is_said_in_one_line(what: str) -> None:
    store = wasmtime.Store(wasmtime.Engine())
    text, given = {
        "a memory that is too small": (
            '(module (import "env" "x" (memory 2)))',
            wasmtime.Memory(store, MemoryType(Limits(1, None))),
        ),
        "a constant for a variable": (
            '(module (import "env" "x" (global (mut i32))))',
            wasmtime.Global(store, wasmtime.GlobalType(ValType.i32(), False), wasmtime.Val.i32(0)),
        ),
    }[what]
    with pytest.raises(LinkError, match=r"incompatible import type for `env::x`: [^\n]+$"):
        hostmod.instantiate(text, store=store, imports={"env": {"x": given}})


def test_a_table_that_is_given_is_the_guest_s() -> None:
    store = wasmtime.Store(wasmtime.Engine())
    table = wasmtime.Table(store, TableType(ValType.funcref(), Limits(4, None)), None)
    imports = {"env": {"__memory_base": 0, "table": table}}
    with hostmod.instantiate(ENV, Console(), Numbers, store=store, imports=imports) as guest:
        assert guest.exports.tables() == 4


@pytest.mark.parametrize(
    ("imports", "says"),
    [(["env"], "expected a dict by module name"), ({"env": 5}, "expected a dict of names and values")],
)
def test_imports_of_a_wrong_form_are_refused(imports: Any, says: str) -> None:
    with pytest.raises(LinkError, match=says):
        hostmod.instantiate(ENV, Console(), Numbers, imports=imports)


@pytest.mark.parametrize("missing", ["error", "trap"])
def test_types_without_a_form_in_python_are_named(missing: Literal["error", "trap"]) -> None:
    text = '(module (import "env" "v" (func (param v128))))'
    with pytest.raises(LinkError, match="v128"):
        hostmod.instantiate(text, imports={"env": {"v": print}}, missing=missing)
    with pytest.raises(LinkError, match=r"wasmtime\.Func|no host module"):
        hostmod.instantiate(text, missing=missing)


def test_a_name_that_would_break_a_message_is_escaped() -> None:
    text = r'(module (import "env" "a\0ab" (func $f)) (func (export "run") (call $f)))'
    with hostmod.instantiate(text, missing="trap") as guest, pytest.raises(LinkError) as caught:
        guest.exports.run()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["get", "keys", "items", "values"])
def test_an_export_named_as_a_method_of_mappings_is_the_guest_s(name: str) -> None:
    text = f'(module (func (export "{name}") (result i32) (i32.const 3)) (global (export "g") i32 (i32.const 1)))'
    with hostmod.instantiate(text) as guest:
        assert getattr(guest.exports, name)() == 3
        assert getattr(guest.exports, name) is guest.exports[name]
        assert "g" in guest.exports
