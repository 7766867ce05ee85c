"""Guest types of one number: ends of ranges, NaN and negative zero, what is refused, and how they are shown."""

from __future__ import annotations

import datetime
import math
import struct
from typing import Any

import numpy
import pytest
from guards import GUARD, START, content, guarded
from hypothesis import given
from hypothesis import strategies as st

from hostmod.errors import ConversionError, SegmentationFault, error_string
from hostmod.memory import Memory
from hostmod.types.base import GuestType, resolve
from hostmod.types.scalar import (
    Bool,
    Duration,
    Errno,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    IntegerType,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
)

NO_MEMORY = Memory()  # touching it is an error: numbers work for guests that have none

INTEGERS: list[Any] = [
    pytest.param(Int8, "i32", 1, -(2**7), 2**7 - 1, id="Int8"),
    pytest.param(Int16, "i32", 2, -(2**15), 2**15 - 1, id="Int16"),
    pytest.param(Int32, "i32", 4, -(2**31), 2**31 - 1, id="Int32"),
    pytest.param(Int64, "i64", 8, -(2**63), 2**63 - 1, id="Int64"),
    pytest.param(Uint8, "i32", 1, 0, 2**8 - 1, id="Uint8"),
    pytest.param(Uint16, "i32", 2, 0, 2**16 - 1, id="Uint16"),
    pytest.param(Uint32, "i32", 4, 0, 2**32 - 1, id="Uint32"),
    pytest.param(Uint64, "i64", 8, 0, 2**64 - 1, id="Uint64"),
    pytest.param(Errno, "i32", 4, -(2**31), 2**31 - 1, id="Errno"),
    pytest.param(Duration, "i64", 8, -(2**63), 2**63 - 1, id="Duration"),
]


def guest(annotation: object) -> GuestType[Any]:
    return resolve(annotation, "test")


def refused(type_: GuestType[Any], value: object) -> str:
    """Check that a value fits neither the stack nor memory, and that memory stays as it was; return the message."""
    with pytest.raises(ConversionError) as on_stack:
        type_.store_value(NO_MEMORY, value)
    memory = guarded(b"\x11" * type_.size)
    with pytest.raises(ConversionError) as in_memory:
        type_.store_object(memory, START, value)
    assert content(memory) == GUARD + b"\x11" * type_.size + GUARD
    assert str(on_stack.value) == str(in_memory.value)
    return str(on_stack.value)


# ------------------------------------------------------------------------------------------------------------ integers


@pytest.mark.parametrize(("annotation", "core", "size", "low", "high"), INTEGERS)
def test_an_integer_takes_one_core_value_and_its_size_in_memory(
    annotation: object, core: str, size: int, low: int, high: int
) -> None:
    found = guest(annotation)
    assert (found.core, found.size, found.align) == ((core,), size, size)
    assert isinstance(found, IntegerType)
    assert (found.low, found.high) == (low, high)


@pytest.mark.parametrize(("annotation", "core", "size", "low", "high"), INTEGERS)
def test_both_ends_of_an_integer_range_cross_and_come_back(
    annotation: object, core: str, size: int, low: int, high: int
) -> None:
    found, bits = guest(annotation), 64 if core == "i64" else 32
    for value in (low, low + 1, 0, 1, high - 1, high):
        (word,) = found.store_value(NO_MEMORY, value)
        assert found.load_value(NO_MEMORY, (word % 2**bits,)) == value
        memory = guarded(size)
        found.store_object(memory, START, value)
        assert content(memory) == GUARD + value.to_bytes(size, "little", signed=low < 0) + GUARD
        assert found.load_object(memory, START) == value


@pytest.mark.parametrize(("annotation", "core", "size", "low", "high"), INTEGERS)
def test_an_integer_out_of_range_is_refused_and_never_wraps(
    annotation: object, core: str, size: int, low: int, high: int
) -> None:
    found = guest(annotation)
    for value in (low - 1, high + 1, high + 2, 2**64, -(2**64), low - 2**64):
        assert refused(found, value) == f"{value}, expected {found} ({low} to {high})"


@pytest.mark.parametrize(("annotation", "core", "size", "low", "high"), INTEGERS)
def test_what_is_no_integer_is_refused(annotation: object, core: str, size: int, low: int, high: int) -> None:
    found = guest(annotation)
    assert refused(found, 1.0) == f"1.0, expected {found} ({low} to {high})"
    assert refused(found, "1") == f"'1' (str), expected {found} ({low} to {high})"
    assert refused(found, None) == f"None (NoneType), expected {found} ({low} to {high})"


