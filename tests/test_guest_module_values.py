"""Values in both directions through `GuestModule`: Out, InOut, Owned, Json, and the ways in which results come."""

from __future__ import annotations

import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypedDict

import pytest

import hostmod
from hostmod import (
    ConversionError,
    DeclarationError,
    ErrnoError,
    GuestModule,
    InvalidStringError,
    LinkError,
    export,
)
from hostmod.types import (
    Array,
    Bytes,
    Error,
    Float64,
    InOut,
    Int32,
    Json,
    List,
    Optional,
    Out,
    Owned,
    Pointer,
    String,
    Uint8,
    Uint32,
    Uint64,
    struct,
)

# An allocator that counts: `live` is how many blocks are allocated and not freed yet.
ALLOCATOR = """
  (memory (export "memory") 2) (global $next (mut i32) (i32.const 1024)) (global $live (mut i32) (i32.const 0))
  (func $malloc (export "malloc") (param $size i32) (result i32)
    (global.set $live (i32.add (global.get $live) (i32.const 1)))
    (global.get $next)
    (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get $size)) (i32.const 15)) (i32.const -8))))
  (func (export "free") (param i32) (global.set $live (i32.sub (global.get $live) (i32.const 1))))
  (func (export "live") (result i32) (global.get $live))
  (func $copy (param $at i32) (param $size i32) (result i32) (local $new i32)
    (local.set $new (call $malloc (local.get $size)))
    (memory.copy (local.get $new) (local.get $at) (local.get $size))
    (local.get $new))
"""
GUEST = f"""(module {ALLOCATOR}
  (func (export "multi") (param i32 i32) (result i32 i32)
    (call $copy (local.get 0) (local.get 1)) (local.get 1))
  (func (export "packed") (param i32 i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (call $copy (local.get 0) (local.get 1))) (i64.const 32))
            (i64.extend_i32_u (local.get 1))))
  (func (export "low") (param i32 i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get 1)) (i64.const 32))
            (i64.extend_i32_u (call $copy (local.get 0) (local.get 1)))))
  (func (export "pointers") (param i32 i32 i32 i32) (result i32)
    (if (i32.eqz (local.get 1)) (then (return (i32.const 44))))
    (i32.store (local.get 2) (call $copy (local.get 0) (local.get 1)))
    (i32.store (local.get 3) (local.get 1))
    (i32.const 0))
  (func (export "divide") (param i32 i32 i32 i32)
    (i32.store8 (local.get 2) (i32.div_u (local.get 0) (local.get 1)))
    (i64.store (local.get 3) (i64.extend_i32_u (i32.rem_u (local.get 0) (local.get 1)))))
  (func (export "echo") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1))
  (func (export "hidden") (param i32 i32 i32) (i32.store (local.get 0) (i32.const 7)))
  (func (export "stat") (param i32 i32 i32) (result i32)
    (i32.store (local.get 2) (local.get 1))
    (i32.store offset=4 (local.get 2) (i32.add (i32.load offset=4 (local.get 2)) (i32.const 1)))
    (i32.mul (i32.eqz (local.get 1)) (i32.const 2)))
  (func (export "scale") (param $at i32) (param $n i32)
    (loop $again (if (local.get $n) (then
      (f64.store (local.get $at) (f64.mul (f64.load (local.get $at)) (f64.const 2)))
      (local.set $at (i32.add (local.get $at) (i32.const 8)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br $again)))))
  (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 65) (local.get 1)))
  (func (export "peek") (param i32 i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "bad") (result i32 i32)
    (i32.store8 (i32.const 16) (i32.const 255)) (call $copy (i32.const 16) (i32.const 1)) (i32.const 1))
  (func (export "trap") (param i32 i32) (unreachable)))"""


@struct
class Stat:
    size: Uint32
    calls: Uint32


