"""Law 8: there is one way into a store. Whoever is not inside is refused, and whoever leaves leaves nothing claimed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import wasmtime
from wat import passing, run_apart

import hostmod
from hostmod import HostModule, function
from hostmod._backend import select as backend
from hostmod._wasmtime import store as stores
from hostmod.types import Bytes, Caller

# ---------------------------------------------------------------------------------- what a start function does

STARTS = """
import sys
import wasmtime, hostmod
from hostmod import HostModule, StoreBusyError, function
from hostmod._wasmtime import store as stores
from wat import passing

class Host(HostModule, name="host"):
    @function
    def go(self) -> None:
        what()

error = KeyError("mine")
engine = wasmtime.Engine()
start = wasmtime.Module(engine, passing(Host, more="(func $s (call $go)) (start $s)"))
plain = wasmtime.Module(engine, passing(Host))

def closes():
    try:
        store.close()
    except StoreBusyError as busy:
        assert "its guest is running" in str(busy), busy
        raise error
    raise AssertionError("closed")

def fails():
    raise error

def interrupts():
    raise KeyboardInterrupt

what = {"closes": closes, "fails": fails, "interrupts": interrupts, "exits": lambda: sys.exit(3)}[sys.argv[2]]
expected = {"closes": KeyError, "fails": KeyError, "interrupts": KeyboardInterrupt, "exits": SystemExit}[sys.argv[2]]
for attempt in range(200):
    store, linker = wasmtime.Store(engine), wasmtime.Linker(engine)
    Host().link(linker)
    ways = {
        "Linker.instantiate": lambda: linker.instantiate(store, start),
        "InstancePre.instantiate": lambda: linker.instantiate_pre(start).instantiate(store),
        "Instance": lambda: wasmtime.Instance(store, start, [linker.get(store, "host", "go")]),
        "Linker.define_module": lambda: linker.define_module(store, "started", start),
        "Func": lambda: linker.instantiate(store, plain).exports(store)["go"](store),
        "exports": lambda: hostmod.GuestModule and hostmod.guest.export_caller(
            "go", store, linker.instantiate(store, plain).exports(store)["go"])(),
    }
    try:
        ways[sys.argv[1]]()
    except expected as caught:
        assert expected is not KeyError or caught is error, caught
    else:
        raise AssertionError("nothing was raised")
    guard = stores.guard_of(store)
    assert (guard.depth, guard.owner) == (0, 0), (guard.depth, guard.owner)
    linker.instantiate(store, plain)
    store.close()
print("fine")
"""

PREPARED = ["InstancePre.instantiate"] if hasattr(wasmtime.Linker, "instantiate_pre") else []
"""What wasmtime-py 48 began with."""

WAYS = [
    "Linker.instantiate",
    *PREPARED,
    "Instance",
    "Linker.define_module",
    "Func",
    "exports",
]


@pytest.mark.parametrize("what", ["closes", "fails", "interrupts", "exits"])
@pytest.mark.parametrize("way", WAYS)
def test_what_a_host_function_raises_comes_out_of_every_way_in_and_the_store_is_as_before(
    way: str, what: str
) -> None:
    assert run_apart(STARTS, way, what) == "fine\n"


# ---------------------------------------------------------------------------------------------- another thread

OTHERS = """
import sys, threading
import wasmtime, hostmod
from hostmod import HostModule, StoreBusyError, function
from hostmod.types import Caller, ExternRef, Int32
from wat import passing

sys.setswitchinterval(1e-5)
inside, leave = threading.Event(), threading.Event()

class Host(HostModule, name="host"):
    @function
    def wait(self, caller: Caller) -> None:
        global raw_caller
        raw_caller = caller.raw
        inside.set()
        assert leave.wait(60)

    @function
    def here(self) -> None:
        inside.set()

    @function
    def all(self) -> None:
        for name, change in changes.items():
            if name != "Store.close":
                change()

config = wasmtime.Config()
config.consume_fuel = config.epoch_interruption = True
engine = wasmtime.Engine(config)
more = '''
  (table $t (export "table") 64 externref)
  (global $g (export "global") (mut i32) (i32.const 0))
  (func (export "busy") (param i32) (local i32)
    (call $here)
    (loop $l
      (table.set $t (i32.and (local.get 0) (i32.const 63)) (table.get $t (i32.and (local.get 1) (i32.const 63))))
      (global.set $g (local.get 0))
      (i32.store (i32.const 64) (local.get 0))
      (local.set 1 (i32.add (local.get 1) (i32.const 7)))
      (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
      (br_if $l (i32.and (local.get 0) (i32.eqz (i32.load (i32.const 0)))))
      (br_if $l (i32.eqz (i32.load (i32.const 0))))))
  (func (export "nothing"))'''
