"""Random plans: guest types, and values that fit them or do not."""

from __future__ import annotations

import enum
import random
import struct
from collections.abc import Sequence
from typing import Annotated, Any

import numpy
import wasmtime

from hostmod.errors import ErrnoError, SegmentationFault
from hostmod.memory import Memory
from hostmod.plan import Plan, Slot
from hostmod.types import enum as guest_enum
from hostmod.types import struct as guest_struct
from hostmod.types.base import GuestType
from hostmod.types.buffers import BYTES, ArrayType, BytesType
from hostmod.types.enums import EnumType, Unknown
from hostmod.types.pointer import ListType, NullablePointerType, Pointer, PointerType
from hostmod.types.references import CALLER, EXTERNREF
from hostmod.types.scalar import (
    BOOL,
    DURATION,
    ERRNO,
    FLOAT32,
    FLOAT64,
    INT8,
    INT16,
    INT32,
    INT64,
    UINT8,
    UINT16,
    UINT32,
    UINT64,
    Duration,
    FloatType,
    IntegerType,
)
from hostmod.types.structs import FixedArrayType, FixedBytesType, StructType
from hostmod.types.text import CStringType, StringType

PAGE = 65536
MAX_PARAMS = 12
TEXT_ERRORS = ("strict", "replace", "surrogateescape", "ignore", "backslashreplace")
INTEGERS = (INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64)
PRIMITIVES = (*INTEGERS, FLOAT32, FLOAT64)
SCALARS: tuple[GuestType[Any], ...] = (*PRIMITIVES, BOOL, DURATION, ERRNO)

config = wasmtime.Config()
config.cranelift_opt_level = "none"  # the guests are made to be compiled, not to be run
ENGINE = wasmtime.Engine(config)


# ------------------------------------------------------------------------------------------------------ random types


class Celsius(float):
    """What `CelsiusType` makes; equal to its number."""


class CelsiusType(GuestType[float]):
    """A guest type of a user's, with one core value and a place in memory."""

    name, core, size, align = "Celsius", ("f32",), 4, 4

    def load_value(self, memory: Memory, words: Sequence[Any]) -> Celsius:
        return Celsius(words[0])

    def store_value(self, memory: Memory, value: float) -> Sequence[Any]:
        return (value,)

    def load_object(self, memory: Memory, offset: int) -> Celsius:
        return Celsius(memory.unpack(struct.Struct("<f"), offset)[0])

    def store_object(self, memory: Memory, offset: int, value: float) -> None:
        memory.pack(struct.Struct("<f"), offset, float(value))


class SpanType(GuestType[Any]):
    """A guest type of a user's that reads memory, and makes whatever core values its value says."""

    name, core = "Span", ("i32", "i64")

    def load_value(self, memory: Memory, words: Sequence[Any]) -> Any:
        return bytes(memory.view(words[0], min(words[1], 64))), memory.size

    def store_value(self, memory: Memory, value: Any) -> Sequence[Any]:
        return value if isinstance(value, tuple) else (value, value)


