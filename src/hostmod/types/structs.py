"""Guest types of records: `@struct` classes with C layout, and fixed arrays inside them."""

from __future__ import annotations

import dataclasses
import inspect
import struct as _struct
import sys
import typing
from collections.abc import Callable, Collection, Iterator, Sequence
from operator import attrgetter
from operator import index as exact
from reprlib import recursive_repr
from struct import Struct
from typing import Any, TypeVar, dataclass_transform, overload

from hostmod._codegen import compile_source
from hostmod.errors import ConversionError, DeclarationError, SegmentationFault, show_value
from hostmod.memory import OUTSIDE, FixedSizeMemory, Memory
from hostmod.types.annotations import names_around, read_annotations, unaliased
from hostmod.types.base import GuestType, Inline, describe, resolve_object
from hostmod.types.buffers import show_bytes
from hostmod.types.code import Facts, Packed
from hostmod.types.pointer import List, Pointer

C = TypeVar("C", bound=type)


_LINES = ",\n        "
"""What separates the items of long lists in generated source: Python's parser takes the square of a line's length."""

MAX_NESTING = 16
"""Records inside records that are read and written as one: Python's compiler takes 200 parentheses."""


class Field:
    """One field of a struct: its name, guest type, and offset from the struct's start in bytes."""

    __slots__ = ("name", "offset", "type")

    def __init__(self, name: str, type: GuestType[Any], offset: int) -> None:
        self.name = name
        self.type = type
        self.offset = offset

    def __repr__(self) -> str:
        return f"Field({self.name!r}, {self.type}, offset={self.offset})"


