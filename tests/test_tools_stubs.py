"""Skeletons: what they say, that they are valid Python, and that they serve the guest they were made from."""

from __future__ import annotations

import ast
import types

import pytest
import wasmtime

import hostmod
from hostmod.guest import load
from hostmod.tools.stubs import stubs


def skeleton(text: str) -> tuple[str, types.ModuleType, wasmtime.Module]:
    guest = load(text)
    source = stubs(guest, "guest.wasm")
    module = types.ModuleType("skeleton")
    exec(compile(source, "skeleton.py", "exec"), module.__dict__)
    return source, module, guest


def test_a_skeleton_has_a_class_for_each_module_and_fits_the_guest() -> None:
    source, module, guest = skeleton(
        """(module (import "kv" "get" (func (param i32 i64 f32 f64 externref) (result i32 f64)))
            (import "my-env" "a.b" (func)) (import "env" "memory" (memory 1)))"""
    )
    module.Kv.check(guest)
    module.MyEnv.check(guest)
    assert (
        "def get(self, arg0: Int32, arg1: Int64, arg2: Float32, arg3: Float64, arg4: ExternRef) "
        "-> tuple[Int32, Float64]:" in source
    )
    assert '@function("a.b")\n    def a_b(self) -> None:' in source
    assert "# - env::memory is a memory" in source


@pytest.mark.parametrize(
    "name",
    ["class", "link", "2nd", "with space", 'quo\\"te', "", "über", "__init__", "camelCase", "functions"],
)
def test_any_name_becomes_a_method_that_serves_it(name: str) -> None:
    _, module, guest = skeleton(f'(module (import "m" "{name}" (func (param i32) (result i32))))')
    module.M.check(guest)


@pytest.mark.parametrize("name", ["'", '"', "\\'", '\\"', "\\\\'", "'\"\\", '"""', "a\nb\x1b\\", "{}", "é→"])
def test_a_literal_is_the_name_whatever_is_in_it(name: str) -> None:
    from hostmod.tools.stubs import _string

    literal = _string(name)
    assert ast.literal_eval(literal) == name
    assert literal[0] == literal[-1] == '"'


def test_names_that_would_meet_stay_apart() -> None:
    _, module, guest = skeleton(
        '(module (import "a-b" "c-d" (func)) (import "a_b" "c" (func)) (import "a-b" "c_d" (func (result i32))))'
    )
    module.AB.check(guest)
    module.AB_.check(guest)
    assert set(module.AB.functions) == {"c-d", "c_d"}


def test_wasi_and_types_without_a_guest_type_are_explained() -> None:
    source, _, _ = skeleton(
        """(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
            (import "m" "v" (func (param funcref))) (import "m" "two" (func)) (import "m" "two" (func (param i32))))"""
    )
    assert "hostmod.wasi.Wasi serves it" in source
    assert "takes or gives" in source
    assert "The guest also imports it as (i32) -> ()" in source


def test_a_guest_that_needs_nothing_says_so() -> None:
    assert "imports no functions" in skeleton("(module)")[0]
    assert issubclass(skeleton('(module (import "x" "y" (func)))')[1].X, hostmod.HostModule)
