"""Law 2: memory that grows in a call is seen at its new size, and views of memory that moves end"""

from __future__ import annotations

import textwrap
from typing import Annotated, Any

import pytest
import wasmtime
from versions import moves
from wat import passing, run_apart

import hostmod
from hostmod import HostModule, function
from hostmod.types import (
    Bytes,
    Caller,
    GuestType,
    Pointer,
    String,
    Uint32,
)

PAGE = 65536


GROW = '(func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))'


class Growing(HostModule, name="growing"):
    """Lets the guest grow its memory in the middle of a call."""

    guest: hostmod.Guest
    pages = 1

    @function
    def pointer(self, at: Pointer[Uint32]) -> None:
        self.guest.exports.grow(self.pages)
        at.store(77)

    @function
    def views(self, data: Bytes, caller: Caller) -> None:
        before = len(caller.memory)
        early = caller.memory.view(0, 4)
        self.guest.exports.grow(self.pages)
        assert len(caller.memory) == before + self.pages * PAGE
        assert caller.memory.size == len(caller.memory)
        caller.memory.write(before, b"new")
        for view in (data, early):
            try:
                view[0] = 65
            except ValueError as error:
                assert "released" in str(error)  # noqa: PT017  # either is fine, and nothing else
        late = caller.memory.view(0, 4)
        late[1] = 66

    @function
    def late(self, at: Pointer[Uint32]) -> None:
        self.guest.exports.grow(self.pages)
        at.slice(self.pages * 16384)[self.pages * 16384 - 1] = 5


def growing(moving: bool) -> tuple[Growing, hostmod.Guest]:
    config = wasmtime.Config()
    if moving:
        config.memory_reservation = 0
        config.memory_reservation_for_growth = 0
        config.memory_guard_size = 0
    host = Growing()
    host.guest = hostmod.instantiate(passing(Growing, more=GROW), host, engine=wasmtime.Engine(config))
    return host, host.guest


STAYING = pytest.mark.parametrize("moving", [False, True], ids=["a memory that stays", "a memory that moves"])


@STAYING
def test_memory_that_grew_in_a_call_is_seen_at_its_new_size(moving: bool) -> None:
    host, guest = growing(moving)
    with guest:
        for _ in range(4):
            size = len(guest.memory)
            guest.exports.pointer(size)  # a byte past the end, until the guest has grown
            assert guest.memory.read_uint32(size) == 77
        for _ in range(4):
            size = len(guest.memory)
            guest.exports.views(0, 4)
            assert guest.memory.read(size, 3) == b"new"
            assert guest.memory.read(1, 1) == b"B"
        host.pages = 2
        size = len(guest.memory)
        guest.exports.late(size)
        assert guest.memory.read_uint32(len(guest.memory) - 4) == 5
    del host.guest


@STAYING
def test_guest_memory_follows_growth_outside_of_calls(moving: bool) -> None:
    host, guest = growing(moving)
    with guest:
        memory = guest.memory
        memory.write(0, b"stay")
        assert memory.grow(3) == 1
        assert len(memory) == 4 * PAGE
        assert memory.read(0, 4) == b"stay"
        guest.exports.grow(700)
        memory.write(704 * PAGE - 1, b"!")
        assert memory.read(0, 4) == b"stay"
    del host.guest


class TextType(GuestType[str]):
    """A guest type of the user's, whose loading runs the guest."""

    name = "Growing text"
    core = ("i32",)
    guest: Any = None

    def load_value(self, memory: hostmod.Memory, words: Any) -> str:
        self.guest.exports.grow(500)
        return "grown"


TEXT = TextType()


@STAYING
def test_a_guest_type_may_let_the_memory_grow_between_two_parameters(moving: bool) -> None:
    class Between(HostModule, name="growing"):
        @function
        def f(self, first: String, text: Annotated[str, TEXT], second: String, data: Bytes) -> Uint32:
            return len(first) + len(second) + len(data)

    config = wasmtime.Config()
    if moving:
        config.memory_reservation = 0
        config.memory_reservation_for_growth = 0
        config.memory_guard_size = 0
    with hostmod.instantiate(passing(Between, more=GROW), Between(), engine=wasmtime.Engine(config)) as guest:
        TEXT.guest = guest
        for _ in range(3):
            end = len(guest.memory)
            assert guest.exports.f(0, 3, 0, end, 4, end + 8, 2) == 9
        TEXT.guest = None


