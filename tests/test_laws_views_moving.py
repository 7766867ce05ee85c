"""Views of memory that moves when it grows: they end before the guest runs again"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import wasmtime
from kept_views import REACHES, Keeper
from versions import moves
from wat import passing, run_apart

import hostmod
from hostmod import ViewEscapedError
from hostmod._wasmtime import store
from hostmod.types import Int32


class Mover(hostmod.GuestModule):
    @hostmod.export
    def grow(self, pages: Int32) -> Int32: ...

    @hostmod.export
    def answer(self) -> Int32: ...


def moving_guest(keeper: Keeper) -> hostmod.Guest:
    config = wasmtime.Config()
    config.memory_reservation = config.memory_reservation_for_growth = 0
    config.memory_guard_size = 65536
    more = '(func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))'
    guest = hostmod.instantiate(passing(Keeper, more=more), keeper, engine=wasmtime.Engine(config))
    guest.memory.write(0, b"abcdefgh" * 4)
    return guest


def _define(guest: hostmod.Guest) -> None:
    linker = wasmtime.Linker(guest.store.engine)
    linker.define_module(guest.store, "empty", wasmtime.Module(guest.store.engine, "(module)"))


def _raw(guest: hostmod.Guest, name: str, *arguments: int) -> object:
    function: Any = guest.instance.exports(guest.store)[name]
    return function(guest.store, *arguments)


def _memory(guest: hostmod.Guest) -> wasmtime.Memory:
    memory = guest.instance.exports(guest.store)["memory"]
    assert isinstance(memory, wasmtime.Memory)
    return memory


RUNS: dict[str, Callable[[hostmod.Guest], object]] = {
    "an export": lambda guest: guest.exports.grow(40),
    "an export that grows nothing": lambda guest: guest.exports.answer(),
    "wasmtime's Func": lambda guest: _raw(guest, "grow", 40),
    "wasmtime's Memory.grow": lambda guest: _memory(guest).grow(guest.store, 40),
    "Guest.memory.grow": lambda guest: guest.memory.grow(40),
    "a GuestModule": lambda guest: Mover(guest.store, guest.instance).grow(40),
    "Linker.instantiate": lambda guest: wasmtime.Linker(guest.store.engine).instantiate(
        guest.store, wasmtime.Module(guest.store.engine, "(module)")
    ),
    "Linker.define_module": _define,
    "Instance": lambda guest: wasmtime.Instance(
        guest.store, wasmtime.Module(guest.store.engine, "(module)"), []
    ),
}


def _kept_by_the_call(guest: hostmod.Guest, keeper: Keeper) -> None:
    with pytest.raises(ViewEscapedError):
        guest.exports.bytes(0, 8)


def _kept_by_an_exception(guest: hostmod.Guest, keeper: Keeper) -> None:
    try:
        guest.exports.fails(0, 8)
    except RuntimeError as error:
        keeper.kept.append(error)


def _kept_outside(guest: hostmod.Guest, keeper: Keeper) -> None:
    keeper.kept.append(keeper.how(guest.memory.view(0, 8)))


@moves
@pytest.mark.parametrize(
    "kept",
    [_kept_by_the_call, _kept_by_an_exception, _kept_outside],
    ids=lambda kept: kept.__name__.replace("_", " ").strip(),
)
@pytest.mark.parametrize(
    "what",
    ["a slice", "a cast of a slice", "numpy.frombuffer", "the origin", "ctypes", "a slice in a closure"],
)
@pytest.mark.parametrize("run", RUNS)
def test_a_guest_whose_memory_moves_does_not_run_while_something_shows_it(
    run: str, what: str, kept: Callable[[hostmod.Guest, Keeper], None]
) -> None:
    keeper = Keeper(REACHES[what])
    with moving_guest(keeper) as guest:
        kept(guest, keeper)
        size = len(guest.memory)
        for _ in range(2):
            with pytest.raises(ViewEscapedError):
                RUNS[run](guest)
            assert (len(guest.memory), guest.memory.read(0, 8)) == (size, b"abcdefgh")
            guard = store.guard_of(guest.store)
            assert (guard.depth, guard.owner) == (0, 0)
        keeper.kept.clear()
        gc.collect()
        RUNS[run](guest)
        assert guest.memory.read(0, 8) == b"abcdefgh"
        assert guest.exports.grow(1) >= 1


@moves
@pytest.mark.parametrize("run", RUNS)
def test_plain_views_of_a_memory_that_moves_end_before_its_guest_runs(run: str) -> None:
    with moving_guest(Keeper()) as guest:
        view = guest.memory.view(0, 8)
        assert bytes(view) == b"abcdefgh"
        RUNS[run](guest)
        with pytest.raises(ValueError, match="released"):
            view[0]
        assert bytes(guest.memory.view(0, 8)) == b"abcdefgh"


def test_what_is_taken_up_anew_while_it_ends_ends_the_next_time_too() -> None:
    moving: set[Any] = set()

    class Window:
        again: ClassVar[bool] = True
        ended = 0

        def end(self) -> bool:
            self.ended += 1
            moving.add(self)  # as a signal's handler does that reads the memory just then
            return True

    window = Window()
    moving.add(window)
    for times in (1, 2):
        store.end_moving(moving, "test")
        assert (window.ended, moving) == (times, {window})


@moves
def test_a_view_is_of_where_the_memory_is_when_making_it_lets_the_guest_grow() -> None:
    # The first view of a store makes what keeps its memory. On 3.11 that can run Python's collector, and so any code.
    host = """
    import gc, sys
    import wasmtime, hostmod
    from hostmod import HostModule, function
    from hostmod.types import Bytes, Caller, Uint32

    GUEST = '''(module (import "host" "look" (func $look (param i32 i32)))
      (import "host" "show" (func $show))
      (memory (export "memory") 1) (data (i32.const 8) "abcdefgh")
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "look") (call $look (i32.const 8) (i32.const 8)))
      (func (export "show") (call $show)))'''

    class Host(HostModule, name="host"):
        @function
        def look(self, data: Bytes) -> None:
            armed.clear()
            seen.append(bytes(data))

        @function
        def show(self, caller: Caller) -> None:
            memory = caller.memory
            assert memory.size
            gc.collect()
            armed.append(guest)
            gc.set_threshold(threshold, 1000, 1000)
            view = memory.view(8, 8)
            gc.set_threshold(0)
            armed.clear()
            seen.append(bytes(view))

    seen, armed = [], []
    def collected(phase, info):
        if armed and phase == "stop":
            armed.pop().exports.grow(100)

    gc.callbacks.append(collected)
    for name in ("look", "show"):
        for threshold in range(1, 40):
            config = wasmtime.Config()
            config.memory_reservation = config.memory_reservation_for_growth = 0
            config.memory_guard_size = 65536
            guest = hostmod.instantiate(GUEST, Host(), engine=wasmtime.Engine(config))
            call = guest.exports[name]
            guest.exports.grow(0)
            gc.collect()
            if name == "look":
                armed.append(guest)
                gc.set_threshold(threshold, 1000, 1000)
            try:
                call()
            except (ValueError, hostmod.StoreBusyError):
                pass  # it ended while it was made
            gc.set_threshold(0)
            armed.clear()
            guest.close()
    assert set(seen) == {b"abcdefgh"}, set(seen)
    print("fine")
    """
    assert run_apart(host) == "fine\n"
