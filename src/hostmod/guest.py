"""Guests: loading one, and calling its exports from Python, typed, through the same plans."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar, overload

import wasmtime

from hostmod import _ffi, trampoline
from hostmod.errors import (
    DeclarationError,
    Exit,
    ExportMismatch,
    GuestFileError,
    LinkError,
    Mismatch,
    StaleMemoryError,
    StoreBusyError,
    ViewEscapedError,
)
from hostmod.link import FunctionModule, Host, HostModule, close, core_names, core_signature, mismatches
from hostmod.memory import Memory
from hostmod.plan import Plan, Slot, caller_frame, plan_of
from hostmod.types.base import GuestType
from hostmod.types.reference import EXTERNREF, CallerType
from hostmod.types.scalar import FLOAT32, FLOAT64, INT32, INT64

F = TypeVar("F", bound=Callable[..., Any])

_EXPORT = "__hostmod_export__"

Source = str | bytes | bytearray | os.PathLike[str] | wasmtime.Module
"""What a guest can be loaded from: a path, bytes, text that starts with ``(module``, or a compiled module."""


# ------------------------------------------------------------------------------------------------------------- memory


class GuestMemory(Memory):
    """The memory of a guest, for as long as its store is open. Growth is seen at once."""

    __slots__ = ("_address", "_base", "_lent", "_memory", "_size", "_store", "_view", "_whole")

    def __init__(self, store: Any, memory: wasmtime.Memory) -> None:
        self._store = store
        self._memory = memory._memory
        self._address = ctypes.addressof(self._memory)
        self._size = self._base = -1
        self._whole: Any = None
        self._view = memoryview(b"")

    def _window(self) -> memoryview:
        try:
            context = _ffi.open_context(self._store)
        except ValueError:
            raise StaleMemoryError("its store is closed", "use it before closing the guest") from None
        size = _ffi.memory_data_size(context, self._address)
        base = _ffi.memory_data(context, self._address) or 0
        if size != self._size or base != self._base:
            self._whole = _ffi.array_at(base, size) if size else (ctypes.c_ubyte * 0)()
            self._view = memoryview(self._whole).cast("B")
            self._size, self._base = size, base
        return self._view

    def view(self, offset: int, length: int) -> memoryview:
        """Lend `length` bytes at `offset` without a copy.

        While the view (or a numpy array made of it) is alive, the store neither runs nor closes: release it first, or
        write ``with memory.view(0, 16) as data:``.
        """
        if _ffi.guard_of(self._store).depth:
            raise StoreBusyError(
                "Guest.memory.view",
                "its guest is running",
                "a view that ends with the call",
                "write Caller.memory.view in a host function",
            )
        end = self.end(offset, length)
        if not self._size:
            return memoryview(bytearray())
        array = _ffi.array_at(self._base, self._size)
        _ffi.hold_store(self._store, array, "Guest.memory.view")
        with memoryview(array) as root, root.cast("B") as flat:
            return flat[offset:end]

    def grow(self, pages: int) -> int:
        """Grow by a number of 64 KiB pages; returns how many there were. wasmtime.WasmtimeError past its maximum."""
        memory = wasmtime.Memory._from_raw(self._memory)
        return memory.grow(self._store, pages)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GuestMemory):
            return NotImplemented
        return self._store is other._store and bytes(self._memory) == bytes(other._memory)

    def __hash__(self) -> int:
        return hash((id(self._store), bytes(self._memory)))

    def __repr__(self) -> str:
        return f"<guest memory of {len(self._window())} bytes>"


class _Arguments(Memory):
    """The guest's memory while one of its exports is called: arguments are allocated in it, and freed after the call.

    Views of results are copies, since nothing says how long the guest leaves them alone.
    """

    __slots__ = ("_allocator", "_made", "_memory", "_where", "failed")

    def __init__(self, memory: GuestMemory | None, allocator: _Allocator | None, where: str) -> None:
        self._memory = memory
        self._allocator = allocator
        self._where = where
        self._made: list[tuple[int, int]] = []
        self.failed: BaseException | None = None
        """What the guest's allocator, or a host function that it called, has raised: no fault of the argument's."""

    def _window(self) -> memoryview:
        if self._memory is None:
            raise LinkError(
                f"{self._where}: the guest exports no memory, expected one; export it as 'memory'"
            )
        return self._memory._window()

    def view(self, offset: int, length: int) -> memoryview:
        return memoryview(bytearray(self.read(offset, length)))

    def allocate(self, size: int, align: int = 1) -> int:
        if self._allocator is None:
            raise LinkError(
                f"{self._where}: an argument of {size} bytes needs room in the guest, expected an allocator; export "
                "malloc and free from it, or name its own: class Guest(GuestModule, allocate='alloc', free='dealloc')"
            )
        try:
            offset = self._allocator.allocate(size, align)
        except BaseException as error:
            self.failed = error
            raise
        self._made.append((offset, size))
        self.end(offset, size)
        return offset

    def free(self) -> None:
        if self._allocator is not None:
            while self._made:
                self._allocator.free(*self._made.pop())

    def __eq__(self, other: object) -> bool:
        return self is other or (self._memory is not None and self._memory == other)

    __hash__ = None  # type: ignore[assignment]  # equal to the memory it stands for


class _Allocator:
    """A guest's own allocator: ``malloc(size)`` or ``alloc(size, align)``, ``free(pointer)`` or with the size too."""

    def __init__(self, store: Any, allocate: wasmtime.Func, free: wasmtime.Func | None) -> None:
        self._allocate = export_caller("allocate", store, allocate)
        self._free = None if free is None else export_caller("free", store, free)
        self._takes_align = len(allocate.type(store).params) == 2
        self._takes_size = free is not None and len(free.type(store).params) == 2

    def allocate(self, size: int, align: int) -> int:
        offset = self._allocate(size, align) if self._takes_align else self._allocate(size)
        return int(offset) & 0xFFFFFFFF

    def free(self, offset: int, size: int) -> None:
        if self._free is not None:
            if self._takes_size:
                self._free(offset, size)
            else:
                self._free(offset)


# ------------------------------------------------------------------------------------------------------------ exports


_CORE_TYPES: dict[str, GuestType[Any]] = {
    "i32": INT32,
    "i64": INT64,
    "f32": FLOAT32,
    "f64": FLOAT64,
    "externref": EXTERNREF,
}


def export_caller(
    name: str, store: Any, function: wasmtime.Func, hold_gil: bool = False
) -> Callable[..., Any]:
    """Make a callable of a guest's function, typed by its own signature.

    i32 and i64 come back signed; unsigned arguments (addresses) are taken too.
    """
    type_ = function.type(store)
    params, results = core_names(type_.params), core_names(type_.results)
    for core in (*params, *results):
        if core not in _CORE_TYPES:
            raise LinkError(
                f"{name}: the guest has {core_signature(type_)}, expected i32, i64, f32, f64 and externref; "
                f"{core} has no form in Python, export a function that does without"
            )
    plan = Plan(
        "guest",
        name,
        tuple(Slot(f"argument {index}", _CORE_TYPES[core], index) for index, core in enumerate(params)),
        tuple(
            Slot(f"result[{index}]" if len(results) > 1 else "result", _CORE_TYPES[core], index)
            for index, core in enumerate(results)
        ),
        optional=False,
        is_tuple=len(results) > 1,
    )
    count = len(params)
    limits = [
        (index, 32 if core == "i32" else 64) for index, core in enumerate(params) if core in ("i32", "i64")
    ]

    def lenient(call: Callable[..., Any]) -> Callable[..., Any]:
        """Take unsigned integers as well, where the strict call refuses them; it does so before the guest runs."""

        def export(*arguments: Any) -> Any:
            if len(arguments) != count:
                raise TypeError(
                    f"{name}{core_signature(type_)} takes {count} arguments, {len(arguments)} given"
                )
            found = list(arguments)
            for index, bits in limits:
                value = found[index]
                if isinstance(value, int) and 1 << (bits - 1) <= value < 1 << bits:
                    found[index] = value - (1 << bits)
            return call(*found)

        return export

    call = trampoline.active.guest_caller(plan, store, function, None, hold_gil, lenient)
    call.__name__ = name
    call.__doc__ = f"{name}{core_signature(type_)}"
    return call


class Exports(Mapping[str, Any]):
    """What a guest exports: functions as callables, by attribute or by name; everything else as wasmtime objects."""

    def __init__(self, store: Any, instance: wasmtime.Instance, hold_gil: bool = False) -> None:
        self._store = store
        self._hold_gil = hold_gil
        self._raw = instance.exports(store)
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        found = self._made.get(name)
        if found is None:
            try:
                raw = self._raw[name]
            except KeyError:
                known = ", ".join(self._raw) or "nothing"
                raise KeyError(f"the guest does not export {name!r}, it exports {known}") from None
            found = raw
            if isinstance(raw, wasmtime.Func):
                found = export_caller(name, self._store, raw, self._hold_gil)
            self._made[name] = found
        return found

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        try:
            found = self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None
        self.__dict__[name] = found
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._raw})