class StructType(GuestType[Any]):
    """A `@struct` class: its fields one after the other, each at a multiple of its alignment, as a C compiler lays
    them out for wasm32."""

    facts = Facts(known=True)
    _derived = GuestType._derived | {
        "name",
        "fields",
        "size",
        "align",
        "layout",
        "initializer",
        "load_object",
        "store_object",
        "_inline",
        "_load",
        "_offsets",
        "_store",
    }
    result = "take an out: Pointer parameter and store the struct through it"

    initializer: object
    """The `__init__` that was generated for the class; None if its author wrote one."""

    def __init__(
        self, cls: type, fields: Sequence[tuple[str, GuestType[Any]]], initializer: object = None
    ) -> None:
        self.cls = cls
        self.name = cls.__name__
        offset = 0
        align = 1
        placed = []
        for name, type_ in fields:
            offset = -(-offset // type_.align) * type_.align
            placed.append(Field(name, type_, offset))
            offset += type_.size
            align = max(align, type_.align)
        self.fields = tuple(placed)
        self._offsets = {field.name: field.offset for field in placed}
        self.initializer = initializer
        self.align = align
        self.size = -(-offset // align) * align
        self._generate()

    def offsetof(self, name: str) -> int:
        """Offset of a field in bytes; KeyError if there is none of that name."""
        return self._offsets[name]

    def __getstate__(self) -> object:
        return self.cls, [(field.name, field.type) for field in self.fields], self.initializer

    def __setstate__(self, state: tuple[type, list[tuple[str, GuestType[Any]]], object]) -> None:
        self.__init__(*state)  # type: ignore[misc]  # what reads and writes it is generated anew

    def load_object(self, memory: Memory, offset: int) -> Any:
        return self._load(memory, offset)

    def store_object(self, memory: Memory, offset: int, value: Any) -> None:
        self._store(memory, offset, value)

    def _explain(self, value: Any, error: Exception) -> ConversionError:
        """Find the field that does not fit, where all were stored at once."""
        for field in self.fields:
            try:
                field.type.store_object(
                    FixedSizeMemory.exactly(bytearray(field.type.size)), 0, getattr(value, field.name)
                )
            except _MISFITS as cause:
                return self._at(field.name, cause)
        return self._at("", error)

    def _at(self, field: str, error: Exception) -> ConversionError:
        """Say which field it was."""
        where = f"{self.name}.{field}" if field else self.name
        if isinstance(error, ConversionError):
            return ConversionError(where + _inside(error.where), error.found, error.expected, error.write)
        return ConversionError(where, str(error), "a value that fits")

    def packed_field(self) -> Packed | None:
        return Packed("STRUCT")

    def inline(self) -> Inline | None:
        return self._inline  # found once: a struct of many structs asks each of them

    def _find_inline(self) -> Inline | None:
        parts = [field.type.inline() for field in self.fields]
        if not all(parts) or sum(len(part.codes) for part in parts if part) > 64:
            return None
        depth = 1 + max(part.depth for part in parts if part)
        if depth > MAX_NESTING:
            return None
        codes, cls = "", f"struct_{id(self)}"
        names: dict[str, object] = {cls: self.cls, "StructMismatch": self._mismatch}
        loads: list[tuple[Inline, int, int]] = []
        count = at = 0
        for field, part in zip(self.fields, parts, strict=True):
            if part is None:
                return None
            codes += "x" * (field.offset - at) + part.codes
            width = _items(part.codes)
            loads.append((part, count, count + width))
            count += width
            at = field.offset + field.type.size
            names.update(part.names)
        codes += "x" * (self.size - at)

        def load(values: list[str]) -> str:
            return f"{cls}({', '.join(part.load(values[start:stop]) for part, start, stop in loads)})"

        def store(value: str) -> list[str]:
            checked = f"StructMismatch({value}, {cls})"
            return [
                item
                for index, (field, (part, _, _)) in enumerate(zip(self.fields, loads, strict=True))
                for item in part.store(f"{checked if index == 0 else value}.{field.name}")
            ]

        return Inline(codes, load, store, names, depth)

    @staticmethod
    def _mismatch(value: Any, cls: type) -> Any:
        if not isinstance(value, cls):
            raise ConversionError("", show_value(value), cls.__name__)
        return value

    def _generate(self) -> None:
        """Compile `_load` and `_store`: one unpack or pack for a struct of plain fields, one call a field otherwise."""
        inline = self._inline = self._find_inline()
        names: dict[str, Any] = {
            "__name__": __name__,
            "cls": self.cls,
            "SegmentationFault": SegmentationFault,
            "FieldError": _FieldError,
            "MISFITS": _MISFITS,
            "at_field": self._at,
            "exact": exact,
            "explain": self._explain,
            "mismatch": self._mismatch,
        }
        lines: list[str] = []
        if inline is not None:
            self.layout = layout = Struct("<" + inline.codes)
            put = Struct(f"{self.size}s").pack_into
            names.update(inline.names, unpack=layout.unpack_from, pack=layout.pack, put=put, OUTSIDE=OUTSIDE)
            values = [f"v{index}" for index in range(_items(inline.codes))]
            lines += [
                "def load(memory, offset):",
                "    if type(offset) is not int:",
                "        offset = exact(offset)",
                "    window = memory._window()",
                "    if offset < 0:",
                f"        raise SegmentationFault(offset, {self.size}, len(window))",
                "    try:",
                f"        {', '.join(values)}, = unpack(window, offset)",
                "    except OUTSIDE:",
                f"        raise SegmentationFault(offset, {self.size}, len(window)) from None",
                f"    return {inline.load(values)}",
            ]
            body = [
                f"data = pack({', '.join(inline.store('value'))})",
                "window = memory._window()",
                "if offset < 0:",
                f"    raise SegmentationFault(offset, {self.size}, len(window))",
                "try:",
                "    put(window, offset, data)",
                "except OUTSIDE:",
                f"    raise SegmentationFault(offset, {self.size}, len(window)) from None",
            ]
        else:
            for index, field in enumerate(self.fields):
                names[f"t{index}"] = field.type
            loads = [
                f"t{index}.load_object(memory, offset + {field.offset})"
                for index, field in enumerate(self.fields)
            ]
            lines += [
                "def load(memory, offset):",
                "    if type(offset) is not int:",
                "        offset = exact(offset)",
                f"    memory.end(offset, {self.size})",
                f"    return cls({_LINES.join(loads)})",
            ]
            body = [
                f"before = memory.read(offset, {self.size})",
                "try:",
            ]
            for index, field in enumerate(self.fields):
                body += [
                    f"    at = {field.name!r}",
                    f"    t{index}.store_object(memory, offset + {field.offset}, value.{field.name})",
                ]
            # A field that does not fit leaves the memory as it was.
            body += [
                "except MISFITS as error:",
                "    memory.write(offset, before)",
                "    raise FieldError(at, error)",
                "except BaseException:",
                "    memory.write(offset, before)",
                "    raise",
            ]
        lines += [
            "def store(memory, offset, value):",
            "    if not isinstance(value, cls):",
            "        mismatch(value, cls)",
            "    if type(offset) is not int:",
            "        offset = exact(offset)",
            "    try:",
            *("        " + line for line in body),
            "    except FieldError as error:",
            "        raise at_field(error.field, error.cause) from error.cause",
            "    except MISFITS as error:",
            "        raise explain(value, error) from error",
        ]
        compile_source("\n".join(lines) + "\n", names, f"struct {self.cls.__qualname__}")
        self._load: Callable[[Memory, int], Any] = names["load"]
        self._store: Callable[[Memory, int, Any], None] = names["store"]
        if type(self) is StructType:
            vars(self).update(load_object=self._load, store_object=self._store)  # a call less for each

    def show(self, value: Any) -> str:
        inner = ", ".join(f"{field.name}: {self._shown(field, value)}" for field in self.fields)
        return f"{{{inner}}}"

    @staticmethod
    def _shown(field: Field, value: Any) -> str:
        """Show a field; what it refers to stays out of it, since a guest can make records that refer in circles."""
        item = getattr(value, field.name)
        if isinstance(item, Pointer):
            return f"0x{item.offset:x}"
        if isinstance(item, List):
            return f"{len(item)} items at 0x{item.pointer.offset:x}"
        return field.type.show(item)


class _FieldError(Exception):
    """From generated code to `StructType.store_object`: which field does not fit, and why."""

    def __init__(self, field: str, cause: Exception) -> None:
        super().__init__(field, cause)
        self.field = field
        self.cause = cause


_MISFITS = (ConversionError, _struct.error, OverflowError, TypeError)
"""What storing a value that does not fit raises."""


def _said(error: Exception) -> str:
    return (
        f"{error}"
        if isinstance(error, NameError | TypeError | SyntaxError)
        else f"{type(error).__name__}: {error}"
    )


def _inside(where: str) -> str:
    """What is left of a place's name where its own type's name goes: ``.x`` of ``Vec3.x``, and all of ``[2].x``."""
    return where if where.startswith("[") else where[where.index(".") :] if "." in where else ""


def _items(codes: str) -> int:
    return sum(1 for code in codes if code != "x")


class Length:
    """The number of elements of a fixed array in a struct: ``Annotated[list[Float32], Length(4)]``.

    ``Annotated[bytes, Length(16)]`` is a field of 16 bytes.
    """

    def __init__(self, length: int) -> None:
        if not isinstance(length, int) or isinstance(length, bool) or length < 1:
            raise DeclarationError("Length", f"{length!r}", "a number of elements, 1 or more")
        self.length = length

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Length) and other.length == self.length

    def __hash__(self) -> int:
        return hash((Length, self.length))

    def __repr__(self) -> str:
        return f"Length({self.length})"

    def __guest_type_of__(self, inner: object, where: str) -> GuestType[Any]:
        inner = unaliased(inner, where)
        if inner is bytes:
            return FixedBytesType(self.length)
        arguments = typing.get_args(inner)
        if typing.get_origin(inner) is list and len(arguments) == 1:
            return FixedArrayType(resolve_object(arguments[0], where), self.length)
        raise DeclarationError(
            where,
            describe(inner),
            "a list or bytes",
            f"write Annotated[list[Uint32], {self!r}] or Annotated[bytes, {self!r}]",
        )


class FixedBytesType(GuestType[bytes]):
    """A number of bytes inside a struct, as `bytes` of just that length."""

    facts = Facts(known=True)
    result = "take an out: Bytes parameter"

    def __init__(self, length: int) -> None:
        self.size = length
        self.name = f"bytes of length {length}"

    def load_object(self, memory: Memory, offset: int) -> bytes:
        return memory.read(offset, self.size)

    def store_object(self, memory: Memory, offset: int, value: bytes) -> None:
        memory.write(offset, self.check(value))

    def check(self, value: bytes) -> bytes:
        """Return the value, padded with zeros as C does, or raise ConversionError if it is longer."""
        if not isinstance(value, bytes | bytearray | memoryview):
            raise ConversionError("", show_value(value), self.name)
        data = bytes(value)
        if len(data) > self.size:
            raise ConversionError("", f"{len(data)} bytes", self.name)
        return data.ljust(self.size, b"\0")

    def show(self, value: bytes) -> str:
        return show_bytes(value)


class FixedArrayType(GuestType[list[Any]]):
    """A number of elements inside a struct, as a list of just that length."""

    facts = Facts(known=True)
    result = "take an out: Pointer parameter"

    def __init__(self, element: GuestType[Any], length: int) -> None:
        self.element = element
        self.length = length
        self.size = element.size * length
        self.align = element.align
        self.name = f"list[{element}] of length {length}"

    def load_object(self, memory: Memory, offset: int) -> list[Any]:
        start = exact(offset)
        memory.end(start, self.size)
        step = self.element.size
        return [self.element.load_object(memory, start + at * step) for at in range(self.length)]

    def store_object(self, memory: Memory, offset: int, value: list[Any]) -> None:
        items = self.check(value)
        start = exact(offset)
        before = memory.read(start, self.size)
        at = 0
        try:
            for at, item in enumerate(items):
                self.element.store_object(memory, start + at * self.element.size, item)
        except BaseException as error:
            memory.write(start, before)
            if isinstance(error, ConversionError):
                where = f"[{at}]{_inside(error.where)}"
                raise ConversionError(where, error.found, error.expected, error.write) from error
            raise

    def check(self, value: Sequence[Any]) -> Sequence[Any]:
        """Return the value if it is a sequence of the right length, or raise ConversionError."""
        try:
            length = len(value)
        except TypeError:
            raise ConversionError("", show_value(value), self.name) from None
        if length != self.length:
            raise ConversionError("", f"{length} elements", self.name)
        return value

    def inline(self) -> Inline | None:
        part = self.element.inline()
        if part is None or self.length > 16:
            return None
        width = _items(part.codes)
        check = f"check_{id(self)}"

        def load(values: list[str]) -> str:
            return f"[{', '.join(part.load(values[at * width : (at + 1) * width]) for at in range(self.length))}]"

        def store(value: str) -> list[str]:
            whole = f"{check}({value})"
            return [
                item
                for at in range(self.length)
                for item in part.store(f"{whole if at == 0 else value}[{at}]")
            ]

        names = {check: self.check, **part.names}
        return Inline(part.codes * self.length, load, store, names, part.depth + 1)

    def show(self, value: list[Any]) -> str:
        return f"[{', '.join(self.element.show(item) for item in value)}]"


@overload
def struct(cls: C) -> C: ...
@overload
def struct(*, frozen: bool = False) -> Callable[[C], C]: ...
@dataclass_transform()
def struct(cls: type | None = None, *, frozen: bool = False) -> Any:
    """Make a class of annotated fields a record in guest memory: a dataclass with slots and a C layout.

    Fields can be any type with a place in memory: numbers, enums, pointers, strings, lists, other structs, and fixed
    arrays by `Length`. ``Point.__struct__.size`` and ``.offsetof("x")`` tell the layout.

    >>> from hostmod.types import Float64, Uint8
    >>> @struct
    ... class Sample:
    ...     kind: Uint8
    ...     value: Float64
    >>> sizeof(Sample), offsetof(Sample, "value")
    (16, 8)

    Raises:
        DeclarationError: it has no fields, or one that has no place in memory, or that a record cannot be made with.
    """
    if cls is None:
        return lambda cls: _struct_class(cls, frozen, 2)
    return _struct_class(cls, frozen, 2)


def _struct_class(cls: type, frozen: bool, depth: int) -> type:
    # There before its fields are known, so that they can be pointers to it: next: "Pointer[Node] | None".
    found = StructType.__new__(StructType)
    found.cls, found.name, found.size = cls, cls.__name__, 1

    def guest_type(arguments: tuple[object, ...], where: str) -> GuestType[Any]:
        return found

    cls.__guest_type__ = staticmethod(guest_type)  # type: ignore[attr-defined]  # it gains it here
    frame = sys._getframe(depth)
    try:
        names = {**frame.f_locals, **names_around(frame), cls.__name__: cls}
        hints = read_annotations(cls, names)
    except DeclarationError as error:
        raise DeclarationError(
            f"{cls.__name__}: {error.where}", error.found, error.expected, error.write
        ) from error
    except Exception as error:  # whatever the text of an annotation does
        raise DeclarationError(
            cls.__name__,
            f"an annotation that cannot be read: {_said(error)}",
            "names that are defined",
            "define or import it above the class",
        ) from error
    finally:
        del frame
    for name, hint in hints.items():
        if hint is dataclasses.InitVar or isinstance(hint, dataclasses.InitVar):
            raise DeclarationError(
                f"{cls.__name__}.{name}",
                "an InitVar",
                "a plain field",
                "what is in guest memory is all that a record is made of",
            )
    written = "__init__" in vars(cls)
    few, described, theirs = len(hints) <= _MANY, cls.__doc__, frozenset(vars(cls))
    # Any: it gains attributes below
    own: Any = dataclasses.dataclass(slots=True, frozen=frozen, init=few, repr=few, eq=few)(cls)
    if not few:
        _add_methods(own, frozen, theirs)
        own.__doc__ = described or f"{own.__name__}{inspect.signature(own)}"
    initializer = None if written else own.__init__
    fields = []
    for field in dataclasses.fields(own):
        if not field.init:
            raise DeclarationError(f"{cls.__name__}.{field.name}", "field(init=False)", "a plain field")
        if field.kw_only:
            raise DeclarationError(
                f"{cls.__name__}.{field.name}",
                "a keyword-only field",
                "a plain field",
                "remove KW_ONLY or kw_only=True: a record is made of its fields in order",
            )
        type_ = resolve_object(hints[field.name], f"{cls.__name__}.{field.name}")
        if type_ is found or (getattr(type_, "element", None) is found and isinstance(type_, FixedArrayType)):
            raise DeclarationError(
                f"{cls.__name__}.{field.name}",
                f"{cls.__name__} inside itself",
                "a struct of a size that is known",
                f'write "Pointer[{cls.__name__}] | None"',
            )
        fields.append((field.name, type_))
    if not fields:
        raise DeclarationError(
            cls.__name__, "a struct without fields", "at least one", "write x: Float32, for example"
        )
    found.__init__(own, fields, initializer)  # type: ignore[misc]  # it was made above, of nothing
    own.__struct__ = found
    return typing.cast(type, own)


_MANY = 250
"""Fields up to which dataclasses makes a struct's methods: its time grows by the square of their number."""


def _add_methods(cls: Any, frozen: bool, written: Collection[str]) -> None:
    """Give a dataclass the methods that dataclasses would make, but for those that its author wrote."""
    names = tuple(each.name for each in dataclasses.fields(cls))
    values = attrgetter(*names)

    def __repr__(self: Any) -> str:  # noqa: N807  # it is the method
        shown = ", ".join(f"{name}={value!r}" for name, value in zip(names, values(self), strict=True))
        return f"{type(self).__qualname__}({shown})"

    def __eq__(self: Any, other: object) -> Any:  # noqa: N807  # as above
        return values(self) == values(other) if type(other) is type(self) else NotImplemented

    def __hash__(self: Any) -> int:  # noqa: N807  # as above
        return hash(values(self))

    if "__repr__" not in written:
        cls.__repr__ = recursive_repr()(__repr__)
    if "__eq__" not in written:
        cls.__eq__ = __eq__
    if "__hash__" not in written:
        cls.__hash__ = __hash__ if frozen else None
    if "__init__" not in written:
        _add_initializer(cls, frozen)


def _add_initializer(cls: Any, frozen: bool) -> None:
    """Give a dataclass the ``__init__`` that dataclasses would make."""
    known = dataclasses.fields(cls)
    this = "self" if all(each.name != "self" for each in known) else "__dataclass_self__"
    names: dict[str, Any] = {"__name__": cls.__module__, "_set_": object.__setattr__, "_made_": object()}
    parameters, body, optional = [this], [], False
    for index, each in enumerate(known):
        value = each.name
        has_default = each.default is not dataclasses.MISSING
        makes_default = each.default_factory is not dataclasses.MISSING
        if has_default:
            names[f"_default_{index}_"] = each.default
            parameters.append(f"{each.name}=_default_{index}_")
        elif makes_default:
            names[f"_default_{index}_"] = each.default_factory
            parameters.append(f"{each.name}=_made_")
            value = f"_default_{index}_() if {each.name} is _made_ else {each.name}"
        elif optional and each.init:
            raise TypeError(f"non-default argument {each.name!r} follows default argument")
        else:
            parameters.append(each.name)
        optional = optional or has_default or makes_default
        body.append(
            f"    _set_({this}, {each.name!r}, {value})" if frozen else f"    {this}.{each.name} = {value}"
        )
    if hasattr(cls, "__post_init__"):
        body.append(f"    {this}.__post_init__()")
    source = "\n".join([f"def __init__({_LINES.join(parameters)}):", *body]) + "\n"
    made = compile_source(source, names, f"struct {cls.__qualname__}")["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    made.__annotations__ = {**{each.name: each.type for each in known}, "return": None}
    cls.__init__ = made


def sizeof(type: object) -> int:
    """Bytes that an object of a type takes in memory, padding included; DeclarationError if it has no place there."""
    return resolve_object(type, "sizeof").size


def offsetof(cls: type, name: str) -> int:
    """Offset in bytes of a struct's field.

    Raises:
        DeclarationError: the class is no struct.
        KeyError: it has no field of that name.
    """
    found = resolve_object(cls, "offsetof")
    if not isinstance(found, StructType):
        raise DeclarationError("offsetof", str(found), "a @struct class")
    return found.offsetof(name)


def fields(cls: type) -> Iterator[Field]:
    """Iterate over a struct's fields in memory order; DeclarationError if the class is no struct."""
    found = resolve_object(cls, "fields")
    if not isinstance(found, StructType):
        raise DeclarationError("fields", str(found), "a @struct class")
    return iter(found.fields)
