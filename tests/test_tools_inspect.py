"""Looking into guests: the binary's sections, and what is said of each import."""

from __future__ import annotations

import wasmtime

import hostmod
from hostmod.tools.inspect import inspect, show_memory
from hostmod.tools.wasm_binary import unnameable
from hostmod.types import Int32, Optional


def with_section(name: bytes, body: bytes) -> bytes:
    content = bytes([len(name)]) + name + body
    return bytes(wasmtime.wat2wasm("(module)")) + b"\0" + bytes([len(content)]) + content


def test_producers_are_read_from_their_section() -> None:
    body = b"\x02\x08language\x01\x03C11\x00\x0cprocessed-by\x02\x05clang\x0220\x03lld\x0220"
    found = inspect(with_section(b"producers", body))
    assert found.producers == {"language": [("C11", "")], "processed-by": [("clang", "20"), ("lld", "20")]}
    assert found.custom_sections == [("producers", len(body))]


def test_a_producers_section_that_is_cut_short_is_no_error() -> None:
    assert inspect(with_section(b"producers", b"\x05\x08lang")).producers == {}


def test_memories_are_shown_with_where_they_come_from_and_go_to() -> None:
    found = inspect('(module (import "env" "m" (memory 2)) (export "out" (memory 0)))')
    (memory,) = found.memories
    assert (memory.minimum, memory.maximum, memory.imported, memory.exported) == (2, None, "env::m", "out")
    (hidden,) = inspect("(module (memory i64 1 5))").memories
    assert (show_memory(hidden), hidden.exported) == ("1 page, at most 5, 64-bit", "")


def test_imports_have_a_status_once_there_are_hosts() -> None:
    env = hostmod.module("env")

    @env.function
    def find(key: Int32) -> Optional[Int32]:
        return key

    guest = """(module (import "env" "find" (func (param i32) (result i32 i32)))
        (import "env" "find.out" (func (param i32 i32) (result i32)))
        (import "env" "m" (memory 1)) (import "other" "memory" (memory 1)) (import "wasi_snapshot_preview1" "x" (func))
        (import "none" "f" (func)) (import "env" "find" (func)))"""
    assert {each.status for each in inspect(guest).imports} == {""}
    found = inspect(guest, [("env.py:env", env)])
    assert [each.status for each in found.imports] == [
        "served", "served", "served", "served", "wasi", "missing", "mismatch",
    ]  # fmt: skip
    assert len(found.problems) == 2
    assert found.imports[0].offered == "(key: Int32) -> Optional[Int32]"


def test_globals_and_tables_are_spelled_out() -> None:
    found = inspect('(module (global (export "g") (mut i32) (i32.const 0)) (table (export "t") 1 2 funcref))')
    assert [(each.kind, each.type) for each in found.exports] == [
        ("global", "mutable i32"),
        ("table", "1 2 funcref"),
    ]


def test_functions_whose_types_wasmtime_cannot_name_are_found_in_the_binary() -> None:
    guest = """(module (type (func)) (import "m" "v" (func (param v128))) (import "m" "t" (table 1 2 funcref))
        (import "m" "g" (global (mut i32))) (import "m" "ok" (func (param i32 externref)))
        (func (export "w") (result i64 v128) unreachable) (func (export "fine")) (func (param v128)))"""
    assert unnameable(bytes(wasmtime.wat2wasm(guest))) == ["m::v", "w"]
    assert unnameable(bytes(wasmtime.wat2wasm("(module)"))) == []
