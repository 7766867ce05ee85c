"""What a call is made of: its cost by parameters, types and sizes, threads, and memory per instance."""

from __future__ import annotations

import enum
import gc
import os
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wasmtime import Caller, Engine, Module

import hostmod
from bench import by_hand, guests, ours
from bench.backends import active_backend, in_new_process
from bench.measure import Effort, Side, compare, operations_in
from hostmod import types as guest_types


@dataclass(frozen=True)
class Row:
    """One line of a section: what hostmod took, and what wasmtime-py by hand did if that was measured too."""

    ours: float
    by_hand: float | None = None


@dataclass(frozen=True)
class Section:
    """One question, answered with one backend."""

    backend: str
    title: str
    rows: Mapping[str, Row]


def timed(effort: Effort, ours: Side, by_hand: Side | None = None) -> Row:
    """Time one way, or two interleaved, in nanoseconds per operation."""
    sides = {"ours": ours} | ({} if by_hand is None else {"by hand": by_hand})
    samples = compare(sides, effort)
    return Row(samples["ours"].ns, samples["by hand"].ns if by_hand is not None else None)


# --- host functions made to measure ---


@guest_types.enum(guest_types.Uint8)
class Color(enum.IntEnum):
    """An enumeration that is passed as one byte."""

    RED = 1
    GREEN = 2


#: What a made function can refer to, besides every guest type.
SCOPE: dict[str, object] = {"Color": Color, "Stat": ours.Stat, "answer": ours.Stat(1, 2, 3)}


def entering(
    parameters: Sequence[str],
    arguments: Sequence[str],
    *,
    result: str = "None",
    results: Sequence[str] = (),
    body: str = "pass",
    scope: Mapping[str, object] = SCOPE,
) -> Side:
    """Write a host function and a guest that calls it, link them and return the guest's `run`.

    Args:
        parameters: a declaration for each, such as `"p: Int32"`.
        arguments: the constants that the guest passes, one for each core value, such as `"i32.const 2"`.
        result: the annotation of the result.
        results: the core types of that result.
        body: the function's statements, in one line.
        scope: what the function can refer to, besides every guest type.
    """
    names: dict[str, Any] = vars(guest_types) | dict(scope)
    exec(f"def work({', '.join(parameters)}) -> {result}: {body}", names)
    host = hostmod.module(guests.HOST)
    host.function(names["work"])
    return ours.entering(guests.loop("work", arguments, results), host)


def by_parameters(effort: Effort) -> dict[str, Row]:
    """0 to 12 `i32` parameters, the result an `i32`, beside by hand."""
    rows: dict[str, Row] = {}
    for count in range(13):
        arguments = [f"i32.const {i}" for i in range(count)]
        names = [f"p{i}" for i in range(count)]
        scope: dict[str, Callable[..., object]] = {}
        exec(f"def work({', '.join(names)}): return 0", {}, scope)
        wat = guests.loop("work", arguments, ["i32"])
        parameters = [f"{name}: Int32" for name in names]
        rows[f"{count}"] = timed(
            effort,
            entering(parameters, arguments, result="Int32", results=["i32"], body="return 0"),
            by_hand.entering(wat, scope["work"], access_caller=False),
        )
    return rows


@dataclass(frozen=True)
class Crossing:
    """A host function with one guest type in its signature; the fields are `entering`'s parameters."""

    parameters: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    result: str = "None"
    results: tuple[str, ...] = ()
    body: str = "pass"

    def side(self) -> Side:
        """Link it."""
        return entering(
            self.parameters, self.arguments, result=self.result, results=self.results, body=self.body
        )


def _given(annotation: str, *arguments: str, body: str = "pass") -> Crossing:
    return Crossing((f"p: {annotation}",), arguments, body=body)


def _returned(annotation: str, *results: str, body: str) -> Crossing:
    return Crossing(result=annotation, results=results, body=body)


RECORD = f"i32.const {guests.RECORDS_AT}"
TEXT = (f"i32.const {guests.TEXT_AT}", f"i32.const {len(guests.TEXT)}")

