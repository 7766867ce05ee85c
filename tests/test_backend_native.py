"""The native backend as a part: when it steps aside, what guards a store, who owns a view, what calls leave behind.

What it does with values is compared with the pure backend in test_backends.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
import venv
import zipfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import leaks
import numpy
import pytest
import wasmtime

from hostmod import _wasmtime
from hostmod._backend import python as pure
from hostmod.errors import ConversionError, StaleMemoryError, StoreBusyError, ViewEscapedError
from hostmod.plan import Plan, Slot, plan_of
from hostmod.types import Array, Bytes, Caller, Pointer, Uint32
from hostmod.types.scalar import INT32

ROOT = Path(__file__).resolve().parent.parent
BUILT = find_spec("hostmod._backend._native") is not None
needs_c = pytest.mark.skipif(not BUILT, reason="the native backend was not built")

BACKENDS: list[Any] = [pytest.param(pure, id="pure")]
native: Any = None
if BUILT:
    from hostmod._backend import native

    BACKENDS.append(pytest.param(native, id="native"))
both = pytest.mark.parametrize("backend", BACKENDS)


def python(program: str, **environment: str) -> str:
    """Run a program in a Python of its own; returns what it printed."""
    kept = {name: value for name, value in os.environ.items() if name != "HOSTMOD_NO_EXTENSIONS"}
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout + found.stderr


# ------------------------------------------------------------------------------------------------------ stepping aside

WORKS = """
import hostmod
from hostmod import HostModule, function, backend, testing
from hostmod.types import Int32
class Calculator(HostModule, name="calculator"):
    @function
    def add(self, a: Int32, b: Int32) -> Int32:
        return a + b
print(backend.active.NAME, testing.call(Calculator().add, 2, 40), backend.reason)
"""


@needs_c
def test_the_native_backend_serves_where_it_was_built() -> None:
    assert python(WORKS) == "native 42 \n"


@needs_c
def test_a_wasmtime_with_another_structure_makes_the_native_backend_give_way_with_a_logged_reason() -> None:
    reason = "InternalError: wasmtime_extern_t is 32 in the native backend, 40 in wasmtime"
    said = python(
        "import ctypes, wasmtime\n"
        "from wasmtime import _ffi\n"
        "class Longer(ctypes.Structure):\n"
        "    _fields_ = [*_ffi.wasmtime_extern_t._fields_, ('more', ctypes.c_uint64)]\n"
        "real, _ffi.wasmtime_extern_t = _ffi.wasmtime_extern_t, Longer\n"
        "from hostmod import backend\n"
        "print(backend.active.NAME, backend.reason)"
    )
    assert f"pure {reason}" in said
    assert f"the native backend does not start, pure Python serves: {reason}" in said


@needs_c
def test_a_structure_whose_members_moved_makes_it_give_way_too() -> None:
    said = python(
        "import ctypes\n"
        "from wasmtime import _ffi\n"
        "old = _ffi.wasmtime_extern_t\n"
        "class Turned(ctypes.Structure):\n"
        "    _fields_ = list(reversed(old._fields_))\n"
        "_ffi.wasmtime_extern_t = Turned\n"
        "from hostmod import backend\n"
        "print(backend.active.NAME, backend.reason)"
    )
    assert "pure InternalError: wasmtime_extern_t.kind is 0 in the native backend, 24 in wasmtime" in said


@pytest.mark.parametrize("value", ["1", "yes"])
def test_an_environment_variable_chooses_the_pure_backend(value: str) -> None:
    assert python(WORKS, HOSTMOD_NO_EXTENSIONS=value) == "pure 42 HOSTMOD_NO_EXTENSIONS is set\n"


@needs_c
@pytest.mark.parametrize("value", ["", "0"])
def test_an_environment_variable_that_says_no_chooses_nothing(value: str) -> None:
    assert python(WORKS, HOSTMOD_NO_EXTENSIONS=value) == "native 42 \n"


@needs_c
def test_a_subinterpreter_is_refused_the_native_backend() -> None:
    from hostmod._backend import _native

    load = (
        "import importlib.util\n"
        f"spec = importlib.util.spec_from_file_location('hostmod._backend._native', {_native.__file__!r})\n"
        "try:\n"
        "    module = importlib.util.module_from_spec(spec)\n"
        "    spec.loader.exec_module(module)\n"
        "except ImportError as error:\n"
        "    print('refused:', error, flush=True)\n"
        "else:\n"
        "    print('loaded', flush=True)\n"
    )
    said = python(
        f"load = {load!r}\n"
        "try:\n"
        "    import _interpreters as interpreters\n"
        "    other = interpreters.create('legacy')\n"
        "    run = interpreters.exec\n"
        "except ImportError:\n"
        "    import _xxsubinterpreters as interpreters\n"
        "    other = interpreters.create(isolated=False)\n"
        "    run = interpreters.run_string\n"
        "failure = run(other, load)\n"
        "if failure is not None:\n"
        "    print(failure)\n"
        "interpreters.destroy(other)\n"  # from 3.14 on, one that is left is warned of
        "exec(load)\n"
    )
    first, second = said.splitlines()
    assert first.startswith("refused: ")
    assert "subinterpreter" in first
    assert second == "loaded"


# ------------------------------------------------------------------------------------------------------------- wheels


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a wheel is built from, in a place of its own."""
    setuptools: Any = pytest.importorskip("setuptools", minversion="77")
    assert setuptools
    place = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, place)
    shutil.copytree(
        ROOT / "src",
        place / "src",
        ignore=shutil.ignore_patterns("*.so", "*.pyd", "*.egg-info", "__pycache__"),
    )
    return place


