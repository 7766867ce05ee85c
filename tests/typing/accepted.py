"""What checkers see of the guest types: each reveal_type names what mypy and what pyright say."""

from __future__ import annotations

import enum as _enum
import logging
from typing import Annotated, reveal_type

import wasmtime

import hostmod
from hostmod import GuestModule, HostModule, export, function, option
from hostmod.types import (
    Array,
    Bool,
    Bytes,
    Caller,
    CString,
    Duration,
    Errno,
    Error,
    ExternRef,
    Float32,
    Float64,
    GuestType,
    Int8,
    Int16,
    Int32,
    Int64,
    Length,
    List,
    Optional,
    Pointer,
    String,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    enum,
    struct,
)


@enum(Uint8)
class Color(_enum.IntEnum):
    RED = 1


class Celsius(float): ...


class CelsiusType(GuestType[Celsius]): ...


Temperature = Annotated[Celsius, CelsiusType()]


@struct
class Point:
    x: Float32
    y: Float32


@struct
class Everything:
    flag: Bool
    number: Uint16
    color: Color
    wait: Duration
    name: String
    data: Bytes
    items: List[Point]
    next: Pointer[Point] | None
    inner: Point
    tags: Annotated[list[Uint16], Length(3)]
    raw: Annotated[bytes, Length(4)]
    heat: Temperature


@struct(frozen=True)
class Key:
    id: Uint32 = 0


class Kv(HostModule, name="kv"):
    def __init__(self, path: str = "") -> None:
        self.path = path

    @function
    def integers(
        self, a: Int8, b: Int16, c: Int32, d: Int64, e: Uint8, f: Uint16, g: Uint32, h: Uint64
    ) -> Int32:
        reveal_type(a)  # int
        reveal_type(b)  # int
        reveal_type(c)  # int
        reveal_type(d)  # int
        reveal_type(e)  # int
        reveal_type(f)  # int
        reveal_type(g)  # int
        reveal_type(h)  # int
        return a + h

    @function
    def scalars(self, flag: Bool, ratio: Float32, wide: Float64, wait: Duration, number: Errno) -> Bool:
        reveal_type(flag)  # bool
        reveal_type(ratio)  # float
        reveal_type(wide)  # float
        reveal_type(wait)  # Duration
        reveal_type(wait.timedelta)  # timedelta
        reveal_type(number)  # int
        return flag

    @function
    def texts(self, name: String, path: CString) -> Uint32:
        reveal_type(name)  # str
        reveal_type(path)  # str
        return len(name) + len(path)

    @function
    def views(self, data: Bytes, numbers: Array[Uint16], ratios: Array[Float32]) -> None:
        reveal_type(data)  # memoryview[int]
        reveal_type(data[0])  # int
        reveal_type(numbers)  # memoryview[int]
        reveal_type(ratios)  # memoryview[float]
        data[:2] = b"hi"
        numbers[0] = 5
        ratios[0] = 0.5

    @function
    def pointers(self, at: Pointer[Uint32], point: Pointer[Point], maybe: Pointer[Color] | None) -> Error:
        reveal_type(at)  # Pointer[int]
        reveal_type(at.load())  # int
        reveal_type(at[1])  # int
        reveal_type(at + 1)  # Pointer[int]
        reveal_type(at - 1)  # Pointer[int]
        reveal_type(at - at)  # int
        reveal_type(at.slice(3))  # List[int]
        reveal_type(point.load())  # Point
        point.store(Point(1.0, 2.0))
        at[0] = 5
        if maybe is not None:
            reveal_type(maybe.load())  # Color

    @function
    def lists(self, points: List[Point], names: List[String]) -> Optional[Uint32]:
        reveal_type(points)  # List[Point]
        reveal_type(points[0])  # Point
        reveal_type(points[1:])  # List[Point]
        reveal_type(names[0])  # str
        for pointer in points.pointers():
            reveal_type(pointer)  # Pointer[Point]
        for name in names:
            reveal_type(name)  # str
        return len(points)

    @function("others")
    def others_(
        self, color: Color, heat: Temperature, handle: ExternRef, caller: Caller
    ) -> tuple[Int32, Float64]:
        reveal_type(color)  # Color
        reveal_type(heat)  # Celsius
        reveal_type(handle)  # Any
        reveal_type(caller.memory)  # Memory
        return 1, heat

    @function
    def pair(self) -> Optional[tuple[Int32, Float32]]:
        return 1, 0.5


