"""Attack hostmod: random declarations, core values and memories, with Python code that interferes at random points.

    python scripts/attack.py                                      a million calls on the backend in C
    python scripts/attack.py --calls 100000 --backend pure --seed 7
    python scripts/attack.py --backend c --seed 7 --case 123      one case again

A case is a host module with random functions, a guest that passes every call on, and one memory: 32-bit or 64-bit,
fixed or growable, one that moves when it grows or not. Each case has a way to interfere: finalizers and callbacks of
Python's collector, a signal's handler (which may raise), a profiler, a tracer of every instruction, or a second thread.
What interferes lets the guest grow its memory, calls it, collects its references, takes views and keeps them, and uses
what was kept. Whatever happens, a value is the right one or the error is one that is due, nothing shows memory that it
must not show, and the store is free after each call.

Cases run in processes of their own. One that dies of a signal, hangs, or finds something wrong is reported with its
number and seed, and the exit code is 1. Some cases depend on when a signal or a thread comes: run those several times.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import enum
import errno
import faulthandler
import gc
import os
import random
import signal
import struct as packing
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import numpy
import wasmtime
from wat import passing

import hostmod
from hostmod import backend, types
from hostmod._wasmtime import store as stores
from hostmod.types.base import GuestType

ROOT = Path(__file__).resolve().parent.parent
PAGE = 65536
SCRATCH = 1024
"""Below it the memory is written to; above it stands a pattern, in the first page, and zeros."""

FRAMES = ("a profiler", "a tracer", "a signal that raises")
"""What is given frames of the pure backend, or tracebacks of them, which keep what they hold (docs/safety.md)."""

PURE = backend.active.NAME == "pure"

BATCH = 40
"""Cases that one process runs."""


def pattern() -> bytes:
    """Make a page of text that differs everywhere, with a NUL in each 64 bytes."""
    words = random.Random(1).choices(range(33, 127), k=PAGE)
    words[63::64] = [0] * len(words[63::64])
    return bytes(words)


IMAGE = pattern()


def image(start: int, stop: int) -> bytes:
    """Return what the memory holds at some addresses, not below SCRATCH."""
    found = IMAGE[start:stop]
    return found + bytes(stop - start - len(found))


ENDED = ("released memoryview", "used after its call ended")
"""What is said of a view that ended while it was made: what interferes let the guest run, and its memory can move."""


class Wrong(AssertionError):
    """Something is not as it has to be."""


class Interrupt(BaseException):
    """What a signal's handler raises."""


# ------------------------------------------------------------------------------------------------ declarations


@types.struct
class Pair:
    """A struct."""

    a: types.Uint16
    b: types.Uint32


@types.struct
class Deep:
    """A struct in a struct."""

    first: Pair
    at: types.Duration
    last: types.Float32


@types.enum(types.Uint32)
class Level(enum.IntEnum):
    """An enum."""

    LOW = 1
    HIGH = 7


class OwnType(GuestType[int]):
    """A guest type of the user's: its code runs while others are made."""

    name = "Own"
    core = ("i32",)
    size = 4

    def load_value(self, memory: Any, words: Sequence[Any]) -> int:
        interfere()
        return int(words[0])

    def store_value(self, memory: Any, value: int) -> Sequence[Any]:
        interfere()
        return (value,)


own = Annotated[int, OwnType()]
known = {each.__name__: each for each in (Pair, Deep, Level)}
NAMES: dict[str, Any] = {**vars(types), "Own": own, **known}


def number(bits: int, signed: bool) -> Callable[[Any, Any, Any], Any]:
    """Describe an integer parameter."""

    def decode(case: Case, words: Sequence[int], value: Any) -> bool:
        found = words[0] & ((1 << bits) - 1)
        if signed and found >> (bits - 1):
            found -= 1 << bits
        return type(value) is int and value == found

    return decode


# A kind is: annotation, core types, check(case, words, value), bytes that are looked at (words) or None
KINDS: dict[str, tuple[tuple[str, ...], Callable[..., Any], Callable[..., Any] | None]] = {}
for bits in (8, 16, 32, 64):
    core = ("i64",) if bits == 64 else ("i32",)
    KINDS[f"Int{bits}"] = (core, number(bits, True), None)
    KINDS[f"Uint{bits}"] = (core, number(bits, False), None)
KINDS["Bool"] = (("i32",), lambda case, words, value: value is (words[0] != 0), None)
KINDS["Duration"] = (("i64",), lambda case, words, value: int(value) == signed_of(words[0], 64), None)
KINDS["Level"] = (("i32",), lambda case, words, value: value == words[0], None)
KINDS["Own"] = (("i32",), lambda case, words, value: value == words[0], None)
KINDS["ExternRef"] = (("externref",), lambda case, words, value: value is words[0], None)
KINDS["Caller"] = ((), lambda case, words, value: value.memory.size in case.sizes(), None)
KINDS["Float64"] = (("f64",), lambda case, words, value: value == words[0], None)
two = ("i32", "i32")


