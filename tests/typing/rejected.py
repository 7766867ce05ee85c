"""What checkers refuse: each line with a comment is an error, of these codes, and no other line is one."""

from __future__ import annotations

import hostmod
from hostmod import GuestModule, HostModule, export, function, option
from hostmod.types import (
    Array,
    Bool,
    Bytes,
    CString,
    Error,
    Float32,
    Int32,
    List,
    Optional,
    Pointer,
    String,
    Uint8,
    Uint32,
    struct,
)


@struct
class Point:
    x: Float32
    y: Float32


@struct(frozen=True)
class Key:
    id: Uint32


class Kv(HostModule, name="kv"):
    @function
    def wrong_integer(self, key: Int32) -> Int32:
        return "text"  # mypy: return-value; pyright: reportReturnType

    @function
    def wrong_float(self) -> Float32:
        return "0.5"  # mypy: return-value; pyright: reportReturnType

    @function
    def wrong_truth(self) -> Bool:
        return 2  # mypy: return-value; pyright: reportReturnType

    @function
    def wrong_nothing(self) -> None:
        return 5  # mypy: return-value; pyright: reportReturnType

    @function
    def wrong_error(self) -> Error:
        return 5  # mypy: return-value; pyright: reportReturnType

    @function
    def wrong_optional(self) -> Optional[Uint32]:
        return None  # mypy: return-value; pyright: reportReturnType

    @function
    def wrong_tuple(self) -> tuple[Int32, Float32]:
        return 1, "2"  # mypy: return-value; pyright: reportReturnType

    @function
    def wrong_use_of_text(self, name: String, path: CString) -> Uint32:
        return name + path  # mypy: return-value; pyright: reportReturnType

    @function
    def wrong_use_of_bytes(self, data: Bytes) -> None:
        data[0] = "a"  # mypy: call-overload; pyright: reportCallIssue, reportArgumentType
        data.decode()  # mypy: attr-defined; pyright: reportAttributeAccessIssue

    @function
    def wrong_use_of_arrays(self, ratios: Array[Float32]) -> Uint8:
        return ratios[0]  # mypy: return-value; pyright: reportReturnType

    @function
    def wrong_use_of_pointers(self, at: Pointer[Uint32], maybe: Pointer[Point] | None) -> Error:
        at.store("a")  # mypy: arg-type; pyright: reportArgumentType
        at[0] = 0.5  # mypy: assignment; pyright: reportArgumentType
        maybe.load()  # mypy: union-attr; pyright: reportOptionalMemberAccess

    @function
    def wrong_use_of_lists(self, points: List[Point]) -> Error:
        points[0] = Key(1)  # mypy: assignment; pyright: reportArgumentType
        points.append(Point(1, 2))  # mypy: attr-defined; pyright: reportAttributeAccessIssue


class Child(Kv):
    def wrong_truth(self, key: String) -> Bool:  # mypy: override; pyright: reportIncompatibleMethodOverride
        return True


def wrong_calls(kv: Kv) -> None:
    kv.wrong_integer("1")  # mypy: arg-type; pyright: reportArgumentType
    kv.wrong_integer()  # mypy: call-arg; pyright: reportCallIssue
    kv.missing()  # mypy: attr-defined; pyright: reportAttributeAccessIssue


def wrong_structs(point: Point) -> None:
    Point("1", 2)  # mypy: arg-type; pyright: reportArgumentType
    Point(1)  # mypy: call-arg; pyright: reportCallIssue
    point.z = 1.0  # mypy: attr-defined; pyright: reportAttributeAccessIssue
    Key(1).id = 2  # mypy: misc; pyright: reportAttributeAccessIssue
    print(Pointer.new(Point, Key(1)).load().x)  # mypy: attr-defined; pyright: reportAttributeAccessIssue


class Calculator(GuestModule):
    @export
    def add(self, a: Int32, b: Int32) -> Int32: ...


def wrong_guests(calculator: Calculator) -> str:
    calculator.add("1", 2)  # mypy: arg-type; pyright: reportArgumentType
    return calculator.add(1, 2)  # mypy: return-value; pyright: reportReturnType


@option
def name(kv: Kv, value: str) -> None: ...


class Other(HostModule, name="other"): ...


def wrong_options() -> None:
    name(5)  # mypy: arg-type; pyright: reportArgumentType
    hostmod.configure(Other(), name("kv"))  # mypy: misc; pyright: reportArgumentType


def wrong_functions() -> None:
    function(5)  # mypy: call-overload; pyright: reportCallIssue, reportArgumentType
