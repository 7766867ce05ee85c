"""The pytest plugin, in runs of pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

TESTS = """
from hostmod import HostModule, decorate, function
from hostmod.testing.recorder import Call
from hostmod.types import Bytes, Int32, Pointer, Uint8

class Kv(HostModule, name="kv"):
    @function
    def add(self, a: Int32, b: Int32) -> Int32:
        return a + b

    @function
    def overrun(self, out: Bytes, byte: Pointer[Uint8]) -> None:
        byte[1] = 7

def test_call(host_call):
    assert host_call(Kv().add, 2, 3) == 5

def test_recorder(host_call, host_recorder):
    host_call(decorate(Kv, host_recorder)().add, 2, 3)
    assert host_recorder == [Call("kv", "add", {"a": 2, "b": 3}, 5)]

def test_overrun(host_call):
    host_call(Kv().overrun, b"1234", Pointer.new(Uint8))

def test_calls_differ(host_call, host_recorder):
    host_call(decorate(Kv, host_recorder)().add, 2, 3)
    assert host_recorder == [Call("kv", "add", {"a": 2, "b": 4}, 6)]
"""


def run(folder: Path) -> str:
    (folder / "test_it.py").write_text(TESTS, "utf-8")
    loaded = any(each.value == "hostmod_pytest" for each in entry_points(group="pytest11"))
    plugin = [] if loaded else ["-p", "hostmod_pytest"]
    command = [sys.executable, "-m", "pytest", *plugin, "-q", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    return done.stdout + done.stderr


def test_fixtures_call_and_record_and_failures_name_the_function_and_the_byte(tmp_path: Path) -> None:
    out = run(tmp_path)
    assert "2 failed, 2 passed" in out
    assert "GuardError: kv.overrun: byte 1 after the end of byte was written (0x07" in out


def test_lists_of_calls_that_differ_are_explained_one_call_a_line(tmp_path: Path) -> None:
    out = run(tmp_path)
    assert "1 calls == 1 calls" in out
    assert "+ kv::add(a=2, b=3) → 5" in out