store = wasmtime.Store(engine)
store.set_fuel(10**15)
store.set_epoch_deadline(10**9)
linker = wasmtime.Linker(engine)
Host().link(linker)
text = passing(Host, memory='(memory (export "memory") 1 60000)', more=more)
module = wasmtime.Module(engine, text)
instance = linker.instantiate(store, module)
exports = instance.exports(store)
table, cell, memory = exports["table"], exports["global"], exports["memory"]
things = [f"thing {at}" for at in range(64)]
for at, thing in enumerate(things):
    table.set(store, at, thing)
empty = wasmtime.Module(engine, "(module)")
simple = wasmtime.FuncType([], [])
number = wasmtime.GlobalType(wasmtime.ValType.i32(), True)
references = wasmtime.TableType(wasmtime.ValType.externref(), wasmtime.Limits(1, 1))
pre = linker.instantiate_pre(empty) if hasattr(linker, "instantiate_pre") else None
call = hostmod.guest.export_caller("nothing", store, exports["nothing"])
held = hostmod.guest.export_caller("nothing", store, exports["nothing"], hold_gil=True)
guest_memory = hostmod.guest.GuestMemory(store, memory)
names = iter(range(10**9))
changes = {
    "Table.get": lambda: table.get(store, 3),
    "Table.set": lambda: table.set(store, 3, "thing 3"),
    "Table.grow": lambda: table.grow(store, 0, None),
    "Table.size": lambda: table.size(store),
    "Table.type": lambda: table.type(store),
    "Table": lambda: wasmtime.Table(store, references, None),
    "Global.value": lambda: cell.value(store),
    "Global.set_value": lambda: cell.set_value(store, 1),
    "Global.type": lambda: cell.type(store),
    "Global": lambda: wasmtime.Global(store, number, wasmtime.Val.i32(1)),
    "Memory.write": lambda: memory.write(store, b"x", 100),
    "Memory.read": lambda: memory.read(store, 100, 101),
    "Memory.grow": lambda: memory.grow(store, 0),
    "Memory.size": lambda: memory.size(store),
    "Memory.data_len": lambda: memory.data_len(store),
    "Memory.data_ptr": lambda: memory.data_ptr(store),
    "Memory.get_buffer_ptr": lambda: memory.get_buffer_ptr(store, 1, 0),
    "Memory.type": lambda: memory.type(store),
    "Memory": lambda: wasmtime.Memory(store, wasmtime.MemoryType(wasmtime.Limits(0, 0))),
    "Func": lambda: wasmtime.Func(store, simple, lambda: None),
    "Func.type": lambda: exports["nothing"].type(store),
    "Func.call": lambda: exports["nothing"](store),
    "Instance.exports": lambda: wasmtime.Instance._from_raw(instance._instance).exports(store)["nothing"],
    "Instance": lambda: wasmtime.Instance(store, empty, []),
    "Linker.get": lambda: linker.get(store, "host", "here"),
    "Linker.get_default": lambda: linker.get_default(store, ""),
    "Linker.define": lambda: linker.define(store, "more", str(next(names)), memory),
    "Linker.define_instance": lambda: linker.define_instance(store, f"i{next(names)}", instance),
    "Linker.define_module": lambda: linker.define_module(store, f"m{next(names)}", empty),
    "Linker.instantiate": lambda: linker.instantiate(store, empty),
    **({} if pre is None else {"InstancePre.instantiate": lambda: pre.instantiate(store)}),
    "Store.gc": store.gc,
    "Store.set_fuel": lambda: store.set_fuel(10**15),
    "Store.get_fuel": store.get_fuel,
    "Store.set_epoch_deadline": lambda: store.set_epoch_deadline(10**9),
    "Store.set_limits": lambda: store.set_limits(),
    "a typed export": call,
    "a typed export that holds the GIL": held,
    "Guest.memory": lambda: guest_memory.read(100, 1),
    "Guest.memory.grow": lambda: guest_memory.grow(0),
    "Store.close": lambda: store.close(),
}

