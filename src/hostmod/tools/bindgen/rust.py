"""Bindings for guests in Rust: one file, for edition 2021 and Rust 1.77 or newer, with slices, `Result` and `&str`."""

from __future__ import annotations

from collections.abc import Sequence

from hostmod.tools.bindgen.model import (
    HEADER,
    Declared,
    Interface,
    Names,
    Type,
    comment,
    doc_of,
    escaped,
    shout,
    snake,
)
from hostmod.tools.bindgen.writer import ImportingWriter, Passing, Spelling, indented
from hostmod.types.buffers import BytesType
from hostmod.types.enums import EnumType
from hostmod.types.pointer import ListType, NullablePointerType, PointerType
from hostmod.types.structs import StructType
from hostmod.types.text import CStringType, StringType

RESERVED = frozenset(
    "as async await break const continue crate dyn else enum extern false fn for if impl in let loop match "
    "mod move mut pub ref return self Self static struct super trait true type unsafe use where while "
    "abstract become box do final macro override priv try typeof unsized virtual yield union bool char str "
    "i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 usize isize Errno Slice Text Result Option Ok Err Some None raw "
    "core std".split()
)

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


class _Writer(ImportingWriter):
    """Writes one interface, as a module."""

    reserved = RESERVED
    no_references = "Rust has no references to host objects"
    no_result = "()"
    spelling = Spelling(
        core={"i32": "u32", "i64": "u64", "f32": "f32", "f64": "f64"},
        bool="bool",
        signed="i{bits}",
        unsigned="u{bits}",
        floats={32: "f32", 64: "f64"},
        pointer="*mut {of}",
        cstring="*const u8",
        string="Text",
        slice="Slice<{of}>",
        octets="Slice<u8>",
        array="[{of}; {n}]",
        octet_array="[u8; {n}]",
    )

    def __init__(self, interface: Interface, space: str) -> None:
        super().__init__(interface)
        self.space = space

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
        body += self.all_types()
        raw, wrappers = self.all_imports()
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
        return [*comment(self.title, "///"), f"pub mod {self.space} {{", *indented(body), "}"]

    def opaque_lines(self, type_: Type) -> list[str]:
        return [
            f"/// {type_}: hostmod knows its size only.",
            "#[derive(Clone, Copy, Debug)]",
            f"#[repr(C, align({type_.align}))]",
            f"pub struct {self.tag(type_)}(pub [u8; {type_.size}]);",
        ]

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

    def parameter_name(self, name: str) -> str:
        return snake(name)

    def known_parameter(self, type_: Type, name: str, names: Names) -> Passing | None:
        length = f"{name}.len() as u32"
        if isinstance(type_, StringType):
            return Passing([f"{name}: &str"], ["*const u8", "u32"], [f"{name}.as_ptr()", length])
        if isinstance(type_, CStringType):
            return Passing([f"{name}: &std::ffi::CStr"], ["*const u8"], [f"{name}.as_ptr() as *const u8"])
        if isinstance(type_, BytesType | ListType):
            element = self.element(type_, "u8")
            return Passing(
                [f"{name}: &mut [{element}]"], [f"*mut {element}", "u32"], [f"{name}.as_mut_ptr()", length]
            )
        if isinstance(type_, PointerType):
            element = self.spell(type_.element)
            if isinstance(type_, NullablePointerType):
                given = f"{name}.map_or(core::ptr::null_mut(), |value| value as *mut {element})"
                return Passing([f"{name}: Option<&mut {element}>"], [f"*mut {element}"], [given])
            return Passing([f"{name}: &mut {element}"], [f"*mut {element}"], [name])
        return None

    def import_lines(self, function: Declared) -> tuple[list[str], list[str]]:
        name = self.names.take(snake(function.name))
        why_not = self.why_not(function)
        if why_not:
            return [], [*comment(function.doc, "//"), f"// {name} cannot be declared: {why_not}."]
        passing = self.passing(function, Names({*RESERVED, "result"}))
        if function.outs:
            passing.types += [f"*mut {self.spell(slot.type)}" for slot in function.values]
        result = self.raw_result(function)
        result = "" if result == self.no_result else f" -> {result}"
        numbered = ", ".join(f"{place}: {type_}" for place, type_ in passing.numbered)
        raw = [
            f"        #[link_name = {escaped(function.import_name)}]",
            f"        pub fn {name}({numbered}){result};",
        ]
        gives, body = self.body(function, f"raw::{name}", passing.given, result)
        lines = [f"pub fn {name}({', '.join(passing.parameters)}){gives} {{", *indented(body), "}"]
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
