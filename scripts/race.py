"""Run hostmod in many threads: a store each with one host class, and several threads at one store.

    python scripts/race.py                              a minute with eight threads
    PYTHON_GIL=0 python3.14t scripts/race.py 600 8      ten minutes, free-threaded

Each thread's values have to be its own: numbers, text, views, structs, lists, pointers, errors and references; modules
are linked, and guests instantiated and closed meanwhile. Threads that use one store get the right value or
StoreBusyError, and never two of them are inside; a store that one of them closes is closed to all. The exit code is 1
if anything was wrong.
"""

from __future__ import annotations

import errno
import sys
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import wasmtime
from wat import passing

import hostmod
from hostmod import HostModule, StaleMemoryError, StoreBusyError, function
from hostmod._backend import select as backend
from hostmod.guest import GuestMemory, export_caller
from hostmod.types import (
    Array,
    Bytes,
    Caller,
    Duration,
    Error,
    ExternRef,
    Float64,
    Int32,
    Int64,
    List,
    Optional,
    Pointer,
    String,
    Uint16,
    Uint32,
    struct,
)


@struct
class Pair:
    """A struct that is made and read."""

    a: Uint16
    b: Uint32


class Bug(Exception):
    """What a host function raises."""


class Host(HostModule, name="race"):
    """Serves all threads, as one instance or one for each."""

    def __init__(self) -> None:
        self.bug = threading.local()

    @function
    def add(self, a: Int32, b: Int64) -> Int64:
        return a + b

    @function
    def half(self, a: Float64, time: Duration) -> Float64:
        return a / 2 + int(time)

    @function
    def greet(self, name: String, out: Bytes) -> Optional[Uint32]:
        data = f"hello, {name}".encode()
        if len(data) > len(out):
            raise OSError(errno.ENOBUFS, "full")
        out[: len(data)] = data
        return len(data)

    @function
    def total(self, items: Array[Uint16], pairs: List[Pair]) -> Uint32:
        return sum(items) + sum(each.a * each.b for each in pairs)

    @function
    def change(self, at: Pointer[Pair], caller: Caller) -> Error:
        pair = at.load()
        at.store(Pair(pair.a + 1, pair.b + 2))
        caller.memory.write_uint32(at.offset + 8, pair.b)

    @function
    def same(self, thing: ExternRef, number: Int32) -> tuple[Int32, ExternRef]:
        return number, thing

    @function
    def fails(self, number: Int32) -> None:
        self.bug.last = Bug(number, threading.get_ident())
        raise self.bug.last


class Typed(hostmod.GuestModule):
    """The same from outside."""

    @hostmod.export
    def add(self, a: Int32, b: Int64) -> Int64: ...

    @hostmod.export
    def twice(self, a: Int32) -> Int32: ...


MORE = '(func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))'


class Race:
    """What the threads of one run share."""

    def __init__(self, seconds: float, threads: int) -> None:
        self.threads = threads
        self.end = time.monotonic() + seconds
        self.engine = wasmtime.Engine()
        self.module = wasmtime.Module(self.engine, passing(Host, more=MORE))
        self.shared = Host()
        self.linker = wasmtime.Linker(self.engine)
        self.shared.link(self.linker)
        self.wrong: list[BaseException] = []
        self.counts: dict[str, list[int]] = {}

    def going(self) -> bool:
        """Whether there is time left, and nothing wrong."""
        return not self.wrong and time.monotonic() < self.end

    def run(self, name: str, work: Callable[[int], int]) -> None:
        """Run something in every thread."""
        barrier = threading.Barrier(self.threads)
        counts = self.counts.setdefault(name, [])

        def begin(number: int) -> None:
            try:
                barrier.wait(60)
                counts.append(work(number))
            except BaseException as error:
                self.wrong.append(error)

        running = [threading.Thread(target=begin, args=(number,)) for number in range(self.threads)]
        for each in running:
            each.start()
        for each in running:
            each.join()

    # ---------------------------------------------------------------------------------------- a store for each thread

    def own_stores(self, number: int) -> int:
        """Instantiate, call and close, over and over; returns how many calls of host functions there were."""
        calls = 0
        mine = Host()
        while self.going():
            host = self.shared if calls % 2 else mine
            store = wasmtime.Store(self.engine)
            linker = self.linker
            if host is mine or calls % 3 == 0:
                linker = wasmtime.Linker(self.engine)
                host.link(linker)
            instance = linker.instantiate(store, self.module)
            host = self.shared if linker is self.linker else host
            calls += self.calls(number, host, store, instance)
            store.close()
        return calls

    def calls(self, number: int, host: Host, store: wasmtime.Store, instance: wasmtime.Instance) -> int:
        """Call everything of one guest a few times."""
        raw: Any = instance.exports(store)
        names = ("add", "half", "greet", "total", "change", "same", "fails")
        e: Any = SimpleNamespace(**{each: export_caller(each, store, raw[each]) for each in names})
        memory = GuestMemory(store, raw["memory"])
        typed = Typed(store, instance)
        name = f"thread {number}".encode()
        text = b"hello, " + name
        memory.write(0, name)
        rounds = 60
        for at in range(rounds):
            expect(e.add(number, at << 33), number + (at << 33))
            expect(typed.add(number, at), number + at)
            expect(typed.twice(at), at * 2)
            expect(raw["add"](store, number, at), number + at)
            expect(e.half(float(number), at), number / 2 + at)
            expect(tuple(e.greet(0, len(name), 64, 64)), (len(text), 0))
            expect(memory.read(64, len(text)), text)
            expect(tuple(e.greet(0, len(name), 64, 3)), (0, errno.ENOBUFS))
            memory.write_uint32(128, number + 1)
            memory.write_uint32(132, at)
            expect(e.total(64, 0, 128, 1), (number + 1) * at)
            expect(e.change(128), 0)
            expect((memory.read_uint32(128), memory.read_uint32(132)), (number + 2, at + 2))
            expect(memory.read_uint32(136), at)
            thing = [number, at]
            back, found = e.same(thing, at)
            if back != at or found is not thing:
                raise AssertionError(f"{found} came back, expected {thing}")
            for arguments in ((e.fails, at), (raw["fails"], store, at)):
                try:
                    arguments[0](*arguments[1:])
                except Bug as error:
                    if error is not host.bug.last or error.args != (at, threading.get_ident()):
                        raise AssertionError(f"{error!r} came out, expected {host.bug.last!r}") from error
                else:
                    raise AssertionError("nothing was raised")
        return rounds * 10

    def first_looks(self) -> None:
        """Have all threads be the first to instantiate a module and to look its exports up."""
        text = passing(Host, more=MORE)
        while self.going():
            module = wasmtime.Module(self.engine, text)
            self.run("a new module", partial(self.first_look, module))

    def first_look(self, module: wasmtime.Module, number: int) -> int:
        """Instantiate it, and call what it exports."""
        with hostmod.instantiate(module, self.shared, engine=self.engine) as guest:
            expect(guest.exports.twice(number), number * 2)
            expect(guest.exports.add(number, 1), number + 1)
            expect(Typed(guest.store, guest.instance).twice(number), number * 2)
        return 3

    # --------------------------------------------------------------------------------------- one store for all threads

    def one_store(self, closes: bool) -> None:
        """Have all threads use one store; where it `closes`, one of them does so, and a new one is made."""
        while self.going():
            shared = Shared(self, closes)
            stop = min(self.end, time.monotonic() + (0.05 if closes else 1.0))
            self.run("closing one store" if closes else "one store", partial(shared.use, stop))
            shared.finish()


