"""Bindings for guests in AssemblyScript: one file, with strings, arrays and classes over memory."""

from __future__ import annotations

from collections.abc import Sequence

from hostmod.tools.bindgen.model import (
    HEADER,
    Declared,
    Interface,
    Names,
    Type,
    block,
    camel,
    doc_of,
    escaped,
    pascal,
)
from hostmod.tools.bindgen.writer import DeclaringWriter, Passing, Spelling, indented, is_number, only
from hostmod.types.buffers import ArrayType, BytesType
from hostmod.types.enums import EnumType
from hostmod.types.pointer import ListType, NullablePointerType, PointerType
from hostmod.types.structs import FixedArrayType, FixedBytesType, StructType
from hostmod.types.text import CStringType, StringType

RESERVED = frozenset(
    "abstract as async await break case catch class const constructor continue debugger declare default delete do else "
    "enum export extends false finally for from function get if implements import in instanceof interface is keyof let "
    "module namespace new null of package private protected public readonly return set static super switch this throw "
    "true try type typeof undefined var void while with yield string bool boolean number i8 i16 i32 i64 u8 u16 u32 u64 "
    "f32 f64 isize usize v128 anyref externref funcref auto native Array ArrayBuffer Box Date Error Map Math Object "
    "Result Set StaticArray String Uint8Array heap load store sizeof changetype memory assert abort trace raw "
    "ptr owner keep SIZE stringsOf cstringAt".split()
)


def generate(interfaces: Sequence[Interface]) -> str:
    """Write the file; DeclarationError for several modules, since their names would meet in it."""
    lines = [
        f"// {HEADER.format(language='assemblyscript')}",
        "//",
        "// How Python's annotations arrive here:",
        "//",
        "//     String             string",
        "//     Bytes              Uint8Array       a buffer that the host reads or fills",
        "//     Array[T] List[T]   StaticArray<T>   of a struct: its own list class; of String: string[]",
        "//     Pointer[T]         Box<T>           a T that the host reads or fills; of a struct: the struct",
        "//     @struct            a class whose fields lie in memory as Python has them",
        "//     Duration           i64              nanoseconds",
        "//     Error              i32              0, or the errno of what went wrong",
        "//     Optional[T]        Result<T>        error is 0, or the errno, and value counts if it is 0",
        "//     tuple[A, B]        a class with value0, value1",
        "",
        *PRELUDE.splitlines(),
        "",
        *_Writer(only(interfaces, "assemblyscript", "a file")).lines(),
    ]
    return "\n".join(lines) + "\n"


PRELUDE = """\
/** One value that the host can read and fill. */
export class Box<T> {
  constructor(public value: T) {}
}

/** A value, or what went wrong in its place. */
export class Result<T> {
  constructor(public error: i32, public value: T) {}
}

/** Texts as the host sees a list of them: pointers and lengths. `keep` holds the bytes. */
function stringsOf(texts: string[], keep: ArrayBuffer[]): StaticArray<u32> {
  const found = new StaticArray<u32>(texts.length * 2);
  for (let i = 0; i < texts.length; i++) {
    const bytes = String.UTF8.encode(texts[i]);
    keep.push(bytes);
    found[2 * i] = <u32>changetype<usize>(bytes);
    found[2 * i + 1] = bytes.byteLength;
  }
  return found;
}

function cstringAt(ptr: usize): string {
  let end = ptr;
  while (load<u8>(end)) end++;
  return String.UTF8.decodeUnsafe(ptr, end - ptr);
}"""


