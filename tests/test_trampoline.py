"""Calls through the backend that serves: deep nesting, the ends of stacks, arguments of every type."""

from __future__ import annotations

import abc
import math
import struct as packing
from collections.abc import Sequence
from typing import Annotated, Any

import pytest
import wasmtime
from versions import skip_unless_compiled
from wat import passing, run_apart

import hostmod
from hostmod import ConversionError, HostModule, Memory, function
from hostmod._backend import select as backend
from hostmod.types import (
    Bool,
    Caller,
    Duration,
    ExternRef,
    Float32,
    Float64,
    GuestType,
    Int8,
    Int16,
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
)


class Echo(HostModule, name="echo"):
    """Keeps what it was given, and gives it back."""

    seen: Any = None

    @function
    def i8(self, value: Int8) -> Int8:
        self.seen = value
        return value

    @function
    def u8(self, value: Uint8) -> Uint8:
        self.seen = value
        return value

    @function
    def i16(self, value: Int16) -> Int16:
        self.seen = value
        return value

    @function
    def u16(self, value: Uint16) -> Uint16:
        self.seen = value
        return value

    @function
    def i32(self, value: Int32) -> Int32:
        self.seen = value
        return value

    @function
    def u32(self, value: Uint32) -> Uint32:
        self.seen = value
        return value

    @function
    def i64(self, value: Int64) -> Int64:
        self.seen = value
        return value

    @function
    def u64(self, value: Uint64) -> Uint64:
        self.seen = value
        return value

    @function
    def f32(self, value: Float32) -> Float32:
        self.seen = value
        return value

    @function
    def f64(self, value: Float64) -> Float64:
        self.seen = value
        return value

    @function
    def bool(self, value: Bool) -> Bool:
        self.seen = value
        return value

    @function
    def duration(self, value: Duration) -> Duration:
        self.seen = value
        return value

    @function
    def many(
        self,
        a: Int8,
        b: Float64,
        c: Uint64,
        d: Float32,
        e: Int32,
        f: Bool,
        g: Int64,
        h: Uint16,
        i: Int32,
        j: Int32,
        k: Int32,
        l: Float64,  # noqa: E741  # the twelfth
    ) -> tuple[Float64, Int32, Int32, Int32, Uint16, Int64, Bool, Int32, Float32, Uint64, Float64, Int8]:
        return l, k, j, i, h, g, f, e, d, c, b, a

    @function
    def fields(self, text: String, caller: Caller, number: Int32) -> Int32:
        assert isinstance(caller, Caller)
        return number + len(text)


INTEGERS = {"i8": (8, True), "u8": (8, False), "i16": (16, True), "u16": (16, False), "i32": (32, True),
            "u32": (32, False), "i64": (64, True), "u64": (64, False)}  # fmt: skip


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_keep_their_low_bits_on_the_way_in_and_are_whole_on_the_way_out(name: str) -> None:
    bits, signed = INTEGERS[name]
    core = 64 if bits == 64 else 32
    echo = Echo()
    with hostmod.instantiate(passing(Echo), echo) as guest:
        values = {
            0,
            1,
            -1,
            *(sign * 2**power + near for power in range(core) for sign in (1, -1) for near in (-1, 0, 1)),
        }
        for value in values:
            if not -(2 ** (core - 1)) <= value < 2 ** (core - 1):
                continue
            result = guest.exports[name](value)
            expected = value % 2**bits
            if signed and expected >= 2 ** (bits - 1):
                expected -= 2**bits
            assert echo.seen == expected
            assert result % 2**core == expected % 2**core


def test_floats_keep_every_bit() -> None:
    echo = Echo()
    with hostmod.instantiate(passing(Echo), echo) as guest:
        for value in (0.0, -0.0, 1.5, -1.5, math.inf, -math.inf, 2.0**-126, 2.0**-149, 3.4028234663852886e38):
            for name in ("f32", "f64"):
                result = guest.exports[name](value)
                assert (result.hex(), echo.seen.hex()) == (value.hex(), value.hex())
        for value in (5e-324, 1.7976931348623157e308, 0.1):
            assert guest.exports.f64(value).hex() == value.hex()
        for name in ("f32", "f64"):
            assert math.isnan(guest.exports[name](math.nan))
        (payload,) = packing.unpack("<d", (0x7FF8000000001234).to_bytes(8, "little"))
        assert packing.pack("<d", guest.exports.f64(payload)) == packing.pack("<d", payload)


def test_any_number_but_zero_is_true() -> None:
    echo = Echo()
    with hostmod.instantiate(passing(Echo), echo) as guest:
        for value in (1, 2, -1, 256, 2**31 - 1, -(2**31), 2**32 - 1):
            assert guest.exports.bool(value) == 1
            assert echo.seen is True
        assert guest.exports.bool(0) == 0
        assert echo.seen is False


