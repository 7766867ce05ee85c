"""Results through pointers: the form for guests whose language has one result"""

from __future__ import annotations

from typing import Any

import pytest

import hostmod
from hostmod.declaration import function
from hostmod.errors import ConversionError
from hostmod.link import HostModule
from hostmod.types.results import Optional
from hostmod.types.scalar import Int32, Int64, Uint32


class Find(HostModule, name="find", errors={KeyError: 2}):
    @function
    def one(self, key: Int32) -> Optional[Uint32]:
        if key == 0:
            raise KeyError(key)
        return key * 2

    @function
    def two(self, key: Int32) -> tuple[Int64, Int32]:
        return key * 10, -key


OUT_GUEST = """(module
    (import "find" "one.out" (func $one (param i32 i32) (result i32)))
    (import "find" "two.out" (func $two (param i32 i32 i32)))
    (memory (export "memory") 1)
    (func (export "one") (param i32 i32) (result i32) (call $one (local.get 0) (local.get 1)))
    (func (export "two") (param i32 i32 i32) (call $two (local.get 0) (local.get 1) (local.get 2))))"""


def test_several_results_are_also_offered_through_pointers() -> None:
    with hostmod.instantiate(OUT_GUEST, Find) as guest:
        assert (guest.exports.one(21, 8), guest.memory.read_uint32(8)) == (0, 42)
        guest.exports.two(7, 16, 24)
        assert (guest.memory.read_uint64(16), guest.memory.read_int32(24)) == (70, -7)


def test_an_errno_leaves_what_the_pointers_point_to_alone() -> None:
    with hostmod.instantiate(OUT_GUEST, Find) as guest:
        guest.memory.write_uint32(8, 5)
        assert (guest.exports.one(0, 8), guest.memory.read_uint32(8)) == (2, 5)


def test_a_pointer_past_the_end_of_memory_traps() -> None:
    with hostmod.instantiate(OUT_GUEST, Find) as guest, pytest.raises(hostmod.SegmentationFault):
        guest.exports.two(7, 16, 65533)


def test_a_decorated_function_is_decorated_in_both_forms() -> None:
    lines: list[str] = []
    with hostmod.instantiate(OUT_GUEST, hostmod.decorate(Find, hostmod.trace(lines.append))) as guest:
        guest.exports.one(21, 8)
    assert [line.partition(" <")[0] for line in lines] == ["find::one(key=21) = 42"]


class Results(HostModule, name="results"):
    """Gives back what it was told to."""

    given: Any = None

    @function
    def two(self) -> tuple[Int32, Int32]:
        return self.given  # type: ignore[no-any-return]  # whatever it is

    @function
    def one(self) -> Optional[Int32]:
        return self.given  # type: ignore[no-any-return]  # whatever it is


RESULTS = """(module
    (import "results" "two.out" (func $two (param i32 i32)))
    (import "results" "one.out" (func $one (param i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "two") (call $two (i32.const 8) (i32.const 12)))
    (func (export "one") (result i32) (call $one (i32.const 8))))"""


@pytest.mark.parametrize("given", [[1, 2], "ab", {1: 2, 3: 4}, (1,), (1, 2, 3), 5, None], ids=repr)
def test_the_out_form_takes_the_same_tuples_as_the_function_itself(given: Any) -> None:
    module = Results()
    module.given = given
    with hostmod.instantiate(RESULTS, module) as guest:
        with pytest.raises(ConversionError) as caught:
            guest.exports.two()
        assert str(caught.value) == (
            f"results.two.out result: {given!r} ({type(given).__name__}), expected a tuple of 2 values"
        )
        assert guest.memory.read(8, 8) == bytes(8)


def test_the_out_form_names_the_result_that_does_not_fit() -> None:
    module = Results()
    with hostmod.instantiate(RESULTS, module) as guest:
        module.given = (1, "x")
        with pytest.raises(
            ConversionError, match=r"^results.two.out result\[1\]: 'x' \(str\), expected Int32"
        ):
            guest.exports.two()
        module.given = 2**31
        with pytest.raises(ConversionError, match=r"^results.one.out result: 2147483648, expected Int32"):
            guest.exports.one()
        module.given = 7
        assert guest.exports.one() == 0
        assert guest.memory.read_uint32(8) == 7
