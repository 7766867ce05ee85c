"""Tries each private part of wasmtime and wasmtime-py that hostmod relies on, on a tiny guest.

Once in a process, when hostmod is first used: a version of wasmtime that differs is refused with one error that says
in what, in place of wrong values or a crash later.
"""

from __future__ import annotations

import ctypes
import logging
import struct
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import wasmtime
from wasmtime import _func as wasmtime_func
from wasmtime import _value as wasmtime_value

from hostmod._wasmtime import capi, externref, linker, traps
from hostmod._wasmtime import store as stores
from hostmod.errors import InternalError

logger = logging.getLogger("hostmod")

_GUEST = """(module
  (import "h" "numbers" (func $numbers (param i32 i64 f32 f64) (result f64 f32 i64 i32)))
  (import "h" "same" (func $same (param externref) (result externref)))
  (import "h" "fail" (func $fail))
  (memory (export "memory") 1 2)
  (global (export "global") i32 (i32.const 7))
  (data (i32.const 8) "hostmod")
  (func (export "numbers") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
    (call $numbers (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
  (func (export "same") (param externref) (result externref) (call $same (local.get 0)))
  (func (export "fail") (call $fail))
  (func (export "vector") (param v128)))"""

_GIVEN = (-2, 1 << 40, 1.5, -0.1)
_PACKED = ("<i", "<q", "<f", "<d")

_MEMBERS = (
    (wasmtime.Store, ("_context", "_consume")),
    (wasmtime.MemoryType, ("_from_ptr",)),
    (wasmtime.Memory, ("_from_raw", "_as_extern")),
    (wasmtime.Trap, ("_from_ptr",)),
    (wasmtime.WasmtimeError, ("_from_ptr",)),
    (wasmtime.ValType, ("_from_ptr",)),
    (wasmtime_value, ("_intern", "_unintern", "_externref_finalizer")),
    (wasmtime_func, ("enter_wasm", "LAST_EXCEPTION")),
)
"""Private names of wasmtime-py's, by their owner."""

_SIZES = (
    ("wasmtime_val_raw_t", capi.RAW_SIZE),
    ("wasmtime_extern_t", 32),
    ("wasmtime_extern_t.of", 8),
    ("wasmtime_extern_t.kind", 0),
    ("wasmtime_memory_t", 24),
    ("wasmtime_func_t", 16),
    ("wasmtime_func.store_id", 0),
    ("wasmtime_global.store_id", 0),
    ("wasmtime_instance.store_id", 0),
    ("wasmtime_memory_anon_0.store_id", 0),
)
"""Sizes of wasmtime's structures in bytes, and with a dot, offsets of their members."""

_Words = ctypes.c_uint64 * 3
"""What the C code takes a wasmtime_caller_t for: a context, the number of a store, and that of an instance."""

done = False
"""Whether the present wasmtime was tried, and is as expected."""


def verify() -> None:
    """Try what hostmod relies on, if that was not done in this process.

    Raises:
        InternalError: something differs. It names the versions, and everything that differs.
    """
    global done  # noqa: PLW0603  # once in a process is what it is for
    if done:
        return
    found = list(_declared()) or list(_tried())
    if found:
        try:
            own = version("hostmod")
        except PackageNotFoundError:
            own = "(not installed)"
        raise InternalError(
            f"hostmod {own} with wasmtime {capi.wasmtime_version()}: {'; '.join(found)}; "
            "use a version of wasmtime that hostmod's CHANGELOG names, or a newer hostmod"
        )
    done = True


def _declared() -> Iterator[str]:
    """Say what differs in wasmtime-py's declarations. What is called with wrong ones may end the process."""
    for name in capi.missing:
        yield f"there is no {name}"
    for name, types in capi.declared.items():
        theirs = getattr(capi.dll, name)
        widths, ours = _widths(theirs.restype, *(theirs.argtypes or ())), _widths(*types)
        if widths != ours:
            yield f"{name} has a result and arguments of {widths} bytes, expected {ours}"
    for owner, names in _MEMBERS:
        for name in names:
            if not hasattr(owner, name):
                yield f"{owner.__name__} has no {name}"
    for name, expected in _SIZES:
        try:
            size = capi.size_of(name)
        except AttributeError:
            yield f"there is no {name}"
            continue
        if size != expected:
            what = "is at offset" if "." in name else "has"
            yield f"{name} {what} {size}{'' if '.' in name else ' bytes'}, expected {expected}"


def _widths(*types: Any) -> str:
    """How wide a function's result and arguments are: wasmtime-py has a type for each, where hostmod has addresses."""
    return ", ".join("no" if each is None else str(ctypes.sizeof(each)) for each in types)