def test_durations_are_durations() -> None:
    echo = Echo()
    with hostmod.instantiate(passing(Echo), echo) as guest:
        assert guest.exports.duration(1_500_000_000) == 1_500_000_000
        assert isinstance(echo.seen, Duration)
        assert str(echo.seen) == "1.5s"


def test_twelve_parameters_come_and_go_in_order() -> None:
    with hostmod.instantiate(passing(Echo), Echo()) as guest:
        given = (-1, 0.5, 2**63, -0.25, -2, 1, -(2**63), 65535, 4, 5, 6, 7.5)
        assert guest.exports.many(*given) == (7.5, 6, 5, 4, 65535, -(2**63), 1, -2, -0.25, -(2**63), 0.5, -1)


def test_a_caller_takes_no_place_among_the_arguments() -> None:
    assert Echo.functions["fields"].param_types == ("i32", "i32", "i32")
    with hostmod.instantiate(passing(Echo), Echo()) as guest:
        assert guest.exports.fields(0, 3, 4) == 7


@pytest.mark.skipif(backend.active.NAME != "pure", reason="the native backend has no source to show")
def test_tracebacks_show_the_code_that_was_generated() -> None:
    class Fails(HostModule, name="fails"):
        @function
        def f(self) -> None:
            raise ValueError("x")

    with (
        hostmod.instantiate(passing(Fails), Fails()) as guest,
        pytest.raises(ValueError, match="x") as caught,
    ):
        guest.exports.f()
    (entry,) = [each for each in caught.traceback if each.name == "trampoline"]
    assert "env[0]()" in str(entry.statement)


# -------------------------------------------------------------------------------------------------- the ends of stacks

DEEP = """
import ctypes, sys
import wasmtime, hostmod
from hostmod import HostModule, function
from hostmod.types import Bytes, Caller, Error, Int32, Optional, Pointer, String, Uint32
from wat import passing

class Deep(HostModule, name="deep"):
    depth = 0
    @function
    def ours(self, a: Int32) -> Int32:
        self.depth += 1
        return self.guest.exports.ours(a + 1) + 1

    @function
    def theirs(self, text: String, data: Bytes, caller: Caller) -> Int32:
        self.depth += 1
        return self.raw(self.guest.store, 0, 1, 0, 1) + 1

    @function
    def either(self, data: Bytes) -> Optional[Int32]:
        self.depth += 1
        return self.guest.exports.either(0, 1)[0]

    @function
    def fine(self, text: String, data: Bytes, at: Pointer[Uint32], caller: Caller) -> Int32:
        at.load()
        return 7

deep = Deep()
guest = deep.guest = hostmod.instantiate(passing(Deep), deep)
raw = guest.instance.exports(guest.store)
deep.raw = raw["theirs"]

def ended(error):
    if isinstance(error, RecursionError):
        return "Python"
    if isinstance(error, ctypes.ArgumentError) and "RecursionError" in str(error):
        return "Python"  # ctypes says it so on 3.11
    if isinstance(error, wasmtime.Trap) and "call stack exhausted" in str(error):
        return "guest"
    raise error

where = set()
for limit in (150, 250, 1000, 5000):
    sys.setrecursionlimit(limit)
    for name, arguments in (("ours", (0,)), ("theirs", (0, 1, 0, 1)), ("either", (0, 1))):
        for enter in (lambda: guest.exports[name](*arguments), lambda: raw[name](guest.store, *arguments)):
            deep.depth = 0
            try:
                enter()
            except BaseException as error:
                where.add(ended(error))
            assert deep.depth > 5, deep.depth
            assert guest.exports.fine(0, 1, 0, 1, 0) == 7

sys.setrecursionlimit(1000)

def down(levels, call):
    return down(levels - 1, call) if levels else call()

outcomes = set()
fine = guest.exports.fine
for levels in range(850, 1000):
    try:
        outcomes.add(down(levels, lambda: fine(0, 1, 0, 1, 0)))
    except (RecursionError, ctypes.ArgumentError) as error:
        outcomes.add(ended(error))
assert outcomes == {7, "Python"}, outcomes
assert guest.exports.fine(0, 1, 0, 1, 0) == 7
guest.close()
print(sorted(where))
"""


def test_nesting_ends_with_an_error_wherever_it_ends_and_the_guest_can_be_used_after_it() -> None:
    assert run_apart(DEEP) == "['Python', 'guest']\n"


