"""The public API: the examples that introduce it, as written, and what a user of wazergo looks for."""

from __future__ import annotations

import errno
import logging
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from wat import passing

import hostmod
import hostmod.testing
from hostmod import ErrnoError, HostModule, bind, function
from hostmod.types import Bytes, Error, Float32, Int32, List, Optional, Pointer, String, Uint32, struct


@struct
class Vec3:
    x: Float32
    y: Float32
    z: Float32


class Greeter(HostModule, name="greeter"):
    """State lives on the instance; one instance per guest, or one shared by many."""

    def __init__(self, greeting: str = "hello") -> None:
        self.greeting = greeting
        self.calls = 0
        self.closed = 0

    @function
    def answer(self) -> Int32:
        return 42

    @function("double")
    def double_(self, value: Float32) -> Float32:
        return value + value

    @function
    def greet(self, name: String, out: Bytes) -> Optional[Uint32]:
        """Write the greeting into the guest's buffer; say how many bytes it took."""
        self.calls += 1
        text = f"{self.greeting}, {name}!".encode()
        if len(text) > len(out):
            raise OSError(errno.ENOBUFS, "buffer too small")
        out[: len(text)] = text
        return len(text)

    @function
    def normalise(self, vectors: List[Vec3], longest: Pointer[Float32]) -> Error:
        best = 0.0
        for pointer in vectors.pointers():
            v = pointer.load()
            n = (v.x**2 + v.y**2 + v.z**2) ** 0.5
            best = max(best, n)
            pointer.store(Vec3(v.x / n, v.y / n, v.z / n))
        longest.store(best)

    def close(self) -> None:
        self.closed += 1


DATA = '(data (i32.const 0) "Ada")'


def test_the_methods_are_ordinary_methods() -> None:
    assert Greeter().answer() == 42
    assert Greeter().double_(1.5) == 3.0
    out = memoryview(bytearray(16))
    assert Greeter().greet("Ada", out) == 11
    assert bytes(out[:11]) == b"hello, Ada!"


def test_an_instance_is_linked_into_wasmtime_s_own_objects() -> None:
    engine = wasmtime.Engine()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    module = wasmtime.Module(
        engine, passing(Greeter, more='(func (export "run") (result i32) (call $answer))')
    )
    greeter = Greeter("hi")
    greeter.link(linker)
    instance = linker.instantiate(store, module)
    assert instance.exports(store)["run"](store) == 42  # type: ignore[operator]  # a Func


def test_the_guest_gets_what_the_methods_do() -> None:
    greeter = Greeter("hi")
    with hostmod.instantiate(passing(Greeter, more=DATA), greeter) as guest:
        assert guest.exports.answer() == 42
        assert guest.exports.double(1.25) == 2.5
        assert guest.exports.greet(0, 3, 64, 16) == (8, 0)
        assert guest.memory.read(64, 9) == b"hi, Ada!\0"
        assert guest.exports.greet(0, 3, 96, 7) == (0, errno.ENOBUFS)
        assert guest.memory.read(96, 8) == bytes(8)
        guest.memory.write(128, b"\0\0\x40\x40\0\0\0\0\0\0\x80\x40")  # 3, 0, 4
        assert guest.exports.normalise(128, 1, 160) == 0
        pointer: Pointer[Float32] = Pointer(guest.memory, 160, Float32)
        assert pointer.load() == 5.0
        vectors: List[Vec3] = List(Pointer(guest.memory, 128, Vec3), 1)
        assert (round(vectors[0].x, 6), vectors[0].y, round(vectors[0].z, 6)) == (0.6, 0.0, 0.8)
    assert greeter.calls == 2
    assert greeter.closed == 0  # an instance that was given belongs to its giver


def test_one_compiled_module_serves_many_instances() -> None:
    engine = wasmtime.Engine()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    compiled = Greeter.compile(linker)
    a, b = compiled.instantiate("hello"), compiled.instantiate("bonjour")
    exports = linker.instantiate(store, wasmtime.Module(engine, passing(Greeter, more=DATA))).exports(store)
    memory: Any = exports["memory"]

    def run(store: wasmtime.Store) -> bytes:
        length, number = exports["greet"](store, 0, 3, 64, 64)  # type: ignore[operator]
        assert number == 0
        return bytes(memory.read(store, 64, 64 + length))

    with bind(a):
        assert run(store) == b"hello, Ada!"
    with bind(b):
        assert run(store) == b"bonjour, Ada!"
    with pytest.raises(hostmod.UnboundError, match=r"greeter.*bind"):
        run(store)
    with a:
        pass
    a.close()
    assert a.module.closed == 1


def test_the_short_way_runs_a_file(tmp_path: Path) -> None:
    path = tmp_path / "guest.wasm"
    path.write_bytes(
        wasmtime.wat2wasm(passing(Greeter, more='(func (export "run") (result i32) (call $answer))'))
    )
    with hostmod.instantiate(str(path), Greeter("hi")) as guest:
        assert guest.exports.run() == 42
        assert guest.memory.read(0, 16) == bytes(16)