def test_an_integer_too_long_to_be_shown_is_refused_by_its_length() -> None:
    assert refused(guest(Int32), 10**6000) == (
        "an int of 19932 bits, expected Int32 (-2147483648 to 2147483647)"
    )


@pytest.mark.parametrize(
    "value", [True, numpy.int8(7), numpy.uint64(7)], ids=lambda value: type(value).__name__
)
def test_whatever_has_an_index_is_an_integer(value: object) -> None:
    memory = guarded(2)
    assert guest(Uint16).store_value(NO_MEMORY, value) == (int(value),)  # type: ignore[call-overload]  # has __index__
    guest(Uint16).store_object(memory, START, value)
    assert content(memory) == GUARD + bytes([int(value), 0]) + GUARD  # type: ignore[call-overload]  # has __index__


@pytest.mark.parametrize(
    ("annotation", "word", "value"),
    [
        pytest.param(Int8, 0x1FF, -1, id="nine bits as Int8"),
        pytest.param(Int8, 0xFFFFFF80, -128, id="a sign-extended Int8"),
        pytest.param(Uint8, 0xFFFFFFFF, 255, id="all bits as Uint8"),
        pytest.param(Int16, 0x18000, -32768, id="seventeen bits as Int16"),
        pytest.param(Uint16, 0x10000, 0, id="no low bits as Uint16"),
        pytest.param(Int32, 0xFFFFFFFF, -1, id="all bits as Int32"),
        pytest.param(Uint32, 0xFFFFFFFF, 2**32 - 1, id="all bits as Uint32"),
        pytest.param(Int64, 2**63, -(2**63), id="the sign bit as Int64"),
        pytest.param(Uint64, 2**64 - 1, 2**64 - 1, id="all bits as Uint64"),
    ],
)
def test_a_load_keeps_the_low_bits(annotation: object, word: int, value: int) -> None:
    assert guest(annotation).load_value(NO_MEMORY, (word,)) == value


@given(word=st.integers(0, 2**32 - 1), size=st.sampled_from([1, 2, 4]), signed=st.booleans())
def test_a_load_from_the_stack_equals_one_of_its_low_bytes_from_memory(
    word: int, size: int, signed: bool
) -> None:
    found = guest({1: (Uint8, Int8), 2: (Uint16, Int16), 4: (Uint32, Int32)}[size][signed])
    memory = guarded(word.to_bytes(4, "little"))
    assert found.load_value(NO_MEMORY, (word,)) == found.load_object(memory, START)


@given(value=st.integers() | st.integers(-(2**64), 2**64), kind=st.sampled_from(INTEGERS))
def test_any_int_crosses_unchanged_or_is_refused(value: int, kind: Any) -> None:
    annotation, core, _, low, high = kind.values
    found = guest(annotation)
    if low <= value <= high:
        (word,) = found.store_value(NO_MEMORY, value)
        assert found.load_value(NO_MEMORY, (word % 2 ** (64 if core == "i64" else 32),)) == value
    else:
        with pytest.raises(ConversionError):
            found.store_value(NO_MEMORY, value)


@pytest.mark.parametrize(
    "annotation",
    [Int8, Uint16, Int32, Uint64, Float32, Float64, Bool, Duration, Errno],
    ids=lambda a: str(guest(a)),
)
def test_a_number_outside_the_memory_faults(annotation: object) -> None:
    found = guest(annotation)
    memory = guarded(b"\x11" * 8)
    end = len(memory)
    for offset in (end - found.size + 1, end, -1, -found.size, 2**32 - found.size, 2**32 - 1, 2**32):
        for access in (
            lambda offset: found.load_object(memory, offset),
            lambda offset: found.store_object(memory, offset, found.load_value(NO_MEMORY, (1,))),
        ):
            with pytest.raises(SegmentationFault) as caught:
                access(offset)
            assert (caught.value.offset, caught.value.length, caught.value.size) == (offset, found.size, end)
    assert content(memory) == GUARD + b"\x11" * 8 + GUARD


# -------------------------------------------------------------------------------------------------------------- floats


