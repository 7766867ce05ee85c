"""Law 2, of views: what a call lent ends with it, and what cannot be ended is said and keeps its store as it is."""

from __future__ import annotations

import array
import asyncio
import collections
import contextlib
import contextvars
import copy
import ctypes
import functools
import gc
import io
import pickle
import queue
import re
import struct as packing
import sys
import threading
import tracemalloc
import types
import weakref
from collections.abc import Callable
from typing import Any

import numpy
import pytest
import wasmtime
from versions import moves
from wat import passing, run_apart

import hostmod
from hostmod import HostModule, StaleMemoryError, StoreBusyError, ViewEscapedError, function
from hostmod._wasmtime import store
from hostmod.types import Array, Bytes, Caller, Error, Int32, List, Pointer, String, Uint16, Uint32, struct


@struct
class Pair:
    a: Uint16
    b: Uint32


class Keeper(HostModule, name="keeper"):
    """Keeps what `how` makes of what it was lent."""

    def __init__(self, how: Callable[[Any], Any] = lambda data: data) -> None:
        self.how = how
        self.kept: list[Any] = []

    @function
    def bytes(self, data: Bytes) -> None:
        self.kept.append(self.how(data))

    @function
    def array(self, data: Array[Uint16]) -> None:
        self.kept.append(self.how(data))

    @function
    def beside_text(self, text: String, data: Bytes) -> None:
        self.kept.append(self.how(data))

    @function
    def beside_a_pointer(self, pointer: Pointer[Uint32], data: Bytes) -> None:
        self.kept.append(self.how(data))

    @function
    def asked(self, at: Uint32, length: Uint32, caller: Caller) -> None:
        self.kept.append(self.how(caller.memory.view(at, length)))

    @function
    def fails(self, data: Bytes) -> None:
        local = self.how(data)
        raise RuntimeError(f"with {type(local).__name__}")

    @function
    def refuses(self, data: Bytes) -> Error:
        self.kept.append(self.how(data))
        raise OSError(28, "full")

    @function
    def breaks(self, data: Bytes) -> None:
        self.kept.append(self.how(data))
        raise RuntimeError("a bug")

    @function
    def faults(self, at: Pointer[Uint32], length: Uint32) -> None:
        at.memory.write(0, b"abcd")
        local = at.memory.view(0, 8)[2:4]
        at.memory.write_uint32(2**31, len(local))

    @function
    def reads(self, at: Uint32, caller: Caller) -> None:
        caller.memory.read(at, 8)

    @function
    def answer(self) -> Int32:
        return 42


LENDING = {
    "bytes": (0, 8),
    "array": (0, 4),
    "beside_text": (16, 2, 0, 8),
    "beside_a_pointer": (0, 0, 8),
    "asked": (0, 8),
}
lending = pytest.mark.parametrize("name", LENDING)


def guest_of(host: HostModule) -> hostmod.Guest:
    guest = hostmod.instantiate(passing(type(host)), host)
    guest.memory.write(0, b"abcdefgh" * 4)
    return guest


class Holder:
    """An object with a place for a view."""

    def __init__(self, view: memoryview) -> None:
        self.view = view


class Slotted:
    """An object with a place for a view, and no dict."""

    __slots__ = ("view",)

    def __init__(self, view: memoryview) -> None:
        self.view = view


def _closed_over(view: memoryview) -> Callable[[], int]:
    return lambda: view[0]


def _queued(view: memoryview) -> queue.Queue[memoryview]:
    made: queue.Queue[memoryview] = queue.Queue()
    made.put(view)
    return made


def keepers_of(guest: hostmod.Guest) -> weakref.ref[Any]:
    """Refer, weakly, to what keeps the memory of a guest's store."""
    guard = store.guard_of(guest.store)
    return weakref.ref(store.keeper_of(guard))


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


