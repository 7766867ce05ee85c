"""Bindings in AssemblyScript: they compile, and every guest type crosses both ways."""

from __future__ import annotations

import shutil
from pathlib import Path

import assemblyscript
import pytest
from every import Every
from proof import HERE, assert_answers, compile_guest, write

from hostmod.errors import DeclarationError
from hostmod.tools.bindgen import generate
from kv import Kv


@pytest.fixture(scope="module")
def asc() -> list[str]:
    """The compiler's command."""
    return assemblyscript.compiler()


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
