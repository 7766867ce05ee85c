"""Laws 2 and 4, of references: the object that comes back is the one that was given, whatever collects meanwhile."""

from __future__ import annotations

import pytest
from wat import run_apart

from hostmod._backend import select as backend

WHILE = """
import atexit, gc, signal, sys
from typing import Annotated, Any
import hostmod
from hostmod import HostModule, function
from hostmod.types import Bytes, Caller, Duration, ExternRef, GuestType, Int32, List, Pointer, String, Uint16, struct
from wat import passing

@struct
class Pair:
    a: Uint16
    b: Uint16

class Thing:
    def __init__(self, number):
        self.number = number

class OwnType(GuestType):
    name, core, size = "Own", ("i32",), 4
    def load_value(self, memory, words):
        collect()
        return [words[0]]
    def store_value(self, memory, value):
        collect()
        return (value[0],)

Own = Annotated[list, OwnType()]
given = []

class Host(HostModule, name="host"):
    @function
    def same(self, thing: ExternRef) -> ExternRef:
        assert thing is given[0], thing
        return thing

    @function
    def beside_others(self, items: List[Uint16], a: ExternRef, own: Own, b: ExternRef, at: Pointer[Pair]) -> ExternRef:
        assert (a, b) == (given[0], given[1]), (a, b)
        at.store(at.load())
        return b

    @function
    def after_text(
        self, text: String, data: Bytes, time: Duration, a: ExternRef, b: ExternRef, c: ExternRef
    ) -> ExternRef:
        assert (a, b, c) == tuple(given), (a, b, c)
        return c

    @function
    def several(self, a: ExternRef, b: ExternRef) -> tuple[ExternRef, Own, ExternRef]:
        assert (a, b) == (given[0], given[1]), (a, b)
        return b, [7], a

    @function
    def new(self) -> ExternRef:
        given[:] = [Thing(0)]
        return given[0]
"""

GUEST = """
more = '''(table $t 8 externref)
  (func $put (export "put") (param i32 externref) (table.set $t (local.get 0) (local.get 1)))
  (func (export "take") (param i32) (result externref)
    (table.get $t (local.get 0)) (table.set $t (local.get 0) (ref.null extern)))'''
guest = hostmod.instantiate(passing(Host, more=more), Host())
e = guest.exports
put, take = e.put, e.take

def run(what):
    given[:] = [Thing(1), Thing(2), Thing(3)]
    a, b, c = given
    if what == "same":
        assert e.same(a) is a
    elif what == "beside others":
        assert e.beside_others(0, 4, a, 5, b, 8) is b
    elif what == "after text":
        assert e.after_text(0, 4, 8, 8, 5, a, b, c) is c
    elif what == "several":
        found = e.several(a, b)
        assert found == (b, 7, a), found
    elif what == "new":
        assert e.new() is given[0]
    else:
        put(1, a)
        put(2, b)
        found = take(1), take(2)
        assert found == (a, b), found

inside, count = False, 0

def collect(*_):
    "Let the guest collect, and something else take the place of what it collected."
    global inside, count
    if not inside:
        inside = True
        try:
            count += 1
            how()
        finally:
            inside = False

def calls():
    other = Thing("another")
    put(0, other)
    assert take(0) is other

how = {"store.gc": guest.store.gc, "calls": calls, "both": lambda: (guest.store.gc(), calls())}[sys.argv[2]]

class Cycle:
    def __init__(self):
        self.me = self
    def __del__(self):
        collect()

wrong = []
sys.unraisablehook = lambda what: wrong.append(repr(what.exc_value))
for at in range(int(sys.argv[4])):
    if sys.argv[3] == "finalizers":
        gc.set_threshold(1 + at % 3, 5, 5)
        Cycle()
    elif sys.argv[3] == "a profiler":
        sys.setprofile(collect)
    elif sys.argv[3] == "the collector's callbacks":
        if not gc.callbacks:
            gc.callbacks.append(collect)
        gc.set_threshold(1 + at % 3, 5, 5)
    elif at == 0:
        atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, collect)
        signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.00007)
    run(sys.argv[1])
    sys.setprofile(None)
    gc.set_threshold(700)
signal.setitimer(signal.ITIMER_REAL, 0)
gc.callbacks.clear()
assert not wrong, wrong[:3]
guest.close()
for _ in range(20):
    hostmod.instantiate("(module)").close()
print("fine", count > 0)
"""


