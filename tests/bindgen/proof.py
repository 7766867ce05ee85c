"""Proving bindings: a guest that is compiled with them calls every function of `every.Every`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import wasmtime
from every import Every

import hostmod
from hostmod.testing.recorder import Recorder
from hostmod.tools.bindgen import generate

HERE = Path(__file__).parent

REFERENCES = {"reference", "dereference"}
"""What languages without references to host objects cannot declare."""


def write(language: str, path: Path) -> Path:
    """Write the bindings to a file, and copy the guest that uses them beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(generate(language, [Every]), encoding="utf-8")
    return path


def compile_guest(command: list[str], folder: Path, **environment: str) -> None:
    """Run a compiler; its output is the failure's message."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout


def zig(*arguments: str) -> list[str]:
    """Return a command of the ziglang package."""
    return [sys.executable, "-m", "ziglang", *arguments]


def assert_answers(wasm: Path, *, references: bool) -> None:
    """Run a guest's `run` (or its `_start`): it calls every function, and every answer is what it expects."""
    recorder = Recorder()
    engine = wasmtime.Engine()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    config = wasmtime.WasiConfig()
    config.inherit_stderr()
    store.set_wasi(config)
    linker.define_wasi()
    with hostmod.instantiate(
        wasm.read_bytes(), hostmod.decorate(Every, recorder), linker=linker, store=store
    ) as guest:
        if "run" in guest.exports:
            if "_initialize" in guest.exports:
                guest.exports._initialize()
            failed = guest.exports.run()
        else:
            try:
                failed = guest.exports._start() or 0
            except wasmtime.ExitTrap as end:
                failed = end.code
    assert failed == 0, f"check {failed} of the guest failed; the last calls: {recorder.lines[-3:]}"
    expected = set(Every.functions) - (set() if references else REFERENCES)
    assert {call.function for call in recorder} == expected


def imports_of(wasm: Path, module: str) -> set[str]:
    """Return the names that a guest imports from a module."""
    found = wasmtime.Module(wasmtime.Engine(), wasm.read_bytes())
    return {each.name or "" for each in found.imports if each.module == module}


def which(name: str, variable: str) -> str | None:
    """Find a program that an environment variable names, or the path."""
    return os.environ.get(variable) or shutil.which(name)
