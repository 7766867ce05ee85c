"""Bindings for guests in Zig: one file, with slices, extern structs and error unions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hostmod.bindgen.model import (
    ERRNO_NAMES,
    HEADER,
    Declared,
    Interface,
    Names,
    Type,
    camel,
    comment,
    doc_of,
    escaped,
    pascal,
    snake,
)
from hostmod.plan import Slot
from hostmod.types.enums import EnumType
from hostmod.types.pointer import ListType, NullablePointerType, PointerType
from hostmod.types.record import FixedArrayType, FixedBytesType, StructType
from hostmod.types.scalar import BoolType, FloatType, IntegerType
from hostmod.types.text import CStringType, StringType
from hostmod.types.view import ArrayType, BytesType

KEYWORDS = frozenset(
    "addrspace align allowzero and anyframe anytype asm async await break callconv catch comptime const continue defer "
    "else enum errdefer error export extern fn for if inline linksection noalias noinline nosuspend opaque or orelse "
    "packed pub resume return struct suspend switch test threadlocal try union unreachable usingnamespace var volatile "
    "while type void bool true false null undefined anyerror anyopaque noreturn isize usize f16 f32 f64 f80 f128 "
    "comptime_int comptime_float c_char c_int i8 u8 i16 u16 i32 u32 i64 u64 i128 u128".split()
)

RESERVED = KEYWORDS | {"raw", "Error", "String", "Slice", "check", "last_errno", "std", "main", "init"}

CORE = {"i32": "u32", "i64": "u64", "f32": "f32", "f64": "f64"}


def generate(interfaces: Sequence[Interface]) -> str:
    """Write the file: of one module at its top, of several in a struct for each."""
    lines = [
        f"//! {HEADER.format(language='zig')}",
        "//!",
        "//! How Python's annotations arrive here:",
        "//!",
        "//!     String            []const u8   UTF-8",
        "//!     Bytes             []u8         a buffer that the host reads or fills",
        "//!     Array[T] List[T]  []T",
        "//!     Pointer[T]        *T           a T that the host reads or fills; ?*T where it may be null",
        "//!     Duration          i64          nanoseconds",
        "//!     Error             Error!void   last_errno has the number",
        "//!     Optional[T]       Error!T",
        "//!     tuple[A, B]       struct { A, B }",
        "",
        'const std = @import("std");',
    ]
    names = {
        **{number: name for each in interfaces for number, name, _ in each.errors},
        **ERRNO_NAMES,
    }
    if any(function.optional for each in interfaces for function in each.functions):
        lines += ["", *_errors(names)]
    if any(isinstance(type_, StringType) for each in interfaces for type_ in each.reached):
        lines += ["", *STRING.splitlines()]
    if any(isinstance(type_, BytesType | ListType) for each in interfaces for type_ in each.reached):
        lines += ["", *SLICE.splitlines()]
    top = Names(RESERVED)
    for each in interfaces:
        body = _Writer(each, Names(RESERVED)).lines()
        if len(interfaces) == 1:
            lines += ["", *body]
        else:
            inner = [f"    {line}".rstrip() for line in body]
            lines += ["", f"pub const {top.take(snake(each.name))} = struct {{", *inner, "};"]
    return "\n".join(lines) + "\n"


STRING = """\
/// Text as it lies in memory.
pub const String = extern struct {
    ptr: [*]const u8,
    len: u32,

    pub fn of(text: []const u8) String {
        return .{ .ptr = text.ptr, .len = @intCast(text.len) };
    }
    pub fn slice(self: String) []const u8 {
        return self.ptr[0..self.len];
    }
};"""

SLICE = """\
/// A slice as it lies in memory.
pub fn Slice(comptime T: type) type {
    return extern struct {
        ptr: [*]T,
        len: u32,

        pub fn of(items: []T) @This() {
            return .{ .ptr = items.ptr, .len = @intCast(items.len) };
        }
        pub fn slice(self: @This()) []T {
            return self.ptr[0..self.len];
        }
    };
}"""


def _errors(names: dict[int, str]) -> list[str]:
    ordered = sorted(names.items())
    return [
        "/// What went wrong, by the name of its number; Unexpected for a number without one.",
        "pub const Error = error{",
        *(f"    {name}," for _, name in ordered),
        "    Unexpected,",
        "};",
        "",
        "/// The number of the last error.",
        "pub var last_errno: i32 = 0;",
        "",
        "fn check(number: i32) Error!void {",
        "    if (number == 0) return;",
        "    last_errno = number;",
        "    return switch (number) {",
        *(f"        {number} => error.{name}," for number, name in ordered),
        "        else => error.Unexpected,",
        "    };",
        "}",
    ]


class _Writer:
    """Writes one interface."""

    def __init__(self, interface: Interface, names: Names) -> None:
        self.interface = interface
        self.names = names
        self.tags: dict[Type, str] = {}
        # Functions may not be shadowed by their own parameters, nor by those of others.
        self.functions = {id(each): names.take(camel(each.name)) for each in interface.functions}

    def lines(self) -> list[str]:
        found = self.interface
        lines = comment(
            f"The host module {escaped(found.name)}." + (f" {found.doc}" if found.doc else ""), "//"
        )
        if found.errors:
            lines += ["//", "// Errors, and the Python exceptions that they stand for:"]
            lines += [f"//     {name} ({number})  {why}" for number, name, why in found.errors]
        for each in found.reached:
            declared = self.type_lines(each)
            if declared:
                lines += ["", *declared]
        raw: list[str] = []
        wrappers: list[str] = []
        for function in found.functions:
            imported, wrapper = self.function_lines(function)
            raw += imported
            wrappers += ["", *wrapper]
        return [*lines, "", "const raw = struct {", *raw, "};", *wrappers]

    def tag(self, type_: Type) -> str:
        if type_ not in self.tags:
            name = type_.cls.__name__ if isinstance(type_, StructType | EnumType) else type_.name
            self.tags[type_] = self.names.take(pascal(name))
        return self.tags[type_]

    def type_lines(self, type_: Type) -> list[str]:
        if isinstance(type_, EnumType):
            return self.enum_lines(type_)
        if isinstance(type_, StructType):
            return self.struct_lines(type_)
        if type_.size and type(type_).__module__.partition(".")[0] != "hostmod":
            return [
                f"/// {type_}: hostmod knows its size only.",
                f"pub const {self.tag(type_)} = extern struct {{",
                f"    bytes: [{type_.size}]u8 align({type_.align}),",
                "};",
            ]
        return []

    def enum_lines(self, type_: EnumType) -> list[str]:
        tag, names = self.tag(type_), Names(RESERVED)
        base = self.spell(type_.base)
        lines = comment(doc_of(type_), "///")
        members = {name: int(member) for name, member in type_.cls.__members__.items()}
        if not type_.is_flag:
            lines.append(f"pub const {tag} = enum({base}) {{")
            seen: set[int] = set()
            aliases: list[str] = []
            for name, value in members.items():
                spelled = names.take(snake(name))
                if value in seen:
                    aliases.append(f"    pub const {spelled}: {tag} = @enumFromInt({value});")
                else:
                    lines.append(f"    {spelled} = {value},")
                seen.add(value)
            return [*lines, "    _,", *([""] if aliases else []), *aliases, "};"]
        lines.append(f"pub const {tag} = packed struct({base}) {{")
        single = {value.bit_length() - 1: name for name, value in members.items() if value.bit_count() == 1}
        for bit in range(type_.base.bits):
            name = names.take(snake(single[bit])) if bit in single else f"_bit{bit}"
            lines.append(f"    {name}: bool = false,")
        several = {name: value for name, value in members.items() if value.bit_count() != 1}
        if several:
            lines.append("")
            for name, value in several.items():
                lines.append(
                    f"    pub const {names.take(snake(name))}: {tag} = @bitCast(@as({base}, {value}));"
                )
        return [*lines, "};"]

    def struct_lines(self, type_: StructType) -> list[str]:
        tag, names = self.tag(type_), Names(RESERVED)
        lines = [*comment(doc_of(type_), "///"), f"pub const {tag} = extern struct {{"]
        checks = [f'    if (@sizeOf({tag}) != {type_.size}) @compileError("Python has {type_.size} bytes");']
        for each in type_.fields:
            name = names.take(each.name)
            lines.append(f"    {name}: {self.spell(each.type)},")
            checks.append(
                f'    if (@offsetOf({tag}, "{name}") != {each.offset}) '
                f'@compileError("Python has {name} at {each.offset}");'
            )
        return [*lines, "};", "", "comptime {", *checks, "}"]

    def spell(self, type_: Type) -> str:
        """Spell the type of a value in memory."""
        if isinstance(type_, BoolType):
            return "bool"
        if isinstance(type_, IntegerType):
            return f"{'i' if type_.signed else 'u'}{type_.bits}"
        if isinstance(type_, FloatType):
            return f"f{type_.size * 8}"
        if isinstance(type_, NullablePointerType):
            return f"?*{self.spell(type_.element)}"
        if isinstance(type_, PointerType):
            return f"*{self.spell(type_.element)}"
        if isinstance(type_, CStringType):
            return "[*:0]const u8"
        if isinstance(type_, StringType):
            return "String"
        if isinstance(type_, ArrayType | ListType):
            return f"Slice({self.spell(type_.element)})"
        if isinstance(type_, BytesType):
            return "Slice(u8)"
        if isinstance(type_, FixedArrayType):
            return f"[{type_.length}]{self.spell(type_.element)}"
        if isinstance(type_, FixedBytesType):
            return f"[{type_.size}]u8"
        return self.tag(type_)

    def raw_type(self, type_: Type) -> str:
        if isinstance(type_, EnumType):
            return self.spell(type_.base)
        if isinstance(type_, BoolType | IntegerType | FloatType | PointerType | CStringType):
            return self.spell(type_)
        return CORE[type_.core[0]]

    def parameter(self, slot: Slot, names: Names) -> tuple[str, list[str], list[str]]:
        """Return a parameter, those of the import that it becomes, and what is passed for them."""
        type_, name = slot.type, names.take(snake(slot.name))
        if isinstance(type_, StringType):
            return f"{name}: []const u8", ["[*]const u8", "u32"], [f"{name}.ptr", f"@intCast({name}.len)"]
        if isinstance(type_, BytesType | ListType):
            element = self.spell(type_.element) if isinstance(type_, ArrayType | ListType) else "u8"
            return f"{name}: []{element}", [f"[*]{element}", "u32"], [f"{name}.ptr", f"@intCast({name}.len)"]
        if isinstance(type_, EnumType):
            cast = "@bitCast" if type_.is_flag else "@intFromEnum"
            return f"{name}: {self.spell(type_)}", [self.spell(type_.base)], [f"{cast}({name})"]
        if len(type_.core) == 1:
            return f"{name}: {self.raw_type(type_)}", [self.raw_type(type_)], [name]
        pieces = [names.take(f"{name}_{index}") for index in range(len(type_.core))]
        return (
            ", ".join(f"{piece}: {CORE[core]}" for piece, core in zip(pieces, type_.core, strict=True)),
            [CORE[core] for core in type_.core],
            pieces,
        )

    def function_lines(self, function: Declared) -> tuple[list[str], list[str]]:
        """Return the import, and the function that calls it."""
        name = self.functions[id(function)]
        docs = comment(function.doc, "///")
        why_not = function.why_not
        if function.uses_references:
            why_not = "Zig has no references to host objects"
        if why_not:
            return [], [*comment(function.doc, "//"), f"// {name} cannot be declared: {why_not}."]
        names = Names({*RESERVED, *self.functions.values(), *self.tags.values(), "result"})
        parameters: list[str] = []
        types: list[str] = []
        passed: list[str] = []
        for slot in function.params:
            parameter, raw_types, arguments = self.parameter(slot, names)
            parameters.append(parameter)
            types += raw_types
            passed += arguments
        if function.outs:
            types += [f"*{self.spell(slot.type)}" for slot in function.values]
        result = "void"
        if function.optional:
            result = "i32"
        elif function.result is not None:
            result = self.raw_type(function.result)
        module = escaped(self.interface.name)
        inner = function.import_name
        if inner in KEYWORDS or re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", inner) is None:
            inner = f"@{escaped(inner)}"
        numbered = ", ".join(f"a{index}: {type_}" for index, type_ in enumerate(types))
        raw = [f"    extern {module} fn {inner}({numbered}) {result};"]
        gives, body = self.body(function, f"raw.{inner}", passed, result)
        lines = [f"pub fn {name}({', '.join(parameters)}) {gives} {{", *(f"    {each}" for each in body), "}"]
        return raw, [*docs, *lines]

    def body(self, function: Declared, raw: str, passed: list[str], result: str) -> tuple[str, list[str]]:
        call = f"{raw}({', '.join(passed)})"
        if not function.outs:
            if function.optional:
                return "Error!void", [f"return check({call});"]
            if isinstance(function.result, EnumType):
                cast = "@bitCast" if function.result.is_flag else "@enumFromInt"
                return self.spell(function.result), [f"return {cast}({call});"]
            return result, [f"{'return ' if function.result is not None else ''}{call};"]
        types = [self.spell(slot.type) for slot in function.values]
        if len(types) == 1:
            value, outs, start = types[0], ["&result"], [f"var result: {types[0]} = undefined;"]
            final = "return result;"
        else:
            value = f"struct {{ {', '.join(types)} }}"
            outs = [f"&result{index}" for index in range(len(types))]
            start = [f"var result{index}: {each} = undefined;" for index, each in enumerate(types)]
            final = f"return .{{ {', '.join(each[1:] for each in outs)} }};"
        call = f"{raw}({', '.join([*passed, *outs])})"
        if function.optional:
            return f"Error!{value}", [*start, f"try check({call});", final]
        return value, [*start, f"{call};", final]
