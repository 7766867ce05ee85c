"""Reads a Python signature into a frozen `Plan`, the one form that both backends run."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType, MappingProxyType
from typing import Any

from hostmod.errors import ConversionError, DeclarationError, ErrnoTable, escape_controls, show_value
from hostmod.types.annotations import names_around, read_annotations, signature_of
from hostmod.types.base import CoreType, GuestType, describe, resolve
from hostmod.types.references import CallerType
from hostmod.types.results import resolve_result


@dataclass(frozen=True, slots=True)
class Slot:
    """One parameter or result: its name, guest type, and the index of its first core value."""

    name: str
    type: GuestType[Any]
    index: int

    @property
    def stop(self) -> int:
        """The index after its last core value."""
        return self.index + len(self.type.core)

    def at(self, where: str) -> str:
        """How messages name it, of the function that they name `where`."""
        return f"{where} {self.name}" if self.name.startswith("result") else f"{where}({self.name})"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about a function that can be decided when it is declared.

    `module` and `name` are what a guest imports (for an export of a guest: the class and what it exports). Core values
    are numbered from 0, parameters and results each. With `optional`, an i32 errno follows the results; with
    `is_tuple`, the Python value is a tuple of the results. `errors` maps exception classes to errnos.
    """

    module: str
    name: str
    params: tuple[Slot, ...]
    results: tuple[Slot, ...]
    optional: bool
    is_tuple: bool
    errors: ErrnoTable = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @property
    def where(self) -> str:
        """How messages name it."""
        return escape_controls(f"{self.module}.{self.name}")

    @property
    def param_types(self) -> tuple[CoreType, ...]:
        """Core types of the parameters."""
        return tuple(core for slot in self.params for core in slot.type.core)

    @property
    def result_types(self) -> tuple[CoreType, ...]:
        """Core types of the results, the errno included."""
        found: tuple[CoreType, ...] = tuple(core for slot in self.results for core in slot.type.core)
        return (*found, "i32") if self.optional else found

    @property
    def errno_index(self) -> int:
        """The index of the errno among the results' core values."""
        return sum(len(slot.type.core) for slot in self.results)

    @property
    def slot_count(self) -> int:
        """How many core values the stack of one call has room for: parameters and results share it."""
        return max(len(self.param_types), len(self.result_types), 1)

    @property
    def signature(self) -> str:
        """The core signature, in the text format's spelling."""
        return signature(self.param_types, self.result_types)


def signature(params: typing.Sequence[str], results: typing.Sequence[str]) -> str:
    """Spell a core signature: ``(i32, i32) -> i32``, with ``()`` for no results."""
    right = results[0] if len(results) == 1 else f"({', '.join(results)})"
    return f"({', '.join(params)}) -> {right}"


def bad_value(where: str, slot: Slot, value: object, cause: BaseException) -> ConversionError:
    """Return the error for a value that its guest type does not take."""
    at = slot.at(where)
    if isinstance(cause, ConversionError):
        part = cause.where  # a field or an item follows as it is: .x, [2]
        at += f" ({part})" if part and part[0] not in ".[" else part
        return ConversionError(at, cause.found, cause.expected, cause.write)
    refuse = getattr(slot.type, "refuse", None)
    if refuse is not None:
        return refuse(value, at)  # type: ignore[no-any-return]  # ScalarType.refuse
    return ConversionError(at, show_value(value, cause), str(slot.type))


def bad_none(where: str, value: object) -> ConversionError:
    """Return the error for a function without results that returned one."""
    return ConversionError(
        f"{where} result", show_value(value), "None", "return nothing, or annotate what it returns"
    )


def bad_tuple(where: str, value: object, length: int) -> ConversionError:
    """Return the error for a function of several results that returned something else."""
    return ConversionError(f"{where} result", show_value(value), f"a tuple of {length} values")


def plain_tuple(where: str, value: object, length: int) -> tuple[Any, ...]:
    """Return what a tuple holds, whatever its class says that it does; ConversionError if those are no `length`."""
    found = tuple.__getitem__(value, slice(None)) if isinstance(value, tuple) else None
    if found is None or len(found) != length:
        raise bad_tuple(where, value, length)
    return found