@pytest.mark.parametrize(
    ("annotation", "core", "size"),
    [pytest.param(Float32, "f32", 4, id="Float32"), pytest.param(Float64, "f64", 8, id="Float64")],
)
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(0.0, id="zero"),
        pytest.param(-0.0, id="negative zero"),
        pytest.param(1.5, id="one and a half"),
        pytest.param(math.inf, id="infinity"),
        pytest.param(-math.inf, id="negative infinity"),
        pytest.param(2.0**-149, id="the least binary32"),
        pytest.param(3.4028234663852886e38, id="the greatest binary32"),
    ],
)
def test_a_float_crosses_with_its_sign(annotation: object, core: str, size: int, value: float) -> None:
    found = guest(annotation)
    assert (found.core, found.size, found.align) == ((core,), size, size)
    memory = guarded(size)
    found.store_object(memory, START, value)
    assert content(memory) == GUARD + struct.pack("<f" if size == 4 else "<d", value) + GUARD
    for other in (
        found.load_object(memory, START),
        found.load_value(NO_MEMORY, found.store_value(NO_MEMORY, value)),
    ):
        assert other == value
        assert math.copysign(1, other) == math.copysign(1, value)


@pytest.mark.parametrize("annotation", [Float32, Float64])
def test_nan_crosses_as_nan(annotation: object) -> None:
    found = guest(annotation)
    memory = guarded(found.size)
    found.store_object(memory, START, math.nan)
    assert math.isnan(found.load_object(memory, START))
    assert math.isnan(found.load_value(NO_MEMORY, found.store_value(NO_MEMORY, math.nan)))
    assert content(memory)[: len(GUARD)] == content(memory)[-len(GUARD) :] == GUARD


@pytest.mark.parametrize("value", [3.4028235677973366e38, 1e39, -1e39, 1.7976931348623157e308])
def test_a_finite_value_too_large_for_binary32_is_refused(value: float) -> None:
    assert refused(guest(Float32), value) == (
        f"{value}, expected Float32 (a float of at most 3.4028234663852886e+38)"
    )
    guest(Float64).store_value(NO_MEMORY, value)


def test_an_int_is_a_float_unless_it_is_too_large() -> None:
    memory = guarded(8)
    guest(Float64).store_object(memory, START, 3)
    assert content(memory) == GUARD + struct.pack("<d", 3.0) + GUARD
    assert guest(Float32).store_value(NO_MEMORY, 3) == (3.0,)
    assert refused(guest(Float64), 10**400).endswith("expected Float64 (a float)")
    assert refused(guest(Float64), "3") == "'3' (str), expected Float64 (a float)"
    assert refused(guest(Float32), None) == (
        "None (NoneType), expected Float32 (a float of at most 3.4028234663852886e+38)"
    )


@given(st.floats())
def test_any_float_crosses_as_float64_bit_for_bit(value: float) -> None:
    memory = guarded(8)
    guest(Float64).store_object(memory, START, value)
    loaded = guest(Float64).load_object(memory, START)
    assert struct.pack("<d", loaded) == struct.pack("<d", value)


@given(st.floats(width=32))
def test_any_binary32_crosses_as_float32(value: float) -> None:
    memory = guarded(4)
    guest(Float32).store_object(memory, START, value)
    loaded = guest(Float32).load_object(memory, START)
    assert loaded == value or (math.isnan(loaded) and math.isnan(value))


# ------------------------------------------------------------------------------------------------- truth, time, errno


@pytest.mark.parametrize("word", [1, 2, 255, 256, 2**31, 2**32 - 1])
def test_any_word_but_zero_is_true(word: int) -> None:
    assert guest(Bool).load_value(NO_MEMORY, (word,)) is True
    assert guest(Bool).load_value(NO_MEMORY, (0,)) is False


@pytest.mark.parametrize("byte", [1, 2, 128, 255])
def test_any_byte_but_zero_is_true(byte: int) -> None:
    assert guest(Bool).load_object(guarded(bytes([byte])), START) is True
    assert guest(Bool).load_object(guarded(b"\0"), START) is False


@pytest.mark.parametrize(
    ("value", "byte"), [(True, 1), (False, 0), (numpy.bool_(True), 1), (numpy.bool_(False), 0)]
)
def test_a_truth_value_is_one_byte_in_memory_and_an_i32_on_the_stack(value: bool, byte: int) -> None:
    found, memory = guest(Bool), guarded(b"\x11")
    found.store_object(memory, START, value)
    assert content(memory) == GUARD + bytes([byte]) + GUARD
    assert found.store_value(NO_MEMORY, value) == (byte,)
    assert (found.core, found.size, found.align) == (("i32",), 1, 1)


