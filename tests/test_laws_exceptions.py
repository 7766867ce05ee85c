"""Law 4: what a host function raises reaches whoever entered the guest, as the very object, however deep."""

from __future__ import annotations

import enum
import errno
from typing import Any

import pytest
import wasmtime
from records import THING
from wat import passing, run_apart

import hostmod
from hostmod import ConversionError, ErrnoError, HostModule, InvalidStringError, SegmentationFault, function
from hostmod.types import (
    Bytes,
    Error,
    Int32,
    Int64,
    Optional,
    String,
)


class Boom(Exception):
    """What tests raise."""


class Raiser(HostModule, name="raiser"):
    """Raises what it is told to."""

    error: BaseException

    @function
    def go(self) -> None:
        raise self.error

    @function
    def with_views(self, data: Bytes, text: String) -> None:
        raise self.error

    @function
    def reports(self) -> Error:
        raise self.error

    @function
    def answers(self, value: Int32) -> Optional[Int64]:
        if value < 0:
            raise self.error
        return value


def entries(host: Raiser, name: str = "go", *arguments: int) -> dict[str, Any]:
    """Every way into a guest."""
    guest = hostmod.instantiate(passing(Raiser), host)
    raw: Any = guest.instance.exports(guest.store)[name]
    linker = wasmtime.Linker(guest.store.engine)
    host.link(linker)
    constants = " ".join(f"(i32.const {each})" for each in arguments)
    results = "".join("(drop)" for _ in Raiser.functions[name].result_types)
    starting = passing(Raiser, more=f"(func $start {constants} (call ${name}) {results}) (start $start)")
    module = wasmtime.Module(guest.store.engine, starting)
    imports = [linker.get(guest.store, each.module, each.name or "") for each in module.imports]

    class Typed(hostmod.GuestModule):
        @hostmod.export
        def go(self) -> None: ...

    typed = Typed(guest.store, guest.instance)
    found = {
        "guest.exports": lambda: guest.exports[name](*arguments),
        "wasmtime.Func": lambda: raw(guest.store, *arguments),
        "a start function": lambda: linker.instantiate(guest.store, module),
        "wasmtime.Instance": lambda: wasmtime.Instance(guest.store, module, imports),
        "hostmod.instantiate": lambda: hostmod.instantiate(starting, host),
    }
    if name == "go":
        found["a GuestModule"] = typed.go
    return found


WAYS = ["guest.exports", "wasmtime.Func", "a start function", "wasmtime.Instance", "hostmod.instantiate"]

ERRORS = [
    pytest.param(Boom("x"), id="an exception"),
    pytest.param(KeyboardInterrupt("x"), id="KeyboardInterrupt"),
    pytest.param(SystemExit(3), id="SystemExit"),
    pytest.param(GeneratorExit("x"), id="GeneratorExit"),
    pytest.param(StopIteration(1), id="StopIteration"),
    pytest.param(wasmtime.Trap("mine"), id="a Trap of the host's own"),
    pytest.param(wasmtime.WasmtimeError("mine"), id="a WasmtimeError of the host's own"),
    pytest.param(ExceptionGroup("several", [Boom("a"), ValueError("b")]), id="a group"),
    pytest.param(OSError(2, "no such thing"), id="an OSError, where nothing is to report it"),
    pytest.param(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "reason"), id="a UnicodeDecodeError"),
    pytest.param(Boom("two\nlines \0 and a NUL \ud800"), id="an unusual message"),
    pytest.param(Boom("Caused by:\n\nCaused by: x"), id="a message like a backtrace's"),
    pytest.param(Boom("x" * 100_000), id="a long message"),
    pytest.param(Boom("\ud800"), id="a surrogate"),
    pytest.param(Boom("\0 \\0"), id="a NUL"),
    pytest.param(Boom(), id="no message"),
]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("way", [*WAYS, "a GuestModule"])
def test_the_same_object_reaches_every_entry(way: str, error: BaseException) -> None:
    host = Raiser()
    host.error = error
    with pytest.raises(BaseException) as caught:  # noqa: PT011  # which one is what is asked below
        entries(host)[way]()
    assert caught.value is error