class Plugin(GuestModule):
    @export
    def multi(self, text: String) -> Owned[String]: ...

    @export("multi")
    def bytes(self, data: Bytes) -> Owned[Bytes]: ...

    @export("multi")
    def numbers(self, values: List[Uint8]) -> Owned[List[Uint8]]: ...

    @export("echo")
    def leaked(self, data: Bytes) -> Bytes: ...

    @export(results="packed")
    def packed(self, text: String) -> Owned[String]: ...

    @export(results="packed-low")
    def low(self, text: String) -> Owned[String]: ...

    @export(results="pointers")
    def pointers(self, text: String) -> Optional[Owned[String]]: ...

    @export(results="pointers")
    def divide(self, a: Uint32, b: Uint32) -> tuple[Uint8, Uint64]: ...

    @export
    def echo(self, data: Bytes) -> Owned[Bytes]: ...

    @export
    def stat(self, path: String, out: Pointer[Stat]) -> Error: ...

    @export("stat")
    def stat_out(self, path: String, out: Out[Pointer[Stat]]) -> Error: ...

    @export
    def scale(self, values: InOut[Array[Float64]]) -> None: ...

    @export
    def fill(self, data: Out[Bytes]) -> None: ...

    @export("scale")
    def scale_list(self, values: InOut[List[Float64]]) -> None: ...

    @export
    def peek(self, data: Out[Bytes]) -> Int32: ...

    @export
    def bad(self) -> Owned[String]: ...

    @export
    def trap(self, data: InOut[Bytes]) -> None: ...


@pytest.fixture
def plugin() -> Any:
    with hostmod.instantiate(GUEST) as guest:
        made: Any = Plugin(guest)
        made.live = guest.exports.live
        yield made
        assert guest.exports.live() == 0, "a block was not freed, or freed twice"


@pytest.mark.parametrize("way", ["multi", "packed", "low", "pointers"])
def test_a_string_comes_back_in_each_way_and_is_freed(plugin: Any, way: str) -> None:
    assert getattr(plugin, way)("grüß dich") == "grüß dich"


def test_bytes_come_back_as_bytes_and_lists_as_lists(plugin: Any) -> None:
    data = plugin.bytes(b"\0\xff")
    assert data == b"\0\xff"
    assert type(data) is bytes
    assert plugin.numbers([1, 2, 3]) == [1, 2, 3]
    assert type(plugin.leaked(b"abc")) is bytes


def test_numbers_come_through_pointers_of_their_own_sizes(plugin: Any) -> None:
    assert plugin.divide(17, 5) == (3, 2)
    with pytest.raises(TypeError, match="divide takes 2 arguments, 1 given"):
        plugin.divide(1)


def test_an_errno_means_that_nothing_was_returned(plugin: Any) -> None:
    with pytest.raises(ErrnoError) as caught:
        plugin.pointers("")
    assert caught.value.errno == 44


def test_what_is_owned_and_is_an_argument_too_is_freed_once(plugin: Any) -> None:
    assert plugin.echo(b"abc") == b"abc"


def test_what_cannot_be_read_is_freed_all_the_same(plugin: Any) -> None:
    with pytest.raises(InvalidStringError):
        plugin.bad()


def test_a_pointer_is_written_back(plugin: Any) -> None:
    out = Pointer.new(Stat, Stat(0, 41))
    plugin.stat("abc", out)
    assert out.load() == Stat(3, 42)
    with pytest.raises(ErrnoError):
        plugin.stat("", out)
    assert out.load() == Stat(0, 43)  # the guest has returned, and what it wrote is there


def test_an_out_pointer_is_not_copied_in(plugin: Any) -> None:
    out = Pointer.new(Stat, Stat(0, 41))
    plugin.stat_out("abc", out)
    assert out.load() == Stat(3, 1)


