"""Guest types of one number: integers, floats, booleans, durations and error numbers."""

from __future__ import annotations

import datetime
import operator
import struct
from collections.abc import Sequence
from struct import Struct
from typing import Annotated, Any, SupportsIndex

from hostmod.errors import ConversionError, error_string, show_value
from hostmod.memory import Memory
from hostmod.types.base import CoreType, CoreValue, GuestType, Inline, Layout
from hostmod.types.code import Code, Facts, Packed

OPCODES = {
    "b": "I8",
    "B": "U8",
    "h": "I16",
    "H": "U16",
    "i": "I32",
    "I": "U32",
    "q": "I64",
    "Q": "U64",
    "f": "F32",
    "d": "F64",
}
"""The native backend's operations for numbers, by their `struct` characters."""

WIDENED = {"b": "i", "h": "i", "B": "I", "H": "I"}
"""The `struct` character of the core value that a narrower integer is stored as."""


class ScalarType(GuestType[Any]):
    """A number that takes one core value; `format` is its `struct` character in memory."""

    format: str = "i"
    python: type = int
    _derived = GuestType._derived | {"layout"}

    def __init__(self, name: str, core: CoreType, format: str) -> None:
        self.name = name
        self.core = (core,)
        self.format = format
        self.layout = Layout("<" + format)
        self.size = self.align = self.layout.size

    def load_object(self, memory: Memory, offset: int) -> Any:
        return memory.unpack(self.layout, offset)[0]

    def store_object(self, memory: Memory, offset: int, value: Any) -> None:
        try:
            memory.pack(self.layout, offset, value)
        except (struct.error, OverflowError, TypeError) as error:
            raise self.refuse(value) from error

    def inline(self) -> Inline:
        return Inline(self.format, lambda names: names[0], lambda value: [value])

    def refuse(self, value: object, where: str = "") -> ConversionError:
        """Return the error for a value that does not fit."""
        return ConversionError(
            where, show_value(value, "" if isinstance(value, int | float) else None), self.expected
        )

    @property
    def expected(self) -> str:
        """What fits, in words."""
        return str(self)


