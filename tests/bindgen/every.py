"""A host module with a function for every guest type: guests in each language call all of them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, IntFlag
from typing import Annotated, Any

from hostmod import HostModule, function
from hostmod.memory import Memory
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
class Color(IntEnum):
    """A colour of the traffic light."""

    RED = 1
    GREEN = 2
    BLUE = 200


@enum(Uint16)
class Access(IntFlag):
    """What may be done.

    Members can be combined.
    """

    READ = 1
    WRITE = 2
    EXECUTE = 8


@enum(Int64)
class Large(IntEnum):
    BELOW = -(2**40)
    ABOVE = 2**40


class CelsiusType(GuestType[float]):
    """A temperature in tenths of a degree: a guest type that bindings know nothing of."""

    name, core, size, align = "Celsius", ("i32",), 4, 4

    def load_value(self, memory: Memory, words: Sequence[Any]) -> float:
        return int(words[0]) / 10

    def store_value(self, memory: Memory, value: float) -> Sequence[Any]:
        return (round(value * 10),)

    def load_object(self, memory: Memory, offset: int) -> float:
        return memory.read_uint32(offset) / 10

    def store_object(self, memory: Memory, offset: int, value: float) -> None:
        memory.write_uint32(offset, round(value * 10))


Celsius = Annotated[float, CelsiusType()]


@struct
class Point:
    """A place; y is at offset 8, since it is aligned to 8 bytes."""

    x: Float32
    y: Float64


@struct
class Sample:
    flag: Bool
    small: Int8
    wide: Int64
    half: Int16
    color: Color
    access: Access
    large: Large
    ratio: Float32
    span: Duration
    point: Point
    numbers: Annotated[list[Uint32], Length(3)]
    tag: Annotated[bytes, Length(5)]
    points: Annotated[list[Point], Length(2)]
    type: Uint8
    error: Errno
    warmth: Celsius
    name: String
    label: CString
    data: Bytes
    values: List[Uint16]
    wider: Array[Uint32]
    count: Pointer[Uint64]
    nothing: Pointer[Point] | None


def expect(found: object, expected: object) -> None:
    """Trap the guest if it passed something else."""
    if found != expected:
        raise AssertionError(f"the guest passed {found!r}, expected {expected!r}")


class Every(HostModule, name="every", errors={KeyError: 2, IndexError: 33, BufferError: 105}):
    """Every guest type, both ways."""

    @function
    def scalars(
        self,
        a: Bool,
        b: Int8,
        c: Uint8,
        d: Int16,
        e: Uint16,
        f: Int32,
        g: Uint32,
        h: Int64,
        i: Uint64,
        j: Float32,
        k: Float64,
        m: Duration,
        n: Errno,
    ) -> None:
        """Expect the widest value of each."""
        expect((a, b, c, d, e, f), (True, -128, 255, -32768, 65535, -(2**31)))
        expect((g, h, i), (2**32 - 1, -(2**63), 2**64 - 1))
        expect((j, k, m, n), (0.5, 0.1, 1_500_000_000, 105))

    @function
    def invert(self, value: Bool) -> Bool:
        return not value

    @function
    def int8(self, value: Int8) -> Int8:
        return value + 1

    @function
    def uint8(self, value: Uint8) -> Uint8:
        return value + 1

    @function
    def int16(self, value: Int16) -> Int16:
        return value + 1

    @function
    def uint16(self, value: Uint16) -> Uint16:
        return value + 1

    @function
    def int32(self, value: Int32) -> Int32:
        return value + 1

    @function
    def uint32(self, value: Uint32) -> Uint32:
        return value + 1

    @function
    def int64(self, value: Int64) -> Int64:
        return value + 1

    @function
    def uint64(self, value: Uint64) -> Uint64:
        return value + 1

    @function
    def float32(self, value: Float32) -> Float32:
        return value + 1

    @function
    def float64(self, value: Float64) -> Float64:
        return value + 1

    @function
    def later(self, span: Duration) -> Duration:
        return Duration(span + 1_000_000_000)

    @function
    def errno(self, number: Errno) -> Errno:
        return number + 1

    @function
    def color(self, color: Color) -> Color:
        expect(color, Color.RED)
        return Color.BLUE

    @function
    def access(self, access: Access) -> Access:
        expect(access, Access.READ | Access.EXECUTE)
        return Access.READ | Access.WRITE

    @function
    def large(self, large: Large) -> Large:
        expect(large, Large.ABOVE)
        return Large.BELOW

    @function
    def celsius(self, warmth: Celsius) -> Celsius:
        return warmth + 1.5

    @function
    def string(self, text: String) -> Uint32:
        """Return how many characters the text has.

        It is "naïve".
        """
        expect(text, "naïve")
        return len(text)

    @function
    def cstring(self, text: CString) -> Uint32:
        expect(text, "café")
        return len(text)

    @function
    def bytes(self, data: Bytes) -> Uint32:
        """Turn the bytes around."""
        data[:] = bytes(data)[::-1]
        return len(data)

    @function
    def array(self, values: Array[Uint32]) -> Uint64:
        """Add up, and double each in place."""
        total = sum(values)
        for index, value in enumerate(values):
            values[index] = value * 2
        return total

    @function
    def points(self, points: List[Point]) -> Float64:
        total = 0.0
        for pointer in points.pointers():
            point = pointer.load()
            total += point.x + point.y
            pointer.store(Point(point.y, point.x))
        return total

    @function
    def names(self, names: List[String]) -> Uint32:
        expect(list(names), ["one", "", "three"])
        return sum(map(len, names))

    @function
    def pointer(self, value: Pointer[Uint64]) -> None:
        value.store(value.load() * 2)

    @function
    def nullable(self, point: Pointer[Point] | None) -> Bool:
        if point is None:
            return False
        point.store(Point(1.5, 2.5))
        return True

    @function
    def sample(self, sample: Pointer[Sample]) -> None:
        """Expect a value in every field, and change most of them."""
        found = sample.load()
        expect((found.flag, found.small, found.wide, found.half), (True, -5, -(2**40), -300))
        expect((found.color, found.access), (Color.GREEN, Access.WRITE | Access.EXECUTE))
        expect((found.large, found.ratio, found.span), (Large.ABOVE, 0.25, 7))
        expect((found.point, found.numbers, found.tag), (Point(1.0, 2.0), [1, 2, 3], b"abcde"))
        expect((found.points, found.type), ([Point(3.0, 4.0), Point(5.0, 6.0)], 9))
        expect((found.error, found.warmth), (28, 36.6))
        expect((found.name, found.label, bytes(found.data)), ("name", "label", b"data"))
        expect((list(found.values), list(found.wider)), ([10, 20], [100_000, 200_000]))
        expect((found.count.load(), found.nothing), (77, None))
        found.count.store(78)
        found.data[:] = b"DATA"
        found.flag, found.small, found.wide, found.half = False, 5, 2**40, 300
        found.color, found.access, found.large = Color.BLUE, Access.READ, Large.BELOW
        found.ratio, found.span, found.point = 0.75, Duration(8), Point(10.0, 20.0)
        found.numbers, found.tag, found.type = [4, 5, 6], b"fghij", 10
        found.points = [Point(30.0, 40.0), Point(50.0, 60.0)]
        found.error, found.warmth = 29, 37.6
        base = Pointer[Uint8](sample.memory, sample.offset)
        layout = Sample.__struct__  # type: ignore[attr-defined]  # @struct adds it
        for field in layout.fields:
            if field.name not in ("name", "label", "data", "values", "wider", "count", "nothing"):
                field.type.store_object(sample.memory, base.offset + field.offset, getattr(found, field.name))

    @function
    def find(self, key: Uint32) -> Optional[Uint32]:
        """Find a key."""
        if key == 0:
            raise KeyError(key)
        return key * 2

    @function
    def attempt(self, number: Int32) -> Error:
        if number:
            raise OSError(number, "as asked")

    @function
    def divide(self, a: Int64, b: Int64) -> tuple[Int64, Int32]:
        """Return the quotient and the remainder."""
        return a // b, a % b

    @function
    def mix(self, index: Uint32) -> Optional[tuple[Float32, Color]]:
        if index > 1:
            raise IndexError(index)
        return 0.5, Color.GREEN

    @function
    def pages(self, caller: Caller, value: Int32) -> Bool:
        return caller.memory.size > 0 and value == -1

    @function
    def reference(self) -> ExternRef:
        return self

    @function
    def dereference(self, reference: ExternRef) -> Bool:
        return reference is self

    @function("return")
    def return_(self, default: Int32, type: Int32) -> Int32:
        return default - type

    @function("find-me")
    def find_me(self) -> Int32:
        return 11