def shows(step: int) -> tuple[Any, ...]:
    """Describe a parameter that shows memory."""

    def check(case: Case, words: Sequence[int], value: Any) -> bool:
        return len(value) == words[1] and case.holds(words[0], value.tobytes())

    return two, check, lambda words: (words[0], words[1] * step)


KINDS["Bytes"] = shows(1)
KINDS["Array[Uint16]"] = shows(2)
KINDS["Array[Int64]"] = shows(8)
KINDS["Array[Float32]"] = (
    two,
    lambda case, words, value: len(value) == words[1],
    lambda words: (words[0], words[1] * 4),
)
KINDS["String"] = (
    two,
    lambda case, words, value: case.holds(words[0], value.encode()) and len(value) == words[1],
    lambda words: (words[0], words[1]),
)
KINDS["CString"] = (
    ("i32",),
    lambda case, words, value: case.holds(words[0], value.encode() + b"\0"),
    lambda words: (words[0], 64),
)


def items(element: Any, size: int, layout: str) -> tuple[Any, ...]:
    """Describe a list parameter."""

    def check(case: Case, words: Sequence[int], value: Any) -> bool:
        if len(value) != words[1]:
            return False
        for at in {0, len(value) // 2, len(value) - 1} if len(value) else ():
            place = words[0] + at * size
            if not case.equal(place, size, layout, value[at], value.pointer + at):
                return False
        return True

    return two, check, lambda words: (words[0], words[1] * size)


KINDS["List[Uint16]"] = items(types.Uint16, 2, "<H")
KINDS["List[Pair]"] = items(Pair, 8, "<HxxI")
KINDS["List[Deep]"] = items(Deep, 32, "")
KINDS["List[Bytes]"] = (
    two,
    lambda case, words, value: len(value) == words[1],
    lambda words: (words[0], words[1] * 8),
)
KINDS["Pointer[Uint32]"] = (
    ("i32",),
    lambda case, words, value: case.pointed(words[0], 4, "<I", value),
    None,
)
KINDS["Pointer[Pair]"] = (
    ("i32",),
    lambda case, words, value: case.pointed(words[0], 8, "<HxxI", value),
    None,
)
KINDS["Pointer[Deep] | None"] = (
    ("i32",),
    lambda case, words, value: value is None if words[0] == 0 else case.pointed(words[0], 32, "", value),
    None,
)


def signed(bits: int) -> Callable[[random.Random], int]:
    """Make a source of signed results."""
    return lambda rng: rng.choice(
        [0, 1, -1, (1 << (bits - 1)) - 1, -(1 << (bits - 1)), rng.getrandbits(bits - 1)]
    )


def unsigned(bits: int) -> Callable[[random.Random], int]:
    """Make a source of unsigned results."""
    return lambda rng: rng.choice([0, 1, (1 << bits) - 1, 1 << (bits - 1), rng.getrandbits(bits)])


# A result is: make(rng), and what its caller is to get.
RESULTS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "None": (lambda rng: None, lambda value: ())
}
for bits in (8, 16, 32, 64):
    wide = max(bits, 32)
    RESULTS[f"Int{bits}"] = (signed(bits), lambda value: (value,))
    RESULTS[f"Uint{bits}"] = (unsigned(bits), lambda value, wide=wide: (signed_of(value, wide),))
RESULTS["Bool"] = (lambda rng: rng.random() < 0.5, lambda value: (int(value),))
RESULTS["Float64"] = (lambda rng: rng.choice([0.0, -1.5, 1e300]), lambda value: (value,))
RESULTS["Level"] = (lambda rng: rng.choice(list(Level)), lambda value: (int(value),))
RESULTS["Own"] = (unsigned(32), lambda value: (signed_of(value, 32),))
RESULTS["ExternRef"] = (lambda rng: rng.choice([None, Thing(), "text"]), lambda value: (value,))


class Thing:
    """What a reference is to."""


UNKNOWN = Thing()
"""What the guest's table holds is not known: something interfered while it was being changed."""


def signed_of(word: int, bits: int) -> int:
    """Read a core value as a signed integer."""
    word &= (1 << bits) - 1
    return word - (1 << bits) if word >> (bits - 1) else word


# ------------------------------------------------------------------------------------------------- interfering


class Now:
    """The case that runs, whether it is in a call, and how many things interfere."""

    case: Any = None
    armed = False
    busy = 0


now = Now()


def interfere() -> None:
    """Do something, now and then; whatever calls this may do so at any moment."""
    case = now.case
    if case is None or now.busy >= 2 or not now.armed or case.rng.random() > case.often:
        return
    if threading.get_ident() != case.main:
        return
    now.busy += 1
    try:
        case.mischief()
    except Wrong:
        raise
    finally:
        now.busy -= 1