def attack(count, seconds=None):
    refused = 0
    for _ in range(count):
        for name, change in changes.items():
            try:
                change()
            except StoreBusyError:
                refused += 1
            else:
                raise AssertionError(f"{name} was let in")
    return refused

def run(enter):
    inside.clear()
    leave.clear()
    memory.write(store, bytes(4), 0)
    failed = []

    def work():
        try:
            enter()
        except BaseException as error:
            failed.append(error)
            inside.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(60)
    try:
        refused = attack(int(sys.argv[2]))
    finally:
        leave.set()
        guest_stop()
        thread.join()
    assert not failed, failed
    assert refused == int(sys.argv[2]) * len(changes)
    expected = set(things)
    for at in range(64):
        assert table.get(store, at) in expected, table.get(store, at)
    for name, change in changes.items():
        if name != "Store.close":
            change()

def guest_stop():
    address[0] = 1  # the guest looks at it

address = memory.data_ptr(store)
if sys.argv[1] == "computes":
    run(lambda: exports["busy"](store, 10))
elif sys.argv[1] == "computes, entered by hostmod":
    run(lambda: hostmod.guest.export_caller("busy", store, busy)(10)) if (busy := exports["busy"]) else None
elif sys.argv[1] == "is in a host function":
    run(lambda: exports["wait"](store))
    raw_caller = None
elif sys.argv[1] == "is in a host function, and the Caller is used":
    changes.clear()
    changes.update({
        "Caller.get": lambda: raw_caller.get("memory"),
        "Caller[]": lambda: raw_caller["memory"],
        "Memory.read": lambda: memory.read(raw_caller, 100, 101),
        "Table.get": lambda: table.get(raw_caller, 3),
        "Func.call": lambda: exports["nothing"](raw_caller),
        "Linker.instantiate": lambda: linker.instantiate(raw_caller, empty),
    })
    after = dict(changes)
    inside.clear()
    thread = threading.Thread(target=lambda: exports["wait"](store))
    thread.start()
    assert inside.wait(60)
    refused = attack(int(sys.argv[2]))
    leave.set()
    thread.join()
    assert refused == int(sys.argv[2]) * len(changes)
    assert raw_caller.get("memory") is None
else:
    exports["all"](store)
    hostmod.guest.export_caller("all", store, exports["all"])()
store.close()
print("fine")
"""


@pytest.mark.parametrize(
    "when",
    [
        "computes",
        "computes, entered by hostmod",
        "is in a host function",
        "is in a host function, and the Caller is used",
    ],
)
def test_another_thread_is_refused_by_everything_while_the_guest(when: str) -> None:
    assert run_apart(OTHERS, when, "200") == "fine\n"


def test_the_thread_that_is_inside_may_do_all_of_it_in_a_host_function() -> None:
    assert run_apart(OTHERS, "may do all of it", "0") == "fine\n"


# -------------------------------------------------------------------------------------------------- exceptions


class Raises(HostModule, name="raises"):
    @function
    def go(self, data: Bytes, caller: Caller) -> None:
        raise KeyError("mine")


def claims(guest: hostmod.Guest) -> tuple[int, int]:
    guard = stores.guard_of(guest.store)
    return guard.depth, guard.owner


def test_a_claim_is_gone_after_an_exception_that_is_kept_with_its_traceback() -> None:
    with hostmod.instantiate(passing(Raises, more='(table (export "table") 1 externref)'), Raises()) as guest:
        raw: Any = guest.instance.exports(guest.store)
        table, go, kept = raw["table"], raw["go"], list[BaseException]()
        nothing: Any = None
        wrong: list[Callable[[], object]] = [
            lambda: guest.exports.go(0, 1),
            lambda: guest.exports.go(0, 2**31),
            lambda: guest.exports.go("text", 1),
            lambda: go(guest.store, 0, 1),
            lambda: go(guest.store, 0, "text"),
            lambda: go(guest.store, 0),
            lambda: table.get(guest.store, "text"),
            lambda: table.set(guest.store, 2**70, None),
            lambda: table.set(guest.store, 9, None),
            lambda: guest.memory.read(2**40, 1),
            lambda: wasmtime.Table(guest.store, nothing, None),
            lambda: wasmtime.Instance(guest.store, guest.module, []),
            lambda: wasmtime.Linker(guest.store.engine).instantiate(guest.store, guest.module),
            lambda: guest.store.set_fuel(1),
            lambda: guest.store.set_fuel(nothing),
        ]
        for each in wrong:
            try:
                each()
            except BaseException as error:  # any will do, and it is kept
                kept.append(error)
            assert claims(guest) == (0, 0)
        assert len(kept) >= len(wrong) - 1


BINDINGS = """
import sys, wasmtime, hostmod
from hostmod._wasmtime import store as stores

