"""Law 4 under threads and signals: nobody sees another thread's exception, and an interrupt is never lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import wasmtime
from wat import passing, run_apart

import hostmod
from hostmod import HostModule, StoreBusyError, function
from hostmod.guest import export_caller
from hostmod.types import Bytes, Caller, Int32, Pointer, String, Uint32

THREADS = 8


class Mine(Exception):
    """What a thread raises."""


class Raiser(HostModule, name="raiser"):
    """Raises one exception after the other, each once."""

    def __init__(self) -> None:
        self.last: Mine | None = None
        self.round = 0

    @function
    def go(self, text: String, data: Bytes) -> None:
        self.round += 1
        self.last = Mine(threading.get_ident(), self.round)
        raise self.last


def each_thread(work: Any) -> list[Any]:
    """Run `work(number)` in several threads that start together."""
    barrier = threading.Barrier(THREADS)

    def run(number: int) -> Any:
        barrier.wait(30)
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


@pytest.mark.parametrize("how", ["hostmod", "wasmtime", "a start function", "both in turn"])
def test_threads_that_all_raise_never_see_each_other_s_exceptions(how: str) -> None:
    engine = wasmtime.Engine()
    module = wasmtime.Module(engine, passing(Raiser))
    start = "(func $s (call $go (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))) (start $s)"
    starting = wasmtime.Module(engine, passing(Raiser, more=start))

    def work(number: int) -> int:
        host = Raiser()
        linker, store = wasmtime.Linker(engine), wasmtime.Store(engine)
        host.link(linker)
        instance = linker.instantiate(store, module)
        raw: Any = instance.exports(store)["go"]
        ours = export_caller("go", store, raw)
        ways: dict[str, list[Callable[[], Any]]] = {
            "hostmod": [lambda: ours(0, 1, 0, 1)],
            "wasmtime": [lambda: raw(store, 0, 1, 0, 1)],
            "a start function": [lambda: linker.instantiate(store, starting)],
        }
        chosen = ways.get(how) or [ways["hostmod"][0], ways["wasmtime"][0]]
        for at in range(150):
            with pytest.raises(Mine) as caught:
                chosen[at % len(chosen)]()
            assert caught.value is host.last
            assert caught.value.args == (threading.get_ident(), at + 1)
        return host.round

    assert each_thread(work) == [150] * THREADS


def test_one_instance_can_serve_guests_in_several_threads() -> None:
    class Shared(HostModule, name="shared"):
        @function
        def twice(self, text: String, out: Bytes) -> Uint32:
            data = (text * 2).encode()
            out[: len(data)] = data
            return len(data)

    shared, engine = Shared(), wasmtime.Engine()

    def work(number: int) -> bytes:
        found = b""
        with hostmod.instantiate(passing(Shared), shared, engine=engine) as guest:
            for _ in range(200):
                guest.memory.write(0, b"%d" % number * 4)
                length = guest.exports.twice(0, 4, 100, 16)
                found = guest.memory.read(100, length)
        return found

    assert each_thread(work) == [b"%d" % number * 8 for number in range(THREADS)]


class Waiting(HostModule, name="waiting"):
    """Stays in its guest until told to leave."""

    def __init__(self) -> None:
        self.inside, self.leave = threading.Event(), threading.Event()

    @function
    def wait(self) -> Int32:
        self.inside.set()
        assert self.leave.wait(30)
        return 1

    @function
    def quick(self) -> Int32:
        return 2


def test_a_second_thread_is_kept_out_of_a_store_that_is_in_use() -> None:
    waiting = Waiting()
    guest = hostmod.instantiate(passing(Waiting), waiting)
    raw: Any = guest.instance.exports(guest.store)

    class Typed(hostmod.GuestModule):
        @hostmod.export
        def quick(self) -> Int32: ...

    typed = Typed(guest.store, guest.instance)
    quick = guest.exports.quick
    for enter in (guest.exports.wait, lambda: raw["wait"](guest.store)):
        waiting.inside.clear()
        waiting.leave.clear()
        with ThreadPoolExecutor(1) as pool:
            result = pool.submit(enter)
            assert waiting.inside.wait(30)
            try:
                for refused in (
                    quick,
                    typed.quick,
                    lambda: raw["quick"](guest.store),
                    guest.close,
                ):
                    with pytest.raises(StoreBusyError):
                        refused()
            finally:
                waiting.leave.set()
            assert result.result(30) == 1
        assert guest.exports.quick() == typed.quick() == raw["quick"](guest.store) == 2
    guest.close()


def test_the_thread_inside_a_store_can_enter_it_again() -> None:
    class Again(HostModule, name="again"):
        guest: hostmod.Guest

        @function
        def outer(self) -> Int32:
            raw: Any = self.guest.instance.exports(self.guest.store)
            return self.guest.exports.inner() + raw["inner"](self.guest.store)  # type: ignore[no-any-return]  # an int

        @function
        def inner(self) -> Int32:
            return 2

    with hostmod.instantiate(passing(Again), again := Again()) as guest:
        again.guest = guest
        assert guest.exports.outer() == 4
    del again.guest


CHANGES: dict[str, Callable[[hostmod.Guest], object]] = {
    "growing its memory": lambda guest: guest.memory.grow(1),
    "reading its memory": lambda guest: guest.memory.read(0, 1),
    "collecting": lambda guest: guest.store.gc(),
    "a new memory": lambda guest: wasmtime.Memory(guest.store, wasmtime.MemoryType(wasmtime.Limits(1, 1))),
    "a new global": lambda guest: wasmtime.Global(
        guest.store, wasmtime.GlobalType(wasmtime.ValType.i32(), False), wasmtime.Val.i32(0)
    ),
    "closing": lambda guest: guest.close(),
}


def test_a_store_that_runs_is_changed_by_no_other_thread() -> None:
    inside, done = threading.Event(), threading.Event()

    class Waits(HostModule, name="waits"):
        @function
        def wait(self) -> None:
            inside.set()
            assert done.wait(30)

    with hostmod.instantiate(passing(Waits), Waits) as guest:
        guest.memory.read(0, 1)
        thread = threading.Thread(target=guest.exports.wait)
        thread.start()
        assert inside.wait(30)
        try:
            for change in CHANGES.values():
                with pytest.raises(StoreBusyError):
                    change(guest)
        finally:
            done.set()
            thread.join()
        for change in CHANGES.values():  # closing last
            change(guest)


def test_what_a_call_lent_is_of_no_use_to_another_thread() -> None:
    class Lends(HostModule, name="lends"):
        def __init__(self) -> None:
            self.said: list[BaseException] = []

        @function
        def lend(self, at: Pointer[Uint32], caller: Caller) -> Uint32:
            uses: list[Callable[[], object]] = [
                at.load,
                lambda: at.memory.view(0, 1),
                lambda: caller.raw,
                lambda: caller.memory.size,
            ]

            def work() -> None:
                for use in uses:
                    with pytest.raises(StoreBusyError, match="in a thread that its call is not in") as caught:
                        use()
                    self.said.append(caught.value)

            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
            return at.load()

    lends = Lends()
    with hostmod.instantiate(passing(Lends), lends) as guest:
        guest.memory.write(8, b"\x07")
        assert guest.exports.lend(8) == 7
    assert len(lends.said) == 4


def test_a_call_that_raised_leaves_its_store_free_for_other_threads() -> None:
    raiser = Raiser()
    with hostmod.instantiate(passing(Raiser), raiser) as guest:
        raw: Any = guest.instance.exports(guest.store)["go"]
        for enter in (lambda: guest.exports.go(0, 0, 0, 0), lambda: raw(guest.store, 0, 0, 0, 0)):
            for _ in range(2):
                with ThreadPoolExecutor(1) as pool, pytest.raises(Mine):
                    pool.submit(enter).result(30)


def test_tasks_in_turn_use_one_store() -> None:
    class Count(HostModule, name="count"):
        total = 0

        @function
        def add(self, value: Int32) -> Int32:
            self.total += value
            return self.total

    async def work(guest: hostmod.Guest) -> None:
        for _ in range(20):
            guest.exports.add(1)
            await asyncio.sleep(0)

    async def run() -> None:
        with hostmod.instantiate(passing(Count), count := Count()) as guest:
            await asyncio.gather(*(work(guest) for _ in range(5)))
            assert count.total == 100

    asyncio.run(run())


INTERRUPTS = """
import ctypes, faulthandler, gc, random, signal, sys, threading, time, _thread
faulthandler.dump_traceback_later(80, exit=True)
import hostmod
from hostmod import HostModule, function
from hostmod.types import Bytes, Caller, Error, ExternRef, Int32, List, Pointer, String, Uint32
from wat import passing