class Bomb:
    """A cycle that the collector finds, and that does something when it goes."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        guarded()


def guarded() -> None:
    """Interfere where an exception would be lost."""
    try:
        interfere()
    except BaseException as error:  # reported below
        if now.case is not None:
            now.case.report(error)


def collected(phase: str, info: object) -> None:
    """Interfere in the collector's callback."""
    guarded()


def handle(*_: object) -> None:
    """Interfere in a signal's handler, which may raise."""
    interfere()
    if now.armed and now.case is not None and now.case.raises and now.case.rng.random() < 0.2:
        raise Interrupt


def profiled(frame: object, event: str, argument: object) -> None:
    """Interfere in a profiler."""
    interfere()


def traced(frame: Any, event: str, argument: object) -> Any:
    """Interfere before an instruction of hostmod's."""
    name = frame.f_code.co_filename
    if "hostmod" not in name or name == __file__:
        return None
    frame.f_trace_opcodes = True
    interfere()
    return traced


# ------------------------------------------------------------------------------------------------------ a case

WAYS = [
    "nothing",
    "finalizers",
    "callbacks",
    "a signal",
    "a signal that raises",
    "a profiler",
    "a tracer",
    "a thread",
]
MEMORIES = ["fixed", "growable", "moving", "64-bit", "64-bit moving"]

engines: dict[bool, Any] = {}


def engine_of(small: bool) -> Any:
    """Return an engine; of a `small` one, memories move."""
    if small not in engines:
        config = wasmtime.Config()
        config.wasm_memory64 = True
        if small:
            config.memory_reservation = config.memory_reservation_for_growth = 0
            config.memory_guard_size = PAGE
        engines[small] = wasmtime.Engine(config)
    return engines[small]