store = wasmtime.Store()
table = wasmtime.Table(store, wasmtime.TableType(wasmtime.ValType.externref(), wasmtime.Limits(1, None)), None)

def interrupt(frame, event, argument):
    if frame.f_code.co_name == "wasmtime_table_get":
        sys.settrace(None)
        raise KeyboardInterrupt

sys.settrace(interrupt)
try:
    table.get(store, 0)
except KeyboardInterrupt as error:
    kept = error  # and its traceback, with the frame of the binding
guard = stores.guard_of(store)
assert table.size(store) == 1
assert (guard.depth, guard.owner) == (0, 0), (guard.depth, guard.owner)
store.close()
print("fine")
"""


def test_an_interrupt_in_the_frame_of_a_binding_leaves_no_claim_past_what_the_thread_does_next() -> None:
    assert run_apart(BINDINGS) == "fine\n"


NESTED = """
import gc, signal, sys, time
import wasmtime, hostmod
from hostmod import HostModule, function
from hostmod._wasmtime import store as stores
from wat import passing

class Host(HostModule, name="host"):
    @function
    def bad(self) -> None:
        raise KeyError("the handler's")

    @function
    def worse(self) -> None:
        raise error

guest = hostmod.instantiate(passing(Host), Host())
raw = guest.instance.exports(guest.store)
entries = [guest.exports.bad, lambda: raw["bad"](guest.store)]
outer = [guest.exports.worse, lambda: raw["worse"](guest.store)][int(sys.argv[2])]
guard = stores.guard_of(guest.store)
inside = False
count = 0

def interfere(*_):
    global inside, count
    if not inside:
        inside, count = True, count + 1
        try:
            entries[count % 2]()
        except KeyError:
            pass
        finally:
            inside = False

if sys.argv[1] == "a profiler":
    gc.disable()  # each finalizer is several calls, and each of those leaves more to be collected than there was
for at in range(int(sys.argv[3])):
    error = ValueError(at)
    if sys.argv[1] == "a profiler":
        sys.setprofile(interfere)
    elif at == 0:
        signal.signal(signal.SIGALRM, interfere)
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.00006)
    try:
        outer()
    except BaseException as caught:
        sys.setprofile(None)
        if caught is not error:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise
    inside = True
    sys.setprofile(None)
    assert (guard.depth, guard.owner) == (0, 0), (guard.depth, guard.owner)
    inside = False
signal.setitimer(signal.ITIMER_REAL, 0)
guest.close()
print("fine", count > 0)
"""


WHO = ["a profiler", "a signal"]


@pytest.mark.parametrize("who", WHO)
def test_a_guest_that_is_called_in_between_takes_neither_what_was_raised_nor_the_claim(who: str) -> None:
    way = "0"
    assert run_apart(NESTED, who, way, "200" if who == "a profiler" else "20000") == "fine True\n"


@pytest.mark.skipif(
    backend.active.NAME == "pure", reason="frames of the pure backend keep a claim (docs/safety.md)"
)
@pytest.mark.parametrize("who", WHO)
def test_nor_does_one_that_wasmtime_py_has_called(who: str) -> None:
    assert run_apart(NESTED, who, "1", "200" if who == "a profiler" else "20000") == "fine True\n"


# --------------------------------------------------------------------------------------------------- recursion

RECURSES = """
import ctypes, sys, threading
import wasmtime, hostmod
from hostmod import HostModule, function
from hostmod.guest import export_caller
from hostmod.types import Int32
from wat import passing

where, how, way, limit = sys.argv[1:]
if limit != "default":
    sys.setrecursionlimit(int(limit))
engine = wasmtime.Engine()

class Host(HostModule, name="host"):
    @function
    def again(self, depth: Int32) -> Int32:
        return step(depth + 1)

class Typed(hostmod.GuestModule):
    @hostmod.export
    def again(self, depth: Int32) -> Int32: ...

