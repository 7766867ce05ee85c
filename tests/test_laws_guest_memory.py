"""The memory of a guest outside of calls: what it shows, and closing under it"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy
import pytest
from kept_views import Keeper, guest_of, keepers_of
from wat import run_apart

import hostmod
from hostmod import HostModule, StaleMemoryError, StoreBusyError, function


def test_a_view_of_a_guest_s_memory_may_stay_and_keeps_it() -> None:
    keeper = Keeper()
    guest = guest_of(keeper)
    view = guest.memory.view(0, 4)
    part = view[1:3]
    assert guest.exports.answer() == 42
    assert guest.memory.grow(1) == 1
    view.release()
    part[0] = 66
    assert guest.memory.read(0, 4) == b"aBcd"
    kept = keepers_of(guest)
    guest.close()
    part[1] = 67
    assert bytes(part) == b"BC"
    part.release()
    assert kept() is None


def test_numpy_over_a_guest_s_memory_keeps_it_too() -> None:
    guest = guest_of(Keeper())
    shown = numpy.frombuffer(guest.memory.view(0, 8), numpy.uint8)
    guest.close()
    del guest
    gc.collect()
    assert shown.tobytes() == b"abcdefgh"


def test_a_view_of_a_guest_s_memory_cannot_be_had_while_it_runs() -> None:
    class Asks(HostModule, name="asks"):
        guest: hostmod.Guest

        @function
        def f(self) -> None:
            self.guest.memory.view(0, 4)

    asks = Asks()
    with guest_of(asks) as asks.guest:
        with pytest.raises(StoreBusyError, match=r"Caller\.memory\.view"):
            asks.guest.exports.f()
        asks.guest.memory.view(0, 4).release()
    del asks.guest


def test_a_closed_guest_s_memory_raises() -> None:
    guest = guest_of(Keeper())
    memory = guest.memory
    guest.close()
    for use in (
        lambda: memory.read(0, 1),
        lambda: memory.write(0, b"x"),
        lambda: memory.view(0, 1),
        lambda: memory.size,
        lambda: memory.read_uint8(0),
        lambda: len(memory),
    ):
        with pytest.raises(StaleMemoryError, match="its store is closed"):
            use()


SMALL = """
import hostmod, signal, sys, threading, wasmtime

config = wasmtime.Config()
config.memory_reservation = config.memory_reservation_for_growth = 0
config.memory_guard_size = 65536
small = wasmtime.Engine(config)

def at_once(do):
    def handle(*_):
        signal.setitimer(signal.ITIMER_REAL, 0)
        do()
    signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
"""


def test_a_signal_s_handler_may_close_a_guest_whose_memory_is_searched() -> None:
    source = """
guest = hostmod.instantiate('(module (memory (export "memory") 2048))')
memory = guest.memory
at_once(guest.close)
try:
    while True:
        try:
            memory.find(1, 0, 2**27)
        except hostmod.SegmentationFault:
            pass
except hostmod.StaleMemoryError as error:
    print(error)
print(repr(memory))
"""
    told = run_apart(SMALL + source).splitlines()
    assert told == [
        "guest memory: its store is closed; use it before closing the guest",
        "<guest memory, closed>",
    ]


def test_a_signal_s_handler_may_grow_a_memory_that_is_searched() -> None:
    source = """
guest = hostmod.instantiate('(module (memory (export "memory") 1024))', engine=small)
grown = []
at_once(lambda: grown.extend(guest.memory.grow(1) for _ in range(3)))
while not grown:
    try:
        guest.memory.find(1, 0, 2**26)
    except hostmod.SegmentationFault:
        pass
print(grown, len(guest.memory) // 65536)
"""
    assert run_apart(SMALL + source) == "[1024, 1025, 1026] 1027\n"


def test_a_thread_that_reads_sees_the_store_close() -> None:
    source = """
sys.setswitchinterval(1e-6)
for attempt in range(60):
    guest = hostmod.instantiate('(module (memory (export "memory") 16))')
    memory, go, said = guest.memory, threading.Event(), []

    def read():
        go.set()
        try:
            while True:
                try:
                    memory.read(0, 65536 * 8)
                except hostmod.StoreBusyError:
                    pass  # it is being closed
        except ValueError as error:
            said.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    go.wait()
    while True:
        try:
            guest.close()
            break
        except (hostmod.StoreBusyError, hostmod.ViewEscapedError):
            pass
    thread.join()
    assert said
print("closed")
"""
    assert run_apart(SMALL + source) == "closed\n"


class Closing:
    """An offset that does something when it is asked for its number."""

    do: Callable[[], object]

    def __index__(self) -> int:
        self.do()
        return 0


def test_an_offset_that_closes_the_guest_reads_nothing() -> None:
    guest = hostmod.instantiate('(module (memory (export "memory") 4))')
    memory = guest.memory
    memory.read(0, 1)
    offset: Any = Closing()
    offset.do = guest.close
    with pytest.raises(StaleMemoryError, match="closed"):
        memory.read(offset, 65536)


def test_a_memory_that_is_in_use_at_the_moment_stays_until_that_is_over() -> None:
    guest = hostmod.instantiate('(module (memory (export "memory") 1))')
    window = guest.memory._window()
    part = window[0:8]
    assert guest.memory.grow(1) == 1
    kept = keepers_of(guest)
    guest.close()
    assert bytes(part) == bytes(8)
    with pytest.raises(ValueError, match="released"):
        window[0]
    part.release()
    assert kept() is None


def test_what_is_left_of_a_closed_guest_says_that_it_is_closed() -> None:
    guest = hostmod.instantiate('(module (memory (export "memory") 1) (func (export "late")))')
    memory = guest.memory
    guest.close()
    uses: list[Callable[[], object]] = [
        lambda: guest.exports.late,
        lambda: memory.grow(1),
        lambda: memory.read(0, 1),
        lambda: memory.view(0, 1),
        lambda: len(memory),
    ]
    for use in uses:
        with pytest.raises(StaleMemoryError, match="closed"):
            use()
    assert repr(memory) == "<guest memory, closed>"
    unused = hostmod.instantiate('(module (memory (export "memory") 1))')
    unused.close()
    with pytest.raises(StaleMemoryError, match="closed"):
        unused.memory  # noqa: B018  # asked for what it raises
    assert hostmod.instantiate('(module (memory (export "memory") 1))').memory != memory


def test_views_that_are_taken_while_the_first_is_made_end_with_their_call() -> None:
    program = """
    import sys
    import hostmod
    from hostmod import HostModule, function
    from hostmod.types import Caller, Int32
    from wat import passing

    taken = []

    class Host(HostModule, name="host"):
        @function
        def f(self, caller: Caller) -> Int32:
            memory = caller.memory

            def profiled(frame, event, argument):
                if event == "call" and frame.f_code.co_name == "_look" and not taken:
                    taken.append(memory.view(64, 8))

            sys.setprofile(profiled)
            view = memory.view(128, 4)
            sys.setprofile(None)
            taken.append(view)
            return len(view)

    with hostmod.instantiate(passing(Host), Host()) as guest:
        assert guest.exports.f() == 4
        for view in taken:
            try:
                view.nbytes
            except ValueError:
                continue
            print("a view outlived its call")
    print("done")
    """
    assert run_apart(program) == "done\n"