class Choices:
    """Random guest types. `random` may be Hypothesis's."""

    def __init__(self, random: random.Random) -> None:
        self.random = random

    def plan(self) -> Plan:
        """Make a plan of a host function."""
        count = self.random.choice((0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 8, 10, MAX_PARAMS))
        params = self._slots("p", [self.parameter() for _ in range(count)])
        number = self.random.choice((0, 0, 1, 1, 1, 1, 2, 3))
        is_tuple = number > 1 or (number == 1 and self.random.random() < 0.2)
        results = self._slots("result", [self.result() for _ in range(number)], is_tuple)
        optional = self.random.random() < 0.5
        return Plan("host", "f", params, results, optional, is_tuple, ERRORS if optional else {})

    def guest_plan(self) -> Plan:
        """Make a plan of a guest's export: most have numbers only, which the native backend does by itself."""
        plain = self.random.random() < 0.6
        kinds: Sequence[GuestType[Any]] = (*PRIMITIVES, BOOL, ERRNO)
        count = self.random.choice((0, 1, 2, 3, 5, 8, MAX_PARAMS))
        number = self.random.choice((0, 1, 1, 2, 3))
        params = [self.random.choice(kinds) if plain else self.parameter(caller=False) for _ in range(count)]
        results = [
            self.random.choice(kinds) if plain else self.parameter(caller=False) for _ in range(number)
        ]
        is_tuple = number > 1 or (number == 1 and self.random.random() < 0.2)
        return Plan(
            "Guest",
            "f",
            self._slots("p", params),
            self._slots("result", results, is_tuple),
            self.random.random() < 0.4,
            is_tuple,
        )

    @staticmethod
    def _slots(name: str, types: Sequence[GuestType[Any]], numbered: bool | None = None) -> tuple[Slot, ...]:
        slots: list[Slot] = []
        index = 0
        for position, type_ in enumerate(types):
            called = f"{name}{position}" if numbered is None else f"{name}[{position}]" if numbered else name
            slots.append(Slot(called, type_, index))
            index += len(type_.core)
        return tuple(slots)

    def parameter(self, caller: bool = True) -> GuestType[Any]:
        """Make the type of a parameter."""
        kind = self.random.randrange(12)
        if kind < 3:
            return self.random.choice(SCALARS)
        if kind == 3:
            return self.text()
        if kind == 4:
            return self.view()
        if kind == 5:
            return self.enumeration()
        if kind < 8:
            make = self.random.choice((PointerType, PointerType, NullablePointerType))
            return make(self.object(2))
        if kind < 10:
            return ListType(self.object(2))
        if kind == 10:
            return self.random.choice((EXTERNREF, CALLER if caller else EXTERNREF))
        return self.random.choice((CelsiusType(), SpanType()))

    def result(self) -> GuestType[Any]:
        """Make the type of a host function's result."""
        kind = self.random.randrange(12)
        if kind < 7:
            return self.random.choice(SCALARS)
        if kind == 7:
            return self.enumeration()
        if kind == 8:
            return EXTERNREF
        if kind == 9:
            return self.random.choice((PointerType, NullablePointerType, ListType))(self.object(1))
        return self.random.choice((CelsiusType(), SpanType()))

    def text(self) -> GuestType[Any]:
        """Make a type of text."""
        return self.random.choice((StringType, CStringType))(self.random.choice(TEXT_ERRORS))

    def view(self) -> GuestType[Any]:
        """Make a type of a view."""
        return BYTES if self.random.random() < 0.5 else ArrayType(self.random.choice(PRIMITIVES))

    def enumeration(self) -> GuestType[Any]:
        """Make an enumeration."""
        base = self.random.choice(INTEGERS)
        unknown: Unknown = "refuse" if self.random.random() < 0.5 else "int"
        if self.random.random() < 0.4:
            flags = {f"F{bit}": 1 << bit for bit in range(self.random.randint(1, 6))}
            made: Any = enum.IntFlag("Flags", flags)  # type: ignore[misc]  # members that mypy cannot read
            return EnumType.of(made, base, "backends", unknown)
        values = {self.random.randint(max(base.low, -3), min(base.high, 9)) for _ in range(4)}
        values |= {self.random.choice((base.low, base.high))} if self.random.random() < 0.3 else set()
        members = {f"M{index}": value for index, value in enumerate(sorted(values))}
        found = enum.IntEnum("Kind", members)  # type: ignore[misc]  # members that mypy cannot read
        return guest_enum(Annotated[int, base], unknown=unknown)(found).__guest_type__((), "backends")  # type: ignore[no-any-return, attr-defined]  # what @enum puts there

    def object(self, depth: int) -> GuestType[Any]:
        """Make a type that has a place in memory."""
        kind = self.random.randrange(10)
        if kind < 4 or depth == 0:
            return self.random.choice(SCALARS)
        if kind == 4:
            return self.enumeration()
        if kind < 8:
            return self.record(depth - 1)
        if kind == 8:
            return self.random.choice((PointerType, NullablePointerType, ListType))(self.object(depth - 1))
        return self.random.choice((self.text(), self.view(), CelsiusType(), FixedBytesType(5)))

    def record(self, depth: int) -> GuestType[Any]:
        """Make a struct."""
        fields: dict[str, Any] = {}
        plain = self.random.random() < 0.6  # so that every field of it is something that C reads
        for index in range(self.random.choice((1, 2, 2, 3, 4, 6))):
            kind = self.random.randrange(8)
            if kind < 4:
                found = self.random.choice(SCALARS)
            elif kind == 4:
                found = self.enumeration()
            elif kind == 5 and depth:
                found = self.record(depth - 1)
            elif plain:
                found = self.random.choice(SCALARS)
            elif kind == 6:
                found = FixedArrayType(
                    self.random.choice(SCALARS), self.random.choice((1, 3, 3, 70))
                )  # 70: more than one generated unpack takes
            else:
                found = self.object(depth)
            fields[f"f{index}"] = Annotated[Any, found]
        return guest_struct(type("Record", (), {"__annotations__": fields})).__struct__  # type: ignore[attr-defined, no-any-return]  # what @struct puts there


ERRORS: dict[type[BaseException], Any] = {
    KeyError: 2,
    LookupError: lambda error: 77,
    ZeroDivisionError: 0,
    AttributeError: lambda error: "no number",
    UnicodeError: lambda error: 1 << 40,
    BufferError: lambda error: 1 // 0,
}


# ----------------------------------------------------------------------------------------------------- random values


