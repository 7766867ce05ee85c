"""Runs the command as users run it, in a folder with a guest and a file of host modules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

GUEST = """
(module
  (import "greeter" "greet" (func $greet (param i32 i32) (result i32)))
  (import "greeter" "fail" (func $fail (param i32) (result i32)))
  (memory (export "memory") 1 2)
  (data (i32.const 8) "Ada")
  (func (export "_start") (drop (call $greet (i32.const 8) (i32.const 3))))
  (func (export "greet") (result i32) (call $greet (i32.const 8) (i32.const 3)))
  (func (export "fail") (param i32) (result i32) (call $fail (local.get 0)))
  (func (export "swap") (param i32 i64) (result i64 i32) (local.get 1) (local.get 0))
  (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (f64.const 2)))
  (func $deep unreachable)
  (func (export "trap") (call $deep))
  (func (export "spin") (loop $again (br $again))))
"""

HOSTS = '''
from hostmod import HostModule, function, module
from hostmod.types import Error, Float32, Int32, String

class Greeter(HostModule, name="greeter"):
    """Says hello."""

    def __init__(self, greeting: str = "hello", times: int = 1, path: str = "") -> None:
        self.greeting, self.times, self.path = greeting, times, path

    @function
    def greet(self, name: String) -> Int32:
        print(f"{self.greeting} {name}{self.path}\\n" * self.times, end="")
        return len(name)

    @function
    def fail(self, number: Int32) -> Error:
        if number < 0:
            raise RuntimeError("boom")
        if number:
            raise OSError(number, "as asked")

    def close(self) -> None:
        print("closed")

class Wrong(HostModule, name="greeter"):
    @function
    def greet(self, name: Float32) -> Int32:
        return 0

class Plain:
    pass

ready = Greeter("ready")
plain = module("greeter")

@plain.function
def greet(name: String) -> Int32:
    return 7

@plain.function
def fail(number: Int32) -> Error: ...
'''


def make_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with a guest and a file of host modules, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOSTMOD_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "guest.wat").write_text(GUEST, "utf-8")
    (tmp_path / "hosts.py").write_text(HOSTS, "utf-8")
    return tmp_path


def run(*arguments: str, code: int = 0, stdin: str = "") -> tuple[str, str]:
    """Run the command; return its output and its errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "hostmod", *arguments],
        capture_output=True,
        encoding="utf-8",
        input=stdin,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr or "--debug" in arguments
    return done.stdout, done.stderr


def script() -> str:
    return str(Path(sys.executable).with_name("hostmod"))


# ------------------------------------------------------------------------------------------------------------ version