@overload
def export(method: F, /) -> F: ...
@overload
def export(name: str, /) -> Callable[[F], F]: ...
def export(name: Any, /) -> Any:
    """Declare a method of a `GuestModule` that stands for an export, of its name or another; its body never runs."""
    if isinstance(name, str):
        return lambda method: _mark(method, name)
    return _mark(name, name.__name__)


def _mark(method: F, name: str) -> F:
    setattr(method, _EXPORT, name)
    return method


class GuestModule:
    """The exports of a guest, declared with guest types: the mirror image of a host module.

    ::

        class Calculator(GuestModule):
            @export
            def add(self, a: Int32, b: Int32) -> Int32: ...

        calculator = Calculator(store, instance)

    Names and signatures are checked when it is made, all at once. Strings, bytes, lists and structs as arguments are
    copied into the guest for the call, with the guest's own allocator: `allocate` and `free` name the exports that do
    it (``malloc`` and ``free`` unless said otherwise). `memory` names the export that pointers point into.
    """

    exports: ClassVar[Mapping[str, Plan]] = MappingProxyType({})
    """The plans by method name."""

    _names: ClassVar[tuple[str, str, str]] = ("memory", "malloc", "free")

    def __init_subclass__(
        cls,
        *,
        memory: str | None = None,
        allocate: str | None = None,
        free: str | None = None,
        **options: Any,
    ) -> None:
        super().__init_subclass__(**options)
        old = cls._names
        cls._names = (memory or old[0], allocate or old[1], free or old[2])
        found = dict(cls.exports)
        frame = caller_frame(1)
        for attribute, method in vars(cls).items():
            name = getattr(method, _EXPORT, None)
            if name is not None:
                plan = plan_of(method, cls.__name__, name, method=True, frame=frame)
                for slot in plan.params:
                    if isinstance(slot.type, CallerType):
                        raise DeclarationError(
                            f"{plan.where}({slot.name})",
                            "annotated Caller",
                            "a value",
                            "only host functions have a caller",
                        )
                found[attribute] = plan
        cls.exports = MappingProxyType(found)

    def __init__(self, store: wasmtime.Store, instance: wasmtime.Instance, *, hold_gil: bool = False) -> None:
        """Check the guest, and make the methods call it.

        Raises:
            LinkError: with every export that is missing or has another signature, and both signatures of each.
        """
        raw = instance.exports(store)
        self._check(store, raw)
        memory_name, allocate_name, free_name = self._names
        raw_memory = raw.get(memory_name)
        memory = GuestMemory(store, raw_memory) if isinstance(raw_memory, wasmtime.Memory) else None
        allocate, free = raw.get(allocate_name), raw.get(free_name)
        allocator = (
            _Allocator(store, allocate, free if isinstance(free, wasmtime.Func) else None)
            if isinstance(allocate, wasmtime.Func)
            else None
        )
        for attribute, plan in self.exports.items():
            function = raw[plan.name]
            where = plan.where

            def new_memory(where: str = where) -> _Arguments:
                return _Arguments(memory, allocator, where)

            self.__dict__[attribute] = trampoline.active.guest_caller(
                plan, store, function, new_memory, hold_gil
            )

    @classmethod
    def _check(cls, store: Any, raw: Mapping[str, Any]) -> None:
        found: list[Mismatch] = []
        for attribute, plan in cls.exports.items():
            function = raw.get(plan.name)
            if isinstance(function, wasmtime.Func):
                has = core_signature(function.type(store))
                if has != plan.signature:
                    found.append(ExportMismatch(cls.__name__, attribute, plan.signature, has))
            else:
                known = (
                    ", ".join(name for name, each in raw.items() if isinstance(each, wasmtime.Func))
                    or "no functions"
                )
                found.append(
                    ExportMismatch(
                        cls.__name__, attribute, f"{plan.name}{plan.signature}", None, f"it exports {known}"
                    )
                )
        if found:
            raise LinkError(f"the guest and {cls.__name__} disagree about {len(found)} exports:", found)


