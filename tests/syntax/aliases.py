"""Declarations with aliases, in the syntax of CPython 3.12 and later."""

from enum import IntEnum
from typing import Annotated

from hostmod import GuestModule, HostModule, export, function
from hostmod.types import (
    Array,
    Error,
    Float32,
    Int32,
    Length,
    List,
    Optional,
    Pointer,
    String,
    Uint8,
    Uint16,
    Uint32,
    struct,
)

type Id = Uint32
type Key = Id
type Name = String
type Four = list[Float32]
type Maybe[T] = Optional[T]
type Nullable[T] = Pointer[T] | None
type Row[T] = Array[T]
type Same[T] = T
type Second[A, B] = List[B]
type Swapped[A, B] = tuple[B, A]
type Nothing = None
type Failure = Error
type Pair = tuple[Id, Float32]
type Plain = int
type Plainer = Plain
type Missing = Nowhere  # mypy: name-defined; pyright: reportUndefinedVariable
type Endless = Endless  # mypy: misc; pyright: reportGeneralTypeIssues
type Bad = Array[String]


class Color(IntEnum):
    RED = 1


type Shade = Annotated[Color, Uint8]
type Hue = Color


@struct
class Point:
    id: Key
    at: Annotated[Four, Length(2)]
    shade: Shade
    next: Nullable[Uint16]


class Aliased(HostModule, name="aliased"):
    @function
    def scalars(self, key: Key, name: Name, shade: Shade, hue: Annotated[Hue, Uint16]) -> Id:
        return key

    @function
    def nested(
        self, ids: List[Id], out: Pointer[Key], row: Row[Float32], same: Same[Int32], b: Second[Id, Point]
    ) -> None:
        pass

    @function
    def null(self, one: Nullable[Point], two: Nullable[Point] | None, three: Row[Id]) -> Nothing:
        pass

    @function
    def maybe(self) -> Maybe[Id]:
        return 1

    @function
    def optional(self) -> Optional[Id]:
        return 1

    @function
    def pair(self) -> Pair:
        return 1, 2.0

    @function
    def maybe_pair(self) -> Maybe[Pair]:
        return 1, 2.0

    @function
    def swapped(self) -> Swapped[Int32, Float32]:
        return 1.0, 2

    @function
    def fail(self) -> Failure:
        pass


class Guest(GuestModule):
    @export
    def nested(self, ids: List[Id]) -> Id:
        raise NotImplementedError