def test_functions_need_no_class() -> None:
    env = hostmod.module("env")

    @env.function
    def add(a: Int32, b: Int32) -> Int32:
        return a + b

    with hostmod.instantiate(passing(env), env) as guest:
        assert guest.exports.add(2, 40) == 42
    assert add(2, 40) == 42


class Calculator(hostmod.GuestModule):
    @hostmod.export
    def add(self, a: Int32, b: Int32) -> Int32: ...


def test_a_guest_s_exports_are_typed() -> None:
    store = wasmtime.Store()
    text = '(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))'
    instance = wasmtime.Instance(store, wasmtime.Module(store.engine, text), [])
    calc = Calculator(store, instance)
    assert calc.add(2, 40) == 42


def test_decorators_log_what_is_called(caplog: pytest.LogCaptureFixture) -> None:
    class Booming(Greeter, name="greeter"):
        @function
        def answer(self) -> Int32:
            raise RuntimeError("boom")

    logged = hostmod.decorate(Booming, hostmod.log(logging.getLogger("greeter")))
    caplog.set_level(logging.INFO, "greeter")
    with hostmod.instantiate(passing(logged, more=DATA), logged()) as guest:
        guest.exports.greet(0, 3, 64, 64)
        guest.exports.greet(0, 3, 200, 1)
        with pytest.raises(RuntimeError, match="boom"):
            guest.exports.answer()
    assert [record.getMessage() for record in caplog.records] == [
        'greeter::greet("Ada", b"\\x00\\x00... (64 bytes)") → 11',
        'greeter::greet("Ada", b"\\x00") → ERROR: No buffer space available',
        "greeter::answer() PANIC! RuntimeError: boom",
    ]


def test_imports_are_checked_before_running() -> None:
    module = wasmtime.Module(wasmtime.Engine(), '(module (import "greeter" "greet" (func (param i32))))')
    with pytest.raises(
        hostmod.LinkError,
        match=r"guest wants \(i32\) -> \(\), host has \(i32, i32, i32, i32\) -> \(i32, i32\)",
    ):
        Greeter.check(module)


def test_a_function_is_called_without_a_guest() -> None:
    room = bytearray(64)
    assert hostmod.testing.call(Greeter("hi").greet, "Ada", room) == 8
    assert room[:9] == b"hi, Ada!\0"
    with pytest.raises(ErrnoError) as caught:
        hostmod.testing.call(Greeter("hi").greet, "Ada", bytearray(1))
    assert caught.value.errno == errno.ENOBUFS


# ------------------------------------------------------------------------------------------------ for users of wazergo


def test_every_concept_of_wazergo_has_its_counterpart() -> None:
    functions = Greeter.functions
    assert Greeter.name == "greeter"
    assert list(functions) == ["answer", "double", "greet", "normalise"]
    with pytest.raises(TypeError):
        functions["new"] = functions["answer"]  # type: ignore[index]  # read-only
    greet = functions["greet"]
    assert greet.name == "greet"
    assert [str(slot.type) for slot in greet.params] == ["String", "Bytes"]
    assert [str(slot.type) for slot in greet.results] == ["Uint32"]
    assert greet.param_types == ("i32",) * 4
    assert greet.result_types == ("i32", "i32")
    replaced = functions["answer"].with_func(lambda self: 43)
    assert (replaced.name, replaced.func(None)) == ("answer", 43)
    assert functions["answer"].func(Greeter()) == 42
    for name in (
        "CompiledModule", "ModuleInstance", "bind", "configure", "option", "Option", "decorate", "log", "Memory",
        "FixedSizeMemory", "PAGE_SIZE", "SegmentationFault", "ErrnoError", "as_errno", "error_strings", "format",
        "Decorator",
    ):  # fmt: skip
        assert name in hostmod.__all__
        assert getattr(hostmod, name) is not None
    for name in (
        "Int8", "Int16", "Int32", "Int64", "Uint8", "Uint16", "Uint32", "Uint64", "Float32", "Float64", "Bool",
        "Duration",
        "Array", "Bytes", "String", "CString", "Pointer", "List", "Optional", "Error", "Errno", "struct",
        "ExternRef", "Caller",
    ):  # fmt: skip
        assert name in hostmod.types.__all__
    fault = hostmod.SegmentationFault(16, 4)
    assert (fault.offset, fault.length) == (16, 4)
    assert hostmod.PAGE_SIZE == len(hostmod.FixedSizeMemory(1)) == 65536
    assert hostmod.as_errno(OSError(2, "x")) == 2
    assert hostmod.error_strings[errno.ENOENT] == "No such file or directory"
    assert Pointer.new(Uint32, 7).load() == 7
    assert list(List.new(Uint32, [1, 2])) == [1, 2]
