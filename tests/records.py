"""Structs, and an object, that tests share."""

from __future__ import annotations

from typing import Annotated

from hostmod.types.base import resolve
from hostmod.types.scalar import (
    Bool,
    Float32,
    Float64,
    Uint8,
    Uint16,
    Uint32,
)
from hostmod.types.structs import (
    Length,
    StructType,
    struct,
)
from hostmod.types.text import String


@struct
class Point:
    x: Float32
    y: Float32


@struct
class Sample:
    kind: Uint8
    at: Float64
    ok: Bool
    point: Point
    tags: Annotated[list[Uint16], Length(3)]


@struct
class Named:
    id: Uint16
    name: String
    raw: Annotated[bytes, Length(3)]
    points: Annotated[list[Point], Length(2)]


def struct_type(cls: type) -> StructType:
    found = resolve(cls, "test")
    assert isinstance(found, StructType)
    return found


@struct
class Wide:
    """More values than generated code unpacks one by one."""

    numbers: Annotated[list[Uint32], Length(100)]


class Thing:
    """An object whose name is the same in every process, unlike that of a plain one."""

    def __repr__(self) -> str:
        return "a thing"


THING = Thing()