MOVES = """
import wasmtime, hostmod
from hostmod import HostModule, ViewEscapedError, function
from hostmod.types import Bytes, Caller, Int32, String
from wat import passing
import sys

class Typed(hostmod.GuestModule):
    @hostmod.export
    def grow_for(self, text: String) -> Int32: ...

class Plain(hostmod.GuestModule):
    @hostmod.export
    def grow_by(self, pages: Int32) -> None: ...

def is_released(view):
    try:
        view[0]
    except ValueError:
        return True
    return False

class Move(HostModule, name="move"):
    how = ""

    @function
    def take(self, data: Bytes, caller: Caller) -> None:
        self.seen = [data, caller.memory.view(0, 2)]
        part = data[1:3]
        size = len(caller.memory)
        try:
            guest.exports.grow(4000)
        except ViewEscapedError:
            assert bytes(part) == bytes(2) and len(caller.memory) == size
        else:
            raise AssertionError("the memory has moved under a slice")
        part.release()
        self.seen = [each for each in self.seen if not is_released(each)]
        self.seen.append(caller.memory.view(0, 2))
        try:
            if self.how == "hostmod":
                guest.exports.grow(4000)
            elif self.how == "wasmtime":
                guest.instance.exports(guest.store)["grow"](guest.store, 4000)
            elif self.how == "caller":
                caller["grow"](caller.raw, 4000)
            elif self.how == "memory":
                caller["memory"].grow(caller.raw, 4000)
            elif self.how == "guest memory":
                guest.memory.grow(4000)
            elif self.how == "typed":
                Typed(guest.store, guest.instance).grow_for("abc")
            elif self.how == "typed, by the caller":
                Plain(caller.raw, guest.instance).grow_by(4000)
            elif self.how == "nested":
                guest.exports.grow_and_look(4000)
        finally:
            for view in self.seen:
                try:
                    view[0] = 1
                except ValueError as error:
                    assert "released" in str(error), error
                    ended.append(view)

    @function
    def look(self) -> Int32:
        for view in self.seen:
            try:
                view[0]
            except ValueError:
                return 1
        raise AssertionError("a view of memory that has gone is in use")

more = '''(func (export "grow") (export "grow_by") (param i32) (drop (memory.grow (local.get 0))))
(func (export "malloc") (param i32) (result i32) (i32.const 1024))
(func (export "grow_for") (param i32 i32) (result i32) (memory.grow (i32.const 4000)))
(func (export "grow_and_look") (param i32) (drop (memory.grow (local.get 0))) (drop (call $look)))'''
config = wasmtime.Config()
config.memory_reservation = config.memory_reservation_for_growth = config.memory_guard_size = 0
engine = wasmtime.Engine(config)
for how in sys.argv[1:]:
    ended = []
    host = Move()
    host.how = how
    with hostmod.instantiate(passing(Move, more=more), host, engine=engine) as guest:
        guest.exports.take(0, 8)
        assert ended, how
        guest.memory.write(0, b"still here")
    print(how, "fine")
"""


@moves
def test_no_view_shows_where_a_memory_was_before_it_moved() -> None:
    ways = [
        "hostmod",
        "wasmtime",
        "caller",
        "memory",
        "guest memory",
        "typed",
        "typed, by the caller",
        "nested",
    ]
    assert run_apart(MOVES, *ways) == "".join(f"{way} fine\n" for way in ways)


@moves
def test_a_closed_guest_says_so_though_a_view_of_memory_that_moves_is_in_use() -> None:
    config = wasmtime.Config()
    config.memory_reservation = 0
    config.memory_guard_size = 0
    text = '(module (memory (export "memory") 1 9) (func (export "run")))'
    guest = hostmod.instantiate(text, engine=wasmtime.Engine(config))
    run = guest.exports.run
    kept = guest.memory.view(0, 8)[2:4]
    with pytest.raises(hostmod.ViewEscapedError):
        run()
    guest.close()
    with pytest.raises(hostmod.StaleMemoryError, match="its store is closed"):
        run()
    kept.release()


@moves
@pytest.mark.parametrize("way", ["a view of a call", "a parameter", "a view outside of calls"])
def test_a_view_is_not_of_where_a_memory_was_though_it_was_looked_at_again_meanwhile(way: str) -> None:
    program = """
    import ctypes, sys
    import hostmod, wasmtime
    from hostmod import HostModule, function
    from hostmod._wasmtime import views
    from hostmod.types import Bytes, Caller, Int32
    from wat import passing

    config = wasmtime.Config()
    config.memory_reservation = config.memory_reservation_for_growth = config.memory_guard_size = 0
    engine = wasmtime.Engine(config)
    moved = []
    original = views.Window.export

    def export(window):
        array = original(window)
        if not moved:
            moved.append(ctypes.addressof(array))
            grow(16)
            views.window_on(window.guard, window.key)
        return array

    class Host(HostModule, name="host"):
        @function
        def f(self, caller: Caller) -> Int32:
            views.Window.export = export
            view = caller.memory.view(0, 8)
            views.Window.export = original
            check(view)
            return 1

        @function
        def g(self, data: Bytes) -> None:
            views.Window.export = original
            check(data)

    def check(view):
        address = ctypes.addressof(ctypes.c_char.from_buffer(view))
        base = ctypes.cast(memory.data_ptr(guest.store), ctypes.c_void_p).value
        print(not moved or moved[0] == base or address == base)

    guest = hostmod.instantiate(passing(Host, more='(func (export "grow") (param i32) (result i32) '
        '(memory.grow (local.get 0)))'), Host(), engine=engine)
    memory = wasmtime.Memory._from_raw(guest.memory._memory)
    grow = guest.exports.grow
    if WAY == "a view of a call":
        guest.exports.f()
    elif WAY == "a parameter":
        views.Window.export = export
        guest.exports.g(0, 8)
    else:
        views.Window.export = export
        view = guest.memory.view(0, 8)
        views.Window.export = original
        check(view)
    """
    assert run_apart(f"WAY = {way!r}\n" + textwrap.dedent(program)) == "True\n"
