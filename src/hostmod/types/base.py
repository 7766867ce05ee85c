"""`GuestType`, the base of guest types, and how an annotation becomes one."""

from __future__ import annotations

import enum as _enum
import types as _types
import typing
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from struct import Struct
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, cast

from hostmod.errors import DeclarationError, show_value
from hostmod.memory import Memory
from hostmod.types.annotations import is_alias, unaliased
from hostmod.types.code import Code, Facts, Packed

T = TypeVar("T")

enumeration: Callable[[Any, Any, str], GuestType[Any]] = NotImplemented
"""Makes the guest type of an enumeration of its class, its integer guest type and its place. `enums` sets it."""

CoreType = Literal["i32", "i64", "f32", "f64", "externref"]
"""A value type of the WebAssembly core specification that a guest type can be made of."""

CoreValue = Any
"""One core value: an unsigned int for i32 and i64, a float for f32 and f64, any object for externref."""


_CONVERSIONS = frozenset({"load_value", "store_value", "load_object", "store_object", "check"})
"""What a subclass overrides if its values are converted in another way."""

_CODE = ("inline", "packed", "packed_field", "write_load", "write_store")
"""What a subclass that converts in another way does not inherit: it is for the conversions of its base."""


class Layout(Struct):
    """A `struct.Struct` that pickles."""

    def __reduce__(self) -> tuple[type[Layout], tuple[str]]:
        return Layout, (self.format,)


class GuestType(Generic[T]):
    """How values of one annotation are converted between guest and host.

    Subclass it for types of your own, and write ``Annotated[Celsius, CelsiusType()]`` in a signature:

    - `core`: the core values it takes on the stack, ``("i32", "i32")`` for a pointer and a length.
    - `size`, `align`: bytes it takes in memory, and the multiple its address is rounded up to inside a struct; 0 and 1
      for a type that has no place in memory.
    - `load_value` / `store_value`: from and to core values. i32 and i64 come as unsigned ints and may be returned as
      signed or unsigned ones.
    - `load_object` / `store_object`: from and to memory.
    - `show`: how a log line shows a value.

    Two instances are the same guest type if they are of one class and their attributes are equal, so that what
    ``Fixed(100)`` and ``Fixed(1000)`` annotate differs; define `__eq__` and `__hash__` for another rule. Attributes are
    for `__init__` to set, and not to change later.

    `memory` is the memory of the calling guest; a type that does not touch it works for guests that have none.

    >>> class FlagType(GuestType[str]):
    ...     name, core, size, align = "Flag", ("i32",), 1, 1
    ...     def load_value(self, memory, core_values): return "on" if core_values[0] else "off"
    ...     def store_value(self, memory, value): return (int(value == "on"),)
    ...     def load_object(self, memory, offset): return "on" if memory.read_uint8(offset) else "off"
    ...     def store_object(self, memory, offset, value): memory.write_uint8(offset, value == "on")
    """

    name: str = ""
    core: tuple[CoreType, ...] = ()
    size: int = 0
    align: int = 1
    facts: ClassVar[Facts] = Facts()
    """What backends decide by. A type that has code of its own for backends says so here."""
    result: str = ""
    """Empty if a host function can return it; else what to write in its place."""
    refers: ClassVar[bool] = False
    """Whether its bytes in memory are an address, and so mean nothing in another memory."""
    parameter: str = ""
    """Empty if a host function can take it; else what to write in its place."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "facts" not in vars(cls) and not _CONVERSIONS.isdisjoint(vars(cls)):
            # It derives from a type that backends and structs have code for, and changes what that code does.
            cls.facts = Facts()
            for name in _CODE:
                if name not in vars(cls):
                    setattr(cls, name, vars(GuestType)[name])  # as if its body said so

    def load_value(self, memory: Memory, core_values: Sequence[CoreValue], /) -> T:
        """Make the value from `len(self.core)` core values."""
        raise TypeError(f"{self} does not implement load_value")

    def store_value(self, memory: Memory, value: T) -> Sequence[CoreValue]:
        """Make `len(self.core)` core values from the value; ConversionError if it does not fit."""
        raise TypeError(f"{self} does not implement store_value")

    def load_object(self, memory: Memory, offset: int) -> T:
        """Read `size` bytes at `offset`."""
        raise TypeError(f"{self} does not implement load_object")

    def store_object(self, memory: Memory, offset: int, value: T) -> None:
        """Write `size` bytes at `offset`, or raise and write nothing."""
        raise TypeError(f"{self} does not implement store_object")

    def show(self, value: T) -> str:
        """Show a value on one line."""
        return repr(value)

    def packed(self) -> Packed:
        """How the native backend packs it, as a parameter or result."""
        return Packed()

    def packed_field(self) -> Packed | None:
        """How the native backend packs it where it lies in memory; None if Python loads and stores it there."""
        return None

    def write_load(self, code: Code) -> None:
        """Write the pure backend's lines that make the value from core values: they call `load_value`."""
        code.guarded(
            f"{code.value} = {code.name('load', self.load_value)}({code.memory}, {code.core_values()})"
        )

    def write_store(self, code: Code) -> None:
        """Write the pure backend's lines that make core values from the value: they call `store_value`."""
        code.store_by(code.name("store", self.store_value))

    def inline(self) -> Inline | None:
        """How a struct's generated code reads and writes it; None: by calling `load_object` and `store_object`."""
        return None

    def __str__(self) -> str:
        return self.name or type(self).__name__

    def __repr__(self) -> str:
        return f"<guest type {self}>"

    _derived: ClassVar[frozenset[str]] = frozenset({"_native"})
    """Attributes that follow from the others, or keep what was found: they make no two guest types differ."""

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return type(self) is type(other) and _same(self._state(), cast("GuestType[Any]", other)._state())

    def __hash__(self) -> int:
        # Of what every one has: the other attributes may be such as cannot be hashed.
        return hash((type(self), self.name))

    def __getstate__(self) -> object:
        # Without what C code has made of it: that is made again where it is needed.
        state: Any = super().__getstate__()
        plain, slots = state if isinstance(state, tuple) else (state, None)
        plain = {name: value for name, value in (plain or {}).items() if name != "_native"}
        return plain if slots is None else (plain, slots)

    def _state(self) -> dict[str, object]:
        """What makes two guest types of one class the same."""
        found = dict(vars(self))
        for base in type(self).__mro__:
            for name, slot in vars(base).items():
                if isinstance(slot, _types.MemberDescriptorType):
                    found[name] = getattr(self, name, None)
        for name in self._derived:
            found.pop(name, None)
        return found