class IntegerType(ScalarType):
    """An integer of 8 to 64 bits. Loads keep the low bits; a value out of range is refused, never wrapped."""

    facts = Facts(known=True, memory=False)

    def __init__(self, name: str, core: CoreType, format: str) -> None:
        super().__init__(name, core, format)
        self.bits = 8 * self.size
        self.signed = format.islower()
        self.low = -(1 << (self.bits - 1)) if self.signed else 0
        self.high = (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def expected(self) -> str:
        return f"{self} ({self.low} to {self.high})"

    def packed(self) -> Packed:
        return Packed(OPCODES[self.format])

    def packed_field(self) -> Packed | None:
        return self.packed()

    def write_load(self, code: Code) -> None:
        code.add(f"{code.value} = {code.core(0, self.format)}")

    def write_store(self, code: Code) -> None:
        place, value = code.core(0, WIDENED.get(self.format, self.format)), code.value
        if self.size < 4:
            code.guarded(
                f"narrow = {value} if type({value}) is int else index({value})",
                f"if not {self.low} <= narrow <= {self.high}:",
                "    raise OverflowError",
                f"{place} = narrow",
            )
        else:
            code.guarded(f"{place} = {value}")

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> int:
        value: int = core_values[0] & ((1 << self.bits) - 1)
        return value - (1 << self.bits) if self.signed and value > self.high else value

    def store_value(self, memory: Memory, value: SupportsIndex) -> Sequence[CoreValue]:
        return (self.check(value),)

    def check(self, value: SupportsIndex, where: str = "") -> int:
        """Return the value as an int, or raise ConversionError."""
        try:
            number = operator.index(value)
        except TypeError:
            raise self.refuse(value, where) from None
        if not self.low <= number <= self.high:
            raise self.refuse(value, where)
        return number

    def show(self, value: int) -> str:
        return str(int(value))


_DOUBLE = Struct("<d")


class FloatType(ScalarType):
    """An IEEE 754 binary32 or binary64 number; a finite value too large for binary32 is refused."""

    facts = Facts(known=True, memory=False)
    python = float

    @property
    def expected(self) -> str:
        return f"{self} (a float{' of at most 3.4028234663852886e+38' if self.size == 4 else ''})"

    def packed(self) -> Packed:
        return Packed(OPCODES[self.format])

    def packed_field(self) -> Packed | None:
        return self.packed()

    def write_load(self, code: Code) -> None:
        code.add(f"{code.value} = {code.core(0, self.format)}")

    def write_store(self, code: Code) -> None:
        pack = code.name("pack", self.layout.pack_into)
        code.guarded(f"{pack}({code.slots()}, {code.value})")

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> float:
        return float(core_values[0])

    def store_value(self, memory: Memory, value: float) -> Sequence[CoreValue]:
        try:
            (number,) = _DOUBLE.unpack(
                _DOUBLE.pack(value)
            )  # as struct converts it, and once: it may be code of its own
            self.layout.pack(number)
        except (struct.error, OverflowError, TypeError) as error:
            raise self.refuse(value) from error
        return (number,)

    def show(self, value: float) -> str:
        return repr(float(value))


class BoolType(ScalarType):
    """A truth value: any non-zero core value or byte is true, and true is stored as 1."""

    facts = Facts(known=True, memory=False)
    python = bool

    def __init__(self) -> None:
        super().__init__("Bool", "i32", "?")

    @property
    def expected(self) -> str:
        return "Bool (True or False)"

    def packed(self) -> Packed:
        return Packed("BOOL")

    def packed_field(self) -> Packed | None:
        return self.packed()

    def write_load(self, code: Code) -> None:
        code.add(f"{code.value} = {code.core(0, 'I')} != 0")

    def write_store(self, code: Code) -> None:
        check, value = code.name("check", self.check), code.value
        code.guarded(f"{code.core(0, 'I')} = {value} if {value} is True else {check}({value})")

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> bool:
        return bool(core_values[0] != 0)

    def store_value(self, memory: Memory, value: bool) -> Sequence[CoreValue]:
        return (int(self.check(value)),)

    def store_object(self, memory: Memory, offset: int, value: bool) -> None:
        super().store_object(memory, offset, self.check(value))

    def check(self, value: object, where: str = "") -> bool:
        """Return the value if it is True or False (or numpy's), or raise ConversionError."""
        if value is True or value is False:
            return value
        if type(value).__name__ in ("bool", "bool_") and type(value).__module__ == "numpy":
            return bool(value)
        raise self.refuse(value, where)

    def inline(self) -> Inline:
        return Inline(
            "?", lambda names: names[0], lambda value: [f"check_bool({value})"], {"check_bool": self.check}
        )

    def show(self, value: bool) -> str:
        return "true" if value else "false"


class Duration(int):
    """A span of time in nanoseconds: an int that shows as ``1.5s``.

    >>> Duration(1_500_000_000)
    Duration('1.5s')
    >>> str(Duration.of(datetime.timedelta(milliseconds=250)))
    '250ms'
    """

    __slots__ = ()

    @classmethod
    def of(cls, delta: datetime.timedelta) -> Duration:
        """Make one from a `datetime.timedelta`."""
        return cls(((delta.days * 86400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1000)

    @property
    def timedelta(self) -> datetime.timedelta:
        """The same span as a `datetime.timedelta`, rounded down to microseconds; OverflowError past its range."""
        return datetime.timedelta(microseconds=int(self) // 1000)

    def __str__(self) -> str:
        nanoseconds = abs(int(self))
        sign = "-" if self < 0 else ""
        if nanoseconds < 1_000_000_000:
            for unit, size in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1)):
                if nanoseconds >= size:
                    return f"{sign}{_decimal(nanoseconds, size)}{unit}"
            return "0s"
        minutes, rest = divmod(nanoseconds, 60_000_000_000)
        hours, minutes = divmod(minutes, 60)
        text = f"{hours}h" if hours else ""
        text += f"{minutes}m" if hours or minutes else ""
        return f"{sign}{text}{_decimal(rest, 1_000_000_000)}s"

    def __repr__(self) -> str:
        return f"Duration({str(self)!r})"

    @classmethod
    def __guest_type__(cls, arguments: tuple[object, ...], where: str) -> GuestType[Any]:
        return DURATION


def _decimal(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    digits = f"{part:0{len(str(unit)) - 1}d}".rstrip("0") if unit > 1 else ""
    return f"{whole}.{digits}" if digits else str(whole)


class DurationType(IntegerType):
    """A `Duration`: signed 64-bit nanoseconds."""

    facts = Facts(known=True, memory=False)

    def __init__(self) -> None:
        super().__init__("Duration", "i64", "q")

    def packed(self) -> Packed:
        return Packed("DURATION", extra=Duration)

    def write_load(self, code: Code) -> None:
        code.add(f"{code.value} = {code.name('Duration', Duration)}({code.core(0, 'q')})")

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> Duration:
        return Duration(super().load_value(memory, core_values))

    def load_object(self, memory: Memory, offset: int) -> Duration:
        return Duration(super().load_object(memory, offset))

    def inline(self) -> Inline:
        return Inline(
            "q", lambda names: f"Duration({names[0]})", lambda value: [value], {"Duration": Duration}
        )

    def show(self, value: int) -> str:
        return str(Duration(value))


class ErrnoType(IntegerType):
    """An error number; 0 is success. Source: wazergo's ``Errno``."""

    def __init__(self) -> None:
        super().__init__("Errno", "i32", "i")

    def show(self, value: int) -> str:
        return error_string(value) if value == 0 else f"ERROR: {error_string(value)}"


INT8 = IntegerType("Int8", "i32", "b")
INT16 = IntegerType("Int16", "i32", "h")
INT32 = IntegerType("Int32", "i32", "i")
INT64 = IntegerType("Int64", "i64", "q")
UINT8 = IntegerType("Uint8", "i32", "B")
UINT16 = IntegerType("Uint16", "i32", "H")
UINT32 = IntegerType("Uint32", "i32", "I")
UINT64 = IntegerType("Uint64", "i64", "Q")
FLOAT32 = FloatType("Float32", "f32", "f")
FLOAT64 = FloatType("Float64", "f64", "d")
BOOL = BoolType()
DURATION = DurationType()
ERRNO = ErrnoType()

Int8 = Annotated[int, INT8]
"""A signed 8-bit integer: one i32, 1 byte in memory."""
Int16 = Annotated[int, INT16]
"""A signed 16-bit integer: one i32, 2 bytes in memory."""
Int32 = Annotated[int, INT32]
"""A signed 32-bit integer: one i32, 4 bytes in memory."""
Int64 = Annotated[int, INT64]
"""A signed 64-bit integer: one i64, 8 bytes in memory."""
Uint8 = Annotated[int, UINT8]
"""An unsigned 8-bit integer: one i32, 1 byte in memory."""
Uint16 = Annotated[int, UINT16]
"""An unsigned 16-bit integer: one i32, 2 bytes in memory."""
Uint32 = Annotated[int, UINT32]
"""An unsigned 32-bit integer: one i32, 4 bytes in memory."""
Uint64 = Annotated[int, UINT64]
"""An unsigned 64-bit integer: one i64, 8 bytes in memory."""
Float32 = Annotated[float, FLOAT32]
"""An IEEE 754 binary32 number: one f32, 4 bytes in memory."""
Float64 = Annotated[float, FLOAT64]
"""An IEEE 754 binary64 number: one f64, 8 bytes in memory."""
Bool = Annotated[bool, BOOL]
"""A truth value: one i32, 1 byte in memory."""
Errno = Annotated[int, ERRNO]
"""An error number, 0 for success: one i32, 4 bytes in memory."""