@pytest.mark.parametrize("make", [
    lambda: array.array("d", [1, 2.5]),
    lambda: bytearray(array.array("d", [1, 2.5]).tobytes()),
    lambda: memoryview(array.array("d", [1, 2.5])),
])  # fmt: skip
def test_an_array_is_scaled_in_place(plugin: Any, make: Callable[[], Any]) -> None:
    values = make()
    plugin.scale(values)
    assert memoryview(values).cast("B").cast("d").tolist() == [2.0, 5.0]


def test_a_numpy_array_is_scaled_in_place_and_of_its_own_dtype_only(plugin: Any) -> None:
    numpy = pytest.importorskip("numpy")
    values = numpy.array([1, 2.5])
    plugin.scale(values)
    assert values.tolist() == [2.0, 5.0]
    for dtype in ("int64", "float32", ">f8", "uint64"):
        with pytest.raises(ConversionError, match=r"a buffer of .* elements.*expected Array\[Float64\]"):
            plugin.scale(numpy.array([1, 2], dtype=dtype))
    with pytest.raises(ConversionError, match="contiguous"):
        plugin.scale(numpy.arange(4.0)[::2])
    fixed = numpy.arange(2.0)
    fixed.flags.writeable = False
    with pytest.raises(ConversionError, match="which cannot be written"):
        plugin.scale(fixed)


def test_a_list_is_scaled_in_place(plugin: Any) -> None:
    values = [1.0, 2.5]
    plugin.scale_list(values)
    assert values == [2.0, 5.0]
    own = List.new(Float64, [3.0])
    plugin.scale_list(own)
    assert list(own) == [6.0]
    with pytest.raises(ConversionError, match="a list or a List"):
        plugin.scale_list((1.0,))


def test_out_bytes_are_filled_and_zeros_before(plugin: Any) -> None:
    data = bytearray(b"xyz")
    plugin.fill(data)
    assert data == b"AAA"
    assert plugin.peek(bytearray(b"xyz")) == 0
    for value in (b"fixed", "text"):
        with pytest.raises(ConversionError):
            plugin.fill(value)


def test_a_trap_brings_nothing_back_and_frees(plugin: Any) -> None:
    data = bytearray(b"xyz")
    with pytest.raises(hostmod.Trap):
        plugin.trap(data)
    assert data == b"xyz"


@dataclass
class Request:
    name: str
    sizes: list[int]
    note: str | None = None


class Plan(TypedDict):
    name: str


class Documents(GuestModule):
    @export("multi")
    def same(self, request: Json[Request]) -> Owned[Json[Request]]: ...

    @export("multi")
    def other(self, request: Json[Any]) -> Owned[Json[Plan]]: ...

    @export("multi")
    def text(self, text: String) -> Owned[Json[Request]]: ...


@pytest.mark.parametrize("codec", ["msgspec", "the standard library"])
def test_json_goes_both_ways(monkeypatch: pytest.MonkeyPatch, codec: str) -> None:
    if codec == "msgspec":
        pytest.importorskip("msgspec")
    else:
        monkeypatch.setattr("hostmod.types.json.codec", lambda: None)
    with hostmod.instantiate(GUEST) as guest:
        documents = Documents(guest)
        request = Request("Ada", [1, 2])
        assert documents.same(request) == request
        assert documents.other({"name": "x"}) == {"name": "x"}
        for text in (
            "{",
            '{"name": 1, "sizes": []}',
            '{"name": "x"}',
            '{"name": "x", "sizes": [1.5]}',
            "\ud7ff",
            "NaN",
        ):
            with pytest.raises(ConversionError, match=r"expected Json\[Request\]"):
                documents.text(text)
        with pytest.raises(ConversionError, match=r"expected Json\[Any\]"):
            documents.other(object())
        assert guest.exports.live() == 0


