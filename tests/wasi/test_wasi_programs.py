"""Whole programs, in C, in AssemblyScript and in the text format, run as an embedder runs them."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import assemblyscript
import pytest
import wasi_guest
import wasmtime

import hostmod
from hostmod.wasi import ManualClock, MemoryFS, ReadOnly, Wasi
from hostmod.wasi.fs.mounts import Tree

GUESTS = Path(__file__).parent / "guests"


Compiled = tuple[wasmtime.Module, wasmtime.Engine]


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """The C program, compiled once."""
    target = tmp_path_factory.mktemp("guests") / "program.wasm"
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-Os"]
    subprocess.run([*compiler, "-o", str(target), str(GUESTS / "program.c")], check=True, capture_output=True)
    engine = wasmtime.Engine()
    return hostmod.load(target, engine), engine


def run(program: Compiled, *args: str, **options: Any) -> tuple[int, bytes, bytes]:
    """Run it, and return its exit code and what it wrote to both streams."""
    out, err = io.BytesIO(), io.BytesIO()
    with (
        Wasi(args=["program", *args], stdout=out, stderr=err, **options) as wasi,
        hostmod.instantiate(program[0], wasi, engine=program[1]) as guest,
    ):
        return guest.run(), out.getvalue(), err.getvalue()


def test_a_program_works_with_files_on_every_system(program: Compiled, tree: Tree) -> None:
    code, out, err = run(program, "files", preopens={"/": tree})
    assert (code, err) == (0, b"")
    assert out.decode().splitlines() == [
        "1001 lines, the last is appended",
        "8899 bytes",
        "entry .",
        "entry ..",
        "entry notes.txt",
    ]


def test_a_program_on_a_read_only_tree_is_told_so(program: Compiled) -> None:
    code, _, err = run(program, "files", preopens={"/": ReadOnly(MemoryFS())})
    assert (code, err) == (3, b"fopen: Read-only file system\n")


def test_a_program_without_files_finds_none(program: Compiled) -> None:
    code, _, err = run(program, "files")
    assert code == 3
    assert b"fopen: " in err


def test_a_filter_reads_to_the_end(program: Compiled) -> None:
    text = "the quick brown fox\n" * 1000
    assert run(program, "shout", stdin=text) == (0, text.upper().encode(), b"")
    assert run(program, "shout") == (0, b"", b"")


def test_a_program_waits_for_its_input_and_for_time(program: Compiled) -> None:
    assert run(program, "wait", stdin=b"x")[0] == 0
    assert run(program, "wait", stdin=b"x", clock=ManualClock(10**18))[0] == 0


def test_the_environment_arrives(program: Compiled) -> None:
    assert run(program, "env", env={"GREETING": "hallå"})[1].decode() == "hallå\n"


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_an_exit_code_is_what_run_returns(program: Compiled, code: int) -> None:
    assert run(program, "exit", str(code))[0] == code
    assert run(program)[0] == 2


def test_a_trap_is_raised_and_no_exit_code(program: Compiled) -> None:
    with pytest.raises(wasmtime.Trap):
        run(program, "abort")


@pytest.fixture(scope="session")
def script(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """The AssemblyScript program, compiled once."""
    target = tmp_path_factory.mktemp("guests") / "program.wasm"
    command = [*assemblyscript.compiler(), str(GUESTS / "program.ts"), "-o", str(target), "--use", "abort="]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    engine = wasmtime.Engine()
    return hostmod.load(target, engine), engine


def test_a_script_gets_its_arguments_and_its_environment(script: Compiled) -> None:
    code, out, err = run(script, "args", "env", env={"GREETING": "hallå", "EMPTY": ""})
    assert (code, err) == (0, b"")
    assert out.decode() == "program|args|env\nGREETING=hallå|EMPTY=\n"
    assert run(script, "env") == (0, b"\n", b"")


def test_a_script_works_with_files_on_every_system(script: Compiled, tree: Tree) -> None:
    code, out, err = run(script, "files", "preopened", preopens={"/": tree, "/däta": MemoryFS()})
    assert (code, err) == (0, b"")
    entries = ["entry .", "entry ..", "entry nötes"]
    lines = out.decode().splitlines()
    assert sorted(lines[2:-4]) == sorted([*entries, "entry .mounted"] if len(lines) > 9 else entries)
    assert lines[:2] + lines[-4:] == [
        "read what was written: true",
        "type 4, 6392 bytes",
        "gone: errno 44",
        "3 /",
        "4 /däta",
        "5 errno 8",
    ]


def test_a_script_without_the_right_files_gets_errnos(script: Compiled) -> None:
    assert run(script, "files") == (100, b"", b"path_open: errno 8\n")
    assert run(script, "files", preopens={"/": ReadOnly(MemoryFS())}) == (100, b"", b"path_open: errno 69\n")
    assert run(script, "what is this") == (42, b"", b"")


def test_a_script_sees_the_clock_and_the_randomness_that_it_is_given(script: Compiled) -> None:
    clock = ManualClock(10**18, step=7)
    code, out, err = run(script, "clocks", "random", clock=clock, random=random.Random(1))
    expected = random.Random(1).randbytes(16).hex()
    assert (code, err) == (0, b"")
    # 101 looks at the clock before the one that is shown.
    assert out.decode().splitlines() == [
        f"real time {10**18 + 101 * 7}",
        "resolution 7",
        "slept true",
        expected,
    ]
    first, second = (run(script, "clocks", "random")[1].split()[-1] for _ in range(2))
    assert first != second


def test_a_script_reads_to_the_end_of_its_input(script: Compiled) -> None:
    text = "añadir ✓ " * 1000
    assert run(script, "shout", stdin=text) == (0, text.upper().encode(), b"")
    assert run(script, "shout") == (0, b"", b"")


COMMAND = """(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 7)))
  (func (export "leave") (call $exit (i32.const 9))))"""

REACTOR = """(module
  (global $ready (mut i32) (i32.const 0))
  (memory (export "memory") 1)
  (func (export "_initialize") (global.set $ready (i32.const 1)))
  (func (export "ready") (result i32) (global.get $ready)))"""


def test_a_command_runs_to_its_exit() -> None:
    with Wasi() as wasi, hostmod.instantiate(COMMAND, wasi) as guest:
        assert guest.run() == 7
        with pytest.raises(hostmod.Exit, match="the guest exited with code 9") as caught:
            guest.exports.leave()
        assert caught.value.code == 9


def test_a_reactor_is_initialised_and_then_called() -> None:
    with hostmod.instantiate(REACTOR) as guest:
        assert guest.exports.ready() == 0
        assert guest.run() == 0
        assert guest.exports.ready() == 1


def test_a_guest_that_is_no_program_is_said_to_be_none() -> None:
    with (
        hostmod.instantiate("(module)") as guest,
        pytest.raises(hostmod.LinkError, match="neither _start nor _initialize"),
    ):
        guest.run()


def test_a_class_is_made_and_closed_with_its_guest() -> None:
    closed: list[bool] = []

    class Watched(Wasi):
        def close(self) -> None:
            closed.append(True)
            super().close()

    with hostmod.instantiate(COMMAND, Watched) as guest:
        assert guest.run() == 7
        assert not closed
    assert closed == [True]


def test_each_call_can_be_watched() -> None:
    lines: list[str] = []
    module, engine = wasi_guest.compiled()
    traced = hostmod.decorate(Wasi, hostmod.trace(lines.append))
    with (
        traced(preopens={"/": MemoryFS({"a": b"x"})}) as wasi,
        hostmod.instantiate(module, wasi, engine=engine) as guest,
    ):
        guest.memory.write(0, b"a")
        guest.exports.path_open(3, 1, 0, 1, wasi_guest.CREAT | wasi_guest.TRUNC, wasi_guest.READ, 0, 1, 64)
        guest.exports.path_open(3, 0, 0, 0, 0, 0, 0, 0, 64)
        guest.exports.fd_close(99)
    assert len(lines) == 3
    for shown in ("path_open(", "SYMLINK_FOLLOW", '"a"', "CREAT|TRUNC", "FD_READ", "APPEND", "OK"):
        assert shown in lines[0]
    assert "NOENT" in lines[1]
    assert "BADF" in lines[2]
