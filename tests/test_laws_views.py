"""Law 2, of views: a view ends with its call, and what cannot be ended is said and keeps its store as it is."""

from __future__ import annotations

import array
import collections
import contextlib
import functools
import gc
import io
import queue
import re
import struct as packing
import sys
import tracemalloc
import types
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import wasmtime
from kept_views import LENDING, REACHES, Holder, Keeper, _queued, guest_of, keepers_of, lending
from wat import passing, run_apart

import hostmod
from hostmod import HostModule, StaleMemoryError, ViewEscapedError, function
from hostmod._wasmtime import store
from hostmod.types import Array, Bytes, List, Pointer, Uint32


class Slotted:
    """An object with a place for a view, and no dict."""

    __slots__ = ("view",)

    def __init__(self, view: memoryview) -> None:
        self.view = view


def locals_of(error: BaseException) -> list[dict[str, Any]]:
    """The local variables of every frame in an exception's traceback."""
    found = []
    trace = error.__traceback__
    while trace is not None:
        found.append(dict(trace.tb_frame.f_locals))
        trace = trace.tb_next
    return found


PLAIN: dict[str, tuple[Callable[[memoryview], Any], Callable[[Any], object]]] = {
    "the view": (lambda data: data, lambda kept: kept[0]),
    "a list": (lambda data: [data, 1], lambda kept: kept[0][0]),
    "a deque": (lambda data: collections.deque([data]), lambda kept: kept[0][0]),
    "an ordered dict": (lambda data: collections.OrderedDict(data=data), lambda kept: kept["data"][0]),
    "a queue": (_queued, lambda kept: kept.get_nowait()[0]),
    "a tuple in a list": (lambda data: [(data, 1)], lambda kept: kept[0][0][0]),
    "an object": (Holder, lambda kept: kept.view[0]),
    "an object with slots": (Slotted, lambda kept: kept.view[0]),
    "an iterator": (iter, next),
    "a generator": (lambda data: (byte for byte in data), next),
    "a closure": (lambda data: lambda: data[0], lambda kept: kept()),
    "a partial": (lambda data: functools.partial(bytes, data), lambda kept: kept()),
    "a method": (lambda data: data.tobytes, lambda kept: kept()),
    "bound to a method": (lambda data: types.MethodType(len, data), lambda kept: kept()),
    "a match": (lambda data: re.match(b"ab", data), lambda kept: kept.group()),
    "writing": (lambda data: data, lambda kept: kept.__setitem__(0, 1)),
    "a size": (lambda data: data, lambda kept: kept.nbytes),
    "a list of its items": (lambda data: data, list),
    "a new slice": (lambda data: data, lambda kept: kept[1:]),
}


@pytest.mark.parametrize("what", PLAIN)
@lending
def test_a_view_that_was_kept_is_of_no_use_after_its_call(name: str, what: str) -> None:
    how, use = PLAIN[what]
    keeper = Keeper(how)
    with guest_of(keeper) as guest:
        for _ in range(3):
            guest.exports[name](*LENDING[name])
            with pytest.raises((ValueError, TypeError), match=r"released|expected string or bytes-like"):
                use(keeper.kept[-1])
        assert guest.exports.answer() == 42
        assert guest.memory.read(0, 8) == b"abcdefgh"
    for kept in keeper.kept:
        with pytest.raises((ValueError, TypeError, StopIteration, queue.Empty)):  # a generator has ended
            use(kept)


COPIES: dict[str, Callable[[memoryview], Any]] = {
    "bytes": lambda data: bytes(data[:8]),
    "a list of items": lambda data: list(data.cast("B")),
    "io.BytesIO": lambda data: io.BytesIO(data).getvalue(),
    "an array": lambda data: array.array("B", data.tobytes()),
    "numpy.array": lambda data: numpy.array(data[:8]).tobytes(),
    "slices in a comprehension": lambda data: b"".join(bytes(data[at : at + 1]) for at in range(len(data))),
}


@pytest.mark.parametrize("what", COPIES)
@lending
def test_a_copy_of_what_a_view_showed_stays(name: str, what: str) -> None:
    keeper = Keeper(COPIES[what])
    with guest_of(keeper) as guest:
        guest.exports[name](*LENDING[name])
    assert bytes(keeper.kept[0]) == b"abcdefgh"


@pytest.mark.parametrize("what", REACHES)
@lending
def test_what_can_reach_memory_past_its_call_is_said_and_keeps_the_memory(name: str, what: str) -> None:
    keeper = Keeper(REACHES[what])
    guest = guest_of(keeper)
    for _ in range(2):
        with pytest.raises(
            ViewEscapedError, match=rf"keeper\.{name}: a view of guest memory was kept past its call"
        ):
            guest.exports[name](*LENDING[name])
        # Its memory cannot move, so the guest goes on.
        assert guest.exports.answer() == 42
        assert guest.memory.grow(1)
        assert guest.memory.read(0, 4) == b"abcd"
    kept = keepers_of(guest)
    guest.close()
    assert kept() is not None, "the memory has gone under what shows it"
    with pytest.raises(StaleMemoryError):
        guest.exports.answer()
    keeper.kept.clear()
    assert kept() is None, "the memory stays though nothing shows it"