text = '(func $r (export "forever") (param i32) (result i32) (i32.add (i32.const 1) (call $r (local.get 0))))'
module = wasmtime.Module(engine, passing(Host, more=text))
starting = wasmtime.Module(engine, passing(Host, more="(func $s (drop (call $again (i32.const 1)))) (start $s)"))
linker = wasmtime.Linker(engine)
Host().link(linker)
prepared = linker.instantiate_pre(starting) if hasattr(linker, "instantiate_pre") else None

def new():
    store = wasmtime.Store(engine)
    exports = linker.instantiate(store, module).exports(store)
    forever, again = exports["forever"], exports["again"]
    typed = Typed(store, linker.instantiate(store, module))
    calls = {
        "an export": (export_caller("again", store, again), export_caller("forever", store, forever)),
        "a GuestModule": (typed.again, export_caller("forever", store, forever)),
        "Func": (lambda depth: again(store, depth), lambda depth: forever(store, depth)),
        "Linker.instantiate": (lambda depth: bool(linker.instantiate(store, starting)), None),
        "InstancePre.instantiate": (lambda depth: bool(prepared.instantiate(store)), None),
    }
    return store, calls[way], export_caller("again", store, again)

made = [new() for _ in range(3000 if how == "a new store each" else 1)]

def run():
    global step
    store, (again, forever), usable = made[0]
    if how == "the guest":
        step = None
        start = forever or again
    elif how == "one store":
        step = start = again
    else:
        left = iter(made[1:])
        step = start = lambda depth: next(left)[1][0](depth)
    try:
        start(1)
        said.append("it came back")
    except (RecursionError, wasmtime.Trap, ctypes.ArgumentError) as error:
        assert not isinstance(error, ctypes.ArgumentError) or "RecursionError" in str(error)
        said.append(type(error).__name__)
    step = lambda depth: depth
    try:
        assert usable(1) == 2
    except RecursionError:
        said.append("no room on this thread")
    store.close()

said = []
if where == "main":
    run()
else:
    threading.stack_size(int(where) * 1024)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    threading.stack_size(0)
print(*said)
"""


"""Python's limit is near where what was raised is picked up: what that needs to call fails."""


@pytest.mark.parametrize("limit", ["default", "1000000"], ids=["the default limit", "no limit"])
@pytest.mark.parametrize("way", ["an export", "a GuestModule", "Func", "Linker.instantiate", *PREPARED])
@pytest.mark.parametrize("how", ["the guest", "one store", "a new store each"])
@pytest.mark.parametrize("where", ["main", "256", "512", "1024"])
def test_recursion_ends_in_an_exception_on_every_thread(where: str, how: str, way: str, limit: str) -> None:
    if how == "the guest" and way.endswith("instantiate"):
        how = "one store"
    told = run_apart(RECURSES, where, how, way, limit).split(maxsplit=1)
    # At Python's own limit, a conversion inside of ctypes can be what fails: it says so by an error of its own.
    assert told[0] in ("RecursionError", "Trap", *(["ArgumentError"] if limit == "default" else []))
    assert where in ("256", "512") or len(told) == 1


STACKS = """
import sys, threading
import wasmtime, hostmod

config = wasmtime.Config()
config.max_wasm_stack = int(sys.argv[1]) << 20
engine = wasmtime.Engine(config)
text = '''(module (func $r (export "deep") (param i32) (result i32)
  (if (result i32) (local.get 0)
    (then (i32.add (i32.const 1) (call $r (i32.sub (local.get 0) (i32.const 1)))))
    (else (i32.const 0)))))'''

def run():
    with hostmod.instantiate(text, engine=engine) as guest:
        said.append(guest.exports.deep(1000))
        try:
            guest.exports.deep(10**7)
        except wasmtime.Trap as trap:
            said.append("exhausted" in str(trap))
        said.append(guest.exports.deep(1))
    store = wasmtime.Store(engine)
    store.close()

said = []
threading.stack_size((int(sys.argv[1]) + 2) << 20)
thread = threading.Thread(target=run)
thread.start()
thread.join()
print(*said)
"""


@pytest.mark.parametrize("size", ["1", "2", "3", "8"], ids="{} MiB".format)
def test_an_engine_with_a_larger_wasm_stack_works(size: str) -> None:
    assert run_apart(STACKS, size) == "1000 True 1\n"
