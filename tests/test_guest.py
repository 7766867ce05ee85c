"""Guests: loading them from whatever there is, and calling what they export."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import wasmtime
from versions import skip_unless_compiled
from wat import passing, run_apart

import hostmod
from hostmod import (
    ConversionError,
    GuestFileError,
    GuestModule,
    HostModule,
    LinkError,
    StaleMemoryError,
    export,
    function,
)
from hostmod.types import (
    Int32,
)

ANSWER = '(module (memory (export "memory") 1) (func (export "answer") (result i32) (i32.const 42)))'


def sources(tmp_path: Path) -> dict[str, Callable[[], Any]]:
    """One guest, in every form that one can be given in."""
    binary = bytes(wasmtime.wat2wasm(ANSWER))
    wasm, wat = tmp_path / "a.wasm", tmp_path / "a.wat"
    wasm.write_bytes(binary)
    wat.write_text("\n ;; a comment\n" + ANSWER)
    return {
        "a path": lambda: wasm,
        "a path as a str": lambda: str(wasm),
        "the path of a text": lambda: wat,
        "bytes": lambda: binary,
        "a bytearray": lambda: bytearray(binary),
        "the bytes of a text": ANSWER.encode,
        "a text": lambda: ANSWER,
        "a text that begins with space": lambda: "\n\t " + ANSWER,
        "a text that begins with a comment": lambda: ";; first\n(; second ;)\n" + ANSWER,
        "a Module": lambda: wasmtime.Module(wasmtime.Engine(), ANSWER),
    }


@pytest.mark.parametrize("what", [
    "a path", "a path as a str", "the path of a text", "bytes", "a bytearray", "the bytes of a text", "a text",
    "a text that begins with space", "a text that begins with a comment", "a Module",
])  # fmt: skip
def test_a_guest_is_loaded_from(tmp_path: Path, what: str) -> None:
    with hostmod.instantiate(sources(tmp_path)[what]()) as guest:
        assert guest.exports.answer() == 42


COMPONENT = b"\0asm\x0d\0\x01\0"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"", "it is empty", id="nothing"),
        pytest.param(b"<!DOCTYPE html><html></html>", "it starts with b'<!DOCTYP'", id="a web page"),
        pytest.param(b"\x7fELF\x02\x01\x01\0", "it starts with", id="a program"),
        pytest.param(COMPONENT, "it is a component", id="a component"),
        pytest.param(b"\0asm\1\0\0\0\xff\xff", "it does not compile", id="a damaged module"),
        pytest.param(b"\0asm", "it does not compile", id="the first four bytes"),
        pytest.param(b"(module (func (export", "it does not compile", id="a text that ends too soon"),
        pytest.param(b"\xff\xfe(\0m\0", "it starts with", id="UTF-16"),
    ],
)
def test_what_is_no_guest_is_said_with_its_name_and_what_can_be_given(
    tmp_path: Path, data: bytes, says: str
) -> None:
    path = tmp_path / "guest.wasm"
    path.write_bytes(data)
    for source, name in ((path, str(path)), (str(path), str(path)), (data, f"{len(data)} bytes")):
        with pytest.raises(GuestFileError) as caught:
            hostmod.instantiate(source)
        text = str(caught.value)
        assert text.startswith(name)
        assert says in text
        assert "expected a WebAssembly module" in text
        assert "the path of a .wasm or .wat file" in text


def test_a_file_that_is_not_there_is_said() -> None:
    for missing in ("no/such/guest.wasm", Path("no/such/guest.wasm"), "module without its bracket"):
        with pytest.raises(FileNotFoundError, match="no such guest") as caught:
            hostmod.instantiate(missing)
        assert caught.value.filename == str(missing)


def test_a_directory_and_other_things_are_no_guests(tmp_path: Path) -> None:
    with pytest.raises(GuestFileError, match="cannot be read"):
        hostmod.instantiate(tmp_path)
    with pytest.raises(GuestFileError, match="cannot be read"):
        hostmod.instantiate("a\0b")
    for wrong in (None, 3, object):
        with pytest.raises(GuestFileError):
            hostmod.instantiate(wrong)  # type: ignore[arg-type]


class Closing(HostModule, name="closing"):
    """Counts how often it is closed."""

    made: ClassVar[list[Closing]] = []

    def __init__(self) -> None:
        self.closed = 0
        type(self).made.append(self)

    @function
    def f(self) -> Int32:
        return 1

    def close(self) -> None:
        self.closed += 1


def test_a_class_is_made_and_closed_with_the_guest() -> None:
    Closing.made.clear()
    with hostmod.instantiate(passing(Closing), Closing) as guest:
        assert guest.exports.f() == 1
        assert [each.closed for each in Closing.made] == [0]
    guest.close()
    assert [each.closed for each in Closing.made] == [1]


def test_a_class_is_closed_if_the_guest_cannot_be_made() -> None:
    Closing.made.clear()
    start = "(func $s (unreachable)) (start $s)"
    for text in (passing(Closing, more=start), '(module (import "gone" "f" (func)))'):
        with pytest.raises((wasmtime.Trap, LinkError)):
            hostmod.instantiate(text, Closing)
    assert [each.closed for each in Closing.made] == [1, 1]


def test_a_host_twice_is_refused() -> None:
    with pytest.raises(LinkError, match="Closing and Closing both have a function closing::"):
        hostmod.instantiate(ANSWER, Closing(), Closing)
    with pytest.raises(LinkError, match=r"expected a HostModule, its class, or hostmod\.module"):
        hostmod.instantiate(ANSWER, "closing")  # type: ignore[arg-type]


def test_an_engine_a_store_and_a_linker_can_be_given() -> None:
    engine = wasmtime.Engine()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    linker.define_func("by", "hand", wasmtime.FuncType([], [wasmtime.ValType.i32()]), lambda: 5)
    text = passing(Closing, more='(func (export "g") (result i32) (call $hand))')
    text = text.replace("(memory", '(import "by" "hand" (func $hand (result i32))) (memory', 1)
    with hostmod.instantiate(text, Closing(), engine=engine, store=store, linker=linker) as guest:
        assert guest.store is store
        assert (guest.exports.f(), guest.exports.g()) == (1, 5)


def test_exports_are_a_mapping_with_attributes() -> None:
    with hostmod.instantiate(
        passing(Closing, more='(global (export "g") i32 (i32.const 7))'), Closing()
    ) as guest:
        assert list(guest.exports) == ["memory", "f", "g"]
        assert len(guest.exports) == 3
        assert {"memory", "f", "g"} <= set(dir(guest.exports))
        assert isinstance(guest.exports.memory, wasmtime.Memory)
        assert guest.exports["g"].value(guest.store) == 7
        assert guest.exports.f is guest.exports["f"]
        assert guest.exports.f.__name__ == "f"
        assert guest.exports.f.__doc__ == "f() -> i32"
        with pytest.raises(AttributeError, match="the guest does not export 'h', it exports memory, f, g"):
            guest.exports.h  # noqa: B018
        with pytest.raises(KeyError, match="does not export 'h'"):
            guest.exports["h"]
        assert "memory, f, g" in repr(guest)


def same(core: str) -> str:
    return f'(func (export "{core}") (param {core}) (result {core}) (local.get 0))'


TYPED = (
    "(module "
    + "".join(map(same, ("i32", "i64", "f32", "f64", "externref")))
    + """
  (func (export "none"))
  (func (export "many") (param i32 f64) (result f64 i32 i64) (local.get 1) (local.get 0) (i64.const -1))
  (func (export "vector") (param v128))
  (func (export "reference") (result funcref) (ref.null func)))"""
)


def test_exports_are_typed_by_the_guest() -> None:
    with hostmod.instantiate(TYPED) as guest:
        call = guest.exports
        for value, expected in ((5, 5), (-1, -1), (2**31, -(2**31)), (2**32 - 1, -1), (True, 1)):
            assert call.i32(value) == expected
        for value, expected in ((-(2**63), -(2**63)), (2**63, -(2**63)), (2**64 - 1, -1)):
            assert call.i64(value) == expected
        assert call.f32(0.1) == 0.10000000149011612
        assert call.f32(3) == 3.0
        assert math.copysign(1, call.f64(-0.0)) == -1
        assert math.isnan(call.f64(math.nan))
        thing = object()
        assert call.externref(thing) is thing
        assert call.externref(None) is None
        assert call.none() is None
        assert call.many(1, 2.5) == (2.5, 1, -1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("i32", 2**32), ("i32", -(2**31) - 1), ("i32", 1.0), ("i32", "1"), ("i32", None), ("i64", 2**64), ("i64", 1.5),
     ("i64", -(2**63) - 1), ("f32", 1e39), ("f32", "1"), ("f64", None), ("f64", "1")],
)  # fmt: skip
def test_an_argument_that_does_not_fit_is_said_and_nothing_is_called(name: str, value: object) -> None:
    with hostmod.instantiate(TYPED) as guest, pytest.raises(ConversionError) as caught:
        guest.exports[name](value)
    assert f"guest.{name}(argument 0)" in str(caught.value)
    assert repr(value) in str(caught.value)


def test_the_wrong_number_of_arguments_is_said() -> None:
    with hostmod.instantiate(TYPED) as guest:
        for arguments in ((), (1,), (1, 2.0, 3)):
            with pytest.raises(
                TypeError,
                match=rf"many\(i32, f64\) -> \(f64, i32, i64\) takes 2 arguments, {len(arguments)} given",
            ):
                guest.exports.many(*arguments)
        with pytest.raises(TypeError, match="takes 0"):
            guest.exports.none(1)


def test_types_without_a_form_in_python_are_refused_clearly() -> None:
    with hostmod.instantiate(TYPED) as guest:
        with pytest.raises(
            LinkError, match=r"vector: the guest has \(v128\) -> \(\).*v128 has no form in Python"
        ):
            guest.exports.vector  # noqa: B018
        with pytest.raises(LinkError, match="funcref has no form in Python"):
            guest.exports.reference()


@pytest.mark.parametrize(
    "core", ["v128", "funcref", "anyref", "eqref", "i31ref", "exnref", "(ref func)", "(ref extern)"]
)
def test_no_type_of_a_guest_s_ends_the_process(core: str) -> None:
    skip_unless_compiled(f'(module (func (export "f") (param {core}) (unreachable)))')
    host = f"""
    import hostmod, sys
    from hostmod import HostModule, LinkError, function
    from hostmod.types import Int32

    class Host(HostModule, name="host"):
        @function
        def f(self, value: Int32) -> None: ...

    class Typed(hostmod.GuestModule):
        @hostmod.export
        def f(self, value: Int32) -> None: ...

    for text in (
        '(module (func (export "f") (param {core}) (unreachable)))',
        '(module (import "host" "f" (func (param {core}))))',
        '(module (import "other" "f" (func (param {core}) (result {core}))))',
    ):
        for use in (lambda guest: guest.exports.f, lambda guest: Typed(guest.store, guest.instance)):
            try:
                with hostmod.instantiate(text, Host()) as guest:
                    use(guest)
            except LinkError as error:
                assert "(i32)" in str(error) or "has no form" in str(error) or "missing" in str(error)
            else:
                raise AssertionError(text)
    print("fine")
    """
    assert run_apart(host) == "fine\n"


def test_a_guest_that_traps_by_itself_raises_its_own_trap() -> None:
    text = """(module (memory (export "memory") 1)
      (func $inner (unreachable)) (func (export "outer") (call $inner))
      (func (export "divide") (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
      (func (export "outside") (result i32) (i32.load (i32.const 65536))))"""

    class Typed(GuestModule):
        @export
        def outer(self) -> None: ...

    with hostmod.instantiate(text) as guest:
        typed = Typed(guest.store, guest.instance)
        for enter, code, says in (
            (guest.exports.outer, wasmtime.TrapCode.UNREACHABLE, "unreachable"),
            (typed.outer, wasmtime.TrapCode.UNREACHABLE, "unreachable"),
            (lambda: guest.exports.divide(0), wasmtime.TrapCode.INTEGER_DIVISION_BY_ZERO, "divide by zero"),
            (guest.exports.outside, wasmtime.TrapCode.MEMORY_OUT_OF_BOUNDS, "out of bounds"),
        ):
            with pytest.raises(wasmtime.Trap, match=says) as caught:
                enter()
            assert caught.value.trap_code == code
            assert caught.value.frames
        with pytest.raises(wasmtime.Trap) as caught:
            guest.exports.outer()
        assert [frame.func_name for frame in caught.value.frames] == ["inner", None]


def test_a_start_function_that_traps_is_the_guest_s_trap() -> None:
    with pytest.raises(wasmtime.Trap, match="unreachable"):
        hostmod.instantiate("(module (func $s (unreachable)) (start $s))")


def test_a_closed_guest_is_stale() -> None:
    with hostmod.instantiate(TYPED) as guest:
        calls = {name: guest.exports[name] for name in ("i32", "externref", "none", "many")}
    for name, arguments in (("i32", (1,)), ("externref", (1,)), ("none", ()), ("many", (1, 2.0))):
        with pytest.raises(StaleMemoryError, match=f"guest.{name} was used, but its store is closed"):
            calls[name](*arguments)
    with hostmod.instantiate(TYPED) as guest, pytest.raises(LinkError, match="the guest has no memory"):
        guest.memory  # noqa: B018
