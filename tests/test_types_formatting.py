"""`hostmod.format`: any value on one line."""

from __future__ import annotations

import pytest
from guards import guarded

from hostmod.errors import DeclarationError, SegmentationFault
from hostmod.types.formatting import format
from hostmod.types.pointer import List, Pointer
from hostmod.types.scalar import Bool, Duration, Errno, Float32, Uint8, Uint16
from hostmod.types.structs import struct


@struct
class Point:
    x: Float32
    ok: Bool


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(None, "none", id="nothing"),
        pytest.param(5, "5", id="an int"),
        pytest.param(-0.5, "-0.5", id="a float"),
        pytest.param(True, "true", id="true"),
        pytest.param(False, "false", id="false"),
        pytest.param("Ada\n", '"Ada\\n"', id="text"),
        pytest.param("a" * 100, '"' + "a" * 64 + '... (100 characters)"', id="long text"),
        pytest.param(b"a\xff", 'b"a\\xff"', id="bytes"),
        pytest.param(bytearray(b"a"), 'b"a"', id="a bytearray"),
        pytest.param(memoryview(bytes(64)), 'b"\\x00\\x00... (64 bytes)"', id="a view"),
        pytest.param(Duration(1_500_000_000), "1.5s", id="a duration"),
        pytest.param(Point(1.5, True), "{x: 1.5, ok: true}", id="a struct"),
        pytest.param(Pointer.new(Uint16, 7), "&7", id="a pointer"),
        pytest.param(
            Pointer.new(Point, Point(0.0, False)), "&{x: 0.0, ok: false}", id="a pointer to a struct"
        ),
        pytest.param(List.new(Uint8, [1, 2]), "[1, 2]", id="a list"),
        pytest.param((1, "a", None), '(1, "a", none)', id="a tuple"),
        pytest.param({"a": 1}, "{'a': 1}", id="anything else"),
    ],
)
def test_a_value_is_formatted_by_what_it_is(value: object, text: str) -> None:
    assert format(value) == text


@pytest.mark.parametrize(
    ("value", "annotation", "text"),
    [
        pytest.param(0, Errno, "OK", id="success"),
        pytest.param(3, Float32, "3.0", id="an int as a float"),
        pytest.param(1_000, Duration, "1µs", id="nanoseconds"),
        pytest.param(None, Pointer[Uint8] | None, "null", id="a null pointer"),
        pytest.param([1, 2], List[Uint8], "[1, 2]", id="a sequence as a list"),
    ],
)
def test_a_value_is_formatted_by_the_type_it_is_given(value: object, annotation: object, text: str) -> None:
    assert format(value, annotation) == text


def test_a_type_of_no_guest_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"^format: annotated int, expected a guest type"):
        format(1, int)


def test_a_pointer_to_nowhere_faults_as_it_does_when_it_is_loaded() -> None:
    with pytest.raises(SegmentationFault):
        format(Pointer[Uint16](guarded(2), 100))
