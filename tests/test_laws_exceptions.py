"""Law 4: what a host function raises reaches whoever entered the guest, as the very object, however deep."""

from __future__ import annotations

import enum
import errno
from typing import Any

import pytest
import wasmtime
from wat import passing, run_apart

import hostmod
from hostmod import ConversionError, ErrnoError, HostModule, InvalidStringError, SegmentationFault, function
from hostmod.types import (
    Bool,
    Bytes,
    Error,
    ExternRef,
    Int8,
    Int32,
    Int64,
    Optional,
    String,
    Uint8,
    Uint32,
    Uint64,
)
from hostmod.types import enum as guest_enum


class _Thing:
    """An object whose name is the same in every process, unlike that of a plain one."""

    def __repr__(self) -> str:
        return "a thing"


THING = _Thing()


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


# ------------------------------------------------------------------------------------------------------- wrong results


@guest_enum(Uint8)
class Colour(enum.IntEnum):
    RED = 1
    BLUE = 2


class Results(HostModule, name="results"):
    """Returns what it is told to."""

    value: Any = None

    @function
    def i8(self) -> Int8:
        return self.value  # type: ignore[no-any-return]  # so it is for all of them

    @function
    def u8(self) -> Uint8:
        return self.value  # type: ignore[no-any-return]

    @function
    def i32(self) -> Int32:
        return self.value  # type: ignore[no-any-return]

    @function
    def u32(self) -> Uint32:
        return self.value  # type: ignore[no-any-return]

    @function
    def i64(self) -> Int64:
        return self.value  # type: ignore[no-any-return]

    @function
    def u64(self) -> Uint64:
        return self.value  # type: ignore[no-any-return]

    @function
    def f32(self) -> hostmod.types.Float32:
        return self.value  # type: ignore[no-any-return]

    @function
    def f64(self) -> hostmod.types.Float64:
        return self.value  # type: ignore[no-any-return]

    @function
    def bool(self) -> Bool:
        return self.value  # type: ignore[no-any-return]

    @function
    def colour(self) -> Colour:
        return self.value  # type: ignore[no-any-return]

    @function
    def duration(self) -> hostmod.types.Duration:
        return self.value  # type: ignore[no-any-return]

    @function
    def errno(self) -> hostmod.types.Errno:
        return self.value  # type: ignore[no-any-return]

    @function
    def nothing(self) -> None:
        return self.value  # type: ignore[no-any-return]

    @function
    def error(self) -> Error:
        return self.value  # type: ignore[no-any-return]

    @function
    def optional(self) -> Optional[Int32]:
        return self.value  # type: ignore[no-any-return]

    @function
    def pair(self) -> tuple[Int32, hostmod.types.Float64]:
        return self.value  # type: ignore[no-any-return]

    @function
    def optional_pair(self) -> Optional[tuple[Int32, Int64]]:
        return self.value  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def results() -> Any:
    host = Results()
    with hostmod.instantiate(passing(Results), host) as guest:

        def call(name: str, value: object) -> Any:
            host.value = value
            return guest.exports[name]()

        yield call


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("i8", each) for each in (128, -129, 2**32, "1", 1.0, None, (1,), THING, b"1")],
        *[("u8", each) for each in (256, -1, "1")],
        *[("i32", each) for each in (2**31, -(2**31) - 1, 2**40, 2**64, 1.5, None, "3", {1})],
        *[("u32", each) for each in (2**32, -1, 2**64, None)],
        *[("i64", each) for each in (2**63, -(2**63) - 1, 2**64, 2.0, None)],
        *[("u64", each) for each in (2**64, -1, "x")],
        *[("f32", each) for each in (1e39, -1e300, "1", None, 1j)],
        *[("f64", each) for each in ("1", None)],
        *[("bool", each) for each in (2, "yes", None, 1.0)],
        *[("colour", each) for each in (3, 0, "RED", None)],
        *[("duration", each) for each in (2**63, "1s", None, 1.5)],
        *[("errno", each) for each in (2**31, "x", None)],
        *[("nothing", each) for each in (0, False, "", ())],
        *[("error", each) for each in (0, 1, False)],
        *[("optional", each) for each in (None, 2**31, (1, 2), "1")],
        *[
            ("pair", each)
            for each in (None, 1, (1,), (1, 2.0, 3), [1, 2.0], "ab", ("1", 2.0), (1, "2"), (2**31, 0.0))
        ],
        *[("optional_pair", each) for each in (None, (1,), (1, 2, 0), (1, 2**63))],
    ],
    ids=repr,
)
def test_a_result_that_does_not_fit_traps_and_names_method_and_value(
    results: Any, name: str, value: object
) -> None:
    with pytest.raises(ConversionError, match=rf"^results\.{name} result") as caught:
        results(name, value)
    wrong = value
    if isinstance(value, tuple) and name in ("pair", "optional_pair") and len(value) == 2:
        at = caught.value.where.rpartition("[")[2].rstrip("]")
        wrong = value[int(at)]
    assert repr(wrong) in str(caught.value)
    assert caught.value.__notes__


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("i8", -128, -128),
        ("u8", 255, 255),
        ("i32", -(2**31), -(2**31)),
        ("i32", True, 1),
        ("u32", 2**32 - 1, -1),
        ("i64", -(2**63), -(2**63)),
        ("u64", 2**64 - 1, -1),
        ("f32", 0.1, 0.10000000149011612),
        ("f32", 3, 3.0),
        ("f64", 3, 3.0),
        ("bool", True, 1),
        ("bool", False, 0),
        ("colour", Colour.BLUE, 2),
        ("duration", hostmod.types.Duration(5), 5),
        ("duration", 5, 5),
        ("nothing", None, None),
        ("error", None, 0),
        ("optional", 5, (5, 0)),
        ("pair", (5, 0.5), (5, 0.5)),
        ("optional_pair", (1, 2), (1, 2, 0)),
    ],
    ids=repr,
)
def test_a_result_that_fits_arrives(results: Any, name: str, value: object, expected: object) -> None:
    assert results(name, value) == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.0, 5e-324, 1.7976931348623157e308])