def _same(one: dict[str, object], other: dict[str, object]) -> bool:
    """Compare attributes; what cannot be compared differs, and so does 1 from 1.0 and from True."""
    if one.keys() != other.keys():
        return False
    for name, value in one.items():
        with_ = other[name]
        if value is with_:
            continue
        try:
            if type(value) is not type(with_) or not bool(value == with_):
                return False
        except Exception:  # numpy's arrays, say
            return False
    return True


class Inline:
    """A guest type's part in a struct's generated code.

    `codes` are `struct` format characters; `load` turns the names of the unpacked values into an expression, `store`
    an expression into one expression per code; `names` holds what those expressions refer to. `depth` counts how deep
    the expressions are nested.
    """

    __slots__ = ("codes", "depth", "load", "names", "store")

    def __init__(
        self,
        codes: str,
        load: Callable[[list[str]], str],
        store: Callable[[str], list[str]],
        names: dict[str, object] | None = None,
        depth: int = 1,
    ) -> None:
        self.codes = codes
        self.depth = depth
        self.load = load
        self.store = store
        self.names = names or {}


class CoreValuesType(GuestType[T]):
    """A guest type whose place in memory holds just its core values, little-endian."""

    layout: Struct = Struct("<I")

    def load_object(self, memory: Memory, offset: int) -> T:
        return self.load_value(memory, memory.unpack(self.layout, offset))

    def store_object(self, memory: Memory, offset: int, value: T) -> None:
        memory.pack(self.layout, offset, *self.store_value(memory, value))


MAX_SIZE = 2**32
"""Bytes that an object can have: a pointer is an i32. Source: WebAssembly core specification, 4.2.8."""


class ResultMarker:
    """Metadata of `Optional` and `Error`: an errno follows the value."""

    def __repr__(self) -> str:
        return "Optional"


OPTIONAL = ResultMarker()

