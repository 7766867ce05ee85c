"""Writes a Python skeleton of the host modules that a guest needs."""

from __future__ import annotations

import keyword
import re

import wasmtime

from hostmod.checks import core_names, core_signature
from hostmod.link import HostModule
from hostmod.tools.inspect import WASI

_PYTHON = {"i32": "Int32", "i64": "Int64", "f32": "Float32", "f64": "Float64", "externref": "ExternRef"}
"""The guest type that says no more than the core type does."""


def stubs(module: wasmtime.Module, guest: str = "the guest") -> str:
    """Write a Python file with a `HostModule` class for each module that a guest imports functions from.

    A signature says how wide a value is, and not what it means: every i32 becomes an Int32, and has to be made a
    Pointer, or with the one after it a String, Bytes or List, by hand. The skeleton fits the guest as it is.

    Args:
        module: the guest.
        guest: what to call it in comments.
    """
    modules: dict[str, dict[str, list[wasmtime.FuncType]]] = {}
    skipped: list[str] = []
    for each in module.imports:
        name = each.name or ""
        if not isinstance(each.type, wasmtime.FuncType):
            what = type(each.type).__name__.removesuffix("Type").lower()
            skipped.append(
                f"{each.module}::{name} is a {what}, which the program that instantiates it provides"
            )
        elif each.module in WASI:
            text = f"{each.module} is WASI: hostmod.wasi.Wasi serves it"
            if text not in skipped:
                skipped.append(text)
        else:
            types = modules.setdefault(each.module, {}).setdefault(name, [])
            if core_signature(each.type) not in map(core_signature, types):
                types.append(each.type)
    bodies: list[str] = []
    used: set[str] = set()
    taken: set[str] = {"HostModule", "function", *_PYTHON.values(), *used}
    for name, functions in modules.items():
        bodies.append(_class(name, functions, used, taken))
    lines = [
        f'"""Host modules for {_quoted(guest)}.',
        "",
        "A guest's imports say how wide each value is, and not what it means. Where an Int32 is an address, write",
        "Pointer[T] or CString; where it is an address and the next one a length, write one String, Bytes, Array[T] or",
        "List[T] for both.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
    ]
    if modules:
        lines.append("from hostmod import HostModule, function")
        if used:
            lines.append(f"from hostmod.types import {', '.join(sorted(used))}")
    else:
        lines.append(f"# {guest} imports no functions from host modules.")
    if skipped:
        lines += ["", "# Not here:", *(f"# - {_quoted(text)}." for text in skipped)]
    return "\n".join(lines) + "\n" + "".join(f"\n\n{body}" for body in bodies)


def _class(
    module: str, functions: dict[str, list[wasmtime.FuncType]], used: set[str], taken: set[str]
) -> str:
    name = _unique("".join(part[:1].upper() + part[1:] for part in _words(module)) or "Module", taken)
    lines = [
        f"class {name}(HostModule, name={_string(module)}):",
        f'    """What {_quoted(module)} offers."""',
    ]
    methods: set[str] = set(vars(HostModule)) | set(dir(HostModule))
    for function, types in functions.items():
        lines.append("")
        lines += [
            f"    # The guest also imports it as {core_signature(other)}; one of them cannot be served."
            for other in types[1:]
        ]
        lines += _method(function, types[0], used, methods)
    return "\n".join(lines) + "\n"


def _method(name: str, type_: wasmtime.FuncType, used: set[str], taken: set[str]) -> list[str]:
    params, results = core_names(type_.params), core_names(type_.results)
    strange = sorted({core for core in (*params, *results) if core not in _PYTHON})
    if strange:
        return [
            f"    # {_quoted(name)}{core_signature(type_)} takes or gives {', '.join(strange)},",
            "    # which no guest type stands for.",
        ]
    method = _unique("_".join(_words(name)) or "function", taken)
    used.update(_PYTHON[core] for core in (*params, *results))
    letters = [f"arg{index}" for index in range(len(params))]
    arguments = "".join(f", {letter}: {_PYTHON[core]}" for letter, core in zip(letters, params, strict=True))
    types = [_PYTHON[core] for core in results]
    result = "None" if not types else types[0] if len(types) == 1 else f"tuple[{', '.join(types)}]"
    mark = "@function" if method == name else f"@function({_string(name)})"
    return [
        f"    {mark}",
        f"    def {method}(self{arguments}) -> {result}:",
        f"        raise NotImplementedError({_string(name)})",
    ]


def _words(text: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    return [part.lower() for part in re.split(r"\W+|_+", spaced) if part and part.isascii()]


def _unique(name: str, taken: set[str]) -> str:
    if name[0].isdigit():
        name = f"_{name}"
    while keyword.iskeyword(name) or name in taken or (name.startswith("__") and name.endswith("__")):
        name += "_"
    taken.add(name)
    return name


def _string(text: str) -> str:
    """Write a literal in double quotes."""
    escapes = {"\\'": "'", '"': '\\"'}
    inner = re.sub(r'\\.|"', lambda found: escapes.get(found[0], found[0]), repr(text)[1:-1])
    return f'"{inner}"'


def _quoted(text: str) -> str:
    """Keep a name from ending the comment or docstring that it stands in."""
    return _string(text)[1:-1].replace('\\"', "'")