# ------------------------------------------------------------------------------------------------------------- guests


def load(source: Source, engine: wasmtime.Engine | None = None) -> wasmtime.Module:
    """Compile a guest.

    Args:
        source: a path (of a binary or a text file), the bytes of either, text that starts with ``(module``, or a
            `wasmtime.Module`, which is returned as it is.
        engine: what to compile it for; a new one if not given.

    Raises:
        FileNotFoundError: there is no such file.
        GuestFileError: it is no WebAssembly module.
    """
    if isinstance(source, wasmtime.Module):
        return source
    name, data = read(source)
    return compile_bytes(name, data, engine or wasmtime.Engine())


def compile_bytes(name: str, data: bytes, engine: wasmtime.Engine) -> wasmtime.Module:
    """Compile what `read` gave; GuestFileError if it is not valid."""
    try:
        return wasmtime.Module(engine, data if data[:4] == b"\0asm" else data.decode())
    except wasmtime.WasmtimeError as error:
        raise GuestFileError(name, f"it does not compile: {error}") from error


def read(source: str | bytes | bytearray | os.PathLike[str]) -> tuple[str, bytes]:
    """Read a guest without compiling it: what messages call it, and its bytes. Arguments and errors as in `load`."""
    if isinstance(source, str) and source.lstrip().startswith(("(module", ";;", "(;")):
        name, data = "the text", source.encode()
    elif isinstance(source, str | os.PathLike):
        path = Path(source)
        name = str(source) if len(str(source)) < 200 else str(source)[:200] + "..."
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise FileNotFoundError(
                2,
                "no such guest; give the path of a .wasm or .wat file, its bytes, or text that starts with '(module'",
                name,
            ) from None
        except (OSError, ValueError) as error:
            raise GuestFileError(name, f"it cannot be read ({error})") from error
    elif isinstance(source, bytes | bytearray):
        name, data = f"{len(source)} bytes", bytes(source)
    else:
        raise GuestFileError("the guest", f"{source!r} ({type(source).__name__})")
    if not data:
        raise GuestFileError(name, "it is empty")
    if data[:4] == b"\0asm" and data[4:8] == b"\x0d\0\x01\0":
        raise GuestFileError(name, "it is a component")
    if data[:4] != b"\0asm" and not _is_text(data):
        raise GuestFileError(name, f"it starts with {data[:8]!r}")
    return name, data


