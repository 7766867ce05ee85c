"""Bindings in C++: they compile without a warning, and every guest type crosses both ways."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from proof import HERE, assert_answers, compile_guest, write, zig


@pytest.mark.slow
def test_a_cpp_guest_calls_every_function_with_every_guest_type(tmp_path: Path) -> None:
    write("cpp", tmp_path / "every.hpp")
    shutil.copy(HERE / "guest.cpp", tmp_path)
    command = zig(
        "c++", "--target=wasm32-wasi", "-mexec-model=reactor", "-std=c++20", "-O1", "-fno-exceptions"
    )
    flags = ["-mreference-types", "-Wall", "-Wextra", "-Werror"]
    compile_guest([*command, *flags, "guest.cpp", "-o", "guest.wasm"], tmp_path)
    assert_answers(tmp_path / "guest.wasm", references=True)