def test_how_a_guest_returns_is_said_where_it_is_not_as_declared() -> None:
    class Wrong(GuestModule):
        @export
        def packed(self, text: String) -> String: ...

        @export("pointers")
        def through(self, text: String) -> Optional[String]: ...

        @export
        def hidden(self, text: String) -> String: ...

    with hostmod.instantiate(GUEST) as guest, pytest.raises(LinkError) as caught:
        Wrong(guest)
    said = str(caught.value)
    assert '@export(results="packed")' in said
    assert '@export(results="pointers")' in said
    assert "hidden pointer" in said


def test_a_hidden_result_pointer_is_an_out_pointer() -> None:
    class Hidden(GuestModule):
        @export
        def hidden(self, result: Out[Pointer[Stat]], text: String) -> None: ...

    with hostmod.instantiate(GUEST) as guest:
        result = Pointer.new(Stat)
        Hidden(guest).hidden(result, "x")
        assert result.load() == Stat(7, 0)


SHAPES = """(module (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (i32.store (i32.const 0) (local.get 2)) (i32.store (i32.const 4) (local.get 3)) (i32.const 64))
  (func (export "__new") (param i32 i32) (result i32) (i32.store (i32.const 0) (local.get 1)) (i32.const 64))
  (func (export "__pin") (param i32) (result i32) (i32.store (i32.const 4) (local.get 0)) (local.get 0))
  (func (export "dealloc") (param i32 i32 i32)
    (i32.store (i32.const 8) (local.get 0)) (i32.store (i32.const 12) (local.get 1))
    (i32.store (i32.const 16) (local.get 2)))
  (func (export "take") (param i32 i32) (result i32) (i32.load8_u (local.get 0))))"""


def test_an_allocator_of_another_shape_is_declared() -> None:
    class Realloc(
        GuestModule, allocate="cabi_realloc(0, 0, align, size)", free="dealloc(pointer, size, align)"
    ):
        @export
        def take(self, values: Array[Float64]) -> Uint32: ...

    class Pinned(GuestModule, allocate="__pin(__new(size, 1))", free="dealloc"):
        @export
        def take(self, data: Bytes) -> Uint32: ...

    with hostmod.instantiate(SHAPES) as guest:
        realloc: Any = Realloc(guest)  # a checker knows Array as a memoryview
        realloc.take([1.0, 2.0])
        assert [guest.memory.read_uint32(at) for at in (0, 4, 8, 12, 16)] == [8, 16, 64, 16, 8]
        assert Pinned(guest).take(memoryview(b"A")) == 65
        assert [guest.memory.read_uint32(at) for at in (0, 4, 8, 12, 16)] == [1, 64, 64, 1, 1]


@pytest.mark.parametrize(
    ("options", "says"),
    [({"allocate": "gone"}, "no such export"), ({"allocate": "__new(size)"}, "takes 2|i32|2 of them"),
     ({"free": "dealloc(pointer)"}, "3 of them"), ({"free": "gone(pointer)"}, "no such export"),
     ({"allocate": "cabi_realloc"}, "1 to 2 arguments")],
)  # fmt: skip
def test_an_allocator_that_the_guest_has_not_is_said_when_they_meet(
    options: dict[str, Any], says: str
) -> None:
    class Wrong(GuestModule, **options):
        @export
        def take(self, data: Bytes) -> Uint32: ...

    with hostmod.instantiate(SHAPES) as guest, pytest.raises(LinkError, match=says):
        Wrong(guest)


@pytest.mark.parametrize(
    "text", ["malloc(", "malloc(size", "malloc(length)", "5", "", "a b", "malloc(size))", "f(,)"]
)
def test_an_allocator_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(DeclarationError, match="allocate="):

        class Wrong(GuestModule, allocate=text): ...  # pyright: ignore[reportUnusedClass]  # it is refused


def test_owned_needs_something_that_frees() -> None:
    text = """(module (memory (export "memory") 1)
      (func (export "get") (result i32 i32) (i32.const 8) (i32.const 1)))"""

    class Gives(GuestModule):
        @export
        def get(self) -> Owned[String]: ...

    with hostmod.instantiate(text) as guest, pytest.raises(LinkError, match="expected an export that frees"):
        Gives(guest).get()