def _is_text(data: bytes) -> bool:
    try:
        return data.decode().lstrip().startswith(("(", ";;"))
    except UnicodeDecodeError:
        return False


class Guest:
    """A guest that is instantiated in a store of its own, by `hostmod.instantiate`."""

    def __init__(
        self,
        store: wasmtime.Store,
        module: wasmtime.Module,
        instance: wasmtime.Instance,
        stack: contextlib.ExitStack,
        memory: wasmtime.Memory | None,
        hold_gil: bool = False,
    ) -> None:
        self.store = store
        self.module = module
        self.instance = instance
        self.exports = Exports(store, instance, hold_gil)
        self._stack = stack
        self._raw_memory = memory
        self._memory: GuestMemory | None = None
        self._closed = False

    @property
    def memory(self) -> GuestMemory:
        """Its memory; LinkError if it has none that it exports or imports."""
        if self._memory is None:
            if self._raw_memory is None:
                raise LinkError("Guest.memory: the guest has no memory, expected one; export it as 'memory'")
            self._memory = GuestMemory(self.store, self._raw_memory)
        return self._memory

    def run(self) -> int:
        """Run a program: the `_start` of a command, or the `_initialize` of a reactor, to call its exports after it.

        Returns:
            The exit code: 0 where it returned, else what it gave to the function that ended it.

        Raises:
            LinkError: it exports neither.
            Whatever else ended it: wasmtime.Trap, or what a host function raised.
        """
        for name in ("_start", "_initialize"):
            if isinstance(self.instance.exports(self.store).get(name), wasmtime.Func):
                try:
                    self.exports[name]()
                except Exit as exit:
                    return exit.code
                return 0
        raise LinkError(
            "Guest.run: the guest exports neither _start nor _initialize, expected a program; compile it as one, or "
            "call its functions through Guest.exports"
        )

    def close(self) -> None:
        """Close its store, and the host modules that were made for it (given as classes), once."""
        if not self._closed:
            self._closed = True
            try:
                self.store.close()
            except (ViewEscapedError, StoreBusyError):
                self._closed = False
                raise
            self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<guest that exports {', '.join(self.exports) or 'nothing'}>"


