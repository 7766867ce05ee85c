"""What a guest is put together of: several engines and shared memories are refused, and said in one form."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import wasmtime

import hostmod
from hostmod import HostModule, LinkError, function
from hostmod.types import Int32, String

GUEST = """(module (import "host" "f" (func $f (param i32)))
  (memory (export "memory") 1) (func (export "run") (call $f (i32.const 1))))"""
IMPORTS_SHARED = """(module (import "env\\nmine" "memory" (memory 1 2 shared)) (import "host" "f" (func $f (param i32)))
  (func (export "run") (call $f (i32.const 1))))"""
EXPORTS_SHARED = """(module (import "host" "f" (func $f (param i32)))
  (import "host" "text" (func $text (param i32 i32)))
  (memory (export "memory") 1 2 shared)
  (func (export "run") (call $f (i32.const 1))) (func (export "text") (call $text (i32.const 0) (i32.const 1))))"""


class Host(HostModule, name="host"):
    def __init__(self) -> None:
        self.seen: list[int] = []

    @function
    def f(self, value: Int32) -> None:
        self.seen.append(value)

    @function
    def text(self, value: String) -> None: ...


def threads() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.wasm_threads = True
    if hasattr(wasmtime.Config, "shared_memory"):
        config.shared_memory = True
    return wasmtime.Engine(config)


ONE, OTHER = wasmtime.Engine(), wasmtime.Engine()


@pytest.mark.parametrize(
    ("use", "said"),
    [
        pytest.param(
            lambda: hostmod.instantiate(
                GUEST, Host, store=wasmtime.Store(ONE), linker=wasmtime.Linker(OTHER)
            ),
            "instantiate: store= is of another engine than linker=, expected one engine for both; "
            "write wasmtime.Linker(store.engine)",
            id="a store and a linker",
        ),
        pytest.param(
            lambda: hostmod.instantiate(GUEST, Host, store=wasmtime.Store(ONE), engine=OTHER),
            "instantiate: store= is of another engine than engine=, expected one engine for both; "
            "leave engine= out: it is store.engine",
            id="a store and an engine",
        ),
        pytest.param(
            lambda: hostmod.instantiate(GUEST, Host, linker=wasmtime.Linker(ONE), engine=OTHER),
            "instantiate: linker= is of another engine than engine=, expected one engine for both; "
            "leave engine= out: it is linker.engine",
            id="a linker and an engine",
        ),
        pytest.param(
            lambda: hostmod.instantiate(hostmod.load(GUEST, ONE), Host, engine=OTHER),
            "instantiate: a wasmtime.Module of another engine than the one it is to run in, expected one of the same; "
            "leave engine= out, or compile it for that engine: hostmod.load(source, engine)",
            id="a module and an engine",
        ),
    ],
)
def test_several_engines_are_refused(use: Callable[[], object], said: str) -> None:
    with pytest.raises(LinkError) as caught:
        use()
    assert str(caught.value) == said


def test_a_module_goes_to_the_engine_of_its_store_where_none_is_named() -> None:
    host = Host()
    with hostmod.instantiate(hostmod.load(GUEST, ONE), host, store=wasmtime.Store(OTHER)) as guest:
        guest.exports.run()
    assert host.seen == [1]


def test_an_error_of_wasmtime_s_in_a_start_function_is_no_matter_of_engines() -> None:
    class Failing(HostModule, name="failing"):
        @function
        def f(self) -> None:
            raise wasmtime.WasmtimeError("of its own")

    text = '(module (import "failing" "f" (func $f)) (start $f))'
    with pytest.raises(wasmtime.WasmtimeError, match="of its own"):
        hostmod.instantiate(text, Failing)


def test_an_imported_shared_memory_is_refused() -> None:
    with pytest.raises(LinkError) as caught:
        hostmod.instantiate(IMPORTS_SHARED, Host, engine=threads())
    assert str(caught.value) == (
        "instantiate: the guest imports a shared memory (env\\nmine::memory), expected an unshared one; compile the "
        "guest without threads, or pass linker= with an instance that exports it"
    )


def test_a_shared_memory_of_the_caller_s_linker_is_the_caller_s() -> None:
    host, engine = Host(), threads()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    exporter = hostmod.load('(module (memory (export "memory") 1 2 shared))', engine)
    linker.define_instance(store, "env\nmine", wasmtime.Instance(store, exporter, []))
    with hostmod.instantiate(IMPORTS_SHARED, host, linker=linker, store=store) as guest:
        guest.exports.run()
    assert host.seen == [1]


def test_an_exported_shared_memory_is_said_where_it_is_asked_for() -> None:
    host = Host()
    with hostmod.instantiate(EXPORTS_SHARED, host, engine=threads()) as guest:
        guest.exports.run()
        with pytest.raises(
            LinkError, match=r"Guest\.memory: the guest's memory is shared, expected an unshared one"
        ):
            guest.memory  # noqa: B018  # asked for what it raises
        with pytest.raises(hostmod.MemoryAccessError, match="a shared memory"):
            guest.exports.text()
    assert host.seen == [1]


def test_a_shared_memory_is_no_memory_to_link_with() -> None:
    engine = threads()
    shared = wasmtime.SharedMemory(engine, wasmtime.MemoryType(wasmtime.Limits(1, 2), shared=True))
    with pytest.raises(LinkError, match=r"or a wasmtime\.Memory; compile the guest without threads"):
        Host().link(wasmtime.Linker(engine), memory=shared, store=wasmtime.Store(engine))  # type: ignore[arg-type]  # what is refused