REACHES: dict[str, Callable[[memoryview], Any]] = {
    "a slice": lambda data: data[:2],
    "a slice of a slice": lambda data: data[0:4][1:3][0:1],
    "a view of the view": memoryview,
    "a cast": lambda data: data.cast("B"),
    "a cast of a slice": lambda data: data[:2].cast("B"),
    "a list of slices": lambda data: [data[:2], data[2:]],
    "a deque of slices": lambda data: collections.deque([data[:2], data[2:]]),
    "a slice in a closure": lambda data: _closed_over(data[1:]),
    "a slice in a generator": lambda data: (byte for byte in data[1:]),
    "a slice in an object": lambda data: Holder(data[1:]),
    "a slice in a queue": lambda data: _queued(data[1:]),
    "a slice beside the view": lambda data: (data, data[1:]),
    "numpy.frombuffer": lambda data: numpy.frombuffer(data, numpy.uint8),
    "numpy.asarray": numpy.asarray,
    "numpy.ndarray": lambda data: numpy.ndarray((2,), numpy.uint8, data),
    "the origin": lambda data: data.obj,
    "numpy of the origin": lambda data: numpy.frombuffer(data.obj, numpy.uint8),  # type: ignore[call-overload]  # a buffer
    "numpy of a slice": lambda data: numpy.frombuffer(data[2:4], numpy.uint8),
    "a slice of numpy": lambda data: numpy.asarray(data)[1:],
    "numpy in an object": lambda data: Holder(numpy.asarray(data)),  # type: ignore[arg-type]  # anything will do
    "a pickle buffer": pickle.PickleBuffer,
    "unpacking": lambda data: packing.iter_unpack("B", data.cast("B")),
    "matches": lambda data: re.finditer(b"a", data.cast("B")),
    "ctypes": (ctypes.c_ubyte * 8).from_buffer,
    "ctypes inside": lambda data: (ctypes.c_ubyte * 2).from_buffer(data, 3),
    "a partial": lambda data: functools.partial(numpy.sum, numpy.asarray(data)),
}


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
    from hostmod._wasmtime import store

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


# ----------------------------------------------------------------------------------- further places to keep it


VARIABLE: contextvars.ContextVar[Any] = contextvars.ContextVar("VARIABLE")


@functools.cache
def cached(host: int) -> list[Any]:
    return []


def in_a_context(view: memoryview) -> contextvars.Context:
    """Set a variable in a copy of the present context."""
    context = contextvars.copy_context()
    context.run(VARIABLE.set, view[1:])
    return context


def under_a_weak_key(view: memoryview) -> tuple[Holder, weakref.WeakKeyDictionary[Holder, memoryview]]:
    """Put a slice into a dict that lets go of it with its key."""
    key = Holder(view)
    return key, weakref.WeakKeyDictionary({key: view[1:]})


def in_a_thread(view: memoryview) -> tuple[threading.Thread, threading.Event]:
    """Start a thread that has a slice as its local until it is told to end."""
    stop, started = threading.Event(), threading.Event()

    def work() -> None:
        part = view[1:]
        started.set()
        stop.wait(60)
        with contextlib.suppress(ValueError):
            bytes(part)

    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(60)
    return thread, stop


def in_a_task(view: memoryview) -> tuple[asyncio.AbstractEventLoop, asyncio.Task[bytes]]:
    """Make a task that waits with a slice as its local."""
    loop = asyncio.new_event_loop()

    async def work() -> bytes:
        part = view[1:]
        await asyncio.sleep(0)
        return bytes(part)

    task = loop.create_task(work())
    loop.call_soon(loop.stop)
    loop.run_forever()
    return loop, task


def _end_thread(kept: tuple[threading.Thread, threading.Event]) -> None:
    kept[1].set()
    kept[0].join()


def _end_task(kept: tuple[asyncio.AbstractEventLoop, asyncio.Task[bytes]]) -> None:
    loop, task = kept
    assert len(loop.run_until_complete(task)) == 3 or task.done()
    loop.close()


PLACES: dict[str, tuple[Callable[[memoryview], Any], Callable[[Any], object]]] = {
    "a context variable": (lambda data: VARIABLE.set(data[1:]), VARIABLE.reset),
    "a copied context": (in_a_context, lambda kept: None),
    "a cached result": (lambda data: cached(1).append(data[1:]), lambda kept: cached.cache_clear()),
    "a thread": (in_a_thread, _end_thread),
    "a task": (in_a_task, _end_task),
    "the value of a weak key": (under_a_weak_key, lambda kept: None),
}


@pytest.mark.parametrize("what", PLACES)
@lending
def test_a_slice_is_found_in_further_places_until_it_goes(name: str, what: str) -> None:
    how, let_go = PLACES[what]
    keeper = Keeper(how)
    guest = guest_of(keeper)
    with pytest.raises(ViewEscapedError):
        guest.exports[name](*LENDING[name])
    kept = keepers_of(guest)
    assert guest.exports.answer() == 42
    guest.close()
    assert kept() is not None, "the memory has gone under what shows it"
    let_go(keeper.kept.pop())
    gc.collect()
    assert kept() is None, "the memory stays though nothing shows it"


def chained(view: memoryview) -> None:
    part = view[1:]
    try:
        raise ValueError(len(part))
    except ValueError as error:
        raise RuntimeError("chained") from error


