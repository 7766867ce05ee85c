"""Inspects a guest: its imports, exports, memories and producers, and who serves its imports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import wasmtime

from hostmod.checks import core_names, core_signature, declared, functions_of, mismatches, name_of
from hostmod.declaration import Function, find_function
from hostmod.guest import compile_bytes, new_engine, read
from hostmod.link import Host
from hostmod.tools.wasm_binary import MemoryShape, leb, memories, read_name, sections

Status = Literal["", "served", "wasi", "missing", "mismatch"]
"""Whether an import is served: not asked, by a host module, by WASI, by nothing, or with another signature."""

WASI = ("wasi_snapshot_preview1", "wasi_unstable")
"""Module names of WASI's first preview."""


@dataclass(slots=True)
class Import:
    """One import: `kind` is function, memory, table, global or tag, `type` its signature or shape."""

    module: str
    name: str
    kind: str
    type: str
    status: Status = ""
    host: str = ""
    offered: str = ""
    advice: str = ""


@dataclass(slots=True)
class Export:
    """One export, as `Import`."""

    name: str
    kind: str
    type: str


@dataclass(slots=True)
class Inspection:
    """What `inspect` found out about a guest."""

    source: str
    size: int
    imports: list[Import]
    exports: list[Export]
    memories: list[MemoryShape]
    producers: dict[str, list[tuple[str, str]]]
    """By field (language, processed-by, sdk): names and versions."""
    custom_sections: list[tuple[str, int]]
    """Names and sizes in bytes."""

    @property
    def problems(self) -> list[Import]:
        """The imports that nothing serves, or that are served with another signature."""
        return [each for each in self.imports if each.status in ("missing", "mismatch")]


def inspect(
    source: Any,
    hosts: Sequence[tuple[str, Host]] = (),
    *,
    module: wasmtime.Module | None = None,
    wasi: bool = True,
) -> Inspection:
    """Look into a guest.

    Args:
        source: a path, bytes, or text that starts with ``(module``.
        hosts: host modules, each with what to call it; imports have a status if there are any.
        module: the guest compiled, if it is at hand.
        wasi: whether WASI serves what is imported from it.

    Raises:
        FileNotFoundError, GuestFileError: as `hostmod.load`.
    """
    name, data = read(source)
    if module is None:
        module = compile_bytes(name, data, new_engine())
    binary = data if data[:4] == b"\0asm" else bytes(wasmtime.wat2wasm(data.decode()))
    found = Inspection(
        source=name,
        size=len(data),
        imports=[
            Import(each.module, each.name or "", kind(each.type), shape(each.type)) for each in module.imports
        ],
        exports=[Export(each.name, kind(each.type), shape(each.type)) for each in module.exports],
        memories=[],
        producers={},
        custom_sections=[],
    )
    for each in module.imports:
        if isinstance(each.type, wasmtime.MemoryType):
            found.memories.append(_memory(each.type, imported=f"{each.module}::{each.name}"))
    for section, body in sections(binary):
        if section == 5:
            found.memories += memories(body)
        elif section == 0:
            _read_custom(body, found)
    _name_exported(found, binary)
    if hosts:
        _serve(found, module, hosts, wasi)
    return found


def kind(type_: object) -> str:
    """Return what sort of import or export a wasmtime type is of."""
    name = type(type_).__name__.removesuffix("Type").lower()
    return "function" if name == "func" else name


def shape(type_: Any) -> str:
    """Spell a wasmtime type as the text format does, on one line."""
    if isinstance(type_, wasmtime.FuncType):
        return core_signature(type_)
    if isinstance(type_, wasmtime.MemoryType):
        return _pages(_memory(type_))
    if isinstance(type_, wasmtime.GlobalType):
        (content,) = core_names([type_.content])
        return f"mutable {content}" if type_.mutable else content
    if isinstance(type_, wasmtime.TableType):
        limits = type_.limits
        return (
            f"{limits.min} {limits.max if limits.max is not None else ''}".strip()
            + f" {core_names([type_.element])[0]}"
        )
    return ""


def _memory(type_: wasmtime.MemoryType, imported: str = "") -> MemoryShape:
    limits = type_.limits
    return MemoryShape(limits.min, limits.max, is_64=type_.is_64, shared=type_.is_shared, imported=imported)


def _pages(memory: MemoryShape) -> str:
    text = f"{memory.minimum} pages" if memory.minimum != 1 else "1 page"
    if memory.maximum is not None:
        text += f", at most {memory.maximum}"
    return text + (", 64-bit" if memory.is_64 else "") + (", shared" if memory.shared else "")


def show_memory(memory: MemoryShape) -> str:
    """Show a memory's size on one line."""
    return _pages(memory)


def _serve(found: Inspection, module: wasmtime.Module, hosts: Sequence[tuple[str, Host]], wasi: bool) -> None:
    names: dict[str, str] = {}
    functions: dict[str, dict[str, Function]] = {}
    for label, host in hosts:
        name = name_of(host)
        names[name] = f"{names[name]}, {label}" if name in names else label
        functions.setdefault(name, {}).update(functions_of(host))
    wrong = {
        (each.module, each.name, each.expected): each
        for each in mismatches(module, [host for _, host in hosts])
    }
    for each in found.imports:
        each.host = names.get(each.module, "")
        problem = wrong.get(
            (each.module, each.name, each.type if each.kind == "function" else f"a {each.kind}")
        )
        function = find_function(functions.get(each.module, {}), each.name)
        if problem is not None:
            each.status = "missing" if problem.found is None else "mismatch"
            each.offered, each.advice = problem.found or "", problem.advice
        elif function is not None:
            each.status, each.offered = "served", declared(function)
        elif each.kind in ("memory", "table"):  # hostmod.instantiate makes those that nothing provides
            each.status, each.host = "served", "hostmod"
        elif wasi and each.module in WASI and each.module not in names:
            each.status = "wasi"
        elif each.kind == "function":
            each.status = "missing"
            each.advice = f"no host module named {each.module!r} was given"
        else:
            each.status = "missing"
            each.advice = f"a {each.kind}: give it in imports= of hostmod.instantiate"


def _read_custom(body: bytes, found: Inspection) -> None:
    """Source: tool conventions, "Producers Section"."""
    try:
        name, at = read_name(body, 0)
        found.custom_sections.append((name, len(body) - at))
        if name != "producers":
            return
        fields, at = leb(body, at)
        for _ in range(fields):
            field, at = read_name(body, at)
            count, at = leb(body, at)
            for _ in range(count):
                tool, at = read_name(body, at)
                version, at = read_name(body, at)
                found.producers.setdefault(field, []).append((tool, version))
    except IndexError:  # nothing checks what a custom section holds
        return


def _name_exported(found: Inspection, binary: bytes) -> None:
    """Say of each memory as what it is exported. Source: core specification, 5.5.10 Export Section."""
    for section, body in sections(binary):
        if section == 7:
            count, at = leb(body, 0)
            for _ in range(count):
                name, at = read_name(body, at)
                what = body[at]
                index, at = leb(body, at + 1)
                if what == 2 and index < len(found.memories):
                    found.memories[index].exported = name
