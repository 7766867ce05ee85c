"""The base of all writers of bindings: walks over the types, functions and parameters of a host module."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from hostmod.errors import DeclarationError
from hostmod.plan import Slot
from hostmod.tools.bindgen.model import Declared, Interface, Names, Type, escaped, pascal
from hostmod.types.buffers import ArrayType, BytesType
from hostmod.types.enums import EnumType
from hostmod.types.pointer import ListType, NullablePointerType, PointerType
from hostmod.types.scalar import BoolType, DurationType, FloatType, IntegerType
from hostmod.types.structs import FixedArrayType, FixedBytesType, StructType
from hostmod.types.text import CStringType, StringType


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a language spells the types of values in memory.

    ``{bits}`` stands for a number's width, ``{of}`` for what is pointed to or held, and ``{n}`` for how many. A
    language that spells by itself what is no number leaves the rest out.
    """

    core: Mapping[str, str]
    """Core values, by their names in WebAssembly."""
    bool: str
    signed: str
    unsigned: str
    floats: Mapping[int, str]
    """By their width in bits."""
    pointer: str = ""
    cstring: str = ""
    string: str = ""
    slice: str = ""
    octets: str = ""
    """A slice of bytes."""
    array: str = ""
    """A fixed number of elements, in place."""
    octet_array: str = ""
    nullable: str = ""
    """A pointer that may be null; as `pointer` if empty."""
    duration: str = ""
    """Nanoseconds; as a signed number of 64 bits if empty."""


@dataclass(slots=True)
class Passing:
    """How parameters are passed: the function's, those of the import that they become, and what is given for them."""

    parameters: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    besides: list[str] = field(default_factory=list)
    """What a language needs besides: statements before the call, or names to keep alive until after it."""

    def add(self, other: Passing) -> None:
        """Take in the next parameter."""
        self.parameters += other.parameters
        self.types += other.types
        self.given += other.given
        self.besides += other.besides

    @property
    def numbered(self) -> list[tuple[str, str]]:
        """The import's parameters, with names that cannot meet any other."""
        return [(f"a{index}", type_) for index, type_ in enumerate(self.types)]


