"""Random plans, stacks and memories, run by both backends and compared.

A `HostPair` is one plan of a host function, served by both backends to two guests that are alike; `HostPair.compare`
makes both guests call it with the same words, lets the function do the same random things in both, and asserts that
everything that can be seen is the same: what it was given, what its reads and writes gave, the results, the memory, the
log lines, and the exception with its arguments and its message. A `GuestPair` does it for calls of a guest's exports.
Whatever happens follows from the plan and one seed.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import logging
import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy
import wasmtime
from random_plans import ENGINE, FLOAT_EDGES, PAGE, TAGS, WRONG, Choices, raised, random_value

from hostmod import _wasmtime
from hostmod._backend import python as pure
from hostmod._wasmtime import externref, stack, store
from hostmod.declaration import Function
from hostmod.errors import ViewEscapedError
from hostmod.guest import GuestMemory, GuestModule
from hostmod.observe.log import log
from hostmod.plan import Plan
from hostmod.types.base import CoreType, GuestType
from hostmod.types.buffers import BYTES, BytesType
from hostmod.types.enums import EnumType
from hostmod.types.pointer import List, Pointer
from hostmod.types.references import Caller
from hostmod.types.scalar import (
    UINT8,
)
from hostmod.types.structs import StructType

# --------------------------------------------------------------------------------------------------------- recording


def described(error: BaseException | None) -> Any:
    """What callers see of an exception."""
    if error is None:
        return None
    return type(error).__qualname__, repr(error.args), str(error), getattr(error, "__notes__", [])


def attempt(do: Callable[[], Any]) -> Any:
    """What comes of doing something, which may be that it raises."""
    try:
        return do()
    except Exception as error:
        return described(error)


def seen(value: Any, rng: random.Random, depth: int = 4) -> Any:
    """Look at all of a value, and return what can be compared."""
    if depth == 0:
        return type(value).__name__
    if isinstance(value, float):
        return type(value).__name__, struct.pack("<d", value)
    if isinstance(value, memoryview):
        return attempt(lambda: ("view", value.format, value.shape, value.strides, value.tobytes()[:4096]))
    if isinstance(value, Pointer):
        index = rng.choice((1, -1, 1 << 30))
        return (
            repr(value),
            attempt(lambda: seen(value.load(), rng, depth - 1)),
            attempt(lambda: seen(value[index], rng, depth - 1)) if rng.random() < 0.2 else None,
        )
    if isinstance(value, List):
        index = rng.choice((0, -1, 3, -4, len(value) - 1, len(value), 1 << 70, -(1 << 70)))

        def item(at: int) -> Any:
            return seen(value[at], rng, depth - 1)

        return (
            repr(value),
            len(value),
            [attempt(functools.partial(item, at)) for at in range(min(len(value), 3))],
            attempt(lambda: item(index)),
            attempt(lambda: [seen(each, rng, depth - 1) for each in itertools.islice(value, 3)]),
            attempt(lambda: [seen(each, rng, depth - 1) for each in itertools.islice(value.pointers(), 2)])
            if rng.random() < 0.3
            else None,
            attempt(lambda: repr(value[1:3])) if rng.random() < 0.3 else None,
        )
    if isinstance(value, Caller):
        return attempt(lambda: (value.memory.size, len(value.memory))), value.get("nothing")
    if hasattr(value, "__struct__"):
        return [seen(getattr(value, field.name), rng, depth - 1) for field in value.__struct__.fields]
    if isinstance(value, tuple | list):
        return [seen(each, rng, depth - 1) for each in value]
    return type(value).__name__, repr(value)


def write(type_: Any, value: Any, rng: random.Random) -> Any:
    """Write to what a value refers to, as far as that goes."""
    if isinstance(value, Pointer):
        new = random_value(value.type, rng, value.memory)
        if rng.random() < 0.8:
            return attempt(lambda: value.store(new))
        return attempt(lambda: value.__setitem__(rng.choice((0, 1, -1)), new))
    if isinstance(value, List):
        new = random_value(value.pointer.type, rng, value.pointer.memory)
        return attempt(lambda: value.__setitem__(rng.choice((0, 1, -1, 9)), new))
    if isinstance(value, memoryview) and isinstance(type_, BytesType):
        new = random_value(UINT8 if type_ is BYTES else type_.element, rng, None)  # type: ignore[attr-defined]  # an ArrayType
        return attempt(lambda: value.__setitem__(rng.choice((0, -1, 2)), new))
    if isinstance(value, Caller):
        offset, length = rng.choice((0, 9, PAGE - 2, -1)), rng.choice((0, 2, 3))
        many: Any = rng.choice((length, numpy.int64(length), -1, 1 << 65))
        near: Any = numpy.int32(offset)
        memory = value.memory
        return (
            attempt(lambda: memory.write(offset, b"\x5a" * length)),
            attempt(lambda: memory.read(offset, many)),
            attempt(lambda: memory.view(near, length).tobytes()),
            attempt(lambda: memory.end(offset, many)),
        )
    return None


class Lines(logging.Handler):
    """Keeps the lines of a log."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