def test_every_float_arrives_bit_by_bit(results: Any, value: float) -> None:
    assert results("f64", value).hex() == value.hex()


# -------------------------------------------------------------------------------------------------------- externrefs


class Objects(HostModule, name="objects"):
    """Passes objects through."""

    @function
    def same(self, thing: ExternRef) -> ExternRef:
        return thing

    @function
    def swap(self, a: ExternRef, b: ExternRef, c: ExternRef) -> tuple[ExternRef, ExternRef, Int32, ExternRef]:
        return c, b, 7, a

    @function
    def fresh(self, count: Int32) -> tuple[ExternRef, ExternRef, ExternRef, ExternRef]:
        return ["a", count], None, ["c", count], ["d", count]


def test_the_same_object_comes_back() -> None:
    with hostmod.instantiate(passing(Objects), Objects()) as guest:
        things: list[object] = [THING, [], None, 0, "", b"", print, guest, Boom("x"), 10**100, type]
        for thing in things:
            assert guest.exports.same(thing) is thing
        a, b = THING, None
        c: list[object] = []
        found = guest.exports.swap(a, b, c)
        assert all(one is other for one, other in zip(found, (c, b, 7, a), strict=True))


def test_objects_pass_between_hostmod_and_wasmtime_py() -> None:
    engine = wasmtime.Engine()
    store, linker = wasmtime.Store(engine), wasmtime.Linker(engine)
    Objects().link(linker)
    seen: list[object] = []

    def by_hand(thing: object) -> object:
        seen.append(thing)
        return thing

    ref = wasmtime.ValType.externref
    linker.define_func("hand", "pass", wasmtime.FuncType([ref()], [ref()]), by_hand)
    text = passing(Objects, more='(func (export "both") (param externref) (result externref)'
                   " (call $same (call $hand (call $same (local.get 0)))))")  # fmt: skip
    text = text.replace(
        "(memory", '(import "hand" "pass" (func $hand (param externref) (result externref))) (memory', 1
    )
    instance = linker.instantiate(store, wasmtime.Module(engine, text))
    exports = instance.exports(store)
    thing = ["an object"]

    class Typed(hostmod.GuestModule):
        @hostmod.export
        def both(self, thing: ExternRef) -> ExternRef: ...

    assert exports["both"](store, thing) is thing  # type: ignore[operator]  # a Func
    assert Typed(store, instance).both(thing) is thing
    assert seen == [thing, thing]
    assert seen[0] is thing
    assert exports["same"](store, thing) is thing  # type: ignore[operator]


def test_objects_survive_the_store_s_collector() -> None:
    class Keeping(HostModule, name="keeping"):
        guest: hostmod.Guest

        @function
        def make(self, number: Int32) -> tuple[ExternRef, ExternRef]:
            for _ in range(20):
                self.guest.exports.drop({"garbage": number})
            self.guest.store.gc()
            return ["first", number], ["second", number]

    more = """(table $t 64 externref)
      (func (export "drop") (param externref))
      (func (export "keep") (param i32) (call $make (local.get 0)) (drop) (table.set $t (i32.const 0))
        (table.set $t (local.get 0) (table.get $t (i32.const 0))))
      (func (export "kept") (param i32) (result externref) (table.get $t (local.get 0)))"""
    keeping = Keeping()
    text = passing(Keeping, more=more).replace(
        "(drop) (table.set $t (i32.const 0))",
        "(drop) (local.set 1) (table.set $t (i32.const 0) (local.get 1))",
    )
    text = text.replace(
        '(func (export "keep") (param i32)', '(func (export "keep") (param i32) (local externref)'
    )
    with hostmod.instantiate(text, keeping) as keeping.guest:
        for number in range(1, 64):
            keeping.guest.exports.keep(number)
        keeping.guest.store.gc()
        for number in range(1, 64):
            assert keeping.guest.exports.kept(number) == ["first", number]
    del keeping.guest


def test_many_results_are_made_while_the_collector_runs() -> None:
    with hostmod.instantiate(passing(Objects), Objects()) as guest:
        for count in range(3000):
            a, none, c, d = guest.exports.fresh(count)
            assert (a, none, c, d) == (["a", count], None, ["c", count], ["d", count])
            if count % 500 == 0:
                guest.store.gc()


# ------------------------------------------------------------------------------------------------ exits of the process


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
