"""Bindings for guests in Rust: one file, for edition 2021 and Rust 1.77 or newer, with slices, `Result` and `&str`."""

from __future__ import annotations

from collections.abc import Sequence

from hostmod.bindgen.model import (
    HEADER,
    Declared,
    Interface,
    Names,
    Type,
    comment,
    doc_of,
    escaped,
    pascal,
    shout,
    snake,
)
from hostmod.plan import Slot
from hostmod.types.enums import EnumType
from hostmod.types.pointer import ListType, NullablePointerType, PointerType
from hostmod.types.record import FixedArrayType, FixedBytesType, StructType
from hostmod.types.scalar import BoolType, FloatType, IntegerType
from hostmod.types.text import CStringType, StringType
from hostmod.types.view import ArrayType, BytesType

RESERVED = frozenset(
    "as async await break const continue crate dyn else enum extern false fn for if impl in let loop match "
    "mod move mut pub ref return self Self static struct super trait true type unsafe use where while "
    "abstract become box do final macro override priv try typeof unsized virtual yield union bool char str "
    "i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 usize isize Errno Slice Text Result Option Ok Err Some None raw "
    "core std".split()
)

CORE = {"i32": "u32", "i64": "u64", "f32": "f32", "f64": "f64"}

PRELUDE = """\
/// What went wrong, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Errno(pub i32);

impl core::fmt::Display for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "errno {}", self.0)
    }
}

/// Text as it lies in memory. Whoever makes one keeps the text alive.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Text {
    pub data: *const u8,
    pub length: u32,
}

impl Text {
    pub fn new(text: &str) -> Self {
        Text { data: text.as_ptr(), length: text.len() as u32 }
    }
}

/// A slice as it lies in memory. Whoever makes one keeps the items alive.
#[derive(Debug)]
#[repr(C)]
pub struct Slice<T> {
    pub data: *mut T,
    pub length: u32,
}

impl<T> Slice<T> {
    pub fn new(items: &mut [T]) -> Self {
        Slice { data: items.as_mut_ptr(), length: items.len() as u32 }
    }
}

impl<T> Clone for Slice<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slice<T> {}"""


def generate(interfaces: Sequence[Interface]) -> str:
    """Write the file, with a module for each interface."""
    lines = [
        f"// {HEADER.format(language='rust')}",
        "//",
        "// How Python's annotations arrive here:",
        "//",
        "//     String            &str",
        "//     CString           &std::ffi::CStr",
        "//     Bytes             &mut [u8]          a buffer that the host reads or fills",
        "//     Array[T] List[T]  &mut [T]",
        "//     Pointer[T]        &mut T             a T that the host reads or fills; Option<&mut T> for a null",
        "//     Duration          i64                nanoseconds",
        "//     Error             Result<(), Errno>",
        "//     Optional[T]       Result<T, Errno>",
        "//     tuple[A, B]       (A, B)",
        "#![allow(dead_code)]",
        "#![allow(clippy::all)]",
        "",
        *PRELUDE.splitlines(),
    ]
    names = Names(RESERVED)
    for each in interfaces:
        lines += ["", *_Writer(each, names.take(snake(each.name))).lines()]
    return "\n".join(lines) + "\n"


