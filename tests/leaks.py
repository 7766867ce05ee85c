"""What a million calls leave behind: every kind of call, and what can be counted of objects, references and memory."""

from __future__ import annotations

import contextlib
import enum
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import backends
import numpy
import random_plans
import wasmtime

from hostmod import _wasmtime
from hostmod.errors import ErrnoError
from hostmod.memory import Memory
from hostmod.plan import plan_of
from hostmod.types import (
    Array,
    Bool,
    Bytes,
    Caller,
    CString,
    Duration,
    Error,
    ExternRef,
    Float32,
    Int32,
    Int64,
    List,
    Optional,
    Pointer,
    String,
    Uint8,
    Uint32,
)
from hostmod.types import enum as guest_enum
from hostmod.types import struct as guest_struct


@guest_struct
class Point:
    """A struct that C reads and writes."""

    x: Float32
    y: Int64
    long: Duration
    on: Bool


@guest_struct
class Named:
    """A struct that Python reads and writes."""

    name: String
    point: Point


@guest_enum(Uint8)
class Color(enum.IntEnum):
    """An enumeration."""

    RED = 0
    GREEN = 8


class Kept:
    """What host functions of one kind keep until the next call."""

    def __init__(self) -> None:
        self.values: list[Any] = []


def _numbers(a: Int32, b: Uint8, c: Float32, d: Duration, e: Bool, f: Color) -> tuple[Int64, Color, Bool]:
    return a + b, f, e


def _many(
    a: Uint32, b: Uint32, c: Uint32, d: Uint32, e: Uint32, f: Uint32, g: Uint32, h: Uint32, i: Uint32,
    j: Uint32, k: Uint32, s: Uint32, m: Uint32, n: Uint32, o: Uint32, p: Uint32, q: Uint32, r: Uint32,
) -> Uint32:  # fmt: skip  # more than fit the C code's own room
    return a


def _texts(a: String, b: CString) -> Int32:
    return len(a) + len(b)


def _views(a: Bytes, b: Array[Uint32], c: Caller) -> None:
    a[0] = 1
    for at in range(20):  # more than fit the C code's own room
        c.memory.view(at, 4)[0] = b[0] & 255


def _kept(a: Bytes, b: Pointer[Point], c: List[Uint32], d: Caller) -> None:
    KEPT.values = [a, a[:2], memoryview(a.obj), b, c, d, d.memory]


def _objects(a: Pointer[Point], b: List[Point], c: Pointer[Named], d: Pointer[Uint32] | None) -> Error:
    a.store(a.load())
    b[0] = b[1]
    c.load()
    [pointer.load() for pointer in b.pointers()]
    if d is not None:
        d.store(d.load())


def _callers(a: Caller, b: Caller) -> None:
    assert a.get("nothing") is None
    assert b.memory.size


def _references(a: ExternRef, b: ExternRef) -> tuple[ExternRef, ExternRef]:
    return b, a


def _errno(a: Bytes) -> Optional[Int32]:
    raise OSError(5, "bad luck")


def _success(a: Bytes) -> Error:
    raise ZeroDivisionError  # of which the table says that it is none


def _bug(a: Bytes, b: Pointer[Point], c: Caller) -> Optional[Int32]:
    raise ValueError("bug")


def _wrong(a: Bytes) -> Uint8:
    return 256


def _no_tuple(a: Bytes) -> tuple[Int32, Int32]:
    return 5  # type: ignore[return-value]  # that is the point


def _misfit(a: Pointer[Point]) -> None:
    with contextlib.suppress(ValueError):
        a.store(Point(1e300, 1 << 70, Duration(0), True))
    with contextlib.suppress(Exception):
        a[1 << 40]


def _celsius(a: Annotated[float, random_plans.CelsiusType()]) -> Annotated[float, random_plans.CelsiusType()]:
    return a


def _index(a: Int32) -> Int32:
    return numpy.int32(a)  # type: ignore[return-value]  # like an int, for the C code to ask about


KEPT = Kept()

Case = tuple[Callable[..., Any], tuple[Any, ...]]

CASES: dict[str, Case] = {
    "numbers": (_numbers, (1, 2, 0x3F800000, 4, 5, 8)),
    "an enum that has no such member": (_numbers, (1, 2, 3, 4, 5, 6)),
    "more parameters than fit": (_many, tuple(range(18))),
    "texts": (_texts, (0, 8, 0)),
    "text that is none": (_texts, (128, 8, 0)),
    "text outside of the memory": (_texts, (0xFFFFFFFF, 8, 0)),
    "text without an end": (_texts, (0, 8, 65535)),
    "views": (_views, (0, 8, 0, 4)),
    "a view outside of the memory": (_views, (0, 8, 65535, 4)),
    "everything kept": (_kept, (0, 8, 8, 0, 4)),
    "objects": (_objects, (512, 512, 2, 1024, 0)),
    "objects, and a null": (_objects, (512, 512, 2, 1024, 4)),
    "objects outside of the memory": (_objects, (65535, 512, 2, 1024, 0)),
    "callers": (_callers, ()),
    "references": (_references, (random_plans.TAGS[0], None)),
    "an errno": (_errno, (0, 8)),
    "an errno that is none": (_success, (0, 8)),
    "a bug": (_bug, (0, 8, 0)),
    "a result out of range": (_wrong, (0, 8)),
    "a result that is no tuple": (_no_tuple, (0, 8)),
    "values that do not fit": (_misfit, (512,)),
    "a guest type of the user's": (_celsius, (0x3F800000,)),
    "a number that is no int": (_index, (1,)),
}


