"""Bindings for guests in Go: one file, for TinyGo, and for Go itself with GOOS=wasip1."""

from __future__ import annotations

from collections.abc import Sequence

from hostmod.tools.bindgen.model import (
    HEADER,
    Declared,
    Interface,
    Names,
    Type,
    camel,
    comment,
    doc_of,
    pascal,
    snake,
)
from hostmod.tools.bindgen.writer import DeclaringWriter, Passing, Spelling, indented, only
from hostmod.types.buffers import BytesType
from hostmod.types.enums import EnumType
from hostmod.types.pointer import ListType, PointerType
from hostmod.types.scalar import BoolType, DurationType, FloatType, IntegerType
from hostmod.types.structs import StructType
from hostmod.types.text import CStringType, StringType

RESERVED = frozenset(
    "break case chan const continue default defer else fallthrough for func go goto if import interface "
    "map package range return select struct switch type var any bool byte comparable complex64 complex128 "
    "error float32 float64 int int8 int16 int32 int64 rune string uint uint8 uint16 uint32 uint64 uintptr "
    "true false iota nil append cap clear close complex copy delete imag len make max min new panic print "
    "println real recover unsafe time strconv runtime bytes boolWord number init main Errno Text Slice "
    "Address MakeText MakeSlice AddressOf escaped".split()
)

PRELUDE = """\
// Errno says what went wrong, by its number.
type Errno int32

func (e Errno) Error() string {
	return "errno " + strconv.Itoa(int(e))
}

// Address is where something lies in the guest's memory. What it is the address of has to be kept alive.
type Address uint32

// escaped makes the compiler put what it points to on the heap, which does not move.
var escaped unsafe.Pointer

// AddressOf returns the address of a value.
func AddressOf(pointer unsafe.Pointer) Address {
	escaped = pointer
	return Address(uintptr(pointer))
}

// Text is a string as it lies in memory. The string has to be kept alive.
type Text struct {
	Data   Address
	Length uint32
}

// MakeText returns where a string lies.
func MakeText(text string) Text {
	return Text{AddressOf(unsafe.Pointer(unsafe.StringData(text))), uint32(len(text))}
}

// Slice is a slice as it lies in memory. The slice has to be kept alive.
type Slice[T any] struct {
	Data   Address
	Length uint32
}

// MakeSlice returns where a slice lies.
func MakeSlice[T any](items []T) Slice[T] {
	return Slice[T]{AddressOf(unsafe.Pointer(unsafe.SliceData(items))), uint32(len(items))}
}

func number(value bool) uint32 {
	if value {
		return 1
	}
	return 0
}"""


def generate(interfaces: Sequence[Interface]) -> str:
    """Write the file; DeclarationError for several modules, since a Go package has one set of names."""
    return "\n".join(_Writer(only(interfaces, "tinygo", "a package")).lines()) + "\n"


def package_name(module: str) -> str:
    """Name the package of a module."""
    return snake(module).replace("_", "") or "host"


