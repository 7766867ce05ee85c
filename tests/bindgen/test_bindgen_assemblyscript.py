"""Bindings in AssemblyScript: they compile, and every guest type crosses both ways."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from every import Every
from proof import HERE, assert_answers, cache_folder, compile_guest, write

from hostmod.bindgen import generate
from hostmod.errors import DeclarationError
from kv import Kv

VERSION = "0.28.8"
"""Pinned, since the language is not finished."""


@pytest.fixture(scope="module")
def asc() -> list[str]:
    """The compiler's command, installed once into the cache."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("npm and node are not on the path, and install and run the AssemblyScript compiler")
    folder = cache_folder(f"assemblyscript-{VERSION}")
    script = folder / "node_modules" / "assemblyscript" / "bin" / "asc.js"
    if not script.exists():
        command = [npm, "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(folder)]
        done = subprocess.run(
            [*command, f"assemblyscript@{VERSION}"], capture_output=True, encoding="utf-8", check=False
        )
        if done.returncode:
            pytest.skip(f"npm could not install the AssemblyScript compiler: {done.stderr.strip()[-200:]}")
    return [node, str(script)]


@pytest.mark.parametrize("runtime", ["incremental", "minimal", "stub"])
def test_an_assemblyscript_guest_calls_every_function_with_every_guest_type(
    tmp_path: Path, asc: list[str], runtime: str
) -> None:
    write("assemblyscript", tmp_path / "every.ts")
    shutil.copy(HERE / "guest.ts", tmp_path)
    flags = ["--enable", "reference-types", "--use", "abort=", "--runtime", runtime]
    compile_guest([*asc, "guest.ts", "-o", "guest.wasm", *flags], tmp_path)
    assert_answers(tmp_path / "guest.wasm", references=True)


def test_several_modules_need_a_file_each() -> None:
    with pytest.raises(DeclarationError, match="give each a file of its own"):
        generate("assemblyscript", [Every, Kv])