CROSSINGS: Mapping[str, Crossing] = {
    "nothing": Crossing(),
    "Bool": _given("Bool", "i32.const 1"),
    "Int8": _given("Int8", "i32.const 7"),
    "Uint16": _given("Uint16", "i32.const 7"),
    "Int32": _given("Int32", "i32.const 7"),
    "Uint32": _given("Uint32", "i32.const 7"),
    "Int64": _given("Int64", "i64.const 7"),
    "Uint64": _given("Uint64", "i64.const 7"),
    "Float32": _given("Float32", "f32.const 0.5"),
    "Float64": _given("Float64", "f64.const 0.5"),
    "Duration": _given("Duration", "i64.const 1500000000"),
    "Errno": _given("Errno", "i32.const 2"),
    "Annotated enum": _given("Color", "i32.const 2"),
    "ExternRef, null": _given("ExternRef", "ref.null extern"),
    "Caller": _given("Caller"),
    "Pointer[Int32]": _given("Pointer[Int32]", RECORD),
    "Pointer[Int32], loaded": _given("Pointer[Int32]", RECORD, body="p.load()"),
    "Pointer[Int32], stored": _given("Pointer[Int32]", RECORD, body="p.store(7)"),
    "Pointer[Stat], loaded": _given("Pointer[Stat]", RECORD, body="p.load()"),
    "Pointer[Stat], stored": _given("Pointer[Stat]", RECORD, body="p.store(answer)"),
    "String, 32 bytes": _given("String", *TEXT),
    "CString, 32 bytes": _given("CString", TEXT[0]),
    "Bytes, 32 bytes": _given("Bytes", *TEXT),
    "Array[Int32], 8 items": _given("Array[Int32]", RECORD, "i32.const 8"),
    "List[Int32], 8 items": _given("List[Int32]", RECORD, "i32.const 8"),
    "List[Stat], 8 items": _given("List[Stat]", RECORD, "i32.const 8"),
    "returns Int32": _returned("Int32", "i32", body="return 7"),
    "returns Uint8": _returned("Uint8", "i32", body="return 7"),
    "returns Int64": _returned("Int64", "i64", body="return 7"),
    "returns Float32": _returned("Float32", "f32", body="return 0.5"),
    "returns Float64": _returned("Float64", "f64", body="return 0.5"),
    "returns Bool": _returned("Bool", "i32", body="return True"),
    "returns an enum": _returned("Color", "i32", body="return Color.GREEN"),
    "returns tuple[Int32, Float64]": _returned("tuple[Int32, Float64]", "i32", "f64", body="return 7, 0.5"),
    "returns Error": _returned("Error", "i32", body="return None"),
    "returns Error, raising OSError": _returned("Error", "i32", body="raise OSError(2, 'no such thing')"),
    "returns Optional[Int32]": _returned("Optional[Int32]", "i32", "i32", body="return 7"),
}


def by_type(effort: Effort) -> dict[str, Row]:
    """One guest type, as the only parameter or as the result."""
    return {label: timed(effort, crossing.side()) for label, crossing in CROSSINGS.items()}


def by_struct_size(effort: Effort) -> dict[str, Row]:
    """A struct of `Uint32` fields, loaded and stored through a pointer, beside by hand."""
    rows: dict[str, Row] = {}
    for count in (1, 4, 16, 64):
        names = [f"f{i}" for i in range(count)]
        scope: dict[str, Any] = dict(vars(guest_types))
        fields = "".join(f"    {name}: Uint32\n" for name in names)
        exec(f"@struct\nclass Record:\n{fields}", scope)
        scope["answer"] = scope["Record"](*range(count))
        format = struct.Struct(f"<{count}I")
        for verb, body, hand in (
            ("loaded", "p.load()", _load_by_hand(format, scope["Record"])),
            ("stored", "p.store(answer)", _store_by_hand(format, scope["answer"], names)),
        ):
            rows[f"{count * 4} bytes, {verb}"] = timed(
                effort,
                entering(["p: Pointer[Record]"], [RECORD], body=body, scope=scope),
                by_hand.entering(guests.loop("work", [RECORD]), hand, access_caller=True),
            )
    return rows


