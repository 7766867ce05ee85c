"""The guest type of values as JSON text: `Json`."""

from __future__ import annotations

import dataclasses
import enum
import functools
import importlib
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from struct import Struct
from typing import Annotated, Any, TypeVar

from hostmod.errors import ConversionError, DeclarationError, show_value
from hostmod.memory import Memory
from hostmod.types.base import CoreValue, CoreValuesType, GuestType, describe
from hostmod.types.text import StringType, show_text

T = TypeVar("T")


@functools.cache
def codec() -> Any:
    """Return msgspec's JSON codec, or None where it is not installed."""
    try:
        return importlib.import_module("msgspec.json")
    except ImportError:
        return None


class JsonType(CoreValuesType[Any]):
    """A Python value as JSON in UTF-8: a pointer and a length in bytes.

    `target` is its type: a dataclass, TypedDict, list, dict, union …. What the guest passes is decoded strictly into
    it; by msgspec where that is installed, else by `json` of the standard library.
    """

    core = ("i32", "i32")
    layout = Struct("<II")
    size = 8
    align = 4
    owned_as = StringType
    refers = True
    result = "take an out: Bytes parameter, write json.dumps(...).encode() into it and return the length"

    def __init__(self, target: Any) -> None:
        self.target = target
        self.name = f"Json[{describe(target).removeprefix('annotated ')}]"

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> Any:
        offset, length = core_values
        return self.decode(memory.read(offset, length))

    def store_value(self, memory: Memory, value: Any) -> Sequence[CoreValue]:
        data = self.encode(value)
        offset = memory.allocate(len(data))
        memory.write(offset, data)
        return offset, len(data)

    def encode(self, value: Any) -> bytes:
        """Encode a value; ConversionError if it has no form in JSON."""
        try:
            fast = codec()
            if fast is not None:
                return bytes(fast.encode(value))
            return json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise ConversionError("", show_value(value, error), f"{self}") from error

    def decode(self, data: bytes) -> Any:
        """Decode text; ConversionError if it is no JSON, or of another type."""
        try:
            fast = codec()
            if fast is not None:
                return fast.decode(data, type=self.target, strict=True)
            return read(json.loads(data.decode(), parse_constant=_refuse), self.target, "$")
        except (TypeError, ValueError, RecursionError) as error:
            text = show_text(data.decode("utf-8", "backslashreplace"))
            raise ConversionError("", f"{text} ({error})", f"{self}") from error

    def show(self, value: Any) -> str:
        return repr(value)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


_PLAIN: dict[Any, Callable[[Any], bool]] = {
    None: lambda value: value is None,
    type(None): lambda value: value is None,
    bool: lambda value: isinstance(value, bool),
    int: lambda value: isinstance(value, int) and not isinstance(value, bool),
    str: lambda value: isinstance(value, str),
    object: lambda value: True,
    Any: lambda value: True,
}


def read(value: Any, target: Any, path: str) -> Any:
    """Make a value of a type from what `json.loads` gave; ValueError that names the place if it is of another one."""
    if target in _PLAIN:
        if _PLAIN[target](value):
            return value
        raise _wrong(value, target, path)
    if target is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        raise _wrong(value, target, path)
    origin, arguments = typing.get_origin(target), typing.get_args(target)
    if origin is Annotated:
        return read(value, arguments[0], path)
    if origin in (typing.Union, types.UnionType):
        return _read_union(value, target, arguments, path)
    if origin is typing.Literal:
        if any(value == each and type(value) is type(each) for each in arguments):
            return value
        raise _wrong(value, target, path)
    if target is list or origin in (list, Sequence):
        if not isinstance(value, list):
            raise _wrong(value, target, path)
        item = arguments[0] if arguments else Any
        return [read(each, item, f"{path}[{index}]") for index, each in enumerate(value)]
    if target is dict or origin in (dict, Mapping):
        if not isinstance(value, dict):
            raise _wrong(value, target, path)
        item = arguments[1] if arguments else Any
        return {name: read(each, item, f"{path}.{name}") for name, each in value.items()}
    if target is tuple or origin is tuple:
        return _read_tuple(value, target, arguments, path)
    if isinstance(target, type) and issubclass(target, enum.Enum):
        try:
            return target(value)
        except ValueError:
            raise _wrong(value, target, path) from None
    if dataclasses.is_dataclass(target) or typing.is_typeddict(target):
        return _read_record(value, target, path)
    raise ValueError(f"{path}: {target!r} cannot be read from JSON without msgspec; install it")


def _read_union(value: Any, target: Any, arguments: Sequence[Any], path: str) -> Any:
    for each in arguments:
        try:
            return read(value, each, path)
        except ValueError:
            continue
    raise _wrong(value, target, path)


def _read_tuple(value: Any, target: Any, arguments: Sequence[Any], path: str) -> Any:
    if not isinstance(value, list):
        raise _wrong(value, target, path)
    if not arguments:
        return tuple(value)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = [arguments[0]] * len(value)
    if len(value) != len(arguments):
        raise _wrong(value, target, path)
    return tuple(
        read(each, of, f"{path}[{index}]")
        for index, (each, of) in enumerate(zip(value, arguments, strict=True))
    )


def _read_record(value: Any, target: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(value, target, path)
    hints = typing.get_type_hints(target)
    if typing.is_typeddict(target):
        required: set[str] = set(target.__required_keys__)
    else:
        required = {
            each.name
            for each in dataclasses.fields(target)
            if each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        }
    missing = sorted(required - value.keys())
    if missing:
        raise ValueError(f"{path}: no {missing[0]!r}, which {target.__name__} has")
    found = {name: read(each, hints[name], f"{path}.{name}") for name, each in value.items() if name in hints}
    return target(**found)


def _wrong(value: Any, target: Any, path: str) -> ValueError:
    return ValueError(f"{path}: {show_value(value)}, expected {describe(target).removeprefix('annotated ')}")


class _Json:
    """Metadata of `Json`: makes the guest type of what it stands beside."""

    def __guest_type_of__(self, target: object, where: str) -> GuestType[Any]:
        if isinstance(target, TypeVar):
            raise DeclarationError(
                where, "annotated Json", "a type in the brackets", "write Json[Request], for example"
            )
        return JsonType(target)

    def __repr__(self) -> str:
        return "Json"


JSON = _Json()
Json = Annotated[T, JSON]
"""``Json[T]``: a value as JSON text, two i32; T is a dataclass, TypedDict, list, dict, union …."""