class Case:
    """One host module, guest and memory, and what interferes."""

    def __init__(self, seed: int, way: str | None = None) -> None:
        self.rng = random.Random(seed)
        rng = self.rng
        self.seed = seed
        self.main = threading.get_ident()
        self.way = way or rng.choice(WAYS)
        self.memory_kind = rng.choice(MEMORIES)
        self.moves = "moving" in self.memory_kind
        self.fixed = self.memory_kind == "fixed"
        self.raises = self.way == "a signal that raises"
        self.often = {"a profiler": 0.02, "a tracer": 0.003, "callbacks": 0.05}.get(self.way, 0.3)
        self.wrong: list[str] = []
        self.kept: list[Any] = []  # what can reach memory
        self.plain: list[tuple[Any, int]] = []  # views, and the call that they were of
        self.bytes_kept: list[Any] = []
        self.stack: list[tuple[int, Any]] = []  # calls under way
        self.calls = 0
        self.open = True
        self.grown = False
        self.ever_kept = False
        self.closing = rng.random() < 0.2
        self.changes = 0
        self.make()

    def make(self) -> None:
        """Declare, link and instantiate."""
        rng = self.rng
        self.signatures: list[tuple[list[str], list[str], bool]] = []
        functions: dict[str, Any] = {}
        for number in range(rng.randint(2, 6)):
            params = [rng.choice(list(KINDS)) for _ in range(rng.choice([0, 1, 1, 2, 2, 3, 5, 18]))]
            results = [rng.choice(list(RESULTS)) for _ in range(rng.choice([0, 1, 1, 1, 2, 3]))]
            if len(results) != 1:
                results = [each for each in results if each != "None"]
            optional = rng.random() < 0.4 and len(results) < 2
            self.signatures.append((params, results, optional))
            functions[f"f{number}"] = self.declare(number, params, results, optional)
        make_class: Any = type(hostmod.HostModule)
        cls: Any = make_class(
            "Random", (hostmod.HostModule,), functions | {"__module__": __name__}, name="random"
        )
        wide = "i64" if "64" in self.memory_kind else ""
        most = {"fixed": "1 1"}.get(self.memory_kind, "1 600")
        size = "i64" if wide else "i32"
        wrap = ("i64.extend_i32_u", "i32.wrap_i64") if wide else ("", "")
        more = f"""
          (table $t 8 externref)
          (func $grow (export "grow") (param i32) (result i32)
            {f"({wrap[1]}" if wide else ""} (memory.grow {f"({wrap[0]}" if wide else ""} (local.get 0)
            {")" if wide else ""}) {")" if wide else ""})
          (func (export "peek") (param {size}) (result i32) (i32.load8_u (local.get 0)))
          (func (export "poke") (param {size} i32) (i32.store8 (local.get 0) (local.get 1)))
          (func (export "hold") (param i32 externref) (table.set $t (local.get 0) (local.get 1)))
          (func (export "fetch") (param i32) (result externref) (table.get $t (local.get 0)))"""
        text = passing(cls, memory=f'(memory (export "memory") {wide} {most})', more=more)
        self.guest = hostmod.instantiate(text, cls(), engine=engine_of(self.moves))
        self.guard = stores.guard_of(self.guest.store)
        self.exports = self.guest.exports
        self.guest.memory.write(0, IMAGE)
        raw: Any = self.guest.instance.exports(self.guest.store)
        self.entries: list[list[Callable[..., Any]]] = []
        for number in range(len(self.signatures)):
            name = f"f{number}"
            self.entries.append(
                [self.exports[name], lambda *words, name=name: raw[name](self.guest.store, *words)]
            )
        self.grow, self.peek, self.fetch, self.hold = (
            self.exports[name] for name in ("grow", "peek", "fetch", "hold")
        )
        self.table: list[Any] = [None] * 8

    def declare(self, number: int, params: list[str], results: list[str], optional: bool) -> Any:
        """Make one host function."""
        names = [f"p{at}" for at in range(len(params))]
        returns = (
            "None" if not results else results[0] if len(results) == 1 else f"tuple[{', '.join(results)}]"
        )
        if optional:
            returns = "Error" if returns == "None" else f"Optional[{returns}]"
        arguments = "".join(f", {name}: {kind}" for name, kind in zip(names, params, strict=True))
        source = f"def f{number}(self{arguments}) -> {returns}: return body({number}, [{', '.join(names)}])\n"
        namespace = NAMES | {"body": self.body, "__name__": __name__}
        exec(compile(source, f"<case {self.seed}>", "exec", dont_inherit=True), namespace)
        return hostmod.function(namespace[f"f{number}"])

    # ------------------------------------------------------------------------------------------------ what is checked

    def report(self, error: BaseException) -> None:
        """Note what is wrong."""
        if isinstance(error, Interrupt) or "FrameList" in str(
            error
        ):  # wasmtime-py's, where __init__ was interrupted
            return
        self.wrong.append("".join(traceback.format_exception(error))[-3000:])

    def sizes(self) -> range:
        """Sizes that the memory can have now."""
        return range(PAGE, 601 * PAGE, PAGE)

    def holds(self, start: int, data: bytes) -> bool:
        """Whether some bytes are those of the memory, as far as they are not written to."""
        if start < SCRATCH:
            data, start = data[SCRATCH - start :], SCRATCH
        return data == image(start, start + len(data))

    def equal(self, start: int, size: int, layout: str, value: Any, pointer: Any) -> bool:
        """Whether an object is that of the memory."""
        if start < SCRATCH or not layout:
            return True
        numbers = packing.unpack(layout, image(start, start + size))
        return numbers == ((value,) if isinstance(value, int) else (value.a, value.b))

    def pointed(self, start: int, size: int, layout: str, pointer: Any) -> bool:
        """Whether a pointer gives what is there, or the fault that is due."""
        if pointer.offset != start:
            return False
        try:
            value = pointer.load()
        except hostmod.SegmentationFault:
            return start + size > PAGE
        if layout and not self.equal(start, size, layout, value, pointer):
            return False
        if start + size <= SCRATCH:
            pointer.store(value)
        return True

    def due(self, error: BaseException) -> bool:
        """Whether an exception of something that interferes is one that can be due."""
        if isinstance(error, hostmod.ViewEscapedError):
            return self.ever_kept or self.moves  # a view that is being made is in use too
        if isinstance(error, hostmod.StoreBusyError):
            return (
                self.way == "a thread"
                or self.moves
                or bool(self.stack)
                or not self.open
                or bool(self.guard.depth)
            )
        if isinstance(error, hostmod.StaleMemoryError | ValueError):
            # A window that ended under it, since what interferes with this let the guest run.
            return not self.open or (self.moves and any(text in str(error) for text in ENDED))
        return isinstance(error, Interrupt | RecursionError)

    # -------------------------------------------------------------------------------------------------- what is done

    def mischief(self) -> None:
        """Do one thing that Python code may do at any moment."""
        rng = self.rng
        what = rng.choice(ACTIONS)
        try:
            what(self)
        except Wrong:
            raise
        except Exception as error:
            if not self.due(error):
                raise Wrong(f"{what.__name__}: {error!r}") from error

    def do_grow(self) -> None:
        if not self.fixed and self.rng.random() < 0.5:
            before = self.grow(self.rng.choice([0, 1, 1, 3, 40]))
            self.grown = True
            if before != -1 and not 1 <= before <= 600:
                raise Wrong(f"memory.grow: {before}")

    def do_peek(self) -> None:
        at = self.rng.randrange(SCRATCH, PAGE)
        if self.peek(at) != IMAGE[at]:
            raise Wrong(f"the guest reads {self.peek(at)} at {at}, expected {IMAGE[at]}")

    def do_collect(self) -> None:
        self.guest.store.gc()

    def do_python_collect(self) -> None:
        gc.collect(0)

    def do_fetch(self) -> None:
        at, changes = self.rng.randrange(8), self.changes
        expected = self.table[at]
        found = self.fetch(at)
        if found is not expected and self.changes == changes and expected is not UNKNOWN:
            raise Wrong("another object")

    def do_hold(self) -> None:
        at, thing = self.rng.randrange(8), Thing()
        self.table[at] = UNKNOWN
        self.changes += 1
        changes = self.changes
        self.hold(at, thing)
        if self.changes == changes:  # else what interferes may have put another there
            self.table[at] = thing
            found = self.fetch(at)
            if found is not thing and self.changes == changes:
                raise Wrong("another object")
        else:
            self.table[:] = [UNKNOWN] * 8

    def do_read(self) -> None:
        at = self.rng.randrange(SCRATCH, PAGE - 100)
        if self.guest.memory.read(at, 100) != IMAGE[at : at + 100]:
            raise Wrong("Guest.memory.read gives something else")
        if self.guest.memory.find(0, at) != at | 63:
            raise Wrong("Guest.memory.find gives something else")

    def do_outside_view(self) -> None:
        at = self.rng.randrange(SCRATCH, PAGE - 100)
        view = self.guest.memory.view(at, 100)
        self.bytes_kept.append((view, at, 100))
        if self.rng.random() < 0.3:
            self.keep(view[10:20], at + 10, 10)

    def do_call_view(self) -> None:
        """Take a view of a call under way, not of the last one only."""
        if self.stack:
            _, memory = self.rng.choice(self.stack)
            if memory is not None:
                at = self.rng.randrange(SCRATCH, PAGE - 100)
                view = memory.view(at, 100)
                self.plain.append((view, at))
                if self.rng.random() < 0.2:
                    self.keep(view[10:20], at + 10, 10)

    def do_call_read(self) -> None:
        if self.stack:
            _, memory = self.rng.choice(self.stack)
            if memory is not None:
                at = self.rng.randrange(SCRATCH, PAGE - 100)
                if memory.read(at, 100) != IMAGE[at : at + 100]:
                    raise Wrong("Memory.read gives something else")
                if memory.find(0, at) != at | 63:
                    raise Wrong("Memory.find gives something else")

    def do_use(self) -> None:
        """Use what was kept: it shows what it did, or nothing."""
        for view, at, length in self.kept[-3:]:
            if bytes(view) != image(at, at + length):
                raise Wrong(f"kept bytes of {at} have changed")
        for view, at, length in self.bytes_kept[-3:]:
            with contextlib.suppress(ValueError):
                if bytes(view) != image(at, at + length):
                    raise Wrong(f"bytes of {at} have changed")
        for view, at in self.plain[-3:]:
            with contextlib.suppress(ValueError):
                if view.tobytes() != image(at, at + view.nbytes):
                    raise Wrong(f"a view of {at} has changed")

    def do_drop(self) -> None:
        if self.rng.random() < 0.5:
            self.kept.clear()
        self.bytes_kept.clear()
        self.plain.clear()

    def do_call(self) -> None:
        if len(self.stack) < 4:
            self.call(nested=True)

    def do_close(self) -> None:
        if self.closing and self.rng.random() < 0.02:
            self.open = False
            try:
                self.guest.close()
            except hostmod.StoreBusyError:
                self.open = True
                raise

    def keep(self, view: Any, at: int, length: int) -> None:
        """Keep something that reaches memory."""
        self.ever_kept = True
        how = self.rng.randrange(3)
        if how == 1:
            view = numpy.frombuffer(view, numpy.uint8)
        elif how == 2:
            view = (ctypes.c_ubyte * length).from_buffer(view)
        self.kept.append((view, at, length))

    # ------------------------------------------------------------------------------------------------------- a call

    def body(self, number: int, values: list[Any]) -> Any:
        """What every host function does."""
        params, results, optional = self.signatures[number]
        words, said = self.expected[-1] if self.expected else ([], {})
        if said.get("number") != number:
            raise Wrong("a call that nobody made")
        said["entered"] = True
        rng = self.rng
        memory = None
        for kind, value in zip(params, values, strict=True):
            if kind == "Caller" or (
                memory is None and kind.startswith(("Pointer", "List")) and value is not None
            ):
                memory = (
                    value.memory if kind == "Caller" or kind.startswith("Pointer") else value.pointer.memory
                )
        self.stack.append((number, memory))
        try:
            at = 0
            for kind, value in zip(params, values, strict=True):
                core, check, _ = KINDS[kind]
                own = words[at : at + len(core)]
                at += len(core)
                try:
                    right = check(self, own, value)
                except (ValueError, hostmod.ViewEscapedError, hostmod.StaleMemoryError):
                    if not (
                        self.moves
                        and (
                            self.grown or kind in ("Bytes", "Array[Uint16]", "Array[Int64]", "Array[Float32]")
                        )
                    ):
                        raise
                    right = True  # it ended when the guest ran again
                except hostmod.SegmentationFault:
                    if kind != "List[Bytes]":
                        raise
                    right = True
                if not right:
                    raise Wrong(f"{kind} of {own}: {value!r:.80}")
                if kind in ("Bytes", "Array[Uint16]") and own[0] >= SCRATCH and rng.random() < 0.3:
                    with contextlib.suppress(ValueError):  # it has ended
                        self.plain.append((value, own[0]))
                        if rng.random() < 0.3 and value.nbytes >= 8:
                            self.keep(
                                value.cast("B")[2:4] if value.format == "B" else value[1:2].cast("B"),
                                own[0] + 2,
                                2,
                            )
            value = None
            values.clear()
            interfere()
            way = rng.random()
            if way < 0.1:
                error = OSError(errno.EIO, "bad") if way < 0.06 else RuntimeError("a bug")
                said["error"] = error
                raise error
            made = [RESULTS[each][0](rng) for each in results]
            if optional and results == ["None"]:
                made = [None]
            said["made"] = made
            if len(results) == 1:
                return made[0]
            return tuple(made) if results else None
        finally:
            self.stack.pop()

    expected: list[tuple[list[Any], dict[str, Any]]]

    def word(self, core: str, kind: str, place: int) -> Any:
        """Choose a core value, as a signed number."""
        rng = self.rng
        if core == "externref":
            return rng.choice([None, Thing(), [1], "text"])
        if core == "f64":
            return rng.choice([0.0, -2.5, 1e308])
        if kind == "Level":
            return rng.choice([1, 7])
        bits = 32 if core == "i32" else 64
        if KINDS[kind][2] is not None or kind.startswith("Pointer"):
            if rng.random() < 0.08:
                return rng.choice(EDGES)
            return rng.choice([0, 1, 2, 5, 100]) if place else rng.randrange(SCRATCH, PAGE - 4000)
        return rng.choice([0, 1, 127, 128, 255, 2**31 - 1, 2**31, 2**32 - 1, rng.getrandbits(bits)])

    def call(self, nested: bool = False) -> None:
        """Call one function, and check what comes of it."""
        rng = self.rng
        number = rng.randrange(len(self.signatures))
        params, results, optional = self.signatures[number]
        words: list[Any] = []
        ranges: list[tuple[int, int]] = []
        for kind in params:
            core, _, looks = KINDS[kind]
            own = [self.word(each, kind, place) for place, each in enumerate(core)]
            words += own
            if looks is not None:
                ranges.append(looks(own))
        said: dict[str, Any] = {"number": number, "entered": False}
        entry = rng.choice(self.entries[number])
        given = [
            signed_of(word, 32 if core == "i32" else 64) if core[0] == "i" else word
            for word, core in zip(words, (each for kind in params for each in KINDS[kind][0]), strict=True)
        ]
        if not nested:
            self.ever_kept = bool(self.kept or self.bytes_kept)
        self.expected.append((words, said))
        self.calls += 1
        depth, under = len(self.expected), len(self.stack)
        before = (self.guard.depth, self.guard.owner)
        if PURE and not nested and self.way != "a thread" and before != (0, 0):
            gc.collect()  # tracebacks in cycles
            before = (self.guard.depth, self.guard.owner)
            if before != (0, 0):
                raise Wrong(f"{before} while no call is under way")
        try:
            found = entry(*given)
        except ctypes.ArgumentError as error:
            # Where Python code runs between a store's context being asked for and being passed, it is ctypes that finds
            # the store cannot be entered any more, and it wraps what it is told.
            wrapped = str(error).partition(": ")[2]
            if wrapped.startswith("ViewEscapedError:"):
                if not self.ever_kept and not (self.moves and self.way != "nothing"):
                    raise
            elif not (wrapped.startswith("ValueError: already closed") and not self.open) and not (
                self.moves and self.way != "nothing" and any(text in wrapped for text in ENDED)
            ):
                raise
            return
        except hostmod.SegmentationFault:
            if all(start + length <= PAGE for start, length in ranges) or said["entered"]:
                raise
            return
        except hostmod.InvalidStringError:
            if all(start >= SCRATCH for start, _ in ranges):
                raise
            return
        except Interrupt:
            if nested:
                raise
            return
        except hostmod.ViewEscapedError:
            if PURE and self.way in (*FRAMES, "a signal"):
                return  # a handler that takes views while a call ends can have one reported that nobody keeps
            if not self.ever_kept and not (self.moves and self.way != "nothing"):
                raise
            return
        except hostmod.StoreBusyError:
            if self.way != "a thread" and not (self.moves and self.way != "nothing"):
                raise  # what interferes may let the guest run again at each try to make a view
            return
        except (RuntimeError, OSError) as error:
            if error is not said.get("error") or (optional and isinstance(error, OSError)):
                raise
            return
        except (hostmod.StaleMemoryError, ValueError):
            if self.open and not (self.moves and self.way != "nothing"):
                raise  # else what interferes has ended it
            return
        finally:
            del self.expected[depth - 1 :], self.stack[under:]
            # A claim that was made for a call into wasmtime, and not yet used, goes when the store is entered again.
            after = (self.guard.depth, self.guard.owner)
            settled = (before[0] - 1, before[1] if before[0] > 1 else 0)
            # It is also there for as long as the exception is on its way that came before it was used.
            unused = (
                (before[0] + 1, threading.get_ident()) if isinstance(sys.exception(), Interrupt) else before
            )
            # Frames of the pure backend keep a claim for as long as a traceback keeps them (docs/safety.md).
            if (
                after not in (before, settled, unused)
                and self.way != "a thread"
                and not (PURE and self.way != "nothing")
            ):
                raise Wrong(f"{before} before, {after} after")
        if not said["entered"]:
            raise Wrong(f"f{number}{params} was not entered with {words}")
        expected: tuple[Any, ...] = ()
        if "error" in said:
            if not optional:
                raise Wrong("an error was lost")
            return
        for each, value in zip(results, said["made"], strict=True):
            expected += RESULTS[each][1](value)
        if optional:
            expected += (0,)
        got = () if found is None and not expected else (found,) if len(expected) == 1 else tuple(found or ())
        for one, other in zip(got, expected, strict=True):
            if one != other and one is not other:
                raise Wrong(f"f{number} -> {results}: {got}, expected {expected}")

    def check_kept(self) -> None:
        """After a call: views have ended."""
        for view, at in self.plain:
            try:
                view.nbytes  # noqa: B018  # asked for what it raises
            except ValueError:
                continue
            if self.stack or not self.kept:
                raise Wrong(f"a view of {at} is in use after its call")

    def run(self, calls: int) -> None:
        """Make calls, with what interferes."""
        self.expected = []
        now.case = self
        stop = threading.Event()
        thread = None
        thresholds = gc.get_threshold()
        try:
            if self.way == "finalizers":
                gc.set_threshold(self.rng.choice([1, 3, 20]), 5, 5)
            elif self.way == "callbacks":
                gc.callbacks.append(collected)
                gc.set_threshold(self.rng.choice([1, 3, 20]), 5, 5)
            elif self.way.startswith("a signal"):
                signal.signal(signal.SIGALRM, handle)
                signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.00013)
            elif self.way == "a thread":
                thread = threading.Thread(target=self.beside, args=(stop,))
                thread.start()
            for _ in range(calls):
                if not self.open:
                    break
                if self.way == "finalizers":
                    Bomb()
                if self.rng.random() < 0.1:
                    self.do_drop()
                try:
                    try:
                        now.armed = True
                        if self.way == "a profiler":
                            sys.setprofile(profiled)
                        elif self.way == "a tracer":
                            sys.settrace(traced)
                        self.call()
                    finally:
                        now.armed = False
                        sys.setprofile(None)
                        sys.settrace(None)
                except Interrupt:
                    pass
                except Wrong:
                    raise
                except Exception as error:
                    if self.way == "a thread" and isinstance(error, hostmod.StoreBusyError):
                        continue
                    raise Wrong(f"{error!r}") from error
                if self.way != "a thread":
                    self.check_kept()
                if self.wrong:
                    raise Wrong(self.wrong[0])
        finally:
            now.armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            sys.setprofile(None)
            sys.settrace(None)
            gc.set_threshold(*thresholds)
            if collected in gc.callbacks:
                gc.callbacks.remove(collected)
            stop.set()
            if thread is not None:
                thread.join()
            now.case = None
        if self.wrong:
            raise Wrong(self.wrong[0])
        if self.rng.random() < 0.5:
            self.do_drop()
        self.guest.close()
        self.do_use()
        self.kept.clear()
        with contextlib.suppress(hostmod.StaleMemoryError):
            self.peek(0)
            raise Wrong("a closed guest was called")

    def beside(self, stop: threading.Event) -> None:
        """What a second thread does."""
        mine = random.Random(self.seed + 1)
        kept: list[Any] = []
        while not stop.is_set():
            at = mine.randrange(SCRATCH, PAGE - 100)
            try:
                what = mine.randrange(6)
                if what == 0 and self.guest.memory.read(at, 100) != IMAGE[at : at + 100]:
                    raise Wrong("another thread reads something else")
                if what == 1 and self.peek(at) != IMAGE[at]:
                    raise Wrong("another thread's guest reads something else")
                if what == 2:
                    view = self.guest.memory.view(at, 100)
                    kept = [(view, at)]
                if what == 3:
                    for view, place in kept:
                        with contextlib.suppress(ValueError):
                            if bytes(view) != image(place, place + 100):
                                raise Wrong("another thread's view has changed")
                if what == 4:
                    self.guest.store.gc()
                if what == 5 and not self.fixed:
                    self.grow(mine.choice([0, 1]))
                    self.grown = True
            except (hostmod.StoreBusyError, hostmod.StaleMemoryError, hostmod.ViewEscapedError):
                pass
            except BaseException as error:  # reported
                self.report(error)
                return