class Shared:
    """One store that all threads use."""

    def __init__(self, race: Race, closes: bool) -> None:
        self.race = race
        self.closes = closes
        self.inside = 0
        self.most = 0

        class Inside(HostModule, name="inside"):
            """Sees who is inside."""

            @function
            def look(self, number: Int32, data: Bytes) -> Int32:
                shared.inside += 1
                shared.most = max(shared.most, shared.inside)
                data[0] = number & 255
                if data[0] != number & 255:
                    raise AssertionError("two threads are inside")
                shared.inside -= 1
                return number + 1

        shared = self
        self.guest = hostmod.instantiate(passing(Inside), Inside(), engine=race.engine)
        self.raw: Any = self.guest.instance.exports(self.guest.store)
        _ = self.raw["look"], self.raw["memory"]  # looked up before the threads ask for them
        self.look, self.memory = self.guest.exports.look, self.guest.memory

    def use(self, stop: float, number: int) -> int:
        """Use it in every way; returns how often a thread was let in."""
        let_in = 0
        look, memory, store = self.look, self.memory, self.guest.store
        raw, rounds = self.raw["look"], 0
        ways: list[Callable[[], object]] = [
            lambda: expect(look(number, 0, 8), number + 1),
            lambda: expect(raw(store, number, 0, 8), number + 1),
            lambda: expect(len(memory.read(100, 10)), 10),
            lambda: memory.write(200 + number * 8, b"12345678"),
            lambda: expect(memory.size, 65536),
            lambda: memory.view(300, 4).release(),
            store.gc,
            lambda: expect(self.raw["memory"].size(store), 1),
        ]
        while not self.race.wrong and time.monotonic() < stop:
            rounds += 1
            try:
                ways[(rounds * 7 + number) % len(ways)]()
                let_in += 1
            except StoreBusyError:
                pass
            except (StaleMemoryError, ValueError) as error:
                if "closed" not in str(error):
                    raise
                break
            if self.closes and number == 0 and rounds > 300:
                try:
                    self.guest.close()
                except StoreBusyError:
                    continue
        return let_in

    def finish(self) -> None:
        """Check what is left."""
        if self.most > 1:
            self.race.wrong.append(AssertionError(f"{self.most} threads were inside at once"))
        self.guest.close()


def expect(found: object, expected: object) -> None:
    """Raise if a value is another."""
    if found != expected:
        raise AssertionError(f"{found!r}, expected {expected!r}")


def race(seconds: float, threads: int) -> Race:
    """Run all of it, for so many seconds in sum."""
    run = Race(seconds / 4, threads)
    run.first_looks()
    run.end = time.monotonic() + seconds / 4
    run.run("a store each", run.own_stores)
    for closes in (False, True):
        run.end = time.monotonic() + seconds / 4
        run.one_store(closes)
    return run


def main() -> int:
    """Run it."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    enabled = getattr(sys, "_is_gil_enabled", lambda: True)()
    serving = backend.active.NAME
    print(f"Python {sys.version.split()[0]}, GIL {'on' if enabled else 'off'}, {threads} threads, {serving}")
    run = race(seconds, threads)
    for name, counts in run.counts.items():
        print(f"{name}: {sum(counts)} calls")
    for error in run.wrong[:5]:
        print(f"WRONG: {error!r}")
        if error.__traceback__ is not None:
            traceback.print_exception(error)
    return 1 if run.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