class _Writer(DeclaringWriter):
    """Writes one interface."""

    reserved = RESERVED
    piece = "{name}{index}"
    spelling = Spelling(
        core={"i32": "u32", "i64": "u64", "f32": "f32", "f64": "f64", "externref": "externref"},
        bool="bool",
        signed="i{bits}",
        unsigned="u{bits}",
        floats={32: "f32", 64: "f64"},
    )

    def __init__(self, interface: Interface) -> None:
        super().__init__(interface)
        self.functions = {id(each): self.names.take(camel(each.name)) for each in interface.functions}

    def lines(self) -> list[str]:
        found = self.interface
        lines = block(self.title)
        if found.errors:
            lines += ["", "/* Error numbers, and the Python exceptions that they stand for. */"]
            lines += [
                f"export const {self.names.take(name)}: i32 = {number}; /* {why} */"
                for number, name, why in found.errors
            ]
        lines += [*self.all_types(), *self.all_functions()]
        return lines

    def type_lines(self, type_: Type) -> list[str]:
        if isinstance(type_, ListType) and isinstance(type_.element, StructType):
            return self.list_lines(type_.element)
        return super().type_lines(type_)

    def enum_lines(self, type_: EnumType) -> list[str]:
        tag, names = self.tag(type_), Names()
        lines = block(doc_of(type_))
        members = [(names.take(name), int(member)) for name, member in type_.cls.__members__.items()]
        if self.is_plain_enum(type_):
            return [
                *lines,
                f"export enum {tag} {{",
                *(f"  {name} = {value}," for name, value in members),
                "}",
            ]
        base = self.scalar(type_.base)
        return [
            *lines,
            f"export namespace {tag} {{",
            *(f"  export const {name}: {base} = {value};" for name, value in members),
            "}",
        ]

    def is_plain_enum(self, type_: EnumType) -> bool:
        return type_.base.bits <= 32 and all(
            -(2**31) <= int(member) < 2**31 for member in type_.cls.__members__.values()
        )

    def scalar(self, type_: Type) -> str:
        """Spell a number as it lies in memory; empty for what is no number."""
        if not is_number(type_):
            return ""
        return super().spell(type_.base if isinstance(type_, EnumType) else type_)

    def spell(self, type_: Type) -> str:
        """Spell a number as it is passed; empty for what is no number."""
        if isinstance(type_, EnumType) and self.is_plain_enum(type_):
            return self.tag(type_)
        return self.scalar(type_)

    def list_lines(self, element: StructType) -> list[str]:
        tag = self.tag(element)
        name = self.names.take(f"{tag}List")
        self.tags[ListType(element)] = name
        return [
            f"/** A list of {tag}, as the host reads and fills it. */",
            f"export class {name} {{",
            "  readonly ptr: usize;",
            "  readonly owner: ArrayBuffer;",
            "  constructor(public readonly length: i32) {",
            f"    this.owner = new ArrayBuffer(length * {element.size});",
            "    this.ptr = changetype<usize>(this.owner);",
            "  }",
            f"  at(index: i32): {tag} {{",
            "    assert(<u32>index < <u32>this.length);",
            f"    return new {tag}(this.ptr + <usize>index * {element.size}, this.owner);",
            "  }",
            "}",
        ]

    def struct_lines(self, type_: StructType) -> list[str]:
        tag, names = self.tag(type_), Names(RESERVED)
        lines = [
            *block(doc_of(type_)),
            f"export class {tag} {{",
            f"  static readonly SIZE: i32 = {type_.size};",
            "  readonly ptr: usize;",
            "  readonly owner: ArrayBuffer;",
            "  private keep: ArrayBuffer[] = [];",
            "  /** A new one of zeros, or what is at an address that its owner keeps. */",
            "  constructor(ptr: usize = 0, owner: ArrayBuffer | null = null) {",
            f"    const own = owner === null ? new ArrayBuffer({type_.size}) : owner;",
            "    this.owner = own;",
            "    this.ptr = owner === null ? changetype<usize>(own) : ptr;",
            "  }",
        ]
        for each in type_.fields:
            lines += self.field_lines(each.type, names.take(camel(each.name)), each.offset)
        return [*lines, "}"]

    def field_lines(self, type_: Type, name: str, at: int) -> list[str]:
        scalar = self.scalar(type_)
        if scalar:
            spelled = self.spell(type_)
            read = f"load<{scalar}>(this.ptr, {at})"
            if spelled != scalar:
                read = f"<{spelled}>{read}"
            return [
                f"  get {name}(): {spelled} {{ return {read}; }}",
                f"  set {name}(value: {spelled}) {{ store<{scalar}>(this.ptr, <{scalar}>value, {at}); }}",
            ]
        if isinstance(type_, StructType):
            tag = self.tag(type_)
            return [
                f"  get {name}(): {tag} {{ return new {tag}(this.ptr + {at}, this.owner); }}",
                f"  set {name}(value: {tag}) {{ memory.copy(this.ptr + {at}, value.ptr, {type_.size}); }}",
            ]
        if isinstance(type_, StringType):
            return [
                f"  get {name}(): string {{",
                f"    return String.UTF8.decodeUnsafe(load<u32>(this.ptr, {at}), load<u32>(this.ptr, {at + 4}));",
                "  }",
                f"  set {name}(value: string) {{",
                "    const bytes = String.UTF8.encode(value);",
                "    this.keep.push(bytes);",
                f"    store<u32>(this.ptr, <u32>changetype<usize>(bytes), {at});",
                f"    store<u32>(this.ptr, bytes.byteLength, {at + 4});",
                "  }",
            ]
        if isinstance(type_, CStringType):
            return [
                f"  get {name}(): string {{ return cstringAt(load<u32>(this.ptr, {at})); }}",
                f"  set {name}(value: string) {{",
                "    const bytes = String.UTF8.encode(value, true);",
                "    this.keep.push(bytes);",
                f"    store<u32>(this.ptr, <u32>changetype<usize>(bytes), {at});",
                "  }",
            ]
        if isinstance(type_, FixedBytesType):
            return [
                f"  {name}At(index: i32): u8 {{",
                f"    assert(<u32>index < {type_.size});",
                f"    return load<u8>(this.ptr + <usize>index, {at});",
                "  }",
                f"  set{pascal(name)}At(index: i32, value: u8): void {{",
                f"    assert(<u32>index < {type_.size});",
                f"    store<u8>(this.ptr + <usize>index, value, {at});",
                "  }",
            ]
        if isinstance(type_, FixedArrayType):
            return self.fixed_lines(type_, name, at)
        if isinstance(type_, BytesType | ListType):
            return [
                f"  get {name}Ptr(): usize {{ return load<u32>(this.ptr, {at}); }}",
                f"  set {name}Ptr(value: usize) {{ store<u32>(this.ptr, <u32>value, {at}); }}",
                f"  get {name}Length(): u32 {{ return load<u32>(this.ptr, {at + 4}); }}",
                f"  set {name}Length(value: u32) {{ store<u32>(this.ptr, value, {at + 4}); }}",
            ]
        if isinstance(type_, PointerType):
            return [
                f"  get {name}Ptr(): usize {{ return load<u32>(this.ptr, {at}); }}",
                f"  set {name}Ptr(value: usize) {{ store<u32>(this.ptr, <u32>value, {at}); }}",
            ]
        return [
            f"  /** {type_}: hostmod knows its size only. */",
            f"  get {name}Ptr(): usize {{ return this.ptr + {at}; }}",
        ]

    def fixed_lines(self, type_: FixedArrayType, name: str, at: int) -> list[str]:
        scalar, element = self.scalar(type_.element), type_.element
        place = f"this.ptr + <usize>index * {element.size}"
        check = f"    assert(<u32>index < {type_.length});"
        if scalar:
            spelled = self.spell(element)
            return [
                f"  {name}At(index: i32): {spelled} {{",
                check,
                f"    return <{spelled}>load<{scalar}>({place}, {at});",
                "  }",
                f"  set{pascal(name)}At(index: i32, value: {spelled}): void {{",
                check,
                f"    store<{scalar}>({place}, <{scalar}>value, {at});",
                "  }",
            ]
        if isinstance(element, StructType):
            tag = self.tag(element)
            return [
                f"  {name}At(index: i32): {tag} {{",
                check,
                f"    return new {tag}({place} + {at}, this.owner);",
                "  }",
            ]
        return [f"  {name}Ptr(index: i32): usize {{", check, f"    return {place} + {at};", "  }"]

    def parameter_name(self, name: str) -> str:
        return camel(name)

    def known_parameter(self, type_: Type, name: str, names: Names) -> Passing | None:
        scalar, spelled = self.scalar(type_), self.spell(type_)
        if scalar:
            return Passing(
                [f"{name}: {spelled}"], [scalar], [name if spelled == scalar else f"<{scalar}>{name}"]
            )
        if isinstance(type_, StringType | CStringType):
            bytes_ = names.take(f"{name}Bytes")
            start, length = f"changetype<usize>({bytes_})", f"{bytes_}.byteLength"
            if isinstance(type_, CStringType):
                before = f"const {bytes_} = String.UTF8.encode({name}, true);"
                return Passing([f"{name}: string"], ["usize"], [start], [before])
            before = f"const {bytes_} = String.UTF8.encode({name});"
            return Passing([f"{name}: string"], ["usize", "u32"], [start, length], [before])
        if isinstance(type_, ArrayType | ListType):
            return self.list_parameter(type_.element, name, names)
        if isinstance(type_, BytesType):
            given = [f"{name}.dataStart", f"{name}.byteLength"]
            return Passing([f"{name}: Uint8Array"], ["usize", "u32"], given)
        if isinstance(type_, PointerType):
            null = " | null" if isinstance(type_, NullablePointerType) else ""
            if isinstance(type_.element, StructType):
                address = f"({name} === null ? 0 : {name}.ptr)" if null else f"{name}.ptr"
                return Passing([f"{name}: {self.tag(type_.element)}{null}"], ["usize"], [address])
            if self.scalar(type_.element):
                # A Box holds its value at its own address; null is the address 0.
                box = f"Box<{self.scalar(type_.element)}>{null}"
                return Passing([f"{name}: {box}"], ["usize"], [f"changetype<usize>({name})"])
            return self.plain(name, "usize")
        return None

    def list_parameter(self, element: Type, name: str, names: Names) -> Passing:
        types = ["usize", "u32"]
        if isinstance(element, StructType):
            declared = f"{name}: {self.tag(ListType(element))}"
            return Passing([declared], types, [f"{name}.ptr", f"{name}.length"])
        if isinstance(element, StringType):
            keep, pairs = names.take(f"{name}Keep"), names.take(f"{name}Pairs")
            before = [f"const {keep}: ArrayBuffer[] = [];", f"const {pairs} = stringsOf({name}, {keep});"]
            given = [f"changetype<usize>({pairs})", f"{name}.length"]
            return Passing([f"{name}: string[]"], types, given, before)
        if self.scalar(element):
            given = [f"changetype<usize>({name})", f"{name}.length"]
            return Passing([f"{name}: StaticArray<{self.scalar(element)}>"], types, given)
        length = names.take(f"{name}Length")
        return Passing([f"{name}: usize", f"{length}: u32"], types, [name, length])

    def function_lines(self, function: Declared) -> list[str]:
        name = self.functions[id(function)]
        lines = block(function.doc)
        if function.why_not:
            return [*lines, f"// {name} cannot be declared: {function.why_not}."]
        passing = self.passing(function, Names({*RESERVED, *self.functions.values(), "error"}))
        passing.types += ["usize"] * len(function.outs)
        raw = f"{name}__raw"
        result = self.raw_result(function)
        numbered = ", ".join(f"{place}: {each}" for place, each in passing.numbered)
        lines_raw = [
            f"@external({escaped(self.interface.name)}, {escaped(function.import_name)})",
            f"declare function {raw}({numbered}): {result};",
        ]
        gives, body, extra = self.body(function, name, raw, passing.given)
        wrapper = [
            f"export function {name}({', '.join(passing.parameters)}): {gives} {{",
            *indented([*passing.besides, *body], "  "),
            "}",
        ]
        return [*extra, *lines_raw, *lines, *wrapper]

    def raw(self, type_: Type) -> str:
        if isinstance(type_, PointerType | CStringType):
            return "usize"
        return self.scalar(type_) or self.spelling.core[type_.core[0]]

    def body(
        self, function: Declared, name: str, raw: str, passed: list[str]
    ) -> tuple[str, list[str], list[str]]:
        """Return the wrapper's result, its statements, and the class of the result if it needs one."""
        if not function.outs:
            call = f"{raw}({', '.join(passed)})"
            result = self.raw_result(function)
            if function.optional or function.result is None:
                return result, [f"return {call};" if function.optional else f"{call};"], []
            spelled = self.spell(function.result) or result
            return spelled, [f"return {call};" if spelled == result else f"return <{spelled}>{call};"], []
        places: list[str] = []
        start: list[str] = []
        values: list[str] = []
        types: list[str] = []
        for index, slot in enumerate(function.values):
            scalar = self.scalar(slot.type)
            place = f"out{index}"
            if scalar:
                start.append(
                    f"const {place} = new Box<{scalar}>(0);"
                    if scalar != "bool"
                    else f"const {place} = new Box<bool>(false);"
                )
                places.append(f"changetype<usize>({place})")
                types.append(self.spell(slot.type))
                values.append(f"{place}.value" if types[-1] == scalar else f"<{types[-1]}>{place}.value")
            else:
                # What is no number comes as the bytes that stand for it.
                start.append(f"const {place} = new ArrayBuffer({slot.type.size});")
                places.append(f"changetype<usize>({place})")
                types.append("ArrayBuffer")
                values.append(place)
        call = f"{raw}({', '.join([*passed, *places])})"
        extra: list[str] = []
        if len(types) == 1:
            if not function.optional:
                return types[0], [*start, f"{call};", f"return {values[0]};"], extra
            gives = f"Result<{types[0]}>"
        else:
            gives = self.names.take(f"{pascal(name)}Result")
            fields = [f"public value{index}: {each}" for index, each in enumerate(types)]
            if function.optional:
                fields.insert(0, "public error: i32")
            extra = [f"export class {gives} {{", f"  constructor({', '.join(fields)}) {{}}", "}"]
        if function.optional:
            return (
                gives,
                [*start, f"const error = {call};", f"return new {gives}({', '.join(['error', *values])});"],
                extra,
            )
        return gives, [*start, f"{call};", f"return new {gives}({', '.join(values)});"], extra
