"""Host modules, guest modules and structs of ``__main__`` go to another process, as Ray, Dask and Spark send them."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hostmod import function
from hostmod.link import HostModule, module
from hostmod.types import Int32, Pointer, Uint8, struct
from hostmod.types.scalar import FLOAT64, UINT8

DUMPS = '''
import errno
import sys
from enum import IntEnum, IntFlag
from typing import Annotated

import cloudpickle

import hostmod
from hostmod import GuestModule, HostModule, export, function
from hostmod.types import (
    Array, Bool, Duration, Error, Float64, Int32, Length, List, Optional, Pointer, String, Uint8, Uint32, enum, struct
)


@enum(Uint8)
class Colour(IntEnum):
    RED = 1
    BLUE = 2


@enum(Uint32, unknown="int")
class Flags(IntFlag):
    A = 1
    B = 2


@struct
class Point:
    """Two numbers."""

    x: Int32
    y: Float64 = 2.5

    def far(self) -> bool:
        return self.x > 100


@struct
class Line:
    ends: Annotated[list[Point], Length(2)]
    colour: Colour
    flags: Flags
    shown: Bool
    following: "Pointer[Line] | None"
    name: String


class Base(HostModule, name="kv", errors={KeyError: errno.ENOENT}):
    def __init__(self, start: int = 10) -> None:
        self.start = start
        self.closed = 0

    @function
    def add(self, value: Int32) -> Int32:
        return value + self.start

    @function
    def find(self, point: Pointer[Point]) -> Optional[Uint32]:
        found = point.load()
        if not found.x:
            raise KeyError(found.x)
        point.store(Point(found.x + 1, found.y))
        return found.x

    def close(self) -> None:
        self.closed += 1


class Kv(Base, name="kv"):
    @function("named")
    def named_(self, name: String, values: Array[Int32], lines: List[Point], waits: Duration) -> Error:
        raise KeyError(name)


class Calls(GuestModule, memory="memory"):
    @export
    def run(self, value: Int32) -> Int32: ...

    @export
    def find(self, point: Pointer[Point]) -> Optional[Uint32]: ...


env = hostmod.module("env", errors={KeyError: 7})


@env.function
def twice(value: Int32) -> Int32:
    return 2 * value


def seven(module: str, found: hostmod.Function) -> hostmod.Function:
    inner = found.func
    return found.with_func(lambda self, *values: inner(self, *values) + 7) if found.name == "add" else found


More = hostmod.decorate(Kv, seven)

GUEST = """(module
  (import "kv" "add" (func $add (param i32) (result i32)))
  (import "kv" "find" (func $find (param i32) (result i32 i32)))
  (import "env" "twice" (func $twice (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "malloc") (param i32) (result i32) (i32.const 64))
  (func (export "free") (param i32))
  (func (export "find") (param i32) (result i32 i32) (call $find (local.get 0)))
  (func (export "run") (param i32) (result i32) (call $twice (call $add (local.get 0)))))"""


def work(host):
    with host, hostmod.instantiate(GUEST, host, env) as guest:
        calls = Calls(guest.store, guest.instance)
        Pointer.new(Point).store(Point(5))
        guest.memory.write(64, b"\x05")
        return calls.run(1), guest.exports.find(64), guest.memory.read(64, 1)


def rounds():
    line = Pointer.new(Line)
    line.store(Line([Point(1), Point(200, 0.5)], Colour.BLUE, Flags.A | Flags.B, True, None, ""))
    return line.load()


assert work(Kv(1)) == (4, (5, 0), b"\\x06"), work(Kv(1))  # everything that is cached is there now
assert work(More(1))[0] == 18
linker = hostmod.link.wasmtime.Linker(hostmod.link.wasmtime.Engine())
Kv.compile(linker)
with hostmod.bind(Kv(3)):
    names = "Point", "Line", "Colour", "Flags", "Kv", "Calls", "env", "work", "More", "rounds"
    found = {name: globals()[name] for name in names}
    data = cloudpickle.dumps({**found, "kv": Kv(2), "point": Point(7, 8.0)})
sys.stdout.buffer.write(data)
'''

LOADS = """
import sys
from pathlib import Path

import pickle

import hostmod
from hostmod.types import Pointer, offsetof, sizeof

found = pickle.loads(Path(sys.argv[1]).read_bytes())
Kv, Point, Line, Colour = found["Kv"], found["Point"], found["Line"], found["Colour"]
print(found["work"](Kv(100)), found["work"](found["kv"]))
print(found["work"](found["More"](0))[0])
print(found["kv"].closed, Point.__doc__, Kv.name, sorted(Kv.functions), dict(Kv.errors))
print(found["point"], found["point"].far(), Point(200).far(), Point(1) == Point(1, 2.5))
print(sizeof(Point), offsetof(Line, "name"), Line.__struct__.name, Point.__init__ is Point.__struct__.initializer)
line = found["rounds"]()
print(line.ends, line.colour is Colour.BLUE, int(line.flags), line.following)
print(Kv.functions["find"], Kv.functions["named"].plan.where)
compiled = Kv.compile(linker := hostmod.link.wasmtime.Linker(hostmod.link.wasmtime.Engine()))
print(Kv._bound.get(None))
with compiled.instantiate(5) as one, hostmod.bind(one):
    print(Kv._bound.get(None) is one.module)
try:
    Pointer.new(Point).store(Point(2**40))
except hostmod.ConversionError as error:
    print(error)
import cloudpickle
print(pickle.loads(cloudpickle.dumps(found["work"]))(Kv(1))[0])
"""

EXPECTED = """\
(202, (5, 0), b'\\x06') (6, (5, 0), b'\\x06')
16
1 Two numbers. kv ['add', 'find', 'named'] {<class 'KeyError'>: 2}
Point(x=7, y=8.0) False True True
16 48 Line True
[Point(x=1, y=2.5), Point(x=200, y=0.5)] True 3 None
<function kv::find(i32) -> (i32, i32)> kv.named
None
True
Point.x: 1099511627776, expected Int32 (-2147483648 to 2147483647)
4
"""


@pytest.mark.parametrize("backends", ["c to c", "pure to pure", "c to pure"])
def test_classes_of_main_are_used_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backends: str
) -> None:
    first, _, second = backends.partition(" to ")
    path = tmp_path / "dumped"
    program = tmp_path / "main.py"
    program.write_text(textwrap.dedent(DUMPS), "utf-8")
    monkeypatch.setenv("HOSTMOD_NO_EXTENSIONS", "1" if first == "pure" else "0")
    dumped = subprocess.run([sys.executable, program], capture_output=True, timeout=60, check=False)
    assert dumped.returncode == 0, dumped.stderr.decode()
    path.write_bytes(dumped.stdout)
    monkeypatch.setenv("HOSTMOD_NO_EXTENSIONS", "1" if second == "pure" else "0")
    loaded = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LOADS), path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (loaded.stdout, loaded.stderr) == (EXPECTED, "")


@struct
class Pair:
    one: Uint8
    two: Int32


class Host(HostModule, name="host"):
    @function
    def f(self, pair: Pointer[Pair]) -> Int32:
        return pair.load().two


def test_guest_types_pickle_and_copy_as_equals() -> None:
    Pair.__struct__.store_object(Pointer.new(Pair).memory, 0, Pair(1, 2))  # type: ignore[attr-defined]  # what @struct adds
    kinds = [UINT8, FLOAT64, Pair.__struct__, Host.functions["f"].params[0].type]  # type: ignore[attr-defined]  # as above
    for kind in kinds:
        for there in (pickle.loads(pickle.dumps(kind)), copy.copy(kind), copy.deepcopy(kind)):
            assert there == kind
            assert hash(there) == hash(kind)
            assert there.size == kind.size
            assert "_native" not in vars(there)


def test_a_class_of_an_importable_module_pickles_by_name() -> None:
    assert pickle.loads(pickle.dumps(Host)) is Host
    assert pickle.loads(pickle.dumps(Pair(1, 2))) == Pair(1, 2)


def test_functions_of_a_module_pickle_without_what_they_are_linked_by() -> None:
    env = module("env")
    assert pickle.loads(pickle.dumps(env._linkages)) == {}
