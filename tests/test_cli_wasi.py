"""WASI programs by the command: arguments, environment, directories, streams and exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command import make_folder, run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_folder(tmp_path, monkeypatch)


WASI = """
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $argsizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $prestat (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory" (func $mkdir (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 2000) "made")
  (func $print (param $at i32) (param $length i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $length))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start")
    (drop (call $argsizes (i32.const 16) (i32.const 20)))
    (drop (call $args (i32.const 100) (i32.const 200)))
    (call $print (i32.const 200) (i32.load (i32.const 20)))
    (drop (call $sizes (i32.const 16) (i32.const 20)))
    (drop (call $environ (i32.const 100) (i32.const 400)))
    (call $print (i32.const 400) (i32.load (i32.const 20)))
    (if (i32.eqz (call $prestat (i32.const 3) (i32.const 600) (i32.const 5)))
      (then (call $print (i32.const 600) (i32.const 5))))
    (call $exit (call $mkdir (i32.const 3) (i32.const 2000) (i32.const 4)))))
"""


@pytest.fixture
def wasi(folder: Path) -> Path:
    (folder / "prog.wat").write_text(WASI, "utf-8")
    (folder / "tree").mkdir()
    return folder


@pytest.mark.parametrize("which", ["hostmod", "builtin"])
def test_a_wasi_program_gets_arguments_environment_and_directory_and_its_exit_code_passes_through(
    wasi: Path, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSED", "on")
    options = ["--wasi", which, "--env", "A=1", "--env", "PASSED", "--env", "ABSENT", "--dir", "tree::/data"]
    assert run("run", *options, "prog.wat", "-x", "y")[0] == "prog.wat\0-x\0y\0A=1\0PASSED=on\0/data"
    assert (wasi / "tree" / "made").is_dir()
    assert run("run", *options, "prog.wat", code=20)[0].endswith("/data")  # EXIST


@pytest.mark.parametrize("which", ["hostmod", "builtin"])
def test_a_read_only_directory_cannot_be_written(wasi: Path, which: str) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "hostmod", "run", "--wasi", which, "--dir", "tree::/data:ro", "prog.wat"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert process.returncode != 0
    assert not (wasi / "tree" / "made").exists()


def test_a_directory_in_memory_is_the_guests_alone(wasi: Path) -> None:
    assert run("run", "--mem-dir", "/temp", "prog.wat")[0] == "prog.wat\0/temp"
    assert list((wasi / "tree").iterdir()) == []
    assert (
        "--mem-dir needs hostmod's own WASI"
        in run("run", "--wasi", "builtin", "--mem-dir", "/t", "prog.wat", code=2)[1]
    )


def test_a_copy_in_memory_leaves_the_folder_as_it_is(wasi: Path) -> None:
    assert run("run", "--mem-dir", "tree::/data", "prog.wat")[0] == "prog.wat\0/data"
    assert list((wasi / "tree").iterdir()) == []
    (wasi / "tree" / "made").mkdir()
    run("run", "--mem-dir", "tree::/data", "prog.wat", code=20)  # EXIST: it was copied
    with (wasi / "tree" / "large").open("wb") as file:
        file.truncate((64 << 20) + 1)
    assert "tree: more than 64 MiB" in run("run", "--mem-dir", "tree::/data", "prog.wat", code=2)[1]
    assert "gone: no such directory" in run("run", "--mem-dir", "gone::/data", "prog.wat", code=2)[1]


@pytest.mark.parametrize("which", ["hostmod", "builtin"])
def test_one_place_is_given_once(wasi: Path, which: str) -> None:
    options = ["--wasi", which, "--dir", "tree::/data"]
    twice = run("run", *options, "--dir", ".::/data:ro", "prog.wat", code=2)[1]
    assert "/data is given to the guest twice" in twice
    nameless = run("run", *options, "--dir", "tree::", "prog.wat", code=2)[1]
    assert "a directory for the guest without a name" in nameless
    if which == "hostmod":
        mixed = run("run", *options, "--mem-dir", "/data", "prog.wat", code=2)[1]
        assert "/data is given to the guest twice" in mixed


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_standard_stream_that_is_closed_is_none_for_the_guest(wasi: Path, closed: str) -> None:
    command = f"exec {sys.executable} -m hostmod run --mem-dir /temp prog.wat {closed}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("" if ">&-" in closed.split() else "prog.wat\0/temp")


def test_a_variable_without_a_name_is_refused(wasi: Path) -> None:
    for given in ("", "=x"):
        assert "expected NAME or NAME=VALUE" in run("run", "--env", given, "prog.wat", code=2)[1]


def test_trace_shows_wasi_calls_with_their_errnos_by_name(wasi: Path) -> None:
    (wasi / "tree" / "made").mkdir()
    _, err = run("run", "--trace", "--dir", "tree::/data", "prog.wat", code=20)
    assert any(
        line.startswith("wasi_snapshot_preview1::path_create_directory(") and "EXIST" in line
        for line in err.splitlines()
    ), err
