"""Results: one value, several, none, and an errno after them."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from hostmod.errors import DeclarationError
from hostmod.types.base import resolve
from hostmod.types.pointer import Pointer
from hostmod.types.results import Error, Optional, resolve_result
from hostmod.types.scalar import Float64, Int32, Uint8, Uint32
from hostmod.types.text import String, StringType

Maybe: Any = Optional  # to mypy, no alias can be subscripted outside of an annotation


@pytest.mark.parametrize(
    ("annotation", "types", "optional", "is_tuple"),
    [
        pytest.param(None, [], False, False, id="nothing"),
        pytest.param(type(None), [], False, False, id="the type of None"),
        pytest.param(Int32, [Int32], False, False, id="one value"),
        pytest.param(Error, [], True, False, id="an errno alone"),
        pytest.param(Maybe[Uint32], [Uint32], True, False, id="a value or an errno"),
        pytest.param(Maybe[None], [], True, False, id="nothing or an errno"),
        pytest.param(Maybe[Pointer[Uint8]], [Pointer[Uint8]], True, False, id="a pointer or an errno"),
        pytest.param(
            Maybe[Pointer[Uint8] | None],
            [Pointer[Uint8] | None],
            True,
            False,
            id="a pointer, null, or an errno",
        ),
        pytest.param(tuple[Int32, Float64], [Int32, Float64], False, True, id="two values"),
        pytest.param(tuple[Int32], [Int32], False, True, id="a tuple of one"),
        pytest.param(Maybe[tuple[Int32, Uint8]], [Int32, Uint8], True, True, id="two values or an errno"),
        pytest.param(
            Maybe[Annotated[str, StringType("replace")]],
            [Annotated[str, StringType("replace")]],
            True,
            False,
            id="an annotated type or an errno",
        ),
        pytest.param(Annotated[Int32, "a note"], [Int32], False, False, id="metadata of someone else's"),
    ],
)
def test_a_result_is_its_values_and_whether_an_errno_follows(
    annotation: object, types: list[object], optional: bool, is_tuple: bool
) -> None:
    expected = tuple(resolve(each, "test") for each in types)
    assert resolve_result(annotation, "test") == (expected, optional, is_tuple)


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        pytest.param(
            tuple[Int32, ...],
            "kv.f result: annotated tuple[Int32, ...], "
            "expected a fixed number of results; write tuple[Int32, Int32], for example",
            id="any number of results",
        ),
        pytest.param(
            tuple,
            "kv.f result: annotated tuple, expected a guest type; "
            "write @struct for a record; tuple[A, B] works as a result only",
            id="a bare tuple",
        ),
        pytest.param(
            tuple[Int32, int],
            "kv.f result[1]: annotated int, expected a guest type; "
            "write Int32, Uint32, Int64, Uint64 (or Int8, Uint8, Int16, Uint16)",
            id="a bare int in a tuple",
        ),
        pytest.param(
            tuple[Int32, Error],
            "kv.f result[1]: annotated Optional or Error, expected a type that carries a value; "
            "Optional and Error are for results only",
            id="an errno in a tuple",
        ),
        pytest.param(
            Int32 | None,
            "kv.f result: annotated Int32 | None, "
            "expected a guest type that has a null; write Pointer[T] | None for a pointer that may be 0; "
            "for a result that may fail, hostmod.types.Optional[T]",
            id="a value or None",
        ),
    ],
)
def test_a_result_that_cannot_work_is_refused(annotation: Any, message: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        resolve_result(annotation, "kv.f result")
    assert str(caught.value) == message


def test_a_string_has_no_room_as_a_result_but_is_resolved_for_the_exports_of_guests() -> None:
    assert resolve_result(String, "test")[0] == (resolve(String, "test"),)
    assert resolve(String, "test").result