def methods_stay_methods(kv: Kv) -> None:
    reveal_type(kv.integers(1, 2, 3, 4, 5, 6, 7, 8))  # int
    reveal_type(kv.texts("a", "b"))  # int
    reveal_type(kv.lists)  # (points: List[Point], names: List[str]) -> int
    reveal_type(kv.others_)  # (color: Color, heat: Celsius, handle: Any, caller: Caller) -> tuple[int, float]
    reveal_type(kv.pair())  # tuple[int, float]
    reveal_type(Kv.functions["pair"])  # Function


def structs(every: Everything) -> None:
    reveal_type(Point)  # mypy: (x: float, y: float) -> Point; pyright: type[Point]
    reveal_type(Point(1.0, y=2.0))  # Point
    reveal_type(Point(1.0, 2.0).x)  # float
    reveal_type(Key().id)  # int
    reveal_type(every.flag)  # bool
    reveal_type(every.number)  # int
    reveal_type(every.color)  # Color
    reveal_type(every.wait)  # Duration
    reveal_type(every.name)  # str
    reveal_type(every.data)  # memoryview[int]
    reveal_type(every.items[0])  # Point
    reveal_type(every.next)  # Pointer[Point] | None
    reveal_type(every.inner)  # Point
    reveal_type(every.tags)  # list[int]
    reveal_type(every.raw)  # bytes
    reveal_type(every.heat)  # Celsius
    reveal_type(Pointer.new(Point))  # Pointer[Point]
    reveal_type(Pointer.new(Point, Point(1, 2)).load())  # Point
    reveal_type(List.new(Point, [Point(1, 2)]))  # List[Point]
    reveal_type(Pointer.new(Uint16, 7))  # Pointer[int]
    reveal_type(Pointer.new(String))  # mypy: Pointer[str]; pyright: Pointer[Any]
    reveal_type(List.new(Color, [Color.RED]))  # List[Color]
    reveal_type(List.new(Int8, [1, 2]))  # List[int]
    reveal_type(Pointer[Uint16](hostmod.FixedSizeMemory(1), 0))  # Pointer[int]


class Calculator(GuestModule):
    @export
    def add(self, a: Int32, b: Int32) -> Int32: ...

    @export("div")
    def divide(self, a: Float64, b: Float64) -> Optional[Float64]: ...

    @export
    def reset(self) -> None: ...


def guests(store: wasmtime.Store, instance: wasmtime.Instance) -> None:
    calculator = Calculator(store, instance)
    reveal_type(calculator)  # Calculator
    reveal_type(calculator.add)  # (a: int, b: int) -> int
    reveal_type(calculator.add(2, 40))  # int
    reveal_type(calculator.divide(1, 2))  # float


@option
def path(kv: Kv, value: str, *, create: bool) -> None:
    kv.path = value


def options() -> None:
    reveal_type(path)  # (value: str, *, create: bool) -> Option[Kv]
    reveal_type(path("a", create=True))  # Option[Kv]
    reveal_type(hostmod.configure(Kv(), path("a", create=False)))  # Kv


def instances(linker: wasmtime.Linker) -> None:
    compiled = Kv.compile(linker)
    reveal_type(compiled)  # CompiledModule[Kv]
    instance = compiled.instantiate("path")
    reveal_type(instance)  # ModuleInstance[Kv]
    reveal_type(instance.module.path)  # str
    with instance as entered, hostmod.bind(instance):
        reveal_type(entered)  # ModuleInstance[Kv]


def decorated() -> None:
    reveal_type(hostmod.decorate(Kv, hostmod.log(logging.getLogger())))  # type[Kv]
    reveal_type(hostmod.decorate(Kv)("path").path)  # str


env = hostmod.module("env")


@env.function
def add(a: Int32, b: Int32) -> Int32:
    return a + b


@env.function("sub")
def subtract(a: Int32, b: Int32) -> Int32:
    return a - b


def modules() -> None:
    reveal_type(env)  # FunctionModule
    reveal_type(add)  # (a: int, b: int) -> int
    reveal_type(subtract)  # (a: int, b: int) -> int
    reveal_type(hostmod.decorate(env))  # FunctionModule