REPORTS = """
import hostmod, sys
from hostmod import HostModule, function
from hostmod._wasmtime import capi, traps
from wat import passing

class Fails(HostModule, name="fails"):
    @function
    def f(self) -> None:
        raise ERROR

def no_trap(data, length):
    raise RecursionError("the end of the stack")

ERROR = KeyError("mine")
guest = hostmod.instantiate(passing(Fails), Fails())
raw = guest.instance.exports(guest.store)["f"]
make, refill = capi.trap_new, traps.refill
for enter in (guest.exports.f, lambda: raw(guest.store)):
    for _ in range(50):
        capi.trap_new, traps.refill = no_trap, lambda: None
        try:
            enter()
        except KeyError as error:
            assert error is ERROR
        else:
            raise AssertionError("no error")
        capi.trap_new, traps.refill = make, refill
        refill()
print("fine")
"""


def test_an_exception_whose_report_fails_is_raised_all_the_same() -> None:
    assert run_apart(REPORTS) == "fine\n"


def test_a_guest_that_recurses_without_end_traps() -> None:
    class Any_(HostModule, name="any"):  # noqa: N801  # any name will do
        @function
        def f(self) -> Int32:
            return 1

    more = '(func $r (export "r") (drop (call $f)) (call $r))'
    with hostmod.instantiate(passing(Any_, more=more), Any_()) as guest:
        for _ in range(2):
            with pytest.raises(wasmtime.Trap, match="call stack exhausted"):
                guest.exports.r()
        assert guest.exports.f() == 1


def test_one_function_can_be_reached_from_many_depths_of_the_guest_s_stack() -> None:
    class Depth(HostModule, name="depth"):
        total = 0

        @function
        def f(self, text: String, value: Int32) -> Optional[Int32]:
            self.total += value
            return value

    more = """(func $down (export "down") (param i32)
        (drop (drop (call $f (i32.const 0) (i32.const 1) (local.get 0))))
        (if (local.get 0) (then (call $down (i32.sub (local.get 0) (i32.const 1))))))"""
    depth = Depth()
    with hostmod.instantiate(passing(Depth, more=more), depth) as guest:
        guest.exports.down(1500)
        guest.exports.down(1500)
    assert depth.total == 1500 * 1501


def test_the_backend_that_serves_says_which_it_is() -> None:
    assert backend.active.NAME in ("native", "pure")
    assert (backend.reason == "") == (backend.active.NAME == "native")


def test_without_extensions_the_pure_backend_serves() -> None:
    source = """
    import os
    os.environ["HOSTMOD_NO_EXTENSIONS"] = "1"
    from hostmod import backend
    print(backend.active.NAME, "|", backend.reason)
    """
    assert run_apart(source) == "pure | HOSTMOD_NO_EXTENSIONS is set\n"


# ------------------------------------------------------------------------------------ guest types of the author's own


class Words(GuestType[Any]):
    """Gives the backend whatever it was told to."""

    name = "Words"
    core = ("i32", "i64")
    given: Any = None

    def load_value(self, memory: Memory, words: Sequence[Any]) -> Any:
        return words

    def store_value(self, memory: Memory, value: Any) -> Any:
        return self.given


WORDS = Words()


class Giver(HostModule, name="giver"):
    """Returns what a guest type of the author's makes words of."""

    @function
    def give(self) -> Annotated[Any, WORDS]:
        return 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(None, "None (NoneType)", id="None"),
        pytest.param(5, "5 (int)", id="a number"),
        pytest.param({1: 2, 3: 4}, "{1: 2, 3: 4} (dict)", id="a dict"),
        pytest.param({1}, "{1} (set)", id="a set"),
        pytest.param(b"ab", "b'ab' (bytes)", id="bytes"),
        pytest.param("ab", "'ab' (str)", id="text"),
    ],
)
def test_words_that_are_no_sequence_are_refused(
    given: object, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WORDS, "given", given)
    with hostmod.instantiate(passing(Giver), Giver()) as guest:
        with pytest.raises(ConversionError) as caught:
            guest.exports.give()
        assert str(caught.value) == (
            f"giver.give result: {message} from Words.store_value, expected a tuple of core values (i32, i64)"
        )
        monkeypatch.setattr(WORDS, "given", [1, -2])
        assert guest.exports.give() == (1, -2)


CONVERTED = """(module
    (import "holder" "hold" (func $hold (param externref) (result externref)))
    (func (export "null") (result i32) (ref.is_null (call $hold (ref.null extern))))
    (func (export "number") (result i32)
        (ref.is_null (call $hold (extern.convert_any (ref.i31 (i32.const 5))))))
    (func (export "give") (result externref) (extern.convert_any (ref.i31 (i32.const 5)))))"""


class Holder(HostModule, name="holder"):
    """Keeps what a guest gives it."""

    seen: Any = "nothing"

    @function
    def hold(self, value: ExternRef) -> ExternRef:
        self.seen = value
        return value


