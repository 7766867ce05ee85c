"""Results of host functions: what does not fit is said, what fits arrives, and objects come back."""

from __future__ import annotations

import enum
from typing import Any

import pytest
import wasmtime
from records import THING
from wat import passing

import hostmod
from hostmod import ConversionError, HostModule, function
from hostmod.types import (
    Bool,
    Error,
    ExternRef,
    Int8,
    Int32,
    Int64,
    Optional,
    Uint8,
    Uint32,
    Uint64,
)
from hostmod.types import enum as guest_enum


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
        things: list[object] = [THING, [], None, 0, "", b"", print, guest, KeyError("x"), 10**100, type]
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
