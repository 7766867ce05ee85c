"""Bindings in Rust: the compiler accepts them, and with a toolchain for wasm32 every guest type crosses both ways.

`HOSTMOD_RUSTC` names another compiler than the one on the path, and `HOSTMOD_RUSTC_FLAGS` what it needs besides.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from proof import HERE, assert_answers, compile_guest, which, write


@pytest.fixture(scope="module")
def rustc() -> list[str]:
    found = which("rustc", "HOSTMOD_RUSTC")
    if found is None:
        pytest.skip("rustc is not on the path; HOSTMOD_RUSTC names another")
    return [found, *shlex.split(os.environ.get("HOSTMOD_RUSTC_FLAGS", "")), "--edition", "2021"]


def test_the_compiler_accepts_bindings_and_guest_without_a_warning(tmp_path: Path, rustc: list[str]) -> None:
    prepare(tmp_path, rustc)
    command = [*rustc, "--crate-type", "cdylib", "--emit", "metadata", "-D", "warnings"]
    compile_guest([*command, "-o", "guest.rmeta", "guest.rs"], tmp_path)


def test_a_rust_guest_calls_every_function_with_every_guest_type(tmp_path: Path, rustc: list[str]) -> None:
    target = ["--target", "wasm32-unknown-unknown"]
    where = subprocess.run(
        [*rustc[:1], "--print", "target-libdir", *target], capture_output=True, encoding="utf-8", check=False
    ).stdout.strip()
    if not where or not list(Path(where).glob("libstd-*.rlib")):
        pytest.skip("rustc has no standard library for wasm32-unknown-unknown")
    prepare(tmp_path, rustc)
    compile_guest([*rustc, *target, "--crate-type", "cdylib", "-O", "-o", "guest.wasm", "guest.rs"], tmp_path)
    assert_answers(tmp_path / "guest.wasm", references=False)


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