def test_a_reference_that_the_guest_made_itself_is_refused_and_not_taken_for_null() -> None:
    skip_unless_compiled(CONVERTED)
    holder = Holder()
    with hostmod.instantiate(CONVERTED, holder) as guest:
        for export in ("number", "give"):
            with pytest.raises(ConversionError) as caught:
                guest.exports[export]()
            assert str(caught.value) == (
                "ExternRef: a reference that the guest made of a value of its own, expected one to an object that the "
                "host gave it, or null"
            )
        assert holder.seen == "nothing"
        assert guest.exports.null() == 1
        assert holder.seen is None


@hostmod.types.struct
class Initialised:
    """Counts what its author's __init__ makes."""

    x: Int32

    def __init__(self, x: int) -> None:
        self.x = x + 1000


class Made(type):
    """A metaclass that sees what is made."""

    made = 0

    def __call__(cls, *arguments: Any) -> Any:
        Made.made += 1
        return super().__call__(*arguments)


@hostmod.types.struct
class Seen(metaclass=Made):
    x: Int32


@hostmod.types.struct
class Abstract(abc.ABC):
    x: Int32

    @abc.abstractmethod
    def area(self) -> int: ...


class Records(HostModule, name="records"):
    """Reads records that are made in their own ways."""

    @function
    def initialised(self, record: Pointer[Initialised]) -> Int32:
        return record.load().x

    @function
    def seen(self, record: Pointer[Seen], records: List[Seen]) -> Int32:
        return record.load().x + records[0].x

    @function
    def abstract(self, record: Pointer[Abstract]) -> Int32:
        return record.load().x


def test_records_are_made_as_their_class_says() -> None:
    with hostmod.instantiate(passing(Records), Records()) as guest:
        guest.memory.write_int32(8, 5)
        assert guest.exports.initialised(8) == 1005
        before = Made.made
        assert guest.exports.seen(8, 8, 1) == 10
        assert Made.made == before + 2
        with pytest.raises(TypeError, match="Can't instantiate abstract class Abstract"):
            guest.exports.abstract(8)


def test_records_are_made_as_their_class_says_in_code_of_no_file() -> None:
    printed = run_apart(
        """
        import hostmod
        from hostmod import HostModule, function
        from hostmod.types import Int32, Pointer, struct
        from wat import passing

        @struct
        class Point:
            x: Int32

            def __init__(self, x):
                self.x = x + 1000

        class H(HostModule, name="h"):
            @function
            def f(self, p: Pointer[Point]) -> Int32:
                return p.load().x

        with hostmod.instantiate(passing(H), H()) as guest:
            print(guest.exports.f(8))
        """
    )
    assert printed == "1000\n"


def test_a_value_whose_repr_raises_is_still_refused_by_name() -> None:
    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError("mute")

    class Giving(HostModule, name="giving"):
        given: Any = None

        @function
        def number(self) -> Int32:
            return self.given  # type: ignore[no-any-return]  # whatever it is

        @function
        def two(self) -> tuple[Int32, Int32]:
            return self.given  # type: ignore[no-any-return]  # whatever it is

        @function
        def nothing(self) -> None:
            return self.given  # type: ignore[no-any-return]  # whatever it is

        @function
        def pointer(self) -> Pointer[Uint32]:
            return self.given  # type: ignore[no-any-return]  # whatever it is

    giving = Giving()
    with hostmod.instantiate(passing(giving), giving) as guest:
        for given in (Mute(), (10**5000,)):
            giving.given = given
            for export in ("number", "two", "nothing", "pointer"):
                with pytest.raises(
                    ConversionError, match=rf"^giving.{export} result: a (Mute|tuple) \(its repr raises"
                ):
                    guest.exports[export]()


def test_a_pointer_or_list_that_is_no_number_is_named_by_its_class() -> None:
    class Back(HostModule, name="back"):
        @function
        def pointer(self, value: Pointer[Uint32]) -> Int32:
            return value  # type: ignore[return-value]  # what is refused  # pyright: ignore[reportReturnType]

        @function
        def items(self, value: List[Uint32]) -> Int32:
            return value  # type: ignore[return-value]  # what is refused  # pyright: ignore[reportReturnType]

    with hostmod.instantiate(passing(Back), Back()) as guest:
        with pytest.raises(
            ConversionError, match=r"^back.pointer result: Pointer\[Uint32\]\(0x8\) \(Pointer\), "
        ):
            guest.exports.pointer(8)
        with pytest.raises(ConversionError, match=r"^back.items result: List\[Uint32\]\(0x8, 2\) \(List\), "):
            guest.exports["items"](8, 2)