class _Writer(DeclaringWriter):
    """Writes one interface, as a package."""

    reserved = RESERVED
    no_references = "Go has no references to host objects"
    errno_result, no_result = "int32", ""
    declaration, piece = "{name} {type}", "{name}{index}"
    spelling = Spelling(
        core={"i32": "uint32", "i64": "uint64", "f32": "float32", "f64": "float64"},
        bool="bool",
        signed="int{bits}",
        unsigned="uint{bits}",
        floats={32: "float32", 64: "float64"},
        duration="time.Duration",
        pointer="Address",
        cstring="Address",
        string="Text",
        slice="Slice[{of}]",
        octets="Slice[byte]",
        array="[{n}]{of}",
        octet_array="[{n}]byte",
    )

    def __init__(self, interface: Interface) -> None:
        super().__init__(interface)
        self.functions = {id(each): self.names.take(pascal(each.name)) for each in interface.functions}

    def lines(self) -> list[str]:
        found = self.interface
        package = package_name(found.name)
        package += "_" if package in RESERVED else ""
        body: list[str] = []
        if found.errors:
            width = max(len(str(number)) for number, _, _ in found.errors)
            rows = [
                f"{self.names.take(name)} Errno = {str(number).ljust(width)} // {why}"
                for number, name, why in found.errors
            ]
            body += [
                "",
                "// The errors of this module, and the Python exceptions that they stand for.",
                "const (",
                *_aligned(rows),
                ")",
            ]
        body += [*self.all_types(), *self.all_functions()]
        text = f"Package {package} is the host module {found.name!r}." + (
            f" {found.doc}" if found.doc else ""
        )
        head = [
            f"// Code generated: {HEADER.format(language='tinygo')} DO NOT EDIT.",
            "//",
            "// How Python's annotations arrive here:",
            "//",
            "//	String            string",
            "//	CString           []byte that ends with a 0",
            "//	Bytes             []byte         a buffer that the host reads or fills",
            "//	Array[T] List[T]  []T",
            "//	Pointer[T]        *T             a T that the host reads or fills",
            "//	Duration          time.Duration",
            "//	Error             error          nil, or an Errno",
            "//	Optional[T]       (T, error)",
            "//	tuple[A, B]       (A, B)",
            "",
            *comment(text, "//"),
            f"package {package}",
            "",
            "import (",
            '\t"runtime"',
            '\t"strconv"',
            '\t"time"',
            '\t"unsafe"',
            ")",
            "",
            "var _ = runtime.KeepAlive",
            "var _ time.Duration",
            "",
        ]
        return [*head, *PRELUDE.splitlines(), *body]

    def tag_name(self, name: str) -> str:
        return name + ("Type" if name in self.functions.values() else "")

    def opaque_lines(self, type_: Type) -> list[str]:
        # Go has no way to ask for an alignment: a number of that size has it.
        tag = self.tag(type_)
        word = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}[type_.align]
        return [
            f"// {tag} is {type_}: hostmod knows its size only.",
            f"type {tag} struct {{",
            f"\tWords [{type_.size // type_.align}]{word}",
            "}",
        ]

    def enum_lines(self, type_: EnumType) -> list[str]:
        tag, base = self.tag(type_), self.spell(type_.base)
        lines = [*comment(doc_of(type_), "//"), f"type {tag} {base}", "", "const ("]
        rows = []
        for name, member in type_.cls.__members__.items():
            rows.append(f"\t{self.names.take(tag + pascal(name.lower()))} {tag} = {int(member)}")
        return [*lines, *_aligned(rows), ")"]

    def struct_lines(self, type_: StructType) -> list[str]:
        tag, names = self.tag(type_), Names({"_"})
        lines = [*comment(doc_of(type_), "//"), f"type {tag} struct {{"]
        checks = [
            "// The layout that Python has: an index that is not 0 does not compile.",
            f"var _ = [1]struct{{}}{{}}[unsafe.Sizeof({tag}{{}})-{type_.size}]",
        ]
        rows = []
        for each in type_.fields:
            name = names.take(pascal(each.name))
            rows.append(f"\t{name} {self.spell(each.type)}")
            checks.append(f"var _ = [1]struct{{}}{{}}[unsafe.Offsetof({tag}{{}}.{name})-{each.offset}]")
        return [*lines, *_aligned(rows), "}", "", *checks]

    def raw(self, type_: Type) -> str:
        """Spell one core value: Go passes those of 32 or 64 bits."""
        if isinstance(type_, DurationType):
            return "int64"
        base = type_.base if isinstance(type_, EnumType) else type_
        if isinstance(base, IntegerType):
            return f"{'' if base.signed else 'u'}int{64 if base.bits == 64 else 32}"
        return self.spelling.core[type_.core[0]]

    def parameter_name(self, name: str) -> str:
        return camel(name)

    def known_parameter(self, type_: Type, name: str, names: Names) -> Passing | None:
        pointer, length = "unsafe.Pointer", f"uint32(len({name}))"
        if isinstance(type_, StringType):
            given = [f"{pointer}(unsafe.StringData({name}))", length]
            return Passing([f"{name} string"], [pointer, "uint32"], given, [name])
        start = f"{pointer}(unsafe.SliceData({name}))"
        if isinstance(type_, CStringType):
            return Passing([f"{name} []byte"], [pointer], [start], [name])
        if isinstance(type_, BytesType | ListType):
            declared = f"{name} []{self.element(type_, 'byte')}"
            return Passing([declared], [pointer, "uint32"], [start, length], [name])
        if isinstance(type_, PointerType):
            declared = f"{name} *{self.spell(type_.element)}"
            return Passing([declared], [pointer], [f"{pointer}({name})"], [name])
        if isinstance(type_, BoolType):
            return Passing([f"{name} bool"], ["uint32"], [f"number({name})"])
        if isinstance(type_, IntegerType | FloatType | EnumType):
            spelled, core = self.spell(type_), self.raw(type_)
            return Passing([f"{name} {spelled}"], [core], [name if spelled == core else f"{core}({name})"])
        return None

    def function_lines(self, function: Declared) -> list[str]:
        name = self.functions[id(function)]
        why_not = self.why_not(function)
        if any(each.isspace() for each in function.import_name + self.interface.name):
            why_not = "Go cannot import a name with a space in it"
        lines = comment(function.doc, "//")
        if why_not:
            return [*lines, f"// {name} cannot be declared: {why_not}."]
        passing = self.passing(function, Names({*RESERVED, "result"}))
        passing.types += ["unsafe.Pointer"] * len(function.outs)
        result = self.raw_result(function)
        raw = self.names.take(f"raw{name}")
        numbered = ", ".join(f"{place} {type_}" for place, type_ in passing.numbered)
        found = [
            f"//go:wasmimport {self.interface.name} {function.import_name}",
            f"func {raw}({numbered}){result and f' {result}'}",
            "",
        ]
        gives, body = self.body(function, raw, passing)
        wrapper = [f"func {name}({', '.join(passing.parameters)}){gives} {{", *indented(body, "\t"), "}"]
        return [*found, *lines, *wrapper]

    def body(self, function: Declared, raw: str, passing: Passing) -> tuple[str, list[str]]:
        passed = passing.given
        keep = [f"runtime.KeepAlive({each})" for each in passing.besides]
        if not function.outs:
            call = f"{raw}({', '.join(passed)})"
            if function.optional:
                return " error", [
                    f"errno := Errno({call})",
                    *keep,
                    "if errno != 0 {",
                    "\treturn errno",
                    "}",
                    "return nil",
                ]
            type_ = function.result
            if type_ is None:
                return "", [call, *keep]
            if isinstance(type_, BoolType):
                return " bool", [f"result := {call}", *keep, "return result != 0"]
            if not isinstance(type_, IntegerType | FloatType | EnumType | PointerType | CStringType):
                return f" {self.raw(type_)}", [f"result := {call}", *keep, "return result"]
            return f" {self.spell(type_)}", [
                f"result := {call}",
                *keep,
                f"return {self.spell(type_)}(result)",
            ]
        types = [self.spell(slot.type) for slot in function.values]
        values = [f"value{index}" for index in range(len(types))]
        start = [f"var {value} {type_}" for value, type_ in zip(values, types, strict=True)]
        outs = [f"unsafe.Pointer(&{value})" for value in values]
        call = f"{raw}({', '.join([*passed, *outs])})"
        if function.optional:
            return f" ({', '.join([*types, 'error'])})", [
                *start,
                f"errno := Errno({call})",
                *keep,
                "if errno != 0 {",
                f"\treturn {', '.join([*values, 'errno'])}",
                "}",
                f"return {', '.join([*values, 'nil'])}",
            ]
        one = f" {types[0]}" if len(types) == 1 else f" ({', '.join(types)})"
        return one, [*start, call, *keep, f"return {', '.join(values)}"]


def _aligned(rows: list[str]) -> list[str]:
    """Line up what follows the first words of rows, as gofmt does."""
    split = [row.strip().split(" ", 1) for row in rows]
    width = max((len(first) for first, _ in split), default=0)
    return [f"\t{first.ljust(width)} {rest}" for first, rest in split]