@pytest.mark.parametrize("what", REACHES)
@pytest.mark.parametrize("how", ["returning", "an errno", "a bug"])
def test_the_outcome_is_the_same_however_the_function_ends(how: str, what: str) -> None:
    keeper = Keeper(REACHES[what])
    guest = guest_of(keeper)
    call = {"returning": "bytes", "an errno": "refuses", "a bug": "breaks"}[how]
    if how == "a bug":
        with pytest.raises(RuntimeError, match="a bug") as caught:
            guest.exports[call](0, 8)
        assert not [note for note in caught.value.__notes__ if "view" in note]
        del caught
    else:
        with pytest.raises(ViewEscapedError):
            guest.exports[call](0, 8)
    kept = keepers_of(guest)
    guest.close()
    assert kept() is not None
    keeper.kept.clear()
    assert kept() is None


def test_the_memory_of_a_closed_guest_can_be_read_and_written_by_what_shows_it() -> None:
    keeper = Keeper(numpy.asarray)
    guest = guest_of(keeper)
    with pytest.raises(ViewEscapedError):
        guest.exports.bytes(0, 8)
    shown = keeper.kept[0]
    guest.close()
    del guest, keeper
    gc.collect()
    assert shown.tobytes() == b"abcdefgh"
    shown[0] = 65
    assert shown.tobytes() == b"Abcdefgh"


ESCAPE = """
import gc, sys, weakref
import numpy
import hostmod
from hostmod import HostModule, ViewEscapedError, function
from hostmod.types import Bytes
from wat import passing

kept = []

class Keeper(HostModule, name="keeper"):
    @function
    def keep(self, data: Bytes) -> None:
        kept.append(numpy.frombuffer(data, numpy.uint8))

guest = hostmod.instantiate(passing(Keeper), Keeper)
guest.memory.write(0, b"abcdefgh")

class Lazy:
    @property
    def __class__(self):
        raise RuntimeError("not set up")

def dead():
    return weakref.proxy(Lazy())

ways = {"nothing": lambda: None, "a dead proxy": dead, "a lazy object": Lazy, "a frozen heap": gc.freeze}
around = ways[sys.argv[1]]()
enter = guest.exports.keep if sys.argv[2] == "hostmod" else (
    lambda *arguments: guest.instance.exports(guest.store)["keep"](guest.store, *arguments))
for attempt in range(2):
    try:
        enter(0, 8)
        print("not said")
    except ViewEscapedError:
        pass
guest.close()
for each in kept:
    print(bytes(each))
"""


@pytest.mark.parametrize("way", ["hostmod", "wasmtime"])
@pytest.mark.parametrize("around", ["nothing", "a dead proxy", "a lazy object", "a frozen heap"])
def test_what_else_is_in_the_process_hides_no_array(around: str, way: str) -> None:
    assert run_apart(ESCAPE, around, way).splitlines() == ["b'abcdefgh'"] * 2


def test_a_store_that_is_closed_leaves_nothing_behind() -> None:

    before = len(store.opened)
    for _ in range(10):
        wasmtime.Store().close()
        wasmtime.Store()
    gc.collect()
    assert len(store.opened) <= before


def test_of_two_arrays_the_last_that_goes_takes_the_memory_with_it() -> None:
    keeper = Keeper(numpy.asarray)
    guest = guest_of(keeper)
    with pytest.raises(ViewEscapedError):
        guest.exports.bytes(0, 8)
    second = guest.memory.view(0, 4)
    kept = keepers_of(guest)
    guest.close()
    keeper.kept.clear()
    assert bytes(second) == b"abcd"
    assert kept() is not None
    second.release()
    assert kept() is None


def test_an_array_outlives_everything_else() -> None:
    keeper = Keeper(numpy.asarray)
    guest = guest_of(keeper)
    with pytest.raises(ViewEscapedError):
        guest.exports.bytes(0, 8)
    shown = keeper.kept.pop()
    del guest, keeper
    gc.collect()
    assert shown.tobytes() == b"abcdefgh"
    shown[0] = 65
    assert shown.tobytes() == b"Abcdefgh"


def test_an_array_in_a_reference_cycle_is_said_and_lets_go_of_the_memory_when_it_is_collected() -> None:
    def cycle(data: memoryview) -> None:
        holder: list[Any] = [numpy.asarray(data)]
        holder.append(holder)

    guest = guest_of(Keeper(cycle))
    with pytest.raises(ViewEscapedError):
        guest.exports.bytes(0, 8)
    kept = keepers_of(guest)
    guest.close()
    gc.collect()
    assert kept() is None