SUGGESTIONS: dict[object, tuple[str, str]] = {
    bool: ("a guest type", "write Bool"),
    int: ("a guest type", "write Int32, Uint32, Int64, Uint64 (or Int8, Uint8, Int16, Uint16)"),
    float: ("a guest type", "write Float32 or Float64"),
    str: ("a guest type", "write String (pointer and length) or CString (NUL-terminated)"),
    bytes: ("a guest type", "write Bytes (a writable memoryview of guest memory)"),
    bytearray: ("a guest type", "write Bytes (a writable memoryview of guest memory)"),
    memoryview: ("a guest type", "write Bytes, or Array[T] for elements wider than a byte"),
    list: ("a guest type", "write List[T], or Array[T] for primitive elements"),
    tuple: ("a guest type", "write @struct for a record; tuple[A, B] works as a result only"),
    dict: ("a guest type", "write a @struct class for a record, or ExternRef for a host object"),
    object: ("a guest type", "write ExternRef for a host object that the guest holds"),
    Any: ("a guest type", "write ExternRef for a host object that the guest holds"),
    complex: ("a guest type", "write two Float64 parameters, or a @struct"),
}


def describe(annotation: object) -> str:
    """Say what stands in a signature, as its author wrote it."""
    try:
        return f"annotated {_spelled(annotation)}"
    except Exception:  # whatever a __repr__ inside of it raises
        return f"annotated with a {type(annotation).__name__}"


def _spelled(annotation: object) -> str:
    if annotation is None or annotation is type(None):
        return "None"
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__qualname__
    if typing.get_origin(annotation) in (typing.Union, _types.UnionType):
        # Spelled as it is written today: what str() makes of it depends on the Python.
        return " | ".join(map(_spelled, typing.get_args(annotation)))
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        for item in arguments[1:]:
            if isinstance(item, GuestType):
                return str(item)
    elif arguments and (isinstance(origin, type) or is_alias(origin)):
        inner = ["..." if item is Ellipsis else _spelled(item) for item in arguments]
        return f"{getattr(origin, '__qualname__', '') or _spelled(origin)}[{', '.join(inner)}]"
    elif is_alias(annotation):
        return cast("Any", annotation).__name__  # type: ignore[no-any-return]  # a str
    return str(annotation).replace("typing.", "")


def resolve(annotation: object, where: str) -> GuestType[Any]:
    """Find the guest type of an annotation.

    Raises:
        DeclarationError: it has none, or what it names fails; at `where`, with what to write.
    """
    if isinstance(annotation, GuestType):
        return annotation
    if is_alias(annotation):
        value = unaliased(annotation, where)
        try:
            return resolve(value, where)
        except DeclarationError as error:
            if error.where != where:
                raise
            said = f"annotated {_spelled(annotation)}, an alias of {error.found.removeprefix('annotated ')}"
            raise DeclarationError(where, said, error.expected, error.write) from error
    if typing.get_origin(annotation) is Annotated:
        return _resolve_annotated(annotation, where)
    origin = typing.get_origin(annotation) or annotation
    arguments = typing.get_args(annotation)
    found = _hooked(origin, "__guest_type__", arguments, where)
    if found is not None:
        return found
    if origin in (typing.Union, _types.UnionType):
        return _resolve_union(annotation, arguments, where)
    raise _no_guest_type(annotation, origin, where)


def _hooked(holder: object, name: str, argument: object, where: str) -> GuestType[Any] | None:
    """Ask an object for its guest type by one of its methods; None if it has no such method."""
    try:
        hook = getattr(holder, name, None)
        if hook is None:
            return None
        found = hook(argument, where)
    except DeclarationError:
        raise
    except Exception as error:  # whatever the author's code raises
        raise DeclarationError(
            where, f"{name} raised {type(error).__name__}: {error}", "a GuestType instance"
        ) from error
    if not isinstance(found, GuestType):
        raise DeclarationError(where, f"{name} returned {show_value(found)}", "a GuestType instance")
    return found


def is_optional(metadata: Sequence[object]) -> bool:
    """Tell if the metadata of an annotation says that an errno follows the value."""
    return any(item is OPTIONAL for item in metadata)  # not `in`: what else is there may not be comparable