class _Writer:
    """Writes one interface, as a module."""

    def __init__(self, interface: Interface, space: str) -> None:
        self.interface = interface
        self.space = space
        self.names = Names(RESERVED)
        self.tags: dict[Type, str] = {}

    def lines(self) -> list[str]:
        found = self.interface
        body = ["use super::*;"]
        if found.errors:
            body += [
                "",
                "/// The errors of this module, and the Python exceptions that they stand for.",
                "impl Errno {",
            ]
            # Of one type for all modules: a number has its module's name in it if there are several.
            for number, name, why in found.errors:
                body += [
                    f"    /// {why}",
                    f"    pub const {shout(self.space)}_{name}: Errno = Errno({number});",
                ]
            body.append("}")
        for each in found.reached:
            declared = self.type_lines(each)
            if declared:
                body += ["", *declared]
        raw: list[str] = []
        wrappers: list[str] = []
        for function in found.functions:
            imported, wrapper = self.function_lines(function)
            raw += imported
            wrappers += ["", *wrapper]
        body += [
            "",
            "mod raw {",
            "    use super::*;",
            f"    #[link(wasm_import_module = {escaped(found.name)})]",
            '    extern "C" {',
            *raw,
            "    }",
            "}",
            *wrappers,
        ]
        text = f"The host module {escaped(found.name)}." + (f" {found.doc}" if found.doc else "")
        return [
            *comment(text, "///"),
            f"pub mod {self.space} {{",
            *(f"    {line}".rstrip() for line in body),
            "}",
        ]

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
                "#[derive(Clone, Copy, Debug)]",
                f"#[repr(C, align({type_.align}))]",
                f"pub struct {self.tag(type_)}(pub [u8; {type_.size}]);",
            ]
        return []

    def enum_lines(self, type_: EnumType) -> list[str]:
        # A Rust enum of a number that is no member would be undefined behaviour; the host may have more members.
        tag, names, base = self.tag(type_), Names(RESERVED), self.spell(type_.base)
        lines = [
            *comment(doc_of(type_), "///"),
            "#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]",
            "#[repr(transparent)]",
            f"pub struct {tag}(pub {base});",
            "",
            f"impl {tag} {{",
        ]
        for name, member in type_.cls.__members__.items():
            lines.append(f"    pub const {names.take(shout(name))}: {tag} = {tag}({int(member)});")
        lines.append("}")
        if type_.is_flag:
            lines += [
                "",
                f"impl core::ops::BitOr for {tag} {{",
                f"    type Output = {tag};",
                f"    fn bitor(self, other: {tag}) -> {tag} {{",
                f"        {tag}(self.0 | other.0)",
                "    }",
                "}",
            ]
        return lines

    def struct_lines(self, type_: StructType) -> list[str]:
        tag, names = self.tag(type_), Names(RESERVED)
        lines = [
            *comment(doc_of(type_), "///"),
            "#[derive(Clone, Copy, Debug)]",
            "#[repr(C)]",
            f"pub struct {tag} {{",
        ]
        # Addresses are four bytes wide in a guest only.
        checks = [
            '#[cfg(target_arch = "wasm32")]',
            "const _: () = {",
            f"    assert!(core::mem::size_of::<{tag}>() == {type_.size});",
        ]
        for each in type_.fields:
            name = names.take(each.name)
            lines.append(f"    pub {name}: {self.spell(each.type)},")
            checks.append(f"    assert!(core::mem::offset_of!({tag}, {name}) == {each.offset});")
        return [*lines, "}", *checks, "};"]

    def spell(self, type_: Type) -> str:
        """Spell the type of a value in memory."""
        if isinstance(type_, BoolType):
            return "bool"
        if isinstance(type_, IntegerType):
            return f"{'i' if type_.signed else 'u'}{type_.bits}"
        if isinstance(type_, FloatType):
            return f"f{type_.size * 8}"
        if isinstance(type_, PointerType):
            return f"*mut {self.spell(type_.element)}"
        if isinstance(type_, CStringType):
            return "*const u8"
        if isinstance(type_, StringType):
            return "Text"
        if isinstance(type_, ArrayType | ListType):
            return f"Slice<{self.spell(type_.element)}>"
        if isinstance(type_, BytesType):
            return "Slice<u8>"
        if isinstance(type_, FixedArrayType):
            return f"[{self.spell(type_.element)}; {type_.length}]"
        if isinstance(type_, FixedBytesType):
            return f"[u8; {type_.size}]"
        return self.tag(type_)

    def raw_type(self, type_: Type) -> str:
        if isinstance(type_, BoolType | IntegerType | FloatType | EnumType | PointerType | CStringType):
            return self.spell(type_)
        return CORE[type_.core[0]]

    def parameter(self, slot: Slot, names: Names) -> tuple[str, list[str], list[str]]:
        """Return a parameter, those of the import that it becomes, and what is passed for them."""
        type_, name = slot.type, names.take(snake(slot.name))
        if isinstance(type_, StringType):
            return f"{name}: &str", ["*const u8", "u32"], [f"{name}.as_ptr()", f"{name}.len() as u32"]
        if isinstance(type_, CStringType):
            return f"{name}: &std::ffi::CStr", ["*const u8"], [f"{name}.as_ptr() as *const u8"]
        if isinstance(type_, BytesType | ListType):
            element = self.spell(type_.element) if isinstance(type_, ArrayType | ListType) else "u8"
            return (
                f"{name}: &mut [{element}]",
                [f"*mut {element}", "u32"],
                [f"{name}.as_mut_ptr()", f"{name}.len() as u32"],
            )
        if isinstance(type_, PointerType):
            element = self.spell(type_.element)
            if isinstance(type_, NullablePointerType):
                passed = f"{name}.map_or(core::ptr::null_mut(), |value| value as *mut {element})"
                return f"{name}: Option<&mut {element}>", [f"*mut {element}"], [passed]
            return f"{name}: &mut {element}", [f"*mut {element}"], [name]
        if len(type_.core) == 1:
            return f"{name}: {self.raw_type(type_)}", [self.raw_type(type_)], [name]
        pieces = [names.take(f"{name}_{index}") for index in range(len(type_.core))]
        cores = [CORE[core] for core in type_.core]
        return ", ".join(f"{a}: {b}" for a, b in zip(pieces, cores, strict=True)), cores, pieces

    def function_lines(self, function: Declared) -> tuple[list[str], list[str]]:
        """Return the import, and the function that calls it."""
        name = self.names.take(snake(function.name))
        why_not = function.why_not
        if function.uses_references:
            why_not = "Rust has no references to host objects"
        if why_not:
            return [], [*comment(function.doc, "//"), f"// {name} cannot be declared: {why_not}."]
        names = Names({*RESERVED, "result"})
        parameters: list[str] = []
        types: list[str] = []
        passed: list[str] = []
        for slot in function.params:
            parameter, raw_types, arguments = self.parameter(slot, names)
            parameters.append(parameter)
            types += raw_types
            passed += arguments
        if function.outs:
            types += [f"*mut {self.spell(slot.type)}" for slot in function.values]
        result = ""
        if function.optional:
            result = " -> i32"
        elif function.result is not None:
            result = f" -> {self.raw_type(function.result)}"
        numbered = ", ".join(f"a{index}: {type_}" for index, type_ in enumerate(types))
        raw = [
            f"        #[link_name = {escaped(function.import_name)}]",
            f"        pub fn {name}({numbered}){result};",
        ]
        gives, body = self.body(function, f"raw::{name}", passed, result)
        lines = [f"pub fn {name}({', '.join(parameters)}){gives} {{", *(f"    {each}" for each in body), "}"]
        return raw, [*comment(function.doc, "///"), *lines]

    def body(self, function: Declared, raw: str, passed: list[str], result: str) -> tuple[str, list[str]]:
        if not function.outs:
            call = f"unsafe {{ {raw}({', '.join(passed)}) }}"
            if function.optional:
                return " -> Result<(), Errno>", [
                    f"match {call} {{",
                    "    0 => Ok(()),",
                    "    number => Err(Errno(number)),",
                    "}",
                ]
            return result, [call]
        types = [self.spell(slot.type) for slot in function.values]
        outs = [f"out{index}" for index in range(len(types))]
        start = [
            f"let mut {out} = core::mem::MaybeUninit::<{type_}>::zeroed();"
            for out, type_ in zip(outs, types, strict=True)
        ]
        values = [f"{out}.assume_init()" for out in outs]
        value = types[0] if len(types) == 1 else f"({', '.join(types)})"
        final = values[0] if len(values) == 1 else f"({', '.join(values)})"
        call = f"{raw}({', '.join([*passed, *(f'{out}.as_mut_ptr()' for out in outs)])})"
        if function.optional:
            return f" -> Result<{value}, Errno>", [
                *start,
                f"match unsafe {{ {call} }} {{",
                f"    0 => Ok(unsafe {{ {final} }}),",
                "    number => Err(Errno(number)),",
                "}",
            ]
        return f" -> {value}", [*start, "unsafe {", f"    {call};", f"    {final}", "}"]
