"""Bindings for guests in AssemblyScript: one file, with strings, arrays and classes over memory."""

from __future__ import annotations

from collections.abc import Sequence

from hostmod.bindgen.model import (
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
from hostmod.errors import DeclarationError
from hostmod.plan import Slot
from hostmod.types.enums import EnumType
from hostmod.types.pointer import ListType, NullablePointerType, PointerType
from hostmod.types.record import FixedArrayType, FixedBytesType, StructType
from hostmod.types.reference import ExternRefType
from hostmod.types.scalar import BoolType, FloatType, IntegerType
from hostmod.types.text import CStringType, StringType
from hostmod.types.view import ArrayType, BytesType

RESERVED = frozenset(
    "abstract as async await break case catch class const constructor continue debugger declare default delete do else "
    "enum export extends false finally for from function get if implements import in instanceof interface is keyof let "
    "module namespace new null of package private protected public readonly return set static super switch this throw "
    "true try type typeof undefined var void while with yield string bool boolean number i8 i16 i32 i64 u8 u16 u32 u64 "
    "f32 f64 isize usize v128 anyref externref funcref auto native Array ArrayBuffer Box Date Error Map Math Object "
    "Result Set StaticArray String Uint8Array heap load store sizeof changetype memory assert abort trace raw "
    "ptr owner keep SIZE stringsOf cstringAt".split()
)

CORE = {"i32": "u32", "i64": "u64", "f32": "f32", "f64": "f64", "externref": "externref"}


def generate(interfaces: Sequence[Interface]) -> str:
    """Write the file; DeclarationError for several modules, since their names would meet in it."""
    if len(interfaces) != 1:
        raise DeclarationError(
            "bindgen assemblyscript",
            ", ".join(each.name for each in interfaces),
            "one host module",
            "give each a file of its own",
        )
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
        *_Writer(interfaces[0]).lines(),
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


class _Writer:
    """Writes one interface."""

    def __init__(self, interface: Interface) -> None:
        self.interface = interface
        self.names = Names(RESERVED)
        self.functions = {id(each): self.names.take(camel(each.name)) for each in interface.functions}
        self.tags: dict[Type, str] = {}

    def lines(self) -> list[str]:
        found = self.interface
        lines = block(f"The host module {escaped(found.name)}." + (f" {found.doc}" if found.doc else ""))
        if found.errors:
            lines += ["", "/* Error numbers, and the Python exceptions that they stand for. */"]
            lines += [
                f"export const {self.names.take(name)}: i32 = {number}; /* {why} */"
                for number, name, why in found.errors
            ]
        for each in found.reached:
            declared = self.type_lines(each)
            if declared:
                lines += ["", *declared]
        for function in found.functions:
            lines += ["", *self.function_lines(function)]
        return lines

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
        if isinstance(type_, ListType) and isinstance(type_.element, StructType):
            return self.list_lines(type_.element)
        return []

    def enum_lines(self, type_: EnumType) -> list[str]:
        tag, names = self.tag(type_), Names()
        lines = block(doc_of(type_))
        members = [(names.take(name), int(member)) for name, member in type_.cls.__members__.items()]
        if all(-(2**31) <= value < 2**31 for _, value in members) and type_.base.bits <= 32:
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
        if isinstance(type_, BoolType):
            return "bool"
        if isinstance(type_, IntegerType):
            return f"{'i' if type_.signed else 'u'}{type_.bits}"
        if isinstance(type_, FloatType):
            return f"f{8 * type_.size}"
        if isinstance(type_, EnumType):
            return self.scalar(type_.base)
        return ""

    def spell(self, type_: Type) -> str:
        """Spell a number as it is passed."""
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

    def parameter(self, slot: Slot, names: Names) -> tuple[str, list[str], list[str], list[str]]:
        """Return a parameter, those of the import that it becomes, what is passed for them, and what goes before."""
        type_, name = slot.type, names.take(camel(slot.name))
        scalar = self.scalar(type_)
        if scalar:
            spelled = self.spell(type_)
            return f"{name}: {spelled}", [scalar], [name if spelled == scalar else f"<{scalar}>{name}"], []
        if isinstance(type_, StringType | CStringType):
            bytes_ = names.take(f"{name}Bytes")
            if isinstance(type_, CStringType):
                before = [f"const {bytes_} = String.UTF8.encode({name}, true);"]
                return f"{name}: string", ["usize"], [f"changetype<usize>({bytes_})"], before
            before = [f"const {bytes_} = String.UTF8.encode({name});"]
            passed = [f"changetype<usize>({bytes_})", f"{bytes_}.byteLength"]
            return f"{name}: string", ["usize", "u32"], passed, before
        if isinstance(type_, ArrayType | ListType):
            return self.list_parameter(type_, name, names)
        if isinstance(type_, BytesType):
            return f"{name}: Uint8Array", ["usize", "u32"], [f"{name}.dataStart", f"{name}.byteLength"], []
        if isinstance(type_, PointerType):
            null = " | null" if isinstance(type_, NullablePointerType) else ""
            if isinstance(type_.element, StructType):
                address = f"({name} === null ? 0 : {name}.ptr)" if null else f"{name}.ptr"
                return f"{name}: {self.tag(type_.element)}{null}", ["usize"], [address], []
            if self.scalar(type_.element):
                # A Box holds its value at its own address; null is the address 0.
                box = f"Box<{self.scalar(type_.element)}>{null}"
                return f"{name}: {box}", ["usize"], [f"changetype<usize>({name})"], []
            return f"{name}: usize", ["usize"], [name], []
        if len(type_.core) == 1:
            core = CORE[type_.core[0]]
            return f"{name}: {core}", [core], [name], []
        pieces = [names.take(f"{name}{index}") for index in range(len(type_.core))]
        cores = [CORE[core] for core in type_.core]
        return ", ".join(f"{a}: {b}" for a, b in zip(pieces, cores, strict=True)), cores, pieces, []

    def list_parameter(
        self, type_: ArrayType | ListType, name: str, names: Names
    ) -> tuple[str, list[str], list[str], list[str]]:
        element = type_.element
        if isinstance(element, StructType):
            return (
                f"{name}: {self.tag(ListType(element))}",
                ["usize", "u32"],
                [f"{name}.ptr", f"{name}.length"],
                [],
            )
        if isinstance(element, StringType):
            keep, pairs = names.take(f"{name}Keep"), names.take(f"{name}Pairs")
            before = [f"const {keep}: ArrayBuffer[] = [];", f"const {pairs} = stringsOf({name}, {keep});"]
            return (
                f"{name}: string[]",
                ["usize", "u32"],
                [f"changetype<usize>({pairs})", f"{name}.length"],
                before,
            )
        if self.scalar(element):
            spelled = f"{name}: StaticArray<{self.scalar(element)}>"
            return spelled, ["usize", "u32"], [f"changetype<usize>({name})", f"{name}.length"], []
        length = names.take(f"{name}Length")
        return f"{name}: usize, {length}: u32", ["usize", "u32"], [name, length], []

    def function_lines(self, function: Declared) -> list[str]:
        name = self.functions[id(function)]
        lines = block(function.doc)
        if function.why_not:
            return [*lines, f"// {name} cannot be declared: {function.why_not}."]
        names = Names({*RESERVED, *self.functions.values(), "error"})
        parameters: list[str] = []
        types: list[str] = []
        passed: list[str] = []
        before: list[str] = []
        for slot in function.params:
            parameter, raw_types, arguments, first = self.parameter(slot, names)
            parameters.append(parameter)
            types += raw_types
            passed += arguments
            before += first
        types += ["usize"] * len(function.outs)
        raw = f"{name}__raw"
        result = self.raw_result(function)
        numbered = ", ".join(f"a{index}: {each}" for index, each in enumerate(types))
        lines_raw = [
            f"@external({escaped(self.interface.name)}, {escaped(function.import_name)})",
            f"declare function {raw}({numbered}): {result};",
        ]
        gives, body, extra = self.body(function, name, raw, passed)
        wrapper = [
            f"export function {name}({', '.join(parameters)}): {gives} {{",
            *(f"  {each}" for each in (*before, *body)),
            "}",
        ]
        return [*extra, *lines_raw, *lines, *wrapper]

    def raw_result(self, function: Declared) -> str:
        if function.optional:
            return "i32"
        if function.result is None:
            return "void"
        if isinstance(function.result, PointerType | CStringType):
            return "usize"
        if isinstance(function.result, ExternRefType):
            return "externref"
        return self.scalar(function.result) or CORE[function.result.core[0]]

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