@pytest.mark.parametrize("way", WAYS)
def test_the_guest_s_backtrace_is_a_note_and_is_there_once(way: str) -> None:
    host = Raiser()
    host.error = Boom("x")
    for _ in range(3):
        with pytest.raises(Boom) as caught:
            entries(host)[way]()
        notes = [note for note in caught.value.__notes__ if "guest backtrace" in note]
        assert len(notes) == 1
        assert "<unknown>!" in notes[0]
        assert "raiser.go raised" not in notes[0]


@pytest.mark.parametrize("way", WAYS)
def test_the_traceback_shows_where_it_was_raised(way: str) -> None:
    host = Raiser()
    host.error = Boom("x")
    with pytest.raises(Boom) as caught:
        entries(host)[way]()
    assert caught.traceback[-1].name == "go"
    assert "raise self.error" in str(caught.traceback[-1].statement)


@pytest.mark.parametrize("way", WAYS)
def test_cause_and_context_stay_what_they_were(way: str) -> None:
    cause, context = KeyError("cause"), ValueError("context")
    for chained in (Boom("a"), Boom("b"), Boom("c")):
        host = Raiser()
        host.error = chained
        if chained.args == ("a",):
            chained.__cause__ = cause
        if chained.args == ("b",):
            chained.__context__ = context
        before = (chained.__cause__, chained.__context__, chained.__suppress_context__)
        with pytest.raises(Boom) as caught:
            entries(host)[way]()
        assert (caught.value.__cause__, caught.value.__context__, caught.value.__suppress_context__) == before


def test_an_exception_raised_from_another_keeps_it() -> None:
    class Chains(HostModule, name="chains"):
        @function
        def f(self) -> None:
            try:
                raise KeyError("inner")
            except KeyError as inner:
                raise Boom("outer") from inner

        @function
        def g(self) -> None:
            try:
                raise KeyError("inner")
            except KeyError:
                raise Boom("outer")  # noqa: B904  # the context is what is tested

    with hostmod.instantiate(passing(Chains), Chains()) as guest:
        with pytest.raises(Boom) as caught:
            guest.exports.f()
        assert isinstance(caught.value.__cause__, KeyError)
        with pytest.raises(Boom) as caught:
            guest.exports.g()
        assert caught.value.__cause__ is None
        assert isinstance(caught.value.__context__, KeyError)


class Nest(HostModule, name="nest"):
    """Calls the guest again, in turns through hostmod and through wasmtime-py."""

    guest: hostmod.Guest
    catch_at = -1

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.at = 0
        self.error = Boom("bottom")
        self.caught: list[BaseException] = []

    @function
    def f(self) -> None:
        self.at += 1
        here = self.at
        if here == self.depth:
            raise self.error
        try:
            if here % 2:
                self.guest.exports.f()
            else:
                self.guest.instance.exports(self.guest.store)["f"](self.guest.store)  # type: ignore[operator]  # a Func
        except Boom as error:
            self.caught.append(error)
            if here == self.catch_at:
                raise Boom("middle") from error
            raise


def test_the_same_object_comes_through_every_level_of_nesting() -> None:
    nest = Nest(12)
    with hostmod.instantiate(passing(Nest), nest) as nest.guest:
        with pytest.raises(Boom) as caught:
            nest.guest.exports.f()
        assert caught.value is nest.error
        assert all(each is nest.error for each in nest.caught)
        assert len(nest.caught) == 11
    del nest.guest


def test_what_is_raised_on_the_way_up_takes_over() -> None:
    nest = Nest(8)
    nest.catch_at = 4
    with hostmod.instantiate(passing(Nest), nest) as nest.guest:
        with pytest.raises(Boom, match="middle") as caught:
            nest.guest.exports.f()
        assert caught.value.__cause__ is nest.error
        assert nest.caught[:4] == [nest.error] * 4
        assert nest.caught[4:] == [caught.value] * 3
    del nest.guest