def suppressed(view: memoryview) -> None:
    part = view[1:]
    try:
        raise ValueError(len(part))
    except ValueError:
        raise RuntimeError("suppressed") from None


def grouped(view: memoryview) -> None:
    errors: list[Exception] = []
    for at in range(2):
        part = view[at:]
        try:
            raise ValueError(len(part))
        except ValueError as error:
            errors.append(error)
    raise ExceptionGroup("grouped", errors)


def argument(view: memoryview) -> None:
    raise RuntimeError(view[1:])


@pytest.mark.parametrize("how", [chained, suppressed, grouped, argument], ids=lambda how: how.__name__)
def test_an_exception_that_reaches_memory_in_another_one_keeps_it_mapped(
    how: Callable[[memoryview], None],
) -> None:
    guest = guest_of(Keeper(how))
    found: list[BaseException] = []
    try:
        guest.exports.bytes(0, 8)
    except (RuntimeError, ExceptionGroup) as error:
        found.append(error)
    assert not isinstance(found[0], ViewEscapedError)
    kept = keepers_of(guest)
    guest.close()
    gc.collect()
    assert kept() is not None, "the memory has gone under what shows it"
    found.clear()
    gc.collect()
    assert kept() is None, "the memory stays though nothing shows it"


# ------------------------------------------------------------------------------------------- memory that moves


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


# ------------------------------------------------------------------------------------------ pointers, lists and callers


class Objects(HostModule, name="objects"):
    """Keeps what points into memory."""

    def __init__(self) -> None:
        self.kept: Any = None

    @function
    def pointer(self, at: Pointer[Pair]) -> None:
        self.kept = at

    @function
    def list(self, items: List[Uint32]) -> None:
        self.kept = items

    @function
    def caller(self, caller: Caller) -> None:
        caller.raw  # noqa: B018  # made, so that it has to be ended
        self.kept = caller

    @function
    def whole(self, caller: Caller) -> None:
        self.kept = caller.memory


USES: dict[str, tuple[str, tuple[int, ...], Callable[[Any], object]]] = {
    "loading": ("pointer", (8,), lambda kept: kept.load()),
    "storing": ("pointer", (8,), lambda kept: kept.store(Pair(1, 2))),
    "indexing": ("pointer", (8,), lambda kept: kept[1]),
    "storing at an index": ("pointer", (8,), lambda kept: kept.__setitem__(1, Pair(1, 2))),
    "a slice of a pointer": ("pointer", (8,), lambda kept: kept.slice(2)),
    "loading what comes after": ("pointer", (8,), lambda kept: (kept + 1).load()),
    "an item": ("list", (0, 4), lambda kept: kept[0]),
    "storing an item": ("list", (0, 4), lambda kept: kept.__setitem__(0, 1)),
    "all items": ("list", (0, 4), list),
    "a part": ("list", (0, 4), lambda kept: kept[1:3]),
    "a pointer to an item": ("list", (0, 4), lambda kept: next(kept.pointers()).load()),
    "reading": ("whole", (), lambda kept: kept.read(0, 1)),
    "writing": ("whole", (), lambda kept: kept.write(0, b"x")),
    "viewing": ("whole", (), lambda kept: kept.view(0, 1)),
    "a range": ("whole", (), lambda kept: kept.end(0, 1)),
    "the size": ("whole", (), lambda kept: kept.size),
    "the length": ("whole", (), len),
    "searching": ("whole", (), lambda kept: kept.find(0, 0)),
    "an integer": ("whole", (), lambda kept: kept.read_uint32(0)),
    "the caller's memory": ("caller", (), lambda kept: kept.memory.read(0, 1)),
    "the raw caller": ("caller", (), lambda kept: kept.raw),
    "an export": ("caller", (), lambda kept: kept.get("memory")),
    "an export by name": ("caller", (), lambda kept: kept["memory"]),
}


@pytest.mark.parametrize("what", USES)
def test_what_points_into_memory_is_stale_after_its_call(what: str) -> None:
    name, arguments, use = USES[what]
    objects = Objects()
    with guest_of(objects) as guest:
        guest.exports[name](*arguments)
        first = objects.kept
        guest.exports[name](*arguments)  # nor does another call of the same function bring it back
        for kept in (first, objects.kept):
            with pytest.raises(StaleMemoryError, match="after its call"):
                use(kept)
        assert guest.memory.read(0, 16) == b"abcdefgh" * 2
    with pytest.raises(StaleMemoryError):
        use(objects.kept)