def content() -> bytes:
    """The memory of the guests: text at 0, bytes that are none at 128, text structs at 1024, and no NUL at the end."""
    data = bytearray(65536)
    data[0:5] = b"text\0"
    data[128:136] = b"\xff" * 8
    data[65535] = 1
    return bytes(data)


def host_call(backend: Any, case: str) -> tuple[Callable[[], None], list[Any]]:
    """Make a callable that has a guest call a host function, and return what references to are counted, too."""
    function, words = CASES[case]
    plan = plan_of(function, "host", "f", method=False, errors=random_plans.ERRORS)
    store = wasmtime.Store(random_plans.ENGINE)
    linker = wasmtime.Linker(random_plans.ENGINE)
    thunk = backend.HostThunk(plan)
    type_ = _wasmtime.function_type(plan.param_types, plan.result_types)
    backend.define_all(
        _wasmtime.linker_address(linker),
        ((thunk, b"host", b"f", _wasmtime.type_address(type_)),),
        (function,),
        None,
        None,
    )
    exports = linker.instantiate(
        store, wasmtime.Module(random_plans.ENGINE, backends.forwarding(plan))
    ).exports(store)
    memory: Any = exports["memory"]
    memory.write(store, content())
    raw = backends.Raw(store, exports["run"], plan)  # type: ignore[arg-type]  # a Func
    references = any(core == "externref" for core in plan.param_types)

    def call() -> None:
        raw(words)
        if references:
            store.gc()

    return call, [
        function,
        thunk,
        store,
        *(slot for slot in plan.params),
        *(slot.type for slot in plan.params),
    ]


def guest_call(backend: Any, case: str) -> tuple[Callable[[], None], list[Any]]:
    """Make a callable that calls a guest, and return what references to are counted, too."""
    store = wasmtime.Store(random_plans.ENGINE)
    instance = wasmtime.Instance(
        store,
        wasmtime.Module(
            random_plans.ENGINE,
            '(module (func (export "f") (param i32 f64 i32) (result i32 i32)'
            " (if (i32.eq (local.get 0) (i32.const 7)) (then unreachable)) (local.get 0) (local.get 2)))",
        ),
        [],
    )
    function: Any = instance.exports(store)["f"]

    def declared(a: Int32, b: Annotated[float, random_plans.FLOAT64], c: Bool) -> Optional[Int32]: ...

    plan = plan_of(declared, "Guest", "f", method=False)
    caller = backend.GuestThunk(plan).caller(store, function)
    arguments: tuple[Any, ...] = {
        "a call": (1, 2.0, False),
        "an errno": (1, 2.0, True),
        "a trap": (7, 2.0, False),
        "a misfit": (1 << 40, 2.0, False),
        "numpy's": (numpy.int32(1), numpy.float32(2), numpy.bool_(False)),
        "too few": (1,),
    }[case]

    def call() -> None:
        with contextlib.suppress(ErrnoError, wasmtime.Trap, ValueError, TypeError):
            caller(*arguments)

    return call, [caller, store, function, plan.params[0].type]


GUEST_CASES = ("a call", "an errno", "a trap", "a misfit", "numpy's", "too few")


def counts(participants: list[Any]) -> tuple[int, int, list[int]]:
    """Count what there is: allocated blocks, objects of the garbage collector, and references to some objects."""
    KEPT.values = []
    gc.collect()
    shared: list[Any] = [
        None,
        True,
        False,
        Color.RED,
        Color.GREEN,
        Duration,
        Point,
        Memory,
        ValueError,
        0,
        "",
    ]
    references = [sys.getrefcount(each) for each in (*shared, *participants)]
    return sys.getallocatedblocks(), len(gc.get_objects()), references


def resident() -> int:
    """Bytes of this process that are in memory; 0 where there is no /proc."""
    path = Path("/proc/self/statm")
    return int(path.read_text().split()[1]) * 4096 if path.exists() else 0


def growth(call: Callable[[], None], participants: list[Any], calls: int) -> tuple[float, float, float]:
    """Make calls; returns blocks, objects and references of the worst participant that each call left behind.

    What the first calls leave behind (caches) is not counted.
    """
    for _ in range(50):
        call()
    blocks, objects, references = counts(participants)
    for _ in range(calls):
        call()
    more_blocks, more_objects, more_references = counts(participants)
    worst = max(abs(after - before) for before, after in zip(references, more_references, strict=True))
    return (more_blocks - blocks) / calls, (more_objects - objects) / calls, worst / calls


def cases(backend: Any) -> list[tuple[str, Callable[[], None], list[Any]]]:
    """Every kind of call that a backend makes: its name, the call, and whose references to count."""
    found = [(f"host: {case}", *host_call(backend, case)) for case in CASES]
    return [*found, *((f"guest: {case}", *guest_call(backend, case)) for case in GUEST_CASES)]