def test_an_array_in_the_frame_that_raised_is_kept_with_the_exception() -> None:
    guest = guest_of(Keeper(numpy.asarray))
    found: list[BaseException] = []
    try:
        guest.exports.fails(0, 8)
    except RuntimeError as error:
        found.append(error)
    assert "with ndarray" in str(found[0])
    assert not [note for note in found[0].__notes__ if "view" in note]
    assert guest.exports.answer() == 42
    kept = keepers_of(guest)
    guest.close()
    (shown,) = (each["local"] for each in locals_of(found[0]) if "local" in each)
    assert shown.tobytes() == b"abcdefgh"
    del shown
    found.clear()
    gc.collect()
    assert kept() is None


def test_a_number_that_shows_memory_is_returned_like_any_other() -> None:
    class Number(HostModule, name="number"):
        @function
        def first(self, data: Array[Uint32]) -> Uint32:
            return numpy.asarray(data)[:1].reshape(())  # type: ignore[return-value]  # it has __index__

        @function
        def both(self, at: Pointer[Uint32]) -> tuple[Uint32, Uint32]:
            number = numpy.asarray(at.memory.view(at.offset, 4))[:1].reshape(())
            return number, number  # type: ignore[return-value]  # it has __index__

    with hostmod.instantiate(passing(Number), Number) as guest:
        guest.memory.write(0, bytes([7, 0, 0, 0]))
        assert guest.exports.first(0, 1) == 7
        assert guest.exports.both(0) == (7, 7)


def test_every_view_in_the_frames_of_what_was_raised_is_ended_or_still_shows_memory() -> None:
    keeper = Keeper(lambda data: data[2:4])
    guest = guest_of(keeper)
    errors: list[BaseException] = []
    for name, arguments in (
        ("fails", (0, 8)),
        ("faults", (0, 8)),
        ("bytes", (65530, 100)),
        ("beside_a_pointer", (0, 65530, 100)),
        ("reads", (70000,)),
    ):
        with pytest.raises((RuntimeError, hostmod.SegmentationFault)) as caught:
            guest.exports[name](*arguments)
        errors.append(caught.value)
    with pytest.raises(hostmod.SegmentationFault) as caught:
        guest.memory.read(65536, 1)
    errors.append(caught.value)
    guest.close()
    used = 0
    for error in errors:
        for each in locals_of(error):
            for value in list(each.values()):
                if isinstance(value, memoryview):
                    used += 1
                    with contextlib.suppress(ValueError):  # it was released
                        bytes(value)
    assert used >= 4


def test_no_call_counts_references_or_looks_through_the_heap(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Any:
        raise AssertionError("objects were counted, or looked for")

    keeper = Keeper(lambda data: data[1:])
    guest = guest_of(keeper)
    for module, name in (
        (gc, "get_referrers"),
        (gc, "get_referents"),
        (gc, "get_objects"),
        (gc, "collect"),
        (sys, "getrefcount"),
    ):
        monkeypatch.setattr(module, name, refuse)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="with memoryview"):
            guest.exports.fails(0, 8)
        for name, arguments in LENDING.items():
            with pytest.raises(ViewEscapedError):
                guest.exports[name](*arguments)
    guest.close()


@lending
def test_a_view_that_was_released_may_be_kept(name: str) -> None:
    def released(data: memoryview) -> memoryview:
        with data[1:3] as part:
            bytes(part)
        data.release()
        return data

    keeper = Keeper(released)
    with guest_of(keeper) as guest:
        for _ in range(3):
            guest.exports[name](*LENDING[name])
    assert len(keeper.kept) == 3


def test_what_was_kept_of_one_call_leaves_the_views_of_the_next_alone() -> None:
    class Compares(HostModule, name="compares"):
        def __init__(self) -> None:
            self.kept: list[memoryview] = []

        @function
        def f(self, data: Bytes) -> Uint32:
            for old in self.kept:
                with pytest.raises(ValueError, match="released"):
                    old[0]
            self.kept.append(data)
            return data[0]

    compares = Compares()
    with guest_of(compares) as guest:
        for at in range(8):
            assert guest.exports.f(at, 2) == b"abcdefgh"[at]


def test_a_list_of_bytes_that_nobody_holds_takes_no_memory() -> None:
    class Sums(HostModule, name="sums"):
        def __init__(self) -> None:
            self.most: list[int] = []

        @function
        def all(self, items: List[Bytes]) -> Uint32:
            tracemalloc.start()
            found = sum(len(each) for each in items)
            self.most.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            return found

    sums = Sums()
    count = 100_000
    with hostmod.instantiate(passing(Sums, memory='(memory (export "memory") 100)'), sums) as guest:
        guest.memory.write(0, packing.pack("<II", 8, 3) * count)
        for _ in range(3):
            assert guest.exports.all(0, count) == 3 * count
    assert min(sums.most) < 1 << 20, f"{min(sums.most) / count:.0f} bytes an item"