class Copies(HostModule, name="copies"):
    """Keeps copies of what ends with the call."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    @function
    def caller(self, caller: Caller) -> None:
        self.kept.append(copy.copy(caller))

    @function
    def pointer(self, at: Pointer[Uint32]) -> None:
        self.kept.append(copy.copy(at))
        ways: list[Callable[[Any], object]] = [copy.copy, copy.deepcopy, pickle.dumps]
        for way in ways:
            with pytest.raises(StaleMemoryError, match="a copy of it would outlive its call"):
                way(at.memory)


@pytest.mark.parametrize("memory", ['(memory (export "memory") 1)', ""], ids=["a memory", "no memory"])
def test_a_copy_of_a_caller_ends_with_its_call(memory: str) -> None:
    copies = Copies()
    with hostmod.instantiate(passing(Copies, memory=memory), copies) as guest:
        guest.exports.caller()
        with pytest.raises(StaleMemoryError):
            copies.kept[0].get("memory")
    with pytest.raises(StaleMemoryError):
        copies.kept[0].raw  # noqa: B018  # asked for what it raises


def test_a_copy_of_a_pointer_ends_with_its_call_and_its_memory_has_none() -> None:
    copies = Copies()
    with hostmod.instantiate(passing(Copies), copies) as guest:
        guest.exports.pointer(8)
        with pytest.raises(StaleMemoryError):
            copies.kept[0].load()


def test_what_the_raw_caller_gave_ends_with_its_call() -> None:
    class Raw(HostModule, name="raw"):
        kept: wasmtime.Caller

        @function
        def f(self, caller: Caller) -> None:
            self.kept = caller.raw

    raw = Raw()
    with guest_of(raw) as guest:
        guest.exports.f()
        assert raw.kept.get("memory") is None
        with pytest.raises(ValueError, match="no longer valid"):
            raw.kept._context()


@pytest.mark.parametrize("show", [repr, str])
def test_showing_what_is_stale_is_fine(show: Callable[[object], str]) -> None:
    objects = Objects()
    with guest_of(objects) as guest:
        for name, arguments in (("pointer", (8,)), ("list", (0, 4)), ("caller", ())):
            guest.exports[name](*arguments)
            assert show(objects.kept)


def test_an_outer_call_s_views_are_still_there_after_an_inner_call() -> None:
    class Nested(HostModule, name="nested"):
        guest: hostmod.Guest
        depth = 0

        @function
        def f(self, data: Bytes, pointer: Pointer[Uint32], caller: Caller) -> Uint32:
            self.depth += 1
            if self.depth < 20:
                self.guest.exports.f(self.depth, 4, self.depth * 4)
            data[0] = 1
            pointer.load()
            return len(data) + len(caller.memory.view(0, 2))

    nested = Nested()
    with guest_of(nested) as nested.guest:
        assert nested.guest.exports.f(0, 4, 0) == 6
        assert nested.depth == 20
    del nested.guest


# -------------------------------------------------------------------------------------------------------- guest.memory


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


# ----------------------------------------------------------------------------------------------- closing in the middle

CLOSES = """
import sys
import wasmtime, hostmod
from hostmod import HostModule, StoreBusyError, function
from hostmod.types import Bytes, Caller, Pointer, Uint32
from wat import passing

class Closes(HostModule, name="closes"):
    @function
    def f(self, data: Bytes, at: Pointer[Uint32], caller: Caller) -> Uint32:
        for _ in range(2):
            try:
                how()
            except StoreBusyError as error:
                assert "its guest is running" in str(error), error
            else:
                raise AssertionError("closed")
        data[0] = 7
        at.store(9)
        return caller.memory.read_uint32(4)

for enter in ("hostmod", "wasmtime", "start"):
    for how_name in ("guest", "store", "with"):
        guest = hostmod.instantiate(passing(Closes), Closes())
        store = guest.store
        how = {"guest": guest.close, "store": store.close, "with": lambda: store.__exit__(None, None, None)}[how_name]
        if enter == "hostmod":
            assert guest.exports.f(0, 4, 4) == 9
        elif enter == "wasmtime":
            assert guest.instance.exports(store)["f"](store, 0, 4, 4) == 9
        else:
            linker = wasmtime.Linker(store.engine)
            Closes().link(linker)
            call = "(drop (call $f (i32.const 0) (i32.const 4) (i32.const 4)))"
            text = passing(Closes, more=f"(func $go {call}) (start $go)")
            linker.instantiate(store, wasmtime.Module(store.engine, text))
        how()
        guest.close()
print("fine")
"""


def test_a_store_cannot_be_closed_by_what_its_guest_calls() -> None:
    assert run_apart(CLOSES) == "fine\n"


# --------------------------------------------------------------------------------------------- a guest's memory outside


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