def _load_by_hand(format: struct.Struct, record: Callable[..., object]) -> Callable[..., None]:
    def work(caller: Caller, offset: int) -> None:
        record(*format.unpack(by_hand.memory_of(caller).read(caller, offset, offset + format.size)))

    return work


def _store_by_hand(format: struct.Struct, record: object, names: Sequence[str]) -> Callable[..., None]:
    def work(caller: Caller, offset: int) -> None:
        data = format.pack(*[getattr(record, name) for name in names])
        by_hand.memory_of(caller).write(caller, data, offset)

    return work


def by_list_length(effort: Effort) -> dict[str, Row]:
    """All items of a list added up, beside by hand."""

    def total(caller: Caller, offset: int, length: int) -> None:
        data = by_hand.memory_of(caller).read(caller, offset, offset + 4 * length)
        sum(struct.unpack(f"<{length}i", data))

    def total_of_records(caller: Caller, offset: int, length: int) -> None:
        size = by_hand.STAT_FORMAT.size
        data = by_hand.memory_of(caller).read(caller, offset, offset + size * length)
        sum(by_hand.Stat(*fields).size for fields in by_hand.STAT_FORMAT.iter_unpack(data))

    rows: dict[str, Row] = {}
    for length in (1, 10, 100, 1000):
        arguments = [RECORD, f"i32.const {length}"]
        wat = guests.loop("work", arguments)
        for annotation, body, hand in (
            ("List[Int32]", "sum(p)", total),
            ("Array[Int32]", "sum(p)", total),
            ("List[Stat]", "sum(item.size for item in p)", total_of_records),
        ):
            rows[f"{annotation}, {length} items"] = timed(
                effort,
                entering([f"p: {annotation}"], arguments, body=body),
                by_hand.entering(wat, hand, access_caller=True),
            )
    return rows


# --- threads ---


def calls_per_second(sides: Sequence[Side], seconds: float) -> float:
    """Run each side on a thread of its own for a while and add up what they did."""
    start = threading.Barrier(len(sides))
    rates: list[float] = []

    def work(side: Side) -> None:
        chunk = operations_in(seconds / 50, side)
        start.wait()
        began = time.perf_counter()
        done = 0
        while (now := time.perf_counter()) < began + seconds:
            side(chunk)
            done += chunk
        rates.append(done / (now - began))

    threads = [threading.Thread(target=work, args=(side,)) for side in sides]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(rates)


def by_threads(effort: Effort) -> dict[str, Row]:
    """W1 to W5 and long guest calls, with 1 and 2 threads, each in a store of its own, beside by hand."""
    works: Mapping[str, tuple[Callable[[], Side], Callable[[], Side]]] = {
        **{key: (ours.YARDSTICKS[key], by_hand.YARDSTICKS[key]) for key in ("W1", "W2", "W3", "W4", "W5")},
        "guest calls of 1 ms": (ours.guest_spin, by_hand.guest_spin),
    }
    rows: dict[str, Row] = {}
    for label, (ours_of, by_hand_of) in works.items():
        for threads in (1, 2):
            ours_sides = [ours_of() for _ in range(threads)]
            by_hand_sides = [by_hand_of() for _ in range(threads)]
            taken = [
                (calls_per_second(ours_sides, seconds), calls_per_second(by_hand_sides, seconds))
                for seconds in [effort.seconds * 70] * 5
            ]
            # The best: a core that another process takes for a while only ever makes it slower.
            rows[f"{label}, {threads} thread{'s'[: threads - 1]}"] = Row(
                max(mine for mine, _ in taken), max(hand for _, hand in taken)
            )
    return rows


@contextmanager
def busy_thread() -> Generator[None]:
    """Keep a Python thread busy beside the `with` block, as a program does that computes while guests run."""
    stop = False

    def work() -> None:
        count = 0
        while not stop:
            count += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop = True
        thread.join()


SHORT_INTERVAL = 0.0001
"""Seconds after which a thread that wants the GIL asks for it, in place of CPython's 0.005."""


