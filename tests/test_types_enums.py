"""Enumerations as guest types: members, flags, and numbers that are neither."""

from __future__ import annotations

import enum as _enum
from typing import Annotated, Any

import pytest
from guards import GUARD, START, content, guarded

from hostmod.errors import ConversionError, DeclarationError, SegmentationFault
from hostmod.memory import Memory
from hostmod.types.base import resolve
from hostmod.types.enums import MAX_COMBINATIONS, EnumType, enum
from hostmod.types.pointer import Pointer
from hostmod.types.scalar import UINT32, Float32, Int8, Int64, Uint8, Uint16, Uint32
from hostmod.types.structs import struct

NO_MEMORY = Memory()


class Color(_enum.IntEnum):
    RED = 1
    GREEN = 2
    CRIMSON = 1


class Access(_enum.IntFlag):
    READ = 1
    WRITE = 2
    EXECUTE = 8


@enum(Uint16)
class Level(_enum.IntEnum):
    LOW = 0
    HIGH = 65535


@enum(Uint8, unknown="int")
class Kind(_enum.IntEnum):
    FILE = 4


@enum(Uint32, unknown="int")
class Mask(_enum.IntFlag):
    ONE = 1


class Sign(_enum.IntEnum):
    MINUS = -1
    PLUS = 1


COLOR = resolve(Annotated[Color, Uint8], "test")
ACCESS = resolve(Annotated[Access, Uint16], "test")
LEVEL = resolve(Level, "test")
KIND = resolve(Kind, "test")
MASK = resolve(Mask, "test")
SIGN = resolve(Annotated[Sign, Int8], "test")


@pytest.mark.parametrize(
    ("type_", "member", "word", "data"),
    [
        pytest.param(COLOR, Color.GREEN, 2, b"\2", id="a member"),
        pytest.param(COLOR, Color.CRIMSON, 1, b"\1", id="an alias"),
        pytest.param(LEVEL, Level.LOW, 0, b"\0\0", id="the least member"),
        pytest.param(LEVEL, Level.HIGH, 65535, b"\xff\xff", id="the greatest member"),
        pytest.param(SIGN, Sign.MINUS, -1, b"\xff", id="a negative member"),
        pytest.param(ACCESS, Access.WRITE, 2, b"\2\0", id="a flag"),
        pytest.param(ACCESS, Access.READ | Access.EXECUTE, 9, b"\x09\0", id="two flags"),
        pytest.param(ACCESS, Access(0), 0, b"\0\0", id="no flag"),
    ],
)
def test_a_member_crosses_as_its_number(type_: EnumType, member: Any, word: int, data: bytes) -> None:
    memory = guarded(len(data))
    type_.store_object(memory, START, member)
    assert content(memory) == GUARD + data + GUARD
    assert type_.store_value(NO_MEMORY, member) == (word,)
    for loaded in (type_.load_object(memory, START), type_.load_value(NO_MEMORY, (word % 2**32,))):
        assert loaded == member
        assert type(loaded) is type(member)


def test_an_enum_has_the_core_type_and_size_of_its_guest_type() -> None:
    assert (LEVEL.core, LEVEL.size, LEVEL.align) == (("i32",), 2, 2)
    wide = resolve(Annotated[Color, Int64], "test")
    assert (wide.core, wide.size, wide.align) == (("i64",), 8, 8)
    assert str(wide) == "Color"
    assert wide != COLOR
    assert resolve(Annotated[Color, Uint8], "test") == COLOR


@pytest.mark.parametrize(
    ("type_", "number", "message"),
    [
        pytest.param(
            COLOR,
            3,
            '3, expected a Color (RED=1, GREEN=2); write @enum(Uint8, unknown="int") to accept any number',
            id="a number of no member",
        ),
        pytest.param(
            ACCESS,
            4,
            "4, expected a Access (READ=1, WRITE=2, EXECUTE=8); "
            'write @enum(Uint16, unknown="int") to accept any number',
            id="a bit of no flag",
        ),
        pytest.param(
            ACCESS,
            5,
            "5, expected a Access (READ=1, WRITE=2, EXECUTE=8); "
            'write @enum(Uint16, unknown="int") to accept any number',
            id="a known and an unknown bit",
        ),
        pytest.param(
            LEVEL,
            1,
            '1, expected a Level (LOW=0, HIGH=65535); write @enum(Uint16, unknown="int") to accept any number',
            id="a number between members",
        ),
    ],
)
def test_an_unknown_number_is_refused_with_the_choices(type_: EnumType, number: int, message: str) -> None:
    memory = guarded(number.to_bytes(type_.size, "little"))
    with pytest.raises(ConversionError) as on_stack:
        type_.load_value(NO_MEMORY, (number,))
    with pytest.raises(ConversionError) as in_memory:
        type_.load_object(memory, START)
    assert str(on_stack.value) == str(in_memory.value) == message


@pytest.mark.parametrize(("type_", "number"), [(KIND, 200), (MASK, 6), (MASK, 2**32 - 1)])
def test_an_unknown_number_is_a_plain_int_where_that_is_asked_for(type_: EnumType, number: int) -> None:
    loaded = type_.load_value(NO_MEMORY, (number,))
    assert loaded == number
    assert type(loaded) is int
    assert type_.store_value(NO_MEMORY, number) == (number,)