EDGES = [
    0, 1, PAGE - 1, PAGE, PAGE + 1, PAGE - 8, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 8, 2**32 - PAGE,
    2**32 // 2, 2**32 // 8, 2**32 // 16 + 1, 2**31 + 8,
]  # fmt: skip

ACTIONS: list[Callable[[Case], None]] = [
    Case.do_grow, Case.do_grow, Case.do_grow, Case.do_peek, Case.do_collect, Case.do_python_collect, Case.do_fetch,
    Case.do_hold, Case.do_read, Case.do_outside_view, Case.do_call_view, Case.do_call_view, Case.do_call_read,
    Case.do_use, Case.do_use, Case.do_drop, Case.do_call, Case.do_close,
]  # fmt: skip


# --------------------------------------------------------------------------------------------------- processes


def child(seed: int, first: int, count: int, calls: int, progress: Path) -> int:
    """Run cases, one after the other; says on the way which, so that a death can be told."""
    faulthandler.enable()
    sys.unraisablehook = lambda what: (
        now.case.report(what.exc_value) if now.case is not None and what.exc_value is not None else None
    )
    done = 0
    file = os.open(progress, os.O_CREAT | os.O_WRONLY)

    def note(text: str) -> None:
        os.pwrite(file, text.ljust(100).encode(), 0)

    for number in range(first, first + count):
        note(f"{number} {done}")
        case = Case(seed * 1_000_003 + number)
        note(f"{number} {done} {case.way}, memory {case.memory_kind}")
        try:
            case.run(calls)
        except BaseException as error:  # told
            print(f"case {number} ({case.way}, memory {case.memory_kind}): wrong", flush=True)
            traceback.print_exception(error, file=sys.stdout)
            sys.stdout.flush()
            os._exit(3)
        done += case.calls
    note(f"{first + count} {done}")
    return 0