def test_directions_that_make_no_sense_are_refused_where_they_are_written() -> None:
    with pytest.raises(DeclarationError, match=r"InOut\[String\]"):

        class Text(GuestModule):  # pyright: ignore[reportUnusedClass]  # it is refused
            @export
            def f(self, text: InOut[String]) -> None: ...

    with pytest.raises(DeclarationError, match=r"Out\[Int32\]"):

        class Number(GuestModule):  # pyright: ignore[reportUnusedClass]  # it is refused
            @export
            def f(self, number: Out[Int32]) -> None: ...

    with pytest.raises(DeclarationError, match="Owned is for results"):

        class Argument(GuestModule):  # pyright: ignore[reportUnusedClass]  # it is refused
            @export
            def f(self, text: Owned[String]) -> None: ...

    with pytest.raises(DeclarationError, match="are for parameters"):

        class Result(GuestModule):  # pyright: ignore[reportUnusedClass]  # it is refused
            @export
            def f(self) -> Out[Bytes]: ...

    with pytest.raises(DeclarationError, match="a pointer and a length"):

        class Packed(GuestModule):  # pyright: ignore[reportUnusedClass]  # it is refused
            @export(results="packed")
            def f(self) -> Int32: ...

    with pytest.raises(DeclarationError, match="results='other'"):

        class Other(GuestModule, results="other"):  # type: ignore[arg-type]  # what is refused
            ...


def test_host_functions_have_no_directions() -> None:
    for annotation in (Out[Bytes], InOut[Bytes], Owned[String]):
        with pytest.raises(DeclarationError, match="for the exports of a GuestModule"):

            class Host(hostmod.HostModule, name="host"):  # pyright: ignore[reportUnusedClass]  # it is refused
                @hostmod.function
                def f(self, value: annotation) -> None: ...  # type: ignore[valid-type]  # each of several


def test_a_guest_module_of_something_else_is_refused() -> None:
    with hostmod.instantiate(GUEST) as guest, pytest.raises(LinkError, match=r"write Plugin\(guest\)"):
        Plugin(guest.store)  # type: ignore[call-overload]  # what is refused


def test_a_guest_that_imports_its_memory_is_called_with_strings() -> None:
    text = """(module (import "env" "memory" (memory 1))
      (func (export "malloc") (param i32) (result i32) (i32.const 64))
      (func (export "take") (param i32 i32) (result i32) (i32.load8_u (local.get 0))))"""

    class Taking(GuestModule):
        @export
        def take(self, text: String) -> Uint32: ...

    with hostmod.instantiate(text) as guest:
        assert Taking(guest).take("A") == 65


def test_lists_of_what_lies_elsewhere_have_no_direction() -> None:
    # Every item could be the whole memory: a guest would choose how much its host allocates.
    for annotation in (Owned[List[String]], InOut[List[Bytes]], Out[List[Pointer[Stat]]]):
        with pytest.raises(DeclarationError, match="a list of numbers, or of structs of numbers"):

            class Wrong(GuestModule):  # pyright: ignore[reportUnusedClass]  # it is refused
                @export
                def f(self, value: annotation) -> None: ...  # type: ignore[valid-type]  # each of several


def test_an_address_of_another_memory_is_not_passed_as_one_of_the_guest_s() -> None:
    @struct
    class Named:
        text: String

    class Takes(GuestModule):
        @export("fill")
        def f(self, at: Pointer[Named], n: Uint32) -> None: ...

    with hostmod.instantiate(GUEST) as guest:
        with pytest.raises(ConversionError, match="an address means nothing in another memory"):
            Takes(guest).f(Pointer.new(Named), 0)
        Takes(guest).f(Pointer[Named](guest.memory, 64), 0)
        assert guest.exports.live() == 0