def test_known_numbers_are_members_even_where_any_number_is_accepted() -> None:
    assert type(KIND.load_value(NO_MEMORY, (4,))) is Kind
    assert type(MASK.load_value(NO_MEMORY, (1,))) is Mask


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        pytest.param(COLOR, 1, id="a plain int"),
        pytest.param(COLOR, "RED", id="a name"),
        pytest.param(COLOR, Access.READ, id="a member of another enum"),
        pytest.param(KIND, 256, id="an int that does not fit"),
        pytest.param(KIND, -1, id="a negative int"),
        pytest.param(KIND, 1.0, id="a float"),
    ],
)
def test_what_is_no_member_is_refused_and_nothing_is_stored(type_: EnumType, value: object) -> None:
    memory = guarded(b"\x11")
    with pytest.raises(ConversionError):
        type_.store_value(NO_MEMORY, value)
    with pytest.raises(ConversionError):
        type_.store_object(memory, START, value)
    assert content(memory) == GUARD + b"\x11" + GUARD


def test_the_refusal_of_a_value_shows_it_with_the_choices() -> None:
    with pytest.raises(ConversionError) as caught:
        LEVEL.store_value(NO_MEMORY, "LOW")
    assert str(caught.value) == "'LOW' (str), expected a Level (LOW=0, HIGH=65535)"


def test_an_enum_outside_the_memory_faults() -> None:
    memory = guarded(2)
    for offset in (9, 10, -1, 2**32 - 1):
        with pytest.raises(SegmentationFault):
            LEVEL.load_object(memory, offset)
        with pytest.raises(SegmentationFault):
            LEVEL.store_object(memory, offset, Level.HIGH)
    assert content(memory) == GUARD + bytes(2) + GUARD


@struct
class Entry:
    level: Level
    access: Annotated[Access, Uint8]


def test_enums_are_fields_of_structs() -> None:
    pointer = Pointer.new(Entry, Entry(Level.HIGH, Access.READ | Access.WRITE))
    assert pointer.load() == Entry(Level.HIGH, Access.READ | Access.WRITE)
    assert isinstance(pointer.load().access, Access)
    assert pointer.memory.read(pointer.offset, 4) == b"\xff\xff\x03\0"


@pytest.mark.parametrize(
    ("type_", "value", "text"),
    [
        pytest.param(COLOR, Color.RED, "RED", id="a member by its name"),
        pytest.param(ACCESS, Access.WRITE, "WRITE", id="a flag by its name"),
        pytest.param(ACCESS, Access.READ | Access.WRITE, "READ|WRITE", id="two flags by their names"),
        pytest.param(KIND, 200, "200", id="an unknown number"),
        pytest.param(MASK, 0x1F0, "0x1f0", id="unknown bits"),
        pytest.param(MASK, 0, "0", id="no bits"),
    ],
)
def test_an_enum_is_shown_by_name(type_: EnumType, value: Any, text: str) -> None:
    assert type_.show(value) == text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            lambda: resolve(Color, "kv.paint(color)"),
            "kv.paint(color): annotated Color, expected an enum with an integer guest type; "
            "write Annotated[Color, Uint8], or decorate Color with @enum(Uint8)",
            id="an enum with no guest type",
        ),
        pytest.param(
            lambda: resolve(_enum.Enum("Plain", "A"), "kv.f(x)"),
            "kv.f(x): annotated Plain, expected an IntEnum or IntFlag; "
            "only integer enums have a form in guest memory",
            id="an enum that is not of ints",
        ),
        pytest.param(
            lambda: resolve(Annotated[Color, Float32], "kv.f(x)"),
            "kv.f(x): Color as Float32, expected an integer guest type; write Uint8, for example",
            id="an enum as a float",
        ),
        pytest.param(
            lambda: resolve(Annotated[Level, Uint8], "kv.f(x)"),
            "kv.f(x): Level.HIGH = 65535, expected Uint8 (0 to 255); choose a wider guest type",
            id="a member that does not fit",
        ),
        pytest.param(
            lambda: resolve(Annotated[Sign, Uint8], "kv.f(x)"),
            "kv.f(x): Sign.MINUS = -1, expected Uint8 (0 to 255); choose a wider guest type",
            id="a negative member of an unsigned type",
        ),
        pytest.param(
            lambda: enum(Uint8)(int),  # type: ignore[type-var]  # what is refused
            "@enum: annotated int, expected an IntEnum or IntFlag class",
            id="a class that is no enum",
        ),
        pytest.param(
            lambda: enum(int)(Color),
            "@enum of Color: annotated int, expected a guest type; "
            "write Int32, Uint32, Int64, Uint64 (or Int8, Uint8, Int16, Uint16)",
            id="a bare int",
        ),
    ],
)
def test_an_enum_that_cannot_work_is_refused_where_it_is_declared(make: Any, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        make()
    assert str(caught.value) == message


def test_combinations_of_flags_are_kept_up_to_a_number_however_many_a_guest_asks_for() -> None:
    made: Any = _enum.IntFlag
    flags: Any = made("flags", {f"B{bit}": 1 << bit for bit in range(16)})
    mine = flags.B0 | flags.B15
    found = EnumType.of(flags, UINT32, "test")
    for number in range(1 << 16):
        assert found.member(number) == number
    assert len(found.members) == MAX_COMBINATIONS
    assert len(flags._value2member_map_) <= MAX_COMBINATIONS + 2
    assert found.member(0xFFFE).name == "|".join(f"B{bit}" for bit in range(1, 16))
    assert found.member(0x8001) is mine  # what the host made itself is left where it was
    assert flags(0x8001) is mine