class Writer(ABC):
    """Writes one interface. A language says how it spells types, passes parameters, and declares what it is given."""

    reserved: ClassVar[frozenset[str]] = frozenset()
    """Words that cannot be names."""
    spelling: ClassVar[Spelling]
    no_references: ClassVar[str] = ""
    """Why functions with references to host objects cannot be declared, if they cannot."""
    errno_result, no_result = "i32", "void"
    declaration = "{name}: {type}"
    """How a parameter is declared."""
    piece = "{name}_{index}"
    """How one of several core values of a parameter is named."""

    def __init__(self, interface: Interface, names: Names | None = None) -> None:
        self.interface = interface
        self.names = Names(self.reserved) if names is None else names
        self.tags: dict[Type, str] = {}

    # -------------------------------------------------------------------------------------------------- what is walked

    @property
    def title(self) -> str:
        """What the interface is, from its docstring."""
        found = self.interface
        return f"The host module {escaped(found.name)}." + (f" {found.doc}" if found.doc else "")

    def all_types(self) -> list[str]:
        """Declare every type that has to be, each after an empty line."""
        lines: list[str] = []
        for each in self.interface.reached:
            declared = self.type_lines(each)
            if declared:
                lines += ["", *declared]
        return lines

    def type_lines(self, type_: Type) -> list[str]:
        """Declare one type; empty for what needs no declaration."""
        if isinstance(type_, EnumType):
            return self.enum_lines(type_)
        if isinstance(type_, StructType):
            return self.struct_lines(type_)
        if type_.size and type(type_).__module__.partition(".")[0] != "hostmod":
            return self.opaque_lines(type_)
        return []

    def passing(self, function: Declared, names: Names) -> Passing:
        """Pass every parameter of a function."""
        found = Passing()
        for slot in function.params:
            found.add(self.parameter(slot, names))
        return found

    def parameter(self, slot: Slot, names: Names) -> Passing:
        """Pass one parameter: as the language does, or else as the core values that it has."""
        type_, name = slot.type, names.take(self.parameter_name(slot.name))
        found = self.known_parameter(type_, name, names)
        if found is not None:
            return found
        if len(type_.core) == 1:
            return self.plain(name, self.raw(type_))
        cores = [self.spelling.core[core] for core in type_.core]
        pieces = [names.take(self.piece.format(name=name, index=index)) for index in range(len(cores))]
        declared = [
            self.declaration.format(name=piece, type=core) for piece, core in zip(pieces, cores, strict=True)
        ]
        return Passing(declared, cores, pieces)

    def plain(self, name: str, type_: str) -> Passing:
        """Pass a parameter as it is."""
        return Passing([self.declaration.format(name=name, type=type_)], [type_], [name])

    def why_not(self, function: Declared) -> str:
        """Say why a function cannot be declared; empty if it can."""
        return self.no_references if self.no_references and function.uses_references else function.why_not

    def raw_result(self, function: Declared) -> str:
        """Spell the result of the import."""
        if function.optional:
            return self.errno_result
        return self.no_result if function.result is None else self.raw(function.result)

    # ------------------------------------------------------------------------------------------------ what is spelled

    def tag(self, type_: Type) -> str:
        """Name a type that has to be declared."""
        if type_ not in self.tags:
            name = type_.cls.__name__ if isinstance(type_, StructType | EnumType) else type_.name
            self.tags[type_] = self.names.take(self.tag_name(pascal(name)))
        return self.tags[type_]

    def spell(self, type_: Type) -> str:
        """Spell the type of a value in memory."""
        words = self.spelling
        if isinstance(type_, BoolType):
            return words.bool
        if isinstance(type_, DurationType) and words.duration:
            return words.duration
        if isinstance(type_, IntegerType):
            return (words.signed if type_.signed else words.unsigned).format(bits=type_.bits)
        if isinstance(type_, FloatType):
            return words.floats[type_.size * 8]
        if isinstance(type_, NullablePointerType) and words.nullable:
            return words.nullable.format(of=self.spell(type_.element))
        if isinstance(type_, PointerType):
            return words.pointer.format(of=self.spell(type_.element))
        if isinstance(type_, CStringType):
            return words.cstring
        if isinstance(type_, StringType):
            return words.string
        if isinstance(type_, ArrayType | ListType):
            return words.slice.format(of=self.spell(type_.element))
        if isinstance(type_, BytesType):
            return words.octets
        if isinstance(type_, FixedArrayType):
            return words.array.format(of=self.spell(type_.element), n=type_.length)
        if isinstance(type_, FixedBytesType):
            return words.octet_array.format(n=type_.size)
        return self.tag(type_)

    def element(self, type_: BytesType | ListType, octet: str) -> str:
        """Spell what a slice is of; `octet` for one of bytes."""
        return self.spell(type_.element) if isinstance(type_, ArrayType | ListType) else octet

    def raw(self, type_: Type) -> str:
        """Spell the type of one core value of an import."""
        if is_number(type_) or isinstance(type_, PointerType | CStringType):
            return self.spell(type_)
        return self.spelling.core[type_.core[0]]

    # ------------------------------------------------------------------------------------------- what a language says

    def tag_name(self, name: str) -> str:
        """Return what to call a type of this name, if it is free."""
        return name

    def parameter_name(self, name: str) -> str:
        """Return what to call a parameter."""
        return name

    def known_parameter(self, type_: Type, name: str, names: Names) -> Passing | None:
        """Pass a parameter in the language's idiom; None for what it has none for."""
        return None

    @abstractmethod
    def enum_lines(self, type_: EnumType) -> list[str]:
        """Declare an enum."""

    @abstractmethod
    def struct_lines(self, type_: StructType) -> list[str]:
        """Declare a struct, and check its layout."""

    def opaque_lines(self, type_: Type) -> list[str]:
        """Declare a type of which only its size is known."""
        return []


class DeclaringWriter(Writer):
    """Of a language in which a function and what it imports stand together."""

    def all_functions(self) -> list[str]:
        """Declare every function, each after an empty line."""
        return [line for each in self.interface.functions for line in ("", *self.function_lines(each))]

    @abstractmethod
    def function_lines(self, function: Declared) -> list[str]:
        """Declare a function and what it imports, or say why it cannot be."""


class ImportingWriter(Writer):
    """Of a language whose imports stand in a place of their own."""

    def all_imports(self) -> tuple[list[str], list[str]]:
        """Return the imports of all functions, and the functions that call them, each after an empty line."""
        imports: list[str] = []
        lines: list[str] = []
        for each in self.interface.functions:
            imported, function = self.import_lines(each)
            imports += imported
            lines += ["", *function]
        return imports, lines

    @abstractmethod
    def import_lines(self, function: Declared) -> tuple[list[str], list[str]]:
        """Declare what a function imports, and the function, or say there why it cannot be."""


def is_number(type_: Type) -> bool:
    """Say whether a type is a number: a truth value, an integer, a float, or an enum of integers."""
    return isinstance(type_, BoolType | IntegerType | FloatType | EnumType)


def only(interfaces: Sequence[Interface], language: str, place: str) -> Interface:
    """Return the one interface of a file whose names would meet those of others; else DeclarationError."""
    if len(interfaces) != 1:
        raise DeclarationError(
            f"bindgen {language}",
            ", ".join(each.name for each in interfaces),
            "one host module",
            f"give each {place} of its own",
        )
    return interfaces[0]


def indented(lines: Iterable[str], by: str = "    ") -> list[str]:
    """Indent lines, and leave empty ones empty."""
    return [f"{by}{line}".rstrip() for line in lines]
