"""Results of host functions: a value, several, nothing, or one of these or an errno."""

from __future__ import annotations

import typing
from typing import Annotated, Any, TypeVar

from hostmod.errors import DeclarationError
from hostmod.types.annotations import unaliased
from hostmod.types.base import OPTIONAL, GuestType, describe, is_optional, resolve

T = TypeVar("T")

Optional = Annotated[T, OPTIONAL]
"""``Optional[T]``: a result of T's core values and then an i32 errno; a raised errno gives zeros and the number."""

Error = Annotated[None, OPTIONAL]
"""A result of one i32 errno: ``Optional[None]``."""


def resolve_result(annotation: object, where: str) -> tuple[tuple[GuestType[Any], ...], bool, bool]:
    """Find the guest types of a result.

    Returns them, whether an errno follows, and whether the Python value is a tuple of them (else it is the one value,
    or None).
    """
    optional = False
    annotation = unaliased(annotation, where)
    if typing.get_origin(annotation) is Annotated:
        inner, *metadata = typing.get_args(annotation)
        if is_optional(metadata):
            optional = True
            rest = [item for item in metadata if item is not OPTIONAL]
            annotation = Annotated[(inner, *rest)] if rest else unaliased(inner, where)
    if annotation is None or annotation is type(None):
        return (), optional, False
    if typing.get_origin(annotation) is tuple:
        arguments = typing.get_args(annotation)
        if not arguments or Ellipsis in arguments:
            raise DeclarationError(
                where,
                describe(annotation),
                "a fixed number of results",
                "write tuple[Int32, Int32], for example",
            )
        types = tuple(resolve(item, f"{where}[{index}]") for index, item in enumerate(arguments))
        return types, optional, True
    return (resolve(annotation, where),), optional, False