def plan_of(
    function: Callable[..., Any],
    module: str,
    name: str,
    *,
    method: bool,
    errors: ErrnoTable | None = None,
    frame: FrameType | None = None,
) -> Plan:
    """Read a function's annotations.

    `frame` is where the function was written, for annotations that name what is local there.

    Raises:
        DeclarationError: for the first that cannot work, or a name that no guest can have.
    """
    checked_name(module, module, "a module name")
    checked_name(name, module, "the name of a function")
    where = f"{module}.{name}"
    if not callable(function) or not hasattr(function, "__code__"):
        raise DeclarationError(
            where, f"{type(function).__name__}", "a plain function", "put @function next to the def"
        )
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DeclarationError(
            where, "async def", "a plain def", "a guest waits for its host function to return"
        )
    if inspect.isgeneratorfunction(function):
        raise DeclarationError(
            where, "a generator", "a function that returns", "return a value in place of yield"
        )
    try:
        hints = read_annotations(function, names_around(frame))
    except NameError as error:
        raise DeclarationError(
            where,
            f"an annotation names {error.name!r}",
            "a name that is defined here",
            "define or import it above the class",
        ) from error
    except DeclarationError as error:
        raise DeclarationError(f"{where}: {error.where}", error.found, error.expected, error.write) from error
    except Exception as error:  # whatever the text of an annotation does
        said = (
            f"{error}"
            if isinstance(error, TypeError | SyntaxError | AttributeError)
            else f"{type(error).__name__}: {error}"
        )
        raise DeclarationError(where, f"an annotation that cannot be read: {said}", "guest types") from error
    parameters = list(signature_of(function).parameters.values())
    if method:
        if not parameters or parameters[0].kind not in (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        ):
            raise DeclarationError(where, "no self", "a method", f"write def {function.__name__}(self, ...)")
        parameters = parameters[1:]
    slots: list[Slot] = []
    index = 0
    for parameter in parameters:
        at = f"{where}({parameter.name})"
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is inspect.Parameter.VAR_POSITIONAL else "**"
            raise DeclarationError(
                at,
                f"{stars}{parameter.name}",
                "a parameter of its own for each value",
                "a guest's signature is fixed",
            )
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            raise DeclarationError(at, "a keyword-only parameter", "positional parameters", "remove the *")
        if parameter.name not in hints:
            raise DeclarationError(
                at, "no annotation", "a guest type", f"write {parameter.name}: Int32, for example"
            )
        found = resolve(hints[parameter.name], at)
        slots.append(Slot(parameter.name, found, index))
        index += len(found.core)
    if "return" not in hints:
        raise DeclarationError(
            where,
            "no result annotation",
            "a guest type or None",
            "write -> None, or -> Error for one that can fail",
        )
    types, optional, is_tuple = resolve_result(hints["return"], f"{where} result")
    results: list[Slot] = []
    index = 0
    for position, found in enumerate(types):
        if isinstance(found, CallerType):
            raise DeclarationError(f"{where} result", describe(hints["return"]), "a value", found.result)
        results.append(Slot(f"result[{position}]" if is_tuple else "result", found, index))
        index += len(found.core)
    for slot in (*slots, *results):
        if not slot.type.core and not isinstance(slot.type, CallerType):
            kind = f"{where} result" if slot in results else f"{where}({slot.name})"
            raise DeclarationError(
                kind,
                f"annotated {slot.type}",
                "a type that has core values",
                f"write Pointer[{slot.type}]; it lives in memory"
                if slot.type.size
                else "see hostmod.types for the names",
            )
        if not slot.type.facts.reference and not _NUMBERS.issuperset(slot.type.core):
            raise DeclarationError(
                slot.at(where),
                f"annotated {slot.type}, of core types {slot.type.core!r}",
                "a tuple of 'i32', 'i64', 'f32' and 'f64'",
                "write ExternRef for an object that the guest holds",
            )
    return Plan(
        module, name, tuple(slots), tuple(results), optional, is_tuple, errors or MappingProxyType({})
    )


_NUMBERS: frozenset[CoreType] = frozenset({"i32", "i64", "f32", "f64"})
"""Core types that a guest type of one's own can be made of: a reference is the backends' business."""


def checked_name(name: str, where: str, expected: str) -> str:
    """Return a name that WebAssembly can have. Source: core specification, 5.2.4 Names: they are UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise DeclarationError(
            where.encode("utf-8", "backslashreplace").decode(),
            f"{name!a} ({error.reason})",
            f"{expected} that UTF-8 can encode",
        ) from None
    return name


def check_host(plan: Plan) -> Plan:
    """Refuse what a host function cannot take, or cannot give: a result that would need room in the guest's memory."""
    for slot in plan.params:
        if slot.type.parameter:
            raise DeclarationError(
                slot.at(plan.where), f"annotated {slot.type}", "a value of its own", slot.type.parameter
            )
    for slot in plan.results:
        if slot.type.result:
            raise DeclarationError(
                slot.at(plan.where), f"annotated {slot.type}", "a value of its own", slot.type.result
            )
    return plan


def caller_frame(depth: int) -> FrameType | None:
    """Return the frame `depth` calls up, or None."""
    try:
        return sys._getframe(depth + 1)
    except ValueError:
        return None
