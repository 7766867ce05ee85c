"""Bindings in Rust: they parse, a compiler accepts them, and with a wasm32 target every guest type crosses both ways.

The parser is tree-sitter's, which the test extra brings. `HOSTMOD_RUSTC` names a compiler, and `HOSTMOD_RUSTC_FLAGS`
what it needs besides; else it is the one that scripts/rust_for_wasm.sh fetched, or the one on the path.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from every import Every
from odd import NAMES, Odd
from proof import HERE, assert_answers, compile_guest, imports_of, which, write

import hostmod
from hostmod.tools.bindgen import generate
from hostmod.types import Error, Int32
from kv import Kv

TARGET = ["--target", "wasm32-unknown-unknown"]


@cache
def compilers() -> list[tuple[str, ...]]:
    """Commands of the compilers that are here, the one with a target for wasm32 first."""
    fetched = HERE.parents[1] / "build" / "rust" / "rustc"
    named = which("rustc", "HOSTMOD_RUSTC")
    programs = (
        [named] if "HOSTMOD_RUSTC" in os.environ else [str(fetched) if fetched.exists() else None, named]
    )
    flags = shlex.split(os.environ.get("HOSTMOD_RUSTC_FLAGS", ""))
    found = [(program, *flags) for program in programs if program is not None]
    return sorted(found, key=has_target, reverse=True)


def has_target(command: Sequence[str]) -> bool:
    """Whether a compiler has the standard library for wasm32."""
    done = subprocess.run(
        [*command, "--print", "target-libdir", *TARGET], capture_output=True, encoding="utf-8", check=False
    )
    return done.returncode == 0 and any(Path(done.stdout.strip()).glob("libstd-*.rlib"))


@pytest.fixture
def rustc() -> list[str]:
    if not compilers():
        pytest.skip("rustc is not on the path; scripts/rust_for_wasm.sh fetches one, HOSTMOD_RUSTC names one")
    return [*compilers()[0], "--edition", "2021"]


def syntax_errors(source: str) -> list[str]:
    """Return the lines that are no Rust."""
    # Pythons that the parser has no wheel for do without it: scripts/matrix.py leaves it out there.
    tree_sitter = pytest.importorskip("tree_sitter")
    tree_sitter_rust = pytest.importorskip("tree_sitter_rust")
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))
    tree = parser.parse(source.encode())
    lines = source.splitlines()
    found: list[str] = []
    left = [tree.root_node]
    while left:
        node = left.pop()
        if node.is_error or node.is_missing:
            found.append(lines[node.start_point.row])
        elif node.has_error:
            left += node.children
    return found


def test_the_bindings_parse() -> None:
    env = hostmod.module("env")

    @env.function("return")
    def return_(r: Int32, Self: Int32) -> Error:  # noqa: N803  # words of Rust
        """Give */ it back. // {"""

    assert syntax_errors(generate("rust", [Every, Kv, env, Odd])) == []
    assert syntax_errors("fn double(value: i32) -> i32 {\n    value + + 2;)\n}\n") != []
    assert syntax_errors((HERE / "guest.rs").read_text("utf-8")) == []


def test_the_compiler_accepts_bindings_and_guest_without_a_warning(tmp_path: Path, rustc: list[str]) -> None:
    prepare(tmp_path, rustc)
    target = TARGET if has_target(compilers()[0]) else []
    command = [*rustc, *target, "--crate-type", "cdylib", "--emit", "metadata", "-D", "warnings"]
    compile_guest([*command, "-o", "guest.rmeta", "guest.rs"], tmp_path)


def test_a_rust_guest_calls_every_function_with_every_guest_type(tmp_path: Path, rustc: list[str]) -> None:
    if not has_target(compilers()[0]):
        pytest.skip("rustc has no wasm32-unknown-unknown; scripts/rust_for_wasm.sh fetches one that has")
    prepare(tmp_path, rustc)
    compile_guest([*rustc, *TARGET, "--crate-type", "cdylib", "-O", "-o", "guest.wasm", "guest.rs"], tmp_path)
    assert_answers(tmp_path / "guest.wasm", references=False)


def test_odd_names_and_docstrings_end_no_string_and_no_comment(tmp_path: Path, rustc: list[str]) -> None:
    if not has_target(compilers()[0]):
        pytest.skip("rustc has no wasm32-unknown-unknown; scripts/rust_for_wasm.sh fetches one that has")
    text = "\n".join(line for line in generate("rust", [Odd]).splitlines() if "offset_of!" not in line)
    (tmp_path / "odd.rs").write_text(text, "utf-8")
    (tmp_path / "guest.rs").write_text(
        "mod odd;\n"
        "use odd::we_ird_mod_error_ule::*;\n"
        "#[no_mangle]\n"
        'pub extern "C" fn run() -> i32 {\n'
        "    let mut row = Row { a: 1 };\n"
        '    let first = na_me_x_error_e_b("text", &mut row, 1).is_err() as i32;\n'
        "    first + back_slash() + na_ve() + late(&mut [row]).is_err() as i32\n"
        "}\n",
        "utf-8",
    )
    compile_guest([*rustc, *TARGET, "--crate-type", "cdylib", "-O", "-o", "guest.wasm", "guest.rs"], tmp_path)
    assert imports_of(tmp_path / "guest.wasm", Odd.name) == NAMES


def prepare(folder: Path, rustc: list[str]) -> None:
    """Write bindings and guest; the checks of offsets are left out for compilers that have no `offset_of`."""
    bindings = write("rust", folder / "every.rs")
    shutil.copy(HERE / "guest.rs", folder)
    version = subprocess.run(
        [*rustc[:1], "--version"], capture_output=True, encoding="utf-8", check=True
    ).stdout
    found = re.search(r"rustc (\d+)\.(\d+)", version)
    assert found is not None
    if (int(found[1]), int(found[2])) < (1, 77):
        lines = bindings.read_text("utf-8").splitlines()
        bindings.write_text("\n".join(line for line in lines if "offset_of!" not in line), "utf-8")