def wheel(source: Path, place: Path, **environment: str) -> Path:
    """Build a wheel, and unpack it into a new environment without a compiler; returns that environment's Python."""
    shutil.rmtree(source / "build", ignore_errors=True)
    kept = {name: value for name, value in os.environ.items() if name != "HOSTMOD_NO_EXTENSIONS"}
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"from setuptools import build_meta; build_meta.build_wheel({str(place)!r})",
        ],
        cwd=source,
        env={**kept, **environment},
        capture_output=True,
        check=True,
        timeout=300,
    )
    (built,) = place.glob("*.whl")
    venv.create(place / "venv", with_pip=False, symlinks=True)
    (packages,) = (place / "venv").glob("lib/python*/site-packages")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(packages)
    # wasmtime comes from the environment that the tests run in.
    paths = {Path(wasmtime.__file__).parent.parent, sysconfig.get_path("purelib")}
    (packages / "others.pth").write_text("\n".join(map(str, paths)) + "\n")
    return place / "venv/bin/python"


def answer(interpreter: Path) -> str:
    """What WORKS prints, with no compiler anywhere."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(("ASAN", "UBSAN", "LD_"))}
    found = subprocess.run(
        [interpreter, "-c", WORKS + "print(hostmod.__file__)"],
        env={**kept, "PATH": str(interpreter.parent)},
        cwd=interpreter.parent,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    line, place = found.stdout.splitlines()
    assert place.startswith(str(interpreter.parent.parent))
    return line


unix = pytest.mark.skipif(sys.platform == "win32", reason="paths of a venv, and CC, are otherwise there")


@pytest.mark.slow
@unix
@needs_c
def test_a_wheel_with_the_native_backend_works_without_a_compiler(source: Path, tmp_path: Path) -> None:
    assert answer(wheel(source, tmp_path)) == "native 42 "


@unix
def test_a_wheel_is_built_without_a_compiler_and_works(source: Path, tmp_path: Path) -> None:
    reason = "it was not built: there was no C compiler when hostmod was installed"
    assert answer(wheel(source, tmp_path, CC="false")) == f"pure 42 {reason}"


@pytest.mark.slow
@unix
def test_a_wheel_is_built_without_the_native_backend_if_the_environment_says_so(
    source: Path, tmp_path: Path
) -> None:
    assert answer(wheel(source, tmp_path, HOSTMOD_NO_EXTENSIONS="1")).startswith("pure 42 it was not built")


# ---------------------------------------------------------------------------------------------- one thread in a store


class Bench:
    """A guest with one host function, both of one backend, and a caller of its `run`."""

    def __init__(self, backend: Any, function: Callable[..., Any], hold: bool = False) -> None:
        self.plan = plan_of(function, "host", "f", method=False)
        self.store = wasmtime.Store()
        linker = wasmtime.Linker(self.store.engine)
        type_ = _wasmtime.function_type(self.plan.param_types, self.plan.result_types)
        row = (backend.HostThunk(self.plan), b"host", b"f", _wasmtime.type_address(type_))
        assert backend.define_all(_wasmtime.linker_address(linker), (row,), (function,), None, None) is None
        params = " ".join(self.plan.param_types)
        gets = " ".join(f"(i32.const {8 * index})" for index in range(len(self.plan.param_types)))
        exports: Any = linker.instantiate(
            self.store,
            wasmtime.Module(
                self.store.engine,
                f'(module (import "host" "f" (func $f (param {params}))) (memory (export "memory") 1)'
                f' (func (export "run") (call $f {gets}))'
                ' (func (export "nothing"))'
                ' (func (export "spin") (local i32) (loop $again (br_if $again'
                " (i32.ne (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 100000000))))))",
            ),
        ).exports(self.store)
        self.exports = exports
        run = Plan("Guest", "run", (), (), False, False)
        self.run, self.nothing, self.spin = (
            backend.GuestThunk(run).caller(self.store, exports[name], None, hold)
            for name in ("run", "nothing", "spin")
        )


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Let threads take turns often."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(interval)


@both
def test_a_second_thread_in_a_store_is_refused(backend: Any) -> None:
    inside, leave = threading.Event(), threading.Event()

    def wait() -> None:
        inside.set()
        assert leave.wait(30)

    bench = Bench(backend, wait)
    thread = threading.Thread(target=bench.run)
    thread.start()
    assert inside.wait(30)
    try:
        with pytest.raises(StoreBusyError, match=r"Guest\.run.*in use by another thread"):
            bench.nothing()
        with pytest.raises(StoreBusyError, match="in use by another thread"):
            bench.exports["nothing"](bench.store)
    finally:
        leave.set()
        thread.join()
    bench.nothing()


@both
def test_the_thread_that_is_in_a_store_may_enter_it_again(backend: Any) -> None:
    depth = 0

    def again() -> None:
        nonlocal depth
        depth += 1
        if depth < 5:
            bench.run()
        bench.exports["nothing"](bench.store)

    bench = Bench(backend, again)
    bench.run()
    assert depth == 5
    assert _wasmtime.guard_of(bench.store).depth == 0


@both
def test_a_guest_that_traps_leaves_its_store_free(backend: Any) -> None:
    def fail() -> None:
        raise ValueError("bug")

    bench = Bench(backend, fail)
    for _ in range(3):
        with pytest.raises(ValueError, match="bug"):
            bench.run()
    assert _wasmtime.guard_of(bench.store).depth == 0
    thread = threading.Thread(target=bench.nothing)
    thread.start()
    thread.join()


@both
@pytest.mark.usefixtures("quick_switches")
def test_other_threads_run_while_a_guest_does_unless_it_holds_the_lock(backend: Any) -> None:
    ticks = 0
    stop = False

    def tick() -> None:
        nonlocal ticks
        while not stop:
            ticks += 1
            time.sleep(0.0005)

    def ticks_during(call: Callable[[], None]) -> int:
        before = ticks
        call()
        return ticks - before

    released, held = Bench(backend, lambda_()), Bench(backend, lambda_(), hold=True)
    thread = threading.Thread(target=tick)
    thread.start()
    try:
        while not ticks:
            time.sleep(0.001)
        # On a busy machine the other thread may not be given a core during one call.
        assert any(ticks_during(released.spin) > 2 for _ in range(50))
        assert any(ticks_during(held.spin) <= 1 for _ in range(50))
    finally:
        stop = True
        thread.join()


def lambda_() -> Callable[[], None]:
    """A host function that does nothing."""

    def nothing() -> None:
        pass

    return nothing


@both
def test_a_guest_call_that_holds_the_lock_can_call_the_host(backend: Any) -> None:
    seen: list[int] = []

    def serve() -> None:
        seen.append(threading.get_ident())
        time.sleep(0.001)  # lets go of the lock, and takes it again

    bench = Bench(backend, serve, hold=True)
    bench.run()
    assert seen == [threading.get_ident()]


# ---------------------------------------------------------------------------------------------- views, and their owner


@both
def test_every_view_ends_with_its_call(backend: Any) -> None:
    kept: list[Any] = []

    def keep(data: Bytes, numbers: Array[Uint32], caller: Caller) -> None:
        assert all(len(part) for part in (data[1:][1:][::2], numbers.cast("B"), numbers[1:]))
        kept.extend((data, numbers, iter(data), caller.memory.view(4, 4)))

    bench = Bench(backend, keep)
    bench.run()
    for view in kept:
        with pytest.raises(ValueError, match="released memoryview"):
            next(view) if hasattr(view, "__next__") else view[0]


@needs_c
def test_the_owner_of_a_view_gives_no_other_after_its_call() -> None:
    kept: list[Any] = []

    def keep(data: Bytes, numbers: Array[Uint32]) -> None:
        kept.append(data.obj)
        again = memoryview(data.obj)
        assert again.obj is data.obj is data[1:].obj
        assert (again.format, numbers.format, numbers.itemsize) == ("B", "I", 4)
        again[0] = 7
        assert data[0] == 7
        kept.append(again)
        kept.append(numbers.obj)

    bench = Bench(native, keep)
    with pytest.raises(ViewEscapedError):  # an array can have taken the address from it
        bench.run()
    owner, again, other = kept
    assert again[0] == 7, "its memory is there for as long as it is"
    for each in (owner, other):
        with pytest.raises(StaleMemoryError, match="after its call ended"):
            memoryview(each)
        with pytest.raises(StaleMemoryError, match="after its call ended"):
            numpy.frombuffer(each, dtype="u1")
        if sys.version_info >= (3, 12):
            with pytest.raises(StaleMemoryError, match="after its call ended"):
                each.__buffer__(0)


@both
def test_an_array_over_a_view_is_an_escape_and_stays_readable_until_it_is_let_go(backend: Any) -> None:
    kept: list[Any] = []

    def keep(data: Bytes, numbers: Array[Uint32]) -> None:
        data[0] = 9
        kept.append(numpy.frombuffer(data[:4], dtype="u1")[:2])

    bench = Bench(backend, keep)
    with pytest.raises(ViewEscapedError, match=r"host\.f"):
        bench.run()
    (array,) = kept
    bench.nothing()
    bench.exports["nothing"](bench.store)
    bench.store.close()
    assert array[0] == 9


@both
def test_memories_and_pointers_take_their_arguments_by_name_too(backend: Any) -> None:
    said: list[str] = []

    def use(data: Pointer[Uint32], caller: Caller) -> None:
        memory = caller.memory
        data.store(value=513)
        assert memory.read(offset=0, length=4) == bytes(memory.view(0, length=4)) == b"\1\2\0\0"
        assert memory.end(length=1, offset=2) == 3
        wrong: list[Callable[[], object]] = [
            lambda: memory.view(1),  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # that is the point
            lambda: memory.read(0, size=1),  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
            data.store,  # type: ignore[list-item]  # pyright: ignore[reportAssignmentType]
        ]
        for each in wrong:
            with pytest.raises(TypeError) as caught:
                each()
            said.append(str(caught.value).partition("() ")[2])

    Bench(backend, use).run()
    assert said == [
        "missing 1 required positional argument: 'length'",
        "got an unexpected keyword argument 'size'",
        "missing 1 required positional argument: 'value'",
    ]


@both
def test_a_caller_ends_with_its_call_though_there_are_several(backend: Any) -> None:
    kept: list[Caller] = []

    def keep(a: Caller, b: Caller, c: Caller) -> None:
        kept.extend((a, b, c))
        assert all(each.get("nothing") is not None for each in kept)

    bench = Bench(backend, keep)
    bench.run()
    for caller in kept:
        with pytest.raises(StaleMemoryError):
            caller.get("nothing")
        with pytest.raises(StaleMemoryError):
            caller.memory.read(0, 1)


# --------------------------------------------------------------------------------------------- what calls leave behind


@pytest.mark.slow
@both
def test_no_kind_of_call_leaves_anything_behind(backend: Any) -> None:
    found = {name: leaks.growth(call, who, 150) for name, call, who in leaks.cases(backend)}
    assert {name: left for name, left in found.items() if max(left) > 0.9} == {}


@needs_c
def test_a_struct_that_c_reads_goes_when_nobody_has_it() -> None:
    import gc
    import weakref

    from hostmod.types.base import resolve
    from hostmod.types.pointer import PointerType

    def declare() -> weakref.ref[Any]:
        from hostmod.types import struct

        @struct
        class Local:
            x: Uint32

        assert native.codec_of(PointerType(resolve(Local, "here")).element) is not None
        assert Pointer.new(Local, Local(1)).load() == Local(1)
        return weakref.ref(Local)

    gone = declare()
    gc.collect()
    assert gone() is None


@needs_c
def test_a_call_of_numbers_writes_no_python_until_c_does_not_take_an_argument(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    render_guest = pure.render_guest
    rendered: list[str] = []

    def render(plan: Plan, native_guard: bool) -> Any:
        rendered.append(plan.name)
        return render_guest(plan, native_guard)

    monkeypatch.setattr("hostmod._backend.python.runtime.render_guest", render)
    text = '(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))'
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    function: Any = wasmtime.Instance(store, wasmtime.Module(engine, text), []).exports(store)["add"]
    plan = Plan(
        "Guest", "add", (Slot("a", INT32, 0), Slot("b", INT32, 1)), (Slot("result", INT32, 0),), False, False
    )
    thunk = native.GuestThunk(plan)
    add = thunk.caller(store, function)
    assert [add(number, 1) for number in range(3)] == [1, 2, 3]
    assert rendered == []
    for _ in range(3):
        with pytest.raises(ConversionError, match=r"Guest\.add\(b\): 'x' \(str\), expected Int32"):
            add(1, "x")
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            add(1)
    assert thunk.caller(store, function)(2, 40) == 42
    assert rendered == ["add"]
