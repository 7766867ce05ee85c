"""Calling host functions without a guest: arguments of every type, guard bytes, and what is told of misuse."""

from __future__ import annotations

import re

import pytest

import hostmod
from hostmod import PAGE_SIZE, ErrnoError, HostModule, SegmentationFault, function
from hostmod.testing import GUARD, GUARD_LENGTH, GuardError, call
from hostmod.types import (
    Array,
    Bytes,
    Caller,
    CString,
    Error,
    ExternRef,
    Float32,
    Float64,
    Int32,
    List,
    Optional,
    Pointer,
    String,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    struct,
)


@struct
class Pair:
    a: Uint32
    b: Uint16


class Subject(HostModule, name="subject"):
    """What is called below."""

    @function
    def numbers(self, a: Int32, b: Uint64, c: Float64) -> tuple[Int32, Uint64, Float64]:
        return a, b, c

    @function
    def text(self, text: String, name: CString) -> Uint32:
        return len(text) * 100 + len(name)

    @function
    def fill(self, out: Bytes, value: Uint8) -> Uint32:
        out[:] = bytes((value,)) * len(out)
        return len(out)

    @function
    def double(self, values: Array[Uint16]) -> None:
        for at, value in enumerate(values):
            values[at] = value * 2

    @function
    def swap(self, pair: Pointer[Pair]) -> None:
        found = pair.load()
        pair.store(Pair(found.b, found.a))

    @function
    def raise_all(self, pairs: List[Pair], by: Uint32) -> Error:
        for pointer in pairs.pointers():
            found = pointer.load()
            pointer.store(Pair(found.a + by, found.b))

    @function
    def maybe(self, value: Int32) -> Optional[Int32]:
        if value < 0:
            raise ErrnoError(22)
        return value * 2

    @function
    def same(self, thing: ExternRef, caller: Caller) -> ExternRef:
        assert len(caller.memory) > 0
        return thing

    @function
    def optional_pointer(self, at: Pointer[Float32] | None) -> Int32:
        return 0 if at is None else 1

    @function
    def outside(self, at: Pointer[Uint8], distance: Int32) -> None:
        at[distance] = 1

    @function
    def far(self, at: Pointer[Uint64]) -> None:
        at[2**40] = 1

    @function
    def boom(self) -> None:
        raise KeyError("boom")


def test_values_go_in_and_come_out() -> None:
    subject = Subject()
    assert call(subject.numbers, -5, 2**64 - 1, 0.5) == (-5, 2**64 - 1, 0.5)
    assert call(subject.text, "Ada", "é") == 301
    assert call(subject.maybe, 21) == 42
    thing = object()
    assert call(subject.same, thing) is thing
    assert call(subject.optional_pointer, None) == 0
    assert call(subject.optional_pointer, Pointer.new(Float32)) == 1


def test_what_was_written_is_seen_in_what_was_given() -> None:
    subject = Subject()
    room = bytearray(5)
    assert call(subject.fill, room, 7) == 5
    assert room == b"\7" * 5
    values = memoryview(bytearray(b"\1\0\2\0")).cast("H")
    call(subject.double, values)
    assert list(values) == [2, 4]
    pair = Pointer.new(Pair, Pair(1, 2))
    call(subject.swap, pair)
    assert (pair.load().a, pair.load().b) == (2, 1)
    pairs = List.new(Pair, [Pair(1, 2), Pair(3, 4)])
    assert call(subject.raise_all, pairs, 10) is None
    assert [each.a for each in pairs] == [11, 13]


def test_bytes_are_taken_and_stay_as_they_are() -> None:
    given = bytes(4)
    assert call(Subject().fill, given, 9) == 4
    assert given == bytes(4)


def test_many_large_arguments_find_room() -> None:
    room = bytearray(300_000)
    assert call(Subject().fill, room, 3) == 300_000
    assert room == b"\3" * 300_000


def test_an_errno_is_raised_and_another_error_is_itself() -> None:
    with pytest.raises(ErrnoError) as caught:
        call(Subject().maybe, -1)
    assert caught.value.errno == 22
    with pytest.raises(KeyError, match="boom"):
        call(Subject().boom)


@pytest.mark.parametrize(("distance", "says"), [
    (1, "byte 1 after the end of at was written"), (GUARD_LENGTH, f"byte {GUARD_LENGTH} after the end of at"),
    (-1, "byte 1 before the start of at"), (-GUARD_LENGTH, f"byte {GUARD_LENGTH} before the start of at"),
])  # fmt: skip
def test_a_write_outside_of_an_argument_is_found(distance: int, says: str) -> None:
    with pytest.raises(GuardError, match=rf"subject\.outside: {says}") as caught:
        call(Subject().outside, Pointer.new(Uint8), distance)
    assert caught.value.found == 1 != GUARD
    assert abs(caught.value.distance) in (abs(distance), abs(distance) - 1)
    assert isinstance(caught.value, AssertionError)
    call(Subject().outside, Pointer.new(Uint8), 0)


def test_a_write_where_there_is_no_argument_is_found() -> None:
    class Strays(HostModule, name="strays"):
        @function
        def stray(self, caller: Caller, offset: Uint32) -> None:
            caller.memory.write(offset, b"\x01")

    for offset in (0, 1000, PAGE_SIZE - 1):
        message = f"strays.stray: a byte was written (0x01 at offset 0x{offset:x}), expected no writes"
        with pytest.raises(GuardError, match=re.escape(message)):
            call(Strays().stray, offset)


def test_a_write_outside_of_an_argument_is_said_of_a_function_that_raises_too() -> None:
    class Fails(HostModule, name="fails"):
        @function
        def fail(self, at: Pointer[Uint8]) -> None:
            at[1] = 1
            raise ValueError("of its own")

    with pytest.raises(ValueError, match="of its own") as caught:
        call(Fails().fail, Pointer.new(Uint8))
    assert "fails.fail: byte 1 after the end of at was written" in caught.value.__notes__[-1]


def test_a_write_outside_of_memory_faults() -> None:
    with pytest.raises(SegmentationFault):
        call(Subject().far, Pointer.new(Uint64))


def test_functions_of_a_module_are_called_by_their_entry() -> None:
    env = hostmod.module("env")

    @env.function
    def add(a: Int32, b: Int32) -> Int32:
        return a + b

    assert call(env.functions["add"], 2, 3) == 5


def test_misuse_is_said() -> None:
    subject = Subject()
    with pytest.raises(TypeError, match=r"subject\.text\(text, name\) takes 2 arguments, 1 given"):
        call(subject.text, "x")
    with pytest.raises(TypeError, match=r"needs an instance.*call\(Module\(\)\.method"):
        call(Subject.functions["text"], "x", "y")
    for wrong in (len, lambda: 1, subject.link):
        with pytest.raises(
            TypeError, match="expected a method of a HostModule instance that has @function above it"
        ):
            call(wrong)
    with pytest.raises(hostmod.ConversionError):
        call(subject.numbers, "x", 1, 1.0)


def test_an_overridden_method_is_what_is_called() -> None:
    class Other(Subject, name="other"):
        def maybe(self, value: Int32) -> Optional[Int32]:
            return 7

    assert call(Other().maybe, 1) == 7


def test_a_method_of_the_class_says_to_make_an_instance() -> None:
    with pytest.raises(TypeError) as caught:
        call(Subject.text, "a", "b")
    assert str(caught.value) == (
        "testing.call: Subject.text needs an instance, expected a bound method; write call(Subject(...).text, ...)"
    )
