"""Signatures become plans, and every declaration that cannot work is refused with what to write instead."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Annotated, Any

import pytest

from hostmod.errors import ConversionError, DeclarationError
from hostmod.plan import (
    Plan,
    Slot,
    bad_value,
    caller_frame,
    check_host,
    plain_tuple,
    plan_of,
    signature,
)
from hostmod.types.base import GuestType, resolve
from hostmod.types.buffers import Array, Bytes
from hostmod.types.pointer import List, Pointer
from hostmod.types.references import Caller, ExternRef
from hostmod.types.results import Error, Optional
from hostmod.types.scalar import INT32, Bool, Float32, Float64, Int8, Int32, Int64, Uint32
from hostmod.types.structs import struct
from hostmod.types.text import CString, String

# This file's annotations are strings when they are read. Functions that are no method keep the tests short.


@struct
class Vec:
    x: Float32


def plan(function: Callable[..., Any]) -> Plan:
    return check_host(plan_of(function, "kv", function.__name__, method=False))


# ------------------------------------------------------------------------------------------------------------- reading


def everything(
    flag: Bool,
    small: Int8,
    wide: Int64,
    ratio: Float32,
    name: String,
    data: Bytes,
    items: List[Vec],
    caller: Caller,
    out: Pointer[Vec],
    handle: ExternRef,
    path: CString,
    numbers: Array[Float64],
) -> Optional[tuple[Uint32, Float64]]:
    raise NotImplementedError


def test_a_signature_becomes_slots_with_the_index_of_their_first_core_value() -> None:
    found = plan(everything)
    assert [(slot.name, str(slot.type), slot.index, slot.stop) for slot in found.params] == [
        ("flag", "Bool", 0, 1),
        ("small", "Int8", 1, 2),
        ("wide", "Int64", 2, 3),
        ("ratio", "Float32", 3, 4),
        ("name", "String", 4, 6),
        ("data", "Bytes", 6, 8),
        ("items", "List[Vec]", 8, 10),
        ("caller", "Caller", 10, 10),
        ("out", "Pointer[Vec]", 10, 11),
        ("handle", "ExternRef", 11, 12),
        ("path", "CString", 12, 13),
        ("numbers", "Array[Float64]", 13, 15),
    ]
    assert [(slot.name, str(slot.type), slot.index) for slot in found.results] == [
        ("result[0]", "Uint32", 0),
        ("result[1]", "Float64", 1),
    ]
    assert found.param_types == (
        *("i32", "i32", "i64", "f32", "i32", "i32", "i32", "i32"),
        *("i32", "i32", "i32", "externref", "i32", "i32", "i32"),
    )
    assert found.result_types == ("i32", "f64", "i32")
    assert (found.optional, found.is_tuple, found.errno_index, found.slot_count) == (True, True, 2, 15)
    assert found.where == "kv.everything"


def nothing() -> None: ...


def fails() -> Error: ...


def one() -> Int64:
    return 1


def maybe(key: Uint32) -> Optional[Int64]:
    return key


def pair() -> tuple[Int32, Int32]:
    return 1, 2


@pytest.mark.parametrize(
    ("function", "text", "words"),
    [
        pytest.param(nothing, "() -> ()", 1, id="nothing"),
        pytest.param(fails, "() -> i32", 1, id="an errno"),
        pytest.param(one, "() -> i64", 1, id="one result"),
        pytest.param(maybe, "(i32) -> (i64, i32)", 2, id="a value or an errno"),
        pytest.param(pair, "() -> (i32, i32)", 2, id="two results"),
    ],
)
def test_a_plan_spells_its_core_signature(function: Callable[..., Any], text: str, words: int) -> None:
    found = plan(function)
    assert found.signature == text == signature(found.param_types, found.result_types)
    assert found.slot_count == words


def test_a_plan_is_frozen_equal_by_what_it_holds_and_can_be_a_key() -> None:
    assert plan(maybe) == plan(maybe)
    assert hash(plan(maybe)) == hash(plan(maybe))
    assert plan(maybe) != plan(one)
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan(one).name = "two"  # type: ignore[misc]  # what is refused
    assert Slot("x", resolve(Int32, "test"), 0) == Slot("x", resolve(Int32, "test"), 0)


def test_self_is_no_parameter_of_a_method_whatever_it_is_called() -> None:
    def method(this: object, key: Int32) -> None: ...

    found = plan_of(method, "kv", "m", method=True)
    assert [slot.name for slot in found.params] == ["key"]


def test_a_positional_only_parameter_and_a_default_are_fine() -> None:
    def function(key: Int32, /, value: Int32 = 5) -> None: ...

    assert plan(function).signature == "(i32, i32) -> ()"


def test_annotations_name_what_is_local_to_where_the_class_was_written() -> None:
    import sys

    Key = Annotated[int, resolve(Int64, "test")]

    @struct
    class Local:
        key: Int64

    def function(key: Key, at: Pointer[Local]) -> None: ...  # pyright: ignore[reportInvalidTypeForm]  # Key is made at run time

    found = plan_of(function, "kv", "f", method=False, frame=sys._getframe())
    assert [str(slot.type) for slot in found.params] == ["Int64", "Pointer[Local]"]


def test_a_wrapped_function_is_read_as_what_it_wraps() -> None:
    @functools.wraps(maybe)
    def wrapper(*arguments: Any) -> Any:
        return maybe(*arguments)

    assert plan(wrapper).signature == plan(maybe).signature


# ------------------------------------------------------------------------------------------------------------- refusals

INTS = "write Int32, Uint32, Int64, Uint64 (or Int8, Uint8, Int16, Uint16)"


def bare_int(key: int) -> None: ...
def bare_float(ttl: float) -> None: ...
def bare_str(key: str) -> None: ...
def bare_bytes(data: bytes) -> None: ...
def bare_bool(flag: bool) -> None: ...
def bare_list(items: list[int]) -> None: ...
def bare_result() -> int: ...
def unannotated(key) -> None: ...  # type: ignore[no-untyped-def]  # refused
def no_result(key: Int32): ...  # type: ignore[no-untyped-def]  # what is refused
def variadic(*keys: Int32) -> None: ...
def keywords(**keys: Int32) -> None: ...
def keyword_only(*, key: Int32) -> None: ...
async def asynchronous(key: Int32) -> None: ...


async def asynchronous_generator() -> Any:
    yield 1


def generator() -> Any:
    yield 1


def optional_parameter(key: Optional[Int32]) -> None: ...
def error_parameter(key: Error) -> None: ...
def python_optional(key: Int32 | None) -> None: ...
def string_result() -> String:
    return ""


def optional_string_result() -> Optional[String]:
    return ""


def bytes_result() -> Bytes:
    return memoryview(b"")


def struct_parameter(v: Vec) -> None: ...
def struct_result() -> Vec:
    return Vec(0)


def string_in_tuple() -> tuple[Int32, String]:
    return 0, ""


def caller_result() -> Caller: ...
def unknown_name(key: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # what is refused
def unknown_attribute(key: dataclasses.Missing) -> None: ...  # type: ignore[name-defined]  # refused
def bad_syntax(key: "Int32 +") -> None: ...  # type: ignore[valid-type]  # noqa: F722  # refused
def bad_array(values: Array[String]) -> None: ...
def bare_array(values: Array) -> None: ...  # type: ignore[type-arg]  # what is refused
def pointer_to_int(at: Pointer[int]) -> None: ...


REFUSED = [
    pytest.param(
        bare_int, f"kv.bare_int(key): annotated int, expected a guest type; {INTS}", id="a bare int"
    ),
    pytest.param(
        bare_float,
        "kv.bare_float(ttl): annotated float, expected a guest type; write Float32 or Float64",
        id="a bare float",
    ),
    pytest.param(
        bare_str,
        "kv.bare_str(key): annotated str, expected a guest type; "
        "write String (pointer and length) or CString (NUL-terminated)",
        id="a bare str",
    ),
    pytest.param(
        bare_bytes,
        "kv.bare_bytes(data): annotated bytes, expected a guest type; "
        "write Bytes (a writable memoryview of guest memory)",
        id="bare bytes",
    ),
    pytest.param(
        bare_bool, "kv.bare_bool(flag): annotated bool, expected a guest type; write Bool", id="a bare bool"
    ),
    pytest.param(
        bare_list,
        "kv.bare_list(items): annotated list[int], expected a guest type; "
        "write List[T], or Array[T] for primitive elements",
        id="a list",
    ),
    pytest.param(
        bare_result,
        f"kv.bare_result result: annotated int, expected a guest type; {INTS}",
        id="a bare result",
    ),
    pytest.param(
        unannotated,
        "kv.unannotated(key): no annotation, expected a guest type; write key: Int32, for example",
        id="no annotation",
    ),
    pytest.param(
        no_result,
        "kv.no_result: no result annotation, expected a guest type or None; "
        "write -> None, or -> Error for one that can fail",
        id="no result annotation",
    ),
    pytest.param(
        variadic,
        "kv.variadic(keys): *keys, expected a parameter of its own for each value; a guest's signature is fixed",
        id="*args",
    ),
    pytest.param(
        keywords,
        "kv.keywords(keys): **keys, expected a parameter of its own for each value; a guest's signature is fixed",
        id="**kwargs",
    ),
    pytest.param(
        keyword_only,
        "kv.keyword_only(key): a keyword-only parameter, expected positional parameters; remove the *",
        id="a keyword-only parameter",
    ),
    pytest.param(
        asynchronous,
        "kv.asynchronous: async def, expected a plain def; a guest waits for its host function to return",
        id="async def",
    ),
    pytest.param(
        asynchronous_generator,
        "kv.asynchronous_generator: async def, expected a plain def; a guest waits for its host function to return",
        id="an async generator",
    ),
    pytest.param(
        generator,
        "kv.generator: a generator, expected a function that returns; return a value in place of yield",
        id="a generator",
    ),
    pytest.param(
        optional_parameter,
        "kv.optional_parameter(key): annotated Optional or Error, expected a type that carries a value; "
        "Optional and Error are for results only",
        id="Optional as a parameter",
    ),
    pytest.param(
        error_parameter,
        "kv.error_parameter(key): annotated Optional or Error, expected a type that carries a value; "
        "Optional and Error are for results only",
        id="Error as a parameter",
    ),
    pytest.param(
        python_optional,
        "kv.python_optional(key): annotated Int32 | None, "
        "expected a guest type that has a null; write Pointer[T] | None for a pointer that may be 0; "
        "for a result that may fail, hostmod.types.Optional[T]",
        id="a number or None",
    ),
    pytest.param(
        string_result,
        "kv.string_result result: annotated String, expected a value of its own; "
        "take an out: Bytes parameter, write into it and return the length: the guest owns its memory",
        id="a String as a result",
    ),
    pytest.param(
        optional_string_result,
        "kv.optional_string_result result: annotated String, expected a value of its own; "
        "take an out: Bytes parameter, write into it and return the length: the guest owns its memory",
        id="a String or an errno as a result",
    ),
    pytest.param(
        bytes_result,
        "kv.bytes_result result: annotated Bytes, expected a value of its own; "
        "take an out: Bytes parameter, write into it and return the length: the guest owns its memory",
        id="Bytes as a result",
    ),
    pytest.param(
        string_in_tuple,
        "kv.string_in_tuple result[1]: annotated String, expected a value of its own; "
        "take an out: Bytes parameter, write into it and return the length: the guest owns its memory",
        id="a String in a tuple",
    ),
    pytest.param(
        struct_parameter,
        "kv.struct_parameter(v): annotated Vec, expected a type that has core values; "
        "write Pointer[Vec]; it lives in memory",
        id="a struct by value",
    ),
    pytest.param(
        struct_result,
        "kv.struct_result result: annotated Vec, expected a type that has core values; "
        "write Pointer[Vec]; it lives in memory",
        id="a struct as a result",
    ),
    pytest.param(
        caller_result,
        "kv.caller_result result: annotated Caller, expected a value; a Caller is a parameter only",
        id="a Caller as a result",
    ),
    pytest.param(
        unknown_name,
        "kv.unknown_name: an annotation names 'Missing', expected a name that is defined here; "
        "define or import it above the class",
        id="an unknown name",
    ),
    pytest.param(
        unknown_attribute,
        "kv.unknown_attribute: an annotation that cannot be read: module 'dataclasses' has no attribute 'Missing', "
        "expected guest types",
        id="an unknown attribute",
    ),
    pytest.param(
        bad_array,
        "kv.bad_array: Array[String]: String, expected an integer or float type; write List[String]",
        id="an array of strings",
    ),
    pytest.param(
        bare_array,
        "kv.bare_array(values): annotated Array, expected an element type; write Array[Uint32], for example",
        id="an array of no type",
    ),
    pytest.param(
        pointer_to_int,
        f"kv.pointer_to_int(at): annotated Pointer[int], expected a guest type; {INTS}",
        id="a pointer to a bare int",
    ),
    pytest.param(
        functools.partial(maybe, 1),
        "kv.f: partial, expected a plain function; put @function next to the def",
        id="a partial",
    ),
    pytest.param(
        len,
        "kv.len: builtin_function_or_method, expected a plain function; put @function next to the def",
        id="a builtin",
    ),
]


@pytest.mark.parametrize(("function", "message"), REFUSED)
def test_a_declaration_that_cannot_work_says_where_and_what_to_write(
    function: Callable[..., Any], message: str
) -> None:
    with pytest.raises(DeclarationError) as caught:
        check_host(plan_of(function, "kv", getattr(function, "__name__", "f"), method=False))
    assert str(caught.value) == message


def test_an_annotation_that_is_no_python_is_refused() -> None:
    with pytest.raises(DeclarationError, match=r"^kv\.bad_syntax: an annotation that cannot be read: "):
        plan(bad_syntax)


@pytest.mark.parametrize("make", [lambda: None, lambda *arguments: None], ids=["no parameters", "only *args"])
def test_a_method_without_self_is_refused(make: Callable[..., Any]) -> None:
    with pytest.raises(DeclarationError) as caught:
        plan_of(make, "kv", "get", method=True)
    assert str(caught.value) == "kv.get: no self, expected a method; write def <lambda>(self, ...)"


def test_a_guests_export_can_give_what_a_host_function_cannot() -> None:
    found = plan_of(string_result, "Guest", "name", method=False)
    assert found.signature == "() -> (i32, i32)"


class OfCore(GuestType[Any]):
    """A guest type of the author's, of core types that may be anything."""

    name = "Handle"

    def __init__(self, *core: Any) -> None:
        self.core = core