def _tried() -> list[str]:
    """Run the guest, and return what differs."""
    config = wasmtime.Config()
    # Neither the process's signal handlers are touched, nor threads needed, which a forked child has not.
    config.parallel_compilation = False
    settings = (
        ("signals_based_traps", False),
        ("cranelift_opt_level", "none"),
        ("memory_reservation", 0),  # else it takes several GiB of addresses, which a process may not have
        ("memory_reservation_for_growth", 0),
        ("memory_guard_size", 0),
    )
    for name, value in settings:
        if hasattr(type(config), name):
            setattr(config, name, value)
    engine = wasmtime.Engine(config)
    trial = _Trial(engine)
    try:
        for name, step in trial.steps():
            try:
                step()
            except Exception as error:  # whatever a wasmtime that differs does
                trial.found.append(f"{name}: {type(error).__name__}: {error}")
            if trial.found:
                break  # what comes next relies on it, and may end the process
    finally:
        trial.store.close()
    return trial.found


class _Trial:
    """The guest, what it is linked with, and what was found to differ."""

    def __init__(self, engine: wasmtime.Engine) -> None:
        self.found: list[str] = []
        self.module = wasmtime.Module(engine, _GUEST)
        self.store = wasmtime.Store(engine)
        self.linker = wasmtime.Linker(engine)
        self.context = 0
        self.exports: Any = {}
        self.object = object()
        self.error = KeyError("raised by the host")
        self.called = 0

    def steps(self) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "the types of functions", self.types
        yield "a store's context", self.contexts
        yield "a linker's callbacks", self.link
        yield "an instance and its exports", self.instantiate
        yield "a call and its raw values", self.numbers
        yield "an externref's raw value", self.same
        yield "a trap, and the exception that it stands for", self.fail
        yield "wasmtime-py's own calls", self.enter

    def expect(self, what: str, value: object, expected: object) -> None:
        if value != expected:
            self.found.append(f"{what} is {value!r}, expected {expected!r}")

    def types(self) -> None:
        types = [each.type for each in self.module.imports] + [each.type for each in self.module.exports]
        names = [
            [capi.core_name(type_) for type_ in (*each.params, *each.results)]
            for each in types
            if isinstance(each, wasmtime.FuncType)
        ]
        numbers = ["i32", "i64", "f32", "f64", "f64", "f32", "i64", "i32"]
        references = ["externref", "externref"]
        self.expect(
            "the types of functions", names, [numbers, references, [], numbers, references, [], ["v128"]]
        )

    def contexts(self) -> None:
        self.context = stores.context_of(self.store)
        pointer = vars(self.store)["_Store__context"]
        self.expect("the address of _Store__context", ctypes.addressof(pointer.contents), self.context)

    def link(self) -> None:
        self.kept = []
        for name, serve, params, results in (
            (b"numbers", self.serve_numbers, ["i32", "i64", "f32", "f64"], ["f64", "f32", "i64", "i32"]),
            (b"same", self.serve_same, ["externref"], ["externref"]),
            (b"fail", self.serve_fail, [], []),
        ):
            type_ = capi.function_type(params, results)
            callback = capi.CALLBACK(self.safely(serve))
            self.kept.append((type_, callback))
            error = linker.define_callback(
                linker.linker_address(self.linker),
                b"h",
                name,
                capi.type_address(type_),
                ctypes.cast(callback, ctypes.c_void_p).value or 0,
                self.object,
            )
            if error:
                raise linker.wasmtime_error(error)

    def safely(self, serve: Callable[..., int]) -> Callable[..., int]:
        """Have what a callback raises be something that differs: nothing may come out of one."""

        def callback(env: object, caller: int, slots: int, count: int) -> int:
            try:
                self.expect("what a callback is given", env, self.object)
                return serve(caller, slots, count)
            except Exception as error:
                self.found.append(f"in a callback: {type(error).__name__}: {error}")
                return 0

        return callback

    def instantiate(self) -> None:
        instance = self.linker.instantiate(self.store, self.module)
        self.exports = instance.exports(self.store)
        for name, item, of in (
            ("Instance", instance, "_instance"),
            ("Memory", self.exports["memory"], "_memory"),
            ("Func", self.exports["fail"], "_func"),
            ("Global", self.exports["global"], "_global"),
        ):
            if not stores.owns(self.store, getattr(item, of)):
                self.found.append(f"{name}.{of} does not start with the number of its store")
        memory = wasmtime.Memory._from_raw(self.exports["memory"]._memory)
        self.expect("the size of Memory._from_raw", memory.data_len(self.store), 1 << 16)

    def call(self, name: str, slots: Any) -> tuple[int | None, int | None]:
        """Call an export as hostmod does; returns the addresses of an error and of a trap."""
        function = self.exports[name]
        trap = ctypes.c_void_p()
        error = capi.func_call_unchecked(
            self.context,
            ctypes.addressof(function._func),
            slots,
            len(slots) // capi.RAW_SIZE,
            ctypes.addressof(trap),
        )
        return error, trap.value

    def numbers(self) -> None:
        slots = (ctypes.c_ubyte * (4 * capi.RAW_SIZE))()
        for index, (value, form) in enumerate(zip(_GIVEN, _PACKED, strict=True)):
            struct.pack_into(form, slots, index * capi.RAW_SIZE, value)
        self.expect("the outcome of a call", self.call("numbers", slots), (None, None))
        back = [
            struct.unpack_from(form, slots, index * capi.RAW_SIZE)[0]
            for index, form in enumerate(reversed(_PACKED))
        ]
        self.expect("what a call returned", back, list(reversed(_GIVEN)))
        self.expect("how often a callback was called", self.called, 1)

    def serve_numbers(self, caller: int, slots: int, count: int) -> int:
        self.called += 1
        window = (ctypes.c_ubyte * (4 * capi.RAW_SIZE)).from_address(slots)
        given = [
            struct.unpack_from(form, window, index * capi.RAW_SIZE)[0] for index, form in enumerate(_PACKED)
        ]
        self.expect("what a callback was given", given, list(_GIVEN))
        self.expect("the context of a caller", capi.caller_context(caller), self.context)
        self.memory(caller)
        for index, (value, form) in enumerate(zip(reversed(given), reversed(_PACKED), strict=True)):
            struct.pack_into(form, window, index * capi.RAW_SIZE, value)
        return 0

    def memory(self, caller: int) -> None:
        extern = (ctypes.c_ubyte * capi.EXTERN_SIZE)()
        address = ctypes.addressof(extern)
        if not capi.caller_export_get(caller, b"memory", 6, address):
            self.found.append("a caller has no export 'memory'")
            return
        self.expect("the kind of a memory", extern[0], capi.EXTERN_MEMORY)
        of = address + capi.EXTERN_OF
        known = self.exports["memory"]._memory
        handle = struct.Struct("<QI4xI")  # a wasmtime_memory_t: what is between its members may be anything
        number, instance, index = handle.unpack_from(extern, capi.EXTERN_OF)
        self.expect("a caller's memory", (number, instance, index), handle.unpack_from(known))
        self.expect("the size of a memory", capi.memory_data_size(self.context, of), 1 << 16)
        base = capi.memory_data(self.context, of)
        self.expect("what a memory holds", ctypes.string_at(base + 8, 7), b"hostmod")
        words = _Words.from_address(caller)
        if (words[0], words[1], words[2] & 0xFFFFFFFF) != (self.context, number, instance):
            # The C code compares before it believes, so this is right, and costs a look-up for each call.
            logger.warning(
                "wasmtime %s: wasmtime_caller_t is not as expected; host functions look their memory up at each call",
                capi.wasmtime_version(),
            )

    def same(self) -> None:
        slots = (ctypes.c_ubyte * capi.RAW_SIZE)()
        try:
            (raw,) = externref.hold_raws(self.context, [self.object])
        except MemoryError as error:
            # The GC heap reserves addresses that a limited process has not. Then no store has externrefs there.
            logger.debug("wasmtime %s: externrefs were not tried: %s", capi.wasmtime_version(), error)
            return
        struct.pack_into("<I", slots, 0, raw)
        self.expect("the outcome of a call", self.call("same", slots), (None, None))
        (raw,) = struct.unpack_from("<I", slots)
        if externref.externref_from_raw(self.context, raw) is not self.object:
            self.found.append("an externref came back as another object")
        externref.release(1 << 63)

    def serve_same(self, caller: int, slots: int, count: int) -> int:
        window = (ctypes.c_ubyte * capi.RAW_SIZE).from_address(slots)
        (raw,) = struct.unpack_from("<I", window)
        if externref.externref_from_raw(self.context, raw) is not self.object:
            self.found.append("an externref reached a callback as another object")
        return 0

    def fail(self) -> None:
        error, trap = self.call("fail", (ctypes.c_ubyte * capi.RAW_SIZE)())
        if not trap and not error:  # an error, if the trap is the host's
            self.found.append("a callback's trap did not end the call")
        elif (raised := traps.failure(error, trap)) is not self.error:
            self.found.append(f"a host function's exception came back as {type(raised).__name__}: {raised}")

    def serve_fail(self, caller: int, slots: int, count: int) -> int:
        return traps.trap("h.fail", self.error)

    def enter(self) -> None:
        try:
            self.exports["fail"](self.store)
        except Exception as raised:
            if raised is not self.error:
                self.found.append(f"Func raised {type(raised).__name__}: {raised}")
        else:
            self.found.append("Func raised nothing")