def test_a_caught_exception_is_not_raised_again_later() -> None:
    class Catches(HostModule, name="catches"):
        guest: hostmod.Guest

        @function
        def outer(self) -> Int32:
            for _ in range(2):
                with pytest.raises(Boom):
                    self.guest.exports.inner()
            return 1

        @function
        def inner(self) -> None:
            raise Boom("inner")

    trapping = '(func (export "trap") (unreachable))'
    with hostmod.instantiate(passing(Catches, more=trapping), catches := Catches()) as guest:
        catches.guest = guest
        assert guest.exports.outer() == 1
        for trap in (guest.exports.trap, lambda: guest.instance.exports(guest.store)["trap"](guest.store)):  # type: ignore[operator]  # a Func
            with pytest.raises(wasmtime.Trap, match="unreachable"):
                trap()
        assert guest.exports.outer() == 1
    del catches.guest


def test_a_trap_after_a_caught_exception_is_the_guest_s_own() -> None:
    class Catches(HostModule, name="catches"):
        guest: hostmod.Guest

        @function
        def caught(self) -> None:
            with pytest.raises(Boom):
                self.guest.exports.boom()

        @function
        def boom(self) -> None:
            raise Boom("no more")

    more = '(func (export "then_trap") (call $caught) (unreachable))'
    with hostmod.instantiate(passing(Catches, more=more), catches := Catches()) as guest:
        catches.guest = guest
        raw: Any = guest.instance.exports(guest.store)["then_trap"]
        for enter in (guest.exports.then_trap, lambda: raw(guest.store)):
            with pytest.raises(wasmtime.Trap, match="unreachable"):
                enter()
    del catches.guest


def test_a_hand_written_function_that_lets_it_pass_changes_nothing() -> None:
    host = Raiser()
    host.error = Boom("through")
    inner = hostmod.instantiate(passing(Raiser), host)
    engine = wasmtime.Engine()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    linker.define_func("env", "by_hand", wasmtime.FuncType([], []), inner.exports.go)
    module = wasmtime.Module(
        engine, '(module (import "env" "by_hand" (func $f)) (func (export "go") (call $f)))'
    )
    entry: Any = linker.instantiate(store, module).exports(store)["go"]
    for _ in range(2):
        with pytest.raises(Boom) as caught:
            entry(store)
        assert caught.value is host.error
    with inner, pytest.raises(wasmtime.Trap, match="unreachable"):
        hostmod.instantiate("(module (func $f (unreachable)) (start $f))")


def test_what_a_hand_written_function_raises_reaches_hostmod_s_entries_too() -> None:
    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    error = Boom("by hand")

    def by_hand() -> None:
        raise error

    linker.define_func("env", "by_hand", wasmtime.FuncType([], []), by_hand)
    text = """(module (import "env" "by_hand" (func $f)) (func (export "go") (call $f))
        (func (export "trap") (unreachable)))"""
    with hostmod.instantiate(text, linker=linker) as guest:
        for enter in (guest.exports.go, lambda: guest.instance.exports(guest.store)["go"](guest.store)):  # type: ignore[operator]
            for _ in range(2):
                with pytest.raises(Boom) as caught:
                    enter()
                assert caught.value is error
                with pytest.raises(wasmtime.Trap, match="unreachable"):
                    guest.exports.trap()