# ------------------------------------------------------------------------------------------------------------ memory


def random_memory(rng: random.Random, size: int) -> bytes:
    """Make the content of a memory: zeros, text, numbers and noise."""
    block = b"".join(
        rng.choice(
            (
                bytes(16),
                "Grüße ✓ Ada".encode(),
                b"text\0",
                rng.randbytes(16),
                b"\xff" * 8,
                struct.pack("<IIQ", rng.randrange(PAGE), rng.randrange(9), rng.randrange(9)),
                struct.pack("<fdf", *(rng.choice(FLOAT_EDGES[:7]) for _ in range(3))),
            )
        )
        for _ in range(64)
    )
    return (block * (size // len(block) + 1))[:size]


def random_word(core: CoreType, rng: random.Random, size: int) -> int:
    """Make the bits of a core value, biased to the edges of the memory and of numbers."""
    kind = rng.random()
    if core == "f32":
        return (
            int.from_bytes(struct.pack("<f", rng.choice(FLOAT_EDGES[:7])), "little")
            if kind < 0.5
            else rng.getrandbits(32)
        )
    if core == "f64":
        return (
            int.from_bytes(struct.pack("<d", rng.choice(FLOAT_EDGES)), "little")
            if kind < 0.5
            else rng.getrandbits(64)
        )
    bits = 32 if core == "i32" else 64
    if kind < 0.55:
        return rng.choice((0, 1, 2, 3, 4, 8, 16, 24, rng.randrange(64), rng.randrange(1024)))
    if kind < 0.75:
        return max(0, size + rng.choice((-64, -16, -9, -8, -5, -4, -3, -2, -1, 0, 1)))
    if kind < 0.85:
        return rng.randrange(size + 1)
    edges = (1 << (bits - 1), (1 << (bits - 1)) - 1, (1 << bits) - 1, (1 << bits) - 4, 1 << (bits - 2))
    return rng.choice(edges) if kind < 0.95 else rng.getrandbits(bits)


def _wat(cores: Sequence[str], word: str) -> str:
    return f"({word} {' '.join(cores)})" if cores else ""


_WIDTHS = {"i32": 4, "f32": 4, "externref": 4, "i64": 8, "f64": 8}


def forwarding(plan: Plan, memory: str = '(memory (export "memory") 1 3)') -> str:
    """Write a guest whose `run` calls a host function with whatever it is given."""
    type_ = f"{_wat(plan.param_types, 'param')} {_wat(plan.result_types, 'result')}"
    gets = " ".join(f"(local.get {index})" for index in range(len(plan.param_types)))
    return (
        f'(module (import "host" "f" (func $f {type_})) {memory} (func (export "run") {type_} {gets} (call $f))'
        ' (func (export "grow") (drop (memory.grow (i32.const 1)))))'
    )


class Raw:
    """A guest's function, called with words: nothing is between the caller and the guest."""

    def __init__(self, store: wasmtime.Store, function: wasmtime.Func, plan: Plan) -> None:
        self.store = store
        self._function = function  # keeps its structure
        self._address = ctypes.addressof(function._func)
        self._params, self._results = plan.param_types, plan.result_types
        self._words = plan.slot_count

    def __call__(self, words: Sequence[Any]) -> tuple[Any, BaseException | None]:
        """Return the bytes of the results, and what was raised."""
        context = _wasmtime.context_of(self.store)
        entered = store.parts.Entered(_wasmtime.guard_of(self.store), "backends")
        used = stack.here.used
        try:
            return self._call(context, words)
        finally:
            stack.here.used = used  # the pure backend's callbacks set it
            externref.release(1 << 63)
            del entered

    def _call(self, context: int, words: Sequence[Any]) -> tuple[Any, BaseException | None]:
        slots = (ctypes.c_uint64 * (2 * self._words))()
        places = [index for index, core in enumerate(self._params) if core == "externref"]
        raws = externref.hold_raws(context, [words[index] for index in places])
        for index, word in enumerate(words):
            if index not in places:
                slots[2 * index] = word
        for index, raw in zip(places, raws, strict=True):
            slots[2 * index] = raw
        trap = ctypes.c_void_p()
        error = _wasmtime.func_call_unchecked(
            context, self._address, ctypes.addressof(slots), self._words, ctypes.addressof(trap)
        )
        if error or trap.value:
            return None, _wasmtime.failure(error, trap.value)
        found: list[Any] = []
        for index, core in enumerate(self._results):
            word = slots[2 * index] & ((1 << 8 * _WIDTHS[core]) - 1)
            found.append(_wasmtime.externref_from_raw(context, word) if core == "externref" else word)
        return found, None


# -------------------------------------------------------------------------------------------------------- host calls


class Host:
    """One backend's half of a `HostPair`."""

    def __init__(self, backend: Any, plan: Plan, pages: int, place: str, content: bytes) -> None:
        self.plan = plan
        self.backend = backend
        self.rng = random.Random(0)
        self.record: list[Any] = []
        self.kept: list[Any] = []
        self.depth = 0
        self.lines = Lines()
        logger = logging.Logger("backends", logging.INFO)  # noqa: LOG001  # its own: loggers by name stay for ever
        logger.addHandler(self.lines)
        function = log(logger)(plan.module, Function(plan, self._serve, has_self=False))
        self.store = wasmtime.Store(ENGINE)
        linker = wasmtime.Linker(ENGINE)
        fixed: Any = None
        given: wasmtime.Memory | None = None
        memory = f'(memory (export "memory") {pages} 3)'
        if place == "imported":
            given = wasmtime.Memory(self.store, wasmtime.MemoryType(wasmtime.Limits(pages, 3)))
            linker.define(self.store, "env", "memory", given)
            memory = f'(memory (import "env" "memory") {pages} 3)'
            store = self.store
            fixed = (given, lambda: _wasmtime.context_of(store))
        elif place == "hidden":
            memory = f'(memory (export "other") {pages} 3)'
        thunk = backend.HostThunk(plan, "memory", fixed)
        self._type = _wasmtime.function_type(plan.param_types, plan.result_types)
        rows = ((thunk, b"host", b"f", _wasmtime.type_address(self._type)),)
        assert (
            backend.define_all(_wasmtime.linker_address(linker), rows, (function.func,), None, None) is None
        )
        module = wasmtime.Module(ENGINE, forwarding(plan, memory))
        exports = linker.instantiate(self.store, module).exports(self.store)
        self.raw = Raw(self.store, exports["run"], plan)  # type: ignore[arg-type]  # a Func
        grow = Plan("Guest", "grow", (), (), False, False)
        self.grow = backend.GuestThunk(grow).caller(self.store, exports["grow"])
        found: Any = given or exports["other" if place == "hidden" else "memory"]
        self.memory = GuestMemory(self.store, found)
        self.memory.write(0, content)

    def _serve(self, *arguments: Any) -> Any:
        """The host function: look at everything, change some of it, and end in some way."""
        rng, record = self.rng, self.record
        for value in arguments:
            record.append(seen(value, rng))
        for slot, value in zip(self.plan.params, arguments, strict=True):
            if rng.random() < 0.4:
                record.append(write(slot.type, value, rng))
                if rng.random() < 0.3:
                    record.append(seen(value, rng))
        chance = rng.random()
        if chance < 0.02 and self.depth < 3:
            self.depth += 1
            results, error = self.raw(random_words(self.plan, rng, self.memory.size))
            self.depth -= 1
            record.append((results, described(error)))
            record += [seen(value, rng) for value in arguments]
        elif chance < 0.022:
            record.append(attempt(self.grow))
            record += [seen(value, rng) for value in arguments]
        for value in arguments:
            if rng.random() < 0.1:
                self.kept.append(value)
                if isinstance(value, memoryview) and value.nbytes:
                    self.kept.append(value[:1])
                if isinstance(value, memoryview) and rng.random() < 0.002:
                    self.kept.append(numpy.frombuffer(value, dtype="u1"))
        if rng.random() < 0.2:
            raise raised(rng)
        memory = next((value.memory for value in arguments if isinstance(value, Pointer | Caller)), None)
        values = tuple(random_value(slot.type, rng, memory) for slot in self.plan.results)
        if rng.random() < 0.03:
            return rng.choice((values, *WRONG))
        return values if self.plan.is_tuple else values[0] if values else None

    def run(self, words: Sequence[Any], seed: int) -> tuple[Any, ...]:
        """Make the guest call, and return everything that can be seen of it."""
        self.rng.seed(seed)
        self.record = []
        self.kept = []
        self.lines.lines = []
        results, error = self.raw(words)
        outcome = described(error)
        if isinstance(error, ViewEscapedError) or (
            outcome and any("kept past" in note for note in outcome[3])
        ):
            error = None
            self.kept = []  # the array that holds the store, besides everything else
        after = [attempt(functools.partial(self._late, value)) for value in self.kept]
        self.kept = []
        return results, outcome, self.record, after, self.lines.lines, self.memory.read(0, self.memory.size)

    @staticmethod
    def _late(value: Any) -> Any:
        """Use something after its call."""
        if isinstance(value, memoryview):
            return bytes(value)
        if isinstance(value, Pointer):
            return value.load()
        if isinstance(value, List):
            return value[0]
        if isinstance(value, Caller):
            return value.memory.read(0, 1), value.raw
        return None


def random_words(plan: Plan, rng: random.Random, size: int) -> list[Any]:
    """Make the words of a call."""
    return [
        rng.choice((None, *TAGS)) if core == "externref" else random_word(core, rng, size)
        for core in plan.param_types
    ]


def native() -> Any:
    """The C backend; ImportError if it was not built."""

    from hostmod._backend import native

    return native


def explained(plan: Plan) -> str:
    """Show a plan."""
    params = ", ".join(_explained(slot.type) for slot in plan.params)
    results = ", ".join(_explained(slot.type) for slot in plan.results)
    return f"({params}) -> ({results}) optional={plan.optional} is_tuple={plan.is_tuple}"


def _explained(type_: Any) -> str:
    if isinstance(type_, StructType):
        return f"{{{', '.join(_explained(field.type) for field in type_.fields)}}}"
    if isinstance(type_, EnumType):
        members = {int(each) for each in type_.cls.__members__.values()}
        return f"{type_.name}[{type_.base}, {type_.unknown}, {sorted(members)}]"
    element = getattr(type_, "element", None)
    if isinstance(element, GuestType):
        return f"{type_.name.partition('[')[0]}[{_explained(element)}]"
    return str(type_)


PARTS = ("results", "exception", "what was seen", "what was seen afterwards", "log", "memory")


class HostPair:
    """A plan of a host function, served by both backends to guests that are alike."""

    def __init__(self, plan: Plan, rng: random.Random) -> None:
        self.plan = plan
        place = rng.choice(("exported",) * 9 + ("imported", "imported", "hidden"))
        pages = rng.choice((1,) * 9 + (0,))
        content = random_memory(rng, pages * PAGE)
        self.place = f"{place} memory of {pages} pages"
        self.sides = [Host(backend, plan, pages, place, content) for backend in (pure, native())]

    def compare(self, seed: int) -> None:
        """Run both, and assert that everything is the same."""
        size = self.sides[0].memory.size
        words = random_words(self.plan, random.Random(seed), size)
        py, c = (side.run(words, seed) for side in self.sides)
        assert_same(f"{explained(self.plan)}, {self.place}, words {words}, seed {seed}", py, c)


def assert_same(what: str, py: tuple[Any, ...], c: tuple[Any, ...]) -> None:
    """Assert that two runs are the same, or say what is not and how both ended."""
    for part, mine, other in zip(PARTS, py, c, strict=True):
        assert mine == other, (
            f"{part} differ for {what}\n  py: {_difference(mine, other)}\n  c:  {_difference(other, mine)}\n"
            f"  which ended with py: {py[1]}\n  and c: {c[1]}"
        )


def _difference(mine: Any, other: Any) -> str:
    if isinstance(mine, bytes) and isinstance(other, bytes) and len(mine) == len(other):
        places = [at for at in range(len(mine)) if mine[at] != other[at]]
        return f"{len(places)} bytes from 0x{places[0]:x}: {mine[places[0] : places[-1] + 1][:64]!r}"
    if isinstance(mine, list | tuple) and isinstance(other, list | tuple) and len(mine) == len(other):
        for at, (left, right) in enumerate(zip(mine, other, strict=True)):
            if left != right:
                return f"[{at}]: {_difference(left, right)}"
    return repr(mine)[:2000]


# ------------------------------------------------------------------------------------------------------- guest calls


INBOX = 1024
"""Where a guest of `GuestPair` puts what it was given, 8 bytes for each word."""
OUTBOX = 2048
"""Where it takes its results from."""
MODE = 512
"""A byte that says how it ends: 1 for a trap."""


class Guest:
    """One backend's half of a `GuestPair`."""

    def __init__(self, backend: Any, plan: Plan, hold: bool) -> None:
        self.plan = plan
        params, results = plan.param_types, plan.result_types
        body = [
            f"({core}.store (i32.const {INBOX + 8 * index}) (local.get {index}))"
            if core != "externref"
            else f"(table.set (i32.const {index}) (local.get {index}))"
            for index, core in enumerate(params)
        ]
        values = [
            f"({core}.load (i32.const {OUTBOX + 8 * index}))"
            if core != "externref"
            else f"(table.get (i32.const {index}))"
            for index, core in enumerate(results)
        ]
        text = f"""(module (memory (export "memory") 1) (table 64 externref) (global $next (mut i32) (i32.const 4096))
          (func (export "reset") (global.set $next (i32.const 4096)))
          (func (export "malloc") (param i32) (result i32)
            (global.get $next) (global.set $next (i32.add (global.get $next) (local.get 0))))
          (func (export "free") (param i32))
          (func (export "f") {_wat(params, "param")} {_wat(results, "result")} {" ".join(body)}
            (if (i32.eq (i32.load8_u (i32.const {MODE})) (i32.const 1)) (then unreachable)) {" ".join(values)}))"""
        self.store = wasmtime.Store(ENGINE)
        instance = wasmtime.Instance(self.store, wasmtime.Module(ENGINE, text), [])
        exports = instance.exports(self.store)
        self.memory = GuestMemory(self.store, exports["memory"])  # type: ignore[arg-type]  # a Memory
        self.reset = backend.GuestThunk(Plan("Guest", "reset", (), (), False, False)).caller(
            self.store, exports["reset"]
        )
        # GuestModule makes the memory that arguments are copied into, for whichever backend serves.
        module: Any = type("Guest", (GuestModule,), {})
        from hostmod._backend import select

        class Taking:
            NAME = "taking"

            GuestThunk = backend.GuestThunk

        module.exports = {"f": plan}
        active = select.active
        select.active = Taking  # type: ignore[assignment]  # what GuestModule uses of it
        try:
            self.call = module(self.store, instance, hold_gil=hold).f
        finally:
            select.active = active

    def run(self, seed: int) -> tuple[Any, ...]:
        """Call the guest, and return everything that can be seen of it."""
        rng = random.Random(seed)
        self.reset()
        outbox = b"".join(random_word("i64", rng, PAGE).to_bytes(8, "little") for _ in range(16))
        if self.plan.optional and rng.random() < 0.6:
            at = 8 * self.plan.errno_index
            outbox = outbox[:at] + bytes(8) + outbox[at + 8 :]
        self.memory.write(OUTBOX, outbox)
        self.memory.write(MODE, bytes((rng.random() < 0.05,)))
        arguments = [random_value(slot.type, rng, self.memory) for slot in self.plan.params]
        error: BaseException | None = None
        result = None
        try:
            result = seen(self.call(*arguments), rng)
        except Exception as raised:
            error = raised
        outcome = described(error)
        return result, outcome, None, None, None, self.memory.read(0, self.memory.size)


class GuestPair:
    """A plan of a guest's export, called by both backends in guests that are alike."""

    def __init__(self, plan: Plan, rng: random.Random) -> None:
        self.plan = plan
        hold = rng.random() < 0.5
        self.sides = [Guest(backend, plan, hold) for backend in (pure, native())]

    def compare(self, seed: int) -> None:
        """Run both, and assert that everything is the same."""
        py, c = (side.run(seed) for side in self.sides)
        assert_same(f"a guest's {explained(self.plan)}, seed {seed}", py, c)


def pair_of(rng: random.Random, guest: bool) -> HostPair | GuestPair:
    """Make a random pair."""
    choices = Choices(rng)
    return GuestPair(choices.guest_plan(), rng) if guest else HostPair(choices.plan(), rng)
