"""Law 1: whatever a guest passes, the host touches nothing but the guest's own memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Annotated

import pytest
import wasmtime
from wat import passing

import hostmod
from hostmod import HostModule, MemoryAccessError, SegmentationFault, function
from hostmod.types import (
    Array,
    Bool,
    Bytes,
    Caller,
    CString,
    Duration,
    Errno,
    Error,
    ExternRef,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    List,
    Optional,
    Pointer,
    String,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    struct,
)

PAGE = 65536


PATTERN = bytes(range(1, 251)) * 263


@struct
class Small:
    a: Uint8
    b: Uint32


@struct
class Large:
    head: Small
    name: String
    body: Bytes
    next: Pointer[Uint64]


class Ranges(HostModule, name="ranges"):
    """Every type that takes an offset and a length, and what they say they found."""

    @function
    def bytes(self, data: Bytes) -> Uint32:
        return len(data)

    @function
    def string(self, text: String) -> Uint32:
        return len(text.encode())

    @function
    def lossy(self, text: Annotated[str, hostmod.types.StringType(errors="replace")]) -> None:
        pass

    @function
    def int8s(self, data: Array[Int8]) -> Uint32:
        return len(data)

    @function
    def uint8s(self, data: Array[Uint8]) -> Uint32:
        return len(data)

    @function
    def int16s(self, data: Array[Int16]) -> Uint32:
        return len(data)

    @function
    def uint16s(self, data: Array[Uint16]) -> Uint32:
        return len(data)

    @function
    def int32s(self, data: Array[Int32]) -> Uint32:
        return len(data)

    @function
    def uint32s(self, data: Array[Uint32]) -> Uint32:
        return len(data)

    @function
    def int64s(self, data: Array[Int64]) -> Uint32:
        return len(data)

    @function
    def uint64s(self, data: Array[Uint64]) -> Uint32:
        return len(data)

    @function
    def float32s(self, data: Array[Float32]) -> Uint32:
        return len(data)

    @function
    def float64s(self, data: Array[Float64]) -> Uint32:
        return len(data)

    @function
    def list8(self, items: List[Uint8]) -> Uint32:
        return len(items)

    @function
    def list32(self, items: List[Float32]) -> Uint32:
        return len(items)

    @function
    def structs(self, items: List[Small]) -> Uint32:
        return len(items)

    @function
    def larges(self, items: List[Large]) -> Uint32:
        return len(items)

    @function
    def strings(self, items: List[String]) -> Uint32:
        return len(items)

    @function
    def beside_a_pointer(self, data: Bytes, pointer: Pointer[Uint8]) -> Uint32:
        return len(data)


STEPS = {
    "bytes": 1, "string": 1, "lossy": 1, "int8s": 1, "uint8s": 1, "int16s": 2, "uint16s": 2, "int32s": 4, "uint32s": 4,
    "int64s": 8, "uint64s": 8, "float32s": 4, "float64s": 8, "list8": 1, "list32": 4, "structs": 8, "larges": 28,
    "strings": 8, "beside_a_pointer": 1,
}  # fmt: skip


@contextlib.contextmanager
def unchanged(guest: hostmod.Guest) -> Iterator[None]:
    """Fill the memory with a pattern and see that it is still there."""
    size = len(guest.memory)
    pattern = (PATTERN * (size // len(PATTERN) + 1))[:size]
    guest.memory.write(0, pattern)
    yield
    assert guest.memory.read(0, size) == pattern


@pytest.mark.parametrize("name", STEPS)
def test_no_offset_and_length_reach_outside_of_memory(name: str) -> None:
    step = STEPS[name]
    more = (0,) if name == "beside_a_pointer" else ()
    edges = [0, 1, 2, 7, 8, PAGE - 9, PAGE - 8, PAGE - step, PAGE - 1, PAGE, PAGE + 1]
    edges += [2**31 - 1, 2**31, 2**32 - step, 2**32 - 8, 2**32 - 1]
    wrapping = [2**32 // step, 2**32 // step - 1, 2**32 // step + 1, 2**31 // step, 2**30, 2**29, 2**30 + 1]
    every = {0, 1, 2, PAGE // step, PAGE // step + 1, *wrapping, 2**31, 2**32 - 1}
    lengths = sorted(length for length in every if length < 2**32)
    with hostmod.instantiate(passing(Ranges), Ranges()) as guest, unchanged(guest):
        call = guest.exports[name]
        for offset in edges:
            for length in lengths:
                if offset + length * step <= PAGE:
                    with contextlib.suppress(hostmod.InvalidStringError):
                        assert call(offset, length, *more) in (length, None)
                    continue
                with pytest.raises(SegmentationFault) as caught:
                    call(offset, length, *more)
                assert (caught.value.offset, caught.value.length) == (offset, length * step)
                assert caught.value.size == PAGE


@pytest.mark.parametrize("name", STEPS)
def test_nothing_at_the_very_end_is_fine_and_one_byte_later_is_not(name: str) -> None:
    more = (0,) if name == "beside_a_pointer" else ()
    with hostmod.instantiate(passing(Ranges), Ranges()) as guest:
        assert guest.exports[name](PAGE, 0, *more) in (0, None)
        with pytest.raises(SegmentationFault):
            guest.exports[name](PAGE + 1, 0, *more)


@struct
class Scalars:
    a: Bool
    b: Int16
    c: Float64
    d: Duration
    e: Errno


class Pointers(HostModule, name="pointers"):
    """Every way to follow a pointer."""

    @function
    def read8(self, at: Pointer[Uint8]) -> Uint8:
        return at.load()

    @function
    def write8(self, at: Pointer[Uint8]) -> None:
        at.store(1)

    @function
    def read16(self, at: Pointer[Int16]) -> None:
        at.load()

    @function
    def write16(self, at: Pointer[Int16]) -> None:
        at.store(1)

    @function
    def read32(self, at: Pointer[Uint32]) -> None:
        at.load()

    @function
    def write32(self, at: Pointer[Uint32]) -> None:
        at.store(1)

    @function
    def read64(self, at: Pointer[Uint64]) -> None:
        at.load()

    @function
    def write64(self, at: Pointer[Uint64]) -> None:
        at.store(1)

    @function
    def readf(self, at: Pointer[Float64]) -> None:
        at.load()

    @function
    def writef(self, at: Pointer[Float64]) -> None:
        at.store(1.0)

    @function
    def read_struct(self, at: Pointer[Scalars]) -> None:
        at.load()

    @function
    def write_struct(self, at: Pointer[Scalars]) -> None:
        at.store(Scalars(True, 2, 3.0, Duration(4), 5))

    @function
    def read_pointer(self, at: Pointer[Pointer[Uint8]]) -> None:
        at.load()

    @function
    def nullable(self, at: Pointer[Uint64] | None) -> None:
        if at is not None:
            at.load()

    @function
    def cstring(self, text: CString) -> None:
        pass

    @function
    def slice_of_two(self, at: Pointer[Uint8]) -> None:
        at.slice(2)

    @function
    def caller_read(self, at: Uint32, caller: Caller) -> None:
        caller.memory.read(at, 1)

    @function
    def caller_view(self, at: Uint32, caller: Caller) -> None:
        caller.memory.view(at, 1)

    @function
    def caller_write(self, at: Uint32, caller: Caller) -> None:
        caller.memory.write(at, b"\0")


SIZES = {
    "read8": 1, "write8": 1, "read16": 2, "write16": 2, "read32": 4, "write32": 4, "read64": 8, "write64": 8,
    "readf": 8, "writef": 8, "read_struct": 32, "write_struct": 32, "read_pointer": 4, "nullable": 8, "slice_of_two": 2,
    "caller_read": 1, "caller_view": 1, "caller_write": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_no_pointer_is_followed_outside_of_memory(name: str) -> None:
    size = SIZES[name]
    with hostmod.instantiate(passing(Pointers), Pointers()) as guest, unchanged(guest):
        for offset in {PAGE - size + 1, PAGE - 1, PAGE, PAGE + 1, 2**31, 2**32 - size, 2**32 - 1} - {
            PAGE - size
        }:
            with pytest.raises(SegmentationFault) as caught:
                guest.exports[name](offset)
            assert (caught.value.offset, caught.value.length) == (offset, size)
            assert f"0x{offset:x}" in str(caught.value)
            assert str(size) in str(caught.value)


@pytest.mark.parametrize("name", SIZES)
def test_the_last_object_in_memory_can_be_reached(name: str) -> None:
    with hostmod.instantiate(passing(Pointers), Pointers()) as guest:
        guest.exports[name](PAGE - SIZES[name])


@pytest.mark.parametrize("offset", [0, PAGE - 3, PAGE - 1, PAGE, 2**31, 2**32 - 1])
def test_a_text_without_an_end_faults(offset: int) -> None:
    with hostmod.instantiate(passing(Pointers), Pointers()) as guest, unchanged(guest):
        with pytest.raises(SegmentationFault) as caught:
            guest.exports.cstring(offset)
        assert caught.value.offset == offset


class Steps(HostModule, name="steps"):
    """Arithmetic on what the guest passed."""

    @function
    def index(self, at: Pointer[Uint64], index: Int64) -> Uint64:
        return at[index]

    @function
    def put(self, at: Pointer[Uint64], index: Int64) -> None:
        at[index] = 2**64 - 1

    @function
    def item(self, items: List[Uint64], index: Int64) -> Uint64:
        return items[index]

    @function
    def part(self, at: Pointer[Uint64], length: Int64) -> None:
        at.slice(length)

    @function
    def look(self, at: Int64, length: Int64, caller: Caller) -> None:
        caller.memory.view(at, length)


@pytest.mark.parametrize(
    "index", [8192, 2**29, 2**32, 2**61, 2**62, -1, -(2**29), -(2**32), -(2**61), -(2**63)]
)
def test_indexing_never_wraps(index: int) -> None:
    with hostmod.instantiate(passing(Steps), Steps()) as guest, unchanged(guest):
        for name in ("index", "put"):
            with pytest.raises(SegmentationFault):
                guest.exports[name](0, index)
        with pytest.raises(IndexError):
            guest.exports.item(0, 8192, index if index > 0 else max(index - 8192, -(2**63)))
        with pytest.raises((SegmentationFault, ValueError)):
            guest.exports.part(8, index)
        for at, length in ((index, 1), (1, index), (index, index)):
            if not (0 <= at <= PAGE and length >= 0 and at + length <= PAGE):
                with pytest.raises(SegmentationFault):
                    guest.exports.look(at, length)


class Inner(HostModule, name="inner"):
    """Structs that refer to text and bytes elsewhere."""

    @function
    def large(self, at: Pointer[Large]) -> None:
        large = at.load()
        assert len(large.body) >= 0
        large.next.load()


BAD = [(PAGE - 3, 4), (2**32 - 1, 1), (0, 2**32 - 1), (2**32 - 1, 2**32 - 1)]


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        *((field, bad) for field in ("name", "body") for bad in BAD),
        ("next", (PAGE - 7, 0)),
        ("next", (2**32 - 1, 0)),
    ],
)
def test_what_a_struct_refers_to_is_checked_too(field: str, bad: tuple[int, int]) -> None:
    words = {"name": (0, 0), "body": (0, 0), "next": (0, 0)} | {field: bad}
    with hostmod.instantiate(passing(Inner), Inner()) as guest:
        data = b"".join(word.to_bytes(4, "little") for pair in words.values() for word in pair)[:20]
        guest.memory.write(64, bytes(8) + data)
        with pytest.raises(SegmentationFault) as caught:
            guest.exports.large(64)
        assert caught.value.offset == bad[0]


def test_a_fault_in_the_second_parameter_leaves_the_first_alone() -> None:
    class Two(HostModule, name="two"):
        called = False

        @function
        def f(self, out: Bytes, data: Bytes) -> Error:
            self.called = True

    two = Two()
    with hostmod.instantiate(passing(Two), two) as guest, unchanged(guest), pytest.raises(SegmentationFault):
        guest.exports.f(0, 16, PAGE, 1)
    assert not two.called


def test_a_segmentation_fault_is_never_an_errno() -> None:
    class Caught(HostModule, name="caught", errors={Exception: 5}):
        @function
        def f(self, at: Pointer[Uint32]) -> Optional[Uint32]:
            return at.load()

    with hostmod.instantiate(passing(Caught), Caught()) as guest, pytest.raises(SegmentationFault):
        guest.exports.f(PAGE)


class Probe(HostModule, name="probe"):
    """One function that needs memory, and several that do not."""

    @function
    def text(self, text: String) -> Uint32:
        return len(text)

    @function
    def store(self, at: Pointer[Uint32], value: Uint32) -> None:
        at.store(value)

    @function
    def add(self, a: Int32, b: Int64, c: Float64) -> Float64:
        return a + b + c

    @function
    def fails(self) -> Error:
        raise OSError(28, "full")

    @function
    def same(self, thing: ExternRef) -> ExternRef:
        return thing

    @function
    def unread(self, at: Pointer[Uint32] | None, caller: Caller) -> Bool:
        return at is None


def test_a_64_bit_memory_is_read_at_its_size() -> None:
    with hostmod.instantiate(passing(Probe, memory='(memory (export "memory") i64 1)'), Probe()) as guest:
        guest.memory.write(PAGE - 3, b"abc")
        assert guest.exports.text(PAGE - 3, 3) == 3
        guest.exports.store(8, 7)
        assert guest.memory.read_uint32(8) == 7
        for offset in (PAGE - 2, 2**32 - 1):
            with pytest.raises(SegmentationFault):
                guest.exports.text(offset, 3)


def test_of_several_memories_pointers_point_into_the_one_named_memory() -> None:
    memories = '(memory $other (export "other") 2) (memory $memory (export "memory") 1)'
    with hostmod.instantiate(passing(Probe, memory=memories), Probe()) as guest:
        guest.memory.write(0, b"text")
        guest.exports.store(4, 9)
        assert guest.memory.read(0, 8) == b"text\x09\0\0\0"
        other = guest.instance.exports(guest.store)["other"]
        assert isinstance(other, wasmtime.Memory)
        assert bytes(other.read(guest.store, 0, 8)) == bytes(8)
        with pytest.raises(SegmentationFault):
            guest.exports.text(PAGE, 1)  # inside the other


def test_another_memory_can_be_chosen() -> None:
    memories = '(memory $other (export "other") 2) (memory $memory (export "memory") 1)'
    with hostmod.instantiate(passing(Probe, memory=memories), Probe(), memory="other") as guest:
        guest.exports.store(PAGE, 9)
        assert guest.memory.read_uint32(PAGE) == 9


def test_the_only_memory_needs_no_name() -> None:
    with hostmod.instantiate(passing(Probe, memory='(memory (export "mem") 1)'), Probe()) as guest:
        guest.exports.store(0, 9)
        assert guest.memory.read_uint32(0) == 9


def test_a_memory_that_is_not_there_is_refused_by_name() -> None:
    with pytest.raises(hostmod.LinkError, match="memory='heap', expected one of the guest's: memory"):
        hostmod.instantiate(passing(Probe), Probe(), memory="heap")


def test_an_imported_memory_is_provided() -> None:
    memory = '(import "env" "memory" (memory 1))'
    text = passing(Probe).replace('(memory (export "memory") 1)', "").replace("(module", f"(module {memory}")
    with hostmod.instantiate(text, Probe()) as guest:
        guest.memory.write(0, b"hello")
        assert guest.exports.text(0, 5) == 5
        guest.exports.store(PAGE - 4, 3)
        assert guest.memory.read_uint32(PAGE - 4) == 3
        with pytest.raises(SegmentationFault):
            guest.exports.store(PAGE - 3, 3)


def imported_memory() -> tuple[wasmtime.Engine, wasmtime.Store, wasmtime.Memory, wasmtime.Module]:
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    memory = wasmtime.Memory(store, wasmtime.MemoryType(wasmtime.Limits(1, 4)))
    text = passing(Probe).replace('(memory (export "memory") 1)', "")
    return (
        engine,
        store,
        memory,
        wasmtime.Module(engine, text.replace("(module", '(module (import "e" "m" (memory 1))')),
    )


def test_an_imported_memory_can_be_linked_by_hand() -> None:
    engine, store, memory, module = imported_memory()
    linker = wasmtime.Linker(engine)
    linker.define(store, "e", "m", memory)
    Probe().link(linker, memory=memory, store=store)
    exports = linker.instantiate(store, module).exports(store)
    exports["store"](store, 12, 2**32 - 1)  # type: ignore[operator]  # a Func
    assert bytes(memory.read(store, 12, 16)) == b"\xff" * 4
    memory.grow(store, 1)
    exports["store"](store, PAGE, 5)  # type: ignore[operator]
    assert bytes(memory.read(store, PAGE, PAGE + 4)) == b"\x05\0\0\0"
    with pytest.raises(SegmentationFault):
        exports["store"](store, 2 * PAGE - 3, 5)  # type: ignore[operator]


def test_a_memory_of_another_store_is_refused_at_the_call() -> None:
    engine, store, memory, _ = imported_memory()
    linker = wasmtime.Linker(engine)
    Probe().link(linker, memory=memory, store=store)
    other = wasmtime.Store(engine)
    exports = linker.instantiate(other, wasmtime.Module(engine, passing(Probe))).exports(other)
    with pytest.raises(MemoryAccessError, match="belongs to another store"):
        exports["text"](other, 0, 0)  # type: ignore[operator]
    assert exports["add"](other, 1, 2, 3.0) == 6.0  # type: ignore[operator]


def test_a_memory_needs_its_store_when_linking() -> None:
    engine, _, memory, _ = imported_memory()
    with pytest.raises(hostmod.LinkError, match="store=store"):
        Probe().link(wasmtime.Linker(engine), memory=memory)
    with pytest.raises(hostmod.LinkError, match=r"an export's name or a wasmtime\.Memory"):
        Probe().link(wasmtime.Linker(engine), memory=3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("memory", "says"),
    [
        pytest.param("", "exports nothing as 'memory'", id="no memory"),
        pytest.param("(memory 1)", "exports nothing as 'memory'", id="a memory that is not exported"),
        pytest.param(
            '(global (export "memory") i32 (i32.const 1))', "exports no memory as 'memory'", id="a global"
        ),
        pytest.param(
            '(memory (export "memory") 1 2 shared)', "exports a shared memory as 'memory'", id="shared"
        ),
    ],
)
def test_a_guest_without_a_usable_memory_can_call_what_needs_none(memory: str, says: str) -> None:
    config = wasmtime.Config()
    config.shared_memory = True
    with hostmod.instantiate(passing(Probe, memory=memory), Probe(), engine=wasmtime.Engine(config)) as guest:
        thing = object()
        for _ in range(3):
            assert guest.exports.add(1, 2, 0.5) == 3.5
            assert guest.exports.fails() == 28
            assert guest.exports.same(thing) is thing
            assert guest.exports.unread(0) == 1
            assert guest.exports.unread(5) == 0
            for name, arguments in (("text", (0, 0)), ("text", (0, 1)), ("store", (0, 1))):
                with pytest.raises(MemoryAccessError, match=says) as caught:
                    guest.exports[name](*arguments)
                assert caught.value.where == f"probe.{name}"


def test_a_memory_of_no_pages_has_no_bytes() -> None:
    with hostmod.instantiate(passing(Probe, memory='(memory (export "memory") 0)'), Probe()) as guest:
        assert guest.exports.text(0, 0) == 0
        assert len(guest.memory) == 0
        assert guest.memory.read(0, 0) == b""
        assert bytes(guest.memory.view(0, 0)) == b""
        for call in (
            lambda: guest.exports.text(0, 1),
            lambda: guest.exports.store(0, 1),
            lambda: guest.memory.read(0, 1),
        ):
            with pytest.raises(SegmentationFault):
                call()


def test_the_same_function_can_be_imported_twice() -> None:
    twice = passing(
        Probe,
        more='(func (export "again") (param i32 i32) (result i32) (call $again (local.get 0) (local.get 1)))',
    )
    twice = twice.replace(
        "(memory", '(import "probe" "text" (func $again (param i32 i32) (result i32))) (memory', 1
    )
    with hostmod.instantiate(twice, Probe()) as guest:
        assert guest.exports.text(0, 3) == guest.exports.again(0, 3) == 3


def test_one_function_serves_guests_with_memories_of_different_sizes() -> None:
    probe = Probe()
    guests = [
        hostmod.instantiate(passing(Probe, memory=f'(memory (export "memory") {pages})'), probe)
        for pages in (1, 3, 2)
    ]
    for _ in range(3):
        for guest in guests:
            size = len(guest.memory)
            guest.exports.store(size - 4, size)
            assert guest.memory.read_uint32(size - 4) == size
            with pytest.raises(SegmentationFault):
                guest.exports.store(size - 3, size)
    for guest in guests:
        guest.close()


class Texts(HostModule, name="texts"):
    def __init__(self) -> None:
        self.seen: list[str] = []

    @function
    def say(self, text: String) -> None:
        self.seen.append(text)


SAYING = """(module
  (import "texts" "say" (func $say (param i32 i32)))
  {import_}
  {memory}
  (func (export "run") (call $say (i32.const 0) (i32.const 5))))"""


def test_instances_that_share_a_linker_and_a_store_each_bring_their_own_memory() -> None:
    texts = Texts()
    engine = wasmtime.Engine()
    store, linker = wasmtime.Store(engine), wasmtime.Linker(engine)
    texts.link(linker)

    def saying(memory: str, import_: str = "") -> wasmtime.Func:
        text = SAYING.format(import_=import_, memory=memory)
        exports = linker.instantiate(store, wasmtime.Module(engine, text)).exports(store)
        if not import_ and "first" in memory:
            linker.define(store, "first", "memory", exports["memory"])
        return exports["run"]  # type: ignore[return-value]  # a Func

    own = '(memory (export "memory") 1) (data (i32.const 0) "{}")'
    runs = [
        saying(own.format("first")),
        saying(own.format("other")),
        # The first one's memory, exported again by one that imports it.
        saying('(export "memory" (memory 0))', '(import "first" "memory" (memory 1))'),
        # Two memories, the second of which is the one by that name.
        saying('(memory 1) (memory (export "memory") 1) (data (memory 1) (i32.const 0) "third")'),
    ]
    for run in [*runs, *reversed(runs), runs[2], runs[2], runs[1], runs[1]]:
        run(store)
    once = ["first", "other", "first", "third"]
    assert texts.seen == [*once, *reversed(once), "first", "first", "other", "other"]