class Endless(HostModule, name="endless"):
    @function
    def start(self) -> None:
        running.set()

    @function
    def number(self, a: Int32) -> Int32:
        return a

    @function
    def view(self, data: Bytes) -> Int32:
        return 1

    @function
    def mixed(self, text: String, at: Pointer[Uint32], caller: Caller) -> Int32:
        at.store(1)
        caller.memory.view(0, 4)
        return 1

    @function
    def raw(self, data: Bytes, caller: Caller) -> Int32:
        caller.raw
        KEPT[:] = [data, caller, caller.memory]
        return 1

    @function
    def errno(self) -> Error:
        raise OSError(5, "again")

KEPT = []
running = threading.Event()
LOOPS = {
    "number": "(call $number (i32.const 1))",
    "view": "(call $view (i32.const 0) (i32.const 8))",
    "mixed": "(call $mixed (i32.const 0) (i32.const 8) (i32.const 16))",
    "raw": "(call $raw (i32.const 0) (i32.const 8))",
    "errno": "(call $errno)",
}
more = "".join(
    f'(func (export "loop_{name}") (call $start) (loop $l (br_if $l {call})))' for name, call in LOOPS.items()
)
guest = hostmod.instantiate(passing(Endless, more=more), Endless())
entries = [guest.exports[f"loop_{name}"] for name in LOOPS]
raw = guest.instance.exports(guest.store)["loop_mixed"]
entries.append(lambda: raw(guest.store))