@pytest.mark.parametrize("value", [0, 1, "yes", None, []], ids=repr)
def test_what_is_neither_true_nor_false_is_refused(value: object) -> None:
    assert refused(guest(Bool), value).endswith("expected Bool (True or False)")


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (999, "999ns"),
        (1_000, "1µs"),
        (1_500, "1.5µs"),
        (1_000_000, "1ms"),
        (250_000_000, "250ms"),
        (999_999_999, "999.999999ms"),
        (1_000_000_000, "1s"),
        (1_500_000_000, "1.5s"),
        (59_999_999_999, "59.999999999s"),
        (60_000_000_000, "1m0s"),
        (3_600_000_000_000, "1h0m0s"),
        (3_661_000_000_001, "1h1m1.000000001s"),
        (-1_500_000_000, "-1.5s"),
        (2**63 - 1, "2562047h47m16.854775807s"),
        (-(2**63), "-2562047h47m16.854775808s"),
    ],
)
def test_a_duration_shows_as_go_shows_it(nanoseconds: int, text: str) -> None:
    assert str(Duration(nanoseconds)) == text
    assert repr(Duration(nanoseconds)) == f"Duration('{text}')"
    assert guest(Duration).show(nanoseconds) == text


def test_a_duration_loads_as_a_duration() -> None:
    found = guest(Duration)
    memory = guarded((-5).to_bytes(8, "little", signed=True))
    for value in (found.load_object(memory, START), found.load_value(NO_MEMORY, (2**64 - 5,))):
        assert type(value) is Duration
        assert value == -5


@given(st.timedeltas(datetime.timedelta(days=-100000), datetime.timedelta(days=100000)))
def test_a_timedelta_comes_back_from_a_duration(delta: datetime.timedelta) -> None:
    assert Duration.of(delta).timedelta == delta


def test_a_duration_rounds_down_to_microseconds_as_a_timedelta() -> None:
    assert Duration(1_999).timedelta == datetime.timedelta(microseconds=1)
    assert Duration(-1).timedelta == datetime.timedelta(microseconds=-1)


@pytest.mark.parametrize(
    ("annotation", "value", "text"),
    [
        pytest.param(Int8, -128, "-128", id="an integer"),
        pytest.param(Uint64, 2**64 - 1, "18446744073709551615", id="the greatest integer"),
        pytest.param(Int32, True, "1", id="a truth value as an integer"),
        pytest.param(Float32, 1.5, "1.5", id="a float"),
        pytest.param(Float64, -0.0, "-0.0", id="negative zero"),
        pytest.param(Float64, math.nan, "nan", id="not a number"),
        pytest.param(Float64, 3, "3.0", id="an int as a float"),
        pytest.param(Bool, True, "true", id="true"),
        pytest.param(Bool, False, "false", id="false"),
        pytest.param(Errno, 0, "OK", id="success"),
        pytest.param(Errno, 2, f"ERROR: {error_string(2)}", id="an errno"),
        pytest.param(Errno, 99999, "ERROR: errno 99999", id="an unknown errno"),
    ],
)
def test_a_number_is_shown_as_what_it_is(annotation: object, value: object, text: str) -> None:
    assert guest(annotation).show(value) == text


def test_number_types_are_equal_by_what_they_are() -> None:
    assert guest(Int8) == guest(Int8)
    assert hash(guest(Int8)) == hash(guest(Int8))
    assert len({guest(each.values[0]) for each in INTEGERS}) == len(INTEGERS)
    assert guest(Float32) != guest(Float64)
    assert guest(Errno) != guest(Int32)
    assert repr(guest(Uint8)) == "<guest type Uint8>"


def test_a_float_is_converted_once() -> None:
    class Counted:
        asked = 0

        def __float__(self) -> float:
            self.asked += 1
            return 1.5 if self.asked == 1 else 1e300

    for guest_type in (resolve(Float32, "test"), resolve(Float64, "test")):
        value = Counted()
        assert tuple(guest_type.store_value(NO_MEMORY, value)) == (1.5,)
        assert value.asked == 1
