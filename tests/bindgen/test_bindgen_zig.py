"""Bindings in Zig: they compile, and every guest type crosses both ways."""

from __future__ import annotations

import shutil
from pathlib import Path

from every import Every
from odd import NAMES, Odd
from proof import HERE, assert_answers, compile_guest, imports_of, write, zig

import hostmod
from hostmod.tools.bindgen import generate
from hostmod.types import Error, Int32

TARGET = ["-target", "wasm32-freestanding", "-O", "ReleaseSmall", "-fno-entry", "-rdynamic"]


def test_a_zig_guest_calls_every_function_with_every_guest_type(tmp_path: Path) -> None:
    write("zig", tmp_path / "every.zig")
    shutil.copy(HERE / "guest.zig", tmp_path)
    compile_guest(zig("build-exe", *TARGET, "guest.zig", "-femit-bin=guest.wasm"), tmp_path)
    assert_answers(tmp_path / "guest.wasm", references=False)


def test_several_modules_are_structs_of_one_file(tmp_path: Path) -> None:
    env = hostmod.module("env")

    @env.function("return")
    def return_(defer: Int32) -> Error: ...

    (tmp_path / "both.zig").write_text(generate("zig", [Every, env]), "utf-8")
    (tmp_path / "guest.zig").write_text(
        'const both = @import("both.zig");\n'
        "export fn run() i32 {\n"
        "    both.env.return_(1) catch return both.last_errno;\n"
        "    return both.every.int32(1);\n"
        "}\n",
        "utf-8",
    )
    compile_guest(zig("build-exe", *TARGET, "guest.zig", "-femit-bin=guest.wasm"), tmp_path)


def test_odd_names_and_docstrings_end_no_string_and_no_comment(tmp_path: Path) -> None:
    (tmp_path / "odd.zig").write_text(generate("zig", [Odd]), "utf-8")
    (tmp_path / "guest.zig").write_text(
        'const odd = @import("odd.zig");\n'
        "export fn run() i32 {\n"
        "    var row = odd.Row{ .a = 1 };\n"
        '    odd.naMeXErrorEB("text", &row, 1) catch return odd.last_errno;\n'
        "    var rows = [_]odd.Row{row};\n"
        "    return odd.backSlash() + odd.naVe() + (odd.late(&rows) catch return 1);\n"
        "}\n",
        "utf-8",
    )
    compile_guest(zig("build-exe", *TARGET, "guest.zig", "-femit-bin=guest.wasm"), tmp_path)
    assert imports_of(tmp_path / "guest.wasm", Odd.name) == NAMES


def test_what_zig_generates_is_formatted(tmp_path: Path) -> None:
    write("zig", tmp_path / "every.zig")
    compile_guest(zig("fmt", "--check", "every.zig"), tmp_path)
