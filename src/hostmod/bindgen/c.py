"""Bindings for guests in C: one header, C11, no library needed."""

from __future__ import annotations

from collections.abc import Sequence

from hostmod.bindgen.model import (
    HEADER,
    Declared,
    Interface,
    Names,
    Type,
    block,
    doc_of,
    escaped,
    shout,
    snake,
)
from hostmod.plan import Slot
from hostmod.types.enums import EnumType
from hostmod.types.pointer import ListType, PointerType
from hostmod.types.record import FixedArrayType, FixedBytesType, StructType
from hostmod.types.reference import ExternRefType
from hostmod.types.scalar import BoolType, DurationType, FloatType, IntegerType
from hostmod.types.text import CStringType, StringType
from hostmod.types.view import ArrayType, BytesType

RESERVED = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int "
    "long register restrict return short signed sizeof static struct switch typedef union unsigned void "
    "volatile while bool true false asm typeof alignas alignof static_assert thread_local nullptr "
    "constexpr errno NULL EOF stdin stdout stderr assert".split()
)

CORE = {"i32": "uint32_t", "i64": "uint64_t", "f32": "float", "f64": "double", "externref": "__externref_t"}
"""How a core value of a type that C does not know arrives."""

LENGTH = "length"


def generate(interfaces: Sequence[Interface]) -> str:
    """Write the header."""
    guard = "HOSTMOD_" + "_".join(shout(each.name) for each in interfaces) + "_H"
    lines = [
        f"/* {HEADER.format(language='c')}",
        " *",
        " * How Python's annotations arrive here:",
        " *",
        " *     String            const char *, uint32_t   UTF-8 bytes and how many; no NUL needed",
        " *     Bytes             void *, uint32_t         a buffer that the host reads or fills, and its size",
        " *     Array[T] List[T]  T *, uint32_t            an array, and how many elements it has",
        " *     Pointer[T]        T *                      a T that the host reads or fills",
        " *     Duration          int64_t                  nanoseconds",
        " *     Error             int32_t                  0, or the errno of what went wrong",
        " *     Optional[T]       int32_t, and a T *       the errno, and where the result is stored if that is 0",
        " */",
        f"#ifndef {guard}",
        f"#define {guard}",
        "",
        "#include <stdbool.h>",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        "#ifndef HOSTMOD_IMPORT",
        "#define HOSTMOD_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))",
        "#define HOSTMOD_CHECKED __attribute__((warn_unused_result))",
        "#endif",
    ]
    for each in interfaces:
        lines += ["", *_Writer(each).lines()]
    lines += ["", "#endif"]
    return "\n".join(lines) + "\n"