class Broken(Exception):
    """An exception that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@pytest.mark.parametrize("way", WAYS)
def test_an_exception_that_cannot_be_shown_comes_through(way: str) -> None:
    host = Raiser()
    host.error = Broken()
    with pytest.raises(Broken) as caught:
        entries(host)[way]()
    assert caught.value is host.error


def test_an_exception_with_no_room_for_notes_comes_through() -> None:
    class Bare(Exception):
        def add_note(self, note: str) -> None:
            raise TypeError("no notes")

    host = Raiser()
    host.error = Bare()
    with hostmod.instantiate(passing(Raiser), host) as guest:
        with pytest.raises(Bare) as caught:
            guest.exports.go()
        assert caught.value is host.error


# --------------------------------------------------------------------------------------------------------------- errno


def with_errno(number: object) -> BaseException:
    error = Boom("with a number")
    error.errno = number  # type: ignore[attr-defined]  # that is the point
    return error


@pytest.mark.parametrize(
    ("error", "number"),
    [
        pytest.param(OSError(errno.ENOENT, "gone"), errno.ENOENT, id="OSError"),
        pytest.param(FileNotFoundError(errno.ENOENT, "gone"), errno.ENOENT, id="a subclass of OSError"),
        pytest.param(ErrnoError(77), 77, id="ErrnoError"),
        pytest.param(with_errno(5), 5, id="anything with a number"),
        pytest.param(with_errno(errno.errorcode and 2**31 - 1), 2**31 - 1, id="the largest number"),
        pytest.param(with_errno(-5), -5, id="a negative number"),
        pytest.param(with_errno(-(2**31)), -(2**31), id="the smallest number"),
    ],
)
def test_an_errno_becomes_the_last_result(error: BaseException, number: int) -> None:
    host = Raiser()
    host.error = error
    with hostmod.instantiate(passing(Raiser), host) as guest:
        assert guest.exports.reports() == number
        assert guest.exports.answers(-1) == (0, number)
        assert guest.exports.answers(7) == (7, 0)


@pytest.mark.parametrize("number", [0, True, False, "5", 5.0, None, b"5", THING], ids=repr)
def test_what_is_no_error_number_makes_no_errno(number: object) -> None:
    host = Raiser()
    host.error = with_errno(number)
    with hostmod.instantiate(passing(Raiser), host) as guest:
        for call in (guest.exports.reports, lambda: guest.exports.answers(-1)):
            with pytest.raises(Boom) as caught:
                call()
            assert caught.value is host.error


@pytest.mark.parametrize("number", [2**31, 2**32, 2**63, 2**64, -(2**31) - 1])
def test_an_error_number_that_does_not_fit_is_said(number: int) -> None:
    host = Raiser()
    host.error = with_errno(number)
    with hostmod.instantiate(passing(Raiser), host) as guest:
        for name, arguments in (("reports", ()), ("answers", (-1,))):
            with pytest.raises(ConversionError, match=rf"raiser\.{name}.*errno.*{number}"):
                guest.exports[name](*arguments)


def test_an_errno_that_raises_is_what_is_raised() -> None:
    class Hostile(Exception):
        @property
        def errno(self) -> int:
            raise Boom("asked")

    host = Raiser()
    host.error = Hostile()
    with hostmod.instantiate(passing(Raiser), host) as guest, pytest.raises(Boom, match="asked"):
        guest.exports.reports()


def test_an_errno_that_is_an_enum_counts_as_its_number() -> None:
    class Code(enum.IntEnum):
        FULL = 28

    host = Raiser()
    host.error = with_errno(Code.FULL)
    with hostmod.instantiate(passing(Raiser), host) as guest:
        assert guest.exports.reports() == 28


def test_a_module_s_own_table_of_errors_is_asked_first_most_derived_class_first() -> None:
    class Special(KeyError):
        pass

    class Table(HostModule, name="table", errors={LookupError: 1, KeyError: 2, FileNotFoundError: 3}):
        error: BaseException

        @function
        def f(self) -> Error:
            raise self.error

    table = Table()
    with hostmod.instantiate(passing(Table), table) as guest:
        for error, number in (
            (KeyError("x"), 2),
            (Special("x"), 2),
            (IndexError("x"), 1),
            (FileNotFoundError(errno.ENOENT, "x"), 3),
            (PermissionError(errno.EACCES, "x"), errno.EACCES),
        ):
            table.error = error
            assert guest.exports.f() == number
        table.error = ValueError("not in it")
        with pytest.raises(ValueError, match="not in it"):
            guest.exports.f()


@pytest.mark.parametrize("error", [SegmentationFault(1, 2, 3), InvalidStringError(0, b"\xff", "bad")])
def test_the_guest_s_faults_are_never_an_errno(error: Exception) -> None:
    host = Raiser()
    host.error = error
    with hostmod.instantiate(passing(Raiser), host) as guest:
        with pytest.raises(type(error)) as caught:
            guest.exports.reports()
        assert caught.value is error


EXITS = """
import hostmod
from hostmod import HostModule, function
from wat import passing

class Exits(HostModule, name="exits"):
    @function
    def go(self) -> None:
        raise SystemExit(7)

hostmod.instantiate(passing(Exits), Exits()).exports.go()
"""


def test_system_exit_ends_the_process_with_its_status() -> None:
    assert run_apart(EXITS, status=7) == ""
