"""Bindings in C: they compile without a warning, and every guest type crosses both ways."""

from __future__ import annotations

from pathlib import Path

import pytest
from odd import NAMES, Odd
from proof import HERE, assert_answers, compile_guest, imports_of, write, zig

import demo
import hostmod
from hostmod.tools.bindgen import generate
from hostmod.types import Int32, Pointer, String, struct
from kv import Kv

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wno-strict-prototypes", "-Werror"]


@pytest.mark.parametrize("references", [True, False], ids=["with references to host objects", "without them"])
def test_a_c_guest_calls_every_function_with_every_guest_type(tmp_path: Path, references: bool) -> None:
    write("c", tmp_path / "every.h")
    source = (HERE / "guest.c").read_text("utf-8")
    if not references:
        source = source.replace("    CHECK(every_dereference(every_reference()));\n", "")
    (tmp_path / "guest.c").write_text(source, "utf-8")
    feature = "-mreference-types" if references else "-mno-reference-types"
    command = zig("cc", "--target=wasm32-freestanding", "-std=c11", "-O1", "-nostdlib", "-Wl,--no-entry")
    compile_guest([*command, feature, "-Wall", "-Wextra", "-Werror", "guest.c", "-o", "guest.wasm"], tmp_path)
    assert_answers(tmp_path / "guest.wasm", references=references)


def test_a_struct_of_another_layout_does_not_compile(tmp_path: Path) -> None:
    header = write("c", tmp_path / "every.h")
    text = header.read_text("utf-8")
    header.write_text(text.replace("    float x;\n    double y;", "    double y;\n    float x;"), "utf-8")
    (tmp_path / "guest.c").write_text('#include "every.h"\n', "utf-8")
    with pytest.raises(AssertionError, match=r"Python has it at 8"):
        compile_guest(zig("cc", "--target=wasm32-freestanding", "-c", "guest.c"), tmp_path)


def test_the_examples_header_is_what_bindgen_writes() -> None:
    assert (demo.HERE / "kv.h").read_text("utf-8") == generate("c", [Kv, demo.console])


ODD = {
    "c": """\
#include "odd.h"
int run(void) {
    uint8_t out;
    return we_ird_mod_error_ule_na_me_x_error_e_b(0, 0, 0, 0) + we_ird_mod_error_ule_back_slash()
        + we_ird_mod_error_ule_na_ve() + we_ird_mod_error_ule_late(0, 0, &out);
}
""",
    "cpp": """\
#include "odd.h"
using namespace we_ird_mod_error_ule;
extern "C" int run() {
    return na_me_x_error_e_b("", nullptr, 0).number + back_slash() + na_ve() + *late({});
}
""",
}


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_odd_names_and_docstrings_end_no_string_and_no_comment(tmp_path: Path, language: str) -> None:
    (tmp_path / "odd.h").write_text(generate(language, [Odd]), "utf-8")
    (tmp_path / f"guest.{language}").write_text(ODD[language], "utf-8")
    compiler = [*zig("cc")] if language == "c" else [*zig("c++"), "-std=c++20"]
    flags = [
        "--target=wasm32-wasi",
        "-mexec-model=reactor",
        "-Wl,--export=run",
        "-Wall",
        "-Wextra",
        "-Werror",
    ]
    compile_guest([*compiler, *flags, f"guest.{language}", "-o", "guest.wasm"], tmp_path)
    assert imports_of(tmp_path / "guest.wasm", Odd.name) == NAMES


def test_several_modules_share_one_header(tmp_path: Path) -> None:
    env = hostmod.module("env")

    @env.function
    def add(a: Int32, b: Int32) -> Int32:
        return a + b

    (tmp_path / "both.h").write_text(generate("c", [Kv, env]), "utf-8")
    (tmp_path / "guest.c").write_text(
        '#include "both.h"\nint f(void) { return env_add(1, 2) + kv_commit(); }\n', "utf-8"
    )
    compile_guest(zig("cc", "--target=wasm32-freestanding", *WARNINGS, "-c", "guest.c"), tmp_path)


def test_names_that_c_reserves_or_that_are_no_names_get_others(tmp_path: Path) -> None:
    odd = hostmod.module("odd-module")

    @struct
    class Row:
        int: Int32
        errno: Int32

    @odd.function("class")
    def class_(register: Int32, text: String, text_length: Int32, row: Pointer[Row]) -> None: ...

    @odd.function('quo"te')
    def quote() -> None:
        """Ends a comment: */ and goes on."""

    @odd.function("quo.te")
    def other() -> None: ...

    text = generate("c", [odd])
    (tmp_path / "odd.h").write_text(text, "utf-8")
    (tmp_path / "guest.c").write_text('#include "odd.h"\n', "utf-8")
    compile_guest(zig("cc", "--target=wasm32-freestanding", *WARNINGS, "-c", "guest.c"), tmp_path)
    assert "odd_module_quo_te_(void)" in text
    assert "import_name(name)" in text
    assert r'"quo\"te"' in text
