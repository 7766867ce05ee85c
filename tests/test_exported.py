"""Host functions that call their guest: `Caller.exports` and `Caller.guest`."""

from __future__ import annotations

from typing import Any

import pytest
import wasmtime

import hostmod
from hostmod import GuestModule, HostModule, LinkError, StaleMemoryError, export, function
from hostmod.types import Bytes, Caller, Int32, Owned, String, Uint32

GUEST = """(module
  (import "host" "work" (func $work (param i32) (result i32)))
  (memory (export "memory") 1) (global (export "answer") i32 (i32.const 42)) (global $live (mut i32) (i32.const 0))
  (func (export "malloc") (param i32) (result i32)
    (global.set $live (i32.add (global.get $live) (i32.const 1))) (i32.const 64))
  (func (export "free") (param i32) (global.set $live (i32.sub (global.get $live) (i32.const 1))))
  (func (export "live") (result i32) (global.get $live))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "first") (param i32 i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "trap") (unreachable))
  (func (export "run") (param i32) (result i32) (call $work (local.get 0))))"""


class Typed(GuestModule):
    @export
    def add(self, a: Int32, b: Int32) -> Int32: ...

    @export
    def first(self, text: String) -> Uint32: ...


class Host(HostModule, name="host"):
    def __init__(self, work: Any) -> None:
        self._work = work

    @function
    def work(self, caller: Caller, value: Int32) -> Int32:
        result: int = self._work(caller, value)
        return result


def run(work: Any, text: str = GUEST, value: int = 5) -> Any:
    with hostmod.instantiate(text, Host(work)) as guest:
        result = guest.exports.run(value)
        assert guest.exports.live() == 0
        return result


def test_a_host_function_calls_an_export_of_its_caller() -> None:
    assert run(lambda caller, value: caller.exports.add(value, 1)) == 6
    assert run(lambda caller, value: caller.exports["add"](value, -1)) == 4


def test_a_host_function_calls_its_caller_with_strings() -> None:
    assert run(lambda caller, value: caller.guest(Typed).first("A")) == 65


def test_what_is_made_is_made_once_for_each_guest() -> None:
    seen: list[Any] = []

    def work(caller: Caller, value: int) -> int:
        seen.append((caller.exports.add, caller.guest(Typed)))
        return 0

    with hostmod.instantiate(GUEST, Host(work)) as one, hostmod.instantiate(GUEST, Host(work)) as other:
        for guest in (one, one, other):
            guest.exports.run(1)
    assert seen[0][0] is seen[1][0]
    assert seen[0][1] is seen[1][1]
    assert seen[0][1] is not seen[2][1]
    with pytest.raises(StaleMemoryError):
        seen[0][0](1, 2)


def test_two_guests_in_one_store_are_told_apart() -> None:
    seen: list[int] = []

    def work(caller: Caller, value: int) -> int:
        seen.append(caller.guest(Typed).first(chr(value)))
        caller.memory.write_uint8(64, 0)
        return 0

    with hostmod.instantiate(GUEST, Host(work)) as one:
        other = hostmod.instantiate(GUEST, Host(work), store=one.store)
        one.exports.run(65)
        other.exports.run(66)
        one.exports.run(67)
    assert seen == [65, 66, 67]


def test_other_exports_are_wasmtime_s_and_missing_ones_are_said() -> None:
    def work(caller: Caller, value: int) -> int:
        assert isinstance(caller.exports.memory, wasmtime.Memory)
        assert isinstance(caller.exports["answer"], wasmtime.Global)
        assert "add" in caller.exports
        assert "gone" not in caller.exports
        with pytest.raises(AttributeError, match="does not export 'gone'"):
            caller.exports.gone  # noqa: B018
        with pytest.raises(KeyError, match="does not export 'gone'"):
            caller.exports["gone"]
        return 1

    assert run(work) == 1


def test_a_caller_that_differs_from_what_is_declared_is_said() -> None:
    class Wrong(GuestModule):
        @export
        def add(self, a: Int32) -> Int32: ...

    with pytest.raises(
        LinkError, match=r"Wrong\.add: declared \(i32\) -> i32, the guest has \(i32, i32\) -> i32"
    ):
        run(lambda caller, value: caller.guest(Wrong))


def test_a_trap_of_the_export_reaches_whoever_called_the_guest() -> None:
    with pytest.raises(hostmod.Trap, match="unreachable"):
        run(lambda caller, value: caller.exports.trap())


def test_a_caller_is_of_no_use_after_its_call() -> None:
    kept: list[Caller] = []

    def work(caller: Caller, value: int) -> int:
        kept.append(caller)
        return 0

    run(work)
    with pytest.raises(StaleMemoryError):
        kept[0].exports.add(1, 2)
    with pytest.raises(StaleMemoryError):
        kept[0].guest(Typed)


def test_start_functions_are_callers_too() -> None:
    text = GUEST.replace(
        "(import", '(import "host" "work" (func $at_start (param i32) (result i32)))\n  (import', 1
    )
    text = text[: text.rindex(")")] + "(func $start (drop (call $at_start (i32.const 70)))) (start $start))"
    seen: list[int] = []

    def work(caller: Caller, value: int) -> int:
        seen.append(caller.exports.add(value, 1))
        seen.append(caller.guest(Typed).first("B"))
        return 0

    with hostmod.instantiate(text, Host(work)):
        assert seen == [71, 66]


def test_a_linker_of_one_s_own_works_too() -> None:
    engine = wasmtime.Engine()
    linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
    Host(lambda caller, value: caller.exports.add(value, 2)).link(linker)
    instance = linker.instantiate(store, hostmod.load(GUEST, engine))
    assert instance.exports(store)["run"](store, 5) == 7  # type: ignore[operator]  # a Func


def test_owned_results_of_the_caller_are_freed() -> None:
    text = GUEST.replace(
        '(func (export "trap")',
        """(func (export "text") (result i32 i32) (global.set $live (i32.add (global.get $live) (i32.const 1)))
        (i32.store8 (i32.const 80) (i32.const 72)) (i32.const 80) (i32.const 1))
        (func (export "trap")""",
    )

    class Texts(GuestModule):
        @export
        def text(self) -> Owned[String]: ...

        @export("text")
        def data(self) -> Owned[Bytes]: ...

    def work(caller: Caller, value: int) -> int:
        assert caller.guest(Texts).text() == "H"
        assert caller.guest(Texts).data() == b"H"
        return 3

    assert run(work, text) == 3