def _resolve_annotated(annotation: object, where: str) -> GuestType[Any]:
    inner, *metadata = (unaliased(item, where) for item in typing.get_args(annotation))
    if is_optional(metadata):
        raise DeclarationError(
            where,
            "annotated Optional or Error",
            "a type that carries a value",
            "Optional and Error are for results only",
        )
    wraps = [item for item in metadata if hasattr(type(item), "__wrap_guest_type__")]
    if wraps:
        rest = [item for item in metadata if item not in wraps]
        element = resolve(Annotated[(inner, *rest)] if rest else inner, where)
        for item in wraps:
            element = item.__wrap_guest_type__(element, where)
        return element
    for item in metadata:
        if isinstance(item, GuestType):
            return item
        if isinstance(item, type) and issubclass(item, GuestType):
            try:
                return item()
            except Exception as error:  # whatever the author's class raises
                raise DeclarationError(
                    where, f"{item.__name__}() failed: {error}", "an instance of it in Annotated"
                ) from error
    for item in metadata:
        found = _hooked(item, "__guest_type_of__", inner, where)
        if found is not None:
            return found
        if (
            typing.get_origin(item) is Annotated
            and isinstance(inner, type)
            and issubclass(inner, _enum.IntEnum | _enum.IntFlag)
        ):
            return enumeration(inner, resolve(item, where), where)
    return resolve(inner, where)


def _resolve_union(annotation: object, arguments: Sequence[object], where: str) -> GuestType[Any]:
    members = _members(arguments, where)
    rest = [item for item in members if item is not type(None)]
    if len(rest) == 1 and len(members) > 1:
        found = _hooked(
            typing.get_origin(rest[0]) or rest[0], "__nullable_guest_type__", typing.get_args(rest[0]), where
        )
        if found is not None:
            return found
        raise DeclarationError(
            where,
            describe(annotation),
            "a guest type that has a null",
            "write Pointer[T] | None for a pointer that may be 0; "
            "for a result that may fail, hostmod.types.Optional[T]",
        )
    raise DeclarationError(
        where, describe(annotation), "one guest type", "a union has no form in a guest's signature"
    )


def _members(arguments: Sequence[object], where: str) -> list[object]:
    """The members of a union, those of aliases of unions among them, each once."""
    found: list[object] = []
    for argument in arguments:
        value = unaliased(argument, where)
        union = typing.get_origin(value) in (typing.Union, _types.UnionType)
        for member in _members(typing.get_args(value), where) if union else [value]:
            if member not in found:
                found.append(member)
    return found


def _no_guest_type(annotation: object, origin: object, where: str) -> DeclarationError:
    found = describe(annotation)
    try:
        suggestion = SUGGESTIONS.get(origin)
    except TypeError:
        suggestion = None
    if suggestion is not None:
        return DeclarationError(where, found, *suggestion)
    if isinstance(origin, type):
        if issubclass(origin, _enum.IntEnum | _enum.IntFlag):
            name = origin.__name__
            return DeclarationError(
                where,
                found,
                "an enum with an integer guest type",
                f"write Annotated[{name}, Uint8], or decorate {name} with @enum(Uint8)",
            )
        if issubclass(origin, _enum.Enum):
            return DeclarationError(
                where, found, "an IntEnum or IntFlag", "only integer enums have a form in guest memory"
            )
        if is_dataclass(origin):
            return DeclarationError(
                where, found, "a guest type", f"decorate {origin.__name__} with @struct from hostmod.types"
            )
        if issubclass(origin, GuestType):
            return DeclarationError(
                where, found, "a value's type", f"write Annotated[..., {origin.__name__}()]"
            )
    if isinstance(annotation, TypeVar):
        return DeclarationError(where, found, "a guest type", "a signature cannot be generic; name the type")
    return DeclarationError(
        where,
        found,
        "a guest type",
        "see hostmod.types for the names, or write Annotated[T, a GuestType of your own]",
    )


def resolve_object(annotation: object, where: str) -> GuestType[Any]:
    """Find the guest type of an annotation that must have a place in memory.

    Raises:
        DeclarationError: as in `resolve`; or the type has no bytes, or more than an address reaches.
    """
    found = resolve(annotation, where)
    if found.size <= 0:
        raise DeclarationError(
            where, describe(annotation), "a type with a place in memory", "a reference has no bytes"
        )
    if found.size > MAX_SIZE:
        raise DeclarationError(
            where, f"{found} of {found.size} bytes", f"at most {MAX_SIZE}, which is what a pointer reaches"
        )
    return found