@pytest.mark.parametrize("core", ["externref", "v128", "i33"])
def test_a_guest_type_of_ones_own_is_made_of_numbers(core: str) -> None:
    def serve(x: Annotated[Any, OfCore("i32", core)]) -> None: ...
    def make() -> Annotated[Any, OfCore("i32", core)]: ...

    expected = (
        f"annotated Handle, of core types ('i32', {core!r}), expected a tuple of 'i32', 'i64', 'f32' and 'f64'; "
        "write ExternRef for an object that the guest holds"
    )
    for function, where in ((serve, "kv.get(x)"), (make, "kv.get result")):
        with pytest.raises(DeclarationError) as caught:
            plan_of(function, "kv", "get", method=False, frame=caller_frame(0))
        assert str(caught.value) == f"{where}: {expected}"


def test_an_annotation_that_raises_is_told_of() -> None:
    def serve(x: "1 / 0") -> None: ...  # type: ignore[valid-type]  # noqa: UP037  # what is refused  # pyright: ignore[reportInvalidTypeForm]

    with pytest.raises(
        DeclarationError,
        match=r"^kv\.get: an annotation that cannot be read: ZeroDivisionError: division by zero, expected guest types",
    ):
        plan_of(serve, "kv", "get", method=False)


def test_names_that_no_guest_can_have_are_refused() -> None:
    def serve() -> None: ...

    with pytest.raises(DeclarationError) as caught:
        plan_of(serve, "kv", "a\ud800", method=False)
    assert str(caught.value) == (
        "kv: 'a\\ud800' (surrogates not allowed), expected the name of a function that UTF-8 can encode"
    )
    with pytest.raises(DeclarationError) as caught:
        plan_of(serve, "k\ud800", "get", method=False)
    assert str(caught.value) == (
        "k\\ud800: 'k\\ud800' (surrogates not allowed), expected a module name that UTF-8 can encode"
    )
    assert plan_of(serve, "kv", "a\0ö", method=False).name == "a\0ö"


