"""GuestModule: the exports of a guest as a class declares them"""

from __future__ import annotations

import pytest
import wasmtime

import hostmod
from hostmod import (
    ConversionError,
    ErrnoError,
    GuestModule,
    HostModule,
    LinkError,
    StaleMemoryError,
    export,
    function,
)
from hostmod.guest import export_caller
from hostmod.types import (
    Array,
    Bool,
    Bytes,
    CString,
    Duration,
    Error,
    ExternRef,
    Float32,
    Float64,
    Int8,
    Int32,
    Int64,
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

ANSWER = '(module (memory (export "memory") 1) (func (export "answer") (result i32) (i32.const 42)))'


@struct
class Pair:
    a: Uint32
    b: Uint16


class Library(GuestModule):
    """A guest that is told about with guest types."""

    @export
    def sum(self, data: Bytes) -> Uint32: ...

    @export("sum")
    def sum_of_text(self, text: String) -> Uint32: ...

    @export
    def sums(self, values: Array[Uint16]) -> Uint32: ...

    @export
    def first(self, pairs: List[Pair]) -> Uint32: ...

    @export
    def load(self, at: Pointer[Pair]) -> Uint32: ...

    @export
    def length(self, text: CString) -> Uint32: ...

    @export
    def both(self, a: String, b: Bytes) -> tuple[Uint32, Uint32]: ...

    @export
    def check(self, number: Int32) -> Error: ...

    @export
    def checked(self, number: Int32) -> Optional[Int64]: ...

    @export
    def name(self) -> String: ...

    @export
    def live(self) -> Int32: ...


LIBRARY = """(module (memory (export "memory") 1) (global $next (mut i32) (i32.const 1024)) (global $live (mut i32) (i32.const 0))
  (data (i32.const 16) "a guest")
  (func (export "malloc") (param i32) (result i32)
    (global.set $live (i32.add (global.get $live) (i32.const 1)))
    (global.get $next) (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get 0)) (i32.const 15)) (i32.const -8))))
  (func (export "free") (param i32) (global.set $live (i32.sub (global.get $live) (i32.const 1))))
  (func $sum (export "sum") (param i32 i32) (result i32) (local i32)
    (block $end (loop $next (br_if $end (i32.eqz (local.get 1)))
      (local.set 2 (i32.add (local.get 2) (i32.load8_u (local.get 0))))
      (local.set 0 (i32.add (local.get 0) (i32.const 1))) (local.set 1 (i32.sub (local.get 1) (i32.const 1))) (br $next)))
    (local.get 2))
  (func (export "sums") (param i32 i32) (result i32) (i32.load16_u (i32.add (local.get 0) (i32.mul (i32.sub (local.get 1) (i32.const 1)) (i32.const 2)))))
  (func (export "first") (param i32 i32) (result i32) (i32.add (i32.load (local.get 0)) (i32.load16_u offset=12 (local.get 0))))
  (func (export "load") (param i32) (result i32) (i32.store16 offset=4 (local.get 0) (i32.const 9)) (i32.load (local.get 0)))
  (func (export "length") (param i32) (result i32) (local i32) (local.set 1 (local.get 0))
    (block $end (loop $next (br_if $end (i32.eqz (i32.load8_u (local.get 1)))) (local.set 1 (i32.add (local.get 1) (i32.const 1))) (br $next)))
    (i32.sub (local.get 1) (local.get 0)))
  (func (export "both") (param i32 i32 i32 i32) (result i32 i32) (call $sum (local.get 0) (local.get 1)) (call $sum (local.get 2) (local.get 3)))
  (func (export "check") (param i32) (result i32) (local.get 0))
  (func (export "checked") (param i32) (result i64 i32) (i64.const -5) (local.get 0))
  (func (export "name") (result i32 i32) (i32.const 16) (i32.const 7))
  (func (export "live") (result i32) (global.get $live)))"""  # one line for each of its steps


def test_arguments_are_copied_into_the_guest_and_freed() -> None:
    with hostmod.instantiate(LIBRARY) as guest:
        library = Library(guest.store, guest.instance)
        for _ in range(3):
            assert library.sum(memoryview(b"\x01\x02\x03")) == 6
            assert library.sum(memoryview(b"")) == 0
            assert library.sum_of_text("AB") == 131
            assert library.sum_of_text("é") == 0xC3 + 0xA9
            assert library.sums(memoryview(b"\x01\0\x02\0\xff\xff").cast("H")) == 65535
            assert library.first(List.new(Pair, [Pair(5, 6), Pair(7, 8)])) == 13
            assert library.length("four") == 4
            assert library.both("A", memoryview(b"\x02\x03")) == (65, 5)
            assert library.name() == "a guest"
            assert library.live() == 0


def test_a_pointer_into_the_guest_goes_as_it_is_and_another_is_copied() -> None:
    with hostmod.instantiate(LIBRARY) as guest:
        library = Library(guest.store, guest.instance)
        inside: Pointer[Pair] = Pointer(guest.memory, 512, Pair)
        inside.store(Pair(77, 1))
        assert library.load(inside) == 77
        assert inside.load().b == 9
        outside = Pointer.new(Pair, Pair(78, 1))
        assert library.load(outside) == 78
        assert library.live() == 0


def test_an_errno_of_the_guest_is_raised() -> None:
    with hostmod.instantiate(LIBRARY) as guest:
        library = Library(guest.store, guest.instance)
        library.check(0)
        assert library.checked(0) == -5
        for call in (library.check, library.checked):
            with pytest.raises(ErrnoError) as caught:
                call(28)
            assert caught.value.errno == 28


def test_what_was_allocated_is_freed_when_the_call_fails() -> None:
    class Failing(HostModule, name="failing"):
        @function
        def fail(self, text: String) -> None:
            raise KeyError(text)

    class Typed(GuestModule):
        @export
        def fail(self, text: String) -> None: ...

        @export
        def fail_later(self, text: String, number: Int8) -> None: ...

        @export
        def live(self) -> Int32: ...

    text = LIBRARY.replace("(module", '(module (import "failing" "fail" (func $fail (param i32 i32)))')
    more = """(func (export "fail") (param i32 i32) (call $fail (local.get 0) (local.get 1)))
      (func (export "fail_later") (param i32 i32 i32)))"""
    with hostmod.instantiate(text[:-1] + more, Failing()) as guest:
        typed = Typed(guest.store, guest.instance)
        with pytest.raises(KeyError, match="text"):
            typed.fail("text")
        with pytest.raises(ConversionError, match=r"Typed\.fail_later\(number\)"):
            typed.fail_later("text", 1000)
        assert typed.live() == 0


def test_what_the_allocator_s_host_functions_raise_is_no_fault_of_the_argument_s() -> None:
    class Refusing(HostModule, name="refusing"):
        error: Exception = ValueError("no more")

        @function
        def room(self) -> None:
            raise self.error

    class Typed(GuestModule):
        @export
        def sum(self, data: Bytes) -> Uint32: ...

    text = LIBRARY.replace("(module", '(module (import "refusing" "room" (func $room))', 1)
    malloc = '(func (export "malloc") (param i32) (result i32)'
    text = text.replace(malloc, f"{malloc} (call $room)")
    with hostmod.instantiate(text, refusing := Refusing()) as guest:
        typed = Typed(guest.store, guest.instance)
        for error in (
            ValueError("no more"),
            TypeError("no more"),
            OverflowError("no more"),
            KeyError("no more"),
        ):
            refusing.error = error
            with pytest.raises(type(error)) as caught:
                typed.sum(memoryview(b"x"))
            assert caught.value is error


def test_a_host_function_that_the_host_calls_directly_has_no_guest_s_memory() -> None:
    class Direct(HostModule, name="direct"):
        @function
        def text(self, text: String) -> None: ...

        @function
        def number(self, number: Int32) -> Int32:
            return number

    text = """(module (import "direct" "text" (func $t (param i32 i32)))
      (import "direct" "number" (func $n (param i32) (result i32)))
      (memory (export "memory") 1) (export "text" (func $t)) (export "number" (func $n)))"""
    with hostmod.instantiate(text, Direct()) as guest:
        assert guest.exports.number(5) == 5
        with pytest.raises(hostmod.MemoryAccessError):
            guest.exports.text(0, 0)


def test_every_export_that_does_not_fit_is_reported_at_once() -> None:
    class Wrong(GuestModule):
        @export
        def sum(self, data: Bytes) -> Uint64: ...

        @export
        def gone(self, a: Float32) -> None: ...

        @export("memory")
        def memory_(self) -> None: ...

        @export
        def live(self) -> Int32: ...

    with hostmod.instantiate(LIBRARY) as guest, pytest.raises(LinkError) as caught:
        Wrong(guest.store, guest.instance)
    text = str(caught.value)
    assert "disagree about 3 exports" in text
    assert "Wrong.sum: declared (i32, i32) -> i64, the guest has (i32, i32) -> i32" in text
    assert "Wrong.gone: declared gone(f32) -> (), the guest has no such export" in text
    assert "Wrong.memory_" in text
    assert len(caught.value.mismatches) == 3


def test_arguments_that_need_room_need_an_allocator_and_a_memory() -> None:
    class Typed(GuestModule):
        @export
        def sum(self, data: Bytes) -> Uint32: ...

    without = LIBRARY.replace('(export "malloc")', "")
    with hostmod.instantiate(without) as guest, pytest.raises(LinkError, match="malloc and free"):
        Typed(guest.store, guest.instance).sum(memoryview(b"x"))
    no_memory = """(module (func (export "sum") (param i32 i32) (result i32) (i32.const 0))
      (func (export "malloc") (param i32) (result i32) (i32.const 0)))"""
    with hostmod.instantiate(no_memory) as guest, pytest.raises(LinkError, match="exports no memory"):
        Typed(guest.store, guest.instance).sum(memoryview(b"x"))


def test_an_allocator_can_have_other_names_and_shapes() -> None:
    class Typed(GuestModule, memory="heap", allocate="alloc", free="dealloc"):
        @export
        def total(self, data: Array[Uint64]) -> Uint32: ...

        @export
        def log(self) -> Uint32: ...

    text = """(module (memory (export "heap") 1) (global $log (mut i32) (i32.const 0))
      (func (export "alloc") (param i32 i32) (result i32)
        (global.set $log (i32.add (i32.mul (local.get 0) (i32.const 100)) (local.get 1))) (i32.const 64))
      (func (export "dealloc") (param i32 i32)
        (global.set $log (i32.add (global.get $log) (i32.mul (local.get 1) (i32.const 10000)))))
      (func (export "total") (param i32 i32) (result i32) (i32.load8_u offset=8 (local.get 0)))
      (func (export "log") (result i32) (global.get $log)))"""
    with hostmod.instantiate(text) as guest:
        typed = Typed(guest.store, guest.instance)
        assert typed.total(memoryview(bytes(8) + b"\x07" + bytes(7)).cast("Q")) == 7
        assert (
            typed.log() == 16 * 10000 + 16 * 100 + 8
        )  # 16 bytes at a multiple of 8, and freed with their size


@pytest.mark.parametrize("place", [65536, 65533, 2**32 - 1, 2**32 - 2])
def test_an_allocator_that_lies_is_a_fault(place: int) -> None:
    class Typed(GuestModule):
        @export
        def sum(self, data: Bytes) -> Uint32: ...

    text = LIBRARY.replace(
        '(func (export "malloc") (param i32) (result i32)',
        f'(func (export "malloc") (param i32) (result i32) (return (i32.const {place}))',
        1,
    )
    with hostmod.instantiate(text) as guest, pytest.raises(hostmod.SegmentationFault) as caught:
        Typed(guest.store, guest.instance).sum(memoryview(b"four"))
    assert (caught.value.offset, caught.value.length) == (place, 4)


def test_results_of_every_kind_are_typed() -> None:
    class Typed(GuestModule):
        @export
        def u(self) -> Uint32: ...

        @export("u")
        def flag(self) -> Bool: ...

        @export("u")
        def small(self) -> Uint8: ...

        @export("u")
        def signed(self) -> Int8: ...

        @export
        def long(self) -> Uint64: ...

        @export("long")
        def duration(self) -> Duration: ...

        @export
        def pair(self) -> tuple[Float32, Float64]: ...

        @export
        def thing(self, thing: ExternRef) -> ExternRef: ...

    text = """(module (func (export "u") (result i32) (i32.const 0xfffffff0))
      (func (export "long") (result i64) (i64.const -1))
      (func (export "pair") (result f32 f64) (f32.const 0.5) (f64.const -0.5))
      (func (export "thing") (param externref) (result externref) (local.get 0)))"""

    with hostmod.instantiate(text) as guest:
        typed = Typed(guest.store, guest.instance)
        assert typed.u() == 0xFFFFFFF0
        assert typed.flag() is True
        assert typed.small() == 0xF0
        assert typed.signed() == -16
        assert typed.long() == 2**64 - 1
        assert typed.duration() == -1
        assert isinstance(typed.duration(), Duration)
        assert typed.pair() == (0.5, -0.5)
        thing = object()
        assert typed.thing(thing) is thing


def test_a_closed_store_is_said_by_every_method() -> None:
    with hostmod.instantiate(LIBRARY) as guest:
        library = Library(guest.store, guest.instance)
        inside: Pointer[Pair] = Pointer(guest.memory, 512, Pair)
    for call in (
        lambda: library.check(0),
        lambda: library.sum(memoryview(b"x")),
        library.name,
        lambda: library.load(inside),
    ):
        with pytest.raises(StaleMemoryError, match="its store is closed"):
            call()


@pytest.mark.parametrize("hold", [False, True], ids=["released", "held"])
def test_the_global_lock_is_released_or_held_with_the_same_results(hold: bool) -> None:
    with hostmod.instantiate(LIBRARY, hold_gil=hold) as guest:
        assert guest.exports.check(5) == 5
        library = Library(guest.store, guest.instance, hold_gil=hold)
        assert library.sum_of_text("A") == 65
        with pytest.raises(ErrnoError):
            library.check(1)


def test_a_module_of_another_engine_is_taken_over() -> None:
    module = wasmtime.Module(wasmtime.Engine(), ANSWER)
    for _ in range(2):
        with hostmod.instantiate(module) as guest:
            assert guest.exports.answer() == 42


def test_an_instance_of_another_store_is_refused() -> None:
    class Typed(GuestModule):
        @export
        def one(self) -> Int32: ...

    text = '(module (func (export "one") (result i32) (i32.const 1)))'
    engine = wasmtime.Engine()
    with hostmod.instantiate(text, engine=engine) as guest, wasmtime.Store(engine) as other:
        with pytest.raises(LinkError, match="Typed: an instance of another store"):
            Typed(other, guest.instance)
        function = guest.instance.exports(guest.store)["one"]
        assert isinstance(function, wasmtime.Func)
        with pytest.raises(LinkError, match="one: a function of another store"):
            export_caller("one", other, function)
        assert Typed(guest.store, guest.instance).one() == 1


def test_an_allocator_without_room_is_said() -> None:
    class Typed(GuestModule):
        @export
        def sum(self, data: Bytes) -> Uint32: ...

    text = """(module (memory (export "memory") 1) (data (i32.const 0) "constants")
      (func (export "sum") (param i32 i32) (result i32) (i32.const 0))
      (func (export "malloc") (param i32) (result i32) (i32.const 0)))"""
    with hostmod.instantiate(text) as guest:
        typed = Typed(guest.store, guest.instance)
        with pytest.raises(ConversionError, match=r"Typed\.sum: malloc\(3\) returned 0, expected"):
            typed.sum(memoryview(b"abc"))
        assert guest.memory.read(0, 9) == b"constants"
        assert typed.sum(memoryview(b"")) == 0


class Fails(HostModule, name="fails"):
    """Raises."""

    @function
    def fail(self) -> None:
        raise KeyError("the original")


def test_a_free_that_fails_replaces_nothing() -> None:
    class Typed(GuestModule):
        @export
        def run(self, text: String) -> None: ...

        @export
        def quiet(self, text: String) -> None: ...

    text = """(module (import "fails" "fail" (func $fail)) (memory (export "memory") 1)
      (func (export "malloc") (param i32) (result i32) (i32.const 64))
      (func (export "free") (param i32) unreachable)
      (func (export "run") (param i32 i32) (call $fail)) (func (export "quiet") (param i32 i32)))"""
    with hostmod.instantiate(text, Fails) as guest:
        typed = Typed(guest.store, guest.instance)
        with pytest.raises(KeyError, match="the original"):
            typed.run("abc")
        with pytest.raises(wasmtime.Trap, match="unreachable"):
            typed.quiet("abc")
