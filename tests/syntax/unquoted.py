"""Declarations as they are written for CPython 3.14 and later: annotations without quotes, evaluated when asked for."""

from typing import Annotated, Any

from hostmod import GuestModule, HostModule, export, function, module
from hostmod.types import Array, Caller, Error, Int32, Length, List, Optional, Pointer, Uint8, Uint32, struct


@struct
class Node:
    value: Uint32
    next: Pointer[Node] | None
    children: List[Node]
    pair: Annotated[list[Pointer[Node]], Length(2)]


class Tree(HostModule, name="tree"):
    SIZE = 4

    @struct
    class Leaf:
        bytes: Annotated[list[Uint8], Length(4)]
        parent: Pointer[Leaf] | None  # mypy: name-defined; pyright: reportUndefinedVariable

    @function
    def visit(
        self,
        node: Pointer[Node],
        leaves: List[Leaf],
    ) -> Optional[Uint32]:
        return len(leaves)

    class Inner(HostModule, name="inner"):
        @function
        def visit(self, leaf: Pointer[Leaf]) -> Error:  # mypy: name-defined; pyright: reportUndefinedVariable
            pass


def local() -> dict[str, Any]:
    """Declare with names that only a function knows."""

    @struct
    class Item:
        number: Int32
        next: Pointer[Item] | None

    def deeper() -> type[HostModule]:
        class Local(HostModule, name="local"):
            @function
            def take(self, caller: Caller, items: List[Item], numbers: Array[Int32]) -> Int32:
                return 0

        return Local

    class Guest(GuestModule):
        @export
        def take(self, item: Pointer[Item]) -> Int32: ...

    env = module("env")

    @env.function
    def add(a: Int32, b: Int32) -> Int32:
        return a + b

    return {"Item": Item, "Local": deeper(), "Guest": Guest, "env": env}
