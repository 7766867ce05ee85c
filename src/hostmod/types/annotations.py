"""Reads annotations: names known where they were written, forward references, and aliases."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from types import CellType, CodeType, FrameType
from typing import Any, cast

from hostmod.errors import DeclarationError

if sys.version_info >= (3, 14):
    import annotationlib

MAX_ALIASES = 64
"""Aliases of aliases that are followed: one that is made of itself has no end."""


def names_around(frame: FrameType | None) -> dict[str, Any]:
    """What an annotation can name where it was written: the class bodies around it, and the function around those."""
    found: dict[str, Any] = {}
    while frame is not None and frame.f_code.co_name != "<module>":
        for name, value in frame.f_locals.items():
            found.setdefault(name, value)
        if frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            break  # a function's body; what called it is none of the annotation's business
        frame = frame.f_back
    return found


def read_annotations(of: type | Callable[..., Any], names: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate the annotations of a class and its bases, or of a function.

    `names` are known besides those that Python itself finds: what stands around it, and the class that is being made.
    From 3.14 on an annotation without quotes can name them too, as one in quotes can anywhere.

    Raises:
        NameError: one names what is not known; its `name` says what.
        Exception: whatever else evaluating one raises.
    """
    try:
        return typing.get_type_hints(of, localns=dict(names), include_extras=True)
    except NameError:
        if sys.version_info < (3, 14):
            raise
    return _from_text(of, names)


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Return a function's signature; its annotations, which `read_annotations` reads, are not evaluated."""
    if sys.version_info >= (3, 14):
        return inspect.signature(function, annotation_format=annotationlib.Format.STRING)
    return inspect.signature(function)


def _texts(holder: Any) -> dict[str, str]:
    """Return the annotations of a class, without its bases', or of a function, as they were written."""
    if sys.version_info >= (3, 14):
        return annotationlib.get_annotations(holder, format=annotationlib.Format.STRING)
    return {name: text for name, text in inspect.get_annotations(holder).items() if isinstance(text, str)}


def _from_text(of: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate annotations as if they had been written in quotes.

    Python evaluates one without quotes by code that looks only where the language says; `names` cannot be added
    there. Its text, which `annotationlib` gives, is evaluated as a text in quotes is.
    """
    found: dict[str, Any] = {}
    for holder in reversed(of.__mro__) if isinstance(of, type) else [of]:
        texts = _texts(holder)
        if not texts:
            continue

        def carrier() -> None:
            """Carry the texts to `typing.get_type_hints`, which takes functions."""

        carrier.__annotations__ = texts
        annotate = getattr(holder, "__annotate__", None)
        known = {**_closure(annotate), **names}
        for parameter in getattr(holder, "__type_params__", ()):
            known.setdefault(parameter.__name__, parameter)
        found |= typing.get_type_hints(
            carrier, globalns=_globals(annotate, holder), localns=known, include_extras=True
        )
    return found


def _globals(annotate: Any, holder: Any) -> dict[str, Any]:
    """The names of the module that annotations were written in: their code has them, a text only their class's name."""
    found: dict[str, Any] | None = getattr(annotate or inspect.unwrap(holder), "__globals__", None)
    return vars(sys.modules[holder.__module__]) if found is None else found


def _closure(function: Any) -> dict[str, Any]:
    """What a function's code names of the functions and the class body around it."""
    code: CodeType | None = getattr(function, "__code__", None)
    cells: tuple[CellType, ...] | None = getattr(function, "__closure__", None)
    found: dict[str, Any] = {}
    for name, cell in zip(code.co_freevars if code else (), cells or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # it has no value yet
            continue
    # A class's own names are one dict to the code in its body.
    return {**found.pop("__classdict__", {}), **found}


def is_alias(annotation: object) -> bool:
    """Tell if it is what ``type X = ...`` makes, bare or subscripted; typing_extensions' too, for older Pythons."""
    origin = typing.get_origin(annotation) or annotation
    return type(origin).__name__ == "TypeAliasType"


def unaliased(annotation: object, where: str) -> Any:
    """Return what an alias stands for, and anything else as it is.

    Raises:
        DeclarationError: at `where`; it names what is not defined, has no end, or is given too few types or too many.
    """
    found: Any = annotation
    for _ in range(MAX_ALIASES):
        if not is_alias(found):
            return found
        found = _value(found, where)
    name = (typing.get_origin(annotation) or cast("Any", annotation)).__name__
    raise DeclarationError(where, f"annotated {name}, an alias of itself", "a guest type")


def _value(annotation: Any, where: str) -> Any:
    alias = typing.get_origin(annotation) or annotation
    name = alias.__name__
    try:
        value = alias.__value__
    except NameError as error:
        raise DeclarationError(
            where,
            f"annotated {name}, an alias that names {error.name!r}",
            "a name that is defined by now",
            f"define {error.name} above, or write what {name} stands for in its place",
        ) from error
    except DeclarationError as error:
        raise DeclarationError(
            where,
            f"annotated {name}, an alias of {error.found.removeprefix('annotated ')}",
            error.expected,
            error.write,
        ) from error
    except Exception as error:  # whatever the alias's text does
        raise DeclarationError(
            where,
            f"annotated {name}, an alias that cannot be read: {type(error).__name__}: {error}",
            "guest types",
        ) from error
    parameters, arguments = alias.__type_params__, typing.get_args(annotation)
    if len(parameters) != len(arguments):
        raise DeclarationError(
            where,
            f"annotated {name}, an alias that is given {len(arguments)} types",
            f"{len(parameters)}",
            f"write {name}[{', '.join(['Uint32'] * len(parameters))}], for example",
        )
    by_parameter = dict(zip(parameters, arguments, strict=True))
    if isinstance(value, typing.TypeVar):
        return by_parameter.get(value, value)
    free = getattr(value, "__parameters__", ())
    return value[tuple(by_parameter.get(each, each) for each in free)] if free else value
