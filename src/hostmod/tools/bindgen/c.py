"""Bindings for guests in C: one header, C11, no library needed."""

from __future__ import annotations

from collections.abc import Sequence

from hostmod.tools.bindgen.model import (
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
from hostmod.tools.bindgen.writer import DeclaringWriter, Passing, Spelling, is_number
from hostmod.types.buffers import ArrayType, BytesType
from hostmod.types.enums import EnumType
from hostmod.types.pointer import ListType, PointerType
from hostmod.types.structs import FixedArrayType, FixedBytesType, StructType
from hostmod.types.text import CStringType, StringType

RESERVED = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if inline int "
    "long register restrict return short signed sizeof static struct switch typedef union unsigned void "
    "volatile while bool true false asm typeof alignas alignof static_assert thread_local nullptr "
    "constexpr errno NULL EOF stdin stdout stderr assert".split()
)


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


def quoted(text: str) -> str:
    """Put a name into double quotes, with control characters as they are: C++ has no numbers in an attribute's text."""
    return escaped(text, "{char}")


class _Writer(DeclaringWriter):
    """Writes one interface; every name of it starts with the module's."""

    reserved = RESERVED
    errno_result = "int32_t"
    declaration = "{type} {name}"
    spelling = Spelling(
        core={
            "i32": "uint32_t",
            "i64": "uint64_t",
            "f32": "float",
            "f64": "double",
            "externref": "__externref_t",
        },
        bool="bool",
        signed="int{bits}_t",
        unsigned="uint{bits}_t",
        floats={32: "float", 64: "double"},
    )

    def __init__(self, interface: Interface) -> None:
        super().__init__(interface)
        self.prefix = snake(interface.name)

    def lines(self) -> list[str]:
        found = self.interface
        lines = block(self.title)
        if found.errors:
            lines += [
                "",
                "/* Error numbers, and the Python exceptions that they stand for. */",
                "enum {",
                *(f"    {self.constant(name)} = {number}, /* {why} */" for number, name, why in found.errors),
                "};",
            ]
        lines += [*self.all_types(), *self.all_functions()]
        return lines

    def constant(self, name: str) -> str:
        return f"{self.prefix.upper()}_{name}"

    def type_lines(self, type_: Type) -> list[str]:
        if isinstance(type_, StringType):
            return self.pair_lines(type_, "const char *data")
        if isinstance(type_, ArrayType | ListType):
            return self.pair_lines(type_, self.declare(type_.element, "*data"))
        if isinstance(type_, BytesType):
            return self.pair_lines(type_, "void *data")
        return super().type_lines(type_)

    def opaque_lines(self, type_: Type) -> list[str]:
        return [
            f"/* {type_}: hostmod knows its size only. */",
            f"struct {self.tag(type_)} {{",
            f"    _Alignas({type_.align}) unsigned char bytes[{type_.size}];",
            "};",
        ]

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
            "    uint32_t length;",
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
        return super().spell(type_) if is_number(type_) else f"struct {self.tag(type_)}"

    def known_parameter(self, type_: Type, name: str, names: Names) -> Passing | None:
        if isinstance(type_, StringType):
            return Passing([f"const char *{name}", f"uint32_t {names.take(name + '_length')}"])
        if isinstance(type_, ArrayType | ListType):
            data = self.declare(type_.element, f"*{name}")
            return Passing([data, f"uint32_t {names.take(name + '_length')}"])
        if isinstance(type_, BytesType):
            return Passing([f"void *{name}", f"uint32_t {names.take(name + '_size')}"])
        if is_number(type_) or isinstance(type_, PointerType | CStringType):
            return Passing([self.declare(type_, name)])
        return None

    def function_lines(self, function: Declared) -> list[str]:
        name = self.names.take(f"{self.prefix}_{snake(function.name)}")
        lines = block(function.doc)
        if function.why_not:
            return [*lines, f"/* {name} cannot be declared: {function.why_not}. */"]
        names = Names(RESERVED)
        passing = self.passing(function, names)
        for slot in function.outs:
            passing.add(self.parameter(slot, names))
        head = f"HOSTMOD_IMPORT({quoted(self.interface.name)}, {quoted(function.import_name)})"
        checked = " HOSTMOD_CHECKED" if function.optional else ""
        result = self.raw_result(function)
        space = "" if result.endswith("*") else " "
        lines += [f"{head}{checked}", f"{result}{space}{name}({', '.join(passing.parameters) or 'void'});"]
        if function.uses_references:
            return ["#ifdef __wasm_reference_types__", *lines, "#endif"]
        return lines

    def raw(self, type_: Type) -> str:
        if isinstance(type_, PointerType | CStringType):
            return self.declare(type_, "").rstrip()
        return super().raw(type_)