def instantiate(
    source: Source,
    *hosts: Host,
    engine: wasmtime.Engine | None = None,
    store: wasmtime.Store | None = None,
    linker: wasmtime.Linker | None = None,
    memory: str | None = None,
    hold_gil: bool = False,
) -> Guest:
    """Load a guest, link it with host modules, and instantiate it, in a store of its own unless one is given.

    A host module given as an instance belongs to the caller; one given as a class is made here and closed with the
    guest.

    Args:
        source: a path, bytes, text that starts with ``(module``, or a `wasmtime.Module`.
        hosts: instances or classes of `HostModule`, and modules of functions.
        engine: what to compile for; that of the store, linker or module if one is given.
        store: the store to instantiate in; the guest closes it.
        linker: a linker that already has what other imports need.
        memory: the export that pointers point into; "memory", or the guest's only one, unless said otherwise.
        hold_gil: keep other Python threads from running while the guest's exports do. For short, chatty calls.

    Raises:
        FileNotFoundError, GuestFileError: as `load`.
        LinkError: with every import that nothing serves, or that is served with another signature.
    """
    if engine is None:
        engine = (
            store.engine if store is not None else linker.engine if linker is not None else wasmtime.Engine()
        )
        if isinstance(source, wasmtime.Module):
            source = _for_engine(source, engine)
    module = load(source, engine)
    stack = contextlib.ExitStack()
    with contextlib.ExitStack() as undo:
        undo.push(stack)
        made: list[HostModule | FunctionModule] = []
        for host in hosts:
            if isinstance(host, type) and issubclass(host, HostModule):
                instance = host()
                stack.callback(close, instance)
                made.append(instance)
            elif isinstance(host, HostModule | FunctionModule):
                made.append(host)
            else:
                raise LinkError(
                    f"instantiate: {host!r}, expected a HostModule, its class, or hostmod.module(...)"
                )
        names = [host.name for host in made]
        for name in names:
            if names.count(name) > 1:
                raise LinkError(
                    f"instantiate: two host modules are named {name!r}, expected one of each name"
                )
        own_linker = linker is None
        linker = linker or wasmtime.Linker(engine)
        if store is None:
            store = wasmtime.Store(engine)
            undo.callback(store.close)
        spec, provided = _memory_of(module, memory, store, linker if own_linker else None, names)
        for host in made:
            if provided is None:
                host.link(linker, memory=spec)
            else:
                host.link(linker, memory=provided, store=store)
        _check_all(module, made, linker, store, own_linker)
        wasm = linker.instantiate(store, module)
        exports = wasm.exports(store)
        raw = exports.get(spec)
        guest = Guest(
            store, module, wasm, stack, raw if isinstance(raw, wasmtime.Memory) else provided, hold_gil
        )
        undo.pop_all()
        return guest
    raise AssertionError("unreachable: the block above returns or raises")


def _for_engine(module: wasmtime.Module, engine: wasmtime.Engine) -> wasmtime.Module:
    """Copy a compiled module to another engine: wasmtime-py's modules do not say which is theirs."""
    try:
        return wasmtime.Module.deserialize(engine, module.serialize())
    except wasmtime.WasmtimeError as error:
        raise LinkError(
            f"instantiate: a wasmtime.Module of an engine with other settings ({error}), expected its engine too; "
            "write instantiate(module, ..., engine=engine)"
        ) from error


def _memory_of(
    module: wasmtime.Module,
    wanted: str | None,
    store: wasmtime.Store,
    linker: wasmtime.Linker | None,
    hosts: list[str],
) -> tuple[str, wasmtime.Memory | None]:
    """Find which memory a guest's host functions see; make the one that it imports, if nothing else will."""
    exported = [each.name for each in module.exports if isinstance(each.type, wasmtime.MemoryType)]
    if wanted is not None:
        if wanted not in exported:
            raise LinkError(
                f"instantiate: memory={wanted!r}, expected one of the guest's: "
                f"{', '.join(exported) or 'it exports none'}"
            )
        return wanted, None
    provided: wasmtime.Memory | None = None
    for each in module.imports:
        if isinstance(each.type, wasmtime.MemoryType) and linker is not None and each.module not in hosts:
            made = wasmtime.Memory(store, each.type)
            linker.define(store, each.module, each.name or "", made)
            provided = provided or made
    if "memory" in exported:
        return "memory", None
    if len(exported) == 1 and provided is None:
        return exported[0], None
    return "memory", provided


def _check_all(
    module: wasmtime.Module,
    hosts: list[HostModule | FunctionModule],
    linker: wasmtime.Linker,
    store: wasmtime.Store,
    own: bool,
) -> None:
    found = mismatches(module, hosts)
    known = {host.name for host in hosts}
    for each in module.imports:
        if each.module in known:
            continue
        name = each.name or ""
        try:
            linker.get(store, each.module, name)
        except wasmtime.WasmtimeError:
            wanted = (
                core_signature(each.type)
                if isinstance(each.type, wasmtime.FuncType)
                else f"a {type(each.type).__name__.removesuffix('Type').lower()}"
            )
            have = ", ".join(sorted(known))
            advice = f"no host module named {each.module!r} was given" + (f" (given: {have})" if have else "")
            found.append(Mismatch(each.module, name, wanted, None, advice))
    if found:
        raise LinkError(f"the guest's imports and what it is given disagree in {len(found)} places:", found)