def _cases() -> list[tuple[str, str, str]]:
    """What is done, what the interfering code does, and who runs it.

    The pure backend takes what a guest returns by a second call into wasmtime, and code of a signal's handler, a
    profiler or the collector's callbacks can run before that (docs/safety.md): finalizers only are tried there.
    """
    found = []
    for what in ("same", "beside others", "after text", "several", "new", "put and take"):
        for how in ("store.gc", "calls", "both"):
            for who in ("finalizers", "the collector's callbacks", "a signal", "a profiler"):
                returned = what in ("new", "put and take", "several", "same") and who != "finalizers"
                if (backend.active.NAME == "pure" and returned) or (who == "a profiler" and how == "calls"):
                    continue
                found.append((what, how, who))
    return found


@pytest.mark.parametrize(("what", "how", "who"), _cases())
def test_the_same_object_comes_back_whatever_collects_meanwhile(what: str, how: str, who: str) -> None:
    count = {"a signal": "6000", "a profiler": "300"}.get(who, "1500")
    assert run_apart(WHILE + GUEST, what, how, who, count) == "fine True\n"


FINALIZERS = """
import sys
import hostmod, wasmtime
from hostmod import HostModule, function
from hostmod.types import ExternRef
from wat import passing

class Host(HostModule, name="host"):
    @function
    def same(self, thing: ExternRef) -> ExternRef:
        return thing

more = '''(table $t (export "table") 8 externref)
  (func (export "put") (param i32 externref) (table.set $t (local.get 0) (local.get 1)))
  (func (export "take") (param i32) (result externref) (table.get $t (local.get 0)))
  (func (export "spin") (param i32)
    (loop $again
      (table.set $t (i32.const 1) (call $same (table.get $t (i32.const 0))))
      (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
      (br_if $again (local.get 0))))'''
guest = hostmod.instantiate(passing(Host, more=more), Host())
put, take, spin = guest.exports.put, guest.exports.take, guest.exports.spin
raw_put, table = guest.exports["put"], guest.exports["table"]
gone, wrong = 0, []
sys.unraisablehook = lambda what: wrong.append(repr(what.exc_value))
closing = False

class Thing:
    def __del__(self):
        global gone
        gone += 1
        if not closing:
            ways[sys.argv[1]]()

def call():
    other = object()
    put(3, other)
    assert take(3) is other

def call_by_wasmtime_py():
    other = object()
    table.set(guest.store, 3, other)
    assert table.get(guest.store, 3) is other

ways = {
    "collects": guest.store.gc,
    "calls": call,
    "calls by wasmtime-py": call_by_wasmtime_py,
    "runs the guest, which calls back": lambda: spin(3),
    "grows its memory": lambda: guest.memory.grow(0),
    "leaves another": lambda: put(4, Thing()) if gone < 500 else None,
}
for at in range(1000):
    put(at % 3, Thing())
    table.set(guest.store, 1, Thing())
    spin(2)
    if at % 7 == 0:
        guest.store.gc()
        assert gone > at // 2, (gone, at)
closing = True
del put, take, spin, raw_put, table
guest.close()
assert not wrong, wrong[:3]
assert gone >= 2000, gone
print("fine")
"""


@pytest.mark.parametrize(
    "what",
    [
        "collects",
        "calls",
        "calls by wasmtime-py",
        "runs the guest, which calls back",
        "grows its memory",
        "leaves another",
    ],
)
def test_an_object_that_goes_may_use_the_store_that_let_go_of_it(what: str) -> None:
    """wasmtime's collector calls finalizers in its midst: wasmtime 36 ended the process where one came back to it."""
    assert run_apart(FINALIZERS, what) == "fine\n"