def test_what_a_tuple_holds_is_what_counts() -> None:
    class Short(tuple[int, ...]):
        __slots__ = ()

        def __len__(self) -> int:
            return 1

        def __iter__(self) -> Any:
            return iter((7,))

        def __getitem__(self, index: Any) -> Any:
            return (7,)

    assert plain_tuple("kv.get", Short((1, 2)), 2) == (1, 2)
    for value in (Short((1, 2, 3)), [1, 2], "ab", {1: 1, 2: 2}, None):
        with pytest.raises(ConversionError, match=r"^kv.get result: .* expected a tuple of 2 values$"):
            plain_tuple("kv.get", value, 2)


def test_the_parts_of_a_place_do_not_run_together() -> None:
    slot = Slot("vec", INT32, 0)
    result = Slot("result", INT32, 0)
    found = {
        (slot, ".x"): "kv.f(vec).x: 300, expected Uint8",
        (slot, "[2].x"): "kv.f(vec)[2].x: 300, expected Uint8",
        (slot, ""): "kv.f(vec): 300, expected Uint8",
        (slot, "ExternRef"): "kv.f(vec) (ExternRef): 300, expected Uint8",
        (result, "guest memory"): "kv.f result (guest memory): 300, expected Uint8",
    }
    for (place, where), text in found.items():
        assert str(bad_value("kv.f", place, 300, ConversionError(where, "300", "Uint8"))) == text