class Tag:
    """An object that a guest can hold."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<tag {self.name}>"


TAGS = [Tag(name) for name in "abc"]


class Odd:
    """An int by its `__index__`, or a float by its `__float__`, that is neither."""

    def __init__(self, number: Any) -> None:
        self.number = number

    def __index__(self) -> int:
        return int(self.number)

    def __float__(self) -> float:
        return float(self.number)

    def __repr__(self) -> str:
        return f"Odd({self.number})"


INTEGER_EDGES = sorted(
    {
        sign * (1 << bits) + near
        for bits in (0, 7, 8, 15, 16, 31, 32, 63, 64)
        for sign in (1, -1)
        for near in (-1, 0, 1)
    }
)
FLOAT_EDGES = (
    0.0,
    -0.0,
    1.5,
    float("inf"),
    -float("inf"),
    float("nan"),
    -float("nan"),
    3.4028234663852886e38,
    3.4028235677973366e38,
    1e39,
    5e-324,
    1e-46,
    2.0**53 + 1,
)
WRONG: tuple[Any, ...] = (
    None,
    "text",
    b"bytes",
    1.5,
    True,
    10**400,
    (),
    (1, 2),
    [],
    Odd(3),
    Odd(1 << 70),
    Odd(2.5),
    numpy.int32(-7),
    numpy.uint64(1 << 63),
    numpy.float32(2.5),
    numpy.bool_(True),
    Duration(5),
    TAGS[0],
)


def random_value(type_: Any, rng: random.Random, memory: Memory | None, depth: int = 3) -> Any:
    """Make a value for a guest type: most are valid, at the edges of their range, and some are not."""
    if rng.random() < 0.06:
        return rng.choice(WRONG)
    if isinstance(type_, IntegerType):
        if rng.random() < 0.1:
            return rng.choice(INTEGER_EDGES)
        value: Any = rng.choice((type_.low, type_.high, 0, 1, rng.randint(type_.low, type_.high)))
        kind = rng.random()
        return (
            value
            if kind < 0.9
            else numpy.int64(value)
            if kind < 0.93 and value < 1 << 63
            else Odd(value)
            if kind < 0.97
            else Duration(value)
        )
    if isinstance(type_, FloatType | CelsiusType):
        return rng.choice((*FLOAT_EDGES, rng.uniform(-1e6, 1e6), rng.randint(-9, 9), numpy.float32(0.1)))
    if type_ is BOOL:
        return rng.random() < 0.5
    if isinstance(type_, EnumType):
        return rng.choice((*type_.cls.__members__.values(), *range(2)))
    if isinstance(type_, SpanType):
        return rng.choice(
            (1, (1, 2), (-1, -1), (1 << 32, 0), (1, 2, 3), ("a", 1), (1.0, 1), (numpy.int8(1), 2))
        )
    if type_ is EXTERNREF:
        return rng.choice((None, *TAGS, 5))
    if isinstance(type_, StringType | CStringType):
        return rng.choice(("", "Ada", "Grüße ✓", "a\0b", "\udc80", "x" * rng.randint(0, 80)))
    if isinstance(type_, BytesType):
        size = rng.randint(0, 5) * type_.step
        return rng.choice((bytes(size), bytearray(range(size)), memoryview(bytes(size)), b"odd"))
    if isinstance(type_, PointerType):
        if isinstance(type_, NullablePointerType) and rng.random() < 0.3:
            return None
        if memory is None or rng.random() < 0.2:
            return Pointer.new(Annotated[Any, type_.element])
        return Pointer(memory, rng.choice((0, 16, PAGE - 1, 1 << 32, -1)), type_.element)
    if isinstance(type_, ListType):
        items = [random_value(type_.element, rng, memory, depth - 1) for _ in range(rng.randint(0, 2))]
        if memory is not None and rng.random() < 0.5:
            return Pointer(memory, rng.randint(0, 64), type_.element).slice(rng.randint(0, 3))
        return items
    if isinstance(type_, StructType):
        values = [random_value(field.type, rng, memory, depth - 1) for field in type_.fields]
        return type_.cls(*values)
    if isinstance(type_, FixedArrayType):
        count = type_.length if rng.random() < 0.95 else type_.length + 1
        return [random_value(type_.element, rng, memory, depth - 1) for _ in range(count)]
    if isinstance(type_, FixedBytesType):
        return bytes(rng.randint(0, type_.size + (rng.random() < 0.05)))
    return rng.choice(WRONG)


def raised(rng: random.Random) -> BaseException:
    """Make something for a host function to raise."""
    wrong = OSError("no number")
    wrong.errno = rng.choice((0, True, "text", 1 << 31, -(1 << 31), -1))  # type: ignore[assignment]  # that is the point
    choices: tuple[BaseException, ...] = (
        OSError(5, "bad luck"),
        ErrnoError(28),
        ErrnoError(rng.choice((1 << 40, -5, 7))),
        KeyError("key"),
        IndexError(3),
        ZeroDivisionError(),
        AttributeError("name"),
        UnicodeError("text"),
        BufferError(),
        SegmentationFault(1, 2, 3),
        ValueError("Grüße\nand more", 1),
        RuntimeError("nul \0 inside"),
        KeyboardInterrupt(),
        wrong,
    )
    return rng.choice(choices)