@contextmanager
def switching_every(seconds: float) -> Generator[None]:
    """Set `sys.setswitchinterval` for the `with` block."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def by_contention(effort: Effort) -> dict[str, Row]:
    """W1 alone, and with one busy Python thread beside it, beside by hand."""
    # The interpreter switches threads every 5 ms or so: a round must see many of these.
    longer = Effort(max(3, effort.rounds // 10), effort.seconds * 100)
    rows: dict[str, Row] = {}
    for way, make in ours.GIL_WAYS.items():
        rows[f"host call, {way}, alone"] = timed(effort, make(), by_hand.add())
        side, hand = make(), by_hand.add()
        with busy_thread():
            rows[f"host call, {way}, one busy thread"] = timed(longer, side, hand)
            with switching_every(SHORT_INTERVAL):
                rows[f"the same, {way}, switch interval {SHORT_INTERVAL * 1e3:g} ms"] = timed(
                    longer, side, hand
                )
    return rows


# --- memory ---


def resident() -> int:
    """Bytes of physical memory that this process holds (Source: proc(5), statm)."""
    gc.collect()
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def resident_per_instance(way: str, count: int) -> float:
    """Make linked instances in this process, keep them all, and tell what each added, in KiB."""
    engine = Engine()
    module = Module(engine, guests.IMPORTER)
    make = {"ours": ours.linked, "by hand": by_hand.linked}[way](engine, module)
    kept: list[object] = [make() for _ in range(10)]  # what the first ones set up is not theirs alone
    before = resident()
    kept += [make() for _ in range(count)]
    return (resident() - before) / count / 1024


def by_instance(effort: Effort) -> dict[str, Row]:
    """A store, a linker with 20 host functions, and an instance, kept alive."""
    if not Path("/proc/self/statm").exists():
        return {}
    count = effort.rounds * 6
    return {
        "linked instance": Row(
            in_new_process(resident_per_instance, "ours", count),
            in_new_process(resident_per_instance, "by hand", count),
        )
    }


def other_ways_by_hand(effort: Effort) -> dict[str, Row]:
    """Yardsticks by hand, done in another way than in `python -m bench`."""
    return {
        f"{key} by hand: {label}": timed(effort, ours.YARDSTICKS[key](), make())
        for label, (key, make) in by_hand.OTHER_WAYS.items()
    }


IMPORT = """
import time
import wasmtime
start = time.perf_counter()
import hostmod
imported = time.perf_counter()
hostmod.HostModule
hostmod.instantiate
print((imported - start) * 1e3, (time.perf_counter() - start) * 1e3)
"""


def by_import(effort: Effort) -> dict[str, Row]:
    """What `import hostmod` takes after `import wasmtime`, in new interpreters, and with the first use of its API."""
    taken: list[list[float]] = []
    for _ in range(max(5, effort.rounds // 10)):
        done = subprocess.run([sys.executable, "-c", IMPORT], check=True, capture_output=True, text=True)
        taken.append([float(each) for each in done.stdout.split()])
    first, all_of_it = zip(*taken, strict=True)
    return {
        "import hostmod": Row(statistics.median(first)),
        "and hostmod.HostModule, hostmod.instantiate": Row(statistics.median(all_of_it)),
    }


@dataclass(frozen=True)
class Question:
    """What a section asks."""

    title: str
    measure: Callable[[Effort], dict[str, Row]]


QUESTIONS: Mapping[str, Question] = {
    "parameters": Question("A host call by number of i32 parameters (ns)", by_parameters),
    "types": Question("A host call by guest type (ns)", by_type),
    "structs": Question("A host call that loads or stores a struct of u32 fields (ns)", by_struct_size),
    "lists": Question("A host call that adds up a list (ns)", by_list_length),
    "threads": Question("Calls per second, each thread with a store of its own", by_threads),
    "gil": Question("A host call beside a busy Python thread (ns)", by_contention),
    "import": Question("Importing hostmod, beyond wasmtime (ms)", by_import),
    "memory": Question("Resident memory per linked instance with 20 host functions (KiB)", by_instance),
    "by-hand": Question("Yardsticks done by hand in other ways (ns)", other_ways_by_hand),
}


def measure(keys: Collection[str], effort: Effort) -> list[Section]:
    """Answer questions in this process."""
    return [
        Section(active_backend(), question.title, question.measure(effort))
        for key, question in QUESTIONS.items()
        if key in keys
    ]