def batches(options: argparse.Namespace) -> Iterator[tuple[int, int]]:
    """Yield the first case of each batch, and how many."""
    if options.case is not None:
        yield options.case, 1
        return
    at = 0
    while True:
        yield at, BATCH
        at += BATCH


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backend", choices=("native", "pure"), default="native")
    parser.add_argument("--case", type=int, help="only this one of the seed's")
    parser.add_argument("--each", type=int, default=400, help="calls of a case")
    parser.add_argument("--most", type=int, default=20, help="faults after which to stop")
    parser.add_argument("--child", nargs=3, metavar=("FIRST", "COUNT", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        first, count, progress = options.child
        return child(options.seed, int(first), int(count), options.each, Path(progress))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *filter(None, sys.path[1:])])
    }
    if options.backend == "pure":
        environment["HOSTMOD_NO_EXTENSIONS"] = "1"
    total, faults, start = 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        progress = Path(folder, "progress")
        progress.write_text("0 0")
        for first, count in batches(options):
            at, end = first, first + count
            while at < end and total < options.calls and faults < options.most:
                command = [sys.executable, __file__, "--seed", str(options.seed), "--each", str(options.each)]
                command += ["--child", str(at), str(end - at), str(progress)]
                try:
                    done = subprocess.run(
                        command, check=False, capture_output=True, text=True, timeout=300, env=environment
                    )
                    code, told = done.returncode, done.stdout + done.stderr
                except subprocess.TimeoutExpired as error:
                    code, told = -999, str(error.stdout or "") + str(error.stderr or "")
                number, calls, *what = progress.read_text().split(maxsplit=2)
                total += int(calls)
                at = int(number)
                if code != 0:
                    faults += 1
                    how = (
                        "hangs"
                        if code == -999
                        else f"dies of signal {-code}"
                        if code < 0
                        else f"exits with {code}"
                    )
                    print(
                        f"FAULT: --seed {options.seed} --case {number} --backend {options.backend}: {how} {what}"
                    )
                    print("\n".join(told.strip().splitlines()[-40:]), flush=True)
                    at += 1
            if total >= options.calls or faults >= options.most:
                break
    took = time.monotonic() - start
    print(
        f"{options.backend}: {total} calls in {took:.0f} s ({total / took * 60:.0f} a minute), {faults} faults"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
