"""Bindings for guests in C++: one header, C++20, with spans and string views; no exceptions needed."""

from __future__ import annotations

from collections.abc import Sequence

from hostmod.tools.bindgen.c import RESERVED as C_RESERVED
from hostmod.tools.bindgen.c import quoted
from hostmod.tools.bindgen.model import HEADER, Declared, Interface, Names, Type, block, doc_of, snake
from hostmod.tools.bindgen.writer import DeclaringWriter, Passing, Spelling, indented
from hostmod.types.buffers import BytesType
from hostmod.types.enums import EnumType
from hostmod.types.pointer import ListType
from hostmod.types.scalar import DurationType
from hostmod.types.structs import FixedArrayType, FixedBytesType, StructType
from hostmod.types.text import StringType

RESERVED = C_RESERVED | frozenset(
    "and and_eq bitand bitor catch char8_t char16_t char32_t class co_await co_return co_yield compl "
    "concept consteval constinit const_cast decltype delete dynamic_cast explicit export friend mutable "
    "namespace new noexcept not not_eq operator or or_eq private protected public reinterpret_cast "
    "requires static_cast template this throw try typeid typename using virtual wchar_t xor xor_eq raw std "
    "hostmod".split()
)

PRELUDE = """\
#ifndef HOSTMOD_PRELUDE
#define HOSTMOD_PRELUDE
namespace hostmod {

/* A pointer and a length, as they lie in memory. */
template <class T> struct Slice {
    T *data = nullptr;
    std::uint32_t length = 0;
    constexpr operator std::span<T>() const { return {data, length}; }
};
struct String {
    const char *data = nullptr;
    std::uint32_t length = 0;
    constexpr operator std::string_view() const { return {data, length}; }
};

/* What went wrong; true if something did. */
struct [[nodiscard]] Error {
    std::int32_t number = 0;
    constexpr explicit operator bool() const { return number != 0; }
    constexpr bool operator==(const Error &) const = default;
};

/* A value, or what went wrong in its place; true if it is the value. */
template <class T> struct [[nodiscard]] Result {
    T value{};
    Error error{};
    constexpr explicit operator bool() const { return !error; }
    constexpr const T &operator*() const { return value; }
    constexpr const T *operator->() const { return &value; }
    constexpr T value_or(T other) const { return error ? other : value; }
};

} // namespace hostmod
#endif"""


def generate(interfaces: Sequence[Interface]) -> str:
    """Write the header."""
    lines = [
        f"/* {HEADER.format(language='cpp')}",
        " *",
        " * How Python's annotations arrive here:",
        " *",
        " *     String            std::string_view         UTF-8",
        " *     Bytes             std::span<std::uint8_t>  a buffer that the host reads or fills",
        " *     Array[T] List[T]  std::span<T>",
        " *     Pointer[T]        T *                      a T that the host reads or fills",
        " *     Duration          std::chrono::nanoseconds",
        " *     Error             hostmod::Error           true if something went wrong; its number",
        " *     Optional[T]       hostmod::Result<T>       true if there is a value",
        " *     tuple[A, B]       std::tuple<A, B>",
        " */",
        "#pragma once",
        "",
        "#include <array>",
        "#include <chrono>",
        "#include <cstddef>",
        "#include <cstdint>",
        "#include <span>",
        "#include <string_view>",
        "#include <tuple>",
        "",
        PRELUDE,
    ]
    for each in interfaces:
        lines += ["", *_Writer(each).lines()]
    return "\n".join(lines) + "\n"


