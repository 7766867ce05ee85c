"""Reads WebAssembly's binary format: sections, memories, names and what tools have noted.

Source: WebAssembly core specification, 5 Binary Format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(slots=True)
class MemoryShape:
    """One memory: sizes in 64 KiB pages, `maximum` None if it may grow without end; who it comes from and goes to."""

    minimum: int
    maximum: int | None
    is_64: bool = False
    shared: bool = False
    imported: str = ""
    exported: str = ""


def leb(data: bytes, at: int) -> tuple[int, int]:
    """Read an unsigned LEB128 number; return it and where it ends. Source: core specification, 5.2.2 Integers."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if not byte & 0x80:
            return value, at


def read_name(data: bytes, at: int) -> tuple[str, int]:
    """Read a name; return it and where it ends. Source: core specification, 5.2.4 Names."""
    length, at = leb(data, at)
    return data[at : at + length].decode("utf-8", "replace"), at + length


def sections(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Iterate over sections: number and content. Source: core specification, 5.5 Modules."""
    at = 8
    while at < len(data):
        section = data[at]
        length, at = leb(data, at + 1)
        yield section, data[at : at + length]
        at += length


def memories(body: bytes) -> Iterator[MemoryShape]:
    """Source: core specification, 5.3.8 Limits; the flags are 1 has a maximum, 2 shared, 4 64-bit, 8 a page size."""
    count, at = leb(body, 0)
    for _ in range(count):
        flags = body[at]
        minimum, at = leb(body, at + 1)
        maximum = None
        if flags & 1:
            maximum, at = leb(body, at)
        if flags & 8:
            _, at = leb(body, at)
        yield MemoryShape(minimum, maximum, is_64=bool(flags & 4), shared=bool(flags & 2))


_NAMED = frozenset(b"\x7f\x7e\x7d\x7c\x70\x6f")
"""Value types that wasmtime's C API can name: i32, i64, f32, f64, funcref, externref. Source: 5.3 Types."""


def unnameable(data: bytes) -> list[str]:
    """Return the imported and exported functions of a binary that take or give a v128 or a typed reference.

    Asked for such a type, wasmtime's C API ends the process, so it must not be asked. What is too new to be read here
    (a type section of garbage-collected types, say) counts as nothing found.
    """
    try:
        return _unnameable(data)
    except IndexError:
        return []


def _unnameable(data: bytes) -> list[str]:
    strange: set[int] = set()
    functions: list[int] = []
    found: list[str] = []
    for section, body in sections(data):
        count, at = leb(body, 0) if section in (1, 2, 3, 7) else (0, 0)
        for index in range(count):
            if section == 1:
                if body[at] != 0x60:
                    return []
                at += 1
                for _ in range(2):
                    length, at = leb(body, at)
                    if any(each not in _NAMED for each in body[at : at + length]):
                        strange.add(index)
                        if any(each in b"\x63\x64" for each in body[at : at + length]):
                            return (
                                found  # references of several bytes: where the next type starts is not known
                            )
                    at += length
            elif section == 2:
                module, at = read_name(body, at)
                name, at = read_name(body, at)
                what = body[at]
                at += 1
                if what == 0:
                    type_, at = leb(body, at)
                    functions.append(type_)
                    if type_ in strange:
                        found.append(f"{module}::{name}")
                elif what == 3:
                    at += 2
                else:
                    at += 1 if what == 1 else 0
                    flags = body[at]
                    at += 1
                    for _ in range(1 + (flags & 1)):
                        _, at = leb(body, at)
            elif section == 3:
                type_, at = leb(body, at)
                functions.append(type_)
            else:
                name, at = read_name(body, at)
                what = body[at]
                index_, at = leb(body, at + 1)
                if what == 0 and functions[index_] in strange:
                    found.append(name)
    return found
