"""The recorder: what it keeps of each call, and how calls are found and compared."""

from __future__ import annotations

import pytest

import hostmod
from hostmod import HostModule, function
from hostmod.testing import call
from hostmod.testing.recorder import Call, Recorder
from hostmod.types import Array, Bytes, Error, Int16, Int32, List, Optional, Pointer, String, Uint32, struct


@struct
class Point:
    x: Int32
    y: Int32


class Kv(HostModule, name="kv", errors={KeyError: 2}):
    @function
    def get(self, key: String) -> Optional[Uint32]:
        if key == "bug":
            raise RuntimeError("boom")
        return {"a": 1}[key]

    @function
    def fill(self, out: Bytes, wide: Array[Int16], points: List[Point], count: Pointer[Point]) -> Error:
        out[0] = 9
        wide[0] = 9
        points[0] = Point(9, 9)
        count.store(Point(8, 8))


def recorded() -> tuple[Recorder, Kv]:
    recorder = Recorder()
    return recorder, hostmod.decorate(Kv, recorder)()


def test_calls_are_kept_with_arguments_and_results() -> None:
    recorder, kv = recorded()
    call(kv.get, "a")
    assert recorder == [Call("kv", "get", {"key": "a"}, 1)]
    assert recorder.lines == ['kv::get(key="a") → 1']
    assert str(recorder[0]) == 'kv::get(key="a") → 1'


def test_errnos_and_exceptions_are_told_apart() -> None:
    recorder, kv = recorded()
    for key, error in [("b", OSError), ("bug", RuntimeError)]:
        with pytest.raises(error):
            call(kv.get, key)
    missing, bug = recorder
    assert (missing.errno, missing.trapped, type(missing.exception)) == (2, False, KeyError)
    assert (bug.errno, bug.trapped, str(bug.exception)) == (0, True, "boom")
    assert recorder.lines == ['kv::get(key="b") → ENOENT', 'kv::get(key="bug") → ! RuntimeError: boom']


def test_memory_is_copied_as_it_was_and_as_it_is() -> None:
    recorder, kv = recorded()
    points, count = List.new(Point, [Point(1, 2), Point(3, 4)]), Pointer.new(Point, Point(5, 6))
    call(kv.fill, bytearray(2), memoryview(bytearray(4)).cast("h"), points, count)
    (found,) = recorder
    assert found.arguments == {
        "out": b"\0\0",
        "wide": [0, 0],
        "points": [Point(1, 2), Point(3, 4)],
        "count": Point(5, 6),
    }
    assert found.after == {
        "out": b"\x09\0",
        "wide": [9, 0],
        "points": [Point(9, 9), Point(3, 4)],
        "count": Point(8, 8),
    }


def test_calls_are_found_by_function_and_forgotten_on_demand() -> None:
    recorder, kv = recorded()
    call(kv.get, "a")
    call(kv.fill, b"x", b"xx", List.new(Point, [Point(0, 0)]), Pointer.new(Point))
    assert [each.name for each in recorder["kv::get"]] == ["kv::get"]
    assert [each.function for each in recorder["f*"]] == ["fill"]
    assert [each.function for each in recorder[:1]] == ["get"]
    assert (len(recorder), repr(recorder)) == (2, "<recorder of 2 calls>")
    recorder.clear()
    assert list(recorder) == []


def test_a_pointer_to_nowhere_is_recorded_and_traps() -> None:
    recorder, kv = recorded()
    guest = """(module (import "kv" "fill" (func $fill (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "run") (result i32) (call $fill (i32.const 0) (i32.const 1) (i32.const 2) (i32.const 1)
            (i32.const 8) (i32.const 1) (i32.const -4))))"""
    with hostmod.instantiate(guest, kv) as made, pytest.raises(hostmod.SegmentationFault):
        made.exports.run()
    assert recorder[0].arguments["count"] == "Pointer[Point](0xfffffffc)"
    assert recorder[0].trapped
