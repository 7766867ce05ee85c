"""Bindings for guests in Zig: one file, with slices, extern structs and error unions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hostmod.tools.bindgen.model import (
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
    snake,
)
from hostmod.tools.bindgen.writer import ImportingWriter, Passing, Spelling, indented
from hostmod.types.buffers import BytesType
from hostmod.types.enums import EnumType
from hostmod.types.pointer import ListType
from hostmod.types.structs import StructType
from hostmod.types.text import StringType

KEYWORDS = frozenset(
    "addrspace align allowzero and anyframe anytype asm async await break callconv catch comptime const continue defer "
    "else enum errdefer error export extern fn for if inline linksection noalias noinline nosuspend opaque or orelse "
    "packed pub resume return struct suspend switch test threadlocal try union unreachable usingnamespace var volatile "
    "while type void bool true false null undefined anyerror anyopaque noreturn isize usize f16 f32 f64 f80 f128 "
    "comptime_int comptime_float c_char c_int i8 u8 i16 u16 i32 u32 i64 u64 i128 u128".split()
)

RESERVED = KEYWORDS | {"raw", "Error", "String", "Slice", "check", "last_errno", "std", "main", "init"}


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
            lines += ["", f"pub const {top.take(snake(each.name))} = struct {{", *indented(body), "};"]
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


class _Writer(ImportingWriter):
    """Writes one interface."""

    reserved = RESERVED
    no_references = "Zig has no references to host objects"
    spelling = Spelling(
        core={"i32": "u32", "i64": "u64", "f32": "f32", "f64": "f64"},
        bool="bool",
        signed="i{bits}",
        unsigned="u{bits}",
        floats={32: "f32", 64: "f64"},
        pointer="*{of}",
        nullable="?*{of}",
        cstring="[*:0]const u8",
        string="String",
        slice="Slice({of})",
        octets="Slice(u8)",
        array="[{n}]{of}",
        octet_array="[{n}]u8",
    )

    def __init__(self, interface: Interface, names: Names) -> None:
        super().__init__(interface, names)
        # Functions may not be shadowed by their own parameters, nor by those of others.
        self.functions = {id(each): names.take(camel(each.name)) for each in interface.functions}

    def lines(self) -> list[str]:
        found = self.interface
        lines = comment(self.title, "//")
        if found.errors:
            lines += ["//", "// Errors, and the Python exceptions that they stand for:"]
            lines += [f"//     {name} ({number})  {why}" for number, name, why in found.errors]
        lines += self.all_types()
        raw, wrappers = self.all_imports()
        return [*lines, "", "const raw = struct {", *raw, "};", *wrappers]

    def opaque_lines(self, type_: Type) -> list[str]:
        return [
            f"/// {type_}: hostmod knows its size only.",
            f"pub const {self.tag(type_)} = extern struct {{",
            f"    bytes: [{type_.size}]u8 align({type_.align}),",
            "};",
        ]

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

    def raw(self, type_: Type) -> str:
        return super().raw(type_.base if isinstance(type_, EnumType) else type_)

    def parameter_name(self, name: str) -> str:
        return snake(name)

    def known_parameter(self, type_: Type, name: str, names: Names) -> Passing | None:
        length = f"@intCast({name}.len)"
        if isinstance(type_, StringType):
            return Passing([f"{name}: []const u8"], ["[*]const u8", "u32"], [f"{name}.ptr", length])
        if isinstance(type_, BytesType | ListType):
            element = self.element(type_, "u8")
            return Passing([f"{name}: []{element}"], [f"[*]{element}", "u32"], [f"{name}.ptr", length])
        if isinstance(type_, EnumType):
            cast = "@bitCast" if type_.is_flag else "@intFromEnum"
            return Passing([f"{name}: {self.spell(type_)}"], [self.raw(type_)], [f"{cast}({name})"])
        return None

    def import_lines(self, function: Declared) -> tuple[list[str], list[str]]:
        name = self.functions[id(function)]
        docs = comment(function.doc, "///")
        why_not = self.why_not(function)
        if why_not:
            return [], [*comment(function.doc, "//"), f"// {name} cannot be declared: {why_not}."]
        passing = self.passing(
            function, Names({*RESERVED, *self.functions.values(), *self.tags.values(), "result"})
        )
        if function.outs:
            passing.types += [f"*{self.spell(slot.type)}" for slot in function.values]
        result = self.raw_result(function)
        module = escaped(self.interface.name)
        inner = function.import_name
        if inner in KEYWORDS or re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", inner) is None:
            inner = f"@{escaped(inner)}"
        numbered = ", ".join(f"{place}: {type_}" for place, type_ in passing.numbered)
        raw = [f"    extern {module} fn {inner}({numbered}) {result};"]
        gives, body = self.body(function, f"raw.{inner}", passing.given, result)
        lines = [f"pub fn {name}({', '.join(passing.parameters)}) {gives} {{", *indented(body), "}"]
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