class _Writer(DeclaringWriter):
    """Writes one interface, as a namespace."""

    reserved = RESERVED
    errno_result = "std::int32_t"
    declaration = "{type} {name}"
    spelling = Spelling(
        core={
            "i32": "std::uint32_t",
            "i64": "std::uint64_t",
            "f32": "float",
            "f64": "double",
            "externref": "__externref_t",
        },
        bool="bool",
        signed="std::int{bits}_t",
        unsigned="std::uint{bits}_t",
        floats={32: "float", 64: "double"},
        duration="std::chrono::duration<std::int64_t, std::nano>",
        pointer="{of} *",
        cstring="const char *",
        string="hostmod::String",
        slice="hostmod::Slice<{of}>",
        octets="hostmod::Slice<std::uint8_t>",
        array="std::array<{of}, {n}>",
        octet_array="std::array<unsigned char, {n}>",
    )

    def __init__(self, interface: Interface) -> None:
        super().__init__(interface)
        self.space = self.names.take(snake(interface.name))

    def lines(self) -> list[str]:
        found = self.interface
        lines = [*block(self.title), f"namespace {self.space} {{"]
        if found.errors:
            lines += ["", "/* Error numbers, and the Python exceptions that they stand for. */"]
            lines += [
                f"inline constexpr hostmod::Error {self.names.take(name.lower())}{{{number}}}; /* {why} */"
                for number, name, why in found.errors
            ]
        lines += [*self.all_types(), *self.all_functions()]
        return [*lines, "", f"}} // namespace {self.space}"]

    def opaque_lines(self, type_: Type) -> list[str]:
        return [
            f"/* {type_}: hostmod knows its size only. */",
            f"struct alignas({type_.align}) {self.tag(type_)} {{",
            f"    unsigned char bytes[{type_.size}];",
            "};",
        ]

    def enum_lines(self, type_: EnumType) -> list[str]:
        tag, names = self.tag(type_), Names(RESERVED)
        base = self.spell(type_.base)
        lines = [*block(doc_of(type_)), f"enum class {tag} : {base} {{"]
        for name, member in type_.cls.__members__.items():
            lines.append(f"    {names.take(snake(name))} = {self.literal(int(member), type_)},")
        lines.append("};")
        if type_.is_flag:
            for operator in "|", "&":
                lines += [
                    f"constexpr {tag} operator{operator}({tag} a, {tag} b) {{",
                    f"    return static_cast<{tag}>(static_cast<{base}>(a) {operator} static_cast<{base}>(b));",
                    "}",
                ]
        return lines

    @staticmethod
    def literal(value: int, type_: EnumType) -> str:
        if type_.base.bits < 64:
            return str(value)
        return f"{value}LL" if type_.base.signed else f"{value}ULL"

    def struct_lines(self, type_: StructType) -> list[str]:
        tag, names = self.tag(type_), Names(RESERVED)
        lines = [*block(doc_of(type_)), f"struct {tag} {{"]
        offsets = []
        for each in type_.fields:
            name = names.take(each.name)
            lines.append(f"    {self.field(each.type, name)};")
            offsets.append(
                f'static_assert(offsetof({tag}, {name}) == {each.offset}, "Python has it at {each.offset}");'
            )
        lines.append("};")
        lines.append(f'static_assert(sizeof({tag}) == {type_.size}, "Python has {type_.size} bytes");')
        return lines + offsets

    def field(self, type_: Type, name: str) -> str:
        if isinstance(type_, FixedArrayType):
            return self.field(type_.element, f"{name}[{type_.length}]")
        if isinstance(type_, FixedBytesType):
            return f"unsigned char {name}[{type_.size}]"
        return f"{self.spell(type_)} {name}"

    def raw(self, type_: Type) -> str:
        return "std::int64_t" if isinstance(type_, DurationType) else super().raw(type_)

    def known_parameter(self, type_: Type, name: str, names: Names) -> Passing | None:
        passed = [f"{name}.data()", f"static_cast<std::uint32_t>({name}.size())"]
        if isinstance(type_, StringType):
            return Passing([f"std::string_view {name}"], ["const char *", "std::uint32_t"], passed)
        if isinstance(type_, BytesType | ListType):
            element = self.element(type_, "std::uint8_t")
            return Passing([f"std::span<{element}> {name}"], [f"{element} *", "std::uint32_t"], passed)
        if isinstance(type_, DurationType):
            return Passing([f"std::chrono::nanoseconds {name}"], ["std::int64_t"], [f"{name}.count()"])
        return None

    def function_lines(self, function: Declared) -> list[str]:
        name = self.names.take(snake(function.name))
        lines = block(function.doc)
        if function.why_not:
            return [*lines, f"/* {name} cannot be declared: {function.why_not}. */"]
        passing = self.passing(function, Names(RESERVED | {"result"}))
        if function.outs:
            passing.types += [f"{self.spell(slot.type)} *" for slot in function.values]
        link = f"{snake(self.interface.name)}_{name}"
        module = quoted(self.interface.name)
        lines_raw = [
            "namespace raw {",
            f'extern "C" __attribute__((import_module({module}), import_name({quoted(function.import_name)})))',
            f"{self.raw_result(function)} hostmod_{link}({', '.join(passing.types)});",
            "}",
        ]
        result, body = self.body(function, f"raw::hostmod_{link}", passing.given)
        wrapper = [f"inline {result} {name}({', '.join(passing.parameters)}) {{", *indented(body), "}"]
        found = [*lines_raw, *lines, *wrapper]
        if function.uses_references:
            return ["#ifdef __wasm_reference_types__", *found, "#endif"]
        return found

    def body(self, function: Declared, raw: str, passed: list[str]) -> tuple[str, list[str]]:
        """Return the wrapper's result and its statements."""
        if not function.outs:
            call = f"{raw}({', '.join(passed)})"
            if function.optional:
                return "hostmod::Error", [f"return {{{call}}};"]
            if function.result is None:
                return "void", [f"{call};"]
            if isinstance(function.result, DurationType):
                return "std::chrono::nanoseconds", [f"return std::chrono::nanoseconds({call});"]
            return self.raw(function.result), [f"return {call};"]
        types = [self.spell(slot.type) for slot in function.values]
        one = len(types) == 1
        value = types[0] if one else f"std::tuple<{', '.join(types)}>"
        outs = (
            ["&result.value"] if one else [f"&std::get<{index}>(result.value)" for index in range(len(types))]
        )
        if function.optional:
            call = f"{raw}({', '.join([*passed, *outs])})"
            return f"hostmod::Result<{value}>", [
                f"hostmod::Result<{value}> result;",
                f"result.error = {{{call}}};",
                "return result;",
            ]
        outs = [each.replace("result.value", "result") for each in outs]
        return value, [f"{value} result{{}};", f"{raw}({', '.join([*passed, *outs])});", "return result;"]