class _Writer:
    """Writes one interface; every name of it starts with the module's."""

    def __init__(self, interface: Interface) -> None:
        self.interface = interface
        self.prefix = snake(interface.name)
        self.names = Names(RESERVED)
        self.tags: dict[Type, str] = {}

    def lines(self) -> list[str]:
        found = self.interface
        text = f"The host module {escaped(found.name)}." + (f" {found.doc}" if found.doc else "")
        lines = block(text)
        if found.errors:
            rows = [
                f"    {self.constant(name)} = {number}, /* {why} */" for number, name, why in found.errors
            ]
            lines += [
                "",
                "/* Error numbers, and the Python exceptions that they stand for. */",
                "enum {",
                *rows,
                "};",
            ]
        for each in found.reached:
            declared = self.type_lines(each)
            if declared:
                lines += ["", *declared]
        for function in found.functions:
            lines += ["", *self.function_lines(function)]
        return lines

    def constant(self, name: str) -> str:
        return f"{self.prefix.upper()}_{name}"

    def type_lines(self, type_: Type) -> list[str]:
        if isinstance(type_, EnumType):
            return self.enum_lines(type_)
        if isinstance(type_, StructType):
            return self.struct_lines(type_)
        if isinstance(type_, StringType):
            return self.pair_lines(type_, "const char *data")
        if isinstance(type_, ArrayType | ListType):
            return self.pair_lines(type_, self.declare(type_.element, "*data"))
        if isinstance(type_, BytesType):
            return self.pair_lines(type_, "void *data")
        if type_.size and type(type_).__module__.partition(".")[0] != "hostmod":
            return [
                f"/* {type_}: hostmod knows its size only. */",
                f"struct {self.tag(type_)} {{",
                f"    _Alignas({type_.align}) unsigned char bytes[{type_.size}];",
                "};",
            ]
        return []

    def pair_lines(self, type_: Type, data: str) -> list[str]:
        if not any(
            type_ in (each.type for each in getattr(other, "fields", ()))
            or type_ == getattr(other, "element", None)
            for other in self.interface.reached
        ) and not any(type_ == slot.type for each in self.interface.functions for slot in each.values):
            return []  # used for parameters only, where it is two of them
        return [
            f"/* {type_} in memory. */",
            f"struct {self.tag(type_)} {{",
            f"    {data};",
            f"    uint32_t {LENGTH};",
            "};",
        ]

    def enum_lines(self, type_: EnumType) -> list[str]:
        lines = block(doc_of(type_))
        tag = self.tag(type_)
        members = {name: int(member) for name, member in type_.cls.__members__.items()}
        lines.append(f"typedef {self.spell(type_.base)} {tag};")
        prefix = tag.removesuffix("_t").upper()
        names = {name: self.names.take(f"{prefix}_{shout(name)}") for name in members}
        if all(-(2**31) <= value < 2**31 for value in members.values()):
            inner = [f"    {names[name]} = {value}," for name, value in members.items()]
            return [*lines, "enum {", *inner, "};"]
        suffix = "ULL" if not type_.base.signed else "LL"
        return [
            *lines,
            *(f"#define {names[name]} (({tag}){value}{suffix})" for name, value in members.items()),
        ]

    def struct_lines(self, type_: StructType) -> list[str]:
        tag = self.tag(type_)
        lines = [*block(doc_of(type_)), f"struct {tag} {{"]
        names = Names(RESERVED)
        offsets = []
        for each in type_.fields:
            name = names.take(each.name)
            lines.append(f"    {self.declare(each.type, name)};")
            offsets.append(
                f'_Static_assert(offsetof(struct {tag}, {name}) == {each.offset}, "Python has it at {each.offset}");'
            )
        lines.append("};")
        lines.append(
            f'_Static_assert(sizeof(struct {tag}) == {type_.size}, "Python has {type_.size} bytes");'
        )
        return lines + offsets

    def tag(self, type_: Type) -> str:
        """Name a type that has to be declared, or a part of such a name."""
        if type_ not in self.tags:
            if isinstance(type_, EnumType):
                name = f"{self.prefix}_{snake(type_.cls.__name__)}_t"
            elif isinstance(type_, StructType):
                name = f"{self.prefix}_{snake(type_.cls.__name__)}"
            elif isinstance(type_, ListType | ArrayType):
                name = f"{self.prefix}_list_of_{snake(str(type_.element))}"
            else:
                name = f"{self.prefix}_{snake(type_.name)}"
            # Structs have names of their own in C, apart from functions.
            while name in self.tags.values():
                name += "_"
            self.tags[type_] = name
        return self.tags[type_]

    def declare(self, type_: Type, name: str) -> str:
        """Spell a declaration of a name in memory."""
        if isinstance(type_, FixedArrayType):
            inner = f"({name})" if name.startswith("*") else name
            return self.declare(type_.element, f"{inner}[{type_.length}]")
        if isinstance(type_, FixedBytesType):
            inner = f"({name})" if name.startswith("*") else name
            return f"unsigned char {inner}[{type_.size}]"
        if isinstance(type_, PointerType):
            return self.declare(type_.element, f"*{name}")
        if isinstance(type_, CStringType):
            return f"const char *{name}"
        return f"{self.spell(type_)} {name}"

    def spell(self, type_: Type) -> str:
        """Spell the type of a value in memory."""
        if isinstance(type_, BoolType):
            return "bool"
        if isinstance(type_, EnumType):
            return self.tag(type_)
        if isinstance(type_, DurationType):
            return "int64_t"
        if isinstance(type_, IntegerType):
            return f"{'' if type_.signed else 'u'}int{type_.bits}_t"
        if isinstance(type_, FloatType):
            return "float" if type_.size == 4 else "double"
        return f"struct {self.tag(type_)}"

    def parameters(self, function: Declared, names: Names) -> list[str]:
        found: list[str] = []
        for slot in (*function.params, *function.outs):
            found += self.parameter(slot, names)
        return found

    def parameter(self, slot: Slot, names: Names) -> list[str]:
        type_, name = slot.type, names.take(slot.name)
        if isinstance(type_, StringType):
            return [f"const char *{name}", f"uint32_t {names.take(name + '_length')}"]
        if isinstance(type_, ArrayType | ListType):
            return [self.declare(type_.element, f"*{name}"), f"uint32_t {names.take(name + '_length')}"]
        if isinstance(type_, BytesType):
            return [f"void *{name}", f"uint32_t {names.take(name + '_size')}"]
        if known_scalar(type_) or isinstance(type_, PointerType | CStringType):
            return [self.declare(type_, name)]
        if len(type_.core) == 1:
            return [f"{CORE[type_.core[0]]} {name}"]
        return [f"{CORE[core]} {names.take(f'{name}_{index}')}" for index, core in enumerate(type_.core)]

    def function_lines(self, function: Declared) -> list[str]:
        name = self.names.take(f"{self.prefix}_{snake(function.name)}")
        lines = block(function.doc)
        if function.why_not:
            return [*lines, f"/* {name} cannot be declared: {function.why_not}. */"]
        parameters = ", ".join(self.parameters(function, Names(RESERVED))) or "void"
        head = f"HOSTMOD_IMPORT({escaped(self.interface.name)}, {escaped(function.import_name)})"
        checked = " HOSTMOD_CHECKED" if function.optional else ""
        declaration = f"{self.result(function)}{name}({parameters});"
        lines += [f"{head}{checked}", declaration]
        if function.uses_references:
            return ["#ifdef __wasm_reference_types__", *lines, "#endif"]
        return lines

    def result(self, function: Declared) -> str:
        if function.optional:
            return "int32_t "
        type_ = function.result
        if type_ is None:
            return "void "
        if isinstance(type_, ExternRefType) or not (
            known_scalar(type_) or isinstance(type_, PointerType | CStringType)
        ):
            return f"{CORE[type_.core[0]]} "
        text = self.declare(type_, "")
        return text if text.endswith("*") else text.rstrip() + " "


def known_scalar(type_: Type) -> bool:
    """Say whether a type is a number that C has a name for."""
    return isinstance(type_, BoolType | IntegerType | FloatType | EnumType)