class Stop(Exception):
    pass

main = threading.main_thread().ident
how, rounds = sys.argv[1], int(sys.argv[2])

def fire(after):
    assert running.wait(60)
    time.sleep(after)
    if how == "interrupt_main":
        _thread.interrupt_main()
    elif how == "pthread_kill":
        signal.pthread_kill(main, signal.SIGINT)
    elif how == "raise_signal":
        signal.raise_signal(signal.SIGINT)
    else:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(main), ctypes.py_object(Stop))

unraisable = []
sys.unraisablehook = lambda what: unraisable.append(repr(what.exc_value))
random.seed(1)
gc.disable()  # Python itself loses what a signal raises in a finalizer
for at in range(rounds):
    running.clear()
    gc.collect(0)
    thread = threading.Thread(target=fire, args=(random.random() * 0.003,))
    try:
        thread.start()
        entries[at % len(entries)]()
        raise AssertionError("it came back")
    except (KeyboardInterrupt, Stop):
        pass
    while thread.is_alive():
        thread.join()
    for kept in KEPT:
        try:
            use = kept[0] if isinstance(kept, memoryview) else kept.read(0, 1) if hasattr(kept, "read") else kept.raw
        except (ValueError, hostmod.StaleMemoryError):
            pass
        else:
            raise AssertionError(f"{kept!r} is in use after its call")
    KEPT.clear()
    assert unraisable == [], unraisable
guest.close()
print("fine")
"""


@pytest.mark.parametrize(
    "how", ["interrupt_main", "pthread_kill", "raise_signal", "PyThreadState_SetAsyncExc"]
)
def test_an_interrupt_while_the_guest_loops_reaches_the_caller_and_is_never_lost(how: str) -> None:
    assert run_apart(INTERRUPTS, how, "400") == "fine\n"


WITHIN = """
import signal
import hostmod
from hostmod import HostModule, function
from wat import passing

class Raises(HostModule, name="raises"):
    @function
    def f(self) -> None:
        signal.raise_signal(signal.SIGINT)

guest = hostmod.instantiate(passing(Raises), Raises())
raw = guest.instance.exports(guest.store)["f"]
for enter in (guest.exports.f, lambda: raw(guest.store)):
    for _ in range(1000):
        try:
            enter()
        except KeyboardInterrupt:
            continue
        raise AssertionError("lost")
guest.close()
print("fine")
"""


def test_a_signal_that_a_host_function_raises_reaches_the_caller() -> None:
    assert run_apart(WITHIN) == "fine\n"


STORM = """
import signal, sys, time
import hostmod
from hostmod import HostModule, _wasmtime, function
from hostmod.types import Bytes, Int32
from wat import passing

class Host(HostModule, name="host"):
    @function
    def inner(self) -> Int32:
        return 1

    @function
    def outer(self, data: Bytes) -> Int32:
        return call()

armed = False

def interrupt(*_):
    if armed:
        raise KeyboardInterrupt

guest = hostmod.instantiate(passing(Host), Host)
raw = guest.instance.exports(guest.store)
call, run = {
    "wasmtime": (lambda: raw["inner"](guest.store), lambda: call()),
    "hostmod": (guest.exports.inner, lambda: call()),
    "wasmtime under a view": (lambda: raw["inner"](guest.store), lambda: guest.exports.outer(0, 8)),
    "hostmod under a view": (guest.exports.inner, lambda: guest.exports.outer(0, 8)),
}[sys.argv[1]]
guard = _wasmtime.guard_of(guest.store)
sys.unraisablehook = lambda *_: None
signal.signal(signal.SIGALRM, interrupt)
hits, end = 0, time.monotonic() + 3
while time.monotonic() < end and not guard.depth and not guard.owner:
    try:
        armed = True
        signal.setitimer(signal.ITIMER_REAL, 0.00005 + hits % 37 * 0.000007)
        for _ in range(200):
            run()
        armed = False
    except KeyboardInterrupt:
        armed = False
        hits += 1
print(guard.depth, guard.owner)
guest.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["wasmtime", "hostmod", "wasmtime under a view", "hostmod under a view"])
def test_interrupts_leave_a_store_as_it_was(way: str) -> None:
    assert run_apart(STORM, way) == "0 0\n"
